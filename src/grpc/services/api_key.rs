//! ApiKeyService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::clock;
use crate::domain::commands::command::{ArchiveApiKey, CreateApiKey};
use crate::domain::model::api_key::{ApiKey, ApiKeyId};
use crate::domain::model::project::{BOOTSTRAP, Environment, WORKSPACE};
use crate::domain::model::refusal::Noun;
use crate::domain::{Command, ProjectKey, UserId};
use crate::grpc::app::App;
use crate::grpc::authn::token;
use crate::grpc::generated::api_key_service_server::ApiKeyService;
use crate::grpc::layers::calls;
use crate::grpc::page::{Page, Scope};
use crate::grpc::services::Reply;
use crate::grpc::write::respond;
use crate::grpc::{convert, status};
use crate::limits::DISPLAY_NAME_BYTES_MAX;
use crate::wire::{self, storage::outcome::Outcome};

pub struct ApiKeyApi(pub Arc<App>);

#[tonic::async_trait]
impl ApiKeyService for ApiKeyApi {
    async fn create_api_key(&self, request: Request<wire::CreateApiKeyRequest>) -> Reply<wire::CreateApiKeyResponse> {
        let (metadata, _, request) = request.into_parts();
        let (command, token) = create(&request)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        // The token of a repeated call is lost: only its hash was stored.
        let token = if answered.replayed || request.validate_only { String::new() } else { token };
        respond!(answered, Outcome::ApiKey(key) => CreateApiKeyResponse { api_key: Some(key), token })
    }

    async fn list_api_keys(&self, request: Request<wire::ListApiKeysRequest>) -> Reply<wire::ListApiKeysResponse> {
        let request = request.get_ref();
        let operator = convert::optional(&request.operator, |text| convert::user("operator", text))?;
        let archived = if request.include_archived { "archived" } else { "" };
        let page = Page::read(&["ListApiKeys", &request.operator, archived], request.page_size, &request.page_token)?;
        let after: Option<u64> = page.after_number()?;
        let published = self.0.engine.pin();
        let managed = self.managed();
        let mut keys = Vec::new();
        if let Some(workspace) = published.state.project_keyed(WORKSPACE) {
            workspace.api_keys.for_each(|id, key| {
                let listed = managed(key.environment)
                    && (request.include_archived || key.archive_time.is_none())
                    && operator.as_ref().is_none_or(|operator| *operator == key.operator)
                    && after.is_none_or(|after| id.0 > after);
                if listed {
                    keys.push((id, key));
                }
            });
        }
        keys.sort_unstable_by_key(|(id, _)| *id);
        let shown =
            |(id, key): &(ApiKeyId, &Arc<_>)| wire::api_key(&published.state.shown_api_key(*id, Arc::clone(key)));
        let (api_keys, last) = page.fill(keys, shown);
        let last = last.map(|(id, _)| id.0.to_string());
        Ok(Response::new(wire::ListApiKeysResponse {
            next_page_token: page.next_token(Scope::default(), last.as_deref())?,
            api_keys,
            revision: published.token.to_string(),
        }))
    }

    async fn archive_api_key(
        &self,
        request: Request<wire::ArchiveApiKeyRequest>,
    ) -> Reply<wire::ArchiveApiKeyResponse> {
        let (metadata, _, request) = request.into_parts();
        let id = ApiKeyId::parse(&request.api_key_id);
        let id = id.ok_or_else(|| status::invalid("api_key_id", "must be `ak_` and 16 hexadecimal digits"))?;
        let published = self.0.engine.pin();
        let key = published.state.project_keyed(WORKSPACE).and_then(|workspace| workspace.api_keys.get(id));
        // An environment never changes.
        if key.is_none_or(|key| !self.managed()(key.environment)) {
            return Err(status::not_found(Noun::ApiKey, &request.api_key_id));
        }
        drop(published);
        let command = Command::ArchiveApiKey(ArchiveApiKey { project: workspace(), id });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::ApiKey(key) => ArchiveApiKeyResponse { api_key: Some(key) })
    }
}

impl ApiKeyApi {
    /// Returns which environments' keys the caller manages.
    fn managed(&self) -> impl Fn(Environment) -> bool {
        let caller = calls::caller();
        let published = self.0.engine.pin();
        let now = clock::now();
        let may = |environment, permission| {
            let Some(caller) = &caller else { return false };
            let key_allows = caller
                .key()
                .is_none_or(|(_, key)| key.environment == Environment::Live || environment == Environment::Test);
            let operator = caller.operator();
            key_allows && operator.is_none_or(|operator| published.state.operator_may(operator, permission, now))
        };
        let live = may(Environment::Live, "api_keys.live.manage");
        let test = may(Environment::Test, "api_keys.test.manage");
        move |environment| if environment == Environment::Live { live } else { test }
    }
}

fn workspace() -> ProjectKey {
    ProjectKey::stored(WORKSPACE)
}

/// Returns the command and the new token.
fn create(request: &wire::CreateApiKeyRequest) -> Result<(Command, String), Status> {
    let environment = convert::environment(request.environment)?;
    let display_name = convert::text("display_name", &request.display_name, DISPLAY_NAME_BYTES_MAX)?;
    if display_name.trim().is_empty() {
        return Err(status::invalid("display_name", "must not be empty"));
    }
    let operator: Option<UserId> = convert::optional(&request.operator, |text| convert::user("operator", text))?;
    let caller = calls::caller();
    if operator.is_none() && caller.as_ref().is_none_or(|caller| caller.operator().is_none()) {
        return Err(status::invalid("operator", "must be set: the caller is no operator"));
    }
    let scope = request.scope.clone().unwrap_or_default();
    if scope.project.is_empty() && !scope.org_id.is_empty() {
        return Err(status::invalid("scope.project", "must be set, since `scope.org_id` is"));
    }
    let expire_time = request.expire_time.as_ref().map(|time| convert::time("expire_time", time)).transpose()?;
    let key = caller.as_ref().and_then(|caller| caller.key()).map(|(_, key)| key);
    // `bootstrap` exists to create the first keys that last, for others.
    let exempt =
        |key: &ApiKey| key.operator.as_str() == BOOTSTRAP && operator.as_ref().is_some_and(|it| *it != key.operator);
    let expire_time_max = key.filter(|key| !exempt(key)).and_then(|key| key.expire_time);
    let token = token::new(environment).map_err(|error| status::no_randomness(&error))?;
    let hash = token::hash(&token).ok_or_else(crate::grpc::write::unexpected)?;
    let command = CreateApiKey {
        project: workspace(),
        hash,
        display_name,
        operator,
        environment,
        checks_only: scope.checks_only,
        sidecar_only: scope.sidecar_only,
        acting_user_required: scope.acting_user_required,
        no_activity: scope.no_activity,
        scope_project: convert::optional(&scope.project, |text| convert::key("scope.project", text))?,
        scope_org: convert::optional(&scope.org_id, |text| convert::org("scope.org_id", text))?,
        expire_time,
        expire_time_max,
    };
    Ok((Command::CreateApiKey(command), token))
}
