//! OrgService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::clock;
use crate::domain::commands::command::{CreateOrg, DeleteOrg, NewOrgDomain, SetOrgDomains, UpdateOrg, VerifyOrgDomain};
use crate::domain::rules::visibility::Visibility;
use crate::domain::{Command, OrgId, Refusal, RoleName};
use crate::grpc::app::App;
use crate::grpc::generated::org_service_server::OrgService;
use crate::grpc::mask::Mask;
use crate::grpc::page::{Page, Scope};
use crate::grpc::services::Reply;
use crate::grpc::write::respond;
use crate::grpc::{convert, status};
use crate::limits::{DISPLAY_NAME_BYTES_MAX, METADATA_BYTES_MAX, NAMES_MAX};
use crate::store::ListOrgs;
use crate::wire::{self, storage::outcome::Outcome};

pub struct OrgApi(pub Arc<App>);

#[tonic::async_trait]
impl OrgService for OrgApi {
    async fn create_org(&self, request: Request<wire::CreateOrgRequest>) -> Reply<wire::CreateOrgResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = create(&request)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Org(org) => CreateOrgResponse { org: Some(org) })
    }

    async fn get_org(&self, request: Request<wire::GetOrgRequest>) -> Reply<wire::GetOrgResponse> {
        let (_, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let org_id = convert::org_id(&request.org_id)?;
        let viewer = convert::viewer(&request.viewer_user_id)?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &project).await?;
        let refused = reading.refused(Visibility::of(viewer.as_ref()));
        let org = reading.project.org_or_refusal(&org_id).map_err(refused)?;
        let mut shows_domains = true;
        if let Some(viewer) = &viewer {
            let now = clock::now();
            reading.view(org, viewer, now)?;
            shows_domains = reading.project.sees_domains(org, viewer, now);
        }
        let role_mapping = reading.project.role_mapping_name(org.record.role_mapping);
        let shown = if shows_domains { reading.project.shown_domains(org) } else { Vec::new() };
        let domains = shown.iter().map(wire::org_domain).collect();
        let org = Some(wire::Org { domains, ..wire::org(&org.record.profile, &role_mapping) });
        Ok(Response::new(wire::GetOrgResponse { org, revision: reading.revision() }))
    }

    async fn list_orgs(&self, request: Request<wire::ListOrgsRequest>) -> Reply<wire::ListOrgsResponse> {
        let request = request.get_ref();
        let project = convert::project(&request.project)?;
        let of_whom = if request.ownerless { "ownerless" } else { "all" };
        let arguments = ["ListOrgs", project.as_str(), &request.role_mapping, of_whom];
        let page = Page::read(&arguments, request.page_size, &request.page_token)?;
        let ask = ListOrgs {
            project: project.clone(),
            role_mapping: convert::optional(&request.role_mapping, |name| convert::role_mapping("role_mapping", name))?,
            ownerless: request.ownerless,
            after: page.after.as_deref().map(OrgId::stored),
            limit: page.limit,
        };
        let _turn = self.0.list_turn(&project).await?;
        let found = self.0.store.list_orgs(ask).await.map_err(self.0.read_failed(&project))?;
        let scope = Scope::of(&found);
        let (orgs, last) = page.fill(found.rows, |row| wire::Org {
            domains: row.domains.iter().map(wire::org_domain).collect(),
            ..wire::org(&row.profile, &row.role_mapping)
        });
        Ok(Response::new(wire::ListOrgsResponse {
            next_page_token: page.next_token(scope, last.as_ref().map(|row| row.profile.org_id.as_str()))?,
            orgs,
            revision: self.0.token(found.revision),
        }))
    }

    async fn update_org(&self, request: Request<wire::UpdateOrgRequest>) -> Reply<wire::UpdateOrgResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = update(&request)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Org(org) => UpdateOrgResponse { org: Some(org) })
    }

    async fn delete_org(&self, request: Request<wire::DeleteOrgRequest>) -> Reply<wire::DeleteOrgResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::DeleteOrg(DeleteOrg {
            project: convert::project(&request.project)?,
            org_id: convert::org_id(&request.org_id)?,
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Deleted(deleted) => DeleteOrgResponse { removed_memberships: deleted.affected })
    }

    async fn set_org_domains(
        &self,
        request: Request<wire::SetOrgDomainsRequest>,
    ) -> Reply<wire::SetOrgDomainsResponse> {
        let (metadata, _, request) = request.into_parts();
        let domains = request.domains.iter().enumerate().map(|(at, spec)| new_domain(at, spec));
        let command = Command::SetOrgDomains(SetOrgDomains {
            project: convert::project(&request.project)?,
            org_id: convert::org_id(&request.org_id)?,
            domains: domains.collect::<Result<_, _>>()?,
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::OrgDomains(shown) => SetOrgDomainsResponse { domains: shown.domains })
    }

    async fn verify_org_domain(
        &self,
        request: Request<wire::VerifyOrgDomainRequest>,
    ) -> Reply<wire::VerifyOrgDomainResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::VerifyOrgDomain(VerifyOrgDomain {
            project: convert::project(&request.project)?,
            org_id: convert::org_id(&request.org_id)?,
            domain: convert::email_domain("domain", &request.domain)?,
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::OrgDomains(shown) => VerifyOrgDomainResponse { domains: shown.domains })
    }

    async fn list_joinable_orgs(
        &self,
        request: Request<wire::ListJoinableOrgsRequest>,
    ) -> Reply<wire::ListJoinableOrgsResponse> {
        let request = request.get_ref();
        let project = convert::project(&request.project)?;
        let email = convert::email(&request.email)?;
        if !request.email_verified {
            return Err(status::refused(&Refusal::EmailNotVerified { rule: "J2" }, &mut |_, _| None));
        }
        let page = Page::read(
            &["ListJoinableOrgs", project.as_str(), email.domain()],
            request.page_size,
            &request.page_token,
        )?;
        let after = page.after.as_deref().map(OrgId::stored);
        let _turn = self.0.list_turn(&project).await?;
        let found = self.0.store.list_joinable_orgs(&project, email.domain(), after.as_ref(), page.limit).await;
        let found = found.map_err(self.0.read_failed(&project))?;
        let scope = Scope::of(&found);
        let (orgs, last) = page.fill(found.rows, |(org_id, display_name)| wire::JoinableOrg {
            org_id: org_id.to_string(),
            display_name: display_name.clone(),
        });
        Ok(Response::new(wire::ListJoinableOrgsResponse {
            next_page_token: page.next_token(scope, last.as_ref().map(|(org_id, _)| org_id.as_str()))?,
            orgs,
            revision: self.0.token(found.revision),
        }))
    }
}

fn new_domain(at: usize, spec: &wire::OrgDomainSpec) -> Result<NewOrgDomain, Status> {
    convert::at_most(&format!("domains[{at}].roles"), spec.roles.len(), NAMES_MAX)?;
    Ok(NewOrgDomain {
        domain: convert::email_domain(&format!("domains[{at}].domain"), &spec.domain)?,
        roles: convert::names(&format!("domains[{at}].roles"), &spec.roles, RoleName::parse)?,
        apply_to_existing: spec.apply_to_existing,
    })
}

fn create(request: &wire::CreateOrgRequest) -> Result<Command, Status> {
    Ok(Command::CreateOrg(CreateOrg {
        project: convert::project(&request.project)?,
        // Ids in the order of time keep the index of the table compact.
        org_id: convert::optional(&request.org_id, convert::org_id)?
            .unwrap_or_else(|| OrgId::stored(uuid::Uuid::now_v7().to_string())),
        display_name: convert::text("display_name", &request.display_name, DISPLAY_NAME_BYTES_MAX)?,
        metadata: convert::text("metadata", &request.metadata, METADATA_BYTES_MAX)?,
        role_mapping: convert::optional(&request.role_mapping, |name| convert::role_mapping("role_mapping", name))?,
        creator: convert::optional(&request.creator_user_id, |text| convert::user("creator_user_id", text))?,
        reuse_deleted_id: request.reuse_deleted_id,
    }))
}

fn update(request: &wire::UpdateOrgRequest) -> Result<Command, Status> {
    let absent = wire::Org::default();
    let given = request.resource.as_ref().unwrap_or(&absent);
    let mask = Mask::read("update_mask", request.update_mask.as_ref(), &["display_name", "metadata"])?;
    let display_name = mask.takes("display_name", !given.display_name.is_empty());
    let metadata = mask.takes("metadata", !given.metadata.is_empty());
    let named = || convert::text("resource.display_name", &given.display_name, DISPLAY_NAME_BYTES_MAX);
    let noted = || convert::text("resource.metadata", &given.metadata, METADATA_BYTES_MAX);
    Ok(Command::UpdateOrg(UpdateOrg {
        project: convert::project(&request.project)?,
        org_id: convert::org_id(&request.org_id)?,
        display_name: display_name.then(named).transpose()?,
        metadata: metadata.then(noted).transpose()?,
    }))
}
