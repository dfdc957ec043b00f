//! Writes what a plan says. Running an import again continues where it stopped: the next plan no longer has what is done.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::advice;
use super::calls::CallLimits;
use super::contents::{Contents, Member, Misfits, Role};
use super::plan::Plan;
use crate::cli::client::{Client, reason};
use crate::cli::configuration;
use crate::cli::in_flight::in_flight;
use crate::cli::progress::bar;
use crate::cli::trouble::{Failed, Trouble};
use crate::grpc::generated::membership_service_client::MembershipServiceClient;
use crate::grpc::generated::org_service_client::OrgServiceClient;
use crate::wire::{
    BatchWriteMembersRequest, CreateOrgRequest, ErrorReason, MemberWrite, Org, RoleAssignment, RoleAssignments,
    UpdateOrgRequest, member_write,
};

/// Calls with members in flight: while one commits, the next is decoded.
const CALLS: usize = 3;
/// Orgs that are written at a time. The server commits them in groups.
const ORG_CALLS: usize = 128;
const TAKEN: &str = "roles that the files do not name: taken away";
const PERHAPS_TAKEN: &str = "roles that the files do not name: perhaps taken away, the import ended early";

/// How an import differs from its plan.
#[derive(Default)]
pub struct Outcome {
    /// What the server refused.
    pub refused: Misfits,
    /// The roles that members have lost.
    pub taken: Misfits,
    pub new_orgs: u64,
    pub new_members: u64,
    pub changed_members: u64,
}

/// What all calls need.
pub struct Import {
    pub client: Arc<Client>,
    pub contents: Contents,
    /// The roles that members would lose, as in the plan. Without those who have lost them.
    lost: Mutex<HashMap<(usize, String), String>>,
    outcome: Mutex<Outcome>,
    /// The places of the orgs that were refused.
    refused_orgs: Mutex<HashSet<usize>>,
}

/// How members are written.
#[derive(Clone, Copy)]
struct How {
    write: fn(RoleAssignments) -> member_write::Write,
    /// Ends the expiry of roles that the member has until a time.
    permanent: bool,
    limits: CallLimits,
}

impl Import {
    pub fn new(client: Arc<Client>, contents: Contents, lost: HashMap<(usize, String), String>) -> Arc<Self> {
        Arc::new(Self {
            client,
            contents,
            lost: Mutex::new(lost),
            outcome: Mutex::default(),
            refused_orgs: Mutex::default(),
        })
    }

    /// Returns what differs from the plan until now.
    pub fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports the roles that these members have lost.
    fn take(&self, members: &[Member]) {
        let mut all = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = members.iter().filter_map(|it| all.remove(&(it.org, it.user_id.clone())));
        lost.for_each(|lost| self.outcome().taken.add(TAKEN, lost));
    }

    /// Reports the roles that the other members may have lost: after an error nobody knows which calls were stored.
    fn take_others(&self) {
        let mut all = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        all.drain().for_each(|(_, lost)| self.outcome().taken.add(PERHAPS_TAKEN, lost));
    }

    fn refused_orgs(&self) -> MutexGuard<'_, HashSet<usize>> {
        self.refused_orgs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes everything, in an order in which each step finds what it refers to.
pub async fn apply(import: &Arc<Import>, plan: &mut Plan, environment_given: bool) -> Result<(), Failed> {
    let client = &import.client;
    if plan.creates_project() && !environment_given {
        let what = format!("the project `{}` does not exist", client.project());
        return Err(Trouble::new(what, "say with --environment test or live which kind of project to create").into());
    }
    if let Some((document, planned)) = plan.configuration.take() {
        let applied = configuration::apply::apply(client, &document, planned, "import".into()).await;
        applied.map_err(|failed| advice::map(failed, advice::of_configuration))?;
    }
    let again = |failed| advice::map(failed, advice::of_write);
    orgs(import, plan).await.map_err(again)?;
    let (mut new, changed) = (std::mem::take(&mut plan.new_members), std::mem::take(&mut plan.changed_members));
    let progress = bar("members", (new.len() + changed.len()) as u64);
    let gone = std::mem::take(&mut *import.refused_orgs());
    new.retain(|member| !gone.contains(&member.org) || refuse_member_of_refused_org(import, member));
    let limits = plan.call_limits;
    let add = How { write: member_write::Write::Add, permanent: false, limits };
    let refused = members(import, new, add, &progress).await.map_err(again)?;
    import.outcome().new_members += refused;
    let set = How { write: member_write::Write::Set, permanent: true, limits };
    let refused = members(import, changed, set, &progress).await;
    if refused.is_err() {
        import.take_others();
    }
    import.outcome().changed_members += refused.map_err(again)?;
    progress.finish_and_clear();
    Ok(())
}

fn refuse_member_of_refused_org(import: &Import, member: &Member) -> bool {
    let mut outcome = import.outcome();
    let what = format!("{} in {}", member.user_id, import.contents.orgs[member.org].id);
    outcome.refused.add("members of orgs that the server refuses: not imported", what);
    outcome.new_members += 1;
    false
}

/// Creates and updates orgs.
async fn orgs(import: &Arc<Import>, plan: &Plan) -> Result<(), Failed> {
    let (new, changed) = (&plan.new_orgs, &plan.changed_orgs);
    let progress = bar("orgs", (new.len() + changed.len()) as u64);
    in_flight(ORG_CALLS, 0..(new.len() + changed.len()) as u64, |number| {
        let number = number as usize;
        let (is_new, at) = match new.get(number) {
            Some(at) => (true, *at),
            None => (false, changed[number - new.len()]),
        };
        let (import, progress) = (import.clone(), progress.clone());
        async move {
            if is_new {
                create_org(&import, at).await?
            } else {
                update_org(&import, at).await?
            }
            progress.inc(1);
            Ok::<(), Failed>(())
        }
    })
    .await?;
    progress.finish_and_clear();
    Ok(())
}

async fn create_org(import: &Import, at: usize) -> Result<(), Failed> {
    let (client, org) = (&import.client, import.contents.orgs[at].clone());
    let request = CreateOrgRequest {
        project: client.project(),
        org_id: org.id.clone(),
        display_name: org.display_name,
        metadata: org.metadata,
        role_mapping: org.role_mapping,
        reason: "import".into(),
        ..Default::default()
    };
    match client.call(OrgServiceClient::new(client.channel()).create_org(request)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(status)) if reason(&status) == ErrorReason::OrgIdRetired.as_str_name() => {
            let mut outcome = import.outcome();
            outcome.refused.add("ids of orgs that were deleted and cannot be used again: not imported", org.id);
            outcome.new_orgs += 1;
            import.refused_orgs().insert(at);
            Ok(())
        }
        Ok(Err(status)) => Err(client.failed_write(&status)),
        Err(trouble) => Err(trouble.of_a_write(false).into()),
    }
}

async fn update_org(import: &Import, at: usize) -> Result<(), Failed> {
    let (client, org) = (&import.client, import.contents.orgs[at].clone());
    let request = UpdateOrgRequest {
        project: client.project(),
        org_id: org.id,
        // Without a mask, empty fields stay as they are.
        resource: Some(Org { display_name: org.display_name, metadata: org.metadata, ..Default::default() }),
        reason: "import".into(),
        ..Default::default()
    };
    client.write(OrgServiceClient::new(client.channel()).update_org(request)).await.map(drop)
}

/// Writes members. Moves those that the server refuses to the misfits, and returns how many they are.
async fn members(
    import: &Arc<Import>,
    members: Vec<Member>,
    how: How,
    progress: &indicatif::ProgressBar,
) -> Result<u64, Failed> {
    let refused = write(import, members, how, progress).await?;
    // A member of another call may be the new owner without whom an owner could not lose the role.
    let again = refused.into_iter().map(|(member, _)| member).collect();
    let refused = write(import, again, how, progress).await?;
    let count = refused.len() as u64;
    for (member, why) in refused {
        let what = format!("{} in {}{why}", member.user_id, import.contents.orgs[member.org].id);
        import.outcome().refused.add("members that the server refuses: not imported", what);
    }
    Ok(count)
}

/// Writes members in calls of many. Returns those that the server refused, and why.
async fn write(
    import: &Arc<Import>,
    members: Vec<Member>,
    how: How,
    progress: &indicatif::ProgressBar,
) -> Result<Vec<(Member, String)>, Failed> {
    let chunks: Vec<Mutex<Vec<Member>>> =
        how.limits.cut(&import.contents, members).into_iter().map(Mutex::new).collect();
    let refused: Arc<Mutex<Vec<(Member, String)>>> = Arc::default();
    in_flight(CALLS, 0..chunks.len() as u64, |number| {
        let chunk = std::mem::take(&mut *chunks[number as usize].lock().unwrap_or_else(PoisonError::into_inner));
        let (import, refused, progress) = (import.clone(), refused.clone(), progress.clone());
        async move {
            let (written, mut rows) = write_chunk(&import, chunk, how).await?;
            progress.inc(written);
            refused.lock().unwrap_or_else(PoisonError::into_inner).append(&mut rows);
            Ok::<(), Failed>(())
        }
    })
    .await?;
    Ok(std::mem::take(&mut *refused.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Writes members in one call. As long as the server refuses some of them, sends the others again. Returns the number of members
/// that were written, and those that were not.
async fn write_chunk(
    import: &Import,
    mut members: Vec<Member>,
    how: How,
) -> Result<(u64, Vec<(Member, String)>), Failed> {
    let (client, contents) = (&import.client, &import.contents);
    let row = |member: &Member| MemberWrite {
        org_id: contents.orgs[member.org].id.clone(),
        user_id: member.user_id.clone(),
        write: Some((how.write)(assigned(contents, member, how.permanent))),
    };
    let mut refused = Vec::new();
    while !members.is_empty() {
        let request = BatchWriteMembersRequest {
            project: client.project(),
            rows: members.iter().map(row).collect(),
            reason: "import".into(),
            ..Default::default()
        };
        let status =
            match client.call(MembershipServiceClient::new(client.channel()).batch_write_members(request)).await {
                Ok(Ok(_)) => break,
                Ok(Err(status)) => status,
                Err(trouble) => return Err(trouble.of_a_write(false).into()),
            };
        let numbers = refused_rows(&status);
        let (out, others): (Vec<_>, Vec<_>) =
            members.into_iter().enumerate().partition(|(number, _)| numbers.contains(number));
        if out.is_empty() {
            return Err(client.failed_write(&status));
        }
        refused.extend(out.into_iter().map(|(number, member)| (member, why(&status, number))));
        members = others.into_iter().map(|(_, member)| member).collect();
    }
    import.take(&members);
    Ok((members.len() as u64, refused))
}

/// Returns the numbers of the rows that a refusal names. Empty if it is about the caller, or not about rows.
fn refused_rows(status: &Status) -> HashSet<usize> {
    if status.code() == Code::PermissionDenied {
        return HashSet::new();
    }
    let rows = status.get_details_error_info().and_then(|mut info| info.metadata.remove("rows")).unwrap_or_default();
    rows.split(',').filter_map(|number| number.parse().ok()).collect()
}

/// Returns why a row was refused. Empty if the refusal does not say: it describes the first rows only.
fn why(status: &Status, number: usize) -> String {
    let path = format!("rows[{number}]");
    let details = status.get_error_details();
    let bad = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
    let failed = details.precondition_failure().into_iter().flat_map(|failed| &failed.violations);
    let described = bad.map(|it| (&it.field, &it.description)).chain(failed.map(|it| (&it.subject, &it.description)));
    let of_row = described.into_iter().find(|(place, _)| place.starts_with(&path));
    of_row.map(|(_, description)| format!(": {}", advice::without_fields(description))).unwrap_or_default()
}

/// Returns the roles of a member.
fn assigned(contents: &Contents, member: &Member, permanent: bool) -> RoleAssignments {
    let role = |role: &Role| RoleAssignment {
        role: role.name.clone(),
        expire_time: role.expire_time(),
        permanent: permanent && role.expiry.is_none(),
    };
    RoleAssignments { roles: contents.roles(member.roles).iter().map(role).collect() }
}
