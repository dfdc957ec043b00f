//! Lists of invitations: pages while others write (B4), filters, and what viewers see (I2).

use std::collections::BTreeMap;

use rolecall::engine::Token;
use rolecall::limits::{LIST_READS_MAX, PAGE_SIZE_MAX};
use rolecall::wire::{self, InvitationState};

use crate::fixture::{Project, roles, soon, wait_until};
use crate::refusals::refused;
use crate::server::{Server, on_both};

const ALL: [InvitationState; 4] =
    [InvitationState::Pending, InvitationState::Accepted, InvitationState::Revoked, InvitationState::Expired];
const ROUNDS: u64 = 12;

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

/// Numbers that depend on the seed only.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Creates, accepts, revokes and replaces invitations, but none whose address contains `stays`.
async fn write_something(server: &Server, random: &mut Random, number: &mut u64) {
    let project = server.single();
    *number += 1;
    let role = ["Member", "Admin", "Owner"][random.below(3) as usize];
    let created = project.invite("acme", &format!("new{number}@acme.example"), &[role]).await;
    match random.below(4) {
        0 => drop(project.accept(&created, &format!("user-{number}")).await),
        1 => drop(server.revoke_invitation(project.revoking(&created, "")).await.unwrap()),
        2 => {
            let replacing = project.inviting("acme", &created.email, &["Member"]);
            server.create_invitation(wire::CreateInvitationRequest { replace: true, ..replacing }).await.unwrap();
        }
        _ => {}
    }
}

/// What exists during the whole listing appears exactly once, even if it is accepted or revoked meanwhile (B4.a).
#[test]
fn b4_pages_of_invitations_are_complete_while_others_write() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        for (user, role) in [("ann", "Owner"), ("abe", "Admin")] {
            project.add("acme", user, &roles(&[role])).await;
        }
        let (mut random, mut number) = (Random(7), 0);
        let mut stays: BTreeMap<String, InvitationState> = BTreeMap::new();
        for at in 0..12 {
            let invitation = project.invite("acme", &format!("stays{at}@acme.example"), &["Member"]).await;
            match at % 3 {
                0 => drop(project.accept(&invitation, &format!("member-{at}")).await),
                1 => drop(server.revoke_invitation(project.revoking(&invitation, "")).await.unwrap()),
                _ => {}
            }
            stays.insert(invitation.email.clone(), ALL[[1, 2, 0][at % 3]]);
            write_something(server, &mut random, &mut number).await;
        }
        for round in 0..ROUNDS {
            let viewer = ["", "ann", "abe"][(round % 3) as usize];
            let states: &[InvitationState] = match round % 4 {
                0 | 1 => &[],
                2 => &ALL[..2],
                _ => &ALL[2..3],
            };
            // It is settled after some page.
            let moving = project.invite("acme", &format!("moving{round}@acme.example"), &["Member"]).await;
            let settled_after = random.below(6);
            let (mut pages, mut seen, mut page_token) = (0, Vec::new(), String::new());
            let mut last = 0;
            loop {
                let page_size = 1 + random.below(7) as i32;
                let request = wire::ListInvitationsRequest {
                    page_size,
                    page_token,
                    ..project.listing_invitations(viewer, states)
                };
                let page = server.list_invitations(request).await.unwrap();
                let revision = Token::decode(&page.revision).unwrap().number;
                assert!(revision >= last && page.invitations.len() <= page_size as usize);
                last = revision;
                seen.extend(page.invitations);
                if page.next_page_token.is_empty() {
                    break;
                }
                page_token = page.next_page_token;
                if pages == settled_after {
                    server.revoke_invitation(project.revoking(&moving, "")).await.unwrap();
                }
                pages += 1;
                write_something(server, &mut random, &mut number).await;
            }
            assert!(seen.is_sorted_by(|one, next| one.invitation_id < next.invitation_id), "each appears once, by id");
            assert!(seen.iter().all(|it| states.is_empty() || states.contains(&it.state())));
            assert!(viewer != "abe" || seen.iter().all(|it| it.roles == ["Member"]));
            let listed: Vec<&str> = seen.iter().map(|it| it.email.as_str()).collect();
            for (email, state) in &stays {
                let expected = usize::from(states.is_empty() || states.contains(state));
                assert_eq!(listed.iter().filter(|it| *it == email).count(), expected, "{email} in round {round}");
            }
            if states.is_empty() {
                assert_eq!(listed.iter().filter(|it| **it == moving.email).count(), 1, "round {round}");
            }
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
