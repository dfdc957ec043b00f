//! ServerService.

use std::sync::Arc;

use tonic::{Request, Response};

use crate::clock;
use crate::domain::commands::call::LOCAL;
use crate::domain::model::project::{TEAM, WORKSPACE};
use crate::grpc::app::Checks;
use crate::grpc::caller::{Caller, Credential};
use crate::grpc::generated::server_service_server::ServerService;
use crate::grpc::layers::calls;
use crate::grpc::services::Reply;
use crate::grpc::source::Source;
use crate::grpc::write;
use crate::limits::{BULK_REQUEST_BYTES_MAX, PAGE_SIZE_MAX, REQUEST_BYTES_MAX};
use crate::store::{Database, schema_version};
use crate::wire::{self, resource::count, timestamp};

pub struct ServerApi(pub Arc<Checks>);

#[tonic::async_trait]
impl ServerService for ServerApi {
    async fn get_server_info(&self, _: Request<wire::GetServerInfoRequest>) -> Reply<wire::GetServerInfoResponse> {
        let app = &self.0;
        let limits = app.limits;
        let age = app.engine.freshness.age();
        let (store, upstream) = match &app.source {
            Source::Database(store) => (Some(store), None),
            Source::Upstream(upstream) => (None, Some(upstream)),
        };
        let followed_upstream = upstream.and_then(|upstream| upstream.followed());
        Ok(Response::new(wire::GetServerInfoResponse {
            version: env!("CARGO_PKG_VERSION").into(),
            store_id: format!("{:08x}", app.engine.store_id()),
            limits: Some(wire::Limits {
                roles_max: count(limits.roles),
                permissions_max: count(limits.permissions),
                role_mappings_max: count(limits.role_mappings),
                grants_max: count(limits.grants),
                role_sets_max: count(limits.role_sets),
                managed_roles_max: count(limits.managed_roles),
                org_domains_max: count(limits.org_domains),
                member_roles_max: count(limits.member_roles),
                org_invitations_max: count(limits.org_invitations),
                bulk_rows_max: count(limits.bulk_rows as u64),
                batch_check_items_max: count(limits.batch_check_items as u64),
                page_size_max: PAGE_SIZE_MAX as i32,
                request_bytes_max: count(REQUEST_BYTES_MAX as u64),
                bulk_request_bytes_max: count(BULK_REQUEST_BYTES_MAX as u64),
            }),
            database: match store.map(|store| store.database()) {
                None => String::new(),
                Some(Database::Sqlite) => "sqlite".into(),
                Some(Database::Postgres) => "postgres".into(),
            },
            schema_version: store.map(|_| schema_version()).unwrap_or_default(),
            database_away_since: store.and_then(|store| store.away_since()).map(timestamp),
            lag_revisions: store.map_or(0, |store| store.lag(app.engine.load().state.revision()) as i64),
            start_time: Some(timestamp(app.start_time)),
            clock_behind: clock::behind(app.engine.load().state.revision().at).map(|behind| prost_types::Duration {
                seconds: behind.as_secs() as i64,
                nanos: behind.subsec_nanos() as i32,
            }),
            age: Some(prost_types::Duration {
                seconds: age.as_secs() as i64,
                nanos: age.subsec_millis() as i32 * 1_000_000,
            }),
            upstream: upstream.map(|upstream| upstream.addresses().to_owned()).unwrap_or_default(),
            following: followed_upstream.is_some(),
            followed_upstream: followed_upstream.unwrap_or_default(),
            revision: app.engine.load().token.to_string(),
        }))
    }

    async fn who_am_i(&self, _: Request<wire::WhoAmIRequest>) -> Reply<wire::WhoAmIResponse> {
        let caller = calls::caller().ok_or_else(write::unexpected)?;
        let published = self.0.engine.pin();
        let mut answer = wire::WhoAmIResponse { revision: published.token.to_string(), ..Default::default() };
        let Caller::Operator { id, by } = caller else {
            (answer.operator, answer.credential) = (LOCAL.into(), LOCAL.into());
            return Ok(Response::new(answer));
        };
        answer.operator = id.to_string();
        answer.credential = match by {
            Credential::Key(key_id, key) => {
                answer.api_key = Some(wire::api_key(&published.state.shown_api_key(key_id, key)));
                "api_key".into()
            }
            Credential::Certificate => "certificate".into(),
            Credential::Token { .. } => "token".into(),
            Credential::Uid => "uid".into(),
        };
        let workspace = published.state.project_keyed(WORKSPACE);
        if let Some((workspace, team)) = workspace.and_then(|it| Some((it, it.org(TEAM)?))) {
            let (roles, permissions) = workspace.operator_access(team, &id, clock::now());
            answer.roles = roles.iter().map(ToString::to_string).collect();
            answer.permissions = permissions.iter().map(ToString::to_string).collect();
        }
        Ok(Response::new(answer))
    }
}
