//! Delegation: who may manage whom (G1 to G6).

use rolecall::domain::{Reason, Refusal};

use crate::fixture::{World, seconds, world};
use crate::model::Answer;

/// Each member has one role, highest first: Owner, Admin, Guest, Member. Owner and Admin have all permissions, but only
/// Owner may delete the org. Guest may only invite.
pub fn single() -> World {
    let mut world = world("role Guest above Member\n edit Default: Guest +rolecall::can_invite\n org acme");
    world.run("add own to acme: Owner\n add adm to acme: Admin\n add gue to acme: Guest\n add mem to acme");
    world
}

/// Members have several roles. Lead manages Guest and itself. Chief manages Admin. Both grant all member permissions.
fn multi() -> World {
    let mut world =
        world("project shop MULTI\n role Guest\n role Lead; manages Guest, Lead\n role Chief; manages Admin");
    for role in ["Lead", "Chief"] {
        world.run(&format!(
            "edit Default: {role} +rolecall::can_invite +rolecall::can_change_roles +rolecall::can_remove_users"
        ));
    }
    world.run("org acme\n add own to acme: Owner\n add lea to acme: Lead\n add chi to acme: Chief\n add both to acme: Lead, Chief");
    world
}

#[test]
fn g1_the_acting_user_needs_a_live_role_that_grants_the_permission() {
    let mut world = single();
    for line in [
        "add new to acme",
        "set mem in acme: Guest",
        "remove mem from acme",
        "update org acme: name X",
        "delete org acme",
    ] {
        world.refused(&format!("as:nobody {line}"), Reason::ActingUserNotAMember);
        world.refused(&format!("as:mem {}", line.replace("mem ", "gue ")), Reason::ActingUserMissingPermission);
    }
    world.refused("as:adm delete org acme", Reason::ActingUserMissingPermission);
    world.refused("as:gue update org acme: name X", Reason::ActingUserMissingPermission);
    world.refused("as:adm add new to nowhere", Reason::OrgNotFound);
    world.run("as:adm add new to acme\n as:adm set mem in acme: Guest\n as:adm remove mem from acme\n as:adm update org acme: name X");
    match world.refused("as:gue set new in acme: Guest", Reason::ActingUserMissingPermission) {
        Refusal::ActingUserMissingPermission { permission } => assert_eq!(permission, "rolecall::can_change_roles"),
        other => panic!("{other}"),
    }
    assert_eq!(world.answer("as:own delete org acme"), Answer::Deleted(4));
}

#[test]
fn g1_expired_and_suspended_roles_do_not_count() {
    let mut world = single();
    world.run("set adm in acme: Admin until 60");
    world.run("as:adm add new to acme: Member until 60");
    world.at(60).refused("as:adm add newer to acme", Reason::ActingUserNotAMember);
    world.run("set gue in acme: Guest, Admin until 90\n suspending edit Default: off Admin");
    world.run("as:gue add newer to acme");
    world.refused("as:gue set mem in acme: Member until 70", Reason::ActingUserMissingPermission);
    world.run("edit Default: on Admin\n as:gue set mem in acme: Member until 70");
}

#[test]
fn g1_a_fallback_role_counts() {
    let mut world = single();
    world.run("suspending:Guest edit Default: off Admin\n as:adm add new to acme");
    world.refused("as:adm add newer to acme: Guest", Reason::RoleOutOfScope);
    world.refused("as:adm set mem in acme: Member until 60", Reason::ActingUserMissingPermission);
}

#[test]
fn g1_an_overridden_role_does_not_count() {
    let mut world = single();
    world.run("set adm in acme: Admin, Member until 60");
    world.refused("as:adm add new to acme", Reason::ActingUserMissingPermission);
    world.at(60).run("as:adm add new to acme");
}

#[test]
fn g1_the_same_role_must_grant_the_permission_and_manage() {
    // Lead manages Guest but may not invite. Admin may invite but manages no role.
    let mut world =
        world("project shop MULTI\n role Guest\n role Lead; manages Guest\n update role Admin: manages\n org acme");
    world.run("add ann to acme: Lead, Admin");
    world.refused("as:ann add bob to acme: Guest", Reason::RoleOutOfScope);
    world.run("edit Default: Lead +rolecall::can_invite\n as:ann add bob to acme: Guest");
}

#[test]
fn g1_different_changed_roles_may_be_covered_by_different_roles() {
    let mut world = multi();
    world.refused("as:lea add new to acme: Guest, Admin", Reason::RoleOutOfScope);
    world.refused("as:chi add new to acme: Guest, Admin", Reason::RoleOutOfScope);
    world.run("as:both add new to acme: Guest, Admin");
}

#[test]
fn g2_in_single_role_a_role_manages_those_strictly_below() {
    let mut world = single();
    world.refused("as:adm add new to acme: Owner", Reason::RoleOutOfScope);
    world.refused("as:adm add new to acme: Admin", Reason::RoleOutOfScope);
    world.refused("as:adm set own in acme: Member", Reason::RoleOutOfScope);
    world.refused("as:adm remove own from acme", Reason::RoleOutOfScope);
    match world.refused("as:gue add new to acme: Guest", Reason::RoleOutOfScope) {
        Refusal::RoleOutOfScope { role, permission } => {
            assert_eq!((role.as_str(), permission), ("Guest", "rolecall::can_invite"));
        }
        other => panic!("{other}"),
    }
    world.run("as:adm add new to acme: Guest\n as:gue add newer to acme: Member");
}

#[test]
fn g2_in_single_role_the_highest_visible_role_manages_itself() {
    let mut world = single();
    world.run("as:own add new to acme: Owner\n as:own remove new from acme");
    // This also holds below an internal role, which manages it as well.
    world.run("internal role Boss above Owner\n edit Default: Boss +rolecall::can_invite\n add staff to acme: Boss");
    world.run("as:own add new to acme: Owner\n as:staff add newer to acme: Owner");
    // An internal role does not manage itself, even if it is the highest. The second visible role is not the highest.
    world.run("order Admin, Owner, *");
    world.refused("as:own add newest to acme: Owner", Reason::RoleOutOfScope);
    world.run("as:adm add newest to acme: Owner\n as:adm add newest2 to acme: Admin");
}

#[test]
fn g2_an_internal_role_manages_the_visible_roles_below_it() {
    let mut world = single();
    world.run("internal role Boss above Guest\n edit Default: Boss +rolecall::can_invite\n add staff to acme: Boss");
    world.run("as:staff add new to acme: Guest");
    world.refused("as:staff add newer to acme: Admin", Reason::RoleOutOfScope);
}

#[test]
fn g2_in_multi_role_a_role_manages_its_list_and_itself_only_if_listed() {
    let mut world = multi();
    world.run("as:lea add new to acme: Guest\n as:lea add newer to acme: Lead\n as:chi add newest to acme: Admin");
    world.refused("as:lea add other to acme: Admin", Reason::RoleOutOfScope);
    world.refused("as:chi add other to acme: Chief", Reason::RoleOutOfScope);
    // The order has no effect in MULTI_ROLE.
    world.refused("as:chi add other to acme: Member", Reason::RoleOutOfScope);
    // The roles of the template manage the same roles as in SINGLE_ROLE.
    world.run("as:own add other to acme: Owner");
    world.refused("as:own add more to acme: Lead", Reason::RoleOutOfScope);
}

#[test]
fn g2_the_lists_of_a_new_multi_role_project_follow_the_order_of_the_template() {
    let mut world = world("");
    world.run("project shop MULTI");
    let project = world.project_model();
    let managed = |role: &str| project.manages.get(role).cloned().unwrap_or_default().into_iter().collect::<Vec<_>>();
    assert_eq!(managed("Owner"), ["Admin", "Member", "Owner"]);
    assert_eq!(managed("Admin"), ["Member"]);
    assert!(managed("Member").is_empty());
}

#[test]
fn g2_only_multi_role_projects_have_lists_of_managed_roles() {
    let mut world = world("role Guest");
    world.refused("update role Guest: manages Member", Reason::WrongRoleStructure);
    world.refused("role Lead; manages Member", Reason::WrongRoleStructure);
    world.unchanged("update role Guest: manages");
    world.run("project shop MULTI\n role Lead; manages Lead, Member");
    assert_eq!(world.project_model().manages["Lead"].iter().collect::<Vec<_>>(), ["Lead", "Member"]);
    world.refused("update role Lead: manages Ghost", Reason::RoleNotFound);
    world.run("update role Lead: manages Owner; name Chief");
    assert_eq!(world.project_model().manages["Chief"].iter().collect::<Vec<_>>(), ["Owner"]);
    world.run("update role Chief: manages Admin, Member\n delete role Admin");
    assert_eq!(world.project_model().manages["Chief"].iter().collect::<Vec<_>>(), ["Member"]);
    world.run("update role Chief: manages");
    assert!(!world.project_model().manages.contains_key("Chief"));
}

#[test]
fn g3_given_and_taken_roles_need_scope_and_kept_roles_do_not() {
    let mut world = multi();
    world.run("add tom to acme: Guest, Member");
    // Lead does not manage Member, which stays.
    world.run("as:lea set tom in acme: Lead, Member");
    world.refused("as:lea set tom in acme: Lead", Reason::RoleOutOfScope);
    world.refused("as:lea set tom in acme: Lead, Member, Admin", Reason::RoleOutOfScope);
    world.refused("as:lea remove tom from acme", Reason::RoleOutOfScope);
    world.run("set tom in acme: Lead, Guest\n as:lea remove tom from acme");
}

#[test]
fn g3_changing_an_expiry_needs_scope() {
    let mut world = multi();
    world.run("add tom to acme: Member until 60, Guest until 60");
    world.unchanged("as:lea set tom in acme: Member, Guest");
    for expiry in ["until 50", "until 70", "permanent"] {
        world.refused(&format!("as:lea set tom in acme: Member {expiry}, Guest"), Reason::RoleOutOfScope);
        world.run(&format!("as:lea set tom in acme: Member, Guest {expiry}"));
    }
}

#[test]
fn g3_changing_a_suspended_role_needs_scope_over_its_fallback_role() {
    let mut world = multi();
    world.run("add tom to acme: Guest, Member\n suspending:Admin edit Default: off Guest");
    // Lead manages Guest, but not its fallback role Admin.
    world.refused("as:lea set tom in acme: Member", Reason::RoleOutOfScope);
    world.refused("as:lea set tom in acme: Member, Guest until 60", Reason::RoleOutOfScope);
    world.run("as:both set tom in acme: Member, Guest until 60");
    world.refused("as:lea set tom in acme: Member, Guest until 70", Reason::RoleOutOfScope);
    world.run("as:both set tom in acme: Member, Guest until 70\n as:both set tom in acme: Member");
}

#[test]
fn g3_removing_an_expired_role_needs_no_scope() {
    let mut world = multi();
    world.run("add tom to acme: Guest, Member until 60");
    world.at(60).run("as:lea set tom in acme: Guest until 70");
    assert_eq!(world.role_states("acme", "tom"), "Guest live until 70");
}

#[test]
fn g3_in_single_role_giving_a_temporary_role_takes_the_permanent_one() {
    let mut world = single();
    world.refused("as:adm set own in acme: Owner, Member until 60", Reason::RoleOutOfScope);
    world.run("as:adm set mem in acme: Member, Guest until 60");
    world.run("set own in acme: Owner, Member until 60");
    world.refused("as:adm set own in acme: Owner, Member until 70", Reason::RoleOutOfScope);
    world.run("as:adm set own in acme: Owner, Member until 50");
}

#[test]
fn g3_users_may_give_up_their_own_roles() {
    let mut world = multi();
    world.run("add tom to acme: Member, Guest, Admin until 60");
    world.run(
        "as:tom set tom in acme: Member, Guest\n as:tom set tom in acme: Guest until 60\n as:tom remove tom from acme",
    );
    world.run("add tom to acme: Member");
    world.refused("as:tom set tom in acme: Member, Guest", Reason::ActingUserMissingPermission);
    world.refused("as:lea set lea in acme: Lead, Admin", Reason::RoleOutOfScope);
    world.run("as:lea set lea in acme: Lead, Guest");
}

#[test]
fn g3_the_last_owner_cannot_leave() {
    let mut world = single();
    world.refused("as:own remove own from acme", Reason::LastOwner);
    world.refused("as:own set own in acme: Member", Reason::LastOwner);
    world.refused("as:own set own in acme: Owner until 60", Reason::LastOwner);
    world.run("as:own add heir to acme: Owner\n as:own remove own from acme");
}

#[test]
fn g3_in_single_role_users_may_step_down_to_a_lower_enabled_role() {
    let mut world = single();
    world.run("role Low\n edit Default: Guest -rolecall::can_invite\n as:gue set gue in acme: Member");
    world.refused("as:gue set gue in acme: Guest", Reason::ActingUserMissingPermission);
    world.run("edit Default: off Low");
    world.refused("as:gue set gue in acme: Low", Reason::RoleDisabled);
    world.run("edit Default: on Low\n as:gue set gue in acme: Member, Low until 60");
}

#[test]
fn g3_stepping_down_does_not_extend_an_expiry() {
    let mut world = single();
    world.run("set mem in acme: Member, Guest until 60");
    world.run("role Low above Member\n as:mem set mem in acme: Member, Low until 60");
    world.run("set mem in acme: Member, Guest until 60");
    world.refused("as:mem set mem in acme: Low", Reason::ActingUserMissingPermission);
    world.refused("as:mem set mem in acme: Member, Low until 70", Reason::ActingUserMissingPermission);
    // From an overridden permanent role the user may step down permanently.
    world.run("set mem in acme: Guest permanent, Member until 60\n as:mem set mem in acme: Low");
}

#[test]
fn g3_no_stepping_down_from_a_suspended_role_or_in_multi_role() {
    let mut world = single();
    world.run("suspending edit Default: off Guest");
    world.refused("as:gue set gue in acme: Member", Reason::ActingUserMissingPermission);
    let mut world = multi();
    world.run("add tom to acme: Owner");
    world.run("edit Default: Owner -rolecall::can_change_roles");
    world.refused("as:tom set tom in acme: Member", Reason::ActingUserMissingPermission);
}

#[test]
fn g4_internal_roles_are_never_in_scope() {
    let mut world = single();
    world.run("internal role Spy\n add staff to acme: Spy");
    world.refused("as:own add new to acme: Spy", Reason::RoleNotFound);
    world.refused("as:own set mem in acme: Spy", Reason::RoleNotFound);
    let mut world = multi();
    world.run("internal role Spy\n update role Owner: manages Spy, Owner");
    world.refused("as:own add new to acme: Spy", Reason::RoleNotFound);
}

#[test]
fn g6_a_given_role_does_not_outlast_the_granting_role() {
    let mut world = single();
    world.run("set adm in acme: Admin until 60");
    for line in
        ["add new to acme: Guest", "add new to acme: Guest until 61", "set mem in acme: Guest", "add new to acme"]
    {
        match world.refused(&format!("as:adm {line}"), Reason::OutlastsGranter) {
            Refusal::OutlastsGranter { expire_time, .. } => assert_eq!(expire_time, seconds(60)),
            other => panic!("{other}"),
        }
    }
    world.refused("as:adm add new to acme: Guest until 61", Reason::OutlastsGranter);
    world.run("as:adm add new to acme: Guest until 60\n as:adm set mem in acme: Member until 50");
    world.refused("as:adm set mem in acme: Member permanent", Reason::OutlastsGranter);
    // G6 does not limit what can be taken.
    world.run("as:adm remove new from acme");
}

#[test]
fn g6_the_longest_lasting_granting_role_counts() {
    let mut world = multi();
    world.run("role Scout; manages Guest\n set lea in acme: Lead until 60, Scout until 90");
    world.refused("as:lea add new to acme: Guest until 61", Reason::OutlastsGranter);
    world.run("edit Default: Scout +rolecall::can_invite\n as:lea add new to acme: Guest until 90");
    match world.refused("as:lea add newer to acme: Guest until 91", Reason::OutlastsGranter) {
        Refusal::OutlastsGranter { expire_time, .. } => assert_eq!(expire_time, seconds(90)),
        other => panic!("{other}"),
    }
    world.refused("as:lea add newer to acme: Lead until 61", Reason::OutlastsGranter);
    // Scope is checked before expiry.
    world.refused("as:lea add newer to acme: Guest, Admin", Reason::RoleOutOfScope);
    world.run("set lea in acme: Lead until 60, Scout permanent\n as:lea add newer to acme: Guest");
}

#[test]
fn g6_a_kept_role_is_not_limited_by_the_granting_role() {
    let mut world = multi();
    world.run("add tom to acme: Guest\n set lea in acme: Lead until 60\n as:lea set tom in acme: Guest, Lead until 60");
}
