//! The README says what is so: its commands run, its table of errors is the one of the code.

use std::fs;
use std::path::Path;

use rolecall::grpc::status::TABLE;
use tonic::Code;

use crate::run::{Server, both, grpcurl, rolecall, shell};

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_table_of_errors_is_the_one_of_the_code() {
    let readme = text("README.md");
    let (_, rest) = readme.split_once("<!-- errors:").unwrap();
    let (table, _) = rest.split_once("<!-- /errors -->").unwrap();
    let (_, table) = table.split_once("-->\n").unwrap();
    let mut expected = String::from("| reason | code | meaning |\n|---|---|---|\n");
    for row in TABLE {
        expected.push_str(&format!("| `{}` | {} | {} |\n", row.reason, canonical(row.code), row.meaning));
    }
    assert!(table == expected, "the table of errors in README.md should be:\n{expected}");
}

/// `NotFound` as `NOT_FOUND`.
fn canonical(code: Code) -> String {
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// A block of the README between fences.
struct Block {
    kind: String,
    lines: Vec<String>,
}

fn blocks(readme: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for line in readme.lines() {
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

/// The blocks marked `sh ci`, in their order, against one server; what a `json` block shows is in the answer before it.
#[test]
fn the_commands_of_the_readme_work_in_the_order_of_the_readme() {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut server = None;
    let mut last = String::new();
    let mut ran = 0;
    for block in blocks(&text("README.md")) {
        match block.kind.as_str() {
            "sh ci" => {
                for line in &block.lines {
                    last = run(line, &grpcurl, folder.path(), &mut server);
                    ran += 1;
                }
            }
            "json" => {
                for line in &block.lines {
                    assert!(last.lines().any(|shown| shown == line), "`{line}` is not in: {last}");
                }
            }
            _ => {}
        }
    }
    assert!(ran > 10, "only {ran} commands");
}

/// Runs one command, with the binary of this build and the port that its server was given.
fn run(line: &str, grpcurl: &Path, folder: &Path, server: &mut Option<Server>) -> String {
    // That is what runs this.
    if line == "cargo test" {
        assert!(text(".ci/run").contains("cargo test"));
        return String::new();
    }
    let arguments = line.strip_prefix("cargo run --release -- ");
    if let Some(arguments) = arguments.and_then(|arguments| arguments.strip_prefix("serve")) {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let mut started = Server::start(folder, &arguments);
        let printed = started.demo();
        *server = Some(started);
        return printed;
    }
    let address = &server.as_ref().expect("the README starts a server first").address;
    let ended = match arguments {
        Some(arguments) => {
            crate::run::output(rolecall(folder).args(arguments.split_whitespace()).env("ROLECALL_LISTEN", address))
        }
        None => shell(grpcurl, &line.replace("127.0.0.1:50051", address)),
    };
    assert!(ended.status.success(), "{line}\n{}", both(&ended));
    both(&ended)
}

#[test]
fn every_file_that_the_readme_links_to_is_there() {
    let readme = text("README.md");
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for link in links.filter(|link| !link.contains("://")) {
        assert!(root.join(link).exists(), "{link}");
    }
}

#[test]
fn the_limits_and_flags_of_the_readme_are_the_ones_of_the_code() {
    let readme = text("README.md").replace('\n', " ");
    let limits = rolecall::limits::Limits::default();
    for (number, what) in [
        (limits.roles, "roles"),
        (limits.permissions, "permissions"),
        (limits.role_mappings, "role mappings"),
        (limits.grants, "grants"),
        (limits.bulk_rows as u64, "rows"),
        (limits.batch_check_items as u64, "items"),
    ] {
        let said = format!("{} {what}", grouped(number));
        assert!(readme.contains(&said), "`{said}` is not in the README");
    }
    let folder = tempfile::tempdir().unwrap();
    let help = both(&crate::run::output(rolecall(folder.path()).args(["serve", "--help"])));
    for row in readme.split("| `--").skip(1) {
        let flag: String = row.chars().take_while(|c| !" `".contains(*c)).collect();
        assert!(help.contains(&format!("--{flag}")), "--{flag} is not in: {help}");
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
