//! Compares what is to be imported with what the server has.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::advice;
use super::calls::CallLimits;
use super::check::Checks;
use super::contents::{Contents, Member, Misfits, Role};
use super::names::CurrentNames;
use crate::cli::client::{Client, PAGE_SIZE, Page, may_be_missing, reason};
use crate::cli::configuration::document::Document;
use crate::cli::configuration::{convert, plan};
use crate::cli::in_flight::in_flight;
use crate::cli::progress::bar;
use crate::cli::trouble::Trouble;
use crate::grpc::generated::configuration_service_client::ConfigurationServiceClient;
use crate::grpc::generated::membership_service_client::MembershipServiceClient;
use crate::grpc::generated::org_service_client::OrgServiceClient;
use crate::wire::{
    Configuration, Environment, ErrorReason, GetConfigurationRequest, ListMembersRequest, ListOrgsRequest, Org,
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
    /// True if the files have an entry of an org that is present.
    pub listed_orgs_present: bool,
    pub new_members: Vec<Member>,
    pub changed_members: Vec<Member>,
    pub members_present: u64,
    /// The roles that each of the changed members would lose, by org and user. Without those who lose none.
    pub lost: HashMap<(usize, String), String>,
    pub call_limits: CallLimits,
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
        if let (Some(present), Some(given)) = (&present, environment)
            && present.environment() != given
        {
            let kind = |environment: Environment| environment.as_str_name().trim_start_matches("ENVIRONMENT_");
            let (is, given) = (kind(present.environment()), kind(given));
            let what = format!("the project `{}` is {is}, and --environment says {given}", client.project());
            return Err(Trouble::new(what, "leave --environment out, or name another project with --project"));
        }
        let configuration = configuration(client, contents, present.is_some(), environment).await?;
        let limits = client.limits().await?;
        let orgs = if present.is_some() { orgs(client).await? } else { HashMap::new() };
        let none = Configuration::default();
        let (before, wanted) = (present.as_ref().unwrap_or(&none), contents.configuration.as_ref().unwrap_or(&none));
        let names = CurrentNames::new(before, wanted);
        let member_roles_max = usize::try_from(limits.member_roles_max).unwrap_or_default();
        let checks = Checks::new(before, wanted, &names, member_roles_max);
        contents.rename(&names);
        checks.drop_unknown_role_mappings(contents, &orgs);
        let mut plan = Self {
            configuration,
            new_orgs: Vec::new(),
            changed_orgs: Vec::new(),
            orgs_present: 0,
            listed_orgs_present: false,
            new_members: Vec::new(),
            changed_members: Vec::new(),
            members_present: 0,
            lost: HashMap::new(),
            call_limits: CallLimits::new(&limits),
        };
        plan.compare_orgs(contents, &orgs);
        plan.compare_members(client, contents, &orgs, &checks).await?;
        Ok(plan)
    }

    fn compare_orgs(&mut self, contents: &mut Contents, present: &HashMap<String, Org>) {
        for (at, org) in contents.orgs.iter().enumerate() {
            let Some(found) = present.get(&org.id) else {
                self.new_orgs.push(at);
                continue;
            };
            if !org.role_mapping.is_empty() && found.role_mapping != org.role_mapping {
                let what = format!("{} is on {}, not on {}", org.id, found.role_mapping, org.role_mapping);
                contents.misfits.add("orgs that exist on another role mapping: not moved", what);
            }
            let differs = |wanted: &str, found: &str| !wanted.is_empty() && wanted != found;
            if differs(&org.display_name, &found.display_name) || differs(&org.metadata, &found.metadata) {
                self.changed_orgs.push(at);
            } else {
                self.orgs_present += 1;
                self.listed_orgs_present |= org.is_listed;
            }
        }
    }

    async fn compare_members(
        &mut self,
        client: &Arc<Client>,
        contents: &mut Contents,
        orgs: &HashMap<String, Org>,
        checks: &Checks,
    ) -> Result<(), Trouble> {
        let wanted = contents.take_members();
        let existing: BTreeSet<usize> =
            wanted.iter().map(|it| it.org).filter(|&at| orgs.contains_key(&contents.orgs[at].id)).collect();
        let mut present = members(client, contents, existing).await?;
        for member in wanted {
            let roles = present.get_mut(&member.org).and_then(|org| org.remove(&member.user_id));
            if roles.as_deref() == Some(contents.roles(member.roles)) {
                self.members_present += 1;
                continue;
            }
            let org = orgs.get(&contents.orgs[member.org].id);
            if let Some((kind, what)) = checks.misfit(contents, &member, (org, roles.as_deref().unwrap_or_default())) {
                contents.misfits.add(kind, what);
            } else if let Some(roles) = roles {
                if let Some(lost) = lost(contents, &member, &roles) {
                    self.lost.insert((member.org, member.user_id.clone()), lost);
                }
                self.changed_members.push(member);
            } else {
                self.new_members.push(member);
            }
        }
        Ok(())
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

    /// Returns the roles that members would lose.
    pub fn lost(&self) -> Misfits {
        let mut misfits = Misfits::default();
        let lost = self.changed_members.iter().filter_map(|it| self.lost.get(&(it.org, it.user_id.clone())));
        lost.for_each(|lost| misfits.add("roles that the files do not name: --apply takes them away", lost.as_str()));
        misfits
    }
}

/// Returns the roles that a member has and the files do not name. `None` if there are none.
fn lost(contents: &Contents, member: &Member, roles: &[Role]) -> Option<String> {
    let wanted = contents.roles(member.roles);
    let lost = roles.iter().filter(|role| !wanted.iter().any(|wanted| wanted.name == role.name));
    let lost: Vec<&str> = lost.map(|role| &*role.name).collect();
    let org = &contents.orgs[member.org].id;
    (!lost.is_empty()).then(|| format!("{} of {} in {org}", lost.join(" + "), member.user_id))
}

/// Plans the roles and permissions of the files. `None` if the files do not say.
async fn configuration(
    client: &Client,
    contents: &Contents,
    exists: bool,
    environment: Option<Environment>,
) -> Result<Option<(Document, plan::Plan)>, Trouble> {
    if let Some(configuration) = &contents.configuration {
        // A plan does not depend on the environment, and nothing is applied without one.
        let assumed = environment.or((!exists).then_some(Environment::Test)).unwrap_or_default();
        let configuration = Configuration { environment: assumed.into(), ..configuration.clone() };
        let document = convert::document(&client.project(), configuration);
        let choices = plan::Choices { create: true, ..plan::Choices::default() };
        let planned = plan::plan(client, &document, choices).await;
        let planned = planned.map_err(|failed| advice::of_configuration(failed.trouble()))?;
        return Ok(Some((document, planned)));
    }
    if exists {
        return Ok(None);
    }
    let project = client.project();
    let what = format!("the project `{project}` does not exist, and the files do not say which roles it has");
    Err(Trouble::new(what, "create it with its roles first, or name another project with --project"))
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
