//! A small world, told in lines of text, one command a line:
//!
//! ```text
//! project shop MULTI
//! permission billing.view, billing.pay
//! role Billing Manager above Member, off in Free, Trial
//! mapping Paid like Free for acme, globex: on Billing Manager; Member +billing.view -billing.pay
//! edit Paid: off Billing Manager
//! promote Paid
//! org acme on Paid
//! subscribe acme to Free            (`to default` for the default mapping)
//! add ann to acme: Owner, Admin until 60
//! set ann in acme: Member lasting
//! remove ann from acme
//! write: add ann to acme | remove bob from globex: …
//! ```
//!
//! Times are seconds. A line acts in the project named last; at the start that is `default`, a SINGLE_ROLE project.

use rolecall::domain::command::*;
use rolecall::domain::decide::Outcome;
use rolecall::domain::group::{Known, Verdict, Work, decide_group};
use rolecall::domain::project::{Environment, RoleStructure};
use rolecall::domain::{
    Decision, OrgId, PermissionName, ProjectKey, Reason, Refusal, RoleMappingName, RoleName, State, Time, UserId,
};
use rolecall::limits::Limits;

use crate::histories::call;
use crate::model::Answer;
use crate::seen::{answered, check};
use crate::strategies::empty_state;

pub struct World {
    pub state: State,
    pub limits: Limits,
    pub now: Time,
    /// The key of the project in which lines act.
    pub project: String,
}

/// A world with the project `default` in which these lines happened.
pub fn world(lines: &str) -> World {
    let mut world = World { state: empty_state(), limits: Limits::default(), now: Time(0), project: String::new() };
    world.run("project default SINGLE");
    world.run(lines);
    world
}

pub fn seconds(seconds: i64) -> Time {
    Time::default().plus_seconds(seconds)
}

impl World {
    /// Every line must be accepted.
    pub fn run(&mut self, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let command = self.command(line);
            if let Err(refusal) = self.decide(&command) {
                panic!("`{line}` is refused: {refusal}");
            }
        }
    }

    /// The answer to a line that must be accepted.
    pub fn answer(&mut self, line: &str) -> Answer {
        let command = self.command(line);
        self.decide(&command).map(|outcome| answered(&outcome)).unwrap_or_else(|refusal| panic!("`{line}`: {refusal}"))
    }

    /// The line must be refused, for this reason, and change nothing.
    #[track_caller]
    pub fn refused(&mut self, line: &str, reason: Reason) -> Refusal {
        let command = self.command(line);
        let before = self.state.clone();
        match self.decide(&command) {
            Ok(_) => panic!("`{line}` is accepted"),
            Err(refusal) => {
                assert_eq!(refusal.reason(), reason, "`{line}`: {refusal}");
                assert!(self.state == before, "`{line}` is refused and changes something");
                refusal
            }
        }
    }

    /// The line must be accepted, change nothing, and take no revision.
    #[track_caller]
    pub fn idle(&mut self, line: &str) {
        let before = self.state.clone();
        self.run(line);
        assert!(self.state == before, "`{line}` changes something");
    }

    #[track_caller]
    pub fn check(&self, user: &str, org: &str, permission: &str, decision: Decision) {
        let found = check(&self.state, &self.project, org, user, permission, self.now);
        assert_eq!(found, decision, "{user} {org} {permission}");
    }

    pub fn at(&mut self, time: i64) -> &mut Self {
        self.now = seconds(time);
        self
    }

    /// From the highest to the lowest.
    pub fn roles(&self) -> Vec<String> {
        let project = self.state.project_keyed(&self.project).expect("the project is there");
        project.role_order.iter().map(|&role| project.role_name(role).to_string()).collect()
    }

    pub fn decide(&mut self, command: &Command) -> Result<Outcome, Refusal> {
        let work = Work { command: command.clone(), call: call(), tag: 1 };
        let group = decide_group(self.state.clone(), &[work], &Known::new(), self.now, &self.limits);
        self.state = group.next;
        match group.verdicts.into_iter().next() {
            Some(Verdict::Done { outcome, .. }) => Ok(outcome),
            Some(Verdict::Refused(refusal)) => Err(refusal),
            _ => panic!("nothing is known of the past"),
        }
    }

    pub fn command(&mut self, line: &str) -> Command {
        let line = line.trim();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        if verb == "project" {
            let (key, structure) = rest.split_once(' ').expect("project KEY SINGLE|MULTI");
            self.project = key.to_string();
            let multi = structure == "MULTI";
            return Command::CreateProject(CreateProject {
                key: ProjectKey::parse(key).expect("a key"),
                display_name: key.into(),
                environment: Environment::Live,
                role_structure: if multi { RoleStructure::MultiRole } else { RoleStructure::SingleRole },
            });
        }
        let project = ProjectKey::stored(self.project.as_str());
        match verb {
            "permission" => {
                let new = |name| NewPermission { name: permission(name), description: String::new() };
                let permissions: Vec<_> = list(rest).map(new).collect();
                Command::CreatePermissions(CreatePermissions { project, batch: permissions.len() > 1, permissions })
            }
            "role" => {
                let (rest, off) = rest.split_once(", off in ").unwrap_or((rest, ""));
                let above = rest.split_once(" above ").map(|(name, other)| (name, Place::Above(role(other))));
                let below = || rest.split_once(" below ").map(|(name, other)| (name, Place::Below(role(other))));
                let (name, place) = above.or_else(below).unwrap_or((rest, Place::Last));
                Command::CreateRole(CreateRole {
                    project,
                    name: role(name),
                    description: String::new(),
                    internal: false,
                    place,
                    disabled_in: list(off).map(mapping).collect(),
                })
            }
            "mapping" => {
                let (rest, edits) = rest.split_once(": ").unwrap_or((rest, ""));
                let (rest, orgs) = rest.split_once(" for ").unwrap_or((rest, ""));
                let (name, original) = rest.split_once(" like ").unwrap_or((rest, ""));
                Command::CreateRoleMapping(CreateRoleMapping {
                    project,
                    name: mapping(name),
                    description: String::new(),
                    duplicate_of: list(original).map(mapping).next(),
                    edits: mapping_edits(edits),
                    subscribe: list(orgs).map(org).collect(),
                })
            }
            "edit" => {
                let (name, edits) = rest.split_once(": ").expect("edit MAPPING: EDITS");
                let (name, edits) = (mapping(name), mapping_edits(edits));
                Command::UpdateRoleMapping(UpdateRoleMapping { project, name, edits })
            }
            "promote" => Command::PromoteRoleMapping(PromoteRoleMapping { project, name: mapping(rest) }),
            "org" => {
                let (id, on) = rest.split_once(" on ").unwrap_or((rest, ""));
                Command::CreateOrg(CreateOrg {
                    project,
                    org_id: org(id),
                    display_name: String::new(),
                    metadata: String::new(),
                    role_mapping: list(on).map(mapping).next(),
                })
            }
            "subscribe" => {
                let (id, to) = rest.split_once(" to ").expect("subscribe ORG to MAPPING");
                let to = if to == "default" { SubscribeTo::Default } else { SubscribeTo::RoleMapping(mapping(to)) };
                Command::SubscribeOrg(SubscribeOrg { project, org_id: org(id), to })
            }
            "write:" => {
                let rows = rest.split('|').map(|row| member_write(row.trim())).collect();
                Command::BatchWriteMembers(BatchWriteMembers { project, rows })
            }
            _ => Command::WriteMember(WriteMember { project, row: member_write(line) }),
        }
    }
}

fn member_write(line: &str) -> MemberWrite {
    let (line, roles) = line.split_once(": ").unwrap_or((line, ""));
    let words: Vec<&str> = line.split(' ').collect();
    let [verb, user, _, id] = words[..] else { panic!("`{line}` is no line of the fixture") };
    let given = list(roles).map(given_role).collect();
    let write = match verb {
        "add" => Write::Add(given),
        "set" => Write::Set(given),
        "remove" => Write::Remove,
        _ => panic!("`{verb}` is no verb of the fixture"),
    };
    MemberWrite { org_id: org(id), user_id: UserId::parse(user).expect("a user id"), write }
}

fn given_role(text: &str) -> GivenRole {
    let (text, until) = text.split_once(" until ").unwrap_or((text, ""));
    let (name, permanent) = text.strip_suffix(" lasting").map_or((text, false), |name| (name, true));
    let until = (!until.is_empty()).then(|| seconds(until.parse().expect("seconds")));
    GivenRole { role: role(name), until, permanent }
}

/// `on ROLE`, `off ROLE`, or `ROLE +permission -permission`, parted by semicolons.
fn mapping_edits(text: &str) -> RoleMappingEdits {
    let mut edits = RoleMappingEdits::default();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        if let Some(name) = part.strip_prefix("on ") {
            edits.enable.push(role(name));
        } else if let Some(name) = part.strip_prefix("off ") {
            edits.disable.push(role(name));
        } else {
            let is_sign = |word: &&str| word.starts_with(['+', '-']);
            let names: Vec<&str> = part.split(' ').filter(|word| !is_sign(word)).collect();
            let signed =
                |sign| part.split(' ').filter_map(move |word| word.strip_prefix(sign)).map(permission).collect();
            edits.grants.push(GrantEdit { role: role(&names.join(" ")), add: signed('+'), remove: signed('-') });
        }
    }
    edits
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(", ").map(str::trim).filter(|item| !item.is_empty())
}

fn role(name: &str) -> RoleName {
    RoleName::parse(name).expect("a role's name")
}

fn mapping(name: &str) -> RoleMappingName {
    RoleMappingName::parse(name).expect("a mapping's name")
}

fn permission(name: &str) -> PermissionName {
    PermissionName::parse(name).expect("a permission's name")
}

fn org(id: &str) -> OrgId {
    OrgId::parse(id).expect("an org's id")
}
