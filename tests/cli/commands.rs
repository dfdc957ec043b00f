//! Runs the commands of a document, in their order, against one server.
//!
//! Every line of a block marked `sh ci` must succeed, and every line of a block marked `sh ci fails` must fail. The answer
//! before a `json` or `text` block contains the lines of the block, in their order. A line `NAME=$(...)` or `export NAME=VALUE`
//! sets a variable for the lines after it.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::run::{Server, both, grpcurl, output, rolecall, shell_in};

/// Where documents let a server listen for HTTP.
const HTTP: &str = "127.0.0.1:50080";

/// Returns the text of a file of the repository.
pub fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Asserts that a document has this text between the two markers of a section. `UPDATE_DOCS=1` rewrites the section.
#[track_caller]
pub fn has_section(document: &str, section: &str, text: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _writing = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let found = file(document);
    let (begin, end) = (format!("<!-- {section} -->\n"), format!("<!-- /{section} -->\n"));
    let (before, rest) = found.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    let expected = format!("{before}{begin}{text}{end}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(document), expected).unwrap();
    } else {
        let command = "UPDATE_DOCS=1 cargo test --test cli w5_";
        assert!(found == expected, "run `{command}`; `{section}` in {document} should be:\n{text}");
    }
}

/// A block between fences.
pub struct Block {
    pub kind: String,
    pub lines: Vec<String>,
}

pub fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for line in document.lines() {
        match (line.strip_prefix("```"), open) {
            (Some(kind), false) => blocks.push(Block { kind: kind.into(), lines: Vec::new() }),
            (Some(_), true) => {}
            (None, true) => blocks.last_mut().unwrap().lines.push(line.into()),
            (None, false) => continue,
        }
        open ^= line.starts_with("```");
    }
    blocks
}

/// Runs a document, which must contain at least this many commands. Does nothing if grpcurl is missing.
pub fn work(document: &str, at_least: usize) {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut server = None;
    let mut variables = String::new();
    let mut last = String::new();
    let mut ran = 0;
    for block in blocks(&file(document)) {
        match block.kind.as_str() {
            kind @ ("sh ci" | "sh ci fails") => {
                for line in &block.lines {
                    last = run(line, kind == "sh ci", &grpcurl, folder.path(), (&mut server, &mut variables));
                    ran += 1;
                }
            }
            "json" | "text" => {
                let mut shown = last.lines();
                for line in &block.lines {
                    let there = shown.any(|shown| shown.trim_end() == line.trim_end());
                    assert!(there, "{document}: `{line}` is not in the answer, or not in this order: {last}");
                }
            }
            _ => {}
        }
    }
    assert!(ran >= at_least, "{document}: only {ran} commands");
}

/// Runs one command with the binary of this build, against the port of its server.
fn run(
    line: &str,
    works: bool,
    grpcurl: &Path,
    folder: &Path,
    (server, variables): (&mut Option<Server>, &mut String),
) -> String {
    // It would run this test again.
    if line == "cargo test" {
        assert!(file(".ci/run").contains("cargo test"));
        return String::new();
    }
    let arguments = line.strip_prefix("cargo run --release -- ");
    let serves = arguments.and_then(|arguments| arguments.strip_prefix("serve"));
    if let Some(arguments) = serves.or_else(|| line.strip_prefix("rolecall serve")) {
        // A file serves one server.
        *server = None;
        let arguments: Vec<&str> =
            arguments.split_whitespace().map(|it| if it == HTTP { "127.0.0.1:0" } else { it }).collect();
        let mut started = Server::start(folder, &arguments);
        let printed = if arguments.contains(&"--demo") { started.demo() } else { String::new() };
        *server = Some(started);
        return printed;
    }
    if line.starts_with("export ") {
        variables.push_str(&format!("{line}\n"));
        return String::new();
    }
    let server = server.as_ref().expect("the document starts a server first");
    let address = &server.address;
    let finished = match arguments {
        Some(arguments) => output(rolecall(folder).args(words(arguments)).env("ROLECALL_LISTEN", address)),
        None => {
            let line = line.replace("127.0.0.1:50051", address).replace("localhost:50051", address);
            let line = if line.contains(HTTP) { line.replace(HTTP, &server.http_address()) } else { line };
            // Every line runs in a shell of its own.
            let assigned = line.split_once("=$(").map(|(name, _)| format!("\necho \"${name}\""));
            let line = format!("{variables}{line}{}", assigned.as_deref().unwrap_or_default());
            output(shell_in(folder, grpcurl, &line).env("ROLECALL_LISTEN", address))
        }
    };
    assert_eq!(finished.status.success(), works, "{line}\n{}", both(&finished));
    if let Some((name, _)) = line.split_once("=$(") {
        let value = String::from_utf8_lossy(&finished.stdout).trim().to_string();
        assert!(!value.is_empty() && !value.contains('\''), "{line} sets {name} to {value:?}");
        variables.push_str(&format!("{name}='{value}'\n"));
    }
    both(&finished)
}

/// Splits a line into words as a shell does. Quotes are double.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('"').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(String::from)),
            _ => words.push(part.into()),
        }
    }
    words
}
