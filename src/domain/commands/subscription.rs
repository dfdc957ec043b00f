//! Subscribes orgs to role mappings (S2).

use std::collections::BTreeSet;

use crate::domain::commands::command::{BatchSubscribeOrgs, OnDisabled, SubscribeOrg, SubscribeTo};
use crate::domain::commands::disabling::Disabling;
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::Outcome;
use crate::domain::model::id::RoleMappingId;
use crate::domain::model::refusal::{Refusal, Rows};
use crate::domain::state::change::{Change, Edit, Scoped};
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// Moves one org to a role mapping or to the default one.
pub fn subscribe_org(draft: &mut Draft<'_>, command: &SubscribeOrg) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.org_id)?;
    let to = target(&project, &command.to)?;
    Move::new(&project, to, &command.on_disabled)?.org(draft, org)?;
    Ok(Outcome::Subscription { org_id: command.org_id.clone(), role_mapping: project.role_mapping_name(to) })
}

/// Moves many orgs to one role mapping, all or none.
pub fn subscribe_orgs(draft: &mut Draft<'_>, command: &BatchSubscribeOrgs) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let to = target(&project, &command.to)?;
    let mut named = BTreeSet::new();
    let mut rows = Rows::default();
    let (mut moved, mut unchanged) = (0, 0);
    let mut moves = Move::new(&project, to, &command.on_disabled)?;
    for (row, org_id) in command.org_ids.iter().enumerate() {
        if !named.insert(org_id) {
            rows.push(row, Refusal::RepeatedOrg(org_id.clone()));
            continue;
        }
        let subscribed = project.org_or_refusal(org_id);
        match subscribed.and_then(|org| moves.org(draft, org)) {
            Ok(true) => moved += 1,
            Ok(false) => unchanged += 1,
            Err(refusal) => rows.push(row, refusal),
        }
    }
    rows.refuse_if_any()?;
    Ok(Outcome::OrgsSubscribed { moved, unchanged })
}

/// Moves orgs to one mapping.
pub struct Move<'a> {
    project: &'a Project,
    to: RoleMappingId,
    disabling: Disabling<'a>,
}

impl<'a> Move<'a> {
    pub fn new(project: &'a Project, to: RoleMappingId, on_disabled: &OnDisabled) -> Result<Self, Refusal> {
        Ok(Self { project, to, disabling: Disabling::moving(project, to, on_disabled)? })
    }

    /// Moves an org and applies the strategy (M7). Returns false if the org was already subscribed.
    pub fn org(&mut self, draft: &mut Draft<'_>, org: &'a Org) -> Result<bool, Refusal> {
        if org.record.role_mapping == self.to {
            return Ok(false);
        }
        self.disabling.check_covered(std::iter::once(org), draft.now())?;
        self.disabling.apply(draft, org)?;
        move_to(draft, self.project, org, self.to);
        Ok(true)
    }
}

/// Moves an org without applying M7.
pub(super) fn move_to(draft: &mut Draft<'_>, project: &Project, org: &Org, to: RoleMappingId) {
    let key = Scoped { project: project.id, id: org.no };
    draft.edit(Change::Subscription(Edit { key, before: Some(org.record.role_mapping), after: Some(to) }));
}

fn target(project: &Project, to: &SubscribeTo) -> Result<RoleMappingId, Refusal> {
    match to {
        SubscribeTo::RoleMapping(name) => project.role_mapping(name),
        SubscribeTo::Default => Ok(project.record.default_role_mapping),
    }
}
