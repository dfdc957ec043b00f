//! Orgs and their subscriptions (S1 to S5).

use rolecall::domain::Command;
use rolecall::domain::Decision::*;
use rolecall::domain::commands::command::Purge;
use rolecall::domain::model::id::{OrgNo, ProjectId};
use rolecall::domain::model::membership::Origin;
use rolecall::domain::model::refusal::Noun;
use rolecall::domain::{OrgId, Reason, Refusal, UserId};

use super::plans;
use crate::fixture::{World, seconds, world};
use crate::model::Answer;

#[test]
fn s1_a_new_org_gets_the_named_mapping_or_the_current_default() {
    let mut world = world("mapping Free\n org a\n org b on Free\n promote Free\n org c\n org d on Default");
    let model = world.model();
    let mappings: Vec<_> = model.projects["default"].orgs.values().map(|org| org.mapping.as_str()).collect();
    assert_eq!(mappings, ["Default", "Free", "Free", "Default"]);
    world.refused("org e on Nowhere", Reason::RoleMappingNotFound);
}

#[test]
fn s2_an_org_moves_to_a_mapping_or_back_to_the_default() {
    let mut world = plans();
    world.check("ann", "acme", "billing.view", Allowed);
    world.run("subscribe acme to default");
    world.check("ann", "acme", "billing.view", MissingPermission);
    world.unchanged("subscribe acme to Default");
    world.refused("subscribe acme to Nowhere", Reason::RoleMappingNotFound);
    world.refused("subscribe nowhere to Free", Reason::OrgNotFound);
}

#[test]
fn s5_org_ids_are_compared_byte_for_byte() {
    let mut world = world("org acme\n org Acme\n org Zürich\n add ann to Acme: Owner");
    world.refused("org acme", Reason::OrgAlreadyExists);
    world.check("ann", "Acme", "rolecall::can_invite", Allowed);
    world.check("ann", "acme", "rolecall::can_invite", NotAMember);
    world.check("ann", "ACME", "rolecall::can_invite", OrgNotFound);
    for bad in ["", "a b", "a\n", "a\0", &"a".repeat(129)] {
        assert!(OrgId::parse(bad).is_err() && UserId::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn s2_many_orgs_move_in_one_commit() {
    let mut world = plans();
    let before = world.state.revision().number;
    let answer = world.answer("subscribe acme, globex to Paid");
    assert_eq!(answer, Answer::OrgsSubscribed { moved: 1, unchanged: 1 });
    assert_eq!(world.state.revision().number, before + 1);
    world.unchanged("subscribe acme, globex to Paid");
    let refusal = world.refused("subscribe acme, nowhere, acme to Free", Reason::OrgNotFound);
    let Refusal::Rows { rows, total } = refusal else { panic!("{refusal}") };
    let reasons: Vec<_> = rows.iter().map(|(row, refusal)| (*row, refusal.reason())).collect();
    assert_eq!((reasons, total), (vec![(1, Reason::OrgNotFound), (2, Reason::RepeatedRow)], 2));
    world.refused("subscribe acme, globex to Nowhere", Reason::RoleMappingNotFound);
    world.run("suspending subscribe acme, globex to default");
    assert!(world.project_model().orgs.values().all(|org| org.mapping == "Default"));
}

#[test]
fn s3_a_mapping_counts_its_subscribers() {
    let mut world = plans();
    let count = |world: &World| {
        let project = world.project();
        let counted = |name| {
            let mapping = project.role_mapping_named(name).and_then(|id| project.role_mappings.get(id));
            mapping.map_or(0, |mapping| mapping.subscribers)
        };
        [counted("Default"), counted("Free"), counted("Paid"), counted("Trial")]
    };
    assert_eq!(count(&world), [0, 1, 1, 0]);
    world.run("org third");
    assert_eq!(count(&world), [1, 1, 1, 0]);
    world.run("update org third: name Third\n mapping Trial for third, acme");
    assert_eq!(count(&world), [0, 0, 1, 2]);
    world.run("delete org third");
    assert_eq!(count(&world), [0, 0, 1, 1]);
    world.purge_all(1);
    assert_eq!(count(&world), [0, 0, 1, 1]);
    world.run("reuse org third on Trial\n delete mapping Trial to Paid");
    assert_eq!(count(&world), [0, 0, 3, 0]);
}

#[test]
fn s4_the_creator_of_an_org_gets_the_default_owner_role() {
    let mut world = world("org acme by ann\n ownerless update project: owner Admin\n org globex by ann");
    assert_eq!(world.roles_and_origins("acme", "ann"), Some(vec![("Owner".into(), None, Origin::Creator)]));
    assert_eq!(world.roles_and_origins("globex", "ann"), Some(vec![("Admin".into(), None, Origin::Creator)]));
    assert_eq!(world.project_model().orgs["acme"].members["ann"].origin, Origin::Creator);
    world.refused("add ann to acme", Reason::MemberAlreadyExists);
}

#[test]
fn s5_deleting_an_org_deletes_its_memberships() {
    let mut world = world("org acme by ann\n add bob to acme\n add cid to acme: Admin until 60\n org globex by ann");
    // Members whose roles have all expired are counted too.
    assert_eq!(world.at(60).answer("delete org acme"), Answer::Deleted(3));
    world.check("ann", "acme", "rolecall::can_invite", OrgNotFound);
    world.check("ann", "globex", "rolecall::can_invite", Allowed);
    for line in ["delete org acme", "update org acme: name A", "subscribe acme to default", "add eve to acme"] {
        world.refused(line, Reason::OrgNotFound);
    }
    world.refused("mapping Free for acme", Reason::OrgNotFound);
}

#[test]
fn s5_a_deleted_org_id_is_retired_unless_reuse_is_requested() {
    let mut world = world("org acme by ann\n delete org acme");
    for _ in 0..2 {
        match world.refused("org acme", Reason::OrgIdRetired) {
            Refusal::Retired(noun, id) => assert_eq!((noun, id.as_str()), (Noun::Org, "acme")),
            other => panic!("{other}"),
        }
        world.purge_all(1);
    }
    world.run("org Acme\n reuse org acme by bob");
    world.check("ann", "acme", "rolecall::can_invite", NotAMember);
    world.check("bob", "acme", "rolecall::can_invite", Allowed);
    world.refused("reuse org acme", Reason::OrgAlreadyExists);
    // The id is retired again.
    world.run("delete org acme");
    world.refused("org acme", Reason::OrgIdRetired);
    world.run("reuse org acme\n reuse org new");
}

#[test]
fn s5_nothing_bound_to_the_old_org_reaches_the_new_one() {
    let mut world = world(
        "project shop MULTI\n internal role Support\n org acme by ann\n add bob to acme: Support until 60, Member",
    );
    let before = world.project().org("acme").expect("the org exists").no;
    world.run("delete org acme\n reuse org acme");
    assert_ne!(world.project().org("acme").expect("the org exists").no, before);
    world.run("add bob to acme: Admin");
    world.purge_all(1);
    assert_eq!(world.roles_and_origins("acme", "bob"), Some(vec![("Admin".into(), None, Origin::Direct)]));
    assert_eq!(world.roles_and_origins("acme", "ann"), None);
    // Of a purged org only the id remains, as a hash.
    assert!(world.project().org_numbered(before).is_none() && world.project().was_deleted("acme"));
}

#[test]
fn s5_a_deleted_project_key_is_retired_unless_reuse_is_requested() {
    let mut world =
        world("project shop MULTI\n permission read\n org acme by ann\n delete org acme\n delete project shop");
    world.refused("project shop SINGLE", Reason::ProjectKeyRetired);
    world.run("reuse project shop SINGLE\n org acme");
    world.check("ann", "acme", "rolecall::can_invite", NotAMember);
    world.check("ann", "acme", "read", UnknownPermission);
    world.refused("reuse project shop SINGLE", Reason::ProjectAlreadyExists);
    world.run("forced delete project shop");
    world.refused("project shop SINGLE", Reason::ProjectKeyRetired);
}

#[test]
fn s5_an_org_has_a_display_name_and_metadata() {
    let mut world = world("org acme");
    world.run("update org acme: name Acme, Inc.; text {\"size\": 3}");
    let org = world.project_model().orgs["acme"].clone();
    assert_eq!((org.display_name.as_str(), org.metadata.as_str()), ("Acme, Inc.", "{\"size\": 3}"));
    world.unchanged("update org acme: name Acme, Inc.");
    world.run("update org acme: text");
    let org = world.project_model().orgs["acme"].clone();
    assert_eq!((org.display_name.as_str(), org.metadata.as_str()), ("Acme, Inc.", ""));
    world.refused("update org nowhere: name N", Reason::OrgNotFound);
}

#[test]
fn s5_purging_removes_nothing_that_exists() {
    let mut world = world("org acme by ann\n add bob to acme: Admin until 60\n org globex by ann\n delete org globex");
    let project = world.project();
    let existing = project.org("acme").expect("the org exists").no;
    let members = ["ann", "bob", "nobody"].map(|user| (existing, UserId::stored(user)));
    let unknown = (OrgNo::new(99).unwrap(), UserId::stored("ann"));
    let members = members.into_iter().chain([unknown]).collect();
    let command = Purge { project: project.id, members, last: false };
    let before = world.state.clone();
    world.decide(&Command::Purge(command.clone())).unwrap();
    assert!(world.state == before, "none of these is deleted");
    let elsewhere = Purge { project: ProjectId::new(99).unwrap(), last: true, ..command };
    world.decide(&Command::Purge(elsewhere)).unwrap();
    assert!(world.state == before, "the project does not exist");
    // An org that still has members is not purged.
    let no_more = Purge { project: before.project_keyed("default").unwrap().id, members: vec![], last: true };
    world.decide(&Command::Purge(no_more)).unwrap();
    assert_eq!(world.project().orgs_being_purged().len(), 1);
    world.purge_all(1);
    assert_eq!(world.member("acme", "ann"), Some(vec![("Owner".into(), None)]));
    assert_eq!(world.member("acme", "bob"), Some(vec![("Admin".into(), Some(seconds(60)))]));
}
