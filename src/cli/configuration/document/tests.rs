use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Strategy as _;

use super::{Strategy, *};

const TEXT: &str = "
project: acme
display_name: Acme
environment: LIVE
role_structure: SINGLE_ROLE
default_role: Member
default_owner_role: Owner
permissions:
  - docs::read
  - {name: docs::write, description: 'Write: all', renamed_from: docs::edit}
roles:
  - {name: Owner, aliases: [Boss]}
  - name: Member
role_mappings:
  - name: Free
    default: true
    disabled_roles: [Auditor]
    grants: {Owner: [docs::read], Member: []}
    on_disabled: {strategy: REMAP, replacements: {Auditor: Member}}
deleted_roles:
  - {name: Auditor, replacement: Member}
";

#[test]
fn a_document_is_written_as_it_is_read() {
    let document = Document::from_yaml(TEXT).unwrap();
    assert_eq!(document.permissions[0], Permission { name: "docs::read".into(), ..Default::default() });
    assert_eq!(document.permissions[1].renamed_from.as_deref(), Some("docs::edit"));
    let text = document.to_yaml().unwrap();
    assert_eq!(Document::from_yaml(&text).unwrap(), document, "{text}");
    assert!(text.contains("\n- docs::read\n") || text.contains("\n  - docs::read\n"), "{text}");
}

#[test]
fn names_that_look_like_other_yaml_survive() {
    let odd = ["123", "true", "~", "null", "- a", "a: b", "#x", "*", "yes", "0x1f", "'", "\"", "é", "{}", "?", "1e3"];
    let document = Document {
        permissions: odd.iter().map(|name| Permission { name: name.to_string(), ..Default::default() }).collect(),
        roles: odd.iter().map(|name| Role { name: name.to_string(), ..Default::default() }).collect(),
        role_mappings: vec![RoleMapping {
            grants: odd.iter().map(|name| (name.to_string(), vec![name.to_string()])).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let text = document.to_yaml().unwrap();
    assert_eq!(Document::from_yaml(&text).unwrap(), document, "{text}");
}

/// What YAML gives a meaning, or needs an escape for.
const PIECES: [&str; 52] = [
    "'",
    "\"",
    "\\",
    "\\n",
    ":",
    ": ",
    " :",
    "#",
    " #",
    "# ",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    "\t",
    " ",
    "  ",
    "-",
    "- ",
    "? ",
    "|",
    "|-",
    ">",
    "%",
    "@",
    "`",
    "&a",
    "*a",
    "!",
    "!!str",
    "{",
    "}",
    "[",
    "]",
    ",",
    "---",
    "...",
    "<<",
    "=",
    "~",
    "yes",
    "null",
    "true",
    "1.0",
    "0x1f",
    "2001-01-01",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{7}",
    "\u{fffe}",
    "é",
];

/// Any text that the API may return: everything without NUL.
fn text() -> BoxedStrategy<String> {
    let piece = prop_oneof![4 => select(&PIECES[..]).prop_map(String::from), 1 => "[^\0]", 1 => "[a-z]{1,90}"];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat()).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    #[test]
    fn any_text_survives(texts in vec(text(), 6), more in vec(text(), 0..3), flag: bool) {
        let [a, b, c, d, e, f] = texts.try_into().unwrap();
        let some = |text: &String| Some(text.clone());
        let document = Document {
            project: a.clone(),
            display_name: some(&b),
            default_role: c.clone(),
            default_owner_role: d.clone(),
            permissions: vec![
                Permission { name: e.clone(), ..Default::default() },
                Permission { name: f.clone(), description: a.clone(), aliases: more.clone(), renamed_from: some(&b) },
            ],
            roles: vec![Role {
                name: c.clone(),
                description: d.clone(),
                internal: flag,
                manages: more.clone(),
                aliases: more.clone(),
                renamed_from: some(&e),
            }],
            role_mappings: vec![RoleMapping {
                name: f.clone(),
                description: b.clone(),
                default: flag,
                disabled_roles: more.clone(),
                grants: more.iter().map(|role| (role.clone(), more.clone())).collect(),
                on_disabled: Some(OnDisabled {
                    strategy: Strategy::Remap,
                    replacements: more.iter().map(|role| (role.clone(), a.clone())).collect(),
                    default_replacement: some(&c),
                    fallback_role: some(&d),
                }),
                aliases: more.clone(),
                renamed_from: some(&e),
            }],
            deleted_permissions: more.clone(),
            deleted_roles: vec![DeletedRole { name: f, replacement: Some(a) }],
            ..Default::default()
        };
        let yaml = document.to_yaml().unwrap();
        let read = Document::from_yaml(&yaml);
        prop_assert_eq!(read.as_ref(), Ok(&document), "{}", yaml);
    }
}

#[test]
fn a_document_may_be_as_large_as_a_request() {
    let permissions = (0..260_000).map(|at| Permission { name: format!("p{at}"), ..Default::default() });
    let document = Document { permissions: permissions.collect(), ..Default::default() };
    assert_eq!(Document::from_yaml(&document.to_yaml().unwrap()).as_ref(), Ok(&document));
}

#[test]
fn an_error_says_where_it_is_and_what_is_allowed() {
    let head = "project: a\ndefault_role: M\ndefault_owner_role: O\n";
    for (text, expected) in [
        (format!("{head}rolls: []\n"), "rolls"),
        (format!("{head}permissions:\n  - {{name: a, descripton: b}}\n"), "descripton"),
        (format!("{head}permissions:\n  - 12\n"), "quoted if it looks like a number"),
        (format!("{head}permissions:\n  - {{description: b}}\n"), "name"),
        (format!("{head}project: b\n"), "project"),
        ("project: a\n".into(), "default_role"),
    ] {
        let error = Document::from_yaml(&text).unwrap_err();
        let is_one_line = error.contains("line") && error.lines().count() == 1;
        assert!(error.contains(expected) && is_one_line, "{text} {error}");
    }
}
