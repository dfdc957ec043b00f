//! `rolecall plan`: shows what a document would change, and for whom.

mod shown;

use std::path::PathBuf;

use clap::Parser;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tonic::Code;

use super::convert::{self, Options};
use super::document::Document;
use super::{export, local};
use crate::cli::client::{Client, ServerArgs, may_be_missing, reason};
use crate::cli::table::plain;
use crate::cli::trouble::{BUG, Failed, Trouble};
use crate::grpc::generated::configuration_service_client::ConfigurationServiceClient;
use crate::limits::Limits;
use crate::wire::{
    self, ApplyConfigurationRequest, ConfigurationAction, ConfigurationObject, ConfigurationObjectKind,
    ConfigurationStep, ErrorReason, Impact,
};
pub use shown::Shown;

const AFTER_HELP: &str = "\
Exit codes: 0 there is nothing to change; 2 there are changes; 1 no plan: wrong usage, no server, or the document would be \
refused, with the reason on stderr. They differ from those of other commands, where 2 is an error.";

const AFTER_LONG_HELP: &str = "\
Exit codes, which differ from those of other commands:
  0  there is nothing to change
  2  there are changes
  1  no plan: wrong usage, no server, or the document would be refused; the reason is on stderr

JSON (--json), one object:
  project, create      what is planned; create is true if the project does not exist
  steps                what happens to each object: action, kind, name, changes (field, role, before, after, removed, added)
  unmanaged            what exists and the document does not name: kind, name
  not_renamed          what is created although it has a `renamed_from`, which names nothing: kind, name, renamed_from
  impact               what changes for members, as in `rolecall subscribe --help`
  etag                 of the configuration that the plan was made from

Examples:
  rolecall export --project acme -o acme.yaml
  rolecall plan acme.yaml
  rolecall plan acme.yaml -o acme.plan && rolecall apply acme.yaml --plan acme.plan";

#[derive(Parser)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The document, as `rolecall export` writes it. It names the project.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Also writes the plan to a file, for `rolecall apply --plan`.
    #[arg(long, short, value_name = "PLANFILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    pub choices: Choices,

    #[command(flatten)]
    pub client: ServerArgs,
}

/// What `plan` and `apply` both take.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Choices {
    #[command(flatten)]
    pub options: Options,

    /// Creates the project if it does not exist.
    #[arg(long)]
    pub create: bool,
}

/// What a document would change.
pub struct Plan {
    pub request: ApplyConfigurationRequest,
    /// True if the project is to be created first.
    pub create: bool,
    pub steps: Vec<ConfigurationStep>,
    pub unmanaged: Vec<ConfigurationObject>,
    not_renamed: Vec<NotRenamed>,
    pub impact: Impact,
    /// The etag of the configuration that was compared. Empty for a project that is to be created.
    pub etag: String,
}

/// What is created although it has a `renamed_from`.
struct NotRenamed {
    object: ConfigurationObject,
    renamed_from: String,
}

/// What `apply --plan` needs to know, to do exactly what was shown.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    project: String,
    /// The digest of the document.
    document: String,
    pub prune: bool,
    pub allow_ownerless: bool,
    pub create: bool,
    pub etag: String,
    pub impact_digest: String,
}

/// Makes the plan. Returns true if there is something to change.
pub async fn run(args: Args) -> Result<bool, Failed> {
    let refused = |trouble| Failed::Refused(trouble);
    let document = convert::read(&args.file).map_err(refused)?;
    let client =
        Client::connect(args.client.for_project(&document.project).map_err(refused)?).await.map_err(refused)?;
    let plan = plan(&client, &document, args.choices).await.map_err(|failed| refused(failed.trouble()))?;
    if let Some(path) = &args.output {
        let text = PlanFile::of(&plan, &document).map_err(refused)?;
        export::write(Some(path), &text).map_err(refused)?;
    }
    let changes = !plan.is_empty();
    client.show(&Shown::of(&plan)).map_err(refused)?;
    Ok(changes)
}

/// Compares a document with the server. Changes nothing.
pub async fn plan(client: &Client, document: &Document, choices: Choices) -> Result<Plan, Failed> {
    let request = convert::request(document, choices.options)?;
    let mut service = ConfigurationServiceClient::new(client.channel()).max_decoding_message_size(usize::MAX);
    let get = wire::GetConfigurationRequest { project: request.project.clone(), ..Default::default() };
    let present = match client.call(service.get_configuration(get)).await? {
        Ok(present) => present,
        Err(status) if choices.create && may_be_missing(&status) => {
            return Ok(created(client, document, request).await?);
        }
        Err(status) => match ErrorReason::from_str_name(&reason(&status)) {
            Some(ErrorReason::ProjectNotFound) => {
                let trouble = client.trouble(&status);
                let next = "check `project` in the document, or create it with --create".into();
                return Err(Trouble { next, ..trouble }.into());
            }
            _ => return Err(client.trouble(&status).into()),
        },
    };
    let is = present.configuration.unwrap_or_default().environment();
    if document.environment.is_some() && convert::environment(document) != is {
        let is = is.as_str_name().trim_start_matches("ENVIRONMENT_");
        let what =
            format!("the project `{}` is {is}, and the document has another environment", plain(&document.project));
        return Err(Trouble::new(what, "the environment of a project never changes; name another project").into());
    }
    let preview = ApplyConfigurationRequest { validate_only: true, etag: present.etag.clone(), ..request.clone() };
    let answer = match client.call(service.apply_configuration(preview)).await? {
        Ok(answer) => answer,
        Err(status) => {
            let trouble = refused(client, &status);
            return Err(if is_answer(status.code()) { Failed::Refused(trouble) } else { trouble.into() });
        }
    };
    Ok(Plan {
        request,
        create: false,
        not_renamed: not_renamed(document, &answer.steps),
        steps: answer.steps,
        unmanaged: answer.unmanaged,
        impact: answer.impact.unwrap_or_default(),
        etag: present.etag,
    })
}

/// Returns what is created under a new name because nothing has the old one: a typing error, or a project that never had it.
fn not_renamed(document: &Document, steps: &[ConfigurationStep]) -> Vec<NotRenamed> {
    use ConfigurationObjectKind::{Permission, Role, RoleMapping};
    let permissions = document.permissions.iter().map(|it| (Permission, &it.name, &it.renamed_from));
    let roles = document.roles.iter().map(|it| (Role, &it.name, &it.renamed_from));
    let role_mappings = document.role_mappings.iter().map(|it| (RoleMapping, &it.name, &it.renamed_from));
    let all = permissions.chain(roles).chain(role_mappings);
    let created = |kind, name: &str| {
        let is = |object: &ConfigurationObject| object.kind() == kind && object.name == name;
        steps.iter().any(|step| step.action() == ConfigurationAction::Create && step.object.as_ref().is_some_and(is))
    };
    all.filter_map(|(kind, name, renamed_from)| {
        let renamed_from = renamed_from.clone().filter(|_| created(kind, name))?;
        let object = ConfigurationObject { kind: kind.into(), name: name.clone() };
        Some(NotRenamed { object, renamed_from })
    })
    .collect()
}

/// Returns true if the server has decided, so that asking again gives the same.
pub fn is_answer(code: Code) -> bool {
    use Code::{Cancelled, DataLoss, DeadlineExceeded, Internal, Unavailable, Unknown};
    !matches!(code, Unavailable | DeadlineExceeded | Cancelled | Unknown | Internal | DataLoss)
}

/// Returns why a document is refused, and what to write into it.
pub fn refused(client: &Client, status: &tonic::Status) -> Trouble {
    let trouble = client.trouble(status);
    let next = match ErrorReason::from_str_name(&reason(status)) {
        Some(ErrorReason::RolesWouldBeDisabled) => {
            "add `on_disabled` to the role mapping that disables them, or that is deleted: `{strategy: SUSPEND}`, or \
             `{strategy: REMAP, default_replacement: ROLE}`"
        }
        Some(ErrorReason::RoleMappingInUse) => {
            "add it to `deleted_role_mappings` with `move_subscribers_to`, or keep it in the document"
        }
        Some(ErrorReason::ReplacementDisabled | ErrorReason::ReplacementUnsuitable) => {
            "add the deleted role to `deleted_roles` with another `replacement`"
        }
        Some(ErrorReason::LastOwner) => {
            "name the new owner role as the `replacement` in `deleted_roles`, or give --allow-ownerless"
        }
        Some(ErrorReason::EtagMismatch | ErrorReason::ImpactChanged) => {
            "somebody else has changed the project or its members since the plan was made; make the plan again"
        }
        Some(
            ErrorReason::RoleAlreadyExists
            | ErrorReason::PermissionAlreadyExists
            | ErrorReason::RoleMappingAlreadyExists,
        ) => "names must differ, also in more than case; a rename needs `renamed_from`",
        Some(ErrorReason::PermissionNotFound) => "add it to `permissions` of the document, or no longer grant it",
        Some(ErrorReason::RoleNotFound) => "add it to `roles` of the document, or no longer name it elsewhere",
        _ => return trouble,
    };
    Trouble { next: next.into(), ..trouble }
}

/// Plans a project that does not exist: as the server would, from an empty one.
async fn created(client: &Client, document: &Document, request: ApplyConfigurationRequest) -> Result<Plan, Trouble> {
    if document.environment.is_none() {
        return Err(Trouble::new(
            "the document has no `environment`",
            "write `environment: TEST` or `LIVE` to create it",
        ));
    }
    // What the template creates besides is deleted again.
    let request = ApplyConfigurationRequest { prune: true, ..request };
    let limits = limits(client).await?;
    let steps = local::created(document, &request, &limits)?.steps;
    Ok(Plan {
        request,
        create: true,
        steps,
        unmanaged: Vec::new(),
        not_renamed: Vec::new(),
        impact: Impact::default(),
        etag: String::new(),
    })
}

/// Returns the limits of what a configuration may have on the server.
async fn limits(client: &Client) -> Result<Limits, Trouble> {
    let limits = client.limits().await?;
    let max = |limit: i32| u64::try_from(limit).unwrap_or_default();
    Ok(Limits {
        permissions: max(limits.permissions_max),
        roles: max(limits.roles_max),
        role_mappings: max(limits.role_mappings_max),
        grants: max(limits.grants_max),
        managed_roles: max(limits.managed_roles_max),
        ..Limits::default()
    })
}

impl Plan {
    /// Returns true if the project is as the document says.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && !self.create
    }
}

impl PlanFile {
    fn of(plan: &Plan, document: &Document) -> Result<String, Trouble> {
        let file = Self {
            project: document.project.clone(),
            document: digest(document)?,
            prune: plan.request.prune,
            allow_ownerless: plan.request.allow_ownerless,
            create: plan.create,
            etag: plan.etag.clone(),
            impact_digest: plan.impact.digest.clone(),
        };
        let text = serde_json::to_string_pretty(&file).map_err(|error| Trouble::new(error.to_string(), BUG))?;
        Ok(text + "\n")
    }

    /// Reads a plan of this document.
    pub fn read(path: &std::path::Path, document: &Document) -> Result<Self, Trouble> {
        let shown = plain(&path.display().to_string());
        let again = "make it again with `rolecall plan FILE -o PLANFILE`";
        let text = std::fs::read_to_string(path)
            .map_err(|error| Trouble::new(format!("{shown} cannot be read: {error}"), again))?;
        let file: Self =
            serde_json::from_str(&text).map_err(|error| Trouble::new(format!("{shown} is no plan: {error}"), again))?;
        if file.project != document.project || file.document != digest(document)? {
            return Err(Trouble::new(
                format!("{shown} is the plan of another document, or it was edited since"),
                again,
            ));
        }
        Ok(file)
    }
}

/// Returns the digest of what a document says. Its comments and its form do not count.
fn digest(document: &Document) -> Result<String, Trouble> {
    let json = serde_json::to_vec(document).map_err(|error| Trouble::new(error.to_string(), BUG))?;
    Ok(Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect())
}
