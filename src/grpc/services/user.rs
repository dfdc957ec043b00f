//! UserService.

use std::sync::Arc;

use tonic::{Request, Response};

use crate::domain::Command;
use crate::domain::commands::command::{BlockUser, DeleteUser, UnblockUser};
use crate::grpc::app::App;
use crate::grpc::generated::user_service_server::UserService;
use crate::grpc::services::Reply;
use crate::grpc::write::respond;
use crate::grpc::{convert, status};
use crate::wire::{self, storage::outcome::Outcome};

pub struct UserApi(pub Arc<App>);

#[tonic::async_trait]
impl UserService for UserApi {
    async fn get_user(&self, request: Request<wire::GetUserRequest>) -> Reply<wire::GetUserResponse> {
        let (_, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let user_id = convert::user_id(&request.user_id)?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &project).await?;
        let user = Some(wire::user(&user_id, reading.project.block_of(user_id.as_str())));
        Ok(Response::new(wire::GetUserResponse { user, revision: reading.revision() }))
    }

    async fn block_user(&self, request: Request<wire::BlockUserRequest>) -> Reply<wire::BlockUserResponse> {
        let (metadata, _, request) = request.into_parts();
        let (project, user_id) = (convert::project(&request.project)?, convert::user_id(&request.user_id)?);
        let command = Command::BlockUser(BlockUser { project, user_id });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::User(user) => BlockUserResponse { user: Some(user) })
    }

    async fn unblock_user(&self, request: Request<wire::UnblockUserRequest>) -> Reply<wire::UnblockUserResponse> {
        let (metadata, _, request) = request.into_parts();
        let (project, user_id) = (convert::project(&request.project)?, convert::user_id(&request.user_id)?);
        let command = Command::UnblockUser(UnblockUser { project, user_id });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::User(user) => UnblockUserResponse { user: Some(user) })
    }

    async fn delete_user(&self, request: Request<wire::DeleteUserRequest>) -> Reply<wire::DeleteUserResponse> {
        let (metadata, _, request) = request.into_parts();
        let (project, user_id) = (convert::project(&request.project)?, convert::user_id(&request.user_id)?);
        let command = Command::DeleteUser(DeleteUser { project, user_id, keep_invitations: request.keep_invitations });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Deleted(deleted) => DeleteUserResponse { removed_memberships: deleted.affected })
    }
}
