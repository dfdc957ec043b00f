//! Decides documents without a server: on a State in memory, with the rules of the server.

use super::convert::environment;
use super::document::Document;
use crate::cli::table::plain;
use crate::cli::trouble::{BUG, Trouble};
use crate::domain::collections::hash::HashKey;
use crate::domain::commands::command::CreateProject;
use crate::domain::model::project::{Environment, RoleStructure};
use crate::domain::model::template::EMPTY;
use crate::domain::{
    Call, Command, Decided, Outcome, ProjectKey, Reason, Refusal, RoleName, State, Terms, Time, decide,
};
use crate::grpc::configuration::command;
use crate::limits::Limits;
use crate::wire::{self, ApplyConfigurationRequest, ConfigurationStep};

/// A project that was created from a document.
pub struct Created {
    pub state: State,
    pub steps: Vec<ConfigurationStep>,
}

/// Creates the project of a document, and applies it.
pub fn created(document: &Document, request: &ApplyConfigurationRequest, limits: &Limits) -> Result<Created, Trouble> {
    let key = ProjectKey::parse(&document.project).map_err(|why| {
        Trouble::new(format!("the project `{}` {why}", plain(&document.project)), "name it otherwise")
    })?;
    let owner = RoleName::parse(&document.default_owner_role).map_err(|why| {
        let role = plain(&document.default_owner_role);
        Trouble::new(format!("the default owner role `{role}` {why}"), "name it otherwise")
    })?;
    let create = Command::CreateProject(CreateProject {
        key,
        display_name: String::new(),
        environment: match environment(document) {
            wire::Environment::Live => Environment::Live,
            _ => Environment::Test,
        },
        role_structure: RoleStructure::SingleRole,
        reuse_deleted_key: false,
        template: &EMPTY,
        owner_role: Some(owner),
    });
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| Trouble::new(error.to_string(), BUG))?;
    let state = run(&State::new(HashKey::new(key)), &create, Time(0), limits).map_err(refused)?.next;
    let apply = command(request, limits)
        .map_err(|status| Trouble::new(plain(status.message()), "the message names the field of the request"))?;
    let decided = run(&state, &Command::ApplyConfiguration(apply), Time(0), limits).map_err(refused)?;
    let steps = match &decided.outcome {
        Outcome::Configuration(applied) => applied.steps.iter().map(wire::configuration::step).collect(),
        _ => Vec::new(),
    };
    Ok(Created { state: decided.next, steps })
}

/// Decides a command of an operator who may do everything.
pub fn run(state: &State, command: &Command, now: Time, limits: &Limits) -> Result<Decided, Refusal> {
    let call = Call {
        actor: "local".into(),
        key: None,
        request: None,
        fingerprint: 0,
        reason: "".into(),
        acting_user: None,
        impact_digest: None,
    };
    decide(state, command, &Terms::new(&call, now, limits))
}

/// Returns why a document is refused, and what to do.
pub fn refused(refusal: Refusal) -> Trouble {
    let next = match refusal.reason() {
        Reason::PermissionNotFound | Reason::RoleNotFound => "the document must list all that it names".into(),
        _ => format!("the rule is {} of docs/rules.md", refusal.rule()),
    };
    Trouble::new(plain(&refusal.to_string()), next)
}
