//! What the first start of a store creates.

use super::{Bootstrap, StartError, workspace};
use crate::domain::commands::call::SYSTEM;
use crate::domain::commands::command::CreateProject;
use crate::domain::model::project::{Environment, RoleStructure};
use crate::domain::model::refusal::Noun;
use crate::domain::model::template::B2B;
use crate::domain::{Call, Command, ProjectKey, Refusal};
use crate::engine::Engine;
use crate::writer::{Failure, Writer};

/// Creates the key with which the first operator signs in. Returns it if it is to be printed (W9).
pub async fn bootstrap(to: &Bootstrap, engine: &Engine, writer: &Writer) -> Result<Option<String>, StartError> {
    let token = async {
        let opened = workspace::open(engine, writer, "the store has no operators").await;
        opened.map_err(StartError::Workspace)
    };
    match to {
        Bootstrap::None => Err(StartError::NoBootstrapKey),
        Bootstrap::Terminal => Ok(Some(token.await?)),
        Bootstrap::File(path) => {
            workspace::write_token(path, token, StartError::KeyFile).await?;
            tracing::warn!(path = %path.display(), "the key of the operator `bootstrap` is in this file; it lasts 24 hours");
            Ok(None)
        }
    }
}

/// Creates the project `default` at the first start of a store (P2).
pub async fn default_project(engine: &Engine, writer: &Writer) -> Result<(), Failure> {
    let key = ProjectKey::default_project();
    if engine.load().state.project(&key).is_some() {
        return Ok(());
    }
    let command = Command::CreateProject(CreateProject {
        key,
        display_name: "Default".into(),
        environment: Environment::Live,
        role_structure: RoleStructure::SingleRole,
        reuse_deleted_key: false,
        template: &B2B,
        owner_role: None,
    });
    let call = Call::plain(SYSTEM, "first start");
    match writer.submit(command, call).await {
        // Another server on the same database may be first.
        Ok(_) | Err(Failure::Refused(Refusal::AlreadyExists(Noun::Project, _))) => Ok(()),
        Err(failure) => Err(failure),
    }
}
