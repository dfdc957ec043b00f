//! `rolecall subscribe`, against a server that holds the example of the demo.

use serde_json::{Value, json};

use crate::ask::{Demo, refused_with};
use crate::run::{both, grpcurl, output};

const PREVIEW: [&str; 6] = ["subscribe", "globex", "Free", "--fallback-role", "Member", "--dry-run"];

/// Runs a command that a preview printed, as a shell does.
fn pasted(demo: &Demo, command: &str) -> std::process::Output {
    let line = command.replacen("rolecall", &format!("'{}'", env!("CARGO_BIN_EXE_rolecall")), 1);
    output(std::process::Command::new("bash").args(["-c", &line]).env("ROLECALL_SERVER", &demo.server.address))
}

/// Returns the role mapping of globex.
fn plan(demo: &Demo) -> Value {
    demo.json(0, &PREVIEW)["from"].clone()
}

#[test]
fn r9_a_preview_shows_the_impact_and_the_command_that_applies_it() {
    let demo = Demo::start(&[]);
    let said = demo.says(0, &PREVIEW);
    let (text, command) = said.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(
        text,
        [
            "Moving globex from Paid to Free would affect 3 members: Billing Manager is suspended for 1, Member is given to 1.",
            "",
            "ROLE             SUSPENDED  REMOVED  GIVEN  REACTIVATED",
            "Billing Manager          1",
            "Member                                   1",
            "",
            "USER  ROLES                                         PERMISSIONS LOST                              PERMISSIONS GAINED",
            "bob   keeps Billing Manager suspended, gets Member  reports.export, billing.view, billing.manage  rolecall::can_view_other_members",
            "gil                                                 reports.export, sso.configure",
            "mia                                                 reports.export, billing.view",
            "",
            "Members for whom a check for \"at least\" some role turns false: 1",
            "",
            "# applies exactly this; it is refused if the impact has changed by then",
        ]
        .join("\n")
    );
    assert!(command.starts_with("rolecall subscribe globex Free --fallback-role Member --impact "), "{command}");
    assert_eq!(plan(&demo), "Paid", "a preview changes nothing");

    let done = pasted(&demo, command);
    let says = both(&done);
    assert_eq!(done.status.code(), Some(0), "{says}");
    // Only a preview lists members (R9.d).
    let parts: Vec<&str> = text.split("\n\n").collect();
    let [_, roles, _, at_least, _] = parts[..] else { panic!("{text}") };
    let sentence = "Moved globex from Paid to Free. That affected 3 members: Billing Manager is suspended for 1, Member is given to 1.";
    assert_eq!(says, format!("{sentence}\n\n{roles}\n\n{at_least}\n"));
    assert_eq!(plan(&demo), "Free");
    let who = demo.says(0, &["who-can", "reports.view", "--org", "globex"]);
    assert!(who.contains("\nbob   Billing Manager (suspended, Member instead)\n"), "{who}");

    // The write would now change nothing, so the impact is not the previewed one.
    refused_with(
        1,
        &pasted(&demo, command),
        &["ABORTED IMPACT_CHANGED: ", "\nrolecall subscribe globex Free --fallback-role Member --dry-run\n"],
    );
    assert_eq!(demo.says(0, &["subscribe", "globex", "Free"]), "globex is on Free already: nothing changes\n");
    let back = demo.says(0, &["subscribe", "globex", "Paid", "--reason", "paid again"]);
    assert!(
        back.starts_with("Moved globex from Free to Paid. That affected 3 members: Member is removed from 1, Billing Manager is reactivated for 1."),
        "{back}"
    );
}

#[test]
fn m7_a_refusal_lists_the_commands_with_each_strategy() {
    let demo = Demo::start(&[]);
    let command = |flags: &str| format!("\nrolecall subscribe globex Free {flags} --dry-run\n");
    let suspend = command("--on-disabled suspend");
    let fallback_role = command("--on-disabled suspend --fallback-role Member");
    let remap = command("--on-disabled remap --remap 'Billing Manager=Member'");
    let says =
        ["FAILED_PRECONDITION ROLES_WOULD_BE_DISABLED: ", "`Billing Manager` (1)", &suspend, &fallback_role, &remap];
    for flags in [&[][..], &["--dry-run"], &["--json"]] {
        refused_with(1, &demo.ask(&[&["subscribe", "globex", "Free"], flags].concat()), &says);
    }
    assert_eq!(plan(&demo), "Paid");
    for choice in [suspend, fallback_role, remap] {
        let previewed = pasted(&demo, choice.trim());
        assert_eq!(previewed.status.code(), Some(0), "{choice}: {}", both(&previewed));
        let shown = String::from_utf8(previewed.stdout).unwrap();
        let apply = shown.lines().last().unwrap();
        let done = pasted(&demo, apply);
        assert_eq!(done.status.code(), Some(0), "{apply}: {}", both(&done));
        assert_eq!(plan(&demo), "Free");
        demo.says(0, &["subscribe", "globex", "Paid"]);
    }
    let bob = demo.says(0, &["who-can", "reports.view", "--org", "globex"]);
    assert!(bob.contains("\nbob   Member\n"), "the remap is permanent: {bob}");
}

#[test]
fn printed_commands_work_with_unusual_names() {
    let Some(grpcurl) = grpcurl() else { return };
    let demo = Demo::start(&[]);
    for (body, method) in [
        (json!({"name": "Billing Manager", "resource": {"name": "A=B"}}), "RoleService/UpdateRole"),
        (json!({"name": "Member", "resource": {"name": "-m"}}), "RoleService/UpdateRole"),
        (json!({"name": "Free", "resource": {"name": "--free"}}), "RoleMappingService/UpdateRoleMapping"),
        (json!({"org_id": "-x", "role_mapping": "Paid"}), "OrgService/CreateOrg"),
        (json!({"org_id": "-x", "user_id": "pia", "roles": [{"role": "A=B"}]}), "MembershipService/AddMember"),
    ] {
        let answer = demo.server.call(&grpcurl, &body.to_string(), &format!("rolecall.v1.{method}"));
        assert!(answer.starts_with('{'), "{method}: {answer}");
    }
    let command = |flags: &str| {
        format!("rolecall subscribe --on-disabled {flags} --reason $'it\\'s\\nover' --dry-run -- -x --free")
    };
    let choices = ["suspend", "suspend '--fallback-role=-m'", "remap '--default-replacement=-m'"].map(command);
    let refused = demo.ask(&["subscribe", "--reason", "it's\nover", "--", "-x", "--free"]);
    let lines = choices.each_ref().map(|choice| format!("\n{choice}\n"));
    refused_with(1, &refused, &[&["`A=B` (1)"][..], &lines.each_ref().map(String::as_str)].concat());
    for choice in choices {
        let previewed = pasted(&demo, &choice);
        assert_eq!(previewed.status.code(), Some(0), "{choice}: {}", both(&previewed));
        let shown = String::from_utf8(previewed.stdout).unwrap();
        let apply = shown.lines().last().unwrap();
        assert!(apply.contains(" --impact ") && apply.ends_with(" -- -x --free"), "{apply}");
        let done = pasted(&demo, apply);
        assert_eq!(done.status.code(), Some(0), "{apply}: {}", both(&done));
        let back = demo.says(0, &["subscribe", "--", "-x", "Paid"]);
        assert!(back.starts_with("Moved -x from --free to Paid. "), "{back}");
    }
    let pia = demo.says(0, &["who-can", "reports.view", "--org=-x"]);
    assert!(pia.contains("\npia   -m\n"), "the remap is permanent: {pia}");
}

#[test]
fn an_impossible_request_exits_with_2_and_a_refused_one_with_1() {
    let demo = Demo::start(&[]);
    demo.refuses(&["subscribe", "nowhere", "Free"], &["NOT_FOUND ORG_NOT_FOUND: ", "--project"]);
    demo.refuses(&["subscribe", "globex", "Fre"], &["NOT_FOUND ROLE_MAPPING_NOT_FOUND: ", "did you mean `Free`?"]);
    demo.refuses(&["subscribe", "globex", "Free", "--fallback-role", "Guest"], &["NOT_FOUND ROLE_NOT_FOUND: "]);
    demo.refuses(&["subscribe", "globex", "Free", "--fallback-role", "Member", "--remap", "A=B"], &["--on-disabled"]);
    let disabled = demo.ask(&["subscribe", "globex", "Free", "--default-replacement", "Billing Manager"]);
    refused_with(1, &disabled, &["FAILED_PRECONDITION ROLE_DISABLED: ", "`Billing Manager`"]);
    for wrong in [
        &["subscribe", "globex"][..],
        &["subscribe", "globex", "Free", "--to-default"],
        &["subscribe", "globex", "Free", "--remap", "Admin"],
        &["subscribe", "globex", "Free", "--on-disabled", "shrug"],
        &["subscribe", "globex", "Free", "--dry-run", "--impact", "3f"],
    ] {
        let finished = demo.ask(wrong);
        assert_eq!(finished.status.code(), Some(2), "{wrong:?}: {}", both(&finished));
    }
}

#[test]
fn json_has_the_impact_with_the_names_of_the_api() {
    let demo = Demo::start(&[]);
    let mut previewed = demo.json(0, &PREVIEW);
    let digest = previewed["impact"]["digest"].as_str().unwrap().to_owned();
    let command = format!("rolecall subscribe globex Free --fallback-role Member --impact {digest}");
    assert_eq!(previewed["command"], command.as_str(), "{previewed}");
    let said = ["project", "org_id", "from", "role_mapping", "dry_run"].map(|field| previewed[field].clone());
    assert_eq!(said, [json!("default"), json!("globex"), json!("Paid"), json!("Free"), json!(true)]);
    let sample = previewed["impact"]["sample"].take();
    assert_eq!(
        previewed["impact"],
        json!({"digest": digest, "orgs": 1, "members": 3, "invitations": 0, "members_losing_at_least": 1,
            "roles": [
                {"role": "Billing Manager", "given": 0, "removed": 0, "suspended": 1, "reactivated": 0},
                {"role": "Member", "given": 1, "removed": 0, "suspended": 0, "reactivated": 0},
            ],
            "grants_gained": {"total": 0, "first": []}, "grants_lost": {"total": 0, "first": []},
            "at_least_lost": {"total": 0, "first": []}, "manages_lost": {"total": 0, "first": []},
            "orgs_left_ownerless": {"total": 0, "first": []}, "sample": null})
    );
    let bob = sample.as_array().unwrap().iter().find(|member| member["user_id"] == "bob").unwrap();
    assert_eq!(
        bob,
        &json!({"org_id": "globex", "user_id": "bob", "roles_given": ["Member"], "roles_removed": [],
            "roles_suspended": ["Billing Manager"], "roles_reactivated": [],
            "permissions_gained": {"total": 1, "first": ["rolecall::can_view_other_members"]},
            "permissions_lost": {"total": 3, "first": ["reports.export", "billing.view", "billing.manage"]}})
    );
    let done = demo.json(0, &["subscribe", "globex", "Free", "--fallback-role", "Member", "--impact", &digest]);
    assert_eq!((&done["dry_run"], done.get("command")), (&json!(false), None), "{done}");
    assert_eq!(done["impact"]["digest"], digest.as_str());
}
