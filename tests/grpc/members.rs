//! Memberships: B1, B2.

use rolecall::wire::{self, Decision, MembershipOrigin};

use crate::fixture::{add, in_an_hour, remove, role, roles, row, set, shown, temporary};
use crate::refusals::refused;
use crate::server::on_both;

#[test]
fn b1_a_single_role_member_holds_at_most_one_permanent_and_one_temporary_role() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Member"])).await;
        server
            .storing_nothing(async {
                for too_many in [
                    vec![role("Owner"), role("Admin")],
                    vec![temporary("Owner", in_an_hour()), temporary("Admin", in_an_hour())],
                    vec![role("Owner"), role("Admin"), temporary("Member", in_an_hour())],
                ] {
                    let answer = server.add_member(project.adding("acme", "bob", &too_many)).await;
                    assert_eq!(refused(answer, "TOO_MANY_ROLES").fields(), ["roles"]);
                    let answer = server.set_member_roles(project.setting("acme", "ann", &too_many)).await;
                    refused(answer, "TOO_MANY_ROLES");
                    let set = wire::member_write::Write::Set(wire::RoleAssignments { roles: too_many });
                    let bulk = project.writing(vec![row("acme", "ann", Some(set))]);
                    let bulk = refused(server.batch_write_members(bulk).await, "TOO_MANY_ROLES");
                    assert_eq!(bulk.fields(), ["rows[0].set.roles"]);
                }
            })
            .await;
        let both = project.set("acme", "ann", &[role("Member"), temporary("Admin", in_an_hour())]).await;
        assert_eq!(shown(&both), "Admin live, Member overridden");
        let temporary_only = project.add("acme", "bob", &[temporary("Admin", in_an_hour())]).await;
        assert_eq!(shown(&temporary_only), "Admin live");
    });
}

#[test]
fn b1_a_multi_role_member_holds_several_roles_and_each_grants() {
    on_both(async |server| {
        let project = server.multi().await;
        for name in ["p", "q", "r"] {
            project.permission(name).await;
            project.role(&name.to_uppercase()).await;
            project.grant("Default", &name.to_uppercase(), &[name]).await;
        }
        project.org("acme", "").await;
        let member = project.add("acme", "ann", &roles(&["Q", "P"])).await;
        assert_eq!(shown(&member), "P live, Q live");
        assert_eq!(member.origin(), MembershipOrigin::Direct);
        assert_eq!(project.check("acme", "ann", "p").await, Decision::Allowed);
        assert_eq!(project.check("acme", "ann", "q").await, Decision::Allowed);
        assert_eq!(project.check("acme", "ann", "r").await, Decision::MissingPermission);
    });
}

#[test]
fn b1_a_repeated_role_is_refused() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org("acme", "").await;
        let twice = [role("Owner"), role("Admin"), temporary("Owner", in_an_hour())];
        let answer = server.storing_nothing(server.add_member(project.adding("acme", "ann", &twice))).await;
        assert_eq!(refused(answer, "REPEATED_ROLE").fields(), ["roles[2].role"]);
    });
}

#[test]
fn b1_without_a_named_role_the_default_role_is_given_and_a_user_without_roles_is_not_a_member() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        assert_eq!(shown(&project.add("acme", "ann", &[]).await), "Member live");
        project.remove("acme", "ann").await;
        let refused_read = refused(project.member("acme", "ann").await, "MEMBER_NOT_FOUND");
        assert_eq!(refused_read.resource(), ("rolecall.v1.Member", "ann"));
        let permission = "rolecall::can_view_other_members";
        assert_eq!(project.check("acme", "ann", permission).await, Decision::NotAMember);
        server
            .storing_nothing(async {
                refused(server.remove_member(project.removing("acme", "ann")).await, "MEMBER_NOT_FOUND");
                let setting = project.setting("acme", "ann", &roles(&["Admin"]));
                refused(server.set_member_roles(setting).await, "MEMBER_NOT_FOUND");
            })
            .await;
        project.add("acme", "ann", &roles(&["Admin"])).await;
        assert_eq!(project.roles_of("acme", "ann").await, "Admin live");
    });
}

#[test]
fn b2_adding_a_member_twice_is_already_exists() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Admin"])).await;
        for again in [&["Admin"][..], &["Owner"], &[]] {
            let answer = server.storing_nothing(server.add_member(project.adding("acme", "ann", &roles(again)))).await;
            assert_eq!(refused(answer, "MEMBER_ALREADY_EXISTS").resource(), ("rolecall.v1.Member", "ann"));
        }
        assert_eq!(project.roles_of("acme", "ann").await, "Admin live");
    });
}

#[test]
fn b2_setting_roles_replaces_the_whole_set() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Admin", "Member"])).await;
        let answer = server.set_member_roles(project.setting("acme", "ann", &roles(&["Admin"]))).await.unwrap();
        assert_eq!(shown(answer.member.as_ref().unwrap()), "Admin live");
        let read = project.member("acme", "ann").await.unwrap();
        assert_eq!(read.revision, answer.revision, "a member has the revision of its latest change");
        // Setting the same roles changes nothing.
        let again = project.setting("acme", "ann", &roles(&["Admin"]));
        server.storing_nothing(server.set_member_roles(again)).await.unwrap();
        assert_eq!(project.member("acme", "ann").await.unwrap(), read);
    });
}

#[test]
fn b2_a_bulk_write_adds_sets_and_removes_in_one_commit() {
    on_both(async |server| {
        let project = server.single();
        for org in ["acme", "globex"] {
            project.org(org, "").await;
        }
        for user in ["ann", "bob", "cat"] {
            project.add("acme", user, &roles(&["Member"])).await;
        }
        let before = server.head().await;
        let rows = vec![
            row("globex", "ann", add(&["Owner"])),
            row("acme", "ann", set(&["Admin"])),
            row("acme", "bob", remove()),
            row("acme", "cat", set(&["Member"])),
            row("acme", "dan", add(&[])),
        ];
        let answer = server.batch_write_members(project.writing(rows)).await.unwrap();
        assert_eq!((answer.added, answer.set, answer.removed, answer.unchanged), (2, 1, 1, 1));
        assert_eq!(server.head().await.number, before.number + 1);
        assert_eq!(project.roles_of("globex", "ann").await, "Owner live");
        assert_eq!(project.roles_of("acme", "ann").await, "Admin live");
        refused(project.member("acme", "bob").await, "MEMBER_NOT_FOUND");
        assert_eq!(project.roles_of("acme", "dan").await, "Member live");
    });
}

#[test]
fn b2_one_refused_row_refuses_all_and_every_refused_row_is_named() {
    on_both(async |server| {
        let project = server.single();
        project.role("Clerk").await;
        project.disable("Default", &["Clerk"]).await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Member"])).await;
        let past = temporary("Admin", prost_types::Timestamp { seconds: 1, nanos: 0 });
        let past = Some(wire::member_write::Write::Add(wire::RoleAssignments { roles: vec![past] }));
        let rows = vec![
            row("acme", "fine", add(&["Owner"])),
            row("acme", "ann", add(&[])),
            row("nowhere", "x", add(&[])),
            row("acme", "x", set(&["Admin"])),
            row("acme", "y", remove()),
            row("acme", "z", add(&["Ghost"])),
            row("acme", "v", add(&["Clerk"])),
            row("acme", "w", past),
            row("acme", "fine", remove()),
            row("acme", "u", add(&["Admin", "Owner"])),
            row("acme", "t", add(&["Admin", "Admin"])),
        ];
        let answer = server.storing_nothing(server.batch_write_members(project.writing(rows))).await;
        let refused_rows = refused(answer, "MEMBER_ALREADY_EXISTS");
        assert_eq!(refused_rows.metadata("rows"), "1,2,3,4,5,6,7,8,9,10");
        assert_eq!(refused_rows.metadata("rows_total"), "10");
        let named = [
            "rows[1].add",
            "rows[2].add",
            "rows[3].set",
            "rows[4]",
            "rows[5].add",
            "rows[7].add.roles[0].expire_time",
            "rows[8]",
            "rows[9].add.roles",
            "rows[10].add.roles[1].role",
        ];
        let fields: Vec<&str> = refused_rows.fields().iter().map(|field| field.trim_end_matches('.')).collect();
        assert_eq!(fields, named);
        assert_eq!(refused_rows.subjects(), ["rows[6].add"]);
        refused(project.member("acme", "fine").await, "MEMBER_NOT_FOUND");
    });
}

#[test]
fn b2_an_org_and_user_may_appear_in_one_row_only() {
    on_both(async |server| {
        let project = server.single();
        for org in ["acme", "globex"] {
            project.org(org, "").await;
        }
        let rows = vec![
            row("acme", "ann", add(&[])),
            row("globex", "ann", add(&[])),
            row("acme", "ann", set(&["Admin"])),
            row("acme", "ANN", add(&[])),
            row("acme", "ann", remove()),
        ];
        let answer = server.storing_nothing(server.batch_write_members(project.writing(rows))).await;
        let refused = refused(answer, "REPEATED_ROW");
        assert_eq!((refused.metadata("rows"), refused.fields().len()), ("2,4", 2));
    });
}

#[test]
fn b2_at_most_20_refused_rows_are_named_and_all_are_counted() {
    on_both(async |server| {
        let project = server.single();
        let rows = (0..500).map(|number| row("nowhere", &format!("u{number}"), add(&[]))).collect();
        let answer = server.storing_nothing(server.batch_write_members(project.writing(rows))).await;
        let refused = refused(answer, "ORG_NOT_FOUND");
        assert_eq!((refused.fields().len(), refused.metadata("rows_total")), (20, "500"));
        assert!(refused.metadata("rows").ends_with(",18,19"));
    });
}
