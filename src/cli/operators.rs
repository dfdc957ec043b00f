//! `rolecall operators`: who may call this API. Operators are the members of the project `workspace`.

pub mod matrix;

use clap::{Parser, Subcommand};
use serde::Serialize;

use super::answer::{Answer, EXIT_CODES};
use super::client::{Client, PAGE_SIZE, Page, ServerArgs};
use super::duration::seconds;
use super::table::{names, plain};
use super::trouble::{Failed, Trouble};
use super::who_can::user_table;
use crate::clock;
use crate::domain::model::project::{TEAM, WORKSPACE};
use crate::grpc::generated::membership_service_client::MembershipServiceClient;
use crate::grpc::generated::user_service_client::UserServiceClient;
use crate::wire::{
    self, AddMemberRequest, BlockUserRequest, ErrorReason, GetMemberRequest, ListMembersRequest, Member,
    RemoveMemberRequest, RoleAssignment, SetMemberRolesRequest, UnblockUserRequest,
};

const WRITES: &str = "Exit codes: 0 done; 1 refused, nothing was changed; 2 no answer, with the reason on stderr.";

const IDS: &str = "\
The id says how the operator signs in:
  ann                           a person or service with API keys, see `rolecall keys`
  spiffe://example.org/billing  a client certificate with this SPIFFE id
  dns:billing.example.org       a client certificate with this DNS name
  okta:00u1ab2cd3               a token of the issuer `okta` with this subject
  uid:1000                      a process with this user id, over a unix socket

Exit codes: 0 done; 1 refused, nothing was changed; 2 no answer, with the reason on stderr.";

#[derive(Subcommand)]
pub enum Command {
    /// Lists operators with their roles.
    List(List),
    /// Adds an operator, or gives an operator another role.
    Add(Add),
    /// Removes an operator. The operator's keys stop working with the next call.
    Remove(OneOperator),
    /// Blocks an operator. Roles and keys stay, and do nothing from the next call on.
    Block(OneOperator),
    /// Unblocks an operator. Roles and keys work again with the next call.
    Unblock(OneOperator),
    /// Shows which operator role may call which RPC. Asks no server.
    Matrix(matrix::Args),
}

#[derive(Parser)]
#[command(after_help = EXIT_CODES)]
pub struct List {
    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Parser)]
#[command(after_help = IDS)]
pub struct Add {
    /// The id of the operator.
    id: String,

    /// The role, for example `Developer`. If not given, the default role of the workspace.
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,

    /// How long the operator has the role, for example `12h`. If not given, for good.
    #[arg(long, value_name = "TIME", value_parser = seconds, requires = "role")]
    expires_in: Option<i64>,

    /// The operator exists: replaces the role.
    #[arg(long, requires = "role")]
    replace: bool,

    /// Why, for the history.
    #[arg(long, default_value = "")]
    reason: String,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Parser)]
#[command(after_help = WRITES)]
pub struct OneOperator {
    /// The id of the operator.
    id: String,

    /// Why, for the history.
    #[arg(long, default_value = "")]
    reason: String,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct Operators {
    operators: Vec<Member>,
}

#[derive(Serialize)]
struct Added {
    operator: Member,
}

#[derive(Serialize)]
struct Removed {
    operator: String,
}

#[derive(Serialize)]
struct Blocked {
    operator: String,
    blocked: bool,
}

pub async fn run(command: Command) -> Result<(), Failed> {
    match command {
        Command::List(args) => list(args).await.map_err(Failed::Question),
        Command::Add(args) => add(args).await,
        Command::Remove(args) => remove(args).await,
        Command::Block(args) => block(args).await,
        Command::Unblock(args) => unblock(args).await,
        Command::Matrix(args) => Ok(matrix::run(&args)?),
    }
}

async fn list(args: List) -> Result<(), Trouble> {
    let client = Client::connect(args.client).await?;
    let operators = client.all("operators", async |page_token| {
        let (project, org_id) = (WORKSPACE.into(), TEAM.into());
        let request = ListMembersRequest { project, org_id, page_size: PAGE_SIZE, page_token, ..Default::default() };
        let page = client.ask(MembershipServiceClient::new(client.channel()).list_members(request)).await?;
        Ok(Page { entries: page.members, next_page_token: page.next_page_token, revision: page.revision })
    });
    let (operators, _) = operators.await?;
    if operators.is_empty() {
        client.note("there are no operators yet; `rolecall operators add` adds one");
    }
    client.show(&Operators { operators })
}

async fn add(args: Add) -> Result<(), Failed> {
    let client = Client::connect(args.client).await?;
    let expire_time = args.expires_in.map(|seconds| wire::timestamp(clock::now().plus_seconds(seconds)));
    let permanent = args.replace && expire_time.is_none();
    let roles = args.role.into_iter().map(|role| RoleAssignment { role, expire_time, permanent }).collect();
    let (project, org_id) = (WORKSPACE.into(), TEAM.into());
    let mut members = MembershipServiceClient::new(client.channel());
    let member = if args.replace {
        let request = SetMemberRolesRequest {
            project,
            org_id,
            user_id: args.id,
            roles,
            reason: args.reason,
            ..Default::default()
        };
        client.write(members.set_member_roles(request)).await.map_err(advised)?.member
    } else {
        let request =
            AddMemberRequest { project, org_id, user_id: args.id, roles, reason: args.reason, ..Default::default() };
        client.write(members.add_member(request)).await.map_err(advised)?.member
    };
    Ok(client.show(&Added { operator: member.unwrap_or_default() })?)
}

/// Says what to do about a refusal with the commands of this file.
fn advised(failed: Failed) -> Failed {
    let Failed::Refused(Trouble { what, next }) = failed else { return failed };
    let is = |reason: ErrorReason| what.contains(reason.as_str_name());
    let next = match () {
        () if is(ErrorReason::MemberAlreadyExists) => {
            "give `--replace` and a role to replace the operator's role".into()
        }
        () if is(ErrorReason::LastOwner) => "`rolecall operators add` adds another one".into(),
        () => next,
    };
    Failed::Refused(Trouble { what, next })
}

async fn remove(args: OneOperator) -> Result<(), Failed> {
    let client = Client::connect(args.client).await?;
    let request = RemoveMemberRequest {
        project: WORKSPACE.into(),
        org_id: TEAM.into(),
        user_id: args.id.clone(),
        reason: args.reason,
        ..Default::default()
    };
    let removed = client.write(MembershipServiceClient::new(client.channel()).remove_member(request)).await;
    removed.map_err(advised)?;
    Ok(client.show(&Removed { operator: args.id })?)
}

async fn block(args: OneOperator) -> Result<(), Failed> {
    let client = Client::connect(args.client).await?;
    let (project, user_id) = (WORKSPACE.into(), args.id.clone());
    let request = BlockUserRequest { project, user_id, reason: args.reason, ..Default::default() };
    client.write(UserServiceClient::new(client.channel()).block_user(request)).await.map_err(advised)?;
    // An id that nobody has yet can be blocked. After a typo the operator would still be let in.
    let (project, org_id, user_id) = (WORKSPACE.into(), TEAM.into(), args.id.clone());
    let request = GetMemberRequest { project, org_id, user_id, ..Default::default() };
    let member = client.ask(MembershipServiceClient::new(client.channel()).get_member(request)).await;
    if member.is_err_and(|trouble| trouble.what.contains(ErrorReason::MemberNotFound.as_str_name())) {
        client.note(&format!("there is no operator {} now", plain(&args.id)));
    }
    Ok(client.show(&Blocked { operator: args.id, blocked: true })?)
}

async fn unblock(args: OneOperator) -> Result<(), Failed> {
    let client = Client::connect(args.client).await?;
    let (project, user_id) = (WORKSPACE.into(), args.id.clone());
    let request = UnblockUserRequest { project, user_id, reason: args.reason, ..Default::default() };
    client.write(UserServiceClient::new(client.channel()).unblock_user(request)).await.map_err(advised)?;
    Ok(client.show(&Blocked { operator: args.id, blocked: false })?)
}

impl Answer for Operators {
    fn text(&self) -> String {
        user_table(&self.operators)
    }
}

impl Answer for Added {
    fn text(&self) -> String {
        let roles: Vec<String> = self.operator.roles.iter().map(|role| role.role.clone()).collect();
        format!("Operator {} is {}.\n", plain(&self.operator.user_id), names(&roles))
    }
}

impl Answer for Removed {
    fn text(&self) -> String {
        format!("Removed operator {}.\n", plain(&self.operator))
    }
}

impl Answer for Blocked {
    fn text(&self) -> String {
        let done = if self.blocked { "Blocked" } else { "Unblocked" };
        format!("{done} operator {}.\n", plain(&self.operator))
    }
}
