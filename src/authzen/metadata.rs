//! The description of the API: where its endpoints are.

use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;
use serde::Serialize;
use tonic::Status;

use super::Api;
use crate::grpc::{convert, status};

pub const PATH: &str = "/.well-known/authzen-configuration";
/// The description for one project.
pub const PROJECT_PATH: &str = "/.well-known/authzen-configuration/projects/{project}";

#[derive(Serialize)]
pub struct Description {
    policy_decision_point: String,
    access_evaluation_endpoint: String,
    access_evaluations_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_subject_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_resource_endpoint: Option<String>,
    search_action_endpoint: String,
}

/// Describes the endpoints of a project. `None` is the project of requests that name none.
pub fn describe(api: &Api, project: Option<&str>, headers: &HeaderMap) -> Result<Description, Status> {
    let base = match api.settings.url.trim_end_matches('/') {
        "" => {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse().ok());
            let host: Authority = host.ok_or_else(|| status::invalid("Host", "must name this server"))?;
            format!("{}://{host}", if api.tls { "https" } else { "http" })
        }
        url => url.into(),
    };
    let base = match project {
        Some(key) => format!("{base}/projects/{}", convert::project(key)?),
        None => base,
    };
    let at = |path: &str| format!("{base}/access/v1/{path}");
    // A sidecar does not search for subjects and resources.
    let of_server = |path| api.app.as_ref().map(|_| at(path));
    Ok(Description {
        access_evaluation_endpoint: at("evaluation"),
        access_evaluations_endpoint: at("evaluations"),
        search_subject_endpoint: of_server("search/subject"),
        search_resource_endpoint: of_server("search/resource"),
        search_action_endpoint: at("search/action"),
        policy_decision_point: base,
    })
}
