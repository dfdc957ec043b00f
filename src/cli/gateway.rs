//! The flags of AuthZEN and Envoy, of `serve` and `sidecar`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgAction, Parser};

use crate::authzen::Authzen;
use crate::authzen::actions::Actions;
use crate::domain::ProjectKey;
use crate::grpc::services::envoy::Mapping;
use crate::limits::GATEWAY_FILE_BYTES_MAX;
use crate::server::{Gateways, Listen};

#[derive(Parser)]
#[command(next_help_heading = "AuthZEN and Envoy")]
pub struct GatewayArgs {
    /// Where to answer AuthZEN over HTTP/1.1: `HOST:PORT` or `unix:PATH`; can be given several times. If not given, nowhere.
    #[arg(long, env = "ROLECALL_HTTP_LISTEN", value_delimiter = ',', action = ArgAction::Append, value_name = "ADDRESS")]
    http_listen: Vec<Listen>,
    /// The project of AuthZEN requests whose path names none.
    #[arg(long, env = "ROLECALL_AUTHZEN_PROJECT", default_value = "default", value_name = "KEY", value_parser = project)]
    authzen_project: String,
    /// The types of AuthZEN subjects that are users. If not given, all.
    #[arg(long, env = "ROLECALL_AUTHZEN_SUBJECT_TYPES", value_delimiter = ',', value_name = "TYPE")]
    authzen_subject_types: Vec<String>,
    /// The types of AuthZEN resources that are orgs. If not given, all.
    #[arg(long, env = "ROLECALL_AUTHZEN_RESOURCE_TYPES", value_delimiter = ',', value_name = "TYPE")]
    authzen_resource_types: Vec<String>,
    /// A YAML file that maps AuthZEN actions to permissions, by name and properties. Other actions ask for the permission with
    /// their name.
    #[arg(long, env = "ROLECALL_AUTHZEN_ACTIONS", value_name = "FILE")]
    authzen_actions: Option<PathBuf>,
    /// The URL by which AuthZEN clients reach this server, for the description of its endpoints. Needed if other machines
    /// can connect over HTTP. If not given, that of the request.
    #[arg(long, env = "ROLECALL_AUTHZEN_URL", value_name = "URL", value_parser = url)]
    authzen_url: Option<String>,
    /// A YAML file that maps the requests of Envoy's ext_authz to checks. Without it, Envoy is not answered.
    #[arg(long, env = "ROLECALL_ENVOY_CONFIG", value_name = "FILE")]
    envoy_config: Option<PathBuf>,
}

/// Reads the key of a project, which need not exist yet.
fn project(text: &str) -> Result<String, String> {
    ProjectKey::parse(text).map(|key| key.to_string()).map_err(|why| why.to_string())
}

/// Reads the URL of a server.
fn url(text: &str) -> Result<String, String> {
    let parsed = url::Url::parse(text).map_err(|error| error.to_string())?;
    let plain = parsed.query().is_none() && parsed.fragment().is_none() && parsed.has_host();
    match parsed.scheme() {
        "http" | "https" if plain => Ok(text.into()),
        _ => Err("give a URL of http or https without a query, as in `https://rolecall.example`".into()),
    }
}

impl GatewayArgs {
    /// Reads the files too.
    pub fn gateways(self) -> Result<Gateways, String> {
        let actions = self.authzen_actions.as_deref().map(|file| read("--authzen-actions", file, Actions::parse));
        let envoy = self.envoy_config.as_deref().map(|file| read("--envoy-config", file, Mapping::parse));
        Ok(Gateways {
            http_listen: self.http_listen,
            authzen: Authzen {
                project: self.authzen_project,
                subject_types: self.authzen_subject_types,
                resource_types: self.authzen_resource_types,
                actions: actions.transpose()?.map(Arc::new).unwrap_or_default(),
                url: self.authzen_url.unwrap_or_default(),
            },
            envoy: envoy.transpose()?.map(Arc::new),
        })
    }
}

/// Reads the file of a flag.
fn read<T>(flag: &str, path: &Path, parse: fn(&str) -> Result<T, String>) -> Result<T, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("the file `{}` of {flag} cannot be used: {why}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| wrong(&error))?;
    file.take(GATEWAY_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| wrong(&error))?;
    if text.len() as u64 > GATEWAY_FILE_BYTES_MAX {
        return Err(wrong(&format!("it has more than {GATEWAY_FILE_BYTES_MAX} bytes")));
    }
    parse(&text).map_err(|why| wrong(&why))
}
