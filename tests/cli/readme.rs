//! The documents match the code: their commands run, and their errors, limits, flags and links are right.

use std::path::Path;

use rolecall::wire::error_reason::ERROR_REASONS;

use crate::commands::{file, work};
use crate::run::{both, output, rolecall};

#[test]
fn the_table_of_errors_is_the_one_of_the_code() {
    let errors = file("docs/errors.md");
    let (_, rest) = errors.split_once("<!-- errors:").unwrap();
    let (table, _) = rest.split_once("<!-- /errors -->").unwrap();
    let (_, table) = table.split_once("-->\n").unwrap();
    let mut expected = String::from("| reason | code | meaning |\n|---|---|---|\n");
    for (reason, code, meaning) in &ERROR_REASONS[1..] {
        expected.push_str(&format!("| `{reason}` | {code} | {meaning} |\n"));
    }
    assert!(table == expected, "the table in docs/errors.md should be:\n{expected}");
}

#[test]
fn the_commands_of_the_readme_work_in_their_order() {
    work("README.md", 17);
}

#[test]
fn the_commands_about_checks_work_in_their_order() {
    work("docs/checks.md", 9);
}

#[test]
fn the_commands_about_authzen_work_in_their_order() {
    work("docs/authzen.md", 5);
}

#[test]
fn the_commands_about_the_audit_work_in_their_order() {
    work("docs/audit.md", 5);
}

#[test]
fn the_commands_about_delegation_work_in_their_order() {
    work("docs/delegation.md", 7);
}

#[test]
fn the_commands_about_operating_work_in_their_order() {
    work("docs/operating.md", 5);
}

#[test]
fn the_commands_about_operators_work_in_their_order() {
    work("docs/operators.md", 20);
}

#[test]
fn the_commands_about_backups_work_in_their_order() {
    work("docs/backup.md", 4);
}

#[test]
fn the_commands_about_imports_work_in_their_order() {
    work("docs/import.md", 5);
}

#[test]
fn every_file_that_a_document_links_to_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut links = 0;
    let entries = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let documents = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name));
    let entries = entries.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    for document in entries.chain(documents) {
        let text = std::fs::read_to_string(&document).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in targets.filter(|link| !link.contains("://")) {
            let (name, _section) = link.split_once('#').unwrap_or((link, ""));
            assert!(document.with_file_name(name).exists(), "{} links to {link}", document.display());
            links += 1;
        }
    }
    assert!(links > 15, "only {links} links");
}

#[test]
fn the_limits_and_flags_of_a_server_are_those_of_the_code() {
    let document = file("docs/operating.md").replace('\n', " ");
    let limits = rolecall::limits::Limits::default();
    for (number, what) in [
        (limits.roles, "roles"),
        (limits.permissions, "permissions"),
        (limits.role_mappings, "role mappings"),
        (limits.grants, "grants"),
        (limits.role_sets, "different role sets"),
        (limits.managed_roles, "pairs of role and managed role"),
        (limits.member_roles, "roles"),
        (limits.org_domains, "e-mail domains"),
        (limits.bulk_rows as u64, "rows"),
        (limits.batch_check_items as u64, "items"),
    ] {
        let limit = format!("{} {what}", grouped(number));
        assert!(document.contains(&limit), "`{limit}` is not in docs/operating.md");
    }
    let folder = tempfile::tempdir().unwrap();
    // `whoami` has the flags of all clients.
    let help = ["serve", "whoami"].map(|it| both(&output(rolecall(folder.path()).args([it, "--help"])))).concat();
    let mut flags = 0;
    for row in document.split("| `--").skip(1) {
        let flag: String = row.chars().take_while(|c| !" `".contains(*c)).collect();
        assert!(help.contains(&format!("--{flag}")), "--{flag} is not in: {help}");
        flags += 1;
    }
    assert!(flags > 5, "only {flags} flags");
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
