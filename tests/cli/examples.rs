//! docs/examples.md: its commands work, it has every method, and the contract shows the same commands.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use rolecall::grpc::DESCRIPTORS;

use crate::commands::{blocks, file, work};

const DOCUMENT: &str = "docs/examples.md";
/// The numbers of `FileDescriptorProto.service` and `ServiceDescriptorProto.method` in a path to a comment.
const SERVICE: i32 = 6;
const METHOD: i32 = 2;

#[test]
fn the_commands_of_the_examples_work_in_their_order() {
    work(DOCUMENT, 50);
}

#[test]
fn every_method_has_an_example() {
    let commands = commands();
    for method in methods().keys() {
        let with = commands.iter().filter(|command| command.ends_with(&format!(" {method}"))).count();
        assert!(with > 0, "{method} is not in {DOCUMENT}");
    }
}

#[test]
fn the_contract_shows_the_commands_of_the_examples() {
    let commands = commands();
    for (method, comment) in methods() {
        let examples: Vec<String> = comment.split("Example: `").skip(1).map(command).collect();
        assert_eq!(examples.len(), 1, "the comment of {method} has one example: {comment}");
        assert!(
            examples[0].ends_with(&format!(" {method}")),
            "{method} shows the example of another method: {}",
            examples[0]
        );
        assert!(commands.contains(&examples[0]), "not in {DOCUMENT}: {}", examples[0]);
    }
}

/// Returns the commands that must work, with single spaces. A command with a stream works until its time is over.
fn commands() -> BTreeSet<String> {
    let blocks = blocks(&file(DOCUMENT));
    let lines = |kind: &'static str| blocks.iter().filter(move |block| block.kind == kind).flat_map(|it| &it.lines);
    let streams = lines("sh ci fails").filter(|line| line.contains(" -max-time "));
    lines("sh ci").chain(streams).map(|line| single_spaced(line)).collect()
}

fn command(after: &str) -> String {
    single_spaced(after.split('`').next().unwrap_or_default())
}

fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns every method of the contract, as `package.Service/Method`, with its comment.
fn methods() -> BTreeMap<String, String> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let methods: BTreeMap<String, String> =
        set.file.iter().filter(|file| file.package() == "rolecall.v1").flat_map(methods_of).collect();
    assert!(methods.len() > 40, "only {} methods", methods.len());
    methods
}

fn methods_of(file: &FileDescriptorProto) -> Vec<(String, String)> {
    let mut methods = Vec::new();
    for (at, service) in file.service.iter().enumerate() {
        for (number, method) in service.method.iter().enumerate() {
            let path = [SERVICE, at as i32, METHOD, number as i32];
            let locations = &file.source_code_info.as_ref().unwrap().location;
            let comment = locations.iter().find(|location| location.path == path).unwrap().leading_comments();
            methods.push((format!("{}.{}/{}", file.package(), service.name(), method.name()), comment.into()));
        }
    }
    methods
}
