use super::*;
use crate::cli::configuration::document::{Permission, Role};

fn document(permissions: &[(&str, &str)], roles: &[&str]) -> Document {
    let permission = |&(name, description): &(&str, &str)| Permission {
        name: name.into(),
        description: description.into(),
        ..Default::default()
    };
    Document {
        project: "acme".into(),
        permissions: permissions.iter().map(permission).collect(),
        roles: roles.iter().map(|name| Role { name: name.to_string(), ..Default::default() }).collect(),
        ..Default::default()
    }
}

#[test]
fn names_take_the_form_of_the_language() {
    for (name, upper, go) in [
        ("docs::read", "DOCS_READ", "DocsRead"),
        ("docsRead", "DOCS_READ", "DocsRead"),
        ("ProductA::CanCreate", "PRODUCT_A_CAN_CREATE", "ProductACanCreate"),
        ("Billing Manager", "BILLING_MANAGER", "BillingManager"),
        ("2fa.reset", "N_2FA_RESET", "N2faReset"),
        ("ReadOnly", "READ_ONLY", "ReadOnly"),
        ("Geschäftsführer", "GESCH_UE4_FTSF_UFC_HRER", "GeschUe4FtsfUfcHrer"),
        ("管理者", "U7BA1_U7406_U8005", "U7ba1U7406U8005"),
        ("--", "N_", "N"),
    ] {
        assert_eq!((identifier(name, Language::Rust), identifier(name, Language::Go)), (upper.into(), go.into()));
    }
}

#[test]
fn two_names_of_one_constant_are_an_error_that_names_both() {
    let trouble = generate(&document(&[("docs::read", ""), ("docs.read", "")], &[]), Language::Rust).unwrap_err();
    assert_eq!(trouble.what, "`docs::read` and `docs.read` would both be the constant DOCS_READ");
    // The same name in a document and among the built-in ones is one constant.
    let described = document(&[("rolecall::can_invite", "Ours.")], &["Owner"]);
    assert!(generate(&described, Language::Go).unwrap().contains("\t// Ours.\n\tPermissionRolecallCanInvite "));
}

#[test]
fn the_order_of_a_document_does_not_matter() {
    let one = document(&[("a", "First."), ("b", "")], &["Owner", "Member"]);
    let other = document(&[("b", ""), ("a", "First.")], &["Member", "Owner"]);
    for language in [Language::Rust, Language::Typescript, Language::Go, Language::Python] {
        let text = generate(&one, language).unwrap();
        assert_eq!(text, generate(&other, language).unwrap());
        assert!(text.contains("`acme`") && text.contains("First."), "{text}");
    }
}

#[test]
fn a_description_stays_within_its_comment() {
    let hostile = "one\nfn main() {}\u{2028}two \u{202e}*/ \\";
    for language in [Language::Rust, Language::Typescript, Language::Go, Language::Python] {
        let project = Document { project: hostile.into(), ..document(&[("a", hostile)], &[]) };
        let text = generate(&project, language).unwrap();
        assert!(text.contains("one fn main() {} two  */ \\\n"), "{text}");
        assert!(text.contains("from the project `one fn main() {} two  */ \\`"), "{text}");
    }
}
