//! Checks the table of rules in docs/rules.md against the tree: every rule has a row, with the files that cite it and the
//! files of its tests. The column `built` is written by hand.
//!
//! `UPDATE_DOCS=1 cargo test --test rules` rewrites the other columns.

// Helpers of tests may panic, as tests may (`clippy.toml`).
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENT: &str = "docs/rules.md";
const BEGIN: &str = "<!-- built -->\n";
const END: &str = "<!-- /built -->\n";
const HEAD: &str =
    "| rule | built | files in `src` that cite it | files with tests named for it |\n|---|---|---|---|\n";

#[test]
fn the_table_of_rules_is_the_one_of_the_tree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join(DOCUMENT)).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let rules = rules(before);
    assert!(rules.len() > 50, "only {} rules", rules.len());
    let built = built(table);
    let (cited, tested) = citations(root, &rules);

    let mut expected = String::from(HEAD);
    let mut wrong = Vec::new();
    for rule in &rules {
        let built = built.get(rule).map_or("", String::as_str);
        let tests = paths(&tested, rule, "");
        match built.split_once(": ") {
            None if built == "yes" && !tests.is_empty() => {}
            None if built == "no" && tests.is_empty() => {}
            Some(("partly", missing)) if !missing.is_empty() => {}
            _ => wrong.push(format!("{rule} is built: `{built}`, with tests in: `{tests}`")),
        }
        expected.push_str(&format!("| {rule} | {built} | {} | {tests} |\n", paths(&cited, rule, "src/")));
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root.join(DOCUMENT), format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert!(table == expected, "run `UPDATE_DOCS=1 cargo test --test rules`; the table should be:\n{expected}");
    }
    let says = "a rule is `yes` and has tests, `partly: what is missing`, or `no` and has none";
    assert!(wrong.is_empty(), "{says}:\n{}", wrong.join("\n"));
}

/// Returns the numbers of the rules, in the order of the document.
fn rules(text: &str) -> Vec<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(" **"));
    headings.map(|(rule, _)| rule.to_owned()).collect()
}

/// Returns the second column of the table, by rule.
fn built(table: &str) -> BTreeMap<String, String> {
    let cells = table.lines().filter_map(|row| {
        let mut cells = row.split('|').map(str::trim).skip(1);
        Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
    });
    cells.collect()
}

type Files = BTreeMap<String, BTreeSet<String>>;

/// Returns the files of `src` that cite a rule in a comment or as a string, and all files with a test named for it.
fn citations(root: &Path, rules: &[String]) -> (Files, Files) {
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    collect(&root.join("tests"), &mut files);
    let (mut cited, mut tested) = (Files::new(), Files::new());
    for file in files {
        let path = file.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(&file).unwrap();
        for line in text.lines() {
            let comment = line.split_once("//").map_or("", |(_, comment)| comment);
            let words =
                comment.split(|c: char| !c.is_alphanumeric() && c != '_').chain(line.split('"').skip(1).step_by(2));
            for word in words.filter(|word| path.starts_with("src/") && rules.iter().any(|rule| rule == word)) {
                cited.entry(word.into()).or_default().insert(path.clone());
            }
            let function = line.split_once("fn ").map_or("", |(_, name)| name);
            if let Some((rule, _)) = function.split_once('_').map(|(rule, rest)| (rule.to_uppercase(), rest))
                && rules.contains(&rule)
            {
                tested.entry(rule).or_default().insert(path.clone());
            }
        }
    }
    (cited, tested)
}

fn paths(files: &Files, rule: &str, folder: &str) -> String {
    let paths = files.get(rule).into_iter().flatten().map(|path| path.strip_prefix(folder).unwrap_or(path));
    paths.collect::<Vec<_>>().join(", ")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
