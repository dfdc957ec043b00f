//! Refused invitations and acceptances: V1 to V5, and U1 for blocked users. Nothing is stored.

use std::time::Duration;

use prost_types::Timestamp;
use rolecall::limits::Limits;
use rolecall::wire::{self, ErrorReason, InvitationState};

use crate::fixture::{Project, after, in_an_hour, roles, shown, soon, temporary, wait_until};
use crate::refusals::refused;
use crate::server::{Server, on_both, on_both_with};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Who invites, the roles, the expiry, and the refusal with its field.
type Case = (&'static str, &'static [&'static str], Option<Timestamp>, &'static str, &'static str);

impl Project<'_> {
    fn inviting_all(&self, org: &str, rows: Vec<wire::NewInvitation>) -> wire::BatchCreateInvitationsRequest {
        wire::BatchCreateInvitationsRequest { project: self.key.into(), org_id: org.into(), rows, ..Default::default() }
    }
}

fn row_of(request: &wire::CreateInvitationRequest) -> wire::NewInvitation {
    let wire::CreateInvitationRequest { email, roles, expire_time, replace, .. } = request.clone();
    wire::NewInvitation { email, roles, expire_time, replace }
}

/// Returns an org with an owner, an admin and a member, and with a role that its mapping disables.
async fn acme(server: &Server) -> Project<'_> {
    let project = server.single();
    project.internal_role("Support").await;
    project.role("Guest").await;
    project.disable("Default", &["Guest"]).await;
    project.org("acme", "").await;
    for (user, role) in [("ann", "Owner"), ("abe", "Admin"), ("mia", "Member")] {
        project.add("acme", user, &roles(&[role])).await;
    }
    project
}

async fn block(server: &Server, user_id: &str) {
    server.block_user(wire::BlockUserRequest { user_id: user_id.into(), ..Default::default() }).await.unwrap();
}

#[test]
fn v1_malformed_addresses_are_refused_wherever_an_address_is_read() {
    let long = format!("{}@acme.example", "l".repeat(242));
    assert_eq!(long.len(), 255);
    // Its domain is longer in A-label form.
    let long_in_a_labels = format!("{}@{}example", "l".repeat(50), "ü.".repeat(25));
    assert!(long_in_a_labels.len() <= 254);
    let malformed = [
        "",
        "bea",
        "@",
        "@acme.example",
        "bea@",
        "bea@@acme.example",
        "bea@home@acme.example",
        "\"bea\"@acme.example",
        "\"bea@home\"@acme.example",
        "Bea <bea@acme.example>",
        "bea(home)@acme.example",
        "bea,cid@acme.example",
        "bea m@acme.example",
        " bea@acme.example",
        "bea@acme.example ",
        "bea\u{a0}@acme.example",
        "bea\t@acme.example",
        "bea@acme.example\n",
        "bea\0@acme.example",
        "bea\u{7f}@acme.example",
        "bea\u{200b}@acme.example",
        "bea\u{202e}@acme.example",
        "cafe\u{301}@acme.example",
        "bea@.",
        "bea@.acme.example",
        "bea@acme..example",
        "bea@acme.example..",
        "bea@-acme.example",
        "bea@acme_shop.example",
        "bea@xn--a.example",
        "bea@acme\u{3002}\u{3002}example",
        &long,
        &long_in_a_labels,
    ];
    on_both(async |server| {
        let project = acme(server).await;
        let invitation = project.invite("acme", "bea@acme.example", &[]).await;
        server
            .storing_nothing(async {
                for email in malformed {
                    let inviting = project.inviting("acme", email, &[]);
                    let batch = project.inviting_all("acme", vec![row_of(&inviting)]);
                    let answer = refused(server.create_invitation(inviting).await, "INVALID_FIELD");
                    assert_eq!(answer.fields(), ["email"], "{email:?}");
                    let accepting = project.accepting(&invitation, "bea", email);
                    let answer = refused(server.accept_invitation(accepting).await, "INVALID_FIELD");
                    assert_eq!(answer.fields(), ["email"], "{email:?}");
                    let result = server.batch_create_invitations(batch).await.unwrap().results.remove(0);
                    assert_eq!((result.reason(), result.field.as_str()), (ErrorReason::InvalidField, "email"));
                    assert!(result.invitation_id.is_empty() && !result.description.is_empty(), "{email:?}");
                }
            })
            .await;
    });
}

#[test]
fn v1_one_address_has_several_spellings() {
    // The stored form, and other spellings of it.
    let same: [(&str, &[&str]); 5] = [
        ("bea@acme.example", &["BEA@acme.example", "bea@ACME.Example", "bea@acme.example."]),
        ("cid+plans@acme.example", &["Cid+Plans@acme.example"]),
        ("a.b.c@acme.example", &["A.B.C@acme.example"]),
        ("eve@xn--mller-kva.example", &["eve@müller.example", "eve@MÜLLER.example", "eve@XN--MLLER-KVA.example."]),
        ("jürgen@acme.example", &["JÜRGEN@acme.example"]),
    ];
    let others = ["bea+x@acme.example", "cid@acme.example", "abc@acme.example", "eve@muller.example"];
    let longest = format!("{}@acme.example", "l".repeat(241));
    assert_eq!(longest.len(), 254);
    on_both(async |server| {
        let project = acme(server).await;
        for (stored, spellings) in same {
            let invitation = project.invite("acme", spellings[0], &[]).await;
            assert_eq!(invitation.email, stored);
            server
                .storing_nothing(async {
                    for spelling in [&[stored], spellings].concat() {
                        let inviting = project.inviting("acme", spelling, &[]);
                        let taken = refused(server.create_invitation(inviting).await, "INVITATION_ALREADY_EXISTS");
                        assert_eq!(taken.resource(), ("rolecall.v1.Invitation", stored));
                    }
                    for other in others {
                        let accepting = project.accepting(&invitation, "eve", other);
                        refused(server.accept_invitation(accepting).await, "EMAIL_MISMATCH");
                    }
                })
                .await;
            let accepting = project.accepting(&invitation, stored, spellings[spellings.len() - 1]);
            server.accept_invitation(accepting).await.unwrap();
        }
        for other in others.into_iter().chain([longest.as_str()]) {
            assert_eq!(project.invite("acme", other, &[]).await.email, other);
        }
    });
}

#[test]
fn v1_refused_invitations_have_the_same_reason_alone_and_in_a_batch() {
    let at = |time: Duration| Some(after(time));
    let past = Some(Timestamp { seconds: 1_600_000_000, nanos: 0 });
    let cases: [Case; 17] = [
        ("", &["Ghost"], None, "ROLE_NOT_FOUND", ""),
        ("", &["Guest"], None, "ROLE_DISABLED", ""),
        ("", &["Member", "Member"], None, "REPEATED_ROLE", "roles[1]"),
        ("", &["Owner", "Member"], None, "TOO_MANY_ROLES", "roles"),
        ("", &[], past, "END_IN_THE_PAST", "expire_time"),
        ("", &[], at(Duration::ZERO), "END_IN_THE_PAST", "expire_time"),
        ("", &[], at(90 * DAY + Duration::from_secs(60)), "INVITATION_EXPIRY_TOO_LATE", "expire_time"),
        ("", &[], at(4_000 * DAY), "INVITATION_EXPIRY_TOO_LATE", "expire_time"),
        ("ann", &["Support"], None, "ROLE_NOT_FOUND", ""),
        ("ann", &["Ghost"], None, "ROLE_NOT_FOUND", ""),
        ("ann", &["Guest"], None, "ROLE_DISABLED", ""),
        ("abe", &["Owner"], None, "ROLE_OUT_OF_SCOPE", ""),
        ("abe", &["Admin"], None, "ROLE_OUT_OF_SCOPE", ""),
        ("mia", &["Member"], None, "ACTING_USER_MISSING_PERMISSION", ""),
        ("eve", &["Member"], None, "ACTING_USER_NOT_A_MEMBER", ""),
        ("bob", &["Member"], None, "ACTING_USER_BLOCKED", ""),
        ("tom", &["Member"], None, "OUTLASTS_GRANTER", ""),
    ];
    on_both(async |server| {
        let project = acme(server).await;
        project.add("acme", "bob", &roles(&["Owner"])).await;
        block(server, "bob").await;
        project.add("acme", "tom", &[temporary("Admin", in_an_hour())]).await;
        server
            .storing_nothing(async {
                for (acting, names, expire_time, reason, field) in &cases {
                    let inviting = wire::CreateInvitationRequest {
                        acting_user_id: acting.to_string(),
                        expire_time: *expire_time,
                        ..project.inviting("acme", "new@acme.example", names)
                    };
                    let batch = wire::BatchCreateInvitationsRequest {
                        acting_user_id: acting.to_string(),
                        ..project.inviting_all("acme", vec![row_of(&inviting)])
                    };
                    let fields: Vec<&str> = [*field].into_iter().filter(|field| !field.is_empty()).collect();
                    let alone = refused(server.create_invitation(inviting).await, reason);
                    assert_eq!(alone.fields(), fields, "{reason}");
                    // A user who may not invite at all has no rows.
                    if reason.starts_with("ACTING_USER") {
                        refused(server.batch_create_invitations(batch).await, reason);
                        continue;
                    }
                    let result = server.batch_create_invitations(batch).await.unwrap().results.remove(0);
                    assert_eq!((result.reason().as_str_name(), result.field.as_str()), (*reason, *field));
                    assert!(result.invitation_id.is_empty() && !result.description.is_empty(), "{reason}");
                }
                let nowhere = project.inviting("nowhere", "new@acme.example", &[]);
                refused(server.create_invitation(nowhere).await, "ORG_NOT_FOUND");
            })
            .await;
        let inviting = project.inviting("acme", "late@acme.example", &[]);
        let expire_time = at(90 * DAY - Duration::from_secs(60));
        server.create_invitation(wire::CreateInvitationRequest { expire_time, ..inviting }).await.unwrap();
    });
}

#[test]
fn v5_a_batch_has_from_one_to_the_maximal_number_of_rows() {
    on_both_with(Limits { bulk_rows: 3, ..Limits::default() }, async |server| {
        let project = acme(server).await;
        let rows =
            |count: usize| (0..count).map(|at| row_of(&project.inviting("acme", &format!("u{at}@a.example"), &[])));
        server
            .storing_nothing(async {
                let none = server.batch_create_invitations(project.inviting_all("acme", vec![])).await;
                assert_eq!(refused(none, "INVALID_FIELD").fields(), ["rows"]);
                let many = server.batch_create_invitations(project.inviting_all("acme", rows(4).collect())).await;
                assert_eq!(refused(many, "TOO_MANY_ROWS").fields(), ["rows"]);
                let bad = vec![wire::NewInvitation { email: "no address".into(), ..Default::default() }];
                let nowhere = server.batch_create_invitations(project.inviting_all("nowhere", bad)).await;
                refused(nowhere, "ORG_NOT_FOUND");
            })
            .await;
        server.batch_create_invitations(project.inviting_all("acme", rows(3).collect())).await.unwrap();
    });
}

#[test]
fn v2_an_invitation_that_cannot_be_accepted_stays_as_it_is() {
    on_both(async |server| {
        let project = acme(server).await;
        project.org("globex", "").await;
        let pending = project.invite("acme", "bea@acme.example", &["Member"]).await;
        let accepted = project.invite("acme", "cid@acme.example", &["Member"]).await;
        project.accept(&accepted, "cid").await;
        let revoked = project.invite("acme", "dan@acme.example", &["Member"]).await;
        server.revoke_invitation(project.revoking(&revoked, "")).await.unwrap();
        let replaced = project.invite("acme", "fay@acme.example", &["Member"]).await;
        let replacing = project.inviting("acme", "fay@acme.example", &["Admin"]);
        server.create_invitation(wire::CreateInvitationRequest { replace: true, ..replacing }).await.unwrap();
        let elsewhere = wire::Invitation { org_id: "globex".into(), ..pending.clone() };
        let nowhere = wire::Invitation { org_id: "nowhere".into(), ..pending.clone() };
        // The invitation, the address, whether it is verified, and the refusals of accepting and revoking.
        let cases = [
            (&pending, "cid@acme.example", true, "EMAIL_MISMATCH", None),
            (&pending, "bea+x@acme.example", true, "EMAIL_MISMATCH", None),
            (&pending, "bea@acme.example", false, "EMAIL_NOT_VERIFIED", None),
            (&pending, "cid@acme.example", false, "EMAIL_NOT_VERIFIED", None),
            (&accepted, "cid@acme.example", true, "INVITATION_NOT_PENDING", Some("INVITATION_NOT_PENDING")),
            (&revoked, "dan@acme.example", true, "INVITATION_NOT_PENDING", Some("INVITATION_NOT_PENDING")),
            (&replaced, "fay@acme.example", true, "INVITATION_NOT_PENDING", Some("INVITATION_NOT_PENDING")),
            (&elsewhere, "bea@acme.example", true, "INVITATION_NOT_FOUND", Some("INVITATION_NOT_FOUND")),
            (&nowhere, "bea@acme.example", true, "ORG_NOT_FOUND", Some("ORG_NOT_FOUND")),
        ];
        server
            .storing_nothing(async {
                for (invitation, email, email_verified, of_accepting, of_revoking) in cases {
                    for (user, validate_only) in [("new", false), ("cid", false), ("new", true)] {
                        let accepting = project.accepting(invitation, user, email);
                        let accepting = wire::AcceptInvitationRequest { email_verified, validate_only, ..accepting };
                        refused(server.accept_invitation(accepting).await, of_accepting);
                    }
                    let Some(reason) = of_revoking else { continue };
                    refused(server.revoke_invitation(project.revoking(invitation, "")).await, reason);
                }
                for invitation in [&accepted, &revoked, &replaced] {
                    let by_owner = server.revoke_invitation(project.revoking(invitation, "ann")).await;
                    refused(by_owner, "INVITATION_NOT_PENDING");
                }
                // Users who may not invite do not learn which invitations there are.
                for invitation in [&pending, &accepted] {
                    let by_member = server.revoke_invitation(project.revoking(invitation, "mia")).await;
                    refused(by_member, "ACTING_USER_MISSING_PERMISSION");
                }
            })
            .await;
        assert_eq!(project.state_of(&pending).await, InvitationState::Pending);
        assert_eq!(shown(&project.accept(&pending, "bea").await), "Member live");
    });
}

#[test]
fn v2_an_acting_user_does_not_learn_of_a_settled_invitation_to_a_role_out_of_scope() {
    on_both(async |server| {
        let project = acme(server).await;
        for role in ["Support", "Owner"] {
            let accepted = project.invite("acme", &format!("{role}@acme.example"), &[role]).await;
            project.accept(&accepted, &format!("new{role}")).await;
            server
                .storing_nothing(async {
                    let by = |acting: &str| server.revoke_invitation(project.revoking(&accepted, acting));
                    refused(by("").await, "INVITATION_NOT_PENDING");
                    refused(by("abe").await, "INVITATION_NOT_FOUND");
                    let of_owner = if role == "Owner" { "INVITATION_NOT_PENDING" } else { "INVITATION_NOT_FOUND" };
                    refused(by("ann").await, of_owner);
                })
                .await;
        }
    });
}

#[test]
fn v2_an_expired_invitation_is_neither_accepted_nor_revoked_and_keeps_no_address() {
    on_both(async |server| {
        let project = acme(server).await;
        let soon = soon();
        let inviting = wire::CreateInvitationRequest {
            expire_time: Some(soon),
            ..project.inviting("acme", "bea@acme.example", &["Admin"])
        };
        let expired = server.create_invitation(inviting).await.unwrap().invitation.unwrap();
        wait_until(&soon).await;
        server
            .storing_nothing(async {
                let accepting = project.accepting(&expired, "bea", "bea@acme.example");
                let answer = refused(server.accept_invitation(accepting).await, "INVITATION_EXPIRED");
                assert_eq!(answer.metadata("rule"), "V3");
                for acting in ["", "ann"] {
                    let revoking = project.revoking(&expired, acting);
                    refused(server.revoke_invitation(revoking).await, "INVITATION_NOT_PENDING");
                }
            })
            .await;
        let second = project.invite("acme", "bea@acme.example", &["Member"]).await;
        // The first one now is in the database only.
        let first = project.invitation(&expired, "").await.unwrap();
        assert_eq!((first.state(), first.acceptable, first.settle_time), (InvitationState::Expired, false, None));
        server
            .storing_nothing(async {
                let accepting = project.accepting(&expired, "bea", "bea@acme.example");
                refused(server.accept_invitation(accepting).await, "INVITATION_NOT_PENDING");
                refused(server.revoke_invitation(project.revoking(&expired, "")).await, "INVITATION_NOT_PENDING");
            })
            .await;
        assert_eq!(shown(&project.accept(&second, "bea").await), "Member live");
    });
}

#[test]
fn v3_invitations_go_with_their_org_and_follow_their_role() {
    on_both(async |server| {
        let project = acme(server).await;
        project.role("Editor").await;
        project.org("globex", "").await;
        let followed = project.invite("acme", "bea@acme.example", &["Editor"]).await;
        let pending = project.invite("globex", "cid@acme.example", &["Member"]).await;
        let accepted = project.invite("globex", "dan@acme.example", &["Member"]).await;
        project.accept(&accepted, "dan").await;
        project.delete_role("Editor", "Member").await;
        assert_eq!(shown(&project.accept(&followed, "bea").await), "Member live");

        let delete = wire::DeleteOrgRequest { org_id: "globex".into(), ..Default::default() };
        server.delete_org(delete).await.unwrap();
        let all_refused = async |reason: &str| {
            for invitation in [&pending, &accepted] {
                let accepting = project.accepting(invitation, "new", &invitation.email);
                refused(server.accept_invitation(accepting).await, reason);
                refused(server.revoke_invitation(project.revoking(invitation, "")).await, reason);
                refused(project.invitation(invitation, "").await, reason);
            }
        };
        server.storing_nothing(all_refused("ORG_NOT_FOUND")).await;
        let again = wire::CreateOrgRequest { org_id: "globex".into(), reuse_deleted_id: true, ..Default::default() };
        server.create_org(again).await.unwrap();
        server.settled().await;
        all_refused("INVITATION_NOT_FOUND").await;
        assert!(project.invited("globex", "", &[]).await.is_empty());
    });
}

#[test]
fn u1_blocked_users_neither_accept_nor_invite() {
    on_both(async |server| {
        let project = acme(server).await;
        let own = project.invite("acme", "bea@acme.example", &["Member"]).await;
        let of_admin = project.invite_by("abe", "acme", "cid@acme.example", &["Member"]).await.unwrap();
        for user in ["bea", "abe"] {
            block(server, user).await;
        }
        server
            .storing_nothing(async {
                let accepting = project.accepting(&own, "bea", "bea@acme.example");
                let answer = refused(server.accept_invitation(accepting).await, "USER_NOT_AVAILABLE");
                assert_eq!(answer.subjects(), ["users/bea"]);
                let accepting = project.accepting(&of_admin, "cid", "cid@acme.example");
                refused(server.accept_invitation(accepting).await, "INVITER_MAY_NOT");
                let inviting = project.invite_by("abe", "acme", "dan@acme.example", &["Member"]).await;
                refused(inviting, "ACTING_USER_BLOCKED");
                refused(server.revoke_invitation(project.revoking(&own, "abe")).await, "ACTING_USER_BLOCKED");
                refused(project.invitation(&own, "abe").await, "VIEWER_BLOCKED");
            })
            .await;
        let shown_invitation = project.invitation(&of_admin, "").await.unwrap();
        assert_eq!(shown_invitation.unacceptable_reason(), ErrorReason::InviterMayNot);
        for user_id in ["bea", "abe"] {
            let unblock = wire::UnblockUserRequest { user_id: user_id.into(), ..Default::default() };
            server.unblock_user(unblock).await.unwrap();
        }
        assert_eq!(shown(&project.accept(&own, "bea").await), "Member live");
        assert_eq!(shown(&project.accept(&of_admin, "cid").await), "Member live");
    });
}
