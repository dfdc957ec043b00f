//! The impact of a write for people: a sentence, a table of the roles, a table of the members.

use comfy_table::{Cell, CellAlignment, Color, Table};

use super::table::{plain, table, text};
use crate::wire::{Impact, MemberImpact, PermissionNames, RoleImpact};

/// Names listed before the rest is only counted.
const NAMES_MAX: usize = 3;

/// Returns `1 member: Admin is suspended for 1, Member is given to 1`. Invitations follow after the roles of members.
pub fn sentence(impact: &Impact) -> String {
    let invitations = match impact.invitations {
        0 => String::new(),
        1 => "; 1 pending invitation".into(),
        several => format!("; {several} pending invitations"),
    };
    let members = match impact.members {
        0 if impact.members_losing_at_least > 0 => return format!("no member's roles or permissions{invitations}"),
        0 => return format!("no member{invitations}"),
        1 => "1 member".into(),
        several => format!("{several} members"),
    };
    let mut parts = Vec::new();
    for (verb, count) in KINDS {
        let of_kind = impact.roles.iter().map(|role| (plain(&role.role), count(role)));
        parts.extend(of_kind.filter(|(_, count)| *count > 0).map(|(role, count)| format!("{role} {verb} {count}")));
    }
    let more = parts.len().saturating_sub(NAMES_MAX);
    parts.truncate(NAMES_MAX);
    if more > 0 {
        parts.push(format!("and {more} more changes of roles"));
    }
    match parts.is_empty() {
        true => format!("{members}: nobody's roles change, but what they grant does{invitations}"),
        false => format!("{members}: {}{invitations}", parts.join(", ")),
    }
}

/// Returns the tables, each after an empty line. Empty if no member is affected.
pub fn tables(impact: &Impact) -> String {
    let mut shown = String::new();
    if !impact.roles.is_empty() {
        shown.push_str(&format!("\n{}", text(table_of_roles(impact))));
    }
    if !impact.sample.is_empty() {
        shown.push_str(&format!("\n{}", text(table_of_members(impact))));
        let more = impact.members - impact.sample.len() as i32;
        if more > 0 {
            shown.push_str(&format!("and {more} more members\n"));
        }
    }
    if impact.members_losing_at_least > 0 {
        let members = impact.members_losing_at_least;
        shown.push_str(&format!("\nMembers for whom a check for \"at least\" some role turns false: {members}\n"));
    }
    if let Some(pairs) = &impact.manages_lost {
        shown.push_str(&format!("\nPairs of roles of which one no longer manages the other: {}\n", pairs.total));
    }
    shown
}

fn table_of_roles(impact: &Impact) -> Table {
    let mut rows = table(["ROLE", "SUSPENDED", "REMOVED", "GIVEN", "REACTIVATED"].map(String::from));
    let cell = |count: i32, colour: Color| {
        let cell = Cell::new(if count == 0 { String::new() } else { count.to_string() });
        cell.set_alignment(CellAlignment::Right).fg(colour)
    };
    for role in &impact.roles {
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

fn table_of_members(impact: &Impact) -> Table {
    let headings = ["USER", "ROLES", "PERMISSIONS LOST", "PERMISSIONS GAINED"];
    let mut rows = table(headings.map(String::from));
    // Members who lose a role come first, then members whose roles grant less.
    let mut members: Vec<&MemberImpact> = impact.sample.iter().collect();
    members.sort_by_key(|member| member.roles_suspended.is_empty() && member.roles_removed.is_empty());
    for member in members {
        rows.add_row([
            Cell::new(plain(&member.user_id)),
            Cell::new(role_changes(member)),
            Cell::new(named(&member.permissions_lost)).fg(Color::Red),
            Cell::new(named(&member.permissions_gained)).fg(Color::Green),
        ]);
    }
    rows
}

/// What can happen to a role, in the order of the sentence.
type Kind = (&'static str, fn(&RoleImpact) -> i32);

const KINDS: [Kind; 4] = [
    ("is suspended for", |role| role.suspended),
    ("is removed from", |role| role.removed),
    ("is given to", |role| role.given),
    ("is reactivated for", |role| role.reactivated),
];

/// Returns `keeps Admin suspended, gets Member`.
fn role_changes(member: &MemberImpact) -> String {
    let said = |roles: &[String], before: &str, after: &str| {
        roles.iter().map(|role| format!("{before} {}{after}", plain(role))).collect::<Vec<_>>()
    };
    [
        said(&member.roles_suspended, "keeps", " suspended"),
        said(&member.roles_removed, "loses", ""),
        said(&member.roles_given, "gets", ""),
        said(&member.roles_reactivated, "has", " back"),
    ]
    .concat()
    .join(", ")
}

/// Returns the first few names, and how many more there are.
fn named(permissions: &Option<PermissionNames>) -> String {
    let Some(PermissionNames { total, first }) = permissions else { return String::new() };
    let named: Vec<String> = first.iter().take(NAMES_MAX).map(|name| plain(name)).collect();
    match total - named.len() as i32 {
        more if more > 0 => format!("{} and {more} more", named.join(", ")),
        _ => named.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(role: &str, suspended: i32, given: i32) -> RoleImpact {
        RoleImpact { role: role.into(), suspended, given, ..Default::default() }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn lines(text: &str) -> Vec<String> {
        let plain = anstream::adapter::strip_str(text).to_string();
        plain.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn the_sentence_counts_members_and_says_what_happens_to_their_roles() {
        let sentence = |members, roles: &[RoleImpact]| {
            super::sentence(&Impact { members, roles: roles.to_vec(), ..Default::default() })
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
        let member = MemberImpact {
            user_id: "bea".into(),
            roles_suspended: names(&["Billing Manager"]),
            roles_given: names(&["Member"]),
            permissions_lost: Some(PermissionNames { total: 9, first: names(&["a", "b", "c", "d", "e"]) }),
            permissions_gained: Some(PermissionNames { total: 1, first: names(&["z"]) }),
            ..Default::default()
        };
        let impact = Impact {
            members: 3,
            members_losing_at_least: 1,
            roles: vec![role("Billing Manager", 1, 0), role("Member", 0, 1)],
            sample: vec![member],
            ..Default::default()
        };
        let shown = tables(&impact);
        assert!(shown.contains("\u{1b}[38;5;9ma, b, c and 6 more"), "{shown:?}");
        assert_eq!(
            lines(&shown),
            [
                "",
                "ROLE             SUSPENDED  REMOVED  GIVEN  REACTIVATED",
                "Billing Manager          1",
                "Member                                   1",
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
