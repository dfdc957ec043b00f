//! Checks the tables of modules and layers against every import. Lints in `Cargo.toml` check what clippy and rustc can.
//!
//! The checks read lines, not Rust. So an import names its module in its first line: `use crate::store::{..}`, not
//! `use crate::{store, ..}`.

// Helpers of tests may panic, as tests may (`clippy.toml`).
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// A module, and the modules that it may import. A module imports only modules above it in this list.
const MODULES: [(&str, &[&str]); 19] = [
    ("limits", &[]),
    ("metrics", &[]),
    ("trace", &[]),
    ("yaml", &[]),
    ("domain", &["limits"]),
    ("clock", &["domain"]),
    ("wire", &["domain", "limits"]),
    ("store", &["domain", "limits", "metrics", "trace", "wire"]),
    ("engine", &["domain", "limits", "metrics"]),
    ("replication", &["domain", "limits", "wire", "store", "engine"]),
    ("writer", &["domain", "limits", "metrics", "trace", "clock", "engine", "store"]),
    ("replica", &["domain", "limits", "clock", "engine", "store"]),
    ("purger", &["domain", "limits", "clock", "engine", "store", "writer"]),
    ("demo", &["domain", "limits", "wire", "engine", "writer"]),
    (
        "grpc",
        &["domain", "limits", "metrics", "trace", "yaml", "clock", "engine", "store", "wire", "writer", "replication"],
    ),
    ("authzen", &["domain", "limits", "yaml", "wire", "grpc"]),
    ("sidecar", &["domain", "limits", "metrics", "trace", "engine", "wire", "replication", "grpc"]),
    (
        "server",
        &[
            "domain",
            "limits",
            "metrics",
            "trace",
            "clock",
            "engine",
            "store",
            "wire",
            "writer",
            "replica",
            "replication",
            "purger",
            "grpc",
            "authzen",
            "sidecar",
        ],
    ),
    // The commands that ask a running server are clients of the API.
    ("cli", &["domain", "limits", "yaml", "clock", "wire", "grpc", "authzen", "demo", "sidecar", "server"]),
];

/// The layers of `domain`. A layer imports only itself and layers before it.
const DOMAIN_LAYERS: [&str; 6] = ["collections", "model", "state", "rules", "impact", "commands"];

/// An outside crate, and the modules that may use it.
const OUTSIDE: [(&str, &[&str]); 30] = [
    ("axum", &["authzen", "server"]),
    ("envoy_types", &["grpc"]),
    ("serde_saphyr", &["yaml", "cli"]),
    ("opentelemetry", &["trace", "server"]),
    ("opentelemetry_otlp", &["server"]),
    ("opentelemetry_sdk", &["trace", "server"]),
    ("tracing_opentelemetry", &["trace", "server"]),
    ("tonic", &["grpc", "authzen", "sidecar", "server", "cli"]),
    ("tonic_health", &["grpc", "server", "cli"]),
    ("tonic_prost", &["grpc", "server"]),
    ("tonic_reflection", &["grpc", "server"]),
    ("tonic_types", &["grpc", "authzen", "sidecar", "server", "cli"]),
    ("prost", &["wire", "replication", "grpc", "authzen", "sidecar", "server"]),
    ("prost_types", &["wire", "grpc", "server"]),
    ("sea_orm", &["store"]),
    ("sea_orm_migration", &["store"]),
    ("sea_query", &["store"]),
    ("sqlx", &["store"]),
    ("rolecall_migrations", &["store"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("listenfd", &["server"]),
    ("sd_notify", &["server"]),
    ("csv", &["cli"]),
    ("zstd", &["store"]),
    ("schemars", &["cli"]),
    ("tokio_rustls", &["server", "cli"]),
    ("rustls_native_certs", &["cli"]),
    ("x509_parser", &["server"]),
];

/// Words that no file of `domain` contains: it does not wait, lock, log or read a clock.
const UNKNOWN_TO_DOMAIN: [&str; 9] =
    ["tokio", "tracing", "SystemTime", "Instant", "async", "await", "Mutex", "RwLock", "thread"];

#[test]
fn imports_point_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "examples", "benches", "migrations/src"] {
        collect(&root.join(folder), &mut files);
    }
    assert!(files.iter().any(|file| file.ends_with("src/lib.rs")), "{} contains no crate", root.display());
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let path = file.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
        found.extend(violations(&path, &text));
    }
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[test]
fn modules_have_no_cycle() {
    for (at, (module, imports)) in MODULES.iter().enumerate() {
        let above = |import: &&str| MODULES[..at].iter().any(|(other, _)| other == import);
        assert!(imports.iter().all(above), "`{module}` imports a module that is not above it");
    }
}

#[test]
fn the_domain_contains_only_its_layers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/domain");
    let entries = fs::read_dir(folder).unwrap();
    let mut found: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    let mut expected: Vec<String> =
        DOMAIN_LAYERS.iter().flat_map(|layer| [layer.to_string(), format!("{layer}.rs")]).collect();
    expected.sort();
    assert_eq!(found, expected);
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Returns one line for each violation in a file.
fn violations(path: &str, text: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").and_then(|path| path.strip_suffix(".rs"));
    let modules: Vec<&str> = inside.into_iter().flat_map(|path| path.split('/')).collect();
    let mut found = Vec::new();
    let mut in_tests = false;
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        let mut wrong = Vec::new();
        if line.trim_start().starts_with("#[") && words(line).any(|word| word == "ignore") {
            wrong.push("no test is ignored".to_string());
        }
        in_tests |= line.trim_start() == "#[cfg(test)]";
        match modules[..] {
            [] | ["lib" | "main"] => {}
            [module, ..] => {
                wrong.extend(wrong_imports(&modules, line));
                wrong.extend(climbs(&modules, line, in_tests));
                wrong.extend(wrong_crates(module, line));
            }
        }
        found.extend(wrong.into_iter().map(|wrong| format!("{path}:{}: {wrong}", at + 1)));
    }
    found
}

fn wrong_imports(modules: &[&str], line: &str) -> Vec<String> {
    let module = modules[0];
    let Some((_, imports)) = MODULES.iter().find(|(name, _)| *name == module) else {
        return vec![format!("add the module `{module}` to `MODULES`")];
    };
    let mut wrong = Vec::new();
    for path in after_each(line, "crate::") {
        let (target, rest) = first_word(path);
        if target != module && !imports.contains(&target) {
            wrong.push(format!("`{module}` may not import `{target}`; name one module in each `use crate::`"));
        }
        // `pub(in crate::domain)` imports nothing.
        if module == "domain" && target == "domain" && !rest.starts_with("::") && !rest.starts_with(')') {
            wrong.push("import from `crate::domain::<layer>`".to_string());
        }
        if let ("domain", "domain", Some(layer), Some(path)) = (module, target, modules.get(1), rest.strip_prefix("::"))
        {
            let place = |layer: &str| DOMAIN_LAYERS.iter().position(|name| *name == layer);
            let (imported, _) = first_word(path);
            match place(imported) {
                Some(imported) if Some(imported) <= place(layer) => {}
                Some(_) => wrong.push(format!("the layer `{layer}` may not import `{imported}`")),
                None => wrong.push(format!("`{imported}` is not a layer; import from `crate::domain::<layer>`")),
            }
        }
    }
    wrong
}

/// Refuses paths of `super` that leave the module, in `domain` those that leave the layer.
fn climbs(modules: &[&str], line: &str, in_tests: bool) -> Option<String> {
    let depth = modules.len() - usize::from(modules.len() > 1 && modules[0] == "domain") + usize::from(in_tests);
    let far = "super::".repeat(depth);
    line.contains(&far).then(|| "write a path to another module or layer with `crate::`".to_string())
}

fn wrong_crates(module: &str, line: &str) -> Vec<String> {
    let used = |name: &str| {
        after_each(line, name).iter().any(|rest| rest.starts_with("::")) || line.trim() == format!("use {name};")
    };
    let outside = OUTSIDE.iter().filter(|(name, homes)| !homes.contains(&module) && used(name));
    let mut wrong: Vec<String> =
        outside.map(|(name, _)| format!("`{module}` may not use the crate `{name}`")).collect();
    if module == "domain" {
        let unknown = UNKNOWN_TO_DOMAIN.iter().filter(|unknown| words(line).any(|word| word == **unknown));
        wrong.extend(unknown.map(|unknown| format!("`domain` may not use `{unknown}`")));
    }
    wrong
}

/// Returns what follows each occurrence of `path` that is the beginning of a path.
fn after_each<'a>(line: &'a str, path: &str) -> Vec<&'a str> {
    let begins = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
    line.match_indices(path).filter(|&(at, _)| begins(at)).map(|(at, _)| &line[at + path.len()..]).collect()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn first_word(path: &str) -> (&str, &str) {
    path.split_at(path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len()))
}

#[test]
fn violations_are_found() {
    let cases = [
        ("src/wire.rs", "use crate::store::Store;", "`wire` may not import `store`"),
        ("src/wire/role.rs", "    fn f() -> crate::store::Store {", "`wire` may not import `store`"),
        ("src/wire/role.rs", "use crate::{domain::State, store};", "name one module"),
        ("src/wire/role.rs", "use super::super::store::Store;", "with `crate::`"),
        ("src/wire.rs", "use super::store::Store;", "with `crate::`"),
        ("src/util.rs", "fn f() {}", "add the module `util`"),
        ("src/domain/model/role.rs", "use crate::domain::commands::draft::Draft;", "`model` may not import `commands`"),
        ("src/domain/rules/check.rs", "use crate::domain::impact::Impact;", "`rules` may not import `impact`"),
        ("src/domain/rules.rs", "use crate::domain::impact::Impact;", "`rules` may not import `impact`"),
        ("src/domain/rules/check.rs", "use crate::domain::State;", "`State` is not a layer"),
        ("src/domain/rules/check.rs", "use crate::domain::{State, Time};", "is not a layer"),
        ("src/domain/rules/check.rs", "use super::super::commands::draft::Draft;", "with `crate::`"),
        ("src/domain/rules/check.rs", "    let now = Instant::now();", "`domain` may not use `Instant`"),
        ("src/writer.rs", "fn f(status: tonic::Status) {}", "may not use the crate `tonic`"),
        ("src/store/load.rs", "use prost::Message;", "may not use the crate `prost`"),
        ("src/domain/model/role.rs", "use crate::domain;", "import from `crate::domain::<layer>`"),
        ("src/domain/model/role.rs", "use crate::domain as rules;", "import from `crate::domain::<layer>`"),
        ("tests/store/main.rs", "#[ignore = \"slow\"]", "no test is ignored"),
        ("tests/store/main.rs", "#[cfg_attr(unix, ignore)]", "no test is ignored"),
    ];
    for (path, line, expected) in cases {
        let found = violations(path, line);
        assert!(found.len() == 1 && found[0].contains(expected), "{path}: {line}\nfound {found:?}");
    }
    let correct = [
        ("src/store/role.rs", "use crate::wire::Frame;"),
        ("src/store/member/select.rs", "use super::super::load;\n// use crate::cli;"),
        ("src/domain/rules/check.rs", "use crate::domain::state::org::Org;\npub(in crate::domain) fn f() {}"),
        ("src/domain/rules/check.rs", "#[cfg(test)]\nmod tests {\n    use super::*;\n}"),
        ("src/grpc/role.rs", "use tonic::{Request, Response};"),
        ("src/writer.rs", "fn f(tonic: u8) -> u8 { tonic }"),
    ];
    for (path, text) in correct {
        let found = violations(path, text);
        assert!(found.is_empty(), "{path}: {text}\nfound {found:?}");
    }
}
