//! MembershipService.

use std::sync::Arc;

use tonic::{Extensions, Request, Response, Status};

use super::manageable;
use crate::clock;
use crate::domain::commands::command::{
    BatchWriteMembers, MemberWrite, ProvisionMember, RoleAssignment, Write, WriteMember,
};
use crate::domain::model::id::RoleId;
use crate::domain::model::refusal::Noun;
use crate::domain::rules::member_list::MemberFilter;
use crate::domain::rules::membership::Member;
use crate::domain::rules::viewer::View;
use crate::domain::rules::visibility::Visibility;
use crate::domain::{Command, OrgId, PermissionName, Refusal, RoleName, UserId};
use crate::grpc::app::App;
use crate::grpc::generated::membership_service_server::MembershipService;
use crate::grpc::layers::deadline::Deadline;
use crate::grpc::page::{Page, Scope};
use crate::grpc::services::Reply;
use crate::grpc::write::respond;
use crate::grpc::{convert, status};
use crate::store::{ListMembers, ListUserMemberships, MemberRow};
use crate::wire::{self, MembershipView, storage::outcome::Outcome};

pub struct MembershipApi(pub Arc<App>);

#[tonic::async_trait]
impl MembershipService for MembershipApi {
    async fn add_member(&self, request: Request<wire::AddMemberRequest>) -> Reply<wire::AddMemberResponse> {
        let (metadata, _, request) = request.into_parts();
        let write = Write::Add(given("", &request.roles)?);
        let row = row(&request.org_id, &request.user_id, write)?;
        // Adding a member leaves no org without an owner.
        let command = WriteMember {
            project: convert::project(&request.project)?,
            row,
            allow_ownerless: false,
            keep_invitations: false,
        };
        let answered = self.0.write(&metadata, &request, Command::WriteMember(command), &status::no_rows).await?;
        respond!(answered, Outcome::Member(member) => AddMemberResponse { member: Some(member) })
    }

    async fn set_member_roles(
        &self,
        request: Request<wire::SetMemberRolesRequest>,
    ) -> Reply<wire::SetMemberRolesResponse> {
        let (metadata, _, request) = request.into_parts();
        let write = Write::Set(some("", &request.roles)?);
        let command = WriteMember {
            project: convert::project(&request.project)?,
            row: row(&request.org_id, &request.user_id, write)?,
            allow_ownerless: convert::allow_ownerless(request.allow_ownerless, &request.acting_user_id)?,
            keep_invitations: false,
        };
        let answered = self.0.write(&metadata, &request, Command::WriteMember(command), &status::no_rows).await?;
        respond!(answered, Outcome::Member(member) => SetMemberRolesResponse { member: Some(member) })
    }

    async fn remove_member(&self, request: Request<wire::RemoveMemberRequest>) -> Reply<wire::RemoveMemberResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::WriteMember(WriteMember {
            project: convert::project(&request.project)?,
            row: row(&request.org_id, &request.user_id, Write::Remove)?,
            allow_ownerless: convert::allow_ownerless(request.allow_ownerless, &request.acting_user_id)?,
            keep_invitations: request.keep_invitations,
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Removed(_) => RemoveMemberResponse {})
    }

    async fn batch_write_members(
        &self,
        request: Request<wire::BatchWriteMembersRequest>,
    ) -> Reply<wire::BatchWriteMembersResponse> {
        let (metadata, _, request) = request.into_parts();
        convert::bulk("rows", request.rows.len(), self.0.limits.bulk_rows)?;
        let rows = request.rows.iter().enumerate().map(|(at, row)| batch_row(at, row)).collect::<Result<_, _>>()?;
        let command = BatchWriteMembers {
            project: convert::project(&request.project)?,
            rows,
            allow_ownerless: request.allow_ownerless,
            keep_invitations: request.keep_invitations,
        };
        let path = |row: usize| row_path(row, request.rows.get(row));
        let answered = self.0.write(&metadata, &request, Command::BatchWriteMembers(command), &path).await?;
        respond!(answered, Outcome::Counts(counts) => BatchWriteMembersResponse { added: counts.added, set: counts.set, removed: counts.removed, unchanged: counts.unchanged })
    }

    async fn provision_member(
        &self,
        request: Request<wire::ProvisionMemberRequest>,
    ) -> Reply<wire::ProvisionMemberResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::ProvisionMember(ProvisionMember {
            project: convert::project(&request.project)?,
            org_id: convert::org_id(&request.org_id)?,
            user_id: convert::user_id(&request.user_id)?,
            email: convert::email(&request.email)?,
            email_verified: request.email_verified,
            allow_provisioning: request.allow_provisioning,
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Provisioned(provisioned) => ProvisionMemberResponse { member: provisioned.member, skipped_roles: provisioned.skipped_roles })
    }

    async fn get_member(&self, request: Request<wire::GetMemberRequest>) -> Reply<wire::GetMemberResponse> {
        let (_, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let (org_id, user_id) = (convert::org_id(&request.org_id)?, convert::user_id(&request.user_id)?);
        let viewer = convert::viewer(&request.viewer_user_id)?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &project).await?;
        let (project, now) = (&reading.project, clock::now());
        let refused = reading.refused(Visibility::of(viewer.as_ref()));
        let org = project.org_or_refusal(&org_id).map_err(refused)?;
        let view = viewer.as_ref().map(|viewer| reading.view(org, viewer, now)).transpose()?;
        let hidden = view == Some(View::OnlySelf) && viewer.as_ref() != Some(&user_id);
        let filter = MemberFilter { visibility: visibility(view), ..MemberFilter::ALL };
        let member = project.selected_member(org, &user_id, filter, now).filter(|_| !hidden);
        let member = member.ok_or_else(|| status::not_found(Noun::Member, user_id.as_str()))?;
        let revision = match viewer {
            Some(_) => None,
            None => {
                let at = reading.published.state.revision();
                let _turn = self.0.list_turns.next(project.id).await?;
                let revision = self.0.store.membership_revision(at, project, org, &user_id).await;
                Some(revision.map_err(|error| status::unread(&error))?)
            }
        };
        let member = Some(shown(&self.0, &MemberRow { member, revision }));
        Ok(Response::new(wire::GetMemberResponse { member, revision: reading.revision() }))
    }

    async fn list_members(&self, request: Request<wire::ListMembersRequest>) -> Reply<wire::ListMembersResponse> {
        let (_, extensions, request) = request.into_parts();
        list_members(&self.0, &extensions, "ListMembers", &request).await.map(Response::new)
    }

    async fn list_manageable_roles(
        &self,
        request: Request<wire::ListManageableRolesRequest>,
    ) -> Reply<wire::ListManageableRolesResponse> {
        let deadline = request.extensions().get::<Deadline>().copied();
        manageable::list(&self.0, deadline, request.get_ref()).await.map(Response::new)
    }

    async fn list_user_memberships(
        &self,
        request: Request<wire::ListUserMembershipsRequest>,
    ) -> Reply<wire::ListUserMembershipsResponse> {
        let (_, extensions, request) = request.into_parts();
        list_of_user(&self.0, &extensions, "ListUserMemberships", &request, None).await.map(Response::new)
    }
}

/// Returns what a viewer sees of members.
fn visibility(view: Option<View>) -> Visibility {
    if view.is_some() { Visibility::VisibleOnly } else { Visibility::All }
}

/// Lists the members of an org. `method` makes page tokens valid for one RPC only.
pub(super) async fn list_members(
    app: &App,
    extensions: &Extensions,
    method: &str,
    request: &wire::ListMembersRequest,
) -> Result<wire::ListMembersResponse, Status> {
    let project = convert::project(&request.project)?;
    let wire::ListMembersRequest { org_id, role, permission, viewer_user_id, .. } = request;
    let arguments = [method, project.as_str(), org_id, role, permission, viewer_user_id];
    let page = Page::read(&arguments, request.page_size, &request.page_token)?;
    let viewer = convert::viewer(viewer_user_id)?;
    let org_id = convert::org_id(org_id)?;
    let role = convert::optional(role, |name| convert::role("role", name))?;
    let permission = convert::optional(permission, |name| convert::permission("permission", name))?;
    let reading = app.reading(extensions, request.consistency.as_ref(), &project).await?;
    let (project, now) = (&reading.project, clock::now());
    let refused = reading.refused(Visibility::of(viewer.as_ref()));
    let org = project.org_or_refusal(&org_id).map_err(&refused)?;
    // Check the viewer before the names: a user who is not a member must not learn which names exist.
    let view = viewer.as_ref().map(|viewer| reading.view(org, viewer, now)).transpose()?;
    let known = |role: &RoleId| view.is_none() || project.is_visible(*role);
    let known_role = |name: &RoleName| {
        let role = project.role_named(name.as_str()).filter(known);
        role.ok_or_else(|| refused(Refusal::NotFound(Noun::Role, name.to_string())))
    };
    let role = role.as_ref().map(known_role).transpose()?;
    let permission = permission.map(|name| project.permission(&name)).transpose().map_err(&refused)?;
    let mut scope = Scope { org: org.record.profile.create_time.0, ..reading.scope() };
    let role_created = role.and_then(|role| Some(project.roles.get(role)?.create_time.0));
    let permission_created = permission.and_then(|id| Some(project.permissions.get(id)?.create_time.0));
    for created in [role_created, permission_created].into_iter().flatten() {
        scope = scope.naming(created);
    }
    let filter = MemberFilter { visibility: visibility(view), role, permission };
    let rows = match &viewer {
        Some(viewer) if view == Some(View::OnlySelf) => {
            let itself = project.selected_member(org, viewer, filter, now);
            let rest = itself.filter(|_| page.after.as_deref().unwrap_or_default() < viewer.as_str());
            rest.map(|member| MemberRow { member, revision: None }).into_iter().collect()
        }
        _ => {
            let ask = ListMembers {
                at: reading.published.state.revision(),
                project: project.clone(),
                org: org.clone(),
                filter,
                after: page.after.as_deref().map(UserId::stored),
                limit: page.limit,
                now,
            };
            let _turn = app.list_turns.next(project.id).await?;
            app.store.list_members(&ask).await.map_err(|error| status::unread(&error))?
        }
    };
    let (members, last) = page.fill(rows, |row| shown(app, row));
    Ok(wire::ListMembersResponse {
        next_page_token: page.next_token(scope, last.as_ref().map(|row| row.member.user_id.as_str()))?,
        members,
        revision: reading.revision(),
    })
}

/// Lists the memberships of a user, with a permission only those in which the user has it.
pub(super) async fn list_of_user(
    app: &App,
    extensions: &Extensions,
    method: &str,
    request: &wire::ListUserMembershipsRequest,
    permission: Option<&PermissionName>,
) -> Result<wire::ListUserMembershipsResponse, Status> {
    let project = convert::project(&request.project)?;
    let user_id = convert::user_id(&request.user_id)?;
    let view = MembershipView::try_from(request.view)
        .map_err(|_| status::invalid("view", "must be MEMBERSHIP_VIEW_BASIC or MEMBERSHIP_VIEW_FULL"))?;
    let arguments =
        [method, project.as_str(), &request.user_id, permission.map_or("", PermissionName::as_str), view.as_str_name()];
    let page = Page::read(&arguments, request.page_size, &request.page_token)?;
    let reading = app.reading(extensions, request.consistency.as_ref(), &project).await?;
    let (project, now) = (&reading.project, clock::now());
    let permission = permission.map(|name| project.permission(name)).transpose();
    let permission = permission.map_err(reading.refused(Visibility::All))?;
    let created = permission.and_then(|id| Some(project.permissions.get(id)?.create_time.0));
    let scope = created.map_or_else(|| reading.scope(), |created| reading.scope().naming(created));
    let ask = ListUserMemberships {
        at: reading.published.state.revision(),
        project: project.clone(),
        user_id,
        filter: MemberFilter { permission, ..MemberFilter::ALL },
        after: page.after.as_deref().map(OrgId::stored),
        limit: page.limit,
        now,
    };
    let _turn = app.list_turns.next(project.id).await?;
    let rows = app.store.list_user_memberships(&ask).await.map_err(|error| status::unread(&error))?;
    let access = |member: &Member| {
        let org = project.org(member.org_id.as_str())?;
        let (_, access) = project.access(org, &member.user_id, Visibility::All, now)?;
        Some(wire::access(&access))
    };
    let (memberships, last) = page.fill(rows, |row| wire::Member {
        access: if view == MembershipView::Full { access(&row.member) } else { None },
        ..shown(app, row)
    });
    let last = last.as_ref().map(|row| row.member.org_id.as_str());
    Ok(wire::ListUserMembershipsResponse {
        next_page_token: page.next_token(scope, last)?,
        memberships,
        revision: reading.revision(),
    })
}

fn shown(app: &App, row: &MemberRow) -> wire::Member {
    wire::member(&row.member, row.revision.map_or_else(String::new, |revision| app.token(revision)))
}

fn row(org_id: &str, user_id: &str, write: Write) -> Result<MemberWrite, Status> {
    Ok(MemberWrite { org_id: convert::org_id(org_id)?, user_id: convert::user_id(user_id)?, write })
}

fn batch_row(at: usize, row: &wire::MemberWrite) -> Result<MemberWrite, Status> {
    use wire::member_write::Write as Wire;
    let path = row_path(at, Some(row));
    let named = |field: &str, why| status::invalid(format!("rows[{at}].{field}"), why);
    Ok(MemberWrite {
        org_id: OrgId::parse(&row.org_id).map_err(|why| named("org_id", why))?,
        user_id: UserId::parse(&row.user_id).map_err(|why| named("user_id", why))?,
        write: match &row.write {
            Some(Wire::Add(add)) => Write::Add(given(&path, &add.roles)?),
            Some(Wire::Set(set)) => Write::Set(some(&path, &set.roles)?),
            Some(Wire::Remove(_)) => Write::Remove,
            None => return Err(status::invalid(format!("rows[{at}]"), "must have `add`, `set` or `remove`")),
        },
    })
}

/// Returns the path of a row's fields, as in `rows[3].set.`.
fn row_path(at: usize, row: Option<&wire::MemberWrite>) -> String {
    use wire::member_write::Write as Wire;
    match row.and_then(|row| row.write.as_ref()) {
        Some(Wire::Add(_)) => format!("rows[{at}].add."),
        Some(Wire::Set(_)) => format!("rows[{at}].set."),
        _ => format!("rows[{at}]."),
    }
}

fn some(path: &str, roles: &[wire::RoleAssignment]) -> Result<Vec<RoleAssignment>, Status> {
    if roles.is_empty() {
        return Err(status::invalid(
            format!("{path}roles"),
            "must name at least one role; to take all roles, remove the member",
        ));
    }
    given(path, roles)
}

fn given(path: &str, roles: &[wire::RoleAssignment]) -> Result<Vec<RoleAssignment>, Status> {
    let one = |(at, given): (usize, &wire::RoleAssignment)| {
        let field = |name: &str| format!("{path}roles[{at}].{name}");
        if given.permanent && given.expire_time.is_some() {
            return Err(status::invalid(field("permanent"), "must not be set together with `expire_time`"));
        }
        let expire_time =
            given.expire_time.as_ref().map(|time| convert::time(&field("expire_time"), time)).transpose()?;
        Ok(RoleAssignment {
            role: convert::role(&field("role"), &given.role)?,
            expire_time,
            permanent: given.permanent,
        })
    };
    roles.iter().enumerate().map(one).collect()
}
