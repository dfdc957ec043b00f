//! Converts a `State` to the model, with the functions that servers use.

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::model::id::{RoleId, RoleMappingId};
use rolecall::domain::model::permission::BUILT_INS;
use rolecall::domain::model::refusal::Noun;
use rolecall::domain::model::refusal::Refusal;
use rolecall::domain::model::role_set::RoleSet;
use rolecall::domain::rules::configuration::{Object, Step};
use rolecall::domain::rules::membership::MemberRole;
use rolecall::domain::rules::org_domain::ShownDomain;
use rolecall::domain::state::org::Org;
use rolecall::domain::{Ask, Decision, Outcome, Project, ProjectKey, Question, State, Time, UserId};

use crate::model::{
    Answer, Details, DomainModel, InvitationModel, Mapping, Member, Model, OrgModel, ProjectModel, RoleRecord,
    TEMPLATE_TEXT,
};
use crate::random_history::{KEYS, ORGS};

/// The descriptions that the template sets.
const TEMPLATE: [&str; 4] = [
    "Runs the organization.",
    "Administers the organization for its owners.",
    "Works in the organization.",
    "The default plan of organizations.",
];

/// Converts a state in which only `users` can be members.
pub fn model_of(state: &State, users: &[&str]) -> Model {
    let projects = state.projects().map(|project| {
        assert!(state.project(&project.record.key).is_some_and(|found| found.id == project.id));
        (project.record.key.to_string(), space(project, users))
    });
    let retired = KEYS.iter().filter(|key| state.was_deleted(&ProjectKey::stored(**key)));
    Model { projects: projects.collect(), retired: retired.map(|key| key.to_string()).collect() }
}

pub fn answer_of(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::ApiKey(_) => panic!("random histories have no keys"),
        Outcome::Configuration(applied) => {
            let shown = |object: &Object| format!("{:?} {}", object.noun, object.name);
            let step = |step: &Step| match step.object.noun {
                Noun::Project => format!("{:?} Project", step.action),
                _ => format!("{:?} {}", step.action, shown(&step.object)),
            };
            Answer::Configuration {
                steps: applied.steps.iter().map(step).collect(),
                unmanaged: applied.unmanaged.iter().map(shown).collect(),
            }
        }
        Outcome::Project(project) => Answer::Project(project.record.key.to_string()),
        Outcome::Permission(created) => Answer::Permission(created.name.to_string()),
        Outcome::RolesCreated(created) => Answer::RolesCreated(*created),
        Outcome::PermissionsCreated(created) => Answer::PermissionsCreated(*created),
        Outcome::Role(project, id) => Answer::Role(role_name(project, *id)),
        Outcome::RolesReordered(_) => Answer::RolesReordered,
        Outcome::RoleMapping(project, id) => Answer::RoleMapping(mapping_name(project, *id)),
        Outcome::Org(project, record) => Answer::Org {
            org: record.profile.org_id.to_string(),
            display_name: record.profile.display_name.to_string(),
            metadata: record.profile.metadata.to_string(),
            mapping: mapping_name(project, record.role_mapping),
        },
        Outcome::Subscription { org_id, role_mapping } => {
            Answer::Subscription { org: org_id.to_string(), mapping: role_mapping.to_string() }
        }
        Outcome::OrgsSubscribed { moved, unchanged } => Answer::OrgsSubscribed { moved: *moved, unchanged: *unchanged },
        Outcome::Member(member) => {
            let fallback_role =
                |it: &MemberRole| it.fallback_role.as_ref().map(|(role, state)| (role.to_string(), *state));
            let shown = member
                .roles
                .iter()
                .map(|it| (it.role.to_string(), it.expire_time, it.state, it.origin, fallback_role(it)));
            let (org, user) = (member.org_id.to_string(), member.user_id.to_string());
            Answer::Member { org, user, roles: shown.collect(), origin: member.origin }
        }
        Outcome::Removed => Answer::Removed,
        Outcome::OrgDomains(shown) => Answer::Domains(domains(shown)),
        Outcome::Provisioned(member, skipped) => match answer_of(&Outcome::Member(member.clone())) {
            Answer::Member { user, roles, origin, .. } => {
                let skipped = skipped.iter().map(ToString::to_string).collect();
                Answer::Provisioned { user, roles, origin, skipped }
            }
            _ => unreachable!("a member is answered with a member"),
        },
        Outcome::User(user, block) => {
            Answer::User { user: user.to_string(), blocked: block.map(|block| block.block_time) }
        }
        Outcome::Tally(tally) => {
            Answer::Tally { added: tally.added, set: tally.set, removed: tally.removed, unchanged: tally.unchanged }
        }
        Outcome::Deleted(count) => Answer::Deleted(*count),
        Outcome::Invitation(shown) => Answer::Invitation {
            email: shown.email.to_string(),
            invitation: InvitationModel {
                roles: shown.roles.iter().map(ToString::to_string).collect(),
                inviter: shown.inviter.as_ref().map(ToString::to_string),
                created: shown.create_time,
                expire_time: shown.expire_time,
            },
        },
        Outcome::Invitations(results) => {
            let result = |result: &Result<_, Refusal>| result.as_ref().map(|_| ()).map_err(Refusal::reason);
            Answer::Invitations(results.iter().map(result).collect())
        }
        Outcome::Purged(_) => Answer::Purged,
    }
}

pub fn check(state: &State, project: &str, org: &str, user: &str, question: Question<'_>, now: Time) -> Decision {
    let project = state.project_keyed(project).expect("the project exists");
    project.check(&Ask { org_id: org, user_id: user, question }, now)
}

fn space(project: &Project, users: &[&str]) -> ProjectModel {
    let record = &project.record;
    let permissions = project.permissions.entries().map(|(id, permission)| {
        for name in permission.aliases.iter().chain([&permission.name]) {
            assert_eq!(project.permission_named(name.as_str()), Some(id));
        }
        let built_in = permission.built_in;
        let description = described(&permission.description);
        let aliases = permission.aliases.iter().map(ToString::to_string).collect();
        (
            permission.name.to_string(),
            Details { aliases, ..Details::new(description, built_in, permission.create_time) },
        )
    });
    let roles = project.role_order.iter().map(|&id| {
        let role = project.roles.get(id).expect("the order lists existing roles");
        for name in role.aliases.iter().chain([&role.name]) {
            assert_eq!(project.role_named(name.as_str()), Some(id));
        }
        let aliases = role.aliases.iter().map(ToString::to_string).collect();
        let details = Details::new(described(&role.description), role.internal, role.create_time);
        (role.name.to_string(), Details { aliases, ..details })
    });
    let mut orgs = BTreeMap::new();
    project.for_each_org(|org| {
        let profile = &org.record.profile;
        assert!(org.record.lifecycle.exists(), "a deleted org is listed");
        assert!(project.org(profile.org_id.as_str()).is_some_and(|found| found.no == org.no));
        assert!(project.org_numbered(org.no).is_some_and(|found| found.no == org.no));
        let mut members = BTreeMap::new();
        let mut without_roles = 0;
        for user in users {
            let Some(membership) = project.membership(org, &UserId::stored(*user)) else { continue };
            let set = project.role_sets.get(membership.role_set).expect("the role set exists");
            // R4: a user left without a role is not a member, purged or not.
            if set.roles.is_empty() {
                assert!(
                    project.role_sets_being_purged().contains(&membership.role_set),
                    "the membership is not to be purged"
                );
                without_roles += 1;
                continue;
            }
            let expire_time = |role: RoleId| {
                membership
                    .temporary
                    .iter()
                    .find(|temporary| temporary.role == role)
                    .map(|temporary| temporary.expire_time)
            };
            assert!(
                membership.temporary.iter().all(|temporary| set.contains(temporary.role)),
                "an expiry without its role"
            );
            let given = |&role: &RoleId| {
                let given = RoleRecord { expire_time: expire_time(role), origin: membership.origin_of(role, set) };
                (role_name(project, role), given)
            };
            let roles = set.roles.iter().map(given).collect();
            let fallbacks = fallbacks(project, org, set);
            members.insert(user.to_string(), Member { roles, origin: membership.latest_origin(set), fallbacks });
        }
        assert_eq!(members.len() + without_roles, org.memberships_len(), "a member is not in `users`");
        let org_model = OrgModel {
            display_name: profile.display_name.to_string(),
            metadata: profile.metadata.to_string(),
            created: profile.create_time,
            mapping: mapping_name(project, org.record.role_mapping),
            members,
            domains: domains(&project.shown_domains(org)),
            invitations: invitations(project, org),
            removed: users
                .iter()
                .filter(|user| project.was_removed(org, &UserId::stored(**user)))
                .map(ToString::to_string)
                .collect(),
        };
        assert!(orgs.insert(profile.org_id.to_string(), org_model).is_none());
    });
    assert_eq!(orgs.len(), project.orgs_len());
    // A migrated set belongs only to its present members and is never given out again.
    let reusable = project.role_sets.entries().filter(|(_, set)| !set.migrated);
    let role_sets = reusable.map(|(id, set)| {
        assert_eq!(project.role_set_of(set), Some(id), "pair sets of the same roles");
        set.roles.iter().map(|&role| role_name(project, role)).collect::<BTreeSet<_>>()
    });
    let project_model = ProjectModel {
        display_name: record.display_name.to_string(),
        environment: record.environment,
        structure: record.role_structure,
        created: record.create_time,
        default_role: role_name(project, record.default_role),
        default_owner_role: role_name(project, record.default_owner_role),
        default_mapping: mapping_name(project, record.default_role_mapping),
        permissions: permissions.collect(),
        roles: roles.collect(),
        manages: managed(project),
        mappings: mappings(project),
        retired: ORGS.iter().filter(|id| project.was_deleted(id)).map(ToString::to_string).collect(),
        blocked: users.iter().filter_map(|user| Some((user.to_string(), project.block_of(user)?.block_time))).collect(),
        role_sets: Some(role_sets.collect()),
        orgs,
    };
    assert_eq!(project_model.roles.len(), project.roles.len());
    assert_eq!(project_model.grant_count(), project.grants, "the count of grants");
    for (name, mapping) in &project_model.mappings {
        let subscribers = project_model.orgs.values().filter(|org_model| org_model.mapping == *name).count();
        let counted = project.role_mapping_named(name).and_then(|id| project.role_mappings.get(id));
        let counted = counted.map(|mapping| mapping.subscribers as usize);
        assert_eq!(counted, Some(subscribers), "the subscribers of {name}");
        assert!(!mapping.disabled.contains(&project_model.default_role), "M4");
        assert!(!mapping.disabled.contains(&project_model.default_owner_role), "M4");
    }
    project_model
}

fn invitations(project: &Project, org: &Org) -> BTreeMap<String, InvitationModel> {
    let mut found = BTreeMap::new();
    for invitation in org.invitations() {
        let record = &invitation.record;
        assert_eq!(project.pending_invitation(org, invitation.id), Some(invitation));
        assert_eq!(project.invitation_of(org, &record.email), Some(invitation));
        let model = InvitationModel {
            roles: project.invited_roles(record).iter().map(|&role| role_name(project, role)).collect(),
            inviter: record.inviter.as_ref().map(ToString::to_string),
            created: record.create_time,
            expire_time: record.expire_time,
        };
        assert!(!model.roles.is_empty(), "an invitation to no role");
        assert!(found.insert(record.email.to_string(), model).is_none(), "two invitations of one address");
    }
    assert_eq!(found.len(), org.invitations_len());
    found
}

fn domains(shown: &[ShownDomain]) -> BTreeMap<String, DomainModel> {
    let rule = |shown: &ShownDomain| DomainModel {
        roles: shown.roles.iter().map(ToString::to_string).collect(),
        verified: shown.verified,
        apply_to_existing: shown.apply_to_existing,
    };
    shown.iter().map(|shown| (shown.domain.to_string(), rule(shown))).collect()
}

/// Returns the fallback roles in the chains of a role set.
fn fallbacks(project: &Project, org: &Org, set: &RoleSet) -> BTreeMap<String, String> {
    let all = org.fallbacks();
    assert!(all.windows(2).all(|pair| pair[0].role < pair[1].role), "fallback roles out of order");
    assert!(org.fallbacks.as_ref().is_none_or(|all| !all.is_empty()), "an empty list of fallback roles is kept");
    let enabled = |role| project.role_mappings.get(org.record.role_mapping).is_some_and(|it| it.enabled(role));
    assert!(all.iter().all(|it| !enabled(it.role)), "an enabled role has a fallback role");
    let mut found = BTreeMap::new();
    for &role in &set.roles {
        let mut role = role;
        while let Some(fallback) = all.iter().find(|it| it.role == role) {
            found.insert(role_name(project, role), role_name(project, fallback.fallback_role));
            assert!(found.len() <= all.len(), "a cycle of fallback roles");
            role = fallback.fallback_role;
        }
    }
    found
}

fn managed(project: &Project) -> BTreeMap<String, BTreeSet<String>> {
    let mut managed = BTreeMap::new();
    for (_, role) in project.roles.entries().filter(|(_, role)| !role.manages.is_empty()) {
        assert!(role.manages.windows(2).all(|pair| pair[0] < pair[1]), "managed roles out of order");
        managed.insert(role.name.to_string(), role.manages.iter().map(|&id| role_name(project, id)).collect());
    }
    managed
}

fn mappings(project: &Project) -> BTreeMap<String, Mapping> {
    let mut mappings = BTreeMap::new();
    for (id, mapping) in project.role_mappings.entries() {
        let record = &mapping.record;
        for name in record.aliases.iter().chain([&record.name]) {
            assert_eq!(project.role_mapping_named(name.as_str()), Some(id));
        }
        let disabled = project.roles.entries().filter(|(role, _)| !mapping.enabled(*role));
        let rows = mapping.rows.entries::<RoleId>().map(|(role, row)| {
            let names =
                row.iter().map(|id| project.permissions.get(id).expect("the permission exists").name.to_string());
            (role_name(project, role), names.collect::<BTreeSet<_>>())
        });
        let details = Details::new(described(&record.description), false, record.create_time);
        let read = Mapping {
            details: Details { aliases: record.aliases.iter().map(ToString::to_string).collect(), ..details },
            disabled: disabled.map(|(_, role)| role.name.to_string()).collect(),
            grants: rows.collect(),
        };
        assert!(read.grants.values().all(|row| !row.is_empty()), "an empty row is kept");
        assert_eq!(read.disabled.len(), record.disabled_roles.len());
        mappings.insert(record.name.to_string(), read);
    }
    mappings
}

/// Returns the description, or `TEMPLATE_TEXT` if the template set it.
pub fn described(description: &str) -> &str {
    let built_in = BUILT_INS.iter().any(|(_, text)| *text == description);
    if built_in || TEMPLATE.contains(&description) { TEMPLATE_TEXT } else { description }
}

fn role_name(project: &Project, id: RoleId) -> String {
    project.roles.get(id).expect("the role exists").name.to_string()
}

fn mapping_name(project: &Project, id: RoleMappingId) -> String {
    project.role_mappings.get(id).expect("the mapping exists").record.name.to_string()
}
