//! The README says what is so: its commands run, its table of errors is the one of the code.

use std::path::Path;

use rolecall::wire::error_reason::ERROR_REASONS;

use crate::commands::{file, work};
use crate::run::{both, rolecall};

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
fn the_commands_of_the_readme_work_in_the_order_of_the_readme() {
    work("README.md", 15);
}

#[test]
fn every_file_that_a_document_links_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut links = 0;
    for document in ["README.md", "CONTRIBUTING.md", "docs/examples.md", "docs/errors.md"] {
        let text = file(document);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in targets.filter(|link| !link.contains("://")) {
            let target = root.join(document).with_file_name(link);
            assert!(target.exists(), "{document} links to {link}");
            links += 1;
        }
    }
    assert!(links > 5, "only {links} links");
}

#[test]
fn the_limits_and_flags_of_the_readme_are_the_ones_of_the_code() {
    let readme = file("README.md").replace('\n', " ");
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
