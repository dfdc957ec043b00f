//! `rolecall log`: what happened, and who did it?

pub mod line;

use std::time::Duration;

use clap::Parser;
use tonic::{Code, Status};

use super::answer;
use super::client::{Client, PAGE_SIZE, ServerArgs};
use super::since::Since;
use super::trouble::{BUG, Trouble};
use crate::grpc::generated::audit_service_client::AuditServiceClient;
use crate::wire::{Event, EventOrder, EventType, ListEventsRequest, ListEventsResponse};

/// Events that are shown without --since and -n.
const SHOWN: usize = 50;
/// How often --follow looks for new events.
const PAUSE: Duration = Duration::from_secs(1);

const AFTER_LONG_HELP: &str = "\
Each line: when, who, for which end user, the RPC, what changed (before → after) and the reason in quotes. An event with
several changes has a line for each.

Exit codes: 0 answered, also without events; 2 no answer, with the reason on stderr.

JSON (--json): one object on each line, the fields of `Event` in the contract:
  type               EVENT_TYPE_COMMIT or EVENT_TYPE_DENIAL
  time, actor, key_id, acting_user_id, request_id, reason, kind, project, revision
  changes            what changed: noun, action, org_id, user_id, role_mapping, name, fields (name, before, after)
  changes_total      how many changes there are; at most 100 are listed
  denial             of refused calls: reason, missing_permission, org_id, count

Examples:
  rolecall log --org acme --since 2h
  rolecall log --all-projects --kind DeleteOrg --kind DeleteUser -n 10
  rolecall log --actor ann --follow";

#[derive(Parser)]
#[command(
    after_help = "Exit codes: 0 answered; 2 no answer, with the reason on stderr.",
    after_long_help = AFTER_LONG_HELP
)]
pub struct Args {
    /// Shows the events of all projects.
    #[arg(long, conflicts_with = "project")]
    all_projects: bool,

    /// Only changes of this org, and refused calls that named it.
    #[arg(long, value_name = "ORG", conflicts_with = "all_projects")]
    org: Option<String>,

    /// Only changes of this user.
    #[arg(long, value_name = "USER", conflicts_with = "all_projects")]
    user: Option<String>,

    /// Only events of this actor.
    #[arg(long)]
    actor: Option<String>,

    /// Only events of this RPC, as in `SetMemberRoles`. Several are possible.
    #[arg(long = "kind", value_name = "RPC")]
    kinds: Vec<String>,

    /// Only refused calls.
    #[arg(long)]
    denied: bool,

    /// Only events since then: a duration such as `90s`, `15m`, `2h` or `7d`, or a time such as `2026-11-29T10:00:00Z`.
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,

    /// Only events before then, as for --since.
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    until: Option<Since>,

    /// Also shows maintenance by the service: purging deleted data, and removing what expired long ago.
    #[arg(long)]
    maintenance: bool,

    /// Goes on with what happens next, until interrupted.
    #[arg(long, short)]
    follow: bool,

    /// The number of the newest events to show. Without it and --since: 50.
    #[arg(short = 'n', value_name = "N")]
    number: Option<usize>,

    #[command(flatten)]
    client: ServerArgs,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let client = Client::connect(args.client.clone()).await?;
    let log = Log {
        request: ListEventsRequest {
            project: if args.all_projects { String::new() } else { client.project() },
            org_id: args.org.clone().unwrap_or_default(),
            user_id: args.user.clone().unwrap_or_default(),
            actor: args.actor.clone().unwrap_or_default(),
            kinds: args.kinds.clone(),
            start_time: args.since.map(Since::time),
            end_time: args.until.map(Since::time),
            include_maintenance: args.maintenance,
            r#type: if args.denied { EventType::Denial } else { EventType::Unspecified }.into(),
            ..Default::default()
        },
        client,
        all_projects: args.all_projects,
    };
    let newest = args.number.or_else(|| args.since.is_none().then_some(SHOWN));
    let Some(number) = newest else { return log.oldest_first(String::new(), args.follow).await };
    match log.newest(number).await? {
        Some(token) if args.follow => log.oldest_first(token, true).await,
        _ => Ok(()),
    }
}

struct Log {
    client: Client,
    request: ListEventsRequest,
    all_projects: bool,
}

impl Log {
    /// Shows the newest events, the newest last. Returns the token of what happens next. `None` if nobody reads the output.
    async fn newest(&self, number: usize) -> Result<Option<String>, Trouble> {
        let (mut events, mut page_token, mut resume_token) = (Vec::new(), String::new(), None);
        loop {
            let missing = i32::try_from(number - events.len()).unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE);
            let page = self.page(EventOrder::NewestFirst, missing, page_token).await?;
            let page = page.map_err(|status| self.client.trouble(&status))?;
            resume_token.get_or_insert(page.resume_token);
            events.extend(page.events);
            events.truncate(number);
            page_token = page.next_page_token;
            if events.len() == number || page_token.is_empty() {
                break;
            }
        }
        if events.is_empty() {
            self.client.note("there are no such events");
        }
        events.reverse();
        let is_read = self.print(&events)?;
        Ok(resume_token.filter(|_| is_read))
    }

    /// Shows events from a token on, page by page. With `follow` it goes on until nobody reads the output, also while the
    /// server is away.
    async fn oldest_first(&self, mut token: String, follow: bool) -> Result<(), Trouble> {
        let mut is_away = false;
        loop {
            let page = match self.page(EventOrder::OldestFirst, PAGE_SIZE, token.clone()).await {
                Ok(Ok(page)) => page,
                Ok(Err(status)) if !(follow && passes(&status)) => return Err(self.client.trouble(&status)),
                Err(trouble) if !follow => return Err(trouble),
                Ok(Err(_)) | Err(_) => {
                    if !is_away {
                        self.client.note("the server does not answer; waiting for it");
                    }
                    is_away = true;
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            if is_away {
                self.client.note("the server answers again");
                is_away = false;
            }
            if !self.print(&page.events)? {
                return Ok(());
            }
            if !page.next_page_token.is_empty() {
                token = page.next_page_token;
            } else if follow {
                token = page.resume_token;
                tokio::time::sleep(PAUSE).await;
            } else {
                return Ok(());
            }
        }
    }

    async fn page(
        &self,
        order: EventOrder,
        page_size: i32,
        page_token: String,
    ) -> Result<Result<ListEventsResponse, Status>, Trouble> {
        let request = ListEventsRequest { order: order.into(), page_size, page_token, ..self.request.clone() };
        self.client.call(AuditServiceClient::new(self.client.channel()).list_events(request)).await
    }

    /// Returns false if nobody reads the output any more.
    fn print(&self, events: &[Event]) -> Result<bool, Trouble> {
        let mut text = String::new();
        for event in events {
            if self.client.is_json() {
                let json = serde_json::to_string(event);
                text += &json.map_err(|error| Trouble::new(format!("an event has no JSON: {error}"), BUG))?;
                text.push('\n');
            } else {
                text += &line::event(event, self.all_projects);
            }
        }
        answer::write(&text)
    }
}

/// Returns true if the call may succeed later: the server is restarting, or has too much to do.
fn passes(status: &Status) -> bool {
    use Code::{Cancelled, DeadlineExceeded, Internal, ResourceExhausted, Unavailable, Unknown};
    matches!(status.code(), Cancelled | DeadlineExceeded | Internal | ResourceExhausted | Unavailable | Unknown)
}
