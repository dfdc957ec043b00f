//! Generates Rust from `proto/`, without protoc: the messages once, then the services that use them.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost_types::FileDescriptorSet;

#[path = "build/authorization.rs"]
mod authorization;

const PROTO_ROOT: &str = "proto";
/// The packages of the API, of replication and of storage. `google.api` is only imported.
const PACKAGES: [&str; 3] = ["proto/rolecall/v1", "proto/rolecall/replication/v1", "proto/rolecall/storage/v1"];

/// The messages that the command line prints as JSON.
const PRINTED: [&str; 32] = [
    "Access",
    "ApiKey",
    "ApiKeyScope",
    "CheckResponse",
    "ConfigurationChange",
    "Event",
    "EventChange",
    "EventDenial",
    "EventField",
    "ExplainChangeResponse",
    "ExplainResponse",
    "ExplainedRole",
    "GetAccessResponse",
    "GetInsightsResponse",
    "GrantImpact",
    "GrantImpacts",
    "Impact",
    "Invitation",
    "ManageableRole",
    "Member",
    "MemberImpact",
    "MemberRole",
    "OrgIds",
    "PermissionDecision",
    "PermissionNames",
    "RoleDiff",
    "RoleGrants",
    "RoleImpact",
    "RoleMapping",
    "RolePair",
    "RolePairs",
    "WhoAmIResponse",
];

/// Fields that serde cannot print by itself, and the functions of `wire::json` that do.
const PRINTED_BY: [(&str, &str); 36] = [
    ("ApiKey.archive_time", "time"),
    ("ApiKey.create_time", "time"),
    ("ApiKey.environment", "environment"),
    ("ApiKey.expire_time", "time"),
    ("CheckResponse.decision", "decision"),
    ("CheckResponse.evaluated_at", "time"),
    ("Event.time", "time"),
    ("Event.type", "event_type"),
    ("EventChange.action", "event_action"),
    ("ExplainChangeResponse.decision", "decision"),
    ("ExplainChangeResponse.decision_before", "decision"),
    ("ExplainChangeResponse.expire_time", "time"),
    ("ExplainResponse.decision", "decision"),
    ("ExplainResponse.evaluated_at", "time"),
    ("GetAccessResponse.evaluated_at", "time"),
    ("GetInsightsResponse.evaluated_at", "time"),
    ("Impact.grants_gained", "or_default"),
    ("Impact.grants_lost", "or_default"),
    ("Impact.at_least_lost", "or_default"),
    ("Impact.manages_lost", "or_default"),
    ("Impact.orgs_left_ownerless", "or_default"),
    ("Invitation.create_time", "time"),
    ("Invitation.expire_time", "time"),
    ("Invitation.settle_time", "time"),
    ("Invitation.state", "invitation_state"),
    ("Invitation.unacceptable_reason", "error_reason"),
    ("ManageableRole.expire_time_max", "time"),
    ("Member.origin", "origin"),
    ("MemberImpact.permissions_gained", "or_default"),
    ("MemberImpact.permissions_lost", "or_default"),
    ("MemberRole.expire_time", "time"),
    ("MemberRole.fallback_role_state", "role_state"),
    ("MemberRole.origin", "origin"),
    ("MemberRole.state", "role_state"),
    ("PermissionDecision.decision", "decision"),
    ("RoleMapping.create_time", "time"),
];

/// Fields that JSON leaves out if they are not set.
const PRINTED_IF_SET: [&str; 13] = [
    "ApiKey.archive_time",
    "ApiKey.expire_time",
    "Event.denial",
    "Invitation.accepted_user_id",
    "Invitation.inviter_user_id",
    "Invitation.settle_time",
    "Invitation.unacceptable_reason",
    "ManageableRole.expire_time_max",
    "Member.access",
    "MemberRole.expire_time",
    "MemberRole.fallback_role",
    "MemberRole.fallback_role_state",
    "WhoAmIResponse.api_key",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO_ROOT}");
    println!("cargo:rerun-if-changed=build");
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);

    // Source info carries the comments that `grpcurl describe` shows.
    let mut compiler = protox::Compiler::new([PROTO_ROOT])?;
    compiler.include_source_info(true).include_imports(true).open_files(protos()?)?;
    // Not `descriptors.encode_to_vec()`: prost drops the options of fields.
    fs::write(out_dir.join("rolecall.v1.bin"), compiler.encode_file_descriptor_set())?;
    let descriptors = compiler.file_descriptor_set();
    fs::write(out_dir.join("error_reasons.rs"), error_reasons(&descriptors)?)?;
    fs::write(out_dir.join("authorization.rs"), authorization::implementations(&compiler.descriptor_pool())?)?;

    // The codec tells bulk requests from others by the names of their types.
    let mut named = prost_build::Config::new();
    named.enable_type_names();
    // It has a secret.
    named.skip_debug(["CreateApiKeyResponse"]);
    for message in PRINTED {
        named.type_attribute(message, "#[derive(serde::Serialize)]");
    }
    for (field, function) in PRINTED_BY {
        named.field_attribute(field, format!("#[serde(serialize_with = \"crate::wire::json::{function}\")]"));
    }
    for field in PRINTED_IF_SET {
        named.field_attribute(field, "#[serde(skip_serializing_if = \"crate::wire::json::is_unset\")]");
    }
    tonic_prost_build::configure()
        .build_client(false)
        .build_server(false)
        .bytes(".")
        // Written by hand, see there.
        .extern_path(".rolecall.v1.Consistency", "crate::wire::Consistency")
        .out_dir(empty(&out_dir.join("messages"))?)
        .compile_fds_with_config(descriptors.clone(), named)?;

    // The messages are in a module that does not import tonic. Services and clients refer to them there. Our codec makes
    // malformed protobuf INVALID_ARGUMENT and bounds requests. Clients use tonic's own, which does not bound answers.
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".rolecall.v1", "crate::wire")
        .extern_path(".rolecall.replication.v1", "crate::wire::replication")
        // Written by hand, see there. Clients use the generated messages.
        .extern_path(".rolecall.v1.BatchCheckRequest", "crate::wire::batch_check::BatchCheckBody")
        .extern_path(".rolecall.v1.BatchCheckResponse", "crate::wire::batch_check::BatchCheckAnswer")
        .codec_path("crate::grpc::codec::Codec")
        .out_dir(empty(&out_dir.join("services"))?)
        .compile_fds(descriptors.clone())?;
    tonic_prost_build::configure()
        .build_server(false)
        .extern_path(".rolecall.v1", "crate::wire")
        .extern_path(".rolecall.replication.v1", "crate::wire::replication")
        .out_dir(empty(&out_dir.join("clients"))?)
        .compile_fds(descriptors)?;
    Ok(())
}

/// Returns every proto file of the packages, in the same order on every machine.
fn protos() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for package in PACKAGES {
        for entry in fs::read_dir(package)? {
            files.push(entry?.path());
        }
    }
    files.retain(|file| file.extension() == Some(OsStr::new("proto")));
    files.sort();
    Ok(files)
}

/// Writes the code and the meaning of every reason as Rust. Their source is the comment of the reason in
/// `error_reason.proto`, which has the form `NOT_FOUND: The project does not exist.`
fn error_reasons(descriptors: &FileDescriptorSet) -> Result<String, Box<dyn Error>> {
    let file = descriptors.file.iter().find(|file| file.name().ends_with("v1/error_reason.proto"));
    let file = file.ok_or("error_reason.proto is missing")?;
    let mut table = String::from("&[\n");
    for location in &file.source_code_info.as_ref().ok_or("no comments")?.location {
        // Field 5 of a file holds its enums, field 2 of an enum its values.
        let &[5, 0, 2, at] = location.path.as_slice() else { continue };
        let name = file.enum_type[0].value[at as usize].name();
        let comment = location.leading_comments().split_whitespace().collect::<Vec<_>>().join(" ");
        let (code, meaning) = comment.split_once(": ").ok_or(format!("{name} has no code"))?;
        writeln!(table, "    ({name:?}, {code:?}, {meaning:?}),")?;
    }
    table.push_str("]\n");
    Ok(table)
}

/// Returns an empty directory: nothing of an earlier build is left in it.
fn empty(dir: &Path) -> Result<&Path, Box<dyn Error>> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    Ok(dir)
}
