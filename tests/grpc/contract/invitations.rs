//! Requests of invitations.

use prost::Message;
use rolecall::wire;

use super::Sent;
use crate::fixture::{in_an_hour, texts};

/// Returns the requests of InvitationService. The first of two pending invitations is accepted, the second revoked.
pub fn requests(token: &str, first: &str, second: &str) -> Vec<Sent> {
    let project = || "default".to_string();
    let org_id = || "acme".to_string();
    let reason = || "because".to_string();
    let at_least = wire::consistency::Requirement::AtLeast(token.into());
    let consistency = || Some(wire::Consistency { requirement: Some(at_least.clone()) });
    vec![
        (
            "rolecall.v1.InvitationService/CreateInvitation",
            wire::CreateInvitationRequest {
                project: project(),
                org_id: org_id(),
                email: "third@acme.example".into(),
                roles: texts(&["Member"]),
                expire_time: Some(in_an_hour()),
                replace: true,
                request_id: "request-invitation".into(),
                reason: reason(),
                acting_user_id: "olga".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.InvitationService/BatchCreateInvitations",
            wire::BatchCreateInvitationsRequest {
                project: project(),
                org_id: org_id(),
                rows: vec![wire::NewInvitation {
                    email: "fourth@acme.example".into(),
                    roles: texts(&["Member"]),
                    expire_time: Some(in_an_hour()),
                    replace: true,
                }],
                request_id: "request-invitations".into(),
                reason: reason(),
                acting_user_id: "olga".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.InvitationService/GetInvitation",
            wire::GetInvitationRequest {
                project: project(),
                org_id: org_id(),
                invitation_id: first.into(),
                consistency: consistency(),
                viewer_user_id: "olga".into(),
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.InvitationService/ListInvitations",
            wire::ListInvitationsRequest {
                project: project(),
                org_id: org_id(),
                states: vec![wire::InvitationState::Pending.into(), wire::InvitationState::Revoked.into()],
                consistency: consistency(),
                viewer_user_id: "olga".into(),
                page_size: 10,
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.InvitationService/AcceptInvitation",
            wire::AcceptInvitationRequest {
                project: project(),
                org_id: org_id(),
                invitation_id: first.into(),
                user_id: "guy".into(),
                email: "first@acme.example".into(),
                email_verified: true,
                request_id: "request-acceptance".into(),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.InvitationService/RevokeInvitation",
            wire::RevokeInvitationRequest {
                project: project(),
                org_id: org_id(),
                invitation_id: second.into(),
                request_id: "request-revocation".into(),
                reason: reason(),
                acting_user_id: "olga".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
    ]
}
