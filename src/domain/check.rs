//! Checks: may this user do that in this org? (K1, K2)

use super::Time;
use super::hash::TextHash;
use super::id::PermissionId;
use super::membership::Standing;
use super::org::Org;
use super::project::Project;

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub org_id: &'a str,
    pub user_id: &'a str,
    pub question: Question<'a>,
}

/// What is asked about the user in the org.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    Permission(&'a str),
}

/// The answer to a check (K2). The numbers are those of `rolecall.v1.Decision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Decision {
    Allowed = 1,
    NotAMember = 2,
    MissingPermission = 3,
    RoleDisabled = 4,
    UserBlocked = 5,
    RoleExpired = 6,
    OrgNotFound = 7,
    UnknownPermission = 8,
    UnknownRole = 9,
}

impl Project {
    /// Answers one check.
    pub fn check(&self, ask: &Ask<'_>, now: Time) -> Decision {
        let Question::Permission(permission) = ask.question;
        let org = self.org(ask.org_id);
        let permission = self.permission_named(permission);
        self.decide_check(org.map(AsRef::as_ref), permission, self.hash_key.text(ask.user_id), now)
    }

    /// Answers many checks from this one state, in their order.
    pub fn check_batch<'a>(&self, asks: impl Iterator<Item = Ask<'a>>, now: Time, out: &mut Vec<Decision>) {
        // Rows of one batch often repeat the org or the permission of the row before.
        let mut last_org: (&str, Option<&Org>) = ("", None);
        let mut last_permission: (&str, Option<PermissionId>) = ("", None);
        for ask in asks {
            if last_org.0 != ask.org_id {
                last_org = (ask.org_id, self.org(ask.org_id).map(AsRef::as_ref));
            }
            let Question::Permission(permission) = ask.question;
            if last_permission.0 != permission {
                last_permission = (permission, self.permission_named(permission));
            }
            out.push(self.decide_check(last_org.1, last_permission.1, self.hash_key.text(ask.user_id), now));
        }
    }

    /// The precedence of K2: the first that fits is the answer.
    #[inline]
    fn decide_check(&self, org: Option<&Org>, permission: Option<PermissionId>, user: TextHash, now: Time) -> Decision {
        let Some(org) = org else { return Decision::OrgNotFound };
        let Some(permission) = permission else { return Decision::UnknownPermission };
        let Some(slot) = org.members.get(user) else { return Decision::NotAMember };
        let set = slot.role_set().and_then(|id| self.role_sets.get(id));
        let mapping = self.role_mappings.get(org.record.role_mapping);
        let (Some(set), Some(mapping)) = (set, mapping) else { return Decision::MissingPermission };
        let grants = |role| mapping.row(role).is_some_and(|row| row.contains(permission));

        let timed = org.timed_roles(user, *slot);
        if timed.is_empty() && set.roles.iter().any(|&role| grants(role) && mapping.enabled(role)) {
            return Decision::Allowed;
        }
        let would =
            |wanted| self.standings(org, set, timed, now).any(|(role, standing)| standing == wanted && grants(role));
        if !timed.is_empty() && would(Standing::Live) {
            Decision::Allowed
        } else if would(Standing::Suspended) {
            Decision::RoleDisabled
        } else if would(Standing::Ended) {
            Decision::RoleExpired
        } else {
            Decision::MissingPermission
        }
    }
}
