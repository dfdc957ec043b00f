//! Compares what is to be imported with what the server has.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::check::{Project, drop_what_is_refused};
use super::contents::{Contents, Member, Role};
use crate::cli::client::{Client, PAGE_SIZE, Page, may_be_missing, reason};
use crate::cli::configuration::document::Document;
use crate::cli::configuration::{convert, plan};
use crate::cli::in_flight::in_flight;
use crate::cli::progress::bar;
use crate::cli::trouble::Trouble;
use crate::grpc::generated::configuration_service_client::ConfigurationServiceClient;
use crate::grpc::generated::membership_service_client::MembershipServiceClient;
use crate::grpc::generated::org_service_client::OrgServiceClient;
use crate::grpc::generated::server_service_client::ServerServiceClient;
use crate::wire::{
    Configuration, Environment, ErrorReason, GetConfigurationRequest, GetServerInfoRequest, Limits, ListMembersRequest,
    ListOrgsRequest, Org,
};

/// Orgs whose members are read at a time.
const CALLS: usize = 8;

/// What has to be done.
pub struct Plan {
    /// The roles and permissions of the files, and what they change. `None` if the files do not say.
    pub configuration: Option<(Document, plan::Plan)>,
    /// The places of the orgs to create.
    pub new_orgs: Vec<usize>,
    /// The places of the orgs that have another name or metadata in the files.
    pub changed_orgs: Vec<usize>,
    pub orgs_present: u64,
    pub new_members: Vec<Member>,
    pub changed_members: Vec<Member>,
    pub members_present: u64,
    /// The most members that the server takes in one call.
    pub rows_max: usize,
}

/// The roles of the members of an org.
type Present = HashMap<String, Vec<Role>>;

impl Plan {
    /// Asks the server. Moves what it would refuse to the misfits.
    pub async fn make(
        client: &Arc<Client>,
        contents: &mut Contents,
        environment: Option<Environment>,
    ) -> Result<Self, Trouble> {
        let present = present(client, contents.configuration.is_some()).await?;
        let configuration = match &contents.configuration {
            Some(configuration) => {
                // A plan does not depend on the environment, and nothing is applied without one.
                let assumed = environment.or(present.is_none().then_some(Environment::Test)).unwrap_or_default();
                let configuration = Configuration { environment: assumed.into(), ..configuration.clone() };
                let document = convert::document(&client.project(), configuration);
                let choices = plan::Choices { create: true, ..plan::Choices::default() };
                let planned = plan::plan(client, &document, choices).await?;
                Some((document, planned))
            }
            None if present.is_none() => {
                let project = client.project();
                let what =
                    format!("the project `{project}` does not exist, and the files do not say which roles it has");
                return Err(Trouble::new(
                    what,
                    "create it with its roles first, or name another project with --project",
                ));
            }
            None => None,
        };
        let limits = limits(client).await?;
        let orgs = if present.is_some() { orgs(client).await? } else { HashMap::new() };
        let member_roles_max = usize::try_from(limits.member_roles_max).unwrap_or_default();
        let project = Project { configuration: present.as_ref(), orgs: &orgs, member_roles_max };
        let wanted = drop_what_is_refused(contents, &project);
        let (mut new_orgs, mut changed_orgs) = (Vec::new(), Vec::new());
        for (at, org) in contents.orgs.iter().enumerate() {
            let Some(found) = orgs.get(&org.id) else {
                new_orgs.push(at);
                continue;
            };
            if !org.role_mapping.is_empty() && found.role_mapping != org.role_mapping {
                let what = format!("{} is on {}, not on {}", org.id, found.role_mapping, org.role_mapping);
                contents.misfits.add("orgs that exist on another role mapping: not moved", what);
            }
            let differs = |wanted: &str, found: &str| !wanted.is_empty() && wanted != found;
            if differs(&org.display_name, &found.display_name) || differs(&org.metadata, &found.metadata) {
                changed_orgs.push(at);
            }
        }
        let existing: BTreeSet<usize> =
            wanted.iter().map(|it| it.org).filter(|&at| orgs.contains_key(&contents.orgs[at].id)).collect();
        let mut present_members = members(client, contents, existing).await?;
        let mut plan = Self {
            configuration,
            orgs_present: (contents.orgs.len() - new_orgs.len() - changed_orgs.len()) as u64,
            new_orgs,
            changed_orgs,
            new_members: Vec::new(),
            changed_members: Vec::new(),
            members_present: 0,
            rows_max: usize::try_from(limits.bulk_rows_max).unwrap_or_default().max(1),
        };
        for member in wanted {
            match present_members.get_mut(&member.org).and_then(|org| org.remove(&member.user_id)) {
                None => plan.new_members.push(member),
                Some(roles) if roles == contents.roles(member.roles) => plan.members_present += 1,
                Some(roles) => {
                    report_lost(contents, &member, &roles);
                    plan.changed_members.push(member);
                }
            }
        }
        Ok(plan)
    }

    /// Returns true if the project has to be created.
    pub fn creates_project(&self) -> bool {
        self.configuration.as_ref().is_some_and(|(_, plan)| plan.create)
    }

    pub fn is_empty(&self) -> bool {
        let configured = self.configuration.as_ref().is_none_or(|(_, plan)| plan.steps.is_empty() && !plan.create);
        let no_orgs = self.new_orgs.is_empty() && self.changed_orgs.is_empty();
        configured && no_orgs && self.new_members.is_empty() && self.changed_members.is_empty()
    }
}

/// Reports the roles that a member has and the files do not name.
fn report_lost(contents: &mut Contents, member: &Member, roles: &[Role]) {
    let wanted = contents.roles(member.roles);
    let lost = roles.iter().filter(|role| !wanted.iter().any(|wanted| wanted.name == role.name));
    let lost: Vec<&str> = lost.map(|role| &*role.name).collect();
    if !lost.is_empty() {
        let what = format!("{} of {} in {}", lost.join(" + "), member.user_id, contents.orgs[member.org].id);
        contents.misfits.add("roles that changed members have and the files do not name: taken away", what);
    }
}

/// Returns the configuration of the project. `None` if it does not exist, or perhaps not if it can be created.
async fn present(client: &Client, can_create: bool) -> Result<Option<Configuration>, Trouble> {
    let request = GetConfigurationRequest { project: client.project(), consistency: None };
    let mut service = ConfigurationServiceClient::new(client.channel()).max_decoding_message_size(usize::MAX);
    match client.call(service.get_configuration(request)).await? {
        Ok(answer) => Ok(answer.configuration),
        Err(status) if can_create && may_be_missing(&status) => Ok(None),
        Err(status) if reason(&status) == ErrorReason::ProjectNotFound.as_str_name() => Ok(None),
        Err(status) => Err(client.trouble(&status)),
    }
}

/// Returns the limits of the server.
async fn limits(client: &Client) -> Result<Limits, Trouble> {
    let info = ServerServiceClient::new(client.channel()).get_server_info(GetServerInfoRequest {}).await;
    info.map(|info| info.into_inner().limits.unwrap_or_default()).map_err(|status| client.trouble(&status))
}

/// Returns the orgs of the project by id.
async fn orgs(client: &Client) -> Result<HashMap<String, Org>, Trouble> {
    let read = client.all("orgs", async |page_token| {
        let request =
            ListOrgsRequest { project: client.project(), page_size: PAGE_SIZE, page_token, ..Default::default() };
        let page = client.ask(OrgServiceClient::new(client.channel()).list_orgs(request)).await?;
        let entries = page.orgs.into_iter().map(|org| (org.org_id.clone(), org)).collect();
        Ok(Page { entries, next_page_token: page.next_page_token, revision: page.revision })
    });
    Ok(read.await?.0.into_iter().collect())
}

/// Returns the members of these orgs.
async fn members(
    client: &Arc<Client>,
    contents: &Contents,
    orgs: BTreeSet<usize>,
) -> Result<HashMap<usize, Present>, Trouble> {
    let orgs: Vec<(usize, String)> = orgs.into_iter().map(|at| (at, contents.orgs[at].id.clone())).collect();
    let progress = bar("orgs compared", orgs.len() as u64);
    let found: Arc<Mutex<HashMap<usize, Present>>> = Arc::default();
    in_flight(CALLS, 0..orgs.len() as u64, |number| {
        let (at, org_id) = orgs[number as usize].clone();
        let (client, found, progress) = (client.clone(), found.clone(), progress.clone());
        async move {
            let members = members_of(&client, &org_id).await?;
            found.lock().unwrap_or_else(PoisonError::into_inner).insert(at, members);
            progress.inc(1);
            Ok::<(), Trouble>(())
        }
    })
    .await?;
    progress.finish_and_clear();
    Ok(std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner)))
}

async fn members_of(client: &Client, org_id: &str) -> Result<Present, Trouble> {
    let mut members = Present::new();
    let mut page_token = String::new();
    loop {
        let request = ListMembersRequest {
            project: client.project(),
            org_id: org_id.into(),
            page_size: PAGE_SIZE,
            page_token,
            ..Default::default()
        };
        let page = client.ask(MembershipServiceClient::new(client.channel()).list_members(request)).await?;
        for member in page.members {
            let roles = member.roles.into_iter();
            let mut roles: Vec<Role> = roles
                .map(|it| Role { name: it.role, expiry: it.expire_time.map(|time| (time.seconds, time.nanos)) })
                .collect();
            roles.sort_unstable();
            members.insert(member.user_id, roles);
        }
        if page.next_page_token.is_empty() {
            return Ok(members);
        }
        page_token = page.next_page_token;
    }
}
