//! A project's configuration as a YAML document: what `export` writes, and `plan`, `apply`, `test` and `gen` read.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cli::table::plain;
use crate::yaml;

/// The configuration of one project. Lists without a meaningful order are sorted by name when exported.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Configuration of a Rolecall project", rename = "Configuration")]
pub struct Document {
    /// The key of the project.
    pub project: String,
    /// The name for people. Absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Needed only to create the project. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Absent: as it is, and SINGLE_ROLE for a new project. Another structure than the project has converts the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_structure: Option<RoleStructure>,
    /// The role that replaces a deleted role, if nothing else is said.
    pub default_role: String,
    /// The role of the creator of an org.
    pub default_owner_role: String,
    /// The permissions. The built-in ones, `rolecall::…`, exist in every project: name one only to describe it.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// The roles, highest first.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// The role mappings (plans). Exactly one is the default.
    #[serde(default)]
    pub role_mappings: Vec<RoleMapping>,
    /// The names of permissions to delete, also without `--prune`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted_permissions: Vec<String>,
    /// Roles to delete, also without `--prune`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted_roles: Vec<DeletedRole>,
    /// Role mappings to delete, also without `--prune`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted_role_mappings: Vec<DeletedRoleMapping>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Environment {
    Test,
    Live,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RoleStructure {
    SingleRole,
    MultiRole,
}

/// A permission. A bare string is one with only a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Permission {
    pub name: String,
    pub description: String,
    pub aliases: Vec<String>,
    pub renamed_from: Option<String>,
}

/// The long form of a permission.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LongPermission {
    /// The name that code asks for: 1 to 256 bytes.
    name: String,
    /// What the permission allows. Up to 1,024 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    /// Old names that are still accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    /// The name that the permission had before. It becomes an alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renamed_from: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// What people see: 1 to 128 bytes.
    pub name: String,
    /// What the role is for. Up to 1,024 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// True for a role of the product's own staff.
    #[serde(default, skip_serializing_if = "is_false")]
    pub internal: bool,
    /// The roles that it manages. Only in a MULTI_ROLE project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manages: Vec<String>,
    /// Old names that are still accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The name that the role had before. It becomes an alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleMapping {
    /// The name of the plan: 1 to 128 bytes.
    pub name: String,
    /// What the role mapping is for. Up to 1,024 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// True for the one role mapping that new orgs get.
    #[serde(default, skip_serializing_if = "is_false")]
    pub default: bool,
    /// The roles that grant nothing in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disabled_roles: Vec<String>,
    /// The permissions that each role grants in it. A role of this document that is not listed grants nothing.
    #[serde(default)]
    pub grants: BTreeMap<String, Vec<String>>,
    /// What happens to members whose roles are disabled by applying this document. Absent: such a change is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_disabled: Option<OnDisabled>,
    /// Old names that are still accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The name that the role mapping had before. It becomes an alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
}

/// What happens to members when a role that they hold turns from enabled to disabled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnDisabled {
    pub strategy: Strategy,
    /// With REMAP: the replacement of each role.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replacements: BTreeMap<String, String>,
    /// With REMAP: the replacement of all other roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_replacement: Option<String>,
    /// With SUSPEND: the role that members hold until theirs is enabled again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_role: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Strategy {
    Reject,
    Suspend,
    Remap,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeletedRole {
    pub name: String,
    /// The role that its holders get. Absent: the default role, for an internal role none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeletedRoleMapping {
    pub name: String,
    /// The role mapping that its orgs move to. Needed if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub move_subscribers_to: Option<String>,
    /// What happens to members whose roles are disabled there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_disabled: Option<OnDisabled>,
}

/// The file name of the JSON schema that editors find beside a document.
pub const SCHEMA_FILE: &str = "rolecall.schema.json";

impl Document {
    /// Reads a document. The error has the line and column.
    pub fn from_yaml(text: &str) -> Result<Self, String> {
        from_yaml(text)
    }

    /// Writes a document that `from_yaml` reads. Equal documents give equal text.
    pub fn to_yaml(&self) -> Result<String, String> {
        serde_saphyr::to_string(self).map_err(|error| format!("the configuration cannot be written as YAML: {error}"))
    }

    /// Returns the JSON schema of documents.
    pub fn schema() -> Result<String, String> {
        let schema = schemars::schema_for!(Self);
        let text = serde_json::to_string_pretty(&schema).map_err(|error| error.to_string())?;
        Ok(text + "\n")
    }
}

/// Reads YAML. The error is one line, with the line and column.
pub fn from_yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    yaml::read(text).map_err(|why| plain(&why))
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { name, description, aliases, renamed_from } = self.clone();
        if description.is_empty() && aliases.is_empty() && renamed_from.is_none() {
            return serializer.serialize_str(&name);
        }
        LongPermission { name, description, aliases, renamed_from }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PermissionVisitor)
    }
}

/// Reads both forms. An untagged enum would hide which field is wrong.
struct PermissionVisitor;

impl<'de> Visitor<'de> for PermissionVisitor {
    type Value = Permission;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a permission: its name (quoted if it looks like a number), or a mapping with `name`")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Permission, E> {
        Ok(Permission { name: name.into(), ..Permission::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Permission, A::Error> {
        let long = LongPermission::deserialize(MapAccessDeserializer::new(map))?;
        let LongPermission { name, description, aliases, renamed_from } = long;
        Ok(Permission { name, description, aliases, renamed_from })
    }
}

impl JsonSchema for Permission {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Permission".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = LongPermission::json_schema(generator);
        json_schema!({
            "description": "A permission: its name, or a mapping with its name and more.",
            "anyOf": [{ "type": "string" }, long],
        })
    }
}

#[cfg(test)]
mod tests;
