//! Reads tuples of OpenFGA, as `fga tuple read` writes them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::contents::{Contents, Role};
use super::files::{malformed, no_json, open, unreadable};
use crate::cli::trouble::Trouble;

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "it must be an object with `tuples`, or a list of tuples, each with `user`, `relation` and `object`"
)]
enum File {
    /// `fga tuple read`, and the API.
    Read { tuples: Vec<Tuple> },
    /// `fga tuple read --simple-output`, and the files of `fga tuple write`.
    Simple(Vec<Tuple>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a tuple must have `user`, `relation` and `object`")]
enum Tuple {
    Keyed { key: Key },
    Plain(Key),
}

#[derive(Deserialize)]
#[serde(expecting = "a tuple with `user`, `relation` and `object`")]
struct Key {
    user: String,
    relation: String,
    object: String,
    #[serde(default)]
    condition: Option<serde_json::Value>,
}

/// How tuples become members.
pub struct Convention {
    /// The type of objects that are orgs.
    pub object_type: String,
    /// The type of users.
    pub user_type: String,
    /// The role of each relation. Another relation is a role with its own name.
    pub roles: BTreeMap<String, String>,
}

pub fn read(path: &Path, convention: &Convention) -> Result<Contents, Trouble> {
    let text = std::io::read_to_string(open(path)?).map_err(|error| unreadable(path, &error))?;
    // JSON is YAML too, but its own reader is many times faster.
    let json: Result<File, _> = serde_json::from_str(&text);
    let read = json.or_else(|error| match text.trim_start().starts_with(['{', '[']) {
        true => Err(no_json(path, error)),
        // The file is the caller's own: a limit on its nodes would only refuse a large one.
        false => serde_saphyr::from_str_with_options(&text, serde_saphyr::options! { budget: None })
            .map_err(|error| malformed(path, &error.to_string())),
    });
    let (File::Read { tuples } | File::Simple(tuples)) = read?;
    let mut contents = Contents::default();
    for tuple in tuples {
        let (Tuple::Keyed { key } | Tuple::Plain(key)) = tuple;
        take(&mut contents, key, convention);
    }
    Ok(contents)
}

fn take(contents: &mut Contents, key: Key, convention: &Convention) {
    let shown = format!("{} {} {}", key.user, key.relation, key.object);
    let id = |text: &str, kind: &str| text.strip_prefix(kind)?.strip_prefix(':').map(String::from);
    let Some(org_id) = id(&key.object, &convention.object_type) else {
        return contents.misfits.add("tuples of objects that are no orgs: not imported", shown);
    };
    if key.condition.is_some_and(|condition| !condition.is_null()) {
        return contents.misfits.add("tuples with a condition: not imported", shown);
    }
    match id(&key.user, &convention.user_type).filter(|user| user != "*" && !user.contains('#')) {
        None => contents.misfits.add("tuples of groups, wildcards and other types of users: not imported", shown),
        Some(user) => {
            let Some(org) = contents.org(&org_id) else { return };
            let role = convention.roles.get(&key.relation).unwrap_or(&key.relation);
            contents.member(org, &user, vec![Role::permanent(role)]);
        }
    }
}
