//! `rolecall export`, `plan`, `apply`, `test` and `gen`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ask::refused_with;
use crate::commands::{file, work};
use crate::run::{Server, both, output, rolecall, unconfigured};

/// A server with the example of the demo, and a folder with its document.
struct Shop {
    server: Server,
    folder: TempDir,
}

impl Shop {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::start(folder.path(), &["--demo"]);
        server.demo();
        let shop = Self { server, folder };
        shop.run(0, &["export", "-o", "shop.yaml"]);
        shop
    }

    fn output(&self, args: &[&str]) -> Output {
        output(rolecall(self.folder.path()).args(args).env("ROLECALL_SERVER", &self.server.address))
    }

    /// Returns the standard output of a command, which must exit with this code.
    #[track_caller]
    fn run(&self, code: i32, args: &[&str]) -> String {
        let finished = self.output(args);
        assert_eq!(finished.status.code(), Some(code), "{args:?}: {}", both(&finished));
        String::from_utf8(finished.stdout).unwrap()
    }

    /// Runs `rolecall` with these arguments at a terminal, where somebody types a line. The tool `script` makes the terminal.
    fn at_terminal(&self, args: &str, typed: &str) -> Output {
        let rolecall = env!("CARGO_BIN_EXE_rolecall");
        let line = format!("printf '{typed}\\n' | script -qec '{rolecall} {args}' /dev/null");
        let mut bash = unconfigured(Command::new("bash"), self.folder.path());
        output(bash.args(["-c", &line]).env("ROLECALL_SERVER", &self.server.address))
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Replaces a text of the document.
    #[track_caller]
    fn edit(&self, from: &str, to: &str) {
        let text = self.read("shop.yaml");
        assert!(text.contains(from), "`{from}` is not in {text}");
        fs::write(self.folder.path().join("shop.yaml"), text.replacen(from, to, 1)).unwrap();
    }

    #[track_caller]
    fn refused(&self, code: i32, args: &[&str], says: &[&str]) {
        refused_with(code, &self.output(args), says);
    }
}

#[test]
fn the_commands_about_configuration_work_in_their_order() {
    work("docs/configuration.md", 11);
}

#[test]
fn the_exit_code_of_a_plan_says_whether_there_are_changes() {
    let shop = Shop::start();
    let unchanged = "default is as the document says: there is nothing to change.\n";
    assert_eq!(shop.run(0, &["plan", "shop.yaml"]), unchanged);
    assert_eq!(shop.run(0, &["plan", "shop.yaml", "--prune"]), unchanged);
    assert_eq!(shop.run(0, &["apply", "shop.yaml"]), unchanged);
    // A second export is equal.
    assert_eq!(shop.run(0, &["export"]), shop.read("shop.yaml"));

    shop.edit("permissions:\n", "permissions:\n- name: reports.print\n  description: Prints reports.\n");
    let plan = shop.run(2, &["plan", "shop.yaml"]);
    let lines: Vec<&str> = plan.lines().collect();
    assert_eq!(
        lines,
        [
            "default: 1 to create.",
            "",
            "+ permission reports.print",
            "    + description: Prints reports.",
            "",
            "This would affect no member.",
        ]
    );
    let json: Value = serde_json::from_str(&shop.run(2, &["plan", "shop.yaml", "--json"])).unwrap();
    let description = json!({"field": "description", "role": "", "before": "", "after": "Prints reports.", "removed": [], "added": []});
    let step = json!({"action": "CREATE", "kind": "PERMISSION", "name": "reports.print", "changes": [description]});
    assert_eq!((&json["steps"], &json["create"]), (&json!([step]), &json!(false)));

    // 2 says that there are changes, so an error is 1.
    shop.refused(1, &["plan", "nothing.yaml"], &["nothing.yaml cannot be read"]);
    shop.refused(1, &["plan", "shop.yaml", "--project", "other"], &["--project names `other`"]);
    shop.run(1, &["plan"]);
    shop.run(1, &["plan", "shop.yaml", "--nonsense"]);
    shop.run(0, &["plan", "--help"]);
    shop.run(2, &["apply"]);
    let nobody = ["plan", "shop.yaml", "--server", "127.0.0.1:1"];
    shop.refused(1, &nobody, &["127.0.0.1:1"]);
}

#[test]
fn a_document_is_applied_once_and_only_if_somebody_agrees() {
    let shop = Shop::start();
    shop.edit("permissions:\n", "permissions:\n- reports.print\n");
    let asked = both(&shop.output(&["apply", "shop.yaml"]));
    assert!(asked.contains("+ permission reports.print") && asked.contains("give --yes"), "{asked}");
    shop.run(1, &["apply", "shop.yaml"]);
    shop.run(2, &["plan", "shop.yaml"]);
    shop.run(0, &["apply", "shop.yaml", "--yes", "--reason", "prints"]);
    assert!(shop.run(0, &["apply", "shop.yaml", "--yes"]).contains("there is nothing to change"));
    shop.run(0, &["plan", "shop.yaml"]);
    let log = shop.run(0, &["log"]);
    assert!(log.contains("ApplyConfiguration"), "{log}");
}

#[test]
fn at_a_terminal_a_document_is_applied_only_after_yes() {
    if Command::new("script").arg("--version").output().is_err() {
        // Debian always has it.
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "script not found, and CI=true");
        return eprintln!("skipped: script not found");
    }
    let shop = Shop::start();
    shop.edit("permissions:\n", "permissions:\n- reports.print\n");
    for (typed, code, says) in
        [("no", 1, "declined"), ("y", 1, "declined"), ("", 1, "declined"), ("yes", 0, "Applied.")]
    {
        // Nothing was applied yet.
        shop.run(2, &["plan", "shop.yaml"]);
        let finished = shop.at_terminal("apply shop.yaml", typed);
        let shown = both(&finished);
        assert_eq!(finished.status.code(), Some(code), "{typed}: {shown}");
        let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text} is not shown: {shown}"));
        assert!(at("reports.print") < at("Only `yes` goes on") && at("Only `yes` goes on") < at(says), "{shown}");
    }
    shop.run(0, &["plan", "shop.yaml"]);
    // Nothing is left to ask for.
    let again = both(&shop.at_terminal("apply shop.yaml", "no"));
    assert!(again.contains("there is nothing to change") && !again.contains("goes on"), "{again}");
}

#[test]
fn r9_a_plan_file_is_applied_only_if_nothing_has_changed_since() {
    let shop = Shop::start();
    shop.edit("permissions:\n", "permissions:\n- reports.print\n");
    let apply = ["apply", "shop.yaml", "--plan", "plan.json"];
    shop.run(2, &["plan", "shop.yaml", "-o", "plan.json"]);
    let original = shop.read("shop.yaml");
    shop.edit("reports.print", "reports.fax");
    shop.refused(2, &apply, &["plan.json is the plan of another document"]);
    // Comments do not count.
    fs::write(shop.folder.path().join("shop.yaml"), original.clone() + "# The end.\n").unwrap();
    // Somebody else applies another document meanwhile.
    let other = original.replacen("reports.print", "reports.mail", 1);
    fs::write(shop.folder.path().join("other.yaml"), other).unwrap();
    shop.run(0, &["apply", "other.yaml", "--yes"]);
    shop.refused(1, &apply, &["have changed since the plan was made"]);
    shop.run(2, &["plan", "shop.yaml", "-o", "plan.json"]);
    shop.run(0, &apply);
    // A pipeline may run its last step again.
    assert!(shop.run(0, &apply).contains("there is nothing to change"));
    assert!(shop.run(0, &["plan", "shop.yaml"]).contains("  permission reports.mail\n"));
    shop.run(0, &["apply", "shop.yaml", "--prune", "--yes"]);
    assert_eq!(shop.run(0, &["export"]).lines().filter(|line| line.contains("reports.mail")).count(), 0);
}

#[test]
fn a_refused_document_says_what_to_write() {
    let shop = Shop::start();
    shop.edit("environment: LIVE", "environment: TEST");
    shop.refused(1, &["plan", "shop.yaml"], &["the project `default` is LIVE"]);
    shop.edit("environment: TEST", "environment: LIVE");
    shop.edit("default_role: Member", "default_role: Ghost");
    shop.refused(1, &["plan", "shop.yaml"], &["ROLE_NOT_FOUND", "`Ghost`"]);
    shop.edit("default_role: Ghost", "default_role: Member\ndeleted_roles:\n- name: Owner\n");
    shop.refused(1, &["plan", "shop.yaml"], &["CONTRADICTION"]);
    shop.edit("project: default", "project: missing");
    shop.refused(1, &["plan", "shop.yaml"], &["PROJECT_NOT_FOUND", "--create"]);
    shop.edit("project: missing", "projekt: missing");
    shop.refused(1, &["plan", "shop.yaml"], &["projekt", "--schema"]);
    shop.edit("projekt: missing", "project: default");
    shop.edit("deleted_roles:\n- name: Owner\n", "");
    shop.edit("- rolecall::can_invite\n", "- rolecall::can_invite\n    - reports.fly\n");
    shop.refused(1, &["plan", "shop.yaml"], &["PERMISSION_NOT_FOUND", "`reports.fly`", "add it to `permissions`"]);
    shop.refused(1, &["apply", "shop.yaml", "--yes"], &["PERMISSION_NOT_FOUND", "add it to `permissions`"]);
}

#[test]
fn a_plan_says_which_renames_name_nothing() {
    let shop = Shop::start();
    shop.edit("name: Billing Manager", "name: Accountant\n  renamed_from: Biling Manager");
    let plan = shop.run(2, &["plan", "shop.yaml"]);
    assert!(plan.contains("\n! role Accountant is new: its `renamed_from: Biling Manager` names nothing.\n"), "{plan}");
    let json: Value = serde_json::from_str(&shop.run(2, &["plan", "shop.yaml", "--json"])).unwrap();
    let expected = json!([{"kind": "ROLE", "name": "Accountant", "renamed_from": "Biling Manager"}]);
    assert_eq!(json["not_renamed"], expected);
    shop.edit("Biling", "Billing");
    let plan = shop.run(2, &["plan", "shop.yaml"]);
    assert!(!plan.contains("names nothing"), "{plan}");
}

#[test]
fn an_export_as_json_is_a_document_too() {
    let shop = Shop::start();
    let json = shop.run(0, &["export", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["project"], "default");
    fs::write(shop.folder.path().join("shop.json"), json).unwrap();
    assert!(shop.run(0, &["plan", "shop.json", "--prune"]).contains("nothing to change"));
    shop.run(2, &["gen", "rust", "--config", "shop.json", "--json"]);
}

#[test]
fn p3_a_missing_project_is_created_from_its_document() {
    let shop = Shop::start();
    shop.edit("project: default", "project: copy");
    let plan = shop.run(2, &["plan", "shop.yaml", "--create"]);
    assert!(plan.starts_with("copy would be created with "), "{plan}");
    shop.run(0, &["apply", "shop.yaml", "--create", "--yes"]);
    assert!(shop.run(0, &["plan", "shop.yaml", "--create", "--prune"]).contains("nothing to change"));
    let exported = shop.run(0, &["export", "--project", "copy"]);
    assert_eq!(exported.replace("`copy`", "`default`"), shop.read("shop.yaml"));
}

#[test]
fn p3_a_document_that_equals_the_empty_template_creates_its_project_too() {
    let shop = Shop::start();
    let granted: Vec<&str> = rolecall::domain::model::permission::BUILT_INS.iter().map(|(name, _)| *name).collect();
    let document = format!(
        "project: blank
environment: TEST
default_role: Owner
default_owner_role: Owner
roles:
- {{name: Owner, description: Runs the organization.}}
role_mappings:
- {{name: Default, description: The default plan of organizations., default: true, grants: {{Owner: ['{}']}}}}
",
        granted.join("', '")
    );
    fs::write(shop.folder.path().join("blank.yaml"), document).unwrap();
    assert_eq!(shop.run(2, &["plan", "blank.yaml", "--create"]), "blank would be created.\n");
    shop.run(0, &["apply", "blank.yaml", "--create", "--yes"]);
    shop.run(0, &["export", "--project", "blank"]);
}

#[test]
fn a_policy_test_needs_no_server_and_exits_with_its_result() {
    let shop = Shop::start();
    let folder = &shop.folder;
    let test = |permission: &str| {
        let text = format!(
            "configuration: ../shop.yaml\norgs: [{{org: acme, members: [{{user: ann, roles: [Owner]}}]}}]\ntests:\n\
             - {{org: acme, user: ann, permission: {permission}, expect: ALLOWED}}\n"
        );
        fs::create_dir_all(folder.path().join("tests")).unwrap();
        fs::write(folder.path().join("tests/policy.yaml"), text).unwrap();
        output(rolecall(folder.path()).args(["test", "tests/policy.yaml"]))
    };
    let passed = test("rolecall::can_invite");
    assert_eq!((passed.status.code(), both(&passed)), (Some(0), "1 test passed\n".into()));
    let failed = test("reports.fly");
    assert_eq!(failed.status.code(), Some(1));
    let says = both(&failed);
    assert!(says.contains("UNKNOWN_PERMISSION") && says.contains("1 of 1 tests failed"), "{says}");
    refused_with(2, &output(rolecall(folder.path()).args(["test", "shop.yaml"])), &["shop.yaml is no test"]);
    shop.edit("- rolecall::can_invite\n", "- rolecall::can_invite\n    - reports.fly\n");
    refused_with(2, &test("reports.fly"), &["`reports.fly` does not exist", "the document must list"]);
    fs::write(folder.path().join("none.yaml"), "configuration: shop.yaml\norgs: []\ntests: []\n").unwrap();
    refused_with(2, &output(rolecall(folder.path()).args(["test", "none.yaml"])), &["none.yaml has no tests"]);
}

#[test]
fn the_schema_of_the_repository_is_the_one_of_the_code() {
    let folder = tempfile::tempdir().unwrap();
    let printed = output(rolecall(folder.path()).args(["export", "--schema"]));
    let printed = String::from_utf8(printed.stdout).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rolecall.schema.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &printed).unwrap();
    }
    let update = "run `UPDATE_DOCS=1 cargo test --test cli the_schema`";
    assert!(printed == file("docs/rolecall.schema.json"), "{update}");
}

#[test]
fn the_constants_of_a_project_are_those_of_its_document() {
    let shop = Shop::start();
    for language in ["rust", "typescript", "go", "python"] {
        let of_document = shop.run(0, &["gen", language, "--config", "shop.yaml"]);
        assert!(
            of_document.contains("from the project `default`") && of_document.contains("rolecall::can_invite"),
            "{of_document}"
        );
        assert_eq!(shop.run(0, &["gen", language, "--project", "default"]), of_document);
        assert_eq!(shop.run(0, &["gen", language]), of_document);
    }
    shop.refused(2, &["gen", "rust", "--project", "nowhere"], &["PROJECT_NOT_FOUND"]);
    shop.run(2, &["gen", "rust", "--project", "default", "--config", "shop.yaml"]);
}

/// Names with everything that a language could stumble over.
const HOSTILE: &str = r#"
project: acme
default_role: Member
default_owner_role: Owner
permissions:
  - {name: 'docs::"read"', description: 'quotes " and \ and */ and ${x}'}
  - {name: 'back\slash', description: "two\nlines"}
  - 'class'
  - '$HOME `id`'
  - '2fa'
roles: [{name: Owner}, {name: 'Geschäftsführer'}, {name: Member}]
role_mappings: [{name: Free, default: true}]
"#;

/// Generates the constants of a language, and runs a command of that language on them. Skips it if the machine lacks it.
fn compiled(language: &str, file: &str, command: &[&str], more: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("acme.yaml"), HOSTILE).unwrap();
    let generate = output(rolecall(folder.path()).args(["gen", language, "--config", "acme.yaml", "-o", file]));
    assert_eq!(generate.status.code(), Some(0), "{}", both(&generate));
    let text = fs::read_to_string(folder.path().join(file)).unwrap();
    assert!(text.contains("from the project `acme`"), "{text}");
    fs::write(folder.path().join(file), text + more).unwrap();
    let found = Command::new(command[0]).args(&command[1..]).current_dir(folder.path()).output();
    let Ok(finished) = found else { return eprintln!("skipped: {} not found", command[0]) };
    assert!(finished.status.success(), "{}", both(&finished));
}

#[test]
fn generated_rust_compiles() {
    let main = "fn main() { assert_eq!(permission::DOCS_READ, \"docs::\\\"read\\\"\"); assert_eq!(role::OWNER, \"Owner\"); }\n";
    compiled("rust", "main.rs", &["sh", "-c", "rustc --edition 2024 -A dead_code -D warnings main.rs && ./main"], main);
}

#[test]
fn generated_python_runs() {
    let main = "assert Permission.DOCS_READ == 'docs::\"read\"' and Permission.BACK_SLASH == 'back\\\\slash'\n";
    compiled("python", "acme.py", &["python3", "acme.py"], main);
}

#[test]
fn generated_go_compiles() {
    let go =
        "command -v go >/dev/null || exit 0; gofmt -l acme.go && GO111MODULE=off GOCACHE=$PWD/cache go vet acme.go";
    compiled("go", "acme.go", &["sh", "-c", go], "var _ Role = RoleOwner\nvar _ Permission = PermissionClass\n");
}

/// Without its types, which Node removes from version 22.6 on, it is JavaScript.
#[test]
fn generated_typescript_is_javascript_with_types() {
    let script = "command -v node >/dev/null || exit 0; sed '/^export type/d; s/^} as const;/};/' acme.ts > acme.mjs && node acme.mjs";
    let main = "if (Permission.DOCS_READ !== 'docs::\"read\"' || Role.OWNER !== 'Owner') throw new Error();\n";
    compiled("typescript", "acme.ts", &["sh", "-c", script], main);
}
