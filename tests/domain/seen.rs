//! Reads all that can be seen of a `State` into the shape of the model, through the functions that servers use.

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::decide::Outcome;
use rolecall::domain::id::{RoleId, RoleMappingId};
use rolecall::domain::{Ask, Decision, Project, Question, State, Time, UserId};

use crate::model::{About, Answer, Customer, Mapping, Model, Roles, Space};

/// What the template describes; the model leaves those texts out.
const TEMPLATE: [&str; 4] = ["Owner", "Admin", "Member", "Default"];

/// All that can be seen of a state in which nobody but `users` is a member.
pub fn seen(state: &State, users: &[&str]) -> Model {
    let projects = state.projects().map(|project| (project.record.key.to_string(), space(project, users)));
    Model { projects: projects.collect() }
}

/// What a command was answered with.
pub fn answered(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Project(project) => Answer::Project(project.record.key.to_string()),
        Outcome::Permission(created) => Answer::Permission(created.name.to_string()),
        Outcome::PermissionsCreated(created) => Answer::PermissionsCreated(*created),
        Outcome::Role(project, id) => Answer::Role(role_name(project, *id)),
        Outcome::RoleMapping(project, id) => Answer::RoleMapping(mapping_name(project, *id)),
        Outcome::Org(project, record) => {
            Answer::Org { org: record.profile.org_id.to_string(), mapping: mapping_name(project, record.role_mapping) }
        }
        Outcome::Subscription { org_id, role_mapping } => {
            Answer::Subscription { org: org_id.to_string(), mapping: role_mapping.to_string() }
        }
        Outcome::Member(member) => Answer::Member {
            org: member.org_id.to_string(),
            user: member.user_id.to_string(),
            roles: member.roles.iter().map(|shown| (shown.role.to_string(), shown.until, shown.standing)).collect(),
        },
        Outcome::Removed => Answer::Removed,
        Outcome::Tally(tally) => {
            Answer::Tally { added: tally.added, set: tally.set, removed: tally.removed, unchanged: tally.unchanged }
        }
    }
}

/// One check by names.
pub fn check(state: &State, project: &str, org: &str, user: &str, permission: &str, now: Time) -> Decision {
    let project = state.project_keyed(project).expect("the project is there");
    project.check(&Ask { org_id: org, user_id: user, question: Question::Permission(permission) }, now)
}

fn space(project: &Project, users: &[&str]) -> Space {
    let record = &project.record;
    let permissions = project.permissions.entries().map(|(id, permission)| {
        assert_eq!(project.permission_named(permission.name.as_str()), Some(id));
        let description = if permission.built_in { "" } else { &permission.description };
        (permission.name.to_string(), About::new(description, permission.built_in, permission.create_time))
    });
    let roles = project.role_order.iter().map(|&id| {
        let role = project.roles.get(id).expect("the order holds roles");
        assert_eq!(project.role_named(role.name.as_str()), Some(id));
        (
            role.name.to_string(),
            About::new(described(role.name.as_str(), &role.description), role.internal, role.create_time),
        )
    });
    let mut orgs = BTreeMap::new();
    project.for_each_org(|org| {
        let profile = &org.record.profile;
        assert!(project.org(profile.org_id.as_str()).is_some_and(|found| found.no == org.no));
        assert!(project.org_numbered(org.no).is_some_and(|found| found.no == org.no));
        let mut members = BTreeMap::new();
        for user in users {
            let Some(membership) = project.membership(org, &UserId::stored(*user)) else { continue };
            let set = project.role_sets.get(membership.role_set).expect("memberships point to sets");
            let until =
                |role: RoleId| membership.timed.iter().find(|timed| timed.role == role).map(|timed| timed.until);
            assert!(membership.timed.iter().all(|timed| set.roles.contains(&timed.role)), "an end without its role");
            let roles: Roles = set.roles.iter().map(|&role| (role_name(project, role), until(role))).collect();
            members.insert(user.to_string(), roles);
        }
        assert_eq!(members.len(), org.memberships_len(), "members whom nobody named");
        let customer = Customer {
            display_name: profile.display_name.to_string(),
            metadata: profile.metadata.to_string(),
            created: profile.create_time,
            mapping: mapping_name(project, org.record.role_mapping),
            members,
        };
        assert!(orgs.insert(profile.org_id.to_string(), customer).is_none());
    });
    assert_eq!(orgs.len(), project.orgs_len());
    let role_sets = project.role_sets.entries().map(|(id, set)| {
        assert_eq!(project.role_set_of(set), Some(id), "two sets of the same roles");
        set.roles.iter().map(|&role| role_name(project, role)).collect::<BTreeSet<_>>()
    });
    let space = Space {
        display_name: record.display_name.to_string(),
        environment: record.environment,
        structure: record.role_structure,
        created: record.create_time,
        default_role: role_name(project, record.default_role),
        default_owner_role: role_name(project, record.default_owner_role),
        default_mapping: mapping_name(project, record.default_role_mapping),
        permissions: permissions.collect(),
        roles: roles.collect(),
        mappings: mappings(project),
        orgs,
        role_sets: role_sets.collect(),
    };
    assert_eq!(space.roles.len(), project.roles.len());
    assert_eq!(space.grant_count(), project.grants, "the count of grants");
    space
}

fn mappings(project: &Project) -> BTreeMap<String, Mapping> {
    let mut mappings = BTreeMap::new();
    for (id, mapping) in project.role_mappings.entries() {
        let record = &mapping.record;
        assert_eq!(project.role_mapping_named(record.name.as_str()), Some(id));
        let disabled = project.roles.entries().filter(|(role, _)| !mapping.enabled(*role));
        let rows = mapping.rows.entries::<RoleId>().map(|(role, row)| {
            let names =
                row.iter().map(|id| project.permissions.get(id).expect("a row grants permissions").name.to_string());
            (role_name(project, role), names.collect::<BTreeSet<_>>())
        });
        let read = Mapping {
            about: About::new(described(record.name.as_str(), &record.description), false, record.create_time),
            disabled: disabled.map(|(_, role)| role.name.to_string()).collect(),
            grants: rows.collect(),
        };
        assert!(read.grants.values().all(|row| !row.is_empty()), "an empty row is kept");
        assert_eq!(read.disabled.len(), record.disabled_roles.len());
        mappings.insert(record.name.to_string(), read);
    }
    mappings
}

fn described<'a>(name: &str, description: &'a str) -> &'a str {
    if TEMPLATE.contains(&name) { "" } else { description }
}

fn role_name(project: &Project, id: RoleId) -> String {
    project.roles.get(id).expect("ids name roles").name.to_string()
}

fn mapping_name(project: &Project, id: RoleMappingId) -> String {
    project.role_mappings.get(id).expect("ids name mappings").record.name.to_string()
}
