//! What `subscribe` prints, and the commands in it.

use std::collections::HashSet;

use clap::Parser;

use super::*;
use crate::wire::DisabledRoleStrategy;

fn args(words: &[&str]) -> Args {
    Args::try_parse_from([&["subscribe"], words].concat()).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

fn answered(dry_run: bool, orgs: i32, members: i32) -> Subscribed {
    Subscribed {
        project: "default".into(),
        org_id: "acme".into(),
        from: "Paid".into(),
        role_mapping: if orgs == 0 { "Paid".into() } else { "Free".into() },
        dry_run,
        impact: wire::Impact { orgs, members, digest: "d".into(), ..Default::default() },
        command: dry_run.then(|| args(&["acme", "Free", "--dry-run"]).apply_command("Free", "d")),
        revision: "r".into(),
    }
}

fn text(answer: &Subscribed) -> String {
    anstream::adapter::strip_str(&answer.text()).to_string()
}

#[test]
fn a_printed_command_has_the_same_arguments() {
    for words in [
        &["acme", "Free"][..],
        &["acme", "Free", "--on-disabled", "suspend", "--fallback-role", "Read Only", "--reason", "it's over"],
        &["acme", "--on-disabled", "remap", "--remap", "A=B", "--remap", "Old Role=New Role", "--to-default"],
        &["acme", "Free", "--default-replacement", "Member", "--project", "shop", "--server", "unix:/r.sock"],
        &["acme", "Free", "--impact", "3f"],
        &["acme", "Free", "--on-disabled", "reject", "--dry-run"],
    ] {
        let given = args(words).command();
        let pasted: Vec<String> = split(&given);
        assert_eq!(pasted[..2], ["rolecall", "subscribe"]);
        let again: Vec<&str> = pasted[2..].iter().map(String::as_str).collect();
        assert_eq!(args(&again).command(), given);
        assert_eq!(again, words, "{given}");
    }
    // With a name that begins with a dash the order differs, and the meaning is the same.
    for (words, command) in [
        (&["--", "-x", "Free"][..], "-- -x Free"),
        (
            &["--dry-run", "--on-disabled", "suspend", "--", "acme", "--json"],
            "--on-disabled suspend --dry-run -- acme --json",
        ),
        (&["--to-default", "--fallback-role=-s", "--", "-"], "'--fallback-role=-s' --to-default -- -"),
        (&["acme", "Free", "--remap=-a=b", "--remap", "c=-d=e"], "acme Free '--remap=-a=b' --remap 'c=-d=e'"),
        (&["acme", "Free", "--default-replacement=--dry-run"], "acme Free '--default-replacement=--dry-run'"),
        (&["acme", "Free", "--reason=- it's over"], r#"acme Free "--reason=- it's over""#),
        (&["acme", "Free", "--reason", "two\nlines \u{1b}[2J"], r"acme Free --reason $'two\nlines \033[2J'"),
        (&["acme", "Free", "--server=-h:1"], "acme Free '--server=-h:1'"),
    ] {
        let given = args(words);
        assert_eq!(given.command(), format!("rolecall subscribe {command}"));
        let pasted = split(&given.command());
        let again = args(&pasted[2..].iter().map(String::as_str).collect::<Vec<_>>());
        let meant = |args: Args| {
            let flags = (args.to_default, args.dry_run, args.on_disabled, args.client.repeated());
            (
                args.org_id,
                args.role_mapping,
                args.fallback_role,
                args.remap,
                args.default_replacement,
                args.reason,
                flags,
            )
        };
        assert_eq!(meant(again), meant(given), "{command}");
    }
    for looked in [&["acme", "Free", "--dry-run"], &["acme", "--to-default", "--dry-run"]] {
        assert_eq!(args(looked).apply_command("Free", "3f"), "rolecall subscribe acme Free --impact 3f");
    }
}

/// Returns the words that a shell reads.
fn split(line: &str) -> Vec<String> {
    let printed = std::process::Command::new("bash").args(["-c", &format!("printf '%s\\0' {line}")]).output().unwrap();
    let words = String::from_utf8(printed.stdout).unwrap();
    words.split_terminator('\0').map(String::from).collect()
}

#[test]
fn a_fallback_role_means_suspend_and_a_replacement_remap() {
    let strategy = |words: &[&str]| {
        args(&[&["acme", "Free"], words].concat()).on_disabled().map(|said| said.map(|said| said.strategy()))
    };
    assert_eq!(strategy(&[]), Ok(None));
    assert_eq!(strategy(&["--on-disabled", "reject"]), Ok(Some(DisabledRoleStrategy::Reject)));
    assert_eq!(strategy(&["--fallback-role", "Member"]), Ok(Some(DisabledRoleStrategy::Suspend)));
    assert_eq!(strategy(&["--remap", "A=B"]), Ok(Some(DisabledRoleStrategy::Remap)));
    assert_eq!(strategy(&["--default-replacement", "B"]), Ok(Some(DisabledRoleStrategy::Remap)));
    for wrong in [
        &["--fallback-role", "Member", "--remap", "A=B"][..],
        &["--on-disabled", "reject", "--fallback-role", "Member"],
        &["--on-disabled", "remap", "--fallback-role", "Member"],
        &["--on-disabled", "suspend", "--default-replacement", "B"],
    ] {
        assert!(strategy(wrong).is_err(), "{wrong:?}");
    }
    for wrong in [&["acme"][..], &["acme", "Free", "--to-default"], &["acme", "Free", "--remap", "A"]] {
        assert!(Args::try_parse_from([&["subscribe"], wrong].concat()).is_err(), "{wrong:?}");
    }
}

#[test]
fn the_first_line_says_what_changes_for_members() {
    let first = |answer: &Subscribed| text(answer).lines().next().unwrap_or_default().to_owned();
    assert_eq!(first(&answered(true, 1, 0)), "Moving acme from Paid to Free would affect no member.");
    assert_eq!(first(&answered(false, 1, 0)), "Moved acme from Paid to Free. That affected no member.");
    assert_eq!(text(&answered(true, 0, 0)), "acme is on Paid already: nothing changes\n");
    let dry = text(&answered(true, 1, 2));
    assert!(dry.ends_with("\nrolecall subscribe acme Free --impact d\n"), "{dry}");
    assert!(!text(&answered(false, 1, 2)).contains("rolecall subscribe"));
}

#[test]
fn a_refusal_lists_the_choices() {
    let internal = HashSet::from(["Support".to_owned()]);
    let choices_for = |words: &[&str], held: &[&str]| {
        let held: Vec<String> = held.iter().map(|role| role.to_string()).collect();
        let text = choices::commands(&args(words), &held, "Member", &internal);
        text.lines().filter(|line| line.starts_with("rolecall ")).map(String::from).collect::<Vec<_>>()
    };
    let command = |flags: &str| format!("rolecall subscribe acme Free {flags} --dry-run");
    let suspend = command("--on-disabled suspend");
    let fallback_role = command("--on-disabled suspend --fallback-role Member");
    let remap = |remaps: &str| command(&format!("--on-disabled remap {remaps}"));
    assert_eq!(
        choices_for(&["acme", "Free", "--impact", "3f"], &["Billing Manager"]),
        [suspend.clone(), fallback_role.clone(), remap("--remap 'Billing Manager=Member'")]
    );
    // Given replacements stay.
    let again = choices_for(&["acme", "Free", "--remap", "A=B"], &["C"]);
    assert_eq!(again[2], remap("--remap 'A=B' --remap 'C=Member'"));
    assert_eq!(choices_for(&["acme", "Free"], &["A", "B", "C", "D"])[2], remap("--default-replacement Member"));
    // `--remap A=B=Member` would be read as another pair.
    assert_eq!(
        choices_for(&["acme", "Free", "--remap", "C=D=E"], &["F", "A=B"])[2],
        remap("--remap 'C=D=E' --default-replacement Member")
    );
    // An internal role has no fallback role, and only an internal role can replace it.
    assert_eq!(choices_for(&["acme", "Free"], &["Support"]), std::slice::from_ref(&suspend));
    assert_eq!(choices_for(&["acme", "Free"], &["Admin", "Support"]), [suspend, fallback_role]);
}
