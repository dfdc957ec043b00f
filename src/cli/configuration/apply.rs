//! `rolecall apply`: changes a project until it is as a document says.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Parser;

use super::convert::{self, Options};
use super::document::Document;
use super::plan::{Choices, Plan, PlanFile, Shown, is_answer, plan, refused};
use crate::cli::client::{Client, ServerArgs};
use crate::cli::table::plain;
use crate::cli::trouble::{Failed, Trouble};
use crate::grpc::generated::configuration_service_client::ConfigurationServiceClient;
use crate::grpc::generated::project_service_client::ProjectServiceClient;
use crate::wire::{ApplyConfigurationRequest, CreateProjectRequest, RoleStructure};

const AFTER_HELP: &str = "\
Exit codes: 0 applied, or there was nothing to change; 1 refused or declined, nothing was changed; 2 no answer (wrong \
usage, no server), or only the project was created, with the reason on stderr.

It shows the plan, and applies exactly that: if somebody else changes the project or its members meanwhile, nothing is \
changed. At a terminal it asks first. Elsewhere it needs --yes or --plan. With --json it prints the plan that it applied.";

#[derive(Parser)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The document, as `rolecall export` writes it. It names the project.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Does not ask.
    #[arg(long)]
    yes: bool,

    /// Applies the plan that `rolecall plan -o` wrote, or nothing. It has the choices of that plan.
    #[arg(long, value_name = "PLANFILE", conflicts_with_all = ["yes", "prune", "allow_ownerless", "create"])]
    plan: Option<PathBuf>,

    #[command(flatten)]
    choices: Choices,

    /// The reason, for the history.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,

    #[command(flatten)]
    client: ServerArgs,
}

pub async fn run(args: Args) -> Result<(), Failed> {
    let document = convert::read(&args.file)?;
    let file = args.plan.as_ref().map(|path| PlanFile::read(path, &document)).transpose()?;
    let choices = file.as_ref().map_or(args.choices, |file| Choices {
        options: Options { prune: file.prune && !file.create, allow_ownerless: file.allow_ownerless },
        create: file.create,
    });
    let client = Client::connect(args.client.for_project(&document.project)?).await?;
    let plan = plan(&client, &document, choices).await?;
    // An applied plan may be applied again: nothing is left of it.
    if let Some(file) = file
        && !plan.is_empty()
        && (file.etag != plan.etag || file.impact_digest != plan.impact.digest || file.create != plan.create)
    {
        let what = "the project or its members have changed since the plan was made";
        let next = "nothing was changed; make the plan again with `rolecall plan FILE -o PLANFILE`";
        return Err(Failed::Refused(Trouble::new(what, next)));
    }
    client.show(&Shown::of(&plan))?;
    if plan.is_empty() {
        return Ok(());
    }
    if args.plan.is_none() && !args.yes {
        confirm()?;
    }
    apply(&client, &document, plan, args.reason).await?;
    client.note("Applied.");
    Ok(())
}

/// Asks whether to go on.
fn confirm() -> Result<(), Failed> {
    if !io::stdin().is_terminal() {
        let next = "give --yes, or a plan that somebody has read with --plan";
        return Err(Failed::Refused(Trouble::new("there is no terminal to ask for confirmation", next)));
    }
    anstream::eprint!("\nApply this? Only `yes` goes on: ");
    let mut answer = String::new();
    let read = io::stderr().flush().and_then(|()| io::stdin().read_line(&mut answer));
    match read {
        Ok(_) if answer.trim() == "yes" => Ok(()),
        _ => Err(Failed::Refused(Trouble::new("declined", "nothing was changed"))),
    }
}

/// Applies a plan. Creates the project first if the plan says so.
pub async fn apply(client: &Client, document: &Document, plan: Plan, reason: String) -> Result<(), Failed> {
    if plan.create {
        create(client, document, &reason).await?;
    }
    let create = plan.create;
    let request =
        ApplyConfigurationRequest { etag: plan.etag, impact_digest: plan.impact.digest, reason, ..plan.request };
    let mut service = ConfigurationServiceClient::new(client.channel()).max_decoding_message_size(usize::MAX);
    let status = match client.call(service.apply_configuration(request)).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(status)) => status,
        Err(trouble) => return Err(trouble.of_a_write(false).into()),
    };
    let trouble = refused(client, &status);
    Err(match is_answer(status.code()) {
        true if create => {
            let next = format!("{}; the project exists now and is empty: apply again with --prune", trouble.next);
            Trouble { next, ..trouble }.into()
        }
        true => Failed::Refused(trouble),
        false => trouble.of_a_write(false).into(),
    })
}

/// Creates an empty project.
async fn create(client: &Client, document: &Document, reason: &str) -> Result<(), Failed> {
    let request = CreateProjectRequest {
        key: document.project.clone(),
        display_name: document.display_name.clone().unwrap_or_default(),
        environment: convert::environment(document).into(),
        role_structure: RoleStructure::SingleRole.into(),
        template: "empty".into(),
        owner_role: document.default_owner_role.clone(),
        reason: reason.into(),
        ..Default::default()
    };
    let mut projects = ProjectServiceClient::new(client.channel());
    client.write(projects.create_project(request)).await?;
    client.note(&format!("Created project {}.", plain(&document.project)));
    Ok(())
}
