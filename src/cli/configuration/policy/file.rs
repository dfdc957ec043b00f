//! The file of `rolecall test`.

use std::fmt;
use std::path::Path;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::cli::configuration::document::from_yaml;
use crate::cli::table::plain;
use crate::cli::trouble::Trouble;
use crate::domain::Decision;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyTest {
    /// The path of the document, beside the file of the test.
    pub configuration: String,
    #[serde(default)]
    pub orgs: Vec<GivenOrg>,
    #[serde(default)]
    pub blocked: Vec<String>,
    pub tests: Vec<Test>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenOrg {
    pub org: String,
    pub role_mapping: Option<String>,
    pub moved_from: Option<String>,
    #[serde(default)]
    pub members: Vec<GivenMember>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenMember {
    pub user: String,
    /// Empty: the default role.
    #[serde(default)]
    pub roles: Vec<GivenRole>,
}

/// A role. A bare string is a permanent one.
#[derive(Debug)]
pub struct GivenRole {
    pub role: String,
    /// How long it lasts, like `1h`.
    pub lasts: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TemporaryRole {
    role: String,
    #[serde(rename = "for")]
    lasts: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    pub org: String,
    pub user: String,
    pub permission: Option<String>,
    pub role: Option<String>,
    pub at_least: Option<String>,
    /// How long after the beginning it is asked, like `2h`.
    pub after: Option<String>,
    pub expect: Expected,
}

/// A decision, as the API names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Expected {
    Allowed,
    NotAMember,
    MissingPermission,
    RoleDisabled,
    UserBlocked,
    RoleExpired,
    OrgNotFound,
    UnknownPermission,
    UnknownRole,
}

impl PolicyTest {
    pub fn from_yaml(text: &str) -> Result<Self, String> {
        from_yaml(text)
    }

    pub fn read(path: &Path) -> Result<Self, Trouble> {
        let shown = plain(&path.display().to_string());
        let next = "`rolecall test --help` shows such a file";
        let text = std::fs::read_to_string(path)
            .map_err(|error| Trouble::new(format!("{shown} cannot be read: {error}"), next))?;
        Self::from_yaml(&text).map_err(|error| Trouble::new(format!("{shown} is no test: {error}"), next))
    }
}

impl From<Decision> for Expected {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Allowed => Self::Allowed,
            Decision::NotAMember => Self::NotAMember,
            Decision::MissingPermission => Self::MissingPermission,
            Decision::RoleDisabled => Self::RoleDisabled,
            Decision::UserBlocked => Self::UserBlocked,
            Decision::RoleExpired => Self::RoleExpired,
            Decision::OrgNotFound => Self::OrgNotFound,
            Decision::UnknownPermission => Self::UnknownPermission,
            Decision::UnknownRole => Self::UnknownRole,
        }
    }
}

impl Expected {
    /// Returns the name, as the file has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "ALLOWED",
            Self::NotAMember => "NOT_A_MEMBER",
            Self::MissingPermission => "MISSING_PERMISSION",
            Self::RoleDisabled => "ROLE_DISABLED",
            Self::UserBlocked => "USER_BLOCKED",
            Self::RoleExpired => "ROLE_EXPIRED",
            Self::OrgNotFound => "ORG_NOT_FOUND",
            Self::UnknownPermission => "UNKNOWN_PERMISSION",
            Self::UnknownRole => "UNKNOWN_ROLE",
        }
    }
}

impl<'de> Deserialize<'de> for GivenRole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RoleVisitor)
    }
}

struct RoleVisitor;

impl<'de> Visitor<'de> for RoleVisitor {
    type Value = GivenRole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a role: its name (quoted if it looks like a number), or a mapping with `role` and `for`")
    }

    fn visit_str<E: Error>(self, role: &str) -> Result<GivenRole, E> {
        Ok(GivenRole { role: role.into(), lasts: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<GivenRole, A::Error> {
        let TemporaryRole { role, lasts } = TemporaryRole::deserialize(MapAccessDeserializer::new(map))?;
        Ok(GivenRole { role, lasts })
    }
}
