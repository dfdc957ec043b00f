//! Compares what is to be imported with what the server has.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::contents::{Contents, Member, Role};
use crate::cli::client::{Client, PAGE_SIZE, Page, reason};
use crate::cli::configuration::document::Document;
use crate::cli::configuration::{convert, plan};
use crate::cli::in_flight::in_flight;
use crate::cli::progress::bar;
use crate::cli::trouble::Trouble;
use crate::grpc::generated::configuration_service_client::ConfigurationServiceClient;
use crate::grpc::generated::membership_service_client::MembershipServiceClient;
use crate::grpc::generated::org_service_client::OrgServiceClient;
use crate::wire::{
    Configuration, Environment, ErrorReason, GetConfigurationRequest, ListMembersRequest, ListOrgsRequest,
    RoleStructure,
};

/// Orgs whose members are read at a time.
const CALLS: usize = 8;

/// What has to be done.
pub struct Plan {
    /// The roles and permissions of the files, and what they change. `None` if the files do not say.
    pub configuration: Option<(Document, plan::Plan)>,
    /// The places of the orgs to create.
    pub new_orgs: Vec<usize>,
    pub orgs_present: u64,
    pub new_members: Vec<Member>,
    pub changed_members: Vec<Member>,
    pub members_present: u64,
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
        let present = present(client).await?;
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
        let wanted = drop_what_is_refused(contents, present.as_ref());
        let orgs = if present.is_some() { orgs(client).await? } else { HashMap::new() };
        let mut new_orgs = Vec::new();
        for (at, org) in contents.orgs.iter().enumerate() {
            match orgs.get(&org.id) {
                None => new_orgs.push(at),
                Some(found) if !org.role_mapping.is_empty() && *found != org.role_mapping => {
                    let what = format!("{} is on {found}, not on {}", org.id, org.role_mapping);
                    contents.misfits.add("orgs that exist on another role mapping: not moved", what);
                }
                Some(_) => {}
            }
        }
        let existing: BTreeSet<usize> =
            wanted.iter().map(|it| it.org).filter(|&at| orgs.contains_key(&contents.orgs[at].id)).collect();
        let mut present_members = members(client, contents, existing).await?;
        let mut plan = Self {
            configuration,
            orgs_present: (contents.orgs.len() - new_orgs.len()) as u64,
            new_orgs,
            new_members: Vec::new(),
            changed_members: Vec::new(),
            members_present: 0,
        };
        for member in wanted {
            match present_members.get_mut(&member.org).and_then(|org| org.remove(&member.user_id)) {
                None => plan.new_members.push(member),
                Some(roles) if roles == contents.roles(member.roles) => plan.members_present += 1,
                Some(_) => plan.changed_members.push(member),
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
        configured && self.new_orgs.is_empty() && self.new_members.is_empty() && self.changed_members.is_empty()
    }
}

/// Returns the configuration of the project. `None` if it does not exist.
async fn present(client: &Client) -> Result<Option<Configuration>, Trouble> {
    let request = GetConfigurationRequest { project: client.project(), consistency: None };
    let mut service = ConfigurationServiceClient::new(client.channel()).max_decoding_message_size(usize::MAX);
    match client.call(service.get_configuration(request)).await? {
        Ok(answer) => Ok(answer.configuration),
        Err(status) if reason(&status) == ErrorReason::ProjectNotFound.as_str_name() => Ok(None),
        Err(status) => Err(client.trouble(&status)),
    }
}

/// Returns the members without those that the server would refuse: with unknown or disabled roles, or with too many.
fn drop_what_is_refused(contents: &mut Contents, present: Option<&Configuration>) -> Vec<Member> {
    let none = Configuration::default();
    let (new, old) = (contents.configuration.as_ref().unwrap_or(&none), present.unwrap_or(&none));
    let structure = if contents.configuration.is_some() { new.role_structure() } else { old.role_structure() };
    let default_mapping =
        [&new.default_role_mapping, &old.default_role_mapping].into_iter().find(|name| !name.is_empty());
    let default_mapping = default_mapping.cloned().unwrap_or_default();
    let roles: HashSet<String> = new.roles.iter().chain(&old.roles).map(|role| role.name.clone()).collect();
    // What the files say about a role mapping comes after what it is.
    let mappings = old.role_mappings.iter().chain(&new.role_mappings);
    let mappings: BTreeMap<String, BTreeSet<String>> =
        mappings.map(|it| (it.name.clone(), it.disabled_roles.iter().cloned().collect())).collect();
    let unknown: Vec<usize> =
        (0..contents.orgs.len()).filter(|&at| !contents.orgs[at].role_mapping.is_empty()).collect();
    for at in unknown {
        let org = &mut contents.orgs[at];
        if !mappings.contains_key(&org.role_mapping) {
            let what = format!("{} of {}", std::mem::take(&mut org.role_mapping), org.id);
            contents.misfits.add("role mappings of orgs that do not exist: the default one is used", what);
        }
    }
    let mut kept = Vec::new();
    for member in contents.take_members() {
        let org = &contents.orgs[member.org];
        let mapping = if org.role_mapping.is_empty() { &default_mapping } else { &org.role_mapping };
        let disabled = mappings.get(mapping);
        let held = contents.roles(member.roles);
        let what = |names: Vec<&str>| format!("{} of {} in {}", names.join(" + "), member.user_id, org.id);
        let unknown: Vec<&str> = held.iter().map(|role| &*role.name).filter(|name| !roles.contains(*name)).collect();
        let of_disabled = held.iter().filter(|role| disabled.is_some_and(|disabled| disabled.contains(&role.name)));
        let of_disabled: Vec<&str> = of_disabled.map(|role| &*role.name).collect();
        let permanent = held.iter().filter(|role| role.expiry.is_none()).count();
        let too_many = structure == RoleStructure::SingleRole && (permanent > 1 || held.len() - permanent > 1);
        let (kind, what) = if !unknown.is_empty() {
            ("members with roles that do not exist: not imported", what(unknown))
        } else if !of_disabled.is_empty() {
            ("members with roles that are disabled in the role mapping of the org: not imported", what(of_disabled))
        } else if too_many {
            let names = held.iter().map(|role| &*role.name).collect();
            ("members with several roles in a SINGLE_ROLE project: not imported", what(names))
        } else {
            kept.push(member);
            continue;
        };
        contents.misfits.add(kind, what);
    }
    kept
}

/// Returns the role mapping of each org.
async fn orgs(client: &Client) -> Result<HashMap<String, String>, Trouble> {
    let read = client.all("orgs", async |page_token| {
        let request =
            ListOrgsRequest { project: client.project(), page_size: PAGE_SIZE, page_token, ..Default::default() };
        let page = client.ask(OrgServiceClient::new(client.channel()).list_orgs(request)).await?;
        let entries = page.orgs.into_iter().map(|org| (org.org_id, org.role_mapping)).collect();
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
            Ok(())
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
