//! ListManageableRoles: tries what an acting user may do on the State in memory (G5).

use tonic::Status;

use crate::clock;
use crate::domain::commands::manageable::{Ask, Manageable, ManageableRole, manageable};
use crate::domain::rules::role::visible_order;
use crate::domain::rules::visibility::Visibility;
use crate::grpc::app::App;
use crate::grpc::layers::deadline::Deadline;
use crate::grpc::page::{Page, Scope};
use crate::grpc::{convert, status};
use crate::wire::{self, ErrorReason};

pub async fn list(
    app: &App,
    deadline: Option<Deadline>,
    request: &wire::ListManageableRolesRequest,
) -> Result<wire::ListManageableRolesResponse, Status> {
    let project = convert::project(&request.project)?;
    let wire::ListManageableRolesRequest { org_id, acting_user_id, target_user_id, .. } = request;
    let arguments = ["ListManageableRoles", project.as_str(), org_id, acting_user_id, target_user_id];
    let page = Page::read(&arguments, request.page_size, &request.page_token)?;
    let mut ask = Ask {
        project: project.clone(),
        org_id: convert::org_id(org_id)?,
        acting_user: convert::user("acting_user_id", acting_user_id)?,
        target: convert::optional(target_user_id, |text| convert::user("target_user_id", text))?,
        after: None,
        limit: page.limit as usize + 1,
    };
    let failed = || status::plain(ErrorReason::Internal, "the list could not be computed");
    let published = app.at(request.consistency.as_ref(), deadline).await?;
    let turn = app.trial_turns.next(published.state.project(&project).map(|project| project.id)).await?;
    // The position is the name of a visible role, because a rank would reveal internal roles.
    if let (Some(name), Some(project)) = (&page.after, published.state.project(&project)) {
        ask.after = project.role_named(name).filter(|&role| project.is_visible(role));
    }
    // Refuse the position only after the acting user is known to be a member. Try nothing for it.
    let position_gone = page.after.is_some() && ask.after.is_none();
    if position_gone {
        ask.limit = 0;
    }
    let (state, limits) = (published.state.clone(), app.limits);
    // Up to three writes per role are tried, so not on a thread that answers checks. Hold the turn until then, also if the
    // caller is gone.
    let found = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        manageable(&state, &ask, clock::now(), &limits)
    });
    let found = found.await.map_err(|_| failed())?;
    let refused =
        |refusal| app.suggesting(Some(&project), Visibility::VisibleOnly, |suggest| status::refused(&refusal, suggest));
    let found = found.map_err(refused)?;
    if position_gone {
        return Err(status::page_token());
    }
    let scope = scope(&found);
    let (roles, last) = page.fill(found.roles, shown);
    let last = last.as_ref().map(|role| role.role.as_str());
    Ok(wire::ListManageableRolesResponse {
        next_page_token: page.next_token(scope, last)?,
        roles,
        remove: found.remove,
        revision: published.token.to_string(),
    })
}

fn shown(role: &ManageableRole) -> wire::ManageableRole {
    wire::ManageableRole {
        role: role.role.to_string(),
        invite: role.invite,
        give: role.give,
        take: role.take,
        expire_time_max: role.expire_time_max.map(wire::timestamp),
    }
}

fn scope(found: &Manageable) -> Scope {
    let project = &found.project;
    Scope {
        project: project.record.create_time.0,
        org: project.org_numbered(found.org).map_or(0, |org| org.record.profile.create_time.0),
        role_order: visible_order(project),
        named: 0,
    }
}
