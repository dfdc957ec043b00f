//! Changes of members while checks are measured. No check asks about these members.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::drive::Round;
use super::load::{Place, assigned, row, write};
use super::workload::Workload;
use crate::cli::client::{reason, trouble};
use crate::cli::trouble::{BUG, Trouble};
use crate::grpc::generated::membership_service_client::MembershipServiceClient;
use crate::wire::{ErrorReason, GetMemberRequest, MemberWrite, member_write::Write};

/// How often a call is made, and how often that is in a second.
const PERIOD: Duration = Duration::from_millis(20);
const CALLS_PER_SECOND: u64 = 50;
/// Calls in flight. The server commits those that wait together.
const CALLS: usize = 16;
/// Members are added in groups: all of a group exist, or none.
const GROUP: u64 = 1_000;

/// Gives members one of two roles in turn.
pub struct Writer {
    place: Place,
    /// Org and user.
    members: Vec<(String, String)>,
    /// No role mapping disables them.
    roles: [String; 2],
    rows_per_call: usize,
    next: usize,
    written: usize,
}

impl Writer {
    /// Prepares `rate` changes a second: one of each member. Adds the members that do not exist yet.
    pub async fn prepare(place: &Place, workload: &Workload, rate: u64) -> Result<Self, Trouble> {
        let enabled: Vec<usize> = workload.model.enabled_roles().collect();
        let [first, .., last] = enabled[..] else {
            return Err(Trouble::new(
                "the workload has no two roles that are enabled in every role mapping",
                "leave out --writes, or take another workload",
            ));
        };
        let roles = [first, last].map(|role| workload.model.roles[role].clone());
        let member = |number| (workload.org_id(number % workload.orgs), workload.unchecked_user_id(number));
        let members: Vec<(String, String)> = (0..rate.next_multiple_of(GROUP)).map(member).collect();
        for group in members.chunks(GROUP as usize) {
            if !exists(place, &group[0]).await? {
                write(place, group.iter().map(|member| change(member, Write::Add(assigned(&roles[1])))).collect())
                    .await?;
            }
        }
        let rows_per_call = rate.div_ceil(CALLS_PER_SECOND) as usize;
        Ok(Self { place: place.clone(), members, roles, rows_per_call, next: 0, written: 0 })
    }

    /// Writes while a round is measured. Returns also the changes of a second.
    pub async fn during(
        &mut self,
        round: impl Future<Output = Result<Round, Trouble>>,
    ) -> Result<(Round, f64), Trouble> {
        let (before, began) = (self.written, Instant::now());
        let round = tokio::select! {
            round = round => round?,
            error = self.run() => return Err(error),
        };
        Ok((round, (self.written - before) as f64 / began.elapsed().as_secs_f64()))
    }

    /// Writes until a write fails.
    async fn run(&mut self) -> Trouble {
        let mut ticks = tokio::time::interval(PERIOD);
        // Makes up for late calls: the rate is that of the whole round.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut calls = JoinSet::new();
        loop {
            tokio::select! {
                _ = ticks.tick(), if calls.len() < CALLS => {}
                Some(done) = calls.join_next() => match done {
                    Ok(Ok(())) => {
                        self.written += self.rows_per_call;
                        continue;
                    }
                    Ok(Err(trouble)) => return trouble,
                    Err(error) => return Trouble::new(format!("a write ended early: {error}"), BUG),
                }
            }
            let row = |number: usize| {
                let (turn, at) = (number / self.members.len(), number % self.members.len());
                change(&self.members[at], Write::Set(assigned(&self.roles[turn % 2])))
            };
            let rows: Vec<MemberWrite> = (self.next..self.next + self.rows_per_call).map(row).collect();
            self.next += self.rows_per_call;
            let place = self.place.clone();
            calls.spawn(async move { write(&place, rows).await });
        }
    }
}

fn change((org_id, user_id): &(String, String), write: Write) -> MemberWrite {
    row(org_id.clone(), user_id.clone(), write)
}

async fn exists(place: &Place, (org_id, user_id): &(String, String)) -> Result<bool, Trouble> {
    let request = GetMemberRequest {
        project: place.project.clone(),
        org_id: org_id.clone(),
        user_id: user_id.clone(),
        ..Default::default()
    };
    match MembershipServiceClient::new(place.channel.clone()).get_member(request).await {
        Ok(_) => Ok(true),
        Err(status) if reason(&status) == ErrorReason::MemberNotFound.as_str_name() => Ok(false),
        Err(status) => Err(trouble(&status, &place.remote.address)),
    }
}
