//! Subscriptions: the fact that an org uses a role mapping (S2).

use super::command::{SubscribeOrg, SubscribeTo};
use super::decide::{Draft, Outcome};
use super::id::RoleMappingId;
use super::org::{Org, OrgRecord};
use super::project::Project;
use super::refusal::Refusal;
use super::{Change, Edit, Scoped};

/// Moves one org to a role mapping, or back to the default one.
pub fn subscribe_org(draft: &mut Draft<'_>, command: &SubscribeOrg) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.org_id)?;
    let to = match &command.to {
        SubscribeTo::RoleMapping(name) => project.role_mapping(name)?,
        SubscribeTo::Default => project.record.default_role_mapping,
    };
    subscribe(draft, &project, org, to);
    Ok(Outcome::Subscription { org_id: command.org_id.clone(), role_mapping: project.role_mapping_name(to) })
}

/// Moves an org; nothing happens where it is there already.
pub fn subscribe(draft: &mut Draft<'_>, project: &Project, org: &Org, to: RoleMappingId) {
    if org.record.role_mapping != to {
        let after = OrgRecord { role_mapping: to, ..org.record.clone() };
        let key = Scoped { project: project.id, id: org.no };
        draft.edit(Change::Org(Edit { key, before: Some(org.record.clone()), after: Some(after) }));
    }
}
