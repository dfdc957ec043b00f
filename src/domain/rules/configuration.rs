//! The configuration of a project: its etag, and how two versions of it differ.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::domain::model::id::RoleId;
use crate::domain::model::name::{PermissionName, RoleMappingName, RoleName};
use crate::domain::model::permission::PermissionSet;
use crate::domain::model::project::RoleStructure;
use crate::domain::model::refusal::Noun;
use crate::domain::model::role_mapping::RoleMappingRecord;
use crate::domain::rules::role::role_order_etag;
use crate::domain::state::project::Project;
use crate::domain::state::role_mapping::RoleMapping;

/// An object of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub noun: Noun,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    Update,
    Delete,
}

/// What happens to one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub action: Action,
    /// With its new name, if it is renamed.
    pub object: Object,
    pub changes: Vec<FieldChange>,
}

/// The change of one field. A text has `before` and `after`, a set has what is removed and added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldChange {
    pub field: &'static str,
    /// The role whose grants in a role mapping change. Empty for other fields.
    pub role: String,
    pub before: String,
    pub after: String,
    pub removed: Vec<String>,
    pub added: Vec<String>,
}

impl Object {
    pub fn permission(name: &PermissionName) -> Self {
        Self { noun: Noun::Permission, name: name.to_string() }
    }

    pub fn role(name: &RoleName) -> Self {
        Self { noun: Noun::Role, name: name.to_string() }
    }

    pub fn role_mapping(name: &RoleMappingName) -> Self {
        Self { noun: Noun::RoleMapping, name: name.to_string() }
    }
}

/// Returns the etag of the configuration. It changes with everything that a configuration says.
pub fn configuration_etag(project: &Project) -> String {
    let mut hash = Sha256::new();
    let mut text = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    text(&role_order_etag(project));
    text(&project.record.version.to_string());
    for (id, role) in project.roles.entries() {
        text(&format!("{}.{}", id.number(), role.version));
    }
    for (id, mapping) in project.role_mappings.entries() {
        text(&format!("{}.{}", id.number(), mapping.record.version));
    }
    // Permissions have no version.
    for (id, permission) in project.permissions.entries() {
        text(&id.number().to_string());
        text(permission.name.as_str());
        text(&permission.description);
        permission.aliases.iter().for_each(|alias| text(alias.as_str()));
    }
    let hash = hash.finalize();
    hash[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns what differs, object by object: the project, permissions, roles, role mappings.
pub fn difference(before: &Project, after: &Project) -> Vec<Step> {
    let mut steps = Vec::new();
    let object = Object { noun: Noun::Project, name: after.record.key.to_string() };
    let changes = project_changes(before, after);
    if !changes.is_empty() {
        steps.push(Step { action: Action::Update, object, changes });
    }
    for id in ids(before.permissions.entries(), after.permissions.entries()) {
        let (was, is) = (before.permissions.get(id), after.permissions.get(id));
        let Some(shown) = is.or(was) else { continue };
        push(&mut steps, Object::permission(&shown.name), was, is, |was, is| {
            let mut changes = Changes::default();
            changes.text("name", was.map(|it| it.name.as_str()), is.map(|it| it.name.as_str()));
            changes.text("description", was.map(|it| &*it.description), is.map(|it| &*it.description));
            changes.set("aliases", "", names(was.map(|it| &*it.aliases)), names(is.map(|it| &*it.aliases)));
            changes.0
        });
    }
    steps.extend(roles(before, after));
    for id in ids(before.role_mappings.entries(), after.role_mappings.entries()) {
        let (was, is) = (before.role_mappings.get(id), after.role_mappings.get(id));
        let Some(shown) = is.or(was) else { continue };
        push(&mut steps, Object::role_mapping(&shown.record.name), was, is, |was, is| {
            role_mapping_changes((before, was), (after, is))
        });
    }
    steps
}

fn project_changes(before: &Project, after: &Project) -> Vec<FieldChange> {
    let (was, is) = (&before.record, &after.record);
    let structure = |structure| match structure {
        RoleStructure::SingleRole => "SINGLE_ROLE",
        RoleStructure::MultiRole => "MULTI_ROLE",
    };
    let mut changes = Changes::default();
    changes.text("display_name", Some(&was.display_name), Some(&is.display_name));
    changes.text("role_structure", Some(structure(was.role_structure)), Some(structure(is.role_structure)));
    // A renamed object is still the same default.
    let mut default = |field, same: bool, was: String, is: String| {
        if !same {
            changes.text(field, Some(&was), Some(&is));
        }
    };
    let role = |project: &Project, id| project.role_name(id).to_string();
    let mapping = |project: &Project, id| project.role_mapping_name(id).to_string();
    let same = was.default_role == is.default_role;
    default("default_role", same, role(before, was.default_role), role(after, is.default_role));
    let same = was.default_owner_role == is.default_owner_role;
    default("default_owner_role", same, role(before, was.default_owner_role), role(after, is.default_owner_role));
    let (was, is) = (was.default_role_mapping, is.default_role_mapping);
    default("default_role_mapping", was == is, mapping(before, was), mapping(after, is));
    let common = |one: &Project, other: &Project| -> Vec<RoleId> {
        one.role_order.iter().copied().filter(|&id| other.roles.get(id).is_some()).collect()
    };
    if common(before, after) != common(after, before) {
        let order = |project: &Project| {
            let names = project.role_order.iter().map(|&id| project.role_name(id).to_string());
            names.collect::<Vec<_>>().join(" > ")
        };
        changes.text("role_order", Some(&order(before)), Some(&order(after)));
    }
    changes.0
}

/// Returns the steps of roles: those that exist in their order, then the deleted ones.
fn roles(before: &Project, after: &Project) -> Vec<Step> {
    let deleted = before.role_order.iter().copied().filter(|&id| after.roles.get(id).is_none());
    let mut steps = Vec::new();
    for id in after.role_order.iter().copied().chain(deleted) {
        let (was, is) = (before.roles.get(id), after.roles.get(id));
        let Some(shown) = is.or(was) else { continue };
        push(&mut steps, Object::role(&shown.name), was, is, |was, is| {
            let flag = |internal| if internal { "true" } else { "false" };
            let mut changes = Changes::default();
            changes.text("name", was.map(|it| it.name.as_str()), is.map(|it| it.name.as_str()));
            changes.text("description", was.map(|it| &*it.description), is.map(|it| &*it.description));
            let internal = |role: Option<bool>| flag(role.unwrap_or_default());
            changes.text(
                "internal",
                Some(internal(was.map(|it| it.internal))),
                Some(internal(is.map(|it| it.internal))),
            );
            changes.set("aliases", "", names(was.map(|it| &*it.aliases)), names(is.map(|it| &*it.aliases)));
            let (was, is) = (was.map_or(&[][..], |it| &it.manages), is.map_or(&[][..], |it| &it.manages));
            changes.roles("manages", (before, was), (after, is));
            if before.roles.get(id).is_none() {
                let at = after.role_order.iter().position(|&other| other == id).unwrap_or_default();
                let above = at.checked_sub(1).and_then(|at| after.role_order.get(at));
                let above = above.map(|&above| format!("below {}", after.role_name(above)));
                changes.text("position", None, Some(above.as_deref().unwrap_or("highest")));
            }
            changes.0
        });
    }
    steps
}

fn role_mapping_changes(
    (before, was): (&Project, Option<&RoleMapping>),
    (after, is): (&Project, Option<&RoleMapping>),
) -> Vec<FieldChange> {
    let mut changes = Changes::default();
    let (record_was, record_is) = (was.map(|it| &it.record), is.map(|it| &it.record));
    changes.text("name", record_was.map(|it| it.name.as_str()), record_is.map(|it| it.name.as_str()));
    changes.text("description", record_was.map(|it| &*it.description), record_is.map(|it| &*it.description));
    changes.set("aliases", "", names(record_was.map(|it| &*it.aliases)), names(record_is.map(|it| &*it.aliases)));
    let disabled = |record: Option<&RoleMappingRecord>| record.map(|it| it.disabled_roles.clone()).unwrap_or_default();
    changes.roles("disabled_roles", (before, &disabled(record_was)), (after, &disabled(record_is)));
    let deleted = before.role_order.iter().copied().filter(|&id| after.roles.get(id).is_none());
    let nothing = PermissionSet::default();
    for role in after.role_order.iter().copied().chain(deleted) {
        let [row_was, row_is] = [was, is].map(|mapping| mapping.and_then(|it| it.row(role)).unwrap_or(&nothing));
        if row_was == row_is {
            continue;
        }
        let missing = |project: &Project, one: &PermissionSet, other: &PermissionSet| -> Vec<String> {
            let names = project.permission_names(&one.iter().filter(|&id| !other.contains(id)).collect());
            names.iter().map(ToString::to_string).collect()
        };
        let project = if after.roles.get(role).is_some() { after } else { before };
        changes.0.push(FieldChange {
            field: "grants",
            role: project.role_name(role).to_string(),
            removed: missing(before, row_was, row_is),
            added: missing(after, row_is, row_was),
            ..FieldChange::default()
        });
    }
    changes.0
}

/// Adds the step of an object, unless nothing changes.
fn push<T>(
    steps: &mut Vec<Step>,
    object: Object,
    before: Option<&Arc<T>>,
    after: Option<&Arc<T>>,
    changes: impl FnOnce(Option<&T>, Option<&T>) -> Vec<FieldChange>,
) {
    let action = match (before, after) {
        // Unchanged objects are shared.
        (Some(before), Some(after)) if Arc::ptr_eq(before, after) => return,
        (None, _) => Action::Create,
        (_, None) => Action::Delete,
        _ => Action::Update,
    };
    // What a deleted object was is not a change of it.
    let changes = if action == Action::Delete {
        Vec::new()
    } else {
        changes(before.map(AsRef::as_ref), after.map(AsRef::as_ref))
    };
    if action != Action::Update || !changes.is_empty() {
        steps.push(Step { action, object, changes });
    }
}

/// Collects the changes of one object.
#[derive(Default)]
struct Changes(Vec<FieldChange>);

impl Changes {
    /// Notes a change of a text. The name of a new object is not a change.
    fn text(&mut self, field: &'static str, before: Option<&str>, after: Option<&str>) {
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        if before != after && !(field == "name" && before.is_empty()) {
            let (before, after) = (before.to_owned(), after.to_owned());
            self.0.push(FieldChange { field, before, after, ..FieldChange::default() });
        }
    }

    fn set(&mut self, field: &'static str, role: &str, before: BTreeSet<String>, after: BTreeSet<String>) {
        if before != after {
            let removed = before.difference(&after).cloned().collect();
            let added = after.difference(&before).cloned().collect();
            let role = role.to_owned();
            self.0.push(FieldChange { field, role, removed, added, ..FieldChange::default() });
        }
    }

    /// Notes a change of a set of roles. A renamed role is still the same.
    fn roles(&mut self, field: &'static str, (before, was): (&Project, &[RoleId]), (after, is): (&Project, &[RoleId])) {
        let missing = |project: &Project, one: &[RoleId], other: &[RoleId]| {
            let ids = one.iter().filter(|id| !other.contains(id));
            ids.map(|&id| project.role_name(id).to_string()).collect::<BTreeSet<_>>()
        };
        self.set(field, "", missing(before, was, is), missing(after, is, was));
    }
}

fn names<N: ToString>(names: Option<&[N]>) -> BTreeSet<String> {
    names.unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// Returns the ids of the objects on either side, ascending.
fn ids<'a, I: Ord + 'a, T: 'a>(
    before: impl Iterator<Item = (I, T)> + 'a,
    after: impl Iterator<Item = (I, T)> + 'a,
) -> BTreeSet<I> {
    before.chain(after).map(|(id, _)| id).collect()
}
