//! Invitations: V1 to V3, V5.

use rolecall::wire::{self, ErrorReason, InvitationState, MembershipOrigin};
use tonic::Status;

use crate::fixture::{Project, remapping, role, roles, shown};
use crate::refusals::refused;
use crate::server::on_both;

impl Project<'_> {
    pub fn inviting(&self, org: &str, email: &str, names: &[&str]) -> wire::CreateInvitationRequest {
        wire::CreateInvitationRequest {
            project: self.key.into(),
            org_id: org.into(),
            email: email.into(),
            roles: names.iter().map(ToString::to_string).collect(),
            ..Default::default()
        }
    }

    pub async fn invite(&self, org: &str, email: &str, names: &[&str]) -> wire::Invitation {
        self.server.create_invitation(self.inviting(org, email, names)).await.unwrap().invitation.unwrap()
    }

    pub async fn invite_by(
        &self,
        acting: &str,
        org: &str,
        email: &str,
        names: &[&str],
    ) -> Result<wire::Invitation, Status> {
        let acting_user_id = acting.into();
        let request = wire::CreateInvitationRequest { acting_user_id, ..self.inviting(org, email, names) };
        Ok(self.server.create_invitation(request).await?.invitation.unwrap())
    }

    pub fn accepting(&self, invitation: &wire::Invitation, user: &str, email: &str) -> wire::AcceptInvitationRequest {
        wire::AcceptInvitationRequest {
            project: self.key.into(),
            org_id: invitation.org_id.clone(),
            invitation_id: invitation.invitation_id.clone(),
            user_id: user.into(),
            email: email.into(),
            email_verified: true,
            ..Default::default()
        }
    }

    pub async fn accept(&self, invitation: &wire::Invitation, user: &str) -> wire::Member {
        let request = self.accepting(invitation, user, &invitation.email);
        self.server.accept_invitation(request).await.unwrap().member.unwrap()
    }

    pub fn revoking(&self, invitation: &wire::Invitation, acting: &str) -> wire::RevokeInvitationRequest {
        wire::RevokeInvitationRequest {
            project: self.key.into(),
            org_id: invitation.org_id.clone(),
            invitation_id: invitation.invitation_id.clone(),
            acting_user_id: acting.into(),
            ..Default::default()
        }
    }

    pub async fn invitation(&self, invitation: &wire::Invitation, viewer: &str) -> Result<wire::Invitation, Status> {
        let request = wire::GetInvitationRequest {
            project: self.key.into(),
            org_id: invitation.org_id.clone(),
            invitation_id: invitation.invitation_id.clone(),
            viewer_user_id: viewer.into(),
            ..Default::default()
        };
        Ok(self.server.get_invitation(request).await?.invitation.unwrap())
    }

    pub async fn state_of(&self, invitation: &wire::Invitation) -> InvitationState {
        self.invitation(invitation, "").await.unwrap().state()
    }

    /// Returns the addresses of all pages of one invitation each.
    pub async fn invited(&self, org: &str, viewer: &str, states: &[InvitationState]) -> Vec<String> {
        let (mut emails, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = wire::ListInvitationsRequest {
                project: self.key.into(),
                org_id: org.into(),
                viewer_user_id: viewer.into(),
                states: states.iter().map(|&state| state.into()).collect(),
                page_size: 1,
                page_token,
                ..Default::default()
            };
            let page = self.server.list_invitations(request).await.unwrap();
            emails.extend(page.invitations.into_iter().map(|invitation| invitation.email));
            if page.next_page_token.is_empty() {
                return emails;
            }
            page_token = page.next_page_token;
        }
    }
}

#[test]
fn v1_an_address_has_one_pending_invitation_unless_it_is_replaced() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let first = project.invite("acme", "Bea+x@ACME.example", &["Admin"]).await;
        assert_eq!((first.email.as_str(), first.state()), ("bea+x@acme.example", InvitationState::Pending));
        assert!(first.acceptable);
        let days = first.expire_time.unwrap().seconds - first.create_time.unwrap().seconds;
        assert!((7 * 86_400 - 5..=7 * 86_400).contains(&days), "{days}");
        let again = project.inviting("acme", "bea+x@acme.example", &[]);
        let answer = server.storing_nothing(server.create_invitation(again.clone())).await;
        refused(answer, "INVITATION_ALREADY_EXISTS");
        let replacing = wire::CreateInvitationRequest { replace: true, ..again };
        let second = server.create_invitation(replacing).await.unwrap().invitation.unwrap();
        assert_eq!(second.roles, ["Member"], "the default role");
        assert_eq!(project.state_of(&first).await, InvitationState::Revoked);
        assert_eq!(project.state_of(&second).await, InvitationState::Pending);
    });
}

#[test]
fn v1_malformed_invitations_are_refused() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.disable("Default", &["Admin"]).await;
        server
            .storing_nothing(async {
                let long = format!("{}@acme.example", "l".repeat(243));
                for email in ["", "bea", "bea@b@acme.example", "\"bea\"@acme.example", "bea@acme..example", &long] {
                    let answer = server.create_invitation(project.inviting("acme", email, &[])).await;
                    assert_eq!(refused(answer, "INVALID_FIELD").fields(), ["email"], "{email}");
                }
                let asked =
                    |names: &[&str]| server.create_invitation(project.inviting("acme", "b@acme.example", names));
                refused(asked(&["Ghost"]).await, "ROLE_NOT_FOUND");
                refused(asked(&["Admin"]).await, "ROLE_DISABLED");
                refused(asked(&["Owner", "Owner"]).await, "REPEATED_ROLE");
                refused(asked(&["Owner", "Member"]).await, "TOO_MANY_ROLES");
                for (days, reason) in [(-1, "END_IN_THE_PAST"), (91, "INVITATION_EXPIRY_TOO_LATE")] {
                    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
                    let seconds = now.as_secs() as i64 + days * 86_400;
                    let expire_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
                    let inviting = project.inviting("acme", "b@acme.example", &[]);
                    let answer =
                        server.create_invitation(wire::CreateInvitationRequest { expire_time, ..inviting }).await;
                    assert_eq!(refused(answer, reason).fields(), ["expire_time"]);
                }
            })
            .await;
    });
}

#[test]
fn v2_an_invitation_is_accepted_once_by_its_verified_address() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let invitation = project.invite("acme", "bea@acme.example", &["Admin"]).await;
        server
            .storing_nothing(async {
                let other = project.accepting(&invitation, "bea", "cid@acme.example");
                refused(server.accept_invitation(other).await, "EMAIL_MISMATCH");
                let accepting = project.accepting(&invitation, "bea", "bea@acme.example");
                let unverified = wire::AcceptInvitationRequest { email_verified: false, ..accepting };
                refused(server.accept_invitation(unverified).await, "EMAIL_NOT_VERIFIED");
            })
            .await;
        let member = project.accept(&invitation, "bea").await;
        assert_eq!((shown(&member).as_str(), member.origin()), ("Admin live", MembershipOrigin::Invitation));
        let accepted = project.invitation(&invitation, "").await.unwrap();
        assert_eq!((accepted.state(), accepted.accepted_user_id.as_str()), (InvitationState::Accepted, "bea"));
        server
            .storing_nothing(async {
                let again = project.accepting(&invitation, "cid", "bea@acme.example");
                refused(server.accept_invitation(again).await, "INVITATION_NOT_PENDING");
                let revoking = project.revoking(&invitation, "");
                refused(server.revoke_invitation(revoking).await, "INVITATION_NOT_PENDING");
                let unknown =
                    wire::Invitation { invitation_id: "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5".into(), ..accepted };
                refused(project.invitation(&unknown, "").await, "INVITATION_NOT_FOUND");
                refused(server.revoke_invitation(project.revoking(&unknown, "")).await, "INVITATION_NOT_FOUND");
            })
            .await;
        let server = server.restarted().await;
        let project = server.single();
        assert_eq!(project.state_of(&invitation).await, InvitationState::Accepted);
        server.stop().await;
    });
}

#[test]
fn v3_acceptance_judges_the_present_state_again() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Owner"])).await;
        project.add("acme", "abe", &roles(&["Admin"])).await;
        let by_role = project.invite("acme", "bea@acme.example", &["Admin"]).await;
        let by_inviter = project.invite_by("abe", "acme", "cid@acme.example", &["Member"]).await.unwrap();
        project.disable("Default", &["Admin"]).await;
        let waiting = project.invitation(&by_role, "").await.unwrap();
        assert_eq!((waiting.acceptable, waiting.unacceptable_reason()), (false, ErrorReason::RoleDisabled));
        let waiting = project.invitation(&by_inviter, "").await.unwrap();
        assert_eq!((waiting.acceptable, waiting.unacceptable_reason()), (false, ErrorReason::InviterMayNot));
        server
            .storing_nothing(async {
                let bea = project.accepting(&by_role, "bea", "bea@acme.example");
                refused(server.accept_invitation(bea).await, "ROLE_DISABLED");
                let cid = project.accepting(&by_inviter, "cid", "cid@acme.example");
                refused(server.accept_invitation(cid).await, "INVITER_MAY_NOT");
            })
            .await;
        project.enable("Default", &["Admin"]).await;
        assert_eq!(shown(&project.accept(&by_role, "bea").await), "Admin live");
        assert_eq!(shown(&project.accept(&by_inviter, "cid").await), "Member live");
    });
}

#[test]
fn v3_a_member_gets_the_higher_role_if_the_inviter_manages_both_or_all_roles() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Owner"])).await;
        project.add("acme", "abe", &roles(&["Admin"])).await;
        project.add("acme", "bea", &[role("Member")]).await;
        project.add("acme", "cid", &[role("Admin")]).await;
        let higher = project.invite("acme", "bea@acme.example", &["Admin"]).await;
        assert_eq!(shown(&project.accept(&higher, "bea").await), "Admin live");
        let lower = project.invite_by("abe", "acme", "cid@acme.example", &["Member"]).await.unwrap();
        assert_eq!(shown(&project.accept(&lower, "cid").await), "Admin live");
        assert_eq!(project.state_of(&lower).await, InvitationState::Accepted);

        let project = server.multi().await;
        project.role("Editor").await;
        project.role("Reader").await;
        project.org("acme", "").await;
        project.add("acme", "bea", &[role("Editor")]).await;
        let more = project.invite("acme", "bea@acme.example", &["Reader"]).await;
        assert_eq!(shown(&project.accept(&more, "bea").await), "Editor live, Reader live");
    });
}

#[test]
fn i2_viewers_see_only_the_invitations_that_they_may_revoke() {
    on_both(async |server| {
        let project = server.single();
        project.internal_role("Support").await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Owner"])).await;
        project.add("acme", "abe", &roles(&["Admin"])).await;
        project.add("acme", "bob", &roles(&["Member"])).await;
        let owner = project.invite("acme", "owner@acme.example", &["Owner"]).await;
        let member = project.invite_by("ann", "acme", "member@acme.example", &["Member"]).await.unwrap();
        let internal = project.invite("acme", "support@acme.example", &["Support"]).await;
        let all = ["owner@acme.example", "member@acme.example", "support@acme.example"];
        assert_eq!(project.invited("acme", "", &[]).await, all);
        assert_eq!(project.invited("acme", "ann", &[]).await, all[..2]);
        assert_eq!(project.invited("acme", "abe", &[]).await, all[1..2]);
        assert_eq!(project.invitation(&member, "abe").await.unwrap().inviter_user_id, "ann");
        refused(project.invitation(&member, "bob").await, "VIEWER_MISSING_PERMISSION");
        refused(project.invitation(&member, "eve").await, "VIEWER_NOT_A_MEMBER");
        refused(project.invitation(&internal, "ann").await, "INVITATION_NOT_FOUND");
        server
            .storing_nothing(async {
                refused(server.revoke_invitation(project.revoking(&internal, "ann")).await, "INVITATION_NOT_FOUND");
                refused(server.revoke_invitation(project.revoking(&owner, "abe")).await, "ROLE_OUT_OF_SCOPE");
                let denied = "ACTING_USER_MISSING_PERMISSION";
                refused(server.revoke_invitation(project.revoking(&member, "bob")).await, denied);
                refused(project.invite_by("abe", "acme", "x@acme.example", &["Owner"]).await, "ROLE_OUT_OF_SCOPE");
                refused(project.invite_by("ann", "acme", "x@acme.example", &["Support"]).await, "ROLE_NOT_FOUND");
                let taken = project.invite_by("ann", "acme", "support@acme.example", &["Member"]).await;
                refused(taken, "USER_NOT_AVAILABLE");
            })
            .await;
        server.revoke_invitation(project.revoking(&member, "abe")).await.unwrap();
        assert_eq!(project.invited("acme", "", &[InvitationState::Pending]).await, [all[0], all[2]]);
        assert_eq!(project.invited("acme", "abe", &[InvitationState::Revoked]).await, all[1..2]);
        assert_eq!(project.invited("acme", "abe", &[]).await, all[1..2]);
    });
}

#[test]
fn v5_each_row_of_a_batch_has_its_own_result() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let row = |email: &str, names: &[&str]| wire::NewInvitation {
            email: email.into(),
            roles: names.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        let before = server.head().await;
        let request = wire::BatchCreateInvitationsRequest {
            org_id: "acme".into(),
            rows: vec![
                row("bea@acme.example", &["Admin"]),
                row("no address", &[]),
                row("cid@acme.example", &["Ghost"]),
                row("BEA@acme.example", &[]),
                row("dan@acme.example", &[]),
            ],
            request_id: "batch".into(),
            ..Default::default()
        };
        let answer = server.batch_create_invitations(request.clone()).await.unwrap();
        let reasons: Vec<_> = answer.results.iter().map(|result| result.reason()).collect();
        assert_eq!(
            reasons,
            [
                ErrorReason::Unspecified,
                ErrorReason::InvalidField,
                ErrorReason::RoleNotFound,
                ErrorReason::InvitationAlreadyExists,
                ErrorReason::Unspecified,
            ]
        );
        assert_eq!(answer.results[1].field, "email");
        assert_eq!(server.commits_since(before).await.len(), 1);
        let again = server.batch_create_invitations(request).await.unwrap();
        assert!(again.replayed);
        assert_eq!(again.results, answer.results);
        assert_eq!(project.invited("acme", "", &[]).await, ["bea@acme.example", "dan@acme.example"]);
    });
}

#[test]
fn v4_pending_invitations_follow_deleted_and_disabled_roles() {
    on_both(async |server| {
        let project = server.single();
        for name in ["Editor", "Author"] {
            project.role(name).await;
        }
        project.internal_role("Support").await;
        project.mapping("Other").await;
        project.org("acme", "").await;
        let editor = project.invite("acme", "editor@acme.example", &["Editor"]).await;
        let author = project.invite("acme", "author@acme.example", &["Author"]).await;
        let internal = project.invite("acme", "support@acme.example", &["Support"]).await;
        project.delete_role("Editor", "Admin").await;
        assert_eq!(project.invitation(&editor, "").await.unwrap().roles, ["Admin"]);
        project.delete_role("Support", "").await;
        assert_eq!(project.state_of(&internal).await, InvitationState::Revoked);

        let disabling = wire::UpdateRoleMappingRequest {
            name: "Default".into(),
            disable_roles: vec!["Author".into()],
            ..Default::default()
        };
        let rejected = refused(server.update_role_mapping(disabling.clone()).await, "ROLES_WOULD_BE_DISABLED");
        assert_eq!(rejected.metadata("invitations"), "1");
        let on_disabled = remapping(&[("Author", "Admin")], "");
        let disabling = wire::UpdateRoleMappingRequest { on_disabled, ..disabling };
        let impact = server.update_role_mapping(disabling).await.unwrap().impact.unwrap();
        assert_eq!((impact.orgs, impact.members, impact.invitations), (1, 0, 1));
        assert_eq!(project.invitation(&author, "").await.unwrap().roles, ["Admin"]);
        let server = server.restarted().await;
        let project = server.single();
        assert_eq!(project.invitation(&author, "").await.unwrap().roles, ["Admin"]);
        assert_eq!(shown(&project.accept(&editor, "eve").await), "Admin live");
        server.stop().await;
    });
}

#[test]
fn v6_the_invitations_of_a_removed_inviter_are_revoked_unless_they_are_kept() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Owner"])).await;
        let states = async |keep_invitations: bool| {
            project.add("acme", "abe", &roles(&["Admin"])).await;
            let own =
                project.invite_by("abe", "acme", &format!("own{keep_invitations}@acme.example"), &[]).await.unwrap();
            let other =
                project.invite_by("ann", "acme", &format!("other{keep_invitations}@acme.example"), &[]).await.unwrap();
            let removing = wire::RemoveMemberRequest { keep_invitations, ..project.removing("acme", "abe") };
            server.remove_member(removing).await.unwrap();
            let kept = project.invitation(&own, "").await.unwrap();
            assert!(!kept.acceptable, "the inviter may not invite any more");
            (kept.state(), project.state_of(&other).await)
        };
        assert_eq!(states(false).await, (InvitationState::Revoked, InvitationState::Pending));
        assert_eq!(states(true).await, (InvitationState::Pending, InvitationState::Pending));
    });
}
