//! The JSON of requests: what Rolecall reads of it. Other members, such as `context`, are ignored.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tonic::Status;

use crate::domain::model::name::{BadName, own_id, permission_name};
use crate::grpc::status;
use crate::limits::{ACTION_PROPERTIES_BYTES_MAX, EVALUATIONS_MAX};
use crate::wire::Consistency;
use crate::wire::consistency::Requirement;

/// Makes types readable from an object of JSON only. What serde derives (here `remote`) also reads an array, whose entries it
/// takes for the members.
macro_rules! read_from_objects {
    ($($part:ident: $expected:literal,)*) => {$(
        impl<'de> Deserialize<'de> for $part {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Reader;
                impl<'de> Visitor<'de> for Reader {
                    type Value = $part;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<$part, A::Error> {
                        $part::deserialize(MapAccessDeserializer::new(from))
                    }
                }
                from.deserialize_map(Reader)
            }
        }
    )*};
}

read_from_objects! {
    Entity: "an object with `type` and `id`",
    Action: "an object with `name`",
    Evaluation: "an object with `subject`, `action` and `resource`",
    Evaluations: "an object with `evaluations`",
    Options: "an object with `evaluations_semantic` and `at_least`",
    Search: "an object with `subject`, `action` and `resource`",
    Page: "an object with `token` and `limit`",
}

/// A subject or a resource.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct Entity {
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct Action {
    name: Option<String>,
    /// Most actions are decided without them.
    properties: Option<Box<RawValue>>,
}

/// One evaluation. In a list, what is absent is taken from the request.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct Evaluation {
    pub subject: Option<Entity>,
    pub action: Option<Action>,
    pub resource: Option<Entity>,
    pub options: Option<Options>,
}

#[derive(Debug, Deserialize)]
#[serde(remote = "Self")]
pub struct Evaluations {
    subject: Option<Entity>,
    action: Option<Action>,
    resource: Option<Entity>,
    evaluations: Option<List>,
    options: Option<Options>,
}

/// At most `EVALUATIONS_MAX` evaluations.
#[derive(Debug)]
struct List(Vec<Evaluation>);

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct Options {
    evaluations_semantic: Option<Semantic>,
    /// The answer is read at this revision or a later one. Not of the standard.
    at_least: Option<String>,
}

/// Which evaluations are answered.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Semantic {
    #[default]
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

#[derive(Debug, Deserialize)]
#[serde(remote = "Self")]
pub struct Search {
    pub subject: Option<Entity>,
    pub action: Option<Action>,
    pub resource: Option<Entity>,
    pub page: Option<Page>,
    pub options: Option<Options>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct Page {
    pub token: Option<String>,
    limit: Option<u64>,
}

impl Evaluations {
    /// Returns the defaults of the list, the list, and which of it is answered.
    pub fn parts(self) -> (Evaluation, Vec<Evaluation>, Semantic) {
        let Self { subject, action, resource, evaluations, options } = self;
        let semantic = options.as_ref().and_then(|options| options.evaluations_semantic).unwrap_or_default();
        (Evaluation { subject, action, resource, options }, evaluations.map_or_else(Vec::new, |list| list.0), semantic)
    }
}

/// Returns how fresh an answer must be.
pub fn consistency(options: Option<&Options>) -> Option<Consistency> {
    let revision = options?.at_least.clone()?;
    Some(Consistency { requirement: Some(Requirement::AtLeast(revision)) })
}

impl Semantic {
    /// Returns true if this decision is the last one to answer.
    pub fn ends_with(self, decision: bool) -> bool {
        match self {
            Self::ExecuteAll => false,
            Self::DenyOnFirstDeny => !decision,
            Self::PermitOnFirstPermit => decision,
        }
    }
}

impl Page {
    /// Returns the page size as lists read it. 0 leaves it to them.
    pub fn size(&self) -> i32 {
        self.limit.map_or(0, |limit| i32::try_from(limit).unwrap_or(i32::MAX))
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of evaluations")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<List, A::Error> {
                let mut read = Vec::new();
                while let Some(evaluation) = from.next_element()? {
                    if read.len() == EVALUATIONS_MAX {
                        let why = format!("`evaluations` has more than {EVALUATIONS_MAX}; send several requests");
                        return Err(A::Error::custom(why));
                    }
                    read.push(evaluation);
                }
                Ok(List(read))
            }
        }
        from.deserialize_seq(Reader)
    }
}

/// Returns a part of a request that must be there.
pub fn required<'a, T>(field: &str, part: Option<&'a T>) -> Result<&'a T, Status> {
    part.ok_or_else(|| status::invalid(field, "is missing"))
}

/// Returns the name in a member that must be there. Its length is checked, because a default is copied for each evaluation.
fn name<'a>(field: &str, text: Option<&'a String>, check: fn(&str) -> Result<(), BadName>) -> Result<&'a str, Status> {
    let text = required(field, text)?;
    check(text).map_err(|why| status::invalid(field, why))?;
    Ok(text)
}

impl Entity {
    /// Returns the type. `name` is `subject` or `resource`.
    pub fn kind(&self, name: &str) -> Result<&str, Status> {
        let field = format!("{name}.type");
        match required(&field, self.kind.as_ref())?.as_str() {
            "" => Err(status::invalid(field, "must not be empty")),
            kind => Ok(kind),
        }
    }

    /// Returns the id. `of` is `subject` or `resource`.
    pub fn id(&self, of: &str) -> Result<&str, Status> {
        name(&format!("{of}.id"), self.id.as_ref(), own_id)
    }
}

impl Action {
    pub fn name(&self) -> Result<&str, Status> {
        name("action.name", self.name.as_ref(), permission_name)
    }

    /// Reads the properties. Their length is checked, because the default of a list is read for each evaluation.
    pub fn properties(&self) -> Result<Map<String, Value>, Status> {
        let Some(text) = self.properties.as_deref().map(RawValue::get) else { return Ok(Map::new()) };
        let read = (text.len() <= ACTION_PROPERTIES_BYTES_MAX).then(|| serde_json::from_str(text));
        let expected = || format!("must be an object of at most {ACTION_PROPERTIES_BYTES_MAX} bytes");
        read.and_then(Result::ok).ok_or_else(|| status::invalid("action.properties", expected()))
    }
}
