//! Which permission an action asks for: the one with its name, unless a file of the operator says otherwise.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tonic::Status;

use super::entities::Action;
use crate::domain::model::name::permission_name;
use crate::limits::AUTHZEN_ACTIONS_MAX;
use crate::yaml;

/// The permission that an action asks for, and the number of the action among those that ask for it.
pub(super) type Place<'a> = (&'a str, usize);

/// See the module. By default every action asks for the permission with its name.
#[derive(Debug, Default)]
pub struct Actions {
    /// By the name of the action.
    rules: BTreeMap<String, Vec<Rule>>,
}

/// An action as searches show it.
#[derive(Clone, Serialize)]
pub(super) struct FoundAction {
    pub name: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
}

/// Actions with these properties, and maybe others, ask for the permission.
#[derive(Debug)]
struct Rule {
    properties: Map<String, Value>,
    permission: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRule {
    action: String,
    #[serde(default)]
    properties: Map<String, Value>,
    permission: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    actions: Vec<FileRule>,
}

impl Actions {
    /// Reads a file. `Err` says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = yaml::read(text)?;
        if file.actions.len() > AUTHZEN_ACTIONS_MAX {
            return Err(format!("`actions` must have at most {AUTHZEN_ACTIONS_MAX} entries"));
        }
        let mut read = Self::default();
        for (at, FileRule { action, properties, permission }) in file.actions.into_iter().enumerate() {
            let wrong = |what: &str, why: &dyn std::fmt::Display| format!("`actions[{at}]`: `{what}` {why}");
            permission_name(&action).map_err(|why| wrong("action", &why))?;
            permission_name(&permission).map_err(|why| wrong("permission", &why))?;
            if let Some((name, _)) = properties.iter().find(|(_, value)| !is_comparable(value)) {
                return Err(wrong(&format!("properties.{name}"), &"must be a text, a boolean or an integer"));
            }
            let rules = read.rules.entry(action).or_default();
            if rules.iter().any(|earlier| earlier.fits(&properties)) {
                return Err(format!(
                    "`actions[{at}]` is never used, because an earlier entry fits all its actions; put it before that one"
                ));
            }
            rules.push(Rule { properties, permission });
        }
        Ok(read)
    }

    /// Returns the permission that an action asks for: by the first rule that fits.
    pub fn permission<'a>(&'a self, action: &'a Action) -> Result<&'a str, Status> {
        let name = action.name()?;
        let Some(rules) = self.rules.get(name) else { return Ok(name) };
        let properties = action.properties()?;
        let rule = rules.iter().find(|rule| rule.fits(&properties));
        Ok(rule.map_or(name, |rule| &rule.permission))
    }

    /// Returns the actions that ask for these permissions. A permission that rules name has the actions of these rules. Another
    /// one has the action with its name, unless a rule gives all actions with this name another permission.
    pub(super) fn of<'a>(&'a self, permissions: impl IntoIterator<Item = &'a str>) -> Vec<(Place<'a>, FoundAction)> {
        let mut by_permission: HashMap<&str, Vec<FoundAction>> = HashMap::new();
        for (name, rules) in &self.rules {
            for rule in rules {
                let action = FoundAction { name: name.clone(), properties: rule.properties.clone() };
                by_permission.entry(&rule.permission).or_default().push(action);
            }
        }
        let actions = |permission: &'a str| {
            let named = || FoundAction { name: permission.to_owned(), properties: Map::new() };
            let is_renamed =
                self.rules.get(permission).is_some_and(|rules| rules.iter().any(|rule| rule.properties.is_empty()));
            let found = by_permission.remove(permission);
            let found = found.unwrap_or_else(|| if is_renamed { Vec::new() } else { vec![named()] });
            found.into_iter().enumerate().map(move |(number, action)| ((permission, number), action))
        };
        permissions.into_iter().flat_map(actions).collect()
    }
}

impl Rule {
    fn fits(&self, properties: &Map<String, Value>) -> bool {
        self.properties.iter().all(|(name, value)| properties.get(name) == Some(value))
    }
}

/// Texts, booleans and integers have one form in JSON and YAML.
fn is_comparable(value: &Value) -> bool {
    value.is_string() || value.is_boolean() || value.is_i64() || value.is_u64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = r"
actions:
  - { action: delete, properties: { soft: true }, permission: records.archive }
  - { action: delete, properties: { count: 2, mode: all }, permission: records.purge }
  - { action: GET, permission: records.view }
  - { action: HEAD, permission: records.view }
";

    fn permission(actions: &Actions, action: Value) -> String {
        let action: Action = serde_json::from_value(action).unwrap();
        actions.permission(&action).unwrap().to_owned()
    }

    #[test]
    fn the_first_entry_whose_properties_an_action_has_names_its_permission() {
        let actions = Actions::parse(FILE).unwrap();
        for (properties, expected) in [
            (json!({ "soft": true }), "records.archive"),
            (json!({ "soft": true, "other": [1] }), "records.archive"),
            (json!({ "soft": true, "count": 2, "mode": "all" }), "records.archive"),
            (json!({ "count": 2, "mode": "all" }), "records.purge"),
            (json!({ "count": 2 }), "delete"),
            (json!({ "count": "2", "mode": "all" }), "delete"),
            (json!({ "soft": "true" }), "delete"),
            (json!({ "soft": false }), "delete"),
            (json!({}), "delete"),
            (Value::Null, "delete"),
        ] {
            assert_eq!(permission(&actions, json!({ "name": "delete", "properties": properties })), expected);
        }
        for (name, expected) in [("delete", "delete"), ("GET", "records.view"), ("get", "get")] {
            assert_eq!(permission(&actions, json!({ "name": name })), expected);
        }
    }

    #[test]
    fn found_actions_ask_for_the_permissions_they_were_found_by() {
        let mut text = FILE.to_owned();
        text.push_str("  - { action: records.edit, permission: records.view }\n");
        let actions = Actions::parse(&text).unwrap();
        let held = ["delete", "records.archive", "records.edit", "records.view", "records.write"];
        let found = actions.of(held);
        let shown = serde_json::to_value(found.iter().map(|(_, action)| action).collect::<Vec<_>>()).unwrap();
        assert_eq!(
            shown,
            json!([
                { "name": "delete" },
                { "name": "delete", "properties": { "soft": true } },
                { "name": "GET" },
                { "name": "HEAD" },
                { "name": "records.edit" },
                { "name": "records.write" },
            ])
        );
        for (((by, _), _), action) in found.iter().zip(shown.as_array().unwrap()) {
            assert_eq!(permission(&actions, action.clone()), *by);
        }
    }

    #[test]
    fn an_entry_that_cannot_be_used_is_named() {
        for (entry, said) in [
            ("{ action: '', permission: view }", "`actions[0]`: `action` must not be empty"),
            ("{ action: get, permission: ' view' }", "`actions[0]`: `permission`"),
            ("{ action: get, properties: { a: [1] }, permission: view }", "`properties.a` must be a text"),
            ("{ action: get, properties: { a: 1.5 }, permission: view }", "`properties.a` must be a text"),
            ("{ action: get, permission: view, when: now }", "when"),
            ("{ action: get, permission: view }\n- { action: get, permission: edit }", "`actions[1]` is never used"),
            (
                "{ action: get, properties: { a: 1 }, permission: view }\n- { action: get, properties: { a: 1, b: x }, permission: edit }",
                "`actions[1]` is never used",
            ),
        ] {
            let refused = Actions::parse(&format!("actions:\n- {entry}\n")).unwrap_err();
            assert!(refused.contains(said), "{said} is not in: {refused}");
        }
        let many = "- { action: get, permission: view }\n".repeat(AUTHZEN_ACTIONS_MAX + 1);
        assert!(Actions::parse(&format!("actions:\n{many}")).unwrap_err().contains("at most"));
    }

    #[test]
    fn properties_are_read_only_if_an_entry_needs_them() {
        let actions = Actions::parse(FILE).unwrap();
        let long = json!({ "text": "x".repeat(5_000) });
        for properties in [long, json!([1])] {
            let asked = |name: &str| -> Action {
                serde_json::from_value(json!({ "name": name, "properties": properties })).unwrap()
            };
            assert_eq!(actions.permission(&asked("view")).unwrap(), "view");
            let refused = actions.permission(&asked("delete")).unwrap_err();
            assert!(refused.message().contains("`action.properties` must be"), "{refused:?}");
        }
    }
}
