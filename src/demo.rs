//! The example of `serve --demo`: writes it to an empty store, decides who may do what in it, and lists calls to try.

mod calls;
mod example;

use crate::domain::model::invitation::InvitationState;
use crate::domain::rules::invitation::Invitation;
use crate::domain::rules::membership::MemberRole;
use crate::domain::rules::role_state::RoleState;
use crate::domain::rules::visibility::Visibility;
use crate::domain::{Ask, Decision, OrgId, Project, Question, Time, UserId};
use crate::engine::Engine;
use crate::writer::Writer;
pub use calls::{EXPLAIN, ExampleCall, HEALTH, calls};
pub use example::{PERMISSIONS, is_there};

/// What [`fill`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// The store held nothing. It holds the example now.
    Wrote,
    /// An earlier demo was interrupted. The rest of its example is written now.
    Completed,
    /// The store held the whole example, or other data. Nothing was written.
    Nothing,
}

/// A member of the example, and the decision about each of [`PERMISSIONS`].
pub struct Row {
    pub org_id: OrgId,
    pub role_mapping: String,
    pub user_id: UserId,
    /// Without overridden roles. A note says if a role is temporary or expired, or the member blocked.
    pub roles: Vec<String>,
    pub decisions: Vec<Decision>,
}

/// Writes what is missing of the example. Writes nothing to a store that holds other data.
pub async fn fill(engine: &Engine, writer: &Writer, now: Time) -> Result<Filled, String> {
    let Some(done) = example::steps_done(&engine.pin().state, now) else { return Ok(Filled::Nothing) };
    for (command, call) in example::steps(now).into_iter().skip(done) {
        let written = writer.submit(command, call).await;
        written
            .map_err(|failure| format!("the demo could not write its example: {failure}; start again with --demo"))?;
    }
    Ok(if done == 0 { Filled::Wrote } else { Filled::Completed })
}

/// Returns a row for every member of the example who still exists, as checks decide now.
pub fn decisions(project: &Project, now: Time) -> Vec<Row> {
    example::members().filter_map(|(org_id, user_id)| row(project, org_id, user_id, now)).collect()
}

/// Returns the invitation of the example. `None` if it is no longer pending or has expired.
pub fn invitation(project: &Project, now: Time) -> Option<Invitation> {
    let pending = example::invitation(project)?;
    let invitation = project.invitation(project.org(example::ACME)?, (pending.id, &pending.record), None, now);
    invitation.filter(|invitation| invitation.state == InvitationState::Pending)
}

fn row(project: &Project, org_id: &str, user_id: &str, now: Time) -> Option<Row> {
    let (org_id, user_id) = (OrgId::stored(org_id), UserId::stored(user_id));
    let org = project.org(org_id.as_str())?;
    let record = project.membership(org, &user_id)?;
    let member = project.member(org, &user_id, &record, Visibility::All, now);
    let blocked = project.is_user_blocked(&user_id);
    let roles = member.roles.into_iter().filter(|role| role.state != RoleState::Overridden);
    let decision = |(permission, _): &(&str, &str)| {
        let question = Question::Permission(permission);
        project.check(&Ask { org_id: org_id.as_str(), user_id: user_id.as_str(), question }, now)
    };
    Some(Row {
        role_mapping: project.role_mapping_name(org.record.role_mapping).to_string(),
        roles: roles.map(|role| described(&role, blocked)).collect(),
        decisions: PERMISSIONS.iter().map(decision).collect(),
        org_id,
        user_id,
    })
}

fn described(role: &MemberRole, blocked: bool) -> String {
    let note = match role.state {
        _ if blocked => " (blocked)",
        RoleState::Expired => " (expired)",
        _ if role.expire_time.is_some() => " (temporary)",
        _ => "",
    };
    format!("{}{note}", role.role)
}
