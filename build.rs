//! Turns `proto/` into Rust, without protoc: the messages once, then the services on top of them.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message;

const PROTO_ROOT: &str = "proto";
const PACKAGE_DIR: &str = "proto/rolecall/v1";

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
