//! Creates the workspace, and the keys of `bootstrap` that open it (W1, W9).

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::clock;
use crate::domain::commands::call::SYSTEM;
use crate::domain::commands::command::{
    CreateApiKey, CreateOrg, CreateProject, MemberWrite, RoleAssignment, UnblockUser, Write as MemberChange,
    WriteMember,
};
use crate::domain::model::project::{BOOTSTRAP, Environment, RoleStructure, TEAM, WORKSPACE};
use crate::domain::model::refusal::Noun;
use crate::domain::model::template::Template;
use crate::domain::{Call, Command, OrgId, ProjectKey, Refusal, Time, UserId};
use crate::engine::Engine;
use crate::grpc::authn::token;
use crate::writer::{Failure, Writer};

/// How long a key of `bootstrap` and its role last.
const BOOTSTRAP_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Creates the workspace at the first start of a store. Another server on the same database may be first.
pub async fn create(engine: &Engine, writer: &Writer, template: &'static Template) -> Result<(), Failure> {
    if engine.load().state.project_keyed(WORKSPACE).is_none() {
        let command = Command::CreateProject(CreateProject {
            key: key(),
            display_name: "Workspace".into(),
            environment: Environment::Live,
            role_structure: RoleStructure::SingleRole,
            reuse_deleted_key: false,
            template,
            owner_role: None,
        });
        submit(writer, command, "first start", Some(Noun::Project)).await?;
    }
    if engine.load().state.project_keyed(WORKSPACE).is_none_or(|workspace| workspace.org(TEAM).is_none()) {
        let command = Command::CreateOrg(CreateOrg {
            project: key(),
            org_id: OrgId::stored(TEAM),
            display_name: "Operators".into(),
            metadata: String::new(),
            role_mapping: None,
            creator: None,
            reuse_deleted_id: false,
        });
        submit(writer, command, "first start", Some(Noun::Org)).await?;
    }
    Ok(())
}

/// Returns true if no operator has ever been added, so that nobody can add the first one.
pub fn is_empty(engine: &Engine) -> bool {
    let published = engine.load();
    let team = published.state.project_keyed(WORKSPACE).and_then(|workspace| workspace.org(TEAM));
    team.is_none_or(|team| team.memberships_len() == 0)
}

/// Warns at a start that requires credentials if no operator can let others in. A store that has operators gets no bootstrap key,
/// and operators without `team.manage` can be added while none are required.
pub fn warn_without_manager(engine: &Engine) {
    if !engine.load().state.has_team_manager(clock::now()) {
        tracing::warn!(
            "every call needs credentials, and no operator who is not blocked has `team.manage`, so nobody can add operators or \
             create keys for them; `rolecall recover` creates a key that can"
        );
    }
}

/// Gives `bootstrap` the owner role for 24 hours and a key that lasts as long. Returns the key's token. It is not an owner of
/// the workspace: the role is temporary (B3.c).
pub async fn open(engine: &Engine, writer: &Writer, reason: &str) -> Result<String, Failure> {
    let bootstrap = UserId::stored(BOOTSTRAP);
    let expire_time = Time(clock::now().0 + BOOTSTRAP_MICROS);
    let (owner, held, blocked) = {
        let published = engine.load();
        let workspace = published.state.project_keyed(WORKSPACE).ok_or(Refusal::Bug)?;
        let team = workspace.org(TEAM).ok_or(Refusal::Bug)?;
        let owner = workspace.role_name(workspace.record.default_owner_role);
        (owner, workspace.has_member(team, &bootstrap, clock::now()), workspace.is_user_blocked(&bootstrap))
    };
    if blocked {
        let command = Command::UnblockUser(UnblockUser { project: key(), user_id: bootstrap.clone() });
        submit(writer, command, reason, None).await?;
    }
    let roles = vec![RoleAssignment { role: owner, expire_time: Some(expire_time), permanent: false }];
    let write = if held { MemberChange::Set(roles) } else { MemberChange::Add(roles) };
    let row = MemberWrite { org_id: OrgId::stored(TEAM), user_id: bootstrap.clone(), write };
    let command = WriteMember { project: key(), row, allow_ownerless: false, keep_invitations: false };
    submit(writer, Command::WriteMember(command), reason, None).await?;
    let token = token::new(Environment::Live).map_err(|error| {
        tracing::error!(%error, "no randomness");
        Failure::Unavailable
    })?;
    let command = CreateApiKey {
        project: key(),
        hash: token::hash(&token).ok_or(Refusal::Bug)?,
        display_name: BOOTSTRAP.into(),
        operator: Some(bootstrap),
        environment: Environment::Live,
        checks_only: false,
        sidecar_only: false,
        acting_user_required: false,
        no_activity: false,
        scope_project: None,
        scope_org: None,
        expire_time: Some(expire_time),
        expire_time_max: None,
    };
    submit(writer, Command::CreateApiKey(command), reason, None).await?;
    Ok(token)
}

/// Writes a new token to a new file that only this user can read. Refuses to replace a file. Creates the file before the token,
/// since nobody else knows it, and removes the file if there is no token. `failed` returns why the file cannot be written.
pub async fn write_token<E>(
    path: &Path,
    token: impl Future<Output = Result<String, E>>,
    failed: impl Fn(String) -> E,
) -> Result<(), E> {
    let failed =
        |error: io::Error| failed(format!("the key cannot be written to {}: {error}; name a new file", path.display()));
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(failed)?;
    let written = match token.await {
        Ok(token) => writeln!(file, "{token}").and_then(|()| file.sync_all()).map_err(failed),
        Err(error) => Err(error),
    };
    if written.is_err() {
        // The next attempt would refuse to replace it.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn key() -> ProjectKey {
    ProjectKey::stored(WORKSPACE)
}

/// Submits a command of the service. Accepts that another server has created `made` already.
async fn submit(writer: &Writer, command: Command, reason: &str, made: Option<Noun>) -> Result<(), Failure> {
    match writer.submit(command, Call::plain(SYSTEM, reason)).await {
        Err(Failure::Refused(Refusal::AlreadyExists(noun, _))) if made == Some(noun) => Ok(()),
        written => written.map(|_| ()),
    }
}
