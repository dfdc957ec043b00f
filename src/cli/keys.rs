//! `rolecall keys`: the API keys of operators.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use comfy_table::{Cell, Color};
use serde::Serialize;

use super::answer::{Answer, EXIT_CODES};
use super::client::{Client, PAGE_SIZE, Page, ServerArgs};
use super::duration::seconds;
use super::table::{plain, table, text};
use super::trouble::{Failed, Trouble};
use crate::clock;
use crate::domain::Time;
use crate::grpc::generated::api_key_service_client::ApiKeyServiceClient;
use crate::server::workspace;
use crate::wire::{
    self, ApiKey, ApiKeyScope, ArchiveApiKeyRequest, CreateApiKeyRequest, Environment, ListApiKeysRequest,
};

const WRITES: &str = "Exit codes: 0 done; 1 refused, nothing was changed; 2 no answer, with the reason on stderr.";

#[derive(Subcommand)]
pub enum Command {
    /// Creates a key, and prints its token once.
    Create(Create),
    /// Lists keys, without their tokens.
    List(List),
    /// Archives a key: it stops working with the next call.
    Archive(Archive),
}

#[derive(Parser)]
#[command(after_help = WRITES)]
pub struct Create {
    /// What to call the key, for example after the service that uses it.
    name: String,

    /// The operator whose roles the key has. If not given, yourself.
    #[arg(long, value_name = "OPERATOR", default_value = "")]
    operator: String,

    /// For TEST projects. If not given, the key is for LIVE projects.
    #[arg(long)]
    test: bool,

    /// Only for Check, BatchCheck and StreamCheck.
    #[arg(long)]
    checks_only: bool,

    /// Only for sidecars: it feeds them, and calls nothing else.
    #[arg(long, conflicts_with = "checks_only")]
    sidecar_only: bool,

    /// Only for calls with an acting user or a viewer.
    #[arg(long)]
    acting_user_required: bool,

    /// Checks with the key do not make an org active.
    #[arg(long)]
    no_activity: bool,

    /// Only for this project.
    #[arg(long, value_name = "PROJECT", default_value = "")]
    only_project: String,

    /// Only for this org of the project in --only-project.
    #[arg(long, value_name = "ORG", default_value = "", requires = "only_project")]
    only_org: String,

    /// How long the key works, for example `90d` or `12h`. If not given, until it is archived.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires_in: Option<i64>,

    /// A new file for the token, which only you can read. If not given, the token is printed.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Why, for the history.
    #[arg(long, default_value = "")]
    reason: String,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Parser)]
#[command(after_help = EXIT_CODES)]
pub struct List {
    /// Only keys of this operator.
    #[arg(long, value_name = "OPERATOR", default_value = "")]
    operator: String,

    /// Also archived keys.
    #[arg(long)]
    archived: bool,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Parser)]
#[command(after_help = WRITES)]
pub struct Archive {
    /// The id of the key, for example `ak_0102030405060708`.
    id: String,

    /// Why, for the history.
    #[arg(long, default_value = "")]
    reason: String,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct Created {
    api_key: ApiKey,
    /// Absent if it is in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Serialize)]
struct Archived {
    api_key: ApiKey,
}

#[derive(Serialize)]
struct Listed {
    api_keys: Vec<ApiKey>,
}

pub async fn run(command: Command) -> Result<(), Failed> {
    match command {
        Command::Create(args) => create(args).await,
        Command::List(args) => list(args).await.map_err(Failed::Question),
        Command::Archive(args) => archive(args).await,
    }
}

async fn create(args: Create) -> Result<(), Failed> {
    let client = Client::connect(args.client).await?;
    let environment = if args.test { Environment::Test } else { Environment::Live };
    let request = CreateApiKeyRequest {
        display_name: args.name,
        operator: args.operator,
        environment: environment.into(),
        scope: Some(ApiKeyScope {
            checks_only: args.checks_only,
            sidecar_only: args.sidecar_only,
            acting_user_required: args.acting_user_required,
            project: args.only_project,
            org_id: args.only_org,
            no_activity: args.no_activity,
        }),
        expire_time: args.expires_in.map(|seconds| wire::timestamp(clock::now().plus_seconds(seconds))),
        reason: args.reason,
        ..Default::default()
    };
    let mut service = ApiKeyServiceClient::new(client.channel());
    let mut api_key = ApiKey::default();
    let create = async {
        let answer = client.write(service.create_api_key(request)).await?;
        api_key = answer.api_key.unwrap_or_default();
        Ok(answer.token)
    };
    let failed =
        |why| Failed::Question(Trouble::new(why, "`rolecall keys list` shows whether there is a key to archive"));
    let token = match &args.token_file {
        Some(path) => workspace::write_token(path, create, failed).await.map(|()| None)?,
        None => Some(create.await?),
    };
    Ok(client.show(&Created { api_key, token })?)
}

async fn archive(args: Archive) -> Result<(), Failed> {
    let client = Client::connect(args.client).await?;
    let request = ArchiveApiKeyRequest { api_key_id: args.id, reason: args.reason, ..Default::default() };
    let answer = client.write(ApiKeyServiceClient::new(client.channel()).archive_api_key(request)).await?;
    Ok(client.show(&Archived { api_key: answer.api_key.unwrap_or_default() })?)
}

async fn list(args: List) -> Result<(), Trouble> {
    let client = Client::connect(args.client).await?;
    let keys = client.all("API keys", async |page_token| {
        let request = ListApiKeysRequest {
            operator: args.operator.clone(),
            include_archived: args.archived,
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = client.ask(ApiKeyServiceClient::new(client.channel()).list_api_keys(request)).await?;
        Ok(Page { entries: page.api_keys, next_page_token: page.next_page_token, revision: page.revision })
    });
    let (api_keys, _) = keys.await?;
    if api_keys.is_empty() {
        client.note("there are no such API keys in the environments that you manage");
    }
    client.show(&Listed { api_keys })
}

/// Returns what a key may do less than its operator. Empty for nothing less.
pub fn limits(key: &ApiKey) -> String {
    let scope = key.scope.clone().unwrap_or_default();
    let mut limits = Vec::new();
    limits.extend(scope.checks_only.then(|| "checks".to_string()));
    limits.extend(scope.sidecar_only.then(|| "sidecars".to_string()));
    limits.extend(scope.acting_user_required.then(|| "calls for acting users".to_string()));
    limits.extend(Some(scope.project).filter(|it| !it.is_empty()).map(|it| format!("project {}", plain(&it))));
    limits.extend(Some(scope.org_id).filter(|it| !it.is_empty()).map(|it| format!("org {}", plain(&it))));
    limits.join(", ")
}

impl Answer for Created {
    fn text(&self) -> String {
        let bold = anstyle::Style::new().bold();
        let ApiKey { api_key_id, display_name, operator, .. } = &self.api_key;
        let created = format!("Created key {} ({}) of {}.", plain(api_key_id), plain(display_name), plain(operator));
        match &self.token {
            Some(token) => format!("{bold}{created} Its token is not shown again:{bold:#}\n{}\n", plain(token)),
            None => created + "\n",
        }
    }
}

impl Answer for Archived {
    fn text(&self) -> String {
        let ApiKey { api_key_id, display_name, .. } = &self.api_key;
        format!("Archived key {} ({}).\n", plain(api_key_id), plain(display_name))
    }
}

impl Answer for Listed {
    fn text(&self) -> String {
        let mut rows = table(["KEY", "NAME", "OPERATOR", "FOR", "ONLY", "STATE"].map(String::from));
        for key in &self.api_keys {
            rows.add_row([
                Cell::new(plain(&key.api_key_id)),
                Cell::new(plain(&key.display_name)),
                Cell::new(plain(&key.operator)),
                Cell::new(if key.environment() == Environment::Test { "TEST" } else { "LIVE" }),
                Cell::new(limits(key)),
                state(key, clock::now()),
            ]);
        }
        text(rows)
    }
}

fn state(key: &ApiKey, now: Time) -> Cell {
    match (&key.archive_time, &key.expire_time) {
        (Some(_), _) => Cell::new("archived").fg(Color::Yellow),
        (None, Some(expires)) if expires.seconds <= now.0 / 1_000_000 => Cell::new("expired").fg(Color::Yellow),
        (None, Some(expires)) => Cell::new(format!("until {expires}")),
        (None, None) => Cell::new("active").fg(Color::Green),
    }
}
