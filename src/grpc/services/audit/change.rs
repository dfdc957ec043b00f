//! Shows changes: what is different, with names instead of numbers.

use std::sync::Arc;

use super::names::{Names, When};
use crate::domain::model::api_key::ApiKey;
use crate::domain::model::fallback::{Fallback, Fallbacks};
use crate::domain::model::id::{RoleId, RoleSetId};
use crate::domain::model::invitation::{InvitationRecord, InvitationState, Stage};
use crate::domain::model::membership::{MembershipRecord, Origin};
use crate::domain::model::org::OrgRecord;
use crate::domain::model::org_domain::{OrgDomain, OrgDomains};
use crate::domain::model::permission::{Permission, PermissionSet};
use crate::domain::model::project::{Environment, ProjectRecord, RoleStructure};
use crate::domain::model::role::Role;
use crate::domain::model::role_mapping::RoleMappingRecord;
use crate::domain::{Change, Edit, Time};
use crate::limits::EVENT_VALUES_MAX;
use crate::wire::resource::{count, texts};
use crate::wire::{EventAction, EventChange, EventField, timestamp};

const HIDDEN: &str = "(hidden)";

/// How to show the changes of a commit.
pub struct Shown<'a> {
    pub names: &'a Names<'a>,
    /// The commit.
    pub when: When,
    /// Whether the caller may see e-mail addresses and domains.
    pub emails: bool,
}

/// The fields of one side of a change: names and values.
type Values = Vec<(&'static str, Vec<String>)>;

impl Shown<'_> {
    pub fn change(&self, change: &Change) -> EventChange {
        let (names, when) = (self.names, self.when);
        let shown = match change {
            Change::Project(edit) => {
                self.differing("project", &existing(edit, |it| it.lifecycle.exists()), |it, _| self.project(it))
            }
            Change::Permission(edit) => self.differing("permission", edit, |it, _| permission(it)),
            Change::Role(edit) => self.differing("role", edit, |it, _| self.role(it)),
            // All members who had exactly the roles of the set.
            Change::RoleSet(edit) => {
                self.differing("members", edit, |it, _| vec![("roles", names.roles(when, &it.roles))])
            }
            Change::RoleMapping(edit) => self.differing("role mapping", edit, |it, _| self.role_mapping(it)),
            Change::Grants(edit) => {
                // The change has only the difference of the row.
                let permissions = |side: &Option<PermissionSet>| {
                    let ids = side.iter().flat_map(PermissionSet::iter);
                    ids.map(|id| names.permission(when, id)).collect::<Vec<_>>()
                };
                let lost = field("permissions_lost", permissions(&edit.before), Vec::new());
                let gained = field("permissions_gained", Vec::new(), permissions(&edit.after));
                EventChange {
                    role_mapping: names.role_mapping(when, edit.key.role_mapping),
                    name: names.role(when, edit.key.role),
                    ..changed("grants", lost.into_iter().chain(gained))
                }
            }
            Change::Org(edit) => {
                self.differing("org", &existing(edit, |it| it.lifecycle.exists()), |it, _| self.org(it))
            }
            Change::Membership(edit) => self.differing("membership", edit, |it, at| self.membership(it, at)),
            Change::Subscription(edit) => self
                .differing("subscription", edit, |&it, _| vec![("role_mapping", vec![names.role_mapping(when, it)])]),
            Change::Fallbacks(edit) => self.differing("fallback roles", edit, |it, _| self.fallbacks(it)),
            Change::Remap(edit) => {
                let roles = |side: &Option<Arc<[RoleSetId]>>, at: When| -> Vec<Vec<String>> {
                    let sets = side.iter().flat_map(|sets| sets.iter());
                    sets.map(|&set| self.roles_of_set(set, at)).collect()
                };
                let pairs = roles(&edit.before, self.before()).into_iter().zip(roles(&edit.after, when));
                changed("members", pairs.filter_map(|(before, after)| field("roles", before, after)))
            }
            Change::Invitation(edit) => EventChange {
                name: edit.key.id.to_string(),
                ..self.differing("invitation", edit, |it, at| self.invitation(it, at))
            },
            Change::ApiKey(edit) => {
                EventChange { name: edit.key.id.to_string(), ..self.differing("API key", edit, |key, _| api_key(key)) }
            }
            Change::Block(edit) => self.differing("block", edit, |_, _| Vec::new()),
            Change::OrgDomains(edit) => self.differing("domains", edit, |it, at| self.domains(it, at)),
            Change::Removal(edit) => self.differing("removal", edit, |(), _| Vec::new()),
        };
        EventChange {
            org_id: change.org().map_or_else(String::new, |no| names.org(when, no)),
            user_id: change.user().map_or_else(String::new, ToString::to_string),
            ..shown
        }
    }

    /// Shows the new order of the roles whose ranks these changes alter. `None` if they alter no order.
    pub fn role_order(&self, changes: &[Change]) -> Option<EventChange> {
        let ranks = |change: &Change| match change {
            Change::Role(Edit { key, before: Some(before), after: Some(after) }) if before.rank != after.rank => {
                Some((before.rank, after.rank, key.id))
            }
            _ => None,
        };
        let mut moved: Vec<(u64, u64, RoleId)> = changes.iter().filter_map(ranks).collect();
        let ids = |moved: &[(u64, u64, RoleId)]| moved.iter().map(|&(_, _, id)| id).collect::<Vec<_>>();
        moved.sort_unstable_by_key(|&(before, _, _)| before);
        let before = ids(&moved);
        moved.sort_unstable_by_key(|&(_, after, _)| after);
        let after = ids(&moved);
        let order = field("order", self.names.roles(self.when, &before), self.names.roles(self.when, &after));
        (before != after).then(|| changed("role order", order))
    }

    /// Shows the fields in which the two sides differ. `values` returns the same fields for every value. A renamed object has
    /// its new name, and the field `name`.
    fn differing<K, V>(&self, noun: &str, edit: &Edit<K, V>, values: impl Fn(&V, When) -> Values) -> EventChange {
        let before = edit.before.as_ref().map(|it| values(it, self.before()));
        let after = edit.after.as_ref().map(|it| values(it, self.when));
        let action = match (&before, &after) {
            (None, _) => EventAction::Created,
            (_, None) => EventAction::Deleted,
            _ => EventAction::Changed,
        };
        let value = |side: &Option<Values>, at: usize| match side.as_ref().and_then(|values| values.get(at)) {
            Some((_, values)) => values.clone(),
            None => Vec::new(),
        };
        let (mut name, mut fields) = (String::new(), Vec::new());
        for (at, (field_name, _)) in after.as_ref().or(before.as_ref()).into_iter().flatten().enumerate() {
            let (before, after) = (value(&before, at), value(&after, at));
            if *field_name == "name" {
                name = after.iter().chain(&before).next().cloned().unwrap_or_default();
            }
            // What is created or deleted is named already, and a flag that is not set says nothing.
            let is_plain = |value: &String| *field_name != "name" && value != "false";
            if action == EventAction::Changed || before.iter().chain(&after).any(is_plain) {
                fields.extend(field(field_name, before, after));
            }
        }
        EventChange { noun: noun.into(), action: action.into(), name, fields, ..EventChange::default() }
    }

    /// Returns when the values before a change were read: the commit before.
    fn before(&self) -> When {
        When { revision: self.when.revision.saturating_sub(1), ..self.when }
    }

    fn project(&self, record: &ProjectRecord) -> Values {
        let (names, when) = (self.names, self.when);
        vec![
            ("name", vec![record.key.to_string()]),
            ("display_name", text(&record.display_name)),
            ("environment", vec![environment(record.environment).into()]),
            ("role_structure", vec![role_structure(record.role_structure).into()]),
            ("default_role", vec![names.role(when, record.default_role)]),
            ("default_owner_role", vec![names.role(when, record.default_owner_role)]),
            ("default_role_mapping", vec![names.role_mapping(when, record.default_role_mapping)]),
        ]
    }

    fn role(&self, role: &Role) -> Values {
        vec![
            ("name", vec![role.name.to_string()]),
            ("description", text(&role.description)),
            ("internal", vec![role.internal.to_string()]),
            ("manages", self.names.roles(self.when, &role.manages)),
            ("aliases", texts(&role.aliases)),
        ]
    }

    fn role_mapping(&self, record: &RoleMappingRecord) -> Values {
        vec![
            ("name", vec![record.name.to_string()]),
            ("description", text(&record.description)),
            ("disabled_roles", self.names.roles(self.when, &record.disabled_roles)),
            ("aliases", texts(&record.aliases)),
        ]
    }

    fn org(&self, record: &OrgRecord) -> Values {
        vec![
            ("display_name", text(&record.profile.display_name)),
            ("metadata", text(&record.profile.metadata)),
            ("role_mapping", vec![self.names.role_mapping(self.when, record.role_mapping)]),
        ]
    }

    fn membership(&self, record: &MembershipRecord, at: When) -> Values {
        let role = |id: RoleId| {
            let name = self.names.role(self.when, id);
            match record.temporary.iter().find(|temporary| temporary.role == id) {
                Some(temporary) => format!("{name} until {}", timestamp(temporary.expire_time)),
                None => name,
            }
        };
        let roles = self.names.role_set(at, record.role_set).into_iter().map(role).collect();
        vec![("roles", roles), ("origin", vec![origin(record.origin).into()])]
    }

    fn roles_of_set(&self, set: RoleSetId, at: When) -> Vec<String> {
        self.names.roles(self.when, &self.names.role_set(at, set))
    }

    fn fallbacks(&self, fallbacks: &Fallbacks) -> Values {
        let name = |id| self.names.role(self.when, id);
        let shown = |it: &Fallback| format!("{} for {}", name(it.fallback_role), name(it.role));
        vec![("fallback_roles", fallbacks.iter().map(shown).collect())]
    }

    fn invitation(&self, record: &InvitationRecord, at: When) -> Values {
        let (roles, settled_at, user) = match &record.stage {
            Stage::Pending { role_set } => (self.roles_of_set(*role_set, at), None, None),
            Stage::Settled(settled) => {
                (self.names.roles(self.when, &settled.roles), Some(settled.at), settled.user.as_ref())
            }
        };
        let state = match record.state(settled_at.unwrap_or(record.create_time)) {
            InvitationState::Pending => "PENDING",
            InvitationState::Accepted => "ACCEPTED",
            InvitationState::Revoked => "REVOKED",
            InvitationState::Expired => "EXPIRED",
        };
        vec![
            ("email", vec![self.email(record.email.as_str())]),
            ("roles", roles),
            ("inviter_user_id", record.inviter.iter().map(ToString::to_string).collect()),
            ("expire_time", vec![timestamp(record.expire_time).to_string()]),
            ("state", vec![state.into()]),
            ("accepted_user_id", user.map(ToString::to_string).into_iter().collect()),
        ]
    }

    fn domains(&self, domains: &OrgDomains, at: When) -> Values {
        let shown = |it: &OrgDomain| {
            let roles = it.role_set.map_or_else(|| "default role".into(), |set| self.roles_of_set(set, at).join(", "));
            let verified = if it.verified { "" } else { ", not verified" };
            let existing = if it.apply_to_existing { ", also for existing members" } else { "" };
            format!("{}: {roles}{existing}{verified}", self.email(it.domain.as_str()))
        };
        vec![("domains", domains.iter().map(shown).collect())]
    }

    fn email(&self, text: &str) -> String {
        if self.emails { text.into() } else { HIDDEN.into() }
    }
}

/// Shows a key without its hash.
fn api_key(key: &ApiKey) -> Values {
    let time = |time: Option<Time>| time.map(|time| timestamp(time).to_string()).into_iter().collect();
    let scope = [
        (key.scope.checks_only, "checks only"),
        (key.scope.sidecar_only, "sidecar only"),
        (key.scope.acting_user_required, "acting user required"),
        (key.scope.project.is_some(), "one project"),
        (key.scope.org.is_some(), "one org"),
        (key.scope.no_activity, "no activity"),
    ];
    let scope = scope.into_iter().filter(|(set, _)| *set).map(|(_, limit)| limit.to_string()).collect();
    vec![
        ("display_name", text(&key.display_name)),
        ("operator", vec![key.operator.to_string()]),
        ("environment", vec![environment(key.environment).into()]),
        ("scope", scope),
        ("expire_time", time(key.expire_time)),
        ("archive_time", time(key.archive_time)),
    ]
}

fn permission(permission: &Permission) -> Values {
    vec![
        ("name", vec![permission.name.to_string()]),
        ("description", text(&permission.description)),
        ("aliases", texts(&permission.aliases)),
    ]
}

fn changed(noun: &str, fields: impl IntoIterator<Item = EventField>) -> EventChange {
    let action = EventAction::Changed.into();
    EventChange { noun: noun.into(), action, fields: fields.into_iter().collect(), ..EventChange::default() }
}

/// Returns a field. `None` if it does not differ.
fn field(name: &str, mut before: Vec<String>, mut after: Vec<String>) -> Option<EventField> {
    if before == after {
        return None;
    }
    let more = |values: &[String]| count(values.len().saturating_sub(EVENT_VALUES_MAX) as u64);
    let (before_more, after_more) = (more(&before), more(&after));
    before.truncate(EVENT_VALUES_MAX);
    after.truncate(EVENT_VALUES_MAX);
    Some(EventField { name: name.into(), before, after, before_more, after_more })
}

/// Returns the edit with only the sides that exist: what is deleted keeps its record.
fn existing<K: Clone, V: Clone>(edit: &Edit<K, V>, exists: impl Fn(&V) -> bool) -> Edit<K, V> {
    let side = |side: &Option<V>| side.clone().filter(&exists);
    Edit { key: edit.key.clone(), before: side(&edit.before), after: side(&edit.after) }
}

fn text(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { vec![text.into()] }
}

fn environment(environment: Environment) -> &'static str {
    match environment {
        Environment::Test => "TEST",
        Environment::Live => "LIVE",
    }
}

fn role_structure(structure: RoleStructure) -> &'static str {
    match structure {
        RoleStructure::SingleRole => "SINGLE_ROLE",
        RoleStructure::MultiRole => "MULTI_ROLE",
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Direct => "DIRECT",
        Origin::Creator => "CREATOR",
        Origin::Invitation => "INVITATION",
        Origin::Domain => "DOMAIN",
        Origin::Migration => "MIGRATION",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Scoped;
    use crate::domain::State;
    use crate::domain::collections::hash::HashKey;
    use crate::domain::collections::numbered::Numbered;
    use crate::domain::model::email::{EmailAddress, EmailDomain};
    use crate::domain::model::id::{OrgNo, ProjectId};
    use crate::domain::model::invitation::InvitationId;
    use crate::domain::state::change::InvitationKey;

    fn number<I: Numbered>() -> I {
        I::from_number(std::num::NonZeroU32::MIN)
    }

    #[test]
    fn a2_addresses_and_domains_are_hidden_from_a_caller_who_may_not_see_them() {
        let (project, org): (ProjectId, OrgNo) = (number(), number());
        let invited = InvitationRecord {
            email: EmailAddress::stored("bea@acme.example"),
            inviter: None,
            create_time: Time(1),
            expire_time: Time(9),
            stage: Stage::Pending { role_set: number() },
        };
        let rule = OrgDomain {
            domain: EmailDomain::stored("acme.example"),
            role_set: None,
            verified: false,
            apply_to_existing: true,
        };
        let key = InvitationKey { project, org, id: InvitationId(7) };
        let changes = [
            Change::Invitation(Edit { key, before: None, after: Some(invited) }),
            Change::OrgDomains(Edit { key: Scoped { project, id: org }, before: None, after: Some([rule].into()) }),
        ];
        let state = State::new(HashKey::new([1; 16]));
        let names = Names::new(&state);
        for emails in [true, false] {
            let shown = Shown { names: &names, when: When { project, revision: 7 }, emails };
            for change in &changes {
                let text = format!("{:?}", shown.change(change));
                assert_eq!(text.contains("acme.example"), emails, "{text}");
                assert_eq!(text.contains(HIDDEN), !emails, "{text}");
            }
        }
    }

    #[test]
    fn long_lists_are_cut_and_counted() {
        let values = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
        let cut = field("permissions_gained", values(3), values(EVENT_VALUES_MAX + 7)).unwrap();
        assert_eq!((cut.before.len(), cut.before_more), (3, 0));
        assert_eq!((cut.after.len(), cut.after_more), (EVENT_VALUES_MAX, 7));
        assert_eq!(field("roles", values(3), values(3)), None);
    }
}
