//! Subscriptions: the fact that an org uses a role mapping (S2).

use std::collections::{BTreeMap, BTreeSet};

use super::command::{BatchSubscribeOrgs, OnDisabled, SubscribeOrg, SubscribeTo};
use super::decide::{Draft, Outcome};
use super::id::{RoleId, RoleMappingId};
use super::org::Org;
use super::project::Project;
use super::refusal::{Refusal, Rows};
use super::{Change, Edit, Scoped, usage};

/// Moves one org to a role mapping, or back to the default one.
pub fn subscribe_org(draft: &mut Draft<'_>, command: &SubscribeOrg) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.org_id)?;
    let to = target(&project, &command.to)?;
    Move::new(to, command.on_disabled).org(draft, &project, org)?;
    Ok(Outcome::Subscription { org_id: command.org_id.clone(), role_mapping: project.role_mapping_name(to) })
}

/// Moves many orgs to one role mapping, all or none.
pub fn subscribe_orgs(draft: &mut Draft<'_>, command: &BatchSubscribeOrgs) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let to = target(&project, &command.to)?;
    let mut seen = BTreeSet::new();
    let mut rows = Rows::default();
    let (mut moved, mut unchanged) = (0, 0);
    let mut moves = Move::new(to, command.on_disabled);
    for (row, org_id) in command.org_ids.iter().enumerate() {
        if !seen.insert(org_id) {
            rows.push(row, Refusal::RepeatedOrg(org_id.clone()));
            continue;
        }
        let subscribed = project.org_or_refusal(org_id);
        match subscribed.and_then(|org| moves.org(draft, &project, org)) {
            Ok(true) => moved += 1,
            Ok(false) => unchanged += 1,
            Err(refusal) => rows.push(row, refusal),
        }
    }
    rows.none()?;
    Ok(Outcome::OrgsSubscribed { moved, unchanged })
}

/// Moves of orgs to one mapping.
pub struct Move {
    to: RoleMappingId,
    on_disabled: OnDisabled,
    /// What orgs of a mapping lose, found once for all of them.
    lost: BTreeMap<RoleMappingId, BTreeSet<RoleId>>,
}

impl Move {
    pub fn new(to: RoleMappingId, on_disabled: OnDisabled) -> Self {
        Self { to, on_disabled, lost: BTreeMap::new() }
    }

    /// Moves an org, as the caller's answer to M7 allows; nothing happens where it is there already. Returns whether it
    /// moved.
    pub fn org(&mut self, draft: &mut Draft<'_>, project: &Project, org: &Org) -> Result<bool, Refusal> {
        let from = org.record.role_mapping;
        if from == self.to {
            return Ok(false);
        }
        let lost = self.lost.entry(from).or_insert_with(|| usage::disabled_by_moving(project, from, self.to));
        usage::may_disable(project, lost, |visit| visit(org), self.on_disabled, draft.now())?;
        move_to(draft, project, org, self.to);
        Ok(true)
    }
}

/// Moves an org without asking.
pub fn move_to(draft: &mut Draft<'_>, project: &Project, org: &Org, to: RoleMappingId) {
    let key = Scoped { project: project.id, id: org.no };
    draft.edit(Change::Subscription(Edit { key, before: Some(org.record.role_mapping), after: Some(to) }));
}

fn target(project: &Project, to: &SubscribeTo) -> Result<RoleMappingId, Refusal> {
    match to {
        SubscribeTo::RoleMapping(name) => project.role_mapping(name),
        SubscribeTo::Default => Ok(project.record.default_role_mapping),
    }
}
