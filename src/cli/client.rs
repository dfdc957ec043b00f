//! The client of all commands that ask a server: its address, timeouts, pages, and errors that say what to do.

use std::time::Duration;

use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

use super::answer::{self, Answer};
use super::connect::Remote;
use super::connect::tls::TlsArgs;
use super::key::{KeyArgs, Transport};
use super::progress::Progress;
use super::shell;
use super::table::plain;
use super::trouble::{Failed, Trouble};
use crate::grpc::generated::server_service_client::ServerServiceClient;
use crate::server::Listen;
use crate::wire::{ErrorReason, GetServerInfoRequest, Limits};

const DEFAULT_SERVER: &str = "127.0.0.1:50051";
/// The variable with the server's address.
const SERVER: &str = "ROLECALL_SERVER";
/// The variable with the addresses that a server listens on. Commands in the same environment find it by this.
const LISTEN: &str = "ROLECALL_LISTEN";
const DEFAULT_PROJECT: &str = "default";
/// The largest page of the API.
pub const PAGE_SIZE: i32 = 1_000;

#[derive(Clone, clap::Args)]
#[group(skip)]
pub struct ServerArgs {
    /// The key of the project.
    #[arg(long, default_value = DEFAULT_PROJECT, value_name = "KEY")]
    project: String,

    /// The server: `HOST:PORT` or `unix:PATH`. If not given, the first address in ROLECALL_LISTEN, else 127.0.0.1:50051.
    #[arg(long, env = SERVER, value_name = "ADDRESS")]
    server: Option<Listen>,

    #[command(flatten)]
    key: KeyArgs,

    /// Seconds to wait for each answer.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    timeout: u64,

    /// Prints JSON and nothing else.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    tls: TlsArgs,
}

impl ServerArgs {
    /// Returns the arguments for the project that a document names. Refuses another one in `--project`.
    pub fn for_project(self, project: &str) -> Result<Self, Trouble> {
        if self.project != DEFAULT_PROJECT && self.project != project {
            let what = format!("--project names `{}`, and the document `{}`", plain(&self.project), plain(project));
            return Err(Trouble::new(what, "leave --project out: the document names its project"));
        }
        Ok(Self { project: project.into(), ..self })
    }

    /// Returns the flags with which another command asks the same server about the same project.
    pub fn repeated(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if self.project != DEFAULT_PROJECT {
            flags.extend(shell::flag("--project", &self.project));
        }
        // The next command runs in the same environment.
        let from_environment = std::env::var(SERVER).ok().and_then(|address| address.parse().ok());
        if let Some(server) = self.server.as_ref().filter(|server| from_environment.as_ref() != Some(*server)) {
            flags.extend(shell::flag("--server", &server.to_string()));
        }
        flags.extend(self.tls.repeated());
        flags.extend(self.key.repeated());
        flags
    }
}

/// One page of a list.
pub struct Page<T> {
    pub entries: Vec<T>,
    pub next_page_token: String,
    pub revision: String,
}

/// A connection to the server that the arguments name.
pub struct Client {
    channel: Transport,
    address: Listen,
    project: String,
    timeout: Duration,
    json: bool,
}

impl Client {
    pub async fn connect(args: ServerArgs) -> Result<Self, Trouble> {
        let address = match args.server {
            Some(address) => address,
            None => listen_address(std::env::var(LISTEN).ok().as_deref())?,
        };
        let timeout = Duration::from_secs(args.timeout);
        let remote = Remote::new(address.clone(), &args.tls)?.with_key(&args.key)?;
        let connected = tokio::time::timeout(timeout, remote.connect()).await;
        let channel = connected.map_err(|_| no_answer(&address, timeout))??;
        Ok(Self { channel, address, project: args.project, timeout, json: args.json })
    }

    pub fn channel(&self) -> Transport {
        self.channel.clone()
    }

    pub fn project(&self) -> String {
        self.project.clone()
    }

    /// Whether to print JSON and nothing else.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Waits for an answer until the timeout.
    pub async fn ask<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Trouble> {
        self.call(call).await?.map_err(|status| self.trouble(&status))
    }

    /// Waits for an answer or a refusal until the timeout.
    pub async fn call<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Result<T, Status>, Trouble> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answered) => Ok(answered.map(Response::into_inner)),
            Err(_) => Err(no_answer(&self.address, self.timeout)),
        }
    }

    /// Waits for the answer to a write until the timeout. Tells a refusal, after which nothing was changed, from other errors.
    pub async fn write<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Failed> {
        let status = match self.call(call).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(status)) => status,
            Err(trouble) => return Err(trouble.of_a_write(false).into()),
        };
        Err(self.failed_write(&status))
    }

    /// Returns why a write failed. Tells a refusal, after which nothing was changed, from other errors.
    pub fn failed_write(&self, status: &Status) -> Failed {
        let trouble = self.trouble(status);
        let refused = [Code::AlreadyExists, Code::FailedPrecondition, Code::PermissionDenied];
        if refused.contains(&status.code()) { Failed::Refused(trouble) } else { trouble.into() }
    }

    pub fn trouble(&self, status: &Status) -> Trouble {
        trouble(status, &self.address)
    }

    /// Returns the limits of the server.
    pub async fn limits(&self) -> Result<Limits, Trouble> {
        let info = self.ask(ServerServiceClient::new(self.channel()).get_server_info(GetServerInfoRequest {})).await?;
        Ok(info.limits.unwrap_or_default())
    }

    /// Reads all pages of a list. Returns the entries and the revision of the last page.
    pub async fn all<T>(
        &self,
        nouns: &'static str,
        mut page: impl AsyncFnMut(String) -> Result<Page<T>, Trouble>,
    ) -> Result<(Vec<T>, String), Trouble> {
        let progress = Progress::new(nouns);
        let mut entries = Vec::new();
        let mut token = String::new();
        loop {
            let read = page(token).await?;
            entries.extend(read.entries);
            progress.has_read(entries.len());
            if read.next_page_token.is_empty() {
                return Ok((entries, read.revision));
            }
            token = read.next_page_token;
        }
    }

    /// Prints an answer as text or JSON.
    pub fn show(&self, answer: &impl Answer) -> Result<(), Trouble> {
        answer::print(answer, self.json)
    }

    /// Prints what an empty table means. Prints nothing with --json.
    pub fn note(&self, text: &str) {
        if !self.json {
            anstream::eprintln!("{text}");
        }
    }
}

/// Returns the first address that a server in this environment listens on.
fn listen_address(listen: Option<&str>) -> Result<Listen, Trouble> {
    let first = listen.and_then(|list| list.split(',').next()).filter(|first| !first.trim().is_empty());
    first.unwrap_or(DEFAULT_SERVER).parse().map_err(|why: String| {
        let what = format!("`{}` in {LISTEN} is no address", plain(first.unwrap_or_default()));
        Trouble::new(what, why)
    })
}

fn no_answer(address: &Listen, timeout: Duration) -> Trouble {
    let what = format!("{address} did not answer within {} s", timeout.as_secs());
    Trouble::new(what, "`rolecall health` says whether it serves; --timeout sets how long to wait")
}

/// Returns code, reason and message of a status, and what to do.
pub fn trouble(status: &Status, address: &Listen) -> Trouble {
    let code = canonical(status.code());
    let message = plain(status.message());
    match status.get_details_error_info() {
        Some(info) => {
            let reason = plain(&info.reason);
            Trouble::new(format!("{code} {reason}: {message}"), next(&info.reason))
        }
        // Every error of a rolecall server has a reason. This one is of a proxy, or of another server.
        None => {
            let what = format!("{address} answers {code}: {message}");
            Trouble::new(
                what,
                "check that a rolecall server of this version listens there, or give another address with --server",
            )
        }
    }
}

/// Returns what to do about a reason, with commands of this command line if they help.
fn next(reason: &str) -> &'static str {
    match ErrorReason::from_str_name(reason) {
        None => "the server is newer than this client and its contract explains the reason",
        Some(ErrorReason::ProjectNotFound) => {
            "name the project with --project; ProjectService/ListProjects lists the projects"
        }
        Some(ErrorReason::OrgNotFound) => {
            "check the id of the org, and --project; OrgService/ListOrgs lists the orgs of the project"
        }
        Some(ErrorReason::PermissionNotFound) => "`rolecall mappings show NAME` shows the permissions that roles have",
        Some(ErrorReason::RoleNotFound) => "`rolecall mappings show NAME` shows the roles of the project",
        Some(ErrorReason::RoleMappingNotFound) => "`rolecall mappings list` shows the role mappings of the project",
        Some(ErrorReason::CredentialsMissing) => {
            "give an API key in ROLECALL_KEY, or in a file with --key-file; `rolecall keys create` creates one"
        }
        Some(
            ErrorReason::CredentialsMalformed
            | ErrorReason::ApiKeyUnknown
            | ErrorReason::ApiKeyArchived
            | ErrorReason::ApiKeyExpired,
        ) => "check ROLECALL_KEY or --key-file; if no key works any more, `rolecall recover` creates one",
        Some(ErrorReason::OperatorPermissionMissing) => "`rolecall whoami` shows your roles and permissions",
        Some(ErrorReason::UnknownMethod) => {
            "the server is of another version; use the `rolecall` that it was started with"
        }
        Some(reason) => reason.meaning(),
    }
}

/// Returns `NOT_FOUND` for `NotFound`.
fn canonical(code: Code) -> String {
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// Returns the reason of the `ErrorInfo`.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// Returns true if a caller who may create the project can go on as if it did not exist. A key does not see whether a
/// project is missing or of the other environment.
pub fn may_be_missing(status: &Status) -> bool {
    let missing = [ErrorReason::ProjectNotFound, ErrorReason::ApiKeyEnvironment];
    ErrorReason::from_str_name(&reason(status)).is_some_and(|reason| missing.contains(&reason))
}

/// Returns the names of the roles that a refusal is about.
pub fn roles_in_question(status: &Status) -> Vec<String> {
    let violations = status.get_details_precondition_failure().map(|failure| failure.violations).unwrap_or_default();
    violations.iter().filter_map(|violation| violation.subject.strip_prefix("roles/").map(String::from)).collect()
}

/// Returns the name that a refusal suggests instead of an unknown one. `None` if it suggests none.
pub fn suggestion(status: &Status) -> Option<String> {
    status.get_details_error_info().and_then(|mut info| info.metadata.remove("suggestion"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_found_where_one_would_listen() {
        assert_eq!(listen_address(None), Ok(Listen::Tcp(DEFAULT_SERVER.into())));
        for none in ["", " \n"] {
            assert_eq!(listen_address(Some(none)), Ok(Listen::Tcp(DEFAULT_SERVER.into())));
        }
        assert_eq!(listen_address(Some("unix:/r.sock,127.0.0.1:7")), Ok(Listen::Unix("/r.sock".into())));
        assert!(listen_address(Some("nonsense")).unwrap_err().what.contains("`nonsense` in ROLECALL_LISTEN"));
    }

    #[test]
    fn an_error_without_a_reason_is_of_something_else_than_this_server() {
        let status = Status::unknown("teapot\u{1b}[31m");
        let trouble = super::trouble(&status, &Listen::Tcp("h:1".into()));
        assert_eq!(trouble.what, "h:1 answers UNKNOWN: teapot\\u{1b}[31m");
        assert!(trouble.next.contains("--server"));
    }

    #[test]
    fn codes_are_named_as_in_the_contract() {
        assert_eq!(canonical(Code::FailedPrecondition), "FAILED_PRECONDITION");
    }
}
