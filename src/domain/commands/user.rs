//! Blocks, unblocks and deletes users (U1, U2).

use crate::domain::commands::command::{BlockUser, DeleteUser, UnblockUser};
use crate::domain::commands::draft::Draft;
use crate::domain::commands::invitation;
use crate::domain::commands::membership::removal;
use crate::domain::commands::outcome::Outcome;
use crate::domain::model::refusal::Refusal;
use crate::domain::model::user::Block;
use crate::domain::state::change::{Change, Edit, MembershipKey, UserKey};

/// Blocks a user. A user who is already blocked stays blocked since then.
pub fn block(draft: &mut Draft<'_>, command: &BlockUser) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let blocked = project.block_of(command.user_id.as_str());
    let block = blocked.unwrap_or(Block { block_time: draft.commit_time() });
    if blocked.is_none() {
        let key = UserKey { project: project.id, user: command.user_id.clone() };
        draft.edit(Change::Block(Edit { key, before: None, after: Some(block) }));
    }
    Ok(Outcome::User(command.user_id.clone(), Some(block)))
}

pub fn unblock(draft: &mut Draft<'_>, command: &UnblockUser) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    if let Some(before) = project.block_of(command.user_id.as_str()) {
        let key = UserKey { project: project.id, user: command.user_id.clone() };
        draft.edit(Change::Block(Edit { key, before: Some(before), after: None }));
    }
    Ok(Outcome::User(command.user_id.clone(), None))
}

/// Removes the memberships of a user in every org, and revokes the invitations that the user made (V6). Owners are not
/// checked (B3). A block stays.
pub fn delete(draft: &mut Draft<'_>, command: &DeleteUser) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let mut removed = Vec::new();
    project.for_each_org(|org| {
        let record = project.membership(org, &command.user_id);
        // Memberships without roles are purged in any case.
        removed
            .extend(record.filter(|record| !project.is_deleted(org, record.role_set)).map(|record| (org.no, record)));
    });
    removed.sort_unstable_by_key(|&(org, _)| org);
    let count = removed.len() as u64;
    for (org, before) in removed {
        let key = MembershipKey { project: project.id, org, user: command.user_id.clone() };
        draft.edit(Change::Membership(Edit { key, before: Some(before), after: None }));
        if let Some(org) = project.org_numbered(org) {
            removal::record(draft, &project, org, &command.user_id);
        }
    }
    if !command.keep_invitations {
        project.for_each_org(|org| {
            invitation::revoke_of(draft, &project, org, |inviter| *inviter == command.user_id);
        });
    }
    Ok(Outcome::Deleted(count))
}
