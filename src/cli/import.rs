//! `rolecall import`: moves in from another product. Shows a plan, and writes it with --apply.

mod advice;
mod apply;
mod calls;
mod check;
mod contents;
mod files;
mod fitting;
mod names;
mod openfga;
mod plan;
mod propelauth;
mod rows;
mod show;
mod stytch;
mod terraform;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum};

use super::client::{Client, ServerArgs};
use super::trouble::{Failed, Trouble};
use crate::wire::Environment;
use apply::Import;
use contents::Contents;
use plan::Plan;
use show::{Report, Shown};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Imports a PropelAuth project: orgs and users of its backend API, roles and permissions of its Terraform provider.
    Propelauth(Dump),
    /// Imports a Stytch B2B project: its RBAC policy, organizations and members.
    Stytch(Dump),
    /// Imports tuples of OpenFGA as members. The roles must exist in the project.
    Openfga(Tuples),
    /// Imports members from a CSV file with the columns org_id, user_id, role and perhaps expires. The roles must exist in
    /// the project.
    Csv(Rows),
}

const AFTER_LONG_HELP: &str = "\
Without --apply it shows what would change, and changes nothing. What cannot be imported as it is in the files is a misfit: it is \
counted and shown, and the rest is imported. docs/import.md says what the files hold and how it is imported. An import that was \
interrupted continues when it is run again.

Exit codes:
  0  imported, planned, or imported before, whatever the misfits
  1  the server refused a write, or refused everything
  2  no plan or no answer: wrong usage, a file that cannot be read or is empty, nothing but misfits, roles and permissions that \
would be refused, no server
For 1 and 2 the reason is on stderr. What was written before an error stays.

JSON (--json), one object:
  project, applied                        where, and false for a plan
  create_project                          true if the project did not exist
  configuration                           what changes for permissions, roles and role mappings, as in `rolecall plan --json`
  orgs, members                           numbers: new, changed, and present (on the server as in the files)
  misfits                                 kind, count and examples of what cannot be imported as it is in the files";

/// The arguments of all imports.
#[derive(clap::Args)]
pub struct Common {
    /// Writes the plan.
    #[arg(long)]
    apply: bool,

    /// The kind of the project, if it has to be created.
    #[arg(long, value_enum)]
    environment: Option<Kind>,

    /// A new file for all misfits, one per line.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Test,
    Live,
}

#[derive(Parser)]
#[command(after_long_help = AFTER_LONG_HELP)]
pub struct Dump {
    /// The files, in any order. Each may hold several pages.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    common: Common,
}

#[derive(Parser)]
#[command(after_long_help = AFTER_LONG_HELP)]
pub struct Tuples {
    /// What `fga tuple read` has written: JSON or YAML.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The type of the objects that are orgs.
    #[arg(long, default_value = "organization", value_name = "TYPE")]
    object_type: String,

    /// The type of users.
    #[arg(long, default_value = "user", value_name = "TYPE")]
    user_type: String,

    /// The role of a relation; can be given several times. Another relation is a role with its own name.
    #[arg(long, value_name = "RELATION=ROLE", value_parser = relation)]
    relation: Vec<(String, String)>,

    #[command(flatten)]
    common: Common,
}

#[derive(Parser)]
#[command(after_long_help = AFTER_LONG_HELP)]
pub struct Rows {
    /// The file. Its first line names the columns. `expires` is a time such as 2027-01-31T12:00:00Z, or empty.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    common: Common,
}

fn relation(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((relation, role)) if !relation.is_empty() && !role.is_empty() => Ok((relation.into(), role.into())),
        _ => Err("write RELATION=ROLE, as in admin=Admin".into()),
    }
}

pub async fn run(command: Command) -> Result<(), Failed> {
    let (contents, common) = match command {
        Command::Propelauth(Dump { files, common }) => (read(move || propelauth::read(&files)).await?, common),
        Command::Stytch(Dump { files, common }) => (read(move || stytch::read(&files)).await?, common),
        Command::Openfga(Tuples { file, object_type, user_type, relation, common }) => {
            let convention = openfga::Convention { object_type, user_type, roles: relation.into_iter().collect() };
            (read(move || openfga::read(&file, &convention)).await?, common)
        }
        Command::Csv(Rows { file, common }) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            (read(move || rows::read(&file, now.try_into().unwrap_or(i64::MAX))).await?, common)
        }
    };
    if contents.is_empty() {
        let what = "the files hold no orgs, members, roles or permissions";
        return Err(Trouble::new(what, "check that they are the right ones; docs/import.md says what they hold").into());
    }
    import(contents, common).await
}

/// Reads files on a thread of its own: it takes seconds.
async fn read(read: impl FnOnce() -> Result<Contents, Trouble> + Send + 'static) -> Result<Contents, Trouble> {
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(|error| Trouble::new(format!("reading the files ended early: {error}"), super::trouble::BUG))?
}

async fn import(mut contents: Contents, common: Common) -> Result<(), Failed> {
    let client = Arc::new(Client::connect(common.client).await?);
    let environment = common.environment.map(|kind| match kind {
        Kind::Test => Environment::Test,
        Kind::Live => Environment::Live,
    });
    let mut plan = Plan::make(&client, &mut contents, environment).await?;
    let mut shown = Shown::new(&client.project(), &plan, &contents.misfits);
    let mut report = common.report.as_deref().map(Report::create).transpose()?;
    if let Some(report) = &mut report {
        report.write(&contents.misfits)?;
    }
    if common.apply && !plan.is_empty() {
        client.note(shown.table().trim_end());
        let import = Import::new(client.clone(), contents, std::mem::take(&mut plan.lost));
        let applied = apply::apply(&import, &mut plan, environment.is_some()).await;
        let outcome = import.outcome();
        if let Some(report) = &mut report {
            report.write(&outcome.refused)?;
            report.write(&outcome.taken)?;
        }
        applied?;
        shown.apply(&outcome);
    } else {
        let lost = plan.lost();
        if let Some(report) = &mut report {
            report.write(&lost)?;
        }
        shown.would_take(&lost);
    }
    client.show(&shown)?;
    if !shown.is_in_vain() {
        return Ok(());
    }
    let vain =
        Trouble::new("nothing in the files could be imported", "see the misfits; correct the files or the project");
    Err(if shown.applied { Failed::Refused(vain) } else { vain.into() })
}
