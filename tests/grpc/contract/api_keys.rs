//! Requests of the RPCs about operators.

use prost::Message;
use rolecall::wire;

use super::Sent;
use crate::fixture::in_an_hour;

/// Returns the requests about API keys. `api_key_id` exists.
pub fn requests(api_key_id: &str) -> Vec<Sent> {
    let create = wire::CreateApiKeyRequest {
        display_name: "billing".into(),
        operator: "olga".into(),
        environment: wire::Environment::Live.into(),
        scope: Some(wire::ApiKeyScope {
            checks_only: true,
            acting_user_required: true,
            project: "default".into(),
            org_id: "acme".into(),
            no_activity: true,
            sidecar_only: false,
        }),
        expire_time: Some(in_an_hour()),
        request_id: "request-key".into(),
        reason: "because".into(),
        ..Default::default()
    };
    let list = wire::ListApiKeysRequest {
        operator: "olga".into(),
        include_archived: true,
        page_size: 10,
        ..Default::default()
    };
    let archive = wire::ArchiveApiKeyRequest {
        api_key_id: api_key_id.into(),
        request_id: "request-key-archived".into(),
        reason: "because".into(),
        ..Default::default()
    };
    vec![
        ("rolecall.v1.ApiKeyService/CreateApiKey", create.encode_to_vec()),
        ("rolecall.v1.ApiKeyService/ListApiKeys", list.encode_to_vec()),
        ("rolecall.v1.ApiKeyService/ArchiveApiKey", archive.encode_to_vec()),
    ]
}
