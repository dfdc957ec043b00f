//! The moves, and the right answers after each.

use std::fmt;
use std::time::{Duration, Instant};

use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::grpc::generated::subscription_service_client::SubscriptionServiceClient;
use rolecall::wire::{self, Decision, DisabledRoleStrategy, OnDisabled, batch_subscribe_orgs_request::Target};
use tonic::transport::Channel;

use crate::load::{ADMIN, BILLING, FREE, Loaded, MANAGE, MEMBER, PAID, org_id};
use crate::refused;

/// Checks per batch.
const BATCH: usize = 10_000;

#[derive(Clone, Copy)]
pub enum Move {
    Suspend,
    BackFromSuspend,
    Remap,
    BackFromRemap,
}

/// How long a move took, and what it changed.
pub struct Moved {
    pub took: Duration,
    pub impact: wire::Impact,
}

/// A role, and for how many members it was given, removed, suspended and reactivated.
pub type Counts = (String, [i32; 4]);

pub fn counts(role: &wire::RoleImpact) -> Counts {
    (role.role.clone(), [role.given, role.removed, role.suspended, role.reactivated])
}

/// Moves all orgs in one commit. With `validate_only` it only previews the move.
pub async fn run(channel: Channel, loaded: &Loaded, step: Move, validate_only: bool) -> Result<Moved, String> {
    let request = wire::BatchSubscribeOrgsRequest {
        project: loaded.project.clone(),
        org_ids: (0..loaded.sizes.orgs).map(org_id).collect(),
        target: Some(Target::RoleMapping(step.to().into())),
        on_disabled: step.on_disabled(),
        validate_only,
        ..Default::default()
    };
    let start = Instant::now();
    let moved = SubscriptionServiceClient::new(channel).batch_subscribe_orgs(request).await.map_err(refused)?;
    let took = start.elapsed();
    let moved = moved.into_inner();
    if moved.moved as usize != loaded.sizes.orgs {
        return Err(format!("{step}: {} orgs moved", moved.moved));
    }
    Ok(Moved { took, impact: moved.impact.unwrap_or_default() })
}

/// Checks every Admin and Billing after a move. Returns an error if an answer is wrong.
pub async fn check_managers(channel: Channel, loaded: &Loaded, step: Move) -> Result<(), String> {
    let mut client = CheckServiceClient::new(channel);
    let managers = (0..loaded.watched.users).filter(|user| (1..=3).contains(&(user % loaded.sizes.org_members)));
    let managers: Vec<usize> = managers.collect();
    for users in managers.chunks(BATCH) {
        let item = |user: &usize| wire::CheckItem {
            org_id: org_id(user / loaded.sizes.org_members),
            user_id: format!("u{user}"),
            permission: MANAGE.into(),
        };
        let items = users.iter().map(item).collect();
        let request = wire::BatchCheckRequest { project: loaded.project.clone(), items, ..Default::default() };
        let answer = client.batch_check(request).await.map_err(refused)?.into_inner();
        if let Some(wrong) = answer.decisions.iter().find(|decision| **decision != step.decision() as i32) {
            return Err(format!("after {step} a check returned {wrong}, not {:?}", step.decision()));
        }
    }
    Ok(())
}

impl Move {
    fn to(self) -> &'static str {
        match self {
            Self::Suspend | Self::Remap => FREE,
            Self::BackFromSuspend | Self::BackFromRemap => PAID,
        }
    }

    fn on_disabled(self) -> Option<OnDisabled> {
        let to_member = |role: &str| wire::RoleReplacement { role: role.into(), replacement: MEMBER.into() };
        match self {
            Self::Suspend => Some(OnDisabled {
                strategy: DisabledRoleStrategy::Suspend as i32,
                fallback_role: MEMBER.into(),
                ..Default::default()
            }),
            Self::Remap => Some(OnDisabled {
                strategy: DisabledRoleStrategy::Remap as i32,
                replacements: vec![to_member(ADMIN), to_member(BILLING)],
                ..Default::default()
            }),
            Self::BackFromSuspend | Self::BackFromRemap => None,
        }
    }

    /// Returns the expected impact on roles. Members with a temporary role are already Members, so Member is not given to them.
    pub fn expected(self, loaded: &Loaded) -> Vec<Counts> {
        let (orgs, temporary) = (loaded.sizes.orgs as i32, loaded.sizes.temporary as i32);
        let (admins, billing) = (2 * orgs + temporary, orgs);
        let all = |counts: [[i32; 4]; 3]| {
            let roles = [ADMIN, BILLING, MEMBER].into_iter().zip(counts);
            roles.map(|(role, counts)| (role.to_owned(), counts)).collect()
        };
        match self {
            Self::Suspend => all([[0, 0, admins, 0], [0, 0, billing, 0], [3 * orgs, 0, 0, 0]]),
            Self::BackFromSuspend => all([[0, 0, 0, admins], [0, 0, 0, billing], [0, 3 * orgs, 0, 0]]),
            Self::Remap => all([[0, admins, 0, 0], [0, billing, 0, 0], [3 * orgs, 0, 0, 0]]),
            Self::BackFromRemap => Vec::new(),
        }
    }

    /// Returns the right answer for Admins and Billing after the move, for the permission that only their roles granted.
    fn decision(self) -> Decision {
        match self {
            Self::Suspend => Decision::RoleDisabled,
            Self::BackFromSuspend => Decision::Allowed,
            Self::Remap | Self::BackFromRemap => Decision::MissingPermission,
        }
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Suspend => "to Free with SUSPEND and a fallback role",
            Self::BackFromSuspend => "back to Paid",
            Self::Remap => "to Free with REMAP",
            Self::BackFromRemap => "back to Paid, which reactivates nothing",
        })
    }
}
