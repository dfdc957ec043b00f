//! The impact of a write, as JSON and as people read it: a sentence, a table of the roles, a table of the members.

use comfy_table::{Cell, CellAlignment, Color};
use serde::Serialize;

use super::table::{plain, table, text};
use crate::wire;

/// How many things of a kind are named before the rest is only counted.
const NAMES_MAX: usize = 3;

/// `rolecall.v1.Impact`, under the same names.
#[derive(Serialize)]
pub struct Impact {
    pub digest: String,
    pub orgs: i32,
    pub members: i32,
    pub members_losing_at_least: i32,
    pub roles: Vec<RoleImpact>,
    pub grants_gained: Listed<GrantImpact>,
    pub grants_lost: Listed<GrantImpact>,
    pub at_least_lost: Listed<RolePair>,
    pub manages_lost: Listed<RolePair>,
    pub orgs_left_ownerless: Listed<String>,
    pub sample: Vec<MemberImpact>,
}

#[derive(Serialize)]
pub struct RoleImpact {
    pub role: String,
    pub given: i32,
    pub removed: i32,
    pub suspended: i32,
    pub reactivated: i32,
}

#[derive(Serialize)]
pub struct GrantImpact {
    pub role_mapping: String,
    pub role: String,
    pub permission: String,
}

#[derive(Serialize)]
pub struct RolePair {
    pub role: String,
    pub other: String,
}

/// How many there are, and the first of them.
#[derive(Serialize)]
pub struct Listed<T> {
    pub total: i32,
    pub first: Vec<T>,
}

#[derive(Serialize)]
pub struct MemberImpact {
    pub org_id: String,
    pub user_id: String,
    pub roles_given: Vec<String>,
    pub roles_removed: Vec<String>,
    pub roles_suspended: Vec<String>,
    pub roles_reactivated: Vec<String>,
    pub permissions_gained: Listed<String>,
    pub permissions_lost: Listed<String>,
}

impl Impact {
    /// `1 member: Admin is suspended for 1, Member is given to 1`.
    pub fn sentence(&self) -> String {
        let members = match self.members {
            0 => return "no member".into(),
            1 => "1 member".into(),
            several => format!("{several} members"),
        };
        let mut parts = Vec::new();
        for (verb, count) in KINDS {
            let of_kind = self.roles.iter().map(|role| (plain(&role.role), count(role)));
            parts.extend(of_kind.filter(|(_, count)| *count > 0).map(|(role, count)| format!("{role} {verb} {count}")));
        }
        let more = parts.len().saturating_sub(NAMES_MAX);
        parts.truncate(NAMES_MAX);
        if more > 0 {
            parts.push(format!("and {more} more changes of roles"));
        }
        match parts.is_empty() {
            true => format!("{members}: nobody's roles change, but what they grant does"),
            false => format!("{members}: {}", parts.join(", ")),
        }
    }

    /// The tables, each with an empty line before it; empty where nothing becomes of any member.
    pub fn tables(&self) -> String {
        let mut shown = String::new();
        if !self.roles.is_empty() {
            shown.push_str(&format!("\n{}", text(self.table_of_roles())));
        }
        if !self.sample.is_empty() {
            shown.push_str(&format!("\n{}", text(self.table_of_members())));
            let more = self.members - self.sample.len() as i32;
            if more > 0 {
                shown.push_str(&format!("and {more} more members\n"));
            }
        }
        if self.members_losing_at_least > 0 {
            let members = self.members_losing_at_least;
            shown.push_str(&format!("\nMembers for whom a check for \"at least\" some role turns false: {members}\n"));
        }
        shown
    }

    fn table_of_roles(&self) -> comfy_table::Table {
        let mut rows = table(["ROLE", "SUSPENDED", "LOST", "GIVEN", "BACK"].map(String::from));
        let cell = |count: i32, colour: Color| {
            let cell = Cell::new(if count == 0 { String::new() } else { count.to_string() });
            cell.set_alignment(CellAlignment::Right).fg(colour)
        };
        for role in &self.roles {
            rows.add_row([
                Cell::new(plain(&role.role)),
                cell(role.suspended, Color::Yellow),
                cell(role.removed, Color::Red),
                cell(role.given, Color::Green),
                cell(role.reactivated, Color::Green),
            ]);
        }
        rows
    }

    fn table_of_members(&self) -> comfy_table::Table {
        let headings = ["USER", "ROLES", "PERMISSIONS LOST", "PERMISSIONS GAINED"];
        let mut rows = table(headings.map(String::from));
        // Those who lose a role stand first, then those whose roles come to grant less.
        let mut members: Vec<&MemberImpact> = self.sample.iter().collect();
        members.sort_by_key(|member| !member.loses_a_role());
        for member in members {
            rows.add_row([
                Cell::new(plain(&member.user_id)),
                Cell::new(member.becomes()),
                Cell::new(member.permissions_lost.names()).fg(Color::Red),
                Cell::new(member.permissions_gained.names()).fg(Color::Green),
            ]);
        }
        rows
    }
}

/// What can become of a role, in the order in which it is told.
type Kind = (&'static str, fn(&RoleImpact) -> i32);

const KINDS: [Kind; 4] = [
    ("is suspended for", |role| role.suspended),
    ("is lost by", |role| role.removed),
    ("is given to", |role| role.given),
    ("works again for", |role| role.reactivated),
];

impl MemberImpact {
    fn loses_a_role(&self) -> bool {
        !self.roles_suspended.is_empty() || !self.roles_removed.is_empty()
    }

    /// `keeps Admin suspended, gets Member`.
    fn becomes(&self) -> String {
        let said = |roles: &[String], before: &str, after: &str| {
            roles.iter().map(|role| format!("{before} {}{after}", plain(role))).collect::<Vec<_>>()
        };
        [
            said(&self.roles_suspended, "keeps", " suspended"),
            said(&self.roles_removed, "loses", ""),
            said(&self.roles_given, "gets", ""),
            said(&self.roles_reactivated, "has", " back"),
        ]
        .concat()
        .join(", ")
    }
}

impl Listed<String> {
    /// The first few, and how many more there are.
    fn names(&self) -> String {
        let named: Vec<String> = self.first.iter().take(NAMES_MAX).map(|name| plain(name)).collect();
        match self.total - named.len() as i32 {
            more if more > 0 => format!("{} and {more} more", named.join(", ")),
            _ => named.join(", "),
        }
    }
}

impl From<wire::Impact> for Impact {
    fn from(impact: wire::Impact) -> Self {
        Self {
            digest: impact.digest,
            orgs: impact.orgs,
            members: impact.members,
            members_losing_at_least: impact.members_losing_at_least,
            roles: impact.roles.into_iter().map(RoleImpact::from).collect(),
            grants_gained: impact.grants_gained.unwrap_or_default().into(),
            grants_lost: impact.grants_lost.unwrap_or_default().into(),
            at_least_lost: impact.at_least_lost.unwrap_or_default().into(),
            manages_lost: impact.manages_lost.unwrap_or_default().into(),
            orgs_left_ownerless: impact.orgs_left_ownerless.unwrap_or_default().into(),
            sample: impact.sample.into_iter().map(MemberImpact::from).collect(),
        }
    }
}

impl From<wire::RoleImpact> for RoleImpact {
    fn from(role: wire::RoleImpact) -> Self {
        let wire::RoleImpact { role, given, removed, suspended, reactivated } = role;
        Self { role, given, removed, suspended, reactivated }
    }
}

impl From<wire::GrantImpacts> for Listed<GrantImpact> {
    fn from(grants: wire::GrantImpacts) -> Self {
        let grant = |grant: wire::GrantImpact| GrantImpact {
            role_mapping: grant.role_mapping,
            role: grant.role,
            permission: grant.permission,
        };
        Self { total: grants.total, first: grants.first.into_iter().map(grant).collect() }
    }
}

impl From<wire::RolePairs> for Listed<RolePair> {
    fn from(pairs: wire::RolePairs) -> Self {
        let pair = |pair: wire::RolePair| RolePair { role: pair.role, other: pair.other };
        Self { total: pairs.total, first: pairs.first.into_iter().map(pair).collect() }
    }
}

impl From<wire::OrgIds> for Listed<String> {
    fn from(orgs: wire::OrgIds) -> Self {
        Self { total: orgs.total, first: orgs.first }
    }
}

impl From<wire::PermissionNames> for Listed<String> {
    fn from(permissions: wire::PermissionNames) -> Self {
        Self { total: permissions.total, first: permissions.first }
    }
}

impl From<wire::MemberImpact> for MemberImpact {
    fn from(member: wire::MemberImpact) -> Self {
        Self {
            org_id: member.org_id,
            user_id: member.user_id,
            roles_given: member.roles_given,
            roles_removed: member.roles_removed,
            roles_suspended: member.roles_suspended,
            roles_reactivated: member.roles_reactivated,
            permissions_gained: member.permissions_gained.unwrap_or_default().into(),
            permissions_lost: member.permissions_lost.unwrap_or_default().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(role: &str, suspended: i32, given: i32) -> wire::RoleImpact {
        wire::RoleImpact { role: role.into(), suspended, given, ..Default::default() }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn lines(text: &str) -> Vec<String> {
        let plain = anstream::adapter::strip_str(text).to_string();
        plain.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn the_sentence_counts_members_and_says_what_becomes_of_their_roles() {
        let sentence = |members, roles: &[wire::RoleImpact]| {
            Impact::from(wire::Impact { members, roles: roles.to_vec(), ..Default::default() }).sentence()
        };
        assert_eq!(sentence(0, &[]), "no member");
        assert_eq!(sentence(1, &[]), "1 member: nobody's roles change, but what they grant does");
        assert_eq!(
            sentence(2, &[role("Admin", 1, 0), role("Member", 0, 1)]),
            "2 members: Admin is suspended for 1, Member is given to 1"
        );
        let many = [role("A", 1, 0), role("B", 2, 1), role("C", 3, 0), role("D", 4, 0)];
        assert_eq!(
            sentence(9, &many),
            "9 members: A is suspended for 1, B is suspended for 2, C is suspended for 3, and 2 more changes of roles"
        );
    }

    #[test]
    fn members_are_shown_with_what_they_lose_and_how_many_more_there_are() {
        let member = wire::MemberImpact {
            user_id: "bea".into(),
            roles_suspended: names(&["Billing Manager"]),
            roles_given: names(&["Member"]),
            permissions_lost: Some(wire::PermissionNames { total: 9, first: names(&["a", "b", "c", "d", "e"]) }),
            permissions_gained: Some(wire::PermissionNames { total: 1, first: names(&["z"]) }),
            ..Default::default()
        };
        let impact = Impact::from(wire::Impact {
            members: 3,
            members_losing_at_least: 1,
            roles: vec![role("Billing Manager", 1, 0), role("Member", 0, 1)],
            sample: vec![member],
            ..Default::default()
        });
        let shown = impact.tables();
        assert!(shown.contains("\u{1b}[38;5;9ma, b, c and 6 more"), "{shown:?}");
        assert_eq!(
            lines(&shown),
            [
                "",
                "ROLE             SUSPENDED  LOST  GIVEN  BACK",
                "Billing Manager          1",
                "Member                                1",
                "",
                "USER  ROLES                                         PERMISSIONS LOST    PERMISSIONS GAINED",
                "bea   keeps Billing Manager suspended, gets Member  a, b, c and 6 more  z",
                "and 2 more members",
                "",
                "Members for whom a check for \"at least\" some role turns false: 1",
            ]
        );
    }
}
