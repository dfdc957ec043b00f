//! The mapping of Envoy's requests to checks, as an operator writes it in YAML.

use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;
use envoy_types::pb::google::protobuf::value::Kind;
use serde::Deserialize;

use super::path::{Template, segments};
use super::{Asked, Denial};
use crate::domain::ProjectKey;
use crate::domain::model::name::{own_id, permission_name};
use crate::limits::ENVOY_RULES_MAX;
use crate::yaml;

/// The filter of Envoy that verifies JWTs, and the metadata with their claims.
const JWT_FILTER: &str = "envoy.filters.http.jwt_authn";

/// See the module.
#[derive(Debug)]
pub struct Mapping {
    project: String,
    /// The name under which Envoy stores the claims.
    jwt_payload: String,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    /// Empty for all methods.
    methods: Vec<String>,
    path: Template,
    user: Source,
    org: Source,
    permission: Source,
}

/// Where a value comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    Constant(String),
    /// A header that the client may have sent: never an identity.
    Header(String),
    /// A header that Envoy sets itself, and removes from what clients send.
    TrustedHeader(String),
    /// A variable of the rule's path.
    Path(String),
    /// A claim of a JWT that Envoy has verified.
    Claim(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRule {
    #[serde(default)]
    methods: Vec<String>,
    path: String,
    user: Option<Source>,
    org: Option<Source>,
    permission: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    project: String,
    #[serde(default)]
    jwt_payload: String,
    user: Option<Source>,
    org: Option<Source>,
    rules: Vec<FileRule>,
}

impl Mapping {
    /// Reads a file. `Err` says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = yaml::read(text)?;
        if !file.project.is_empty() {
            ProjectKey::parse(&file.project).map_err(|why| format!("`project` {why}"))?;
        }
        if file.rules.is_empty() || file.rules.len() > ENVOY_RULES_MAX {
            return Err(format!("`rules` must have 1 to {ENVOY_RULES_MAX} rules"));
        }
        let rule = |(at, rule): (usize, FileRule)| {
            let user = rule.user.or_else(|| file.user.clone());
            let org = rule.org.or_else(|| file.org.clone());
            read_rule(rule.methods, &rule.path, user, org, rule.permission)
                .map_err(|why| format!("`rules[{at}]`: {why}"))
        };
        let rules = file.rules.into_iter().enumerate().map(rule).collect::<Result<_, _>>()?;
        let jwt_payload = if file.jwt_payload.is_empty() { "jwt_payload".into() } else { file.jwt_payload };
        Ok(Self { project: file.project, jwt_payload, rules })
    }

    /// The project of all checks. Empty means `default`.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Returns what a request asks: by the first rule that matches.
    pub fn read(&self, request: &AttributeContext) -> Result<Asked, Denial> {
        let http = request.request.as_ref().and_then(|request| request.http.as_ref()).ok_or(Denial::NoRule)?;
        let path = segments(&http.path).ok_or(Denial::PathMalformed)?;
        let fits =
            |rule: &&Rule| (rule.methods.is_empty() || rule.methods.contains(&http.method)) && rule.path.matches(&path);
        let rule = self.rules.iter().find(fits).ok_or(Denial::NoRule)?;
        let value = |source: &Source| {
            let value = match source {
                Source::Constant(text) => Some(text.clone()),
                Source::Header(name) | Source::TrustedHeader(name) => header(http, name),
                Source::Path(name) => rule.path.variable(name, &path).map(str::to_owned),
                Source::Claim(name) => self.claim(request, name),
            };
            value.filter(|value| !value.is_empty())
        };
        Ok(Asked {
            user_id: value(&rule.user).ok_or(Denial::UserMissing)?,
            org_id: value(&rule.org).ok_or(Denial::OrgMissing)?,
            permission: value(&rule.permission).ok_or(Denial::PermissionMissing)?,
        })
    }

    /// Returns a claim that is a text.
    fn claim(&self, request: &AttributeContext, name: &str) -> Option<String> {
        let stored = request.metadata_context.as_ref()?.filter_metadata.get(JWT_FILTER)?;
        let Kind::StructValue(claims) = stored.fields.get(&self.jwt_payload)?.kind.as_ref()? else { return None };
        match claims.fields.get(name)?.kind.as_ref()? {
            Kind::StringValue(text) => Some(text.clone()),
            _ => None,
        }
    }
}

/// Envoy writes the names of headers in lower case.
fn header(http: &HttpRequest, name: &str) -> Option<String> {
    http.headers.get(name).cloned()
}

fn read_rule(
    methods: Vec<String>,
    path: &str,
    user: Option<Source>,
    org: Option<Source>,
    permission: Source,
) -> Result<Rule, String> {
    if let Some(method) =
        methods.iter().find(|method| method.is_empty() || !method.bytes().all(|c| c.is_ascii_uppercase()))
    {
        return Err(format!("the method `{method}` must be in upper case, as in `GET`"));
    }
    let path = Template::parse(path)?;
    let mut user = user.ok_or("give `user` here or above the rules")?;
    let mut org = org.ok_or("give `org` here or above the rules")?;
    let mut permission = permission;
    match &user {
        Source::Header(name) => {
            return Err(format!(
                "`user` must not come from the header `{name}`, which clients can send; if Envoy removes it from their \
                 requests and sets it itself, write `trusted_header`"
            ));
        }
        Source::Path(_) => return Err("`user` must not come from the path, which clients choose".into()),
        Source::Constant(text) => own_id(text).map_err(|why| format!("`user` {why}"))?,
        Source::TrustedHeader(_) | Source::Claim(_) => {}
    }
    if let Source::Constant(text) = &org {
        own_id(text).map_err(|why| format!("`org` {why}"))?;
    }
    match &permission {
        Source::Header(name) => {
            return Err(format!(
                "`permission` must not come from the header `{name}`, which clients can send; if Envoy removes it from their \
                 requests and sets it itself, write `trusted_header`"
            ));
        }
        Source::Constant(text) => permission_name(text).map_err(|why| format!("`permission` {why}"))?,
        _ => {}
    }
    for source in [&mut user, &mut org, &mut permission] {
        match source {
            Source::Header(name) | Source::TrustedHeader(name) => *name = name.to_ascii_lowercase(),
            Source::Path(name) if !path.has_variable(name) => {
                return Err(format!("the path has no variable `{{{name}}}`"));
            }
            _ => {}
        }
    }
    Ok(Rule { methods, path, user, org, permission })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        Mapping::parse(text).unwrap_err()
    }

    #[test]
    fn a_mapping_says_what_is_wrong_with_it() {
        let rule = |rest: &str| format!("user: {{claim: sub}}\nrules:\n- {{path: '/orgs/{{org}}', {rest}}}\n");
        for (text, why) in [
            ("rules: []\n".into(), "1 to 1000 rules"),
            ("rule: []\n".into(), "rule"),
            ("project: No\nrules: []\n".into(), "`project`"),
            (rule("permission: {constant: view}"), "`rules[0]`: give `org`"),
            (rule("org: {path: organization}, permission: {constant: view}"), "no variable `{organization}`"),
            (rule("org: {path: org}, permission: {header: x-permission}"), "write `trusted_header`"),
            (rule("org: {path: org}, permission: {constant: ''}"), "`permission`"),
            (rule("org: {path: org}, user: {header: x-user}, permission: {constant: view}"), "write `trusted_header`"),
            (rule("org: {path: org}, user: {path: org}, permission: {constant: view}"), "which clients choose"),
            (rule("org: {path: org}, permission: {constant: view}, methods: [get]"), "upper case"),
            (rule("org: {paths: org}, permission: {constant: view}"), "paths"),
            (rule("org: {path: org}"), "permission"),
        ] {
            let said = wrong(&text);
            assert!(said.contains(why), "{text}{said}");
        }
        Mapping::parse(&rule("org: {path: org}, permission: {constant: view}, methods: [GET]")).unwrap();
    }
}
