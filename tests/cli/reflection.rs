//! The server describes itself: every name of the contract, with its comment, to both versions of reflection.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use rolecall::grpc::{DESCRIPTORS, SERVICES};
use tonic::transport::Endpoint;
use tonic_reflection::pb::{v1, v1alpha};

use crate::run::{Server, both, grpcurl, output};

const PACKAGE: &str = "rolecall.v1";

/// A name that can be described, and the comments that must be shown with it.
struct Symbol {
    name: String,
    comments: Vec<String>,
}

#[test]
fn describing_any_symbol_shows_its_comment() {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start::<&str>(folder.path(), &[]);
    let symbols = symbols();
    assert!(symbols.len() > 100, "only {} symbols", symbols.len());
    let halves = symbols.split_at(symbols.len() / 2);
    std::thread::scope(|scope| {
        for half in [halves.0, halves.1] {
            scope.spawn(|| half.iter().for_each(|symbol| described(&grpcurl, &server.address, symbol)));
        }
    });
}

fn described(grpcurl: &Path, address: &str, symbol: &Symbol) {
    let shown = output(Command::new(grpcurl).args(["-plaintext", address, "describe", &symbol.name]));
    let shown = both(&shown);
    for comment in &symbol.comments {
        assert!(!comment.trim().is_empty(), "a part of {} has no comment: {shown}", symbol.name);
        for line in comment.lines().filter(|line| !line.trim().is_empty()) {
            assert!(shown.contains(&format!("//{line}")), "`{line}` is not shown of {}: {shown}", symbol.name);
        }
    }
}

#[test]
fn listing_names_every_service() {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start::<&str>(folder.path(), &[]);
    let listed = both(&output(Command::new(&grpcurl).args(["-plaintext", &server.address, "list"])));
    // Each version of reflection lists only itself, and grpcurl chooses the version.
    let listed: BTreeSet<&str> = listed.lines().filter(|name| !name.starts_with("grpc.reflection.")).collect();
    let mut expected: BTreeSet<&str> = SERVICES.into_iter().map(|(name, _)| name).collect();
    expected.insert("grpc.health.v1.Health");
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn both_versions_of_reflection_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start::<&str>(folder.path(), &[]);
    let channel = Endpoint::from_shared(format!("http://{}", server.address)).unwrap().connect().await.unwrap();
    macro_rules! listed {
        ($version:ident) => {{
            use $version::{server_reflection_request::MessageRequest, server_reflection_response::MessageResponse};
            let request = $version::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::ListServices(String::new())),
            };
            let mut client = $version::server_reflection_client::ServerReflectionClient::new(channel.clone());
            let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
            let answer = answers.into_inner().message().await.unwrap().unwrap().message_response;
            let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("no list: {answer:?}") };
            list.service.into_iter().map(|service| service.name).collect::<BTreeSet<String>>()
        }};
    }
    for listed in [listed!(v1), listed!(v1alpha)] {
        for (service, _) in SERVICES {
            assert!(listed.contains(service), "{service} is not in {listed:?}");
        }
    }
}

/// Services, methods, messages and enums of the contract.
fn symbols() -> Vec<Symbol> {
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
    files.iter().filter(|file| file.package() == PACKAGE).flat_map(file_symbols).collect()
}

// The numbers in paths are those of the fields of `descriptor.proto`.
fn file_symbols(file: &FileDescriptorProto) -> Vec<Symbol> {
    let at = |path: &[i32]| comment(file, path);
    let mut symbols = Vec::new();
    for (number, service) in (0..).zip(&file.service) {
        let name = format!("{PACKAGE}.{}", service.name());
        for (method_number, method) in (0..).zip(&service.method) {
            let comments = vec![at(&[6, number, 2, method_number])];
            symbols.push(Symbol { name: format!("{name}.{}", method.name()), comments });
        }
        symbols.push(Symbol { name, comments: vec![at(&[6, number])] });
    }
    for (number, message) in (0..).zip(&file.message_type) {
        symbols.push(message_symbol(message, number, &at));
    }
    for (number, one) in (0..).zip(&file.enum_type) {
        symbols.push(enum_symbol(one, number, &at));
    }
    symbols
}

fn message_symbol(message: &DescriptorProto, number: i32, at: &dyn Fn(&[i32]) -> String) -> Symbol {
    assert!(message.nested_type.is_empty() && message.enum_type.is_empty(), "{} nests", message.name());
    let fields = (0..).zip(&message.field).map(|(field, _)| at(&[4, number, 2, field]));
    let oneofs = (0..).zip(&message.oneof_decl).map(|(oneof, _)| at(&[4, number, 8, oneof]));
    // A message whose name says it all has no comment.
    let own = Some(at(&[4, number])).filter(|comment| !comment.is_empty());
    let comments = own.into_iter().chain(fields).chain(oneofs).collect();
    Symbol { name: format!("{PACKAGE}.{}", message.name()), comments }
}

fn enum_symbol(one: &EnumDescriptorProto, number: i32, at: &dyn Fn(&[i32]) -> String) -> Symbol {
    let values = (0..).zip(&one.value).map(|(value, _)| at(&[5, number, 2, value]));
    let comments = [at(&[5, number])].into_iter().chain(values).collect();
    Symbol { name: format!("{PACKAGE}.{}", one.name()), comments }
}

fn comment(file: &FileDescriptorProto, path: &[i32]) -> String {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let found =
        locations.filter(|location| location.path == path).find_map(|location| location.leading_comments.clone());
    found.unwrap_or_default()
}
