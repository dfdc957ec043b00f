//! The impact of a write (R9).

use rolecall::domain::impact::report::{GrantImpact, Impact, Listed, MemberImpact, Who};
use rolecall::domain::{OrgId, PermissionName, Reason, Refusal, RoleName};
use rolecall::limits::{IMPACT_LIST_MAX, IMPACT_PERMISSIONS_MAX, IMPACT_SAMPLE_MAX};

use crate::fixture::{World, world};

/// On Default, Admin grants pay and Member grants read. Admin is disabled on Free.
fn plans() -> World {
    let mut world = world("permission read, pay\n role Guest\n edit Default: Admin +pay; Member +read");
    world.run("mapping Free like Default: off Admin\n org acme by own\n org globex by own");
    world.run("add ann to acme: Admin\n add bob to acme\n add ann to globex: Admin");
    world
}

/// Formats as `Admin 0 2 0 0`: given, removed, suspended, reactivated.
fn roles(impact: &Impact) -> Vec<String> {
    let all = impact.roles.iter();
    all.map(|it| format!("{} {} {} {} {}", it.role, it.given, it.removed, it.suspended, it.reactivated)).collect()
}

/// Formats as `acme ann: Member given, Admin suspended, +read, -pay`.
fn row(row: &MemberImpact) -> String {
    let who = match &row.who {
        Who::Member(user) => user.to_string(),
        Who::SomeOf { at_most, .. } => at_most.to_string(),
    };
    let mut parts = Vec::new();
    let lists = [
        ("given", &row.roles_given),
        ("removed", &row.roles_removed),
        ("suspended", &row.roles_suspended),
        ("reactivated", &row.roles_reactivated),
    ];
    for (verb, roles) in lists {
        parts.extend(roles.iter().map(|role: &RoleName| format!("{role} {verb}")));
    }
    let own = |names: &Listed<rolecall::domain::PermissionName>, sign: &str| {
        let names = names.first.iter().filter(|name| !name.as_str().starts_with("rolecall::"));
        names.map(|name| format!("{sign}{name}")).collect::<Vec<_>>()
    };
    parts.extend(own(&row.permissions_gained, "+"));
    parts.extend(own(&row.permissions_lost, "-"));
    format!("{} {who}: {}", row.org_id, parts.join(", "))
}

fn sample(impact: &Impact) -> Vec<String> {
    impact.sample.iter().map(row).collect()
}

fn pairs(listed: &Listed<(RoleName, RoleName)>) -> Vec<String> {
    assert_eq!(listed.total, listed.first.len() as u64);
    listed.first.iter().map(|(one, other)| format!("{one} {other}")).collect()
}

#[test]
fn r9_a_preview_and_the_real_call_return_the_same_impact() {
    let mut world = plans();
    for line in [
        "suspending:Guest subscribe acme to Free",
        "subscribe acme to Default",
        "update project: name Shop",
        "convert MULTI",
        "ownerless convert SINGLE: Guest, *",
        "delete role Admin for Guest",
        "delete org acme",
    ] {
        let preview = world.preview(line);
        assert_eq!(world.impact(line), preview, "{line}");
        assert_eq!(preview.digest.len(), 32);
    }
}

#[test]
fn r9_a_move_reports_suspended_roles_and_fallback_roles() {
    let mut world = plans();
    let impact = world.impact("suspending:Member subscribe acme to Free");
    assert_eq!((impact.orgs, impact.members, impact.members_losing_at_least), (1, 1, 1));
    assert_eq!(roles(&impact), ["Admin 0 0 1 0", "Member 1 0 0 0"]);
    assert_eq!(sample(&impact), ["acme 1: Member given, Admin suspended, +read, -pay"]);
    assert_eq!((impact.grants_gained.total, impact.grants_lost.total), (0, 0), "mappings are unchanged");
    let impact = world.impact("subscribe acme to Default");
    assert_eq!(roles(&impact), ["Admin 0 0 0 1", "Member 0 1 0 0"]);
    assert_eq!(sample(&impact), ["acme 1: Member removed, Admin reactivated, +pay, -read"]);
    let impact = world.impact("subscribe acme to Default");
    assert_eq!((impact.orgs, impact.members), (0, 0));
}

#[test]
fn r9_the_sample_names_a_member_whose_temporary_role_is_suspended() {
    let mut world = plans();
    world.run("set bob in acme: Member, Admin until 60");
    let impact = world.impact("suspending subscribe acme to Free");
    assert_eq!((impact.members, roles(&impact)), (2, vec!["Admin 0 0 2 0".to_string()]));
    assert_eq!(sample(&impact), ["acme bob: Admin suspended, +read, -pay", "acme 1: Admin suspended, -pay"]);
}

#[test]
fn r9_an_edit_reports_the_grants_and_the_members_with_the_live_role() {
    let mut world = plans();
    let impact = world.impact("edit Default: Admin -pay +read; Guest +pay");
    let grants = |listed: &Listed<rolecall::domain::impact::report::GrantImpact>| {
        let texts = listed.first.iter().map(|it| format!("{} {} {}", it.role_mapping, it.role, it.permission));
        texts.collect::<Vec<_>>()
    };
    assert_eq!(grants(&impact.grants_gained), ["Default Admin read", "Default Guest pay"]);
    assert_eq!(grants(&impact.grants_lost), ["Default Admin pay"]);
    assert_eq!((impact.orgs, impact.members, impact.members_losing_at_least), (2, 2, 0));
    assert_eq!(sample(&impact), ["acme 1: +read, -pay", "globex 1: +read, -pay"]);
    // Admin is not live on Free.
    world.run("suspending subscribe acme to Free");
    assert_eq!(world.impact("edit Free: Admin -pay").members, 0);
}

#[test]
fn r9_member_writes_report_what_members_gain_and_lose() {
    let mut world = plans();
    let impact = world.impact("add eve to acme: Guest");
    assert_eq!((roles(&impact), sample(&impact)), (vec!["Guest 1 0 0 0".into()], vec!["acme eve: Guest given".into()]));
    let impact = world.impact("set ann in acme: Member");
    assert_eq!(roles(&impact), ["Admin 0 1 0 0", "Member 1 0 0 0"]);
    assert_eq!(sample(&impact), ["acme ann: Member given, Admin removed, +read, -pay"]);
    let impact = world.impact("write: remove ann from acme | set bob in acme: Admin | add dan to globex");
    assert_eq!((impact.orgs, impact.members, impact.members_losing_at_least), (2, 3, 1));
    assert_eq!(
        sample(&impact),
        [
            "acme ann: Member removed, -read",
            "acme bob: Admin given, Member removed, +pay, -read",
            "globex dan: Member given, +read"
        ]
    );
    assert_eq!(world.impact("set bob in acme: Admin").members, 0);
    let impact = world.impact("set bob in acme: Admin, Guest until 60");
    assert_eq!(
        (roles(&impact), impact.members_losing_at_least),
        (vec!["Guest 1 0 0 0".to_string()], 1),
        "Admin is overridden"
    );
}

#[test]
fn r9_a_conversion_reports_the_at_least_pairs_lost() {
    let mut world = plans();
    let impact = world.impact("convert MULTI");
    assert_eq!(
        pairs(&impact.at_least_lost),
        ["Owner Admin", "Owner Member", "Owner Guest", "Admin Member", "Admin Guest", "Member Guest"]
    );
    assert_eq!((impact.members, impact.members_losing_at_least), (0, 5));
    assert!(impact.manages_lost.first.is_empty(), "each role manages the same roles");
    let impact = world.impact("ownerless convert SINGLE: Guest, Admin, *");
    assert_eq!(impact.members_losing_at_least, 0);
    assert_eq!(
        pairs(&impact.manages_lost),
        ["Owner Owner", "Owner Admin", "Owner Guest", "Admin Guest", "Member Guest"]
    );
}

#[test]
fn r9_reordering_reports_the_pairs_lost() {
    let mut world = plans();
    let impact = world.impact("order Owner, Member, Admin, Guest");
    assert_eq!(pairs(&impact.at_least_lost), ["Admin Member"]);
    assert_eq!(pairs(&impact.manages_lost), ["Admin Member"]);
    assert_eq!((impact.members_losing_at_least, impact.members), (2, 0));
    world.run("convert MULTI");
    let impact = world.impact("update role Member: manages");
    assert_eq!(pairs(&impact.manages_lost), ["Member Admin", "Member Guest"]);
    assert!(impact.at_least_lost.first.is_empty());
}

#[test]
fn r9_deleting_a_role_reports_the_replacement() {
    let mut world = plans();
    let impact = world.impact("delete role Admin");
    assert_eq!((impact.orgs, impact.members), (2, 2));
    assert_eq!(roles(&impact), ["Admin 0 2 0 0", "Member 2 0 0 0"]);
    assert!(impact.grants_lost.total > 0);
    assert!(pairs(&impact.at_least_lost).is_empty(), "only pairs of existing roles");
}

#[test]
fn r9_lists_orgs_left_without_an_owner() {
    let mut world = plans();
    world.run("org third by own");
    let impact = world
        .impact("ownerless write: set own in globex: Member | set own in acme: Owner until 60 | remove own from third");
    let orgs: Vec<_> = impact.orgs_left_ownerless.first.iter().map(ToString::to_string).collect();
    assert_eq!((orgs, impact.orgs_left_ownerless.total), (["acme", "globex", "third"].map(String::from).to_vec(), 3));
    assert_eq!(world.impact("delete org acme").orgs_left_ownerless.total, 0);
}

#[test]
fn r9_a_created_deleted_or_changed_org_is_counted() {
    let mut world = plans();
    for (line, expected) in [
        ("org third", (1, 0)),
        ("org fourth by own", (1, 1)),
        ("update org third: name Third", (1, 0)),
        ("update org third: name Third", (0, 0)),
        ("subscribe third to Free", (1, 0)),
        ("delete org third", (1, 0)),
        ("delete org fourth", (1, 1)),
        ("project other SINGLE", (0, 0)),
    ] {
        let impact = world.impact(line);
        assert_eq!((impact.orgs, impact.members), expected, "{line}");
    }
    world.run("org empty");
    let impact = world.impact("forced delete project other");
    assert_eq!((impact.orgs, impact.members), (1, 0), "an org without members is deleted with its project");
    assert!(impact.grants_lost.total > 0);
}

#[test]
fn r9_a_real_call_with_a_stale_digest_is_aborted() {
    let mut world = plans();
    let line = "suspending:Member subscribe acme to Free";
    let digest = world.preview(line).digest;
    world.run("add eve to acme: Admin");
    match world.refused(&format!("digest:{digest} {line}"), Reason::ImpactChanged) {
        Refusal::ImpactChanged { now } => assert_eq!(now, world.preview(line).digest),
        other => panic!("{other}"),
    }
    world.run("remove eve from acme");
    world.run(&format!("digest:{digest} {line}"));
    // Other refusals come first.
    world.refused("digest:nonsense subscribe nowhere to Free", Reason::OrgNotFound);
}

#[test]
fn r9_the_digest_covers_what_members_gain_and_lose() {
    let mut world = plans();
    let line = "suspending subscribe acme to Free";
    let digest = world.preview(line).digest;
    // The move takes more from Admin, but the counts are the same.
    world.run("edit Default: Admin +read");
    assert_ne!(world.preview(line).digest, digest);
    world.run("edit Default: Admin -read");
    assert_eq!(world.preview(line).digest, digest);
    // User ids do not matter.
    world.run("add eve to acme: Admin\n remove ann from acme");
    assert_eq!(world.preview(line).digest, digest);
    // The org does.
    assert_ne!(world.preview("suspending subscribe globex to Free").digest, digest);
}

#[test]
fn r9_the_sample_has_at_most_twenty_members() {
    let mut world = world("org acme by own");
    for number in 0..30 {
        world.run(&format!("add u{number} to acme: Admin"));
    }
    world.run("add timed to acme: Member, Admin until 60");
    let impact = world.impact("suspending edit Default: off Admin");
    assert_eq!((impact.members, roles(&impact)), (31, vec!["Admin 0 0 31 0".to_string()]));
    let members = impact.sample.iter().map(|row| match &row.who {
        Who::Member(_) => 1,
        Who::SomeOf { at_most, .. } => *at_most,
    });
    assert_eq!(members.sum::<usize>(), IMPACT_SAMPLE_MAX);
}

/// Returns the total, the number listed, and the first and last listed.
fn cut<T>(listed: &Listed<T>, text: impl Fn(&T) -> String) -> (u64, usize, String, String) {
    let text_of = |item: Option<&T>| item.map(&text).unwrap_or_default();
    (listed.total, listed.first.len(), text_of(listed.first.first()), text_of(listed.first.last()))
}

fn cut_list(total: u64, listed: usize, first: &str, last: &str) -> (u64, usize, String, String) {
    (total, listed, first.to_string(), last.to_string())
}

#[test]
fn r9_long_lists_of_grants_are_cut_in_order_of_mapping_role_and_permission() {
    let mut world = world("org acme by own");
    let names: Vec<String> = (0..60).map(|number| format!("p{number:02}")).collect();
    world.run(&format!("permission {}", names.join(", ")));
    let all = |sign: char| names.iter().map(|name| format!(" {sign}{name}")).collect::<String>();
    let grant = |it: &GrantImpact| format!("{} {} {}", it.role_mapping, it.role, it.permission);
    let permission = |it: &PermissionName| it.to_string();
    let more = world.impact(&format!("edit Default: Member{0}; Owner{0}", all('+')));
    let wanted = cut_list(120, IMPACT_LIST_MAX, "Default Owner p00", "Default Member p39");
    assert_eq!(cut(&more.grants_gained, grant), wanted);
    assert_eq!(more.grants_lost, Listed::default());
    let wanted_of_one = cut_list(60, IMPACT_PERMISSIONS_MAX, "p00", "p19");
    assert_eq!(cut(&more.sample[0].permissions_gained, permission), wanted_of_one);
    let less = world.impact(&format!("edit Default: Member{0}; Owner{0}", all('-')));
    assert_eq!(cut(&less.grants_lost, grant), wanted);
    assert_eq!(less.grants_gained, Listed::default());
    assert_eq!(cut(&less.sample[0].permissions_lost, permission), wanted_of_one);
}

#[test]
fn r9_long_lists_of_role_pairs_are_cut_in_the_order_before() {
    let pair = |(one, other): &(RoleName, RoleName)| format!("{one} {other}");
    let mut world = world("");
    (0..12).for_each(|number| world.run(&format!("role R{number:02}")));
    let mut order = world.roles();
    order.reverse();
    // Each of the 15 roles was above all later ones, and the highest managed itself as well.
    let impact = world.impact(&format!("order {}", order.join(", ")));
    assert_eq!(cut(&impact.at_least_lost, pair), cut_list(105, IMPACT_LIST_MAX, "Owner Admin", "R08 R09"));
    assert_eq!(cut(&impact.manages_lost, pair), cut_list(106, IMPACT_LIST_MAX, "Owner Owner", "R07 R11"));

    world.run("project shop MULTI");
    let roles: Vec<String> = (0..=100).map(|number| format!("R{number:03}")).collect();
    roles.iter().for_each(|role| world.run(&format!("role {role}")));
    world.run(&format!("role Boss; manages {}\n order R100, *", roles.join(", ")));
    let impact = world.impact("update role Boss: manages");
    assert_eq!(cut(&impact.manages_lost, pair), cut_list(101, IMPACT_LIST_MAX, "Boss R100", "Boss R098"));
}

#[test]
fn r9_long_lists_of_ownerless_orgs_are_cut_in_order_of_id() {
    let mut world = world("");
    let orgs: Vec<String> = (0..=100).rev().map(|number| format!("o{number:03}")).collect();
    orgs.iter().for_each(|org| world.run(&format!("org {org} by own")));
    let rows: Vec<String> = orgs.iter().map(|org| format!("remove own from {org}")).collect();
    let impact = world.impact(&format!("ownerless write: {}", rows.join(" | ")));
    let org = |id: &OrgId| id.to_string();
    assert_eq!(cut(&impact.orgs_left_ownerless, org), cut_list(101, IMPACT_LIST_MAX, "o000", "o099"));
}

#[test]
fn r9_the_sample_lists_members_who_lose_first_then_by_org() {
    let mut world = world("permission read");
    for number in (0..10).rev() {
        world.run(&format!("org a{number:02}\n add ann to a{number:02}: Member"));
    }
    let orgs = |impact: &Impact| impact.sample.iter().map(|row| row.org_id.to_string()).collect::<Vec<_>>();
    let named = |letter: char, numbers: std::ops::Range<usize>| {
        numbers.map(|number| format!("{letter}{number:02}")).collect::<Vec<_>>()
    };
    let line = "suspending edit Default: off Admin; Member +read";
    for (from, to) in [(0, 15), (15, 25)] {
        for number in (from..to).rev() {
            world.run(&format!("org z{number:02}\n add ann to z{number:02}: Admin"));
        }
        let impact = world.preview(line);
        assert_eq!(impact.members, 10 + to as u64);
        let losing = named('z', 0..to.min(IMPACT_SAMPLE_MAX));
        let gaining = named('a', 0..IMPACT_SAMPLE_MAX - losing.len());
        assert_eq!(orgs(&impact), [losing, gaining].concat());
    }
}
