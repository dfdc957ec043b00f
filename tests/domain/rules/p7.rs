//! Unused role sets are dropped. Every REMAP creates new ones (M7), and their number is limited (P7).

use rolecall::domain::UserId;
use rolecall::domain::commands::group::{Commit, Known, Work, decide_group};
use rolecall::domain::model::id::OrgNo;

use crate::fixture::{World, world};

/// Decides a line, which must be accepted, and returns its commit.
fn commit(world: &mut World, line: &str) -> Commit {
    let (command, call) = world.command_and_call(line);
    let work = Work { command, call, tag: 1 };
    let group = decide_group(world.state.clone(), &[work], &Known::new(), world.now, &world.limits);
    world.state = group.next;
    group.commits.into_iter().next().unwrap_or_else(|| panic!("`{line}` changes nothing"))
}

/// Returns the recorded roles of a member, even in a deleted org.
fn recorded(world: &World, org: OrgNo, user: &str) -> Vec<String> {
    let project = world.project();
    let org = project.org_numbered(org).expect("not purged yet");
    let record = project.membership(org, &UserId::stored(user)).expect("not purged yet");
    let set = project.role_sets.get(record.role_set).expect("the role set exists");
    set.roles.iter().map(|&role| project.role_name(role).to_string()).collect()
}

#[test]
fn p7_unused_role_sets_are_dropped() {
    let mut world = world("project shop MULTI\n role Guest\n mapping Free like Default: off Admin");
    world.run("mapping Paid like Default: off Guest\n org acme by dan\n org globex by dan\n org initech by dan");
    world.run("add ann to acme: Admin\n add bob to acme: Member, Admin\n add cid to acme: Member, Admin until 5000");
    // Sets with one member, in an existing org and in a deleted one.
    world.run("add eve to initech: Guest, Admin\n add eve to globex: Guest, Owner\n add bob to globex: Guest, Member");
    let deleted = world.project().org("globex").expect("the org exists").no;
    world.run("delete org globex");

    let mut collecting = 0;
    for _ in 0..1_100 {
        for line in ["remapping:Admin=Guest subscribe acme to Free", "remapping:Guest=Admin subscribe acme to Paid"] {
            let (before, len_before) = (world.state.clone(), world.project().role_sets.len());
            let commit = commit(&mut world, line);
            let len = world.project().role_sets.len();
            assert!(len < 1_100, "{len} role sets are kept");
            if len > len_before {
                continue;
            }
            collecting += 1;
            let acme = if line.ends_with("Paid") { "Admin" } else { "Guest" };
            // Guest is below Member, Admin above.
            let (high, low) =
                if acme == "Admin" { ("Admin live", "Member live") } else { ("Member live", "Guest live") };
            assert_eq!(world.role_states("acme", "ann"), format!("{acme} live"));
            assert_eq!(world.role_states("acme", "bob"), format!("{high}, {low}"));
            let temporary =
                |role: &str| if role.starts_with(acme) { format!("{role} until 5000") } else { role.into() };
            assert_eq!(world.role_states("acme", "cid"), format!("{}, {}", temporary(high), temporary(low)));
            assert_eq!(world.role_states("initech", "eve"), "Admin live, Guest live");
            assert_eq!(recorded(&world, deleted, "eve"), ["Owner", "Guest"]);
            assert_eq!(recorded(&world, deleted, "bob"), ["Member", "Guest"]);
            // A commit that drops role sets can be undone and redone.
            let mut state = world.state.clone();
            for change in commit.changes.iter().rev() {
                state.apply(&change.clone().undone());
            }
            state.set_revision(before.revision());
            assert!(state == before, "undone");
            state.apply_commit(commit.revision, &commit.changes);
            assert!(state == world.state, "redone");
        }
    }
    assert!(collecting >= 2, "sets were dropped {collecting} times");
    // The deleted org can still be purged, and a dropped set can be used again.
    world.purge_all(1);
    let purged = world.project().org_numbered(deleted).is_none_or(|org| org.memberships_len() == 0);
    assert!(purged, "the deleted org has no memberships");
    world.run("add eve to acme: Member, Owner");
    assert_eq!(world.role_states("acme", "eve"), "Owner live, Member live");
}
