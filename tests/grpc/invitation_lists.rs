//! Lists of invitations: pages while others write (B4), filters, and what viewers see (I2).

use rolecall::engine::Token;
use rolecall::limits::{LIST_READS_MAX, PAGE_SIZE_MAX};
use rolecall::wire::{self, InvitationState};

use crate::fixture::{Project, roles, soon, wait_until};
use crate::random::Random;
use crate::refusals::refused;
use crate::server::on_both;

const ALL: [InvitationState; 4] =
    [InvitationState::Pending, InvitationState::Accepted, InvitationState::Revoked, InvitationState::Expired];
const ROUNDS: usize = 12;

impl Project<'_> {
    fn listing_invitations(&self, viewer: &str, states: &[InvitationState]) -> wire::ListInvitationsRequest {
        wire::ListInvitationsRequest {
            project: self.key.into(),
            org_id: "acme".into(),
            viewer_user_id: viewer.into(),
            states: states.iter().map(|&state| state.into()).collect(),
            ..Default::default()
        }
    }
}

/// An accepted or revoked invitation moves from memory to the database. A list has it once (B4.a).
#[test]
fn b4_an_invitation_that_is_settled_during_the_listing_is_listed_exactly_once() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Owner"])).await;
        let (mut random, mut pending, mut expected) = (Random(7), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            for at in 0..3 {
                let invitation = project.invite("acme", &format!("i{round}-{at}@acme.example"), &[]).await;
                expected.push(invitation.email.clone());
                pending.push(invitation);
            }
            let viewer = ["", "ann"][round % 2];
            let (mut listed, mut page_token, mut last) = (Vec::new(), String::new(), 0);
            loop {
                let page_size = 1 + random.below(7) as i32;
                let listing = project.listing_invitations(viewer, &[]);
                let request = wire::ListInvitationsRequest { page_size, page_token, ..listing };
                let page = server.list_invitations(request).await.unwrap();
                let revision = Token::decode(&page.revision).unwrap().number;
                assert!(revision >= last && page.invitations.len() <= page_size as usize);
                (last, page_token) = (revision, page.next_page_token);
                listed.extend(page.invitations.into_iter().map(|invitation| invitation.email));
                if page_token.is_empty() {
                    break;
                }
                if !pending.is_empty() && random.below(2) == 0 {
                    let settled = pending.swap_remove(random.below(pending.len()));
                    match random.below(2) {
                        0 => drop(project.accept(&settled, &settled.email).await),
                        _ => drop(server.revoke_invitation(project.revoking(&settled, "")).await.unwrap()),
                    }
                }
            }
            assert_eq!(listed, expected, "round {round}");
        }
    });
}

#[test]
fn v2_lists_are_filtered_by_the_state_of_the_moment() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let soon = soon();
        for email in ["expires@acme.example", "swept@acme.example"] {
            let inviting = project.inviting("acme", email, &[]);
            let inviting = wire::CreateInvitationRequest { expire_time: Some(soon), ..inviting };
            server.create_invitation(inviting).await.unwrap();
        }
        let accepted = project.invite("acme", "accepted@acme.example", &[]).await;
        project.accept(&accepted, "bea").await;
        let revoked = project.invite("acme", "revoked@acme.example", &[]).await;
        server.revoke_invitation(project.revoking(&revoked, "")).await.unwrap();
        wait_until(&soon).await;
        project.invite("acme", "swept@acme.example", &[]).await;
        let listed = async |states: &[InvitationState]| project.invited("acme", "", states).await.join(" ");
        let of = |names: &[&str]| names.iter().map(|name| format!("{name}@acme.example")).collect::<Vec<_>>().join(" ");
        assert_eq!(listed(&[]).await, of(&["expires", "swept", "accepted", "revoked", "swept"]));
        let each = ALL.map(|state| [state]);
        assert_eq!(listed(&each[0]).await, of(&["swept"]));
        assert_eq!(listed(&each[1]).await, of(&["accepted"]));
        assert_eq!(listed(&each[2]).await, of(&["revoked"]));
        assert_eq!(listed(&each[3]).await, of(&["expires", "swept"]));
        assert_eq!(listed(&[ALL[3], ALL[1]]).await, of(&["expires", "swept", "accepted"]));
    });
}

/// A page reads a bounded number of rows. The next page goes on after them.
#[test]
fn b4_a_page_that_leaves_out_many_invitations_ends_before_the_list() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let new = |at: usize| wire::NewInvitation {
            email: format!("u{at}@acme.example"),
            replace: true,
            ..Default::default()
        };
        // The second batch revokes the first one.
        for _ in 0..2 {
            let rows = (0..(LIST_READS_MAX * PAGE_SIZE_MAX as usize)).map(new).collect();
            let (project, org_id) = (project.key.into(), "acme".into());
            let request = wire::BatchCreateInvitationsRequest { project, org_id, rows, ..Default::default() };
            server.batch_create_invitations(request).await.unwrap();
        }
        let replacing = wire::CreateInvitationRequest { replace: true, ..project.inviting("acme", &new(0).email, &[]) };
        let last = server.create_invitation(replacing).await.unwrap().invitation.unwrap();
        project.accept(&last, "bea").await;
        let accepted = project.listing_invitations("", &ALL[1..2]);
        let first = server.list_invitations(accepted.clone()).await.unwrap();
        assert_eq!(first.invitations, []);
        let next = wire::ListInvitationsRequest { page_token: first.next_page_token, ..accepted };
        let next = server.list_invitations(next).await.unwrap();
        assert_eq!(next.invitations.iter().map(|it| &it.email).collect::<Vec<_>>(), [&new(0).email]);
        assert_eq!(next.next_page_token, "");
    });
}

#[test]
fn b4_a_page_token_of_invitations_is_bound_to_its_list() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.org("globex", "").await;
        project.add("acme", "ann", &roles(&["Owner"])).await;
        for at in 0..3 {
            project.invite("acme", &format!("u{at}@acme.example"), &[]).await;
        }
        let first = wire::ListInvitationsRequest { page_size: 1, ..project.listing_invitations("", &[]) };
        let page_token = server.list_invitations(first.clone()).await.unwrap().next_page_token;
        let next = wire::ListInvitationsRequest { page_token, page_size: 2, ..first };
        assert_eq!(server.list_invitations(next.clone()).await.unwrap().invitations.len(), 2);
        let others = [
            wire::ListInvitationsRequest { org_id: "globex".into(), ..next.clone() },
            wire::ListInvitationsRequest { viewer_user_id: "ann".into(), ..next.clone() },
            wire::ListInvitationsRequest { states: vec![InvitationState::Pending.into()], ..next.clone() },
        ];
        for other in others {
            assert_eq!(refused(server.list_invitations(other).await, "PAGE_TOKEN_INVALID").fields(), ["page_token"]);
        }
        // An org that reuses the id is another one (S5).
        project.delete_org("acme").await;
        let again = wire::CreateOrgRequest { org_id: "acme".into(), reuse_deleted_id: true, ..Default::default() };
        server.create_org(again).await.unwrap();
        refused(server.list_invitations(next).await, "PAGE_TOKEN_INVALID");
    });
}

#[test]
fn i2_viewers_learn_neither_of_internal_inviters_nor_of_users_whom_they_may_not_see() {
    on_both(async |server| {
        let project = server.single();
        // Highest, so that it manages all visible roles.
        let support = wire::CreateRoleRequest {
            name: "Support".into(),
            internal: true,
            placement: Some(wire::create_role_request::Placement::Above("Owner".into())),
            ..Default::default()
        };
        server.create_role(support).await.unwrap();
        project.role("Recruiter").await;
        for role in ["Support", "Recruiter"] {
            project.grant("Default", role, &["rolecall::can_invite"]).await;
        }
        let mut order = project.role_order().await;
        order.sort_by_key(|role| ["Support", "Owner", "Admin", "Recruiter", "Member"].iter().position(|it| it == role));
        let order = wire::ReorderRolesRequest { role_order: order, ..Default::default() };
        server.reorder_roles(order).await.unwrap();
        project.org("acme", "").await;
        for (user, role) in [("ann", "Owner"), ("abe", "Admin"), ("rob", "Recruiter"), ("sue", "Support")] {
            project.add("acme", user, &roles(&[role])).await;
        }
        let mut invited = Vec::new();
        for inviter in ["sue", "abe", "rob"] {
            let email = format!("by-{inviter}@acme.example");
            invited.push(project.invite_by(inviter, "acme", &email, &["Member"]).await.unwrap());
        }
        let inviters = async |viewer: &str| {
            let page = server.list_invitations(project.listing_invitations(viewer, &[])).await.unwrap();
            let mut inviters = Vec::new();
            for listed in page.invitations {
                assert_eq!(project.invitation(&listed, viewer).await.unwrap(), listed);
                inviters.push(listed.inviter_user_id);
            }
            inviters.join(",")
        };
        assert_eq!(inviters("").await, "sue,abe,rob");
        assert_eq!(inviters("ann").await, ",abe,rob");
        // Rob may not view other members.
        assert_eq!(inviters("rob").await, ",,rob");
        refused(server.list_invitations(project.listing_invitations("sue2", &[])).await, "VIEWER_NOT_A_MEMBER");
        // A former member is unknown.
        let removing = wire::RemoveMemberRequest { keep_invitations: true, ..project.removing("acme", "abe") };
        server.remove_member(removing).await.unwrap();
        assert_eq!(inviters("ann").await, ",,rob");
        // Whether an internal inviter may still invite is unknown too.
        let removing = wire::RemoveMemberRequest { keep_invitations: true, ..project.removing("acme", "sue") };
        server.remove_member(removing).await.unwrap();
        let by_sue = project.invitation(&invited[0], "ann").await.unwrap();
        assert_eq!((by_sue.acceptable, by_sue.unacceptable_reason), (true, 0));
        assert!(!project.invitation(&invited[0], "").await.unwrap().acceptable);
        // Who accepted is shown as any member is.
        project.accept(&invited[2], "bea").await;
        for (viewer, shown) in [("", "bea"), ("ann", "bea"), ("rob", "")] {
            assert_eq!(project.invitation(&invited[2], viewer).await.unwrap().accepted_user_id, shown, "{viewer:?}");
        }
    });
}
