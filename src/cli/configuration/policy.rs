//! `rolecall test`: checks what a document decides about given orgs and members, without a server or a database.

mod file;

use std::path::PathBuf;

use clap::Parser;
use comfy_table::{Cell, Color};
use serde::Serialize;

use super::convert::{self, Options};
use super::local::{self, run};
use crate::cli::answer::{self, Answer};
use crate::cli::table::{plain, table, text};
use crate::cli::trouble::{Failed, Trouble};
use crate::domain::commands::command::{
    BlockUser, CreateOrg, MemberWrite, OnDisabled, RoleAssignment, SubscribeOrg, SubscribeTo, Write, WriteMember,
};
use crate::domain::{Ask, Command, OrgId, ProjectKey, Question, RoleMappingName, RoleName, State, Time, UserId};
use crate::limits::Limits;
use file::{Expected, GivenRole, PolicyTest, Test};

const AFTER_HELP: &str = "\
Exit codes: 0 every decision is as expected; 1 some differ, the table lists them; 2 the files are wrong, with the reason on \
stderr.";

const AFTER_LONG_HELP: &str = "\
Exit codes: 0 every decision is as expected; 1 some differ, the table lists them; 2 the files are wrong, with the reason on \
stderr.

The file:
  configuration: acme.yaml                # beside this file; as `rolecall export` writes it
  orgs:
    - org: acme
      role_mapping: Free                  # absent: the default role mapping
      moved_from: Paid                    # the org moved from there, and disabled roles were suspended
      members:
        - {user: ann, roles: [Owner]}
        - {user: bob, roles: [Member, {role: Admin, for: 1h}]}
  blocked: [cid]
  tests:
    - {org: acme, user: ann, permission: docs::read, expect: ALLOWED}
    - {org: acme, user: bob, role: Admin, after: 2h, expect: ROLE_EXPIRED}
    - {org: acme, user: ann, at_least: Member, expect: ALLOWED}

JSON (--json), one object: tests (how many), failures (org, user, question, expected, is).";

#[derive(Parser)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The file with the given orgs and the expected decisions.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Prints JSON and nothing else.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Tested {
    tests: usize,
    failures: Vec<Failure>,
}

/// A decision that is not as expected.
#[derive(Debug, PartialEq, Serialize)]
struct Failure {
    org: String,
    user: String,
    question: String,
    expected: Expected,
    is: Expected,
}

/// Runs the tests. Returns true if every decision is as expected.
pub fn test(args: Args) -> Result<bool, Failed> {
    let policy = PolicyTest::read(&args.file)?;
    if policy.tests.is_empty() {
        let what = format!("{} has no tests", plain(&args.file.display().to_string()));
        return Err(Trouble::new(what, "add an entry to `tests`; `rolecall test --help` shows one").into());
    }
    let beside = args.file.parent().map(|folder| folder.join(&policy.configuration));
    let document = convert::read(&beside.unwrap_or_else(|| PathBuf::from(&policy.configuration)))?;
    // A document may be for an existing project. The environment decides nothing here.
    let request = convert::request(&document, Options { prune: true, ..Options::default() })?;
    let created = local::created(&document, &request, &Limits::default())?;
    let tested = tested(&created.state, &document.project, &policy)?;
    answer::print(&tested, args.json)?;
    Ok(tested.failures.is_empty())
}

fn tested(state: &State, key: &str, policy: &PolicyTest) -> Result<Tested, Trouble> {
    let mut state = state.clone();
    for command in given(key, policy)? {
        state = run(&state, &command, Time(0), &Limits::default()).map_err(local::refused)?.next;
    }
    let project =
        state.project_keyed(key).ok_or_else(|| Trouble::new("the project is missing", "name it otherwise"))?;
    let mut failures = Vec::new();
    for (at, test) in policy.tests.iter().enumerate() {
        let (question, shown) = question(at, test)?;
        let now = seconds(&format!("tests[{at}].after"), test.after.as_deref())?.unwrap_or_default();
        let is = Expected::from(project.check(&Ask { org_id: &test.org, user_id: &test.user, question }, now));
        if is != test.expect {
            let (org, user) = (test.org.clone(), test.user.clone());
            failures.push(Failure { org, user, question: shown, expected: test.expect, is });
        }
    }
    Ok(Tested { tests: policy.tests.len(), failures })
}

/// Returns the commands that make what is given.
fn given(key: &str, policy: &PolicyTest) -> Result<Vec<Command>, Trouble> {
    let project = ProjectKey::stored(key);
    let mut commands = Vec::new();
    for (at, org) in policy.orgs.iter().enumerate() {
        let at = format!("orgs[{at}]");
        let org_id = named(&format!("{at}.org"), &org.org, OrgId::parse)?;
        let mapping = |field: &str, name: &Option<String>| {
            name.as_ref().map(|name| named(&format!("{at}.{field}"), name, RoleMappingName::parse)).transpose()
        };
        let role_mapping = mapping("role_mapping", &org.role_mapping)?;
        let moved_from = mapping("moved_from", &org.moved_from)?;
        commands.push(Command::CreateOrg(CreateOrg {
            project: project.clone(),
            org_id: org_id.clone(),
            display_name: String::new(),
            metadata: String::new(),
            role_mapping: moved_from.clone().or(role_mapping.clone()),
            creator: None,
            reuse_deleted_id: false,
        }));
        for (number, member) in org.members.iter().enumerate() {
            let at = format!("{at}.members[{number}]");
            let roles = member.roles.iter().enumerate();
            let roles = roles.map(|(number, role)| assignment(&format!("{at}.roles[{number}]"), role));
            let row = MemberWrite {
                org_id: org_id.clone(),
                user_id: named(&format!("{at}.user"), &member.user, UserId::parse)?,
                write: Write::Add(roles.collect::<Result<_, _>>()?),
            };
            let (allow_ownerless, keep_invitations) = (true, true);
            let project = project.clone();
            commands.push(Command::WriteMember(WriteMember { project, row, allow_ownerless, keep_invitations }));
        }
        if moved_from.is_some() {
            commands.push(Command::SubscribeOrg(SubscribeOrg {
                project: project.clone(),
                org_id,
                to: role_mapping.map_or(SubscribeTo::Default, SubscribeTo::RoleMapping),
                on_disabled: OnDisabled::Suspend { fallback_role: None },
            }));
        }
    }
    for (at, user) in policy.blocked.iter().enumerate() {
        let user_id = named(&format!("blocked[{at}]"), user, UserId::parse)?;
        commands.push(Command::BlockUser(BlockUser { project: project.clone(), user_id }));
    }
    Ok(commands)
}

fn assignment(at: &str, role: &GivenRole) -> Result<RoleAssignment, Trouble> {
    let expire_time = seconds(&format!("{at}.for"), role.lasts.as_deref())?;
    let role = named(&format!("{at}.role"), &role.role, RoleName::parse)?;
    Ok(RoleAssignment { role, expire_time, permanent: expire_time.is_none() })
}

/// Reads a length of time like `2h`, from the beginning of the test.
fn seconds(field: &str, text: Option<&str>) -> Result<Option<Time>, Trouble> {
    let parsed = text.map(crate::cli::duration::seconds).transpose();
    let parsed = parsed.map_err(|why| Trouble::new(format!("`{field}` {why}"), "correct the file of the test"))?;
    Ok(parsed.map(|seconds| Time(0).plus_seconds(seconds)))
}

fn named<N, E: std::fmt::Display>(field: &str, text: &str, parse: fn(&str) -> Result<N, E>) -> Result<N, Trouble> {
    parse(text).map_err(|why| Trouble::new(format!("`{field}` {why}"), "correct the file of the test"))
}

/// Returns the question of a test, and how it is shown.
fn question(at: usize, test: &Test) -> Result<(Question<'_>, String), Trouble> {
    match (&test.permission, &test.role, &test.at_least) {
        (Some(permission), None, None) => Ok((Question::Permission(permission), plain(permission))),
        (None, Some(role), None) => Ok((Question::Role(role), format!("role {}", plain(role)))),
        (None, None, Some(role)) => Ok((Question::AtLeastRole(role), format!("at least {}", plain(role)))),
        _ => {
            let what = format!("`tests[{at}]` must ask for one of `permission`, `role` and `at_least`");
            Err(Trouble::new(what, "correct the file of the test"))
        }
    }
}

impl Answer for Tested {
    fn text(&self) -> String {
        if self.failures.is_empty() {
            return match self.tests {
                1 => "1 test passed\n".into(),
                tests => format!("{tests} tests passed\n"),
            };
        }
        let mut rows = table(["ORG", "USER", "QUESTION", "EXPECTED", "IS"].map(String::from));
        for failure in &self.failures {
            rows.add_row([
                Cell::new(plain(&failure.org)),
                Cell::new(plain(&failure.user)),
                Cell::new(&failure.question),
                Cell::new(failure.expected.name()).fg(Color::Green),
                Cell::new(failure.is.name()).fg(Color::Red),
            ]);
        }
        format!("{}\n{} of {} tests failed\n", text(rows), self.failures.len(), self.tests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::configuration::document::Document;

    const DOCUMENT: &str = "
project: acme
default_role: Member
default_owner_role: Owner
permissions: [docs::read, docs::write]
roles:
  - {name: Owner}
  - {name: Admin}
  - {name: Member}
role_mappings:
  - name: Free
    default: true
    disabled_roles: [Admin]
    grants: {Owner: [docs::read, docs::write], Admin: [docs::write], Member: [docs::read]}
  - {name: Paid, grants: {Admin: [docs::write]}}
";

    #[test]
    fn every_decision_can_be_expected_and_a_wrong_one_is_listed() {
        let document = Document::from_yaml(DOCUMENT).unwrap();
        let request = convert::request(&document, Options { prune: true, ..Options::default() }).unwrap();
        let state = local::created(&document, &request, &Limits::default()).unwrap().state;
        let policy = PolicyTest::from_yaml(
            "
configuration: acme.yaml
orgs:
  - org: free
    moved_from: Paid
    members: [{user: ann, roles: [Owner]}, {user: bea, roles: [Admin]}, {user: cid, roles: [Member]}]
  - org: paid
    role_mapping: Paid
    members: [{user: dan, roles: [Member, {role: Admin, for: 1h}]}]
blocked: [cid]
tests:
  - {org: free, user: ann, permission: docs::write, expect: ALLOWED}
  - {org: free, user: ann, at_least: Member, expect: ALLOWED}
  - {org: free, user: bea, permission: docs::write, expect: ROLE_DISABLED}
  - {org: free, user: bea, role: Admin, expect: ROLE_DISABLED}
  - {org: free, user: cid, permission: docs::read, expect: USER_BLOCKED}
  - {org: free, user: dan, permission: docs::read, expect: NOT_A_MEMBER}
  - {org: none, user: dan, permission: docs::read, expect: ORG_NOT_FOUND}
  - {org: paid, user: dan, permission: docs::write, expect: ALLOWED}
  - {org: paid, user: dan, permission: docs::write, after: 2h, expect: ROLE_EXPIRED}
  - {org: paid, user: dan, permission: docs::read, after: 59m, expect: MISSING_PERMISSION}
  - {org: paid, user: dan, permission: docs::fly, expect: UNKNOWN_PERMISSION}
  - {org: paid, user: dan, role: Boss, expect: UNKNOWN_ROLE}
  - {org: paid, user: dan, role: Owner, expect: ALLOWED}
",
        )
        .unwrap();
        let tested = tested(&state, "acme", &policy).unwrap();
        assert_eq!(tested.tests, 13);
        let wrong: Vec<_> = tested.failures.iter().map(|it| (it.question.as_str(), it.is)).collect();
        assert_eq!(wrong, [("role Owner", Expected::MissingPermission)]);
        let text = anstream::adapter::strip_str(&tested.text()).to_string();
        assert!(text.contains("role Owner") && text.ends_with("1 of 13 tests failed\n"), "{text}");
    }

    #[test]
    fn what_is_given_follows_the_rules() {
        let document = Document::from_yaml(DOCUMENT).unwrap();
        let request = convert::request(&document, Options { prune: true, ..Options::default() }).unwrap();
        let state = local::created(&document, &request, &Limits::default()).unwrap().state;
        for (org, expected) in [
            ("{org: free, members: [{user: bea, roles: [Admin]}]}", "disabled in role mapping `Free`"),
            ("{org: free, role_mapping: Gold}", "`Gold` does not exist"),
            ("{org: 'a b'}", "orgs[0].org"),
        ] {
            let policy = PolicyTest::from_yaml(&format!("configuration: a\norgs: [{org}]\ntests: []\n")).unwrap();
            let trouble = tested(&state, "acme", &policy).err().unwrap();
            assert!(trouble.what.contains(expected), "{trouble:?}");
        }
    }
}
