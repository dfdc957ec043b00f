//! Turns `proto/` into Rust, without protoc: the messages once, then the services on top of them.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message;

const PROTO_ROOT: &str = "proto";
const PACKAGE_DIR: &str = "proto/rolecall/v1";

/// The messages that the command line prints as JSON.
const PRINTED: [&str; 16] = [
    "CheckResponse",
    "GrantImpact",
    "GrantImpacts",
    "Impact",
    "ManageableRole",
    "Member",
    "MemberImpact",
    "MemberRole",
    "OrgIds",
    "PermissionNames",
    "RoleDiff",
    "RoleGrants",
    "RoleImpact",
    "RoleMapping",
    "RolePair",
    "RolePairs",
];

/// Fields that serde cannot print by itself, and the functions of `wire::json` that do.
const PRINTED_BY: [(&str, &str); 15] = [
    ("CheckResponse.decision", "decision"),
    ("CheckResponse.evaluated_at", "time"),
    ("Impact.grants_gained", "or_default"),
    ("Impact.grants_lost", "or_default"),
    ("Impact.at_least_lost", "or_default"),
    ("Impact.manages_lost", "or_default"),
    ("Impact.orgs_left_ownerless", "or_default"),
    ("ManageableRole.expire_time_max", "time"),
    ("Member.origin", "origin"),
    ("MemberImpact.permissions_gained", "or_default"),
    ("MemberImpact.permissions_lost", "or_default"),
    ("MemberRole.expire_time", "time"),
    ("MemberRole.origin", "origin"),
    ("MemberRole.state", "role_state"),
    ("RoleMapping.create_time", "time"),
];

/// Fields that JSON leaves out if they are not set.
const PRINTED_IF_SET: [&str; 3] =
    ["ManageableRole.expire_time_max", "MemberRole.expire_time", "MemberRole.fallback_role"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO_ROOT}");
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);

    // Source info carries the comments that `grpcurl describe` shows.
    let mut compiler = protox::Compiler::new([PROTO_ROOT])?;
    compiler.include_source_info(true).include_imports(true).open_files(protos()?)?;
    let descriptors = compiler.file_descriptor_set();
    fs::write(out_dir.join("rolecall.v1.bin"), descriptors.encode_to_vec())?;

    // By the names of their types the codec tells bulk requests from others.
    let mut named = prost_build::Config::new();
    named.enable_type_names();
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
        .out_dir(fresh(&out_dir.join("messages"))?)
        .compile_fds_with_config(descriptors.clone(), named)?;

    // The messages live in a room that knows no tonic; services and clients name them there. A codec of our own turns
    // malformed protobuf into INVALID_ARGUMENT and bounds requests; clients read answers, which it must not bound.
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".rolecall.v1", "crate::wire")
        .codec_path("crate::grpc::codec::Codec")
        .out_dir(fresh(&out_dir.join("services"))?)
        .compile_fds(descriptors.clone())?;
    tonic_prost_build::configure()
        .build_server(false)
        .extern_path(".rolecall.v1", "crate::wire")
        .out_dir(fresh(&out_dir.join("clients"))?)
        .compile_fds(descriptors)?;
    Ok(())
}

/// Every proto file of the package, in one order on every machine.
fn protos() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let entries = fs::read_dir(PACKAGE_DIR)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = entries.collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.extension() == Some(OsStr::new("proto")));
    files.sort();
    Ok(files)
}

/// An empty directory, so that nothing of an earlier build is left in it.
fn fresh(dir: &Path) -> Result<&Path, Box<dyn Error>> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    Ok(dir)
}
