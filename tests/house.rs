//! The house: which room imports which, where outside crates live, and what no file of ours contains. Kept as data, and
//! proven by reading every file on every run.

use std::fs;
use std::path::{Path, PathBuf};

/// A room, and the rooms that it imports. A room that is not here fails the test: say what it may know.
const ARROWS: [(&str, &[&str]); 12] = [
    ("limits", &[]),
    ("domain", &["limits"]),
    ("clock", &["domain"]),
    ("wire", &["domain", "limits"]),
    ("store", &["domain", "limits", "wire"]),
    ("engine", &["domain", "limits", "clock"]),
    ("writer", &["domain", "limits", "clock", "engine", "store"]),
    ("replica", &["domain", "limits", "clock", "engine", "store", "wire"]),
    ("purger", &["domain", "limits", "engine", "store", "writer"]),
    ("grpc", &["domain", "limits", "clock", "engine", "store", "wire", "writer"]),
    ("server", &["domain", "limits", "clock", "engine", "store", "wire", "writer", "replica", "purger", "grpc"]),
    // The commands that ask a running server are clients of the API, as anybody's are.
    ("cli", &["domain", "limits", "clock", "wire", "grpc", "server"]),
];

/// An outside crate, and the rooms in which it lives.
const OUTSIDE: [(&str, &[&str]); 13] = [
    ("tonic", &["grpc", "server", "cli"]),
    ("tonic_health", &["grpc", "server"]),
    ("tonic_prost", &["grpc", "server"]),
    ("tonic_reflection", &["grpc", "server"]),
    ("tonic_types", &["grpc", "server", "cli"]),
    ("prost", &["wire", "grpc", "server"]),
    ("prost_types", &["wire", "grpc", "server"]),
    ("sea_orm", &["store"]),
    ("sea_orm_migration", &["store"]),
    ("sea_query", &["store"]),
    ("sqlx", &["store"]),
    ("rolecall_migrations", &["store"]),
    ("clap", &["cli"]),
];

/// Words that no file of a room contains.
const UNKNOWN_TO: [(&str, &[&str]); 1] = [(
    "domain",
    &["tokio", "tonic", "prost", "sea_orm", "tracing", "SystemTime", "Instant", "async", "await", "Mutex", "RwLock"],
)];

/// Files, and lines of them (a part is enough), that may unwrap after all.
const UNWRAPS: [(&str, &str); 0] = [];

/// Files at the root of the crate, which tie the rooms together.
const ROOT: [&str; 2] = ["src/lib.rs", "src/main.rs"];

#[test]
fn the_house_is_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "examples", "benches", "migrations/src"] {
        collect(&root.join(folder), &mut files);
    }
    assert!(files.iter().any(|file| file.ends_with("src/lib.rs")), "{} holds no crate", root.display());
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("sources are UTF-8");
        let path = file.strip_prefix(root).expect("found below it").to_string_lossy().replace('\\', "/");
        found.extend(violations(&path, &text));
    }
    assert!(found.is_empty(), "{} things are out of order:\n{}", found.len(), found.join("\n"));
}

#[test]
fn arrows_have_no_circle() {
    for (at, (room, imports)) in ARROWS.iter().enumerate() {
        for import in *imports {
            let place = ARROWS.iter().position(|(other, _)| other == import);
            assert!(
                place.is_some_and(|place| place < at),
                "`{room}` imports `{import}`, which does not stand above it"
            );
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// All that is out of order in one file, a line each.
fn violations(path: &str, text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut say = |line: usize, what: String| found.push(format!("{path}:{line}: {what}"));
    if path.ends_with("/mod.rs") {
        say(1, "a module `foo` is `foo.rs`, not `foo/mod.rs`".into());
    }
    for (at, token) in tokens.iter().enumerate() {
        let after = |steps: usize| tokens.get(at + steps).map_or("", |token| token.text);
        if token.text == "#" && after(1) == "[" && ignores(&tokens[at + 2..]) {
            say(token.line, "a test that is ignored proves nothing".into());
        }
        if ["todo", "unimplemented", "dbg"].contains(&token.text) && after(1) == "!" {
            say(token.line, format!("`{}!` is left behind", token.text));
        }
        if token.text == "unsafe" {
            say(token.line, "`unsafe` has no place here".into());
        }
    }
    let Some(module) = module_of(path) else { return found };

    let tested = tests_begin(&tokens).unwrap_or(usize::MAX);
    let tested = if module.last().is_some_and(|name| *name == "tests") { 0 } else { tested };
    for (at, token) in tokens.iter().enumerate().take_while(|(_, token)| token.line < tested) {
        let after = |steps: usize| tokens.get(at + steps).map_or("", |token| token.text);
        if token.text == "." && ["unwrap", "expect"].contains(&after(1)) && after(2) == "(" {
            let line = text.lines().nth(token.line - 1).unwrap_or_default();
            if !UNWRAPS.iter().any(|(file, part)| *file == path && line.contains(part)) {
                say(token.line, format!("`.{}(` can panic: return the error, or `unwrap_or…`", after(1)));
            }
        }
    }
    let Some(&room) = module.first() else { return found };

    let Some((_, imports)) = ARROWS.iter().find(|(name, _)| *name == room) else {
        say(1, format!("the room `{room}` is in no arrow: add it to `ARROWS`"));
        return found;
    };
    for (line, target) in imported(&tokens, &module) {
        if target == room || imports.contains(&target) {
            continue;
        }
        if ARROWS.iter().any(|(name, _)| *name == target) {
            say(line, format!("`{room}` may not import `{target}`"));
        } else {
            say(line, format!("`crate::{target}` is no room"));
        }
    }
    for (at, token) in tokens.iter().enumerate() {
        let before = |steps: usize| at.checked_sub(steps).map_or("", |at| tokens[at].text);
        let after = tokens.get(at + 1).map_or("", |token| token.text);
        let named = before(1) != "::" && (after == "::" || before(1) == "use" || before(1) == "crate");
        let home = OUTSIDE.iter().find(|(name, rooms)| *name == token.text && !rooms.contains(&room));
        if let Some((name, rooms)) = home.filter(|_| named) {
            say(token.line, format!("the crate `{name}` lives in {}, not in `{room}`", rooms.join(", ")));
        }
        if UNKNOWN_TO.iter().any(|(name, words)| *name == room && words.contains(&token.text)) {
            say(token.line, format!("`{room}` knows no `{}`", token.text));
        }
    }
    found
}

/// The module of a file below `src`: none for other files, empty for the root of the crate.
fn module_of(path: &str) -> Option<Vec<&str>> {
    let inside = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    Some(if ROOT.contains(&path) { Vec::new() } else { inside.split('/').collect() })
}

/// Whether an attribute, of which these are the tokens after `#[`, ignores a test.
fn ignores(tokens: &[Token<'_>]) -> bool {
    let mut inside = tokens.iter().take_while(|token| token.text != "]").map(|token| token.text);
    match inside.next() {
        Some("ignore") => true,
        Some("cfg_attr") => inside.any(|word| word == "ignore"),
        _ => false,
    }
}

/// The line of the first `#[cfg(test)]`.
fn tests_begin(tokens: &[Token<'_>]) -> Option<usize> {
    let marker = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut windows = tokens.windows(marker.len());
    let found = windows.find(|window| window.iter().map(|token| token.text).eq(marker));
    found.map(|window| window[0].line)
}

/// What stands directly below the root of the crate in every path that begins with `crate` or climbs there by `super`.
fn imported<'a>(tokens: &[Token<'a>], file: &[&'a str]) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    // The names of the inline modules around a token, each with the number of braces open outside it.
    let mut inline: Vec<(&str, usize)> = Vec::new();
    let mut open = 0;
    let mut at = 0;
    while at < tokens.len() {
        let text = |steps: usize| tokens.get(at + steps).map_or("", |token| token.text);
        match text(0) {
            "mod" if text(2) == "{" => inline.push((text(1), open)),
            "{" => open += 1,
            "}" => {
                open -= 1;
                inline.pop_if(|(_, outside)| *outside == open);
            }
            "crate" | "super" if at == 0 || tokens[at - 1].text != "::" => {
                let mut module: Vec<&str> = file.iter().copied().chain(inline.iter().map(|(name, _)| *name)).collect();
                if text(0) == "crate" {
                    module.clear();
                }
                path(tokens, at, module, &mut found);
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one path from `at` on, with all the branches of a use tree; returns where it ends.
fn path<'a>(tokens: &[Token<'a>], mut at: usize, mut module: Vec<&'a str>, found: &mut Vec<(usize, &'a str)>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    loop {
        match text(at) {
            "crate" | "self" => {}
            "super" => {
                module.pop();
            }
            "{" => {
                at += 1;
                while !matches!(text(at), "}" | "") {
                    at = path(tokens, at, module.clone(), found);
                    at += usize::from(text(at) == ",");
                }
                return at + 1;
            }
            name if module.is_empty() && is_word(name) => {
                found.push((tokens[at].line, name));
                module.push(name);
            }
            name => module.push(name),
        }
        at += 1;
        if text(at) == "as" {
            at += 2;
        }
        // A path goes on with `::name`, `::{` or ends; `::<` and `::*` end it as well.
        if text(at) != "::" || !(is_word(text(at + 1)) || text(at + 1) == "{") {
            return if text(at) == "::" { at + 2 } else { at };
        }
        at += 1;
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// A word, `::`, or a single other character of code.
struct Token<'a> {
    text: &'a str,
    line: usize,
}

/// The tokens of a source file, without comments, strings, characters and lifetimes.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = literal(rest) {
            length
        } else if is_word(rest) {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        let is_code = !token.starts_with("//") && !token.starts_with("/*") && literal(rest).is_none();
        if is_code && !first.is_whitespace() {
            tokens.push(Token { text: token, line });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

/// The length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let (mut at, mut open) = (2, 1);
    while open > 0 && at < text.len() {
        let rest = &text[at..];
        let (length, deeper) = match () {
            () if rest.starts_with("/*") => (2, 1),
            () if rest.starts_with("*/") => (2, -1),
            () => (rest.chars().next().map_or(1, char::len_utf8), 0),
        };
        at += length;
        open += deeper;
    }
    at
}

/// The length of the string, character or lifetime that `text` begins with, if it does.
fn literal(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        let after = text.strip_prefix(prefix).unwrap_or(" ");
        let after = if prefix.ends_with('r') { after.trim_start_matches('#') } else { after };
        after.starts_with('"') || (after.starts_with('\'') && matches!(*prefix, "b" | ""))
    })?;
    let after = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = after.len() - after.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let from = hashes + 1;
        let length = after[from..].find(&end).map_or(after.len(), |at| from + at + end.len());
        return Some(prefix.len() + length);
    }
    let quote = after.chars().next()?;
    let mut inside = after.char_indices().skip(1);
    if quote == '\'' {
        // `'a` without a closing quote is a lifetime.
        let (_, first) = inside.next()?;
        let (at, second) = inside.next().unwrap_or((after.len(), ' '));
        if first != '\\' && second != '\'' {
            let length = after[1..].find(|c: char| !c.is_alphanumeric() && c != '_').map_or(after.len(), |at| at + 1);
            return Some(prefix.len() + length.max(1));
        }
        if first != '\\' {
            return Some(prefix.len() + at + 1);
        }
    }
    let mut escaped = quote == '\'';
    let from = if quote == '\'' { 2 } else { 1 };
    for (at, c) in after[from..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(prefix.len() + from + at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// The scanner must see what it is there for.
mod the_scanner {
    use super::{tokens, violations};

    #[track_caller]
    fn complains(path: &str, text: &str, about: &str) {
        let found = violations(path, text);
        assert!(found.len() == 1 && found[0].contains(about), "{path}: {text}\nfound {found:#?}");
    }

    #[track_caller]
    fn is_content(path: &str, text: &str) {
        let found = violations(path, text);
        assert!(found.is_empty(), "{path}: {text}\nfound {found:#?}");
    }

    #[test]
    fn sees_an_import_that_points_up() {
        let up = "`wire` may not import `store`";
        complains("src/wire.rs", "use crate::store::Store;", up);
        complains("src/wire/role.rs", "use crate::{domain::State, store::{self, Store}};", up);
        complains(
            "src/wire/role.rs",
            "use crate::{\n    domain::{State, Change},\n    store,\n};",
            "role.rs:3: `wire`",
        );
        complains("src/wire/role.rs", "use crate::store as attic;", up);
        complains("src/wire/role.rs", "fn f() -> crate::store::Store { g() }", up);
        complains("src/wire/role.rs", "pub use {std::fmt, crate::store::Store};", up);
        complains("src/wire/role.rs", "use super::super::store::Store;", up);
        complains("src/wire/role.rs", "use super::{Frame, super::store::Store};", up);
        complains("src/wire.rs", "use super::store::Store;", up);
        complains("src/wire.rs", "mod tests { use super::super::store::Store; }", up);
        complains("src/wire/role.rs", "#[cfg(test)]\nmod tests { use crate::store::Store; }", up);
        complains("src/domain/role.rs", "use crate::engine::Engine;", "`domain` may not import `engine`");
        complains("src/limits.rs", "use crate::domain::Time;", "`limits` may not import `domain`");
        complains("src/engine.rs", "use crate::store::Store;", "`engine` may not import `store`");
        complains("src/writer/queue.rs", "use crate::wire::Frame;", "`writer` may not import `wire`");
        complains("src/grpc/check.rs", "use crate::server::Config;", "`grpc` may not import `server`");
        complains("src/server.rs", "use crate::cli::Arguments;", "`server` may not import `cli`");
        complains("src/cli/serve.rs", "use crate::store::Store;", "`cli` may not import `store`");
    }

    #[test]
    fn is_content_with_imports_that_point_down() {
        is_content("src/store/role.rs", "use crate::wire::Frame; use crate::domain::{self, State}; use super::load;");
        is_content("src/grpc/server.rs", "use super::server::Info; use super::{status, store::Page};");
        is_content("src/domain.rs", "mod store { use super::Time; mod inner { use super::super::Time; } }");
        is_content("src/domain/role.rs", "pub(crate) fn f() {} pub(super) fn g() {} impl super::State {}");
        is_content(
            "src/server.rs",
            "use crate::{domain, engine::Engine, grpc, limits::*, replica, store, wire, writer};",
        );
        is_content("src/lib.rs", "pub mod store; use crate::cli::run;");
        is_content("src/wire/role.rs", "// use crate::store::Store;\n/* crate::store /* nested */ crate::store */");
        is_content(
            "src/wire/role.rs",
            r##"const A: &str = "crate::store::\" {"; const B: &str = r#"crate::store" "#;"##,
        );
    }

    #[test]
    fn sees_a_room_that_nobody_drew() {
        complains("src/util.rs", "", "the room `util` is in no arrow");
        complains("src/domain/role.rs", "use crate::Helper;", "`crate::Helper` is no room");
    }

    #[test]
    fn sees_an_outside_crate_in_the_wrong_room() {
        complains(
            "src/writer.rs",
            "use tonic::Status;",
            "the crate `tonic` lives in grpc, server, cli, not in `writer`",
        );
        complains("src/writer.rs", "fn f(status: tonic::Status) {}", "the crate `tonic`");
        complains("src/writer.rs", "use tonic;", "the crate `tonic`");
        complains("src/writer.rs", "use {std::fmt, tonic_types::StatusExt};", "the crate `tonic_types`");
        complains("src/store/load.rs", "use prost::Message;", "the crate `prost`");
        complains("src/grpc/role.rs", "use sea_orm::EntityTrait;", "the crate `sea_orm`");
        complains("src/server/config.rs", "#[derive(clap::Args)]\nstruct Config;", "the crate `clap`");
        is_content("src/grpc/role.rs", "use tonic::{Request, Response}; use prost::Message;");
        is_content("src/store/role.rs", "use sea_orm::EntityTrait; use sea_orm::sqlx::Row;");
        is_content("src/cli.rs", "use clap::Parser;");
        is_content("src/wire.rs", "use prost::Message; fn f(tonic: u8) -> u8 { tonic }");
    }

    #[test]
    fn sees_a_domain_that_waits_or_reads_a_clock() {
        for word in ["tracing", "SystemTime", "Instant", "tokio", "async", "Mutex"] {
            complains("src/domain/role.rs", &format!("fn f() {{ {word} }}"), &format!("`domain` knows no `{word}`"));
        }
        is_content("src/engine.rs", "use std::time::Instant; use tokio::sync::watch;");
        is_content(
            "src/domain/role.rs",
            "/// Of that Instant, without SystemTime or tokio.\nfn f(instant: &'static str) {}",
        );
    }

    #[test]
    fn sees_what_can_panic_outside_of_tests() {
        complains("src/store/load.rs", "fn f() { g().unwrap() }", "load.rs:1: `.unwrap(`");
        complains("src/store/load.rs", "fn f() {\n    g()\n        .expect(\"why\")\n}", "load.rs:3: `.expect(`");
        complains("src/main.rs", "fn main() { run().unwrap(); }", "`.unwrap(`");
        is_content("src/store/load.rs", "fn f() { g().unwrap_or_default(); h().expect_err; \".unwrap()\"; }");
        is_content("src/store/load.rs", "#[cfg(test)]\nmod tests {\n fn f() { g().unwrap() }\n}");
        is_content("src/store/tests.rs", "fn f() { g().unwrap() }");
        is_content("tests/store/main.rs", "fn f() { g().unwrap() }");
    }

    #[test]
    fn sees_what_nobody_should_leave_behind() {
        for path in ["src/store.rs", "tests/store/main.rs", "examples/matrix.rs", "src/main.rs"] {
            complains(path, "fn f() { todo!() }", "`todo!`");
            complains(path, "fn f() { unimplemented!(\"later\") }", "`unimplemented!`");
            complains(path, "fn f() { dbg!(1) }", "`dbg!`");
            complains(path, "fn f() { unsafe { g() } }", "`unsafe`");
            complains(path, "#[test]\n#[ignore]\nfn f() {}", ":2: a test that is ignored");
            complains(path, "#[ignore = \"slow\"]\nfn f() {}", "a test that is ignored");
            complains(path, "#[cfg_attr(windows, ignore)]\nfn f() {}", "a test that is ignored");
            is_content(path, "#![forbid(unsafe_code)] // todo!\nfn ignore() {}");
        }
        complains("src/store/mod.rs", "", "not `foo/mod.rs`");
        complains("tests/support/mod.rs", "", "not `foo/mod.rs`");
    }

    #[test]
    fn reads_strings_characters_and_lifetimes_as_what_they_are() {
        let text = r##"fn f<'a>(x: &'a str) { '"'; b'"'; '\''; "a\\"; br"\"; r#"" "#; c"x"; '\u{41}'; 'ä'; end }"##;
        let words: Vec<&str> = tokens(text).into_iter().map(|token| token.text).collect();
        assert_eq!(words.join(" "), "fn f < > ( x : & str ) { ; ; ; ; ; ; ; ; ; end }");
    }
}
