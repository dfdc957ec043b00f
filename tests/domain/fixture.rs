//! A small world, told in lines of text, one command a line:
//!
//! ```text
//! project shop MULTI
//! update project: name The Shop; default Admin; owner Boss
//! delete project shop               (says the key twice; `… shop as SHOP` says another)
//! permission billing.view, billing.pay
//! update permission billing.view: name billing.see; text Sees the bills; aliases billing.look, billing.view
//! delete permission billing.pay
//! role Billing Manager above Member, off in Free, Trial
//! internal role Support             (`update role` has also `internal` and `visible`)
//! update role Admin: name Boss; aliases
//! order Owner, Member, *            (`*`: all others)
//! delete role Boss for Member       (or without `for …`)
//! mapping Paid like Free for acme, globex: on Billing Manager; Member +billing.view -billing.pay
//! edit Paid: off Billing Manager
//! update mapping Paid: name Gold
//! promote Paid
//! delete mapping Paid to Free       (or without `to …`)
//! org acme on Paid by ann
//! update org acme: name Acme, Inc.; text {}
//! delete org acme
//! subscribe acme to Free            (`to default` for the default mapping; `acme, globex` for several)
//! add ann to acme: Owner, Admin until 60
//! set ann in acme: Member permanent
//! remove ann from acme
//! write: add ann to acme | remove bob from globex: …
//! role Lead above Member; manages Member, Lead   (`update role` has also `manages`)
//! convert MULTI
//! convert SINGLE: Owner, *
//! ```
//!
//! Prefixes before a line: `suspending`, `suspending:Member` with a fallback role and `remapping:Admin=Member,*=Billing_Manager`
//! (M7; `*` for all others, `_` for a project_model), `as:ann` on behalf of an acting user, `digest:…` (R9), `ownerless` (B3), `anew`
//! (an id or key once deleted), `forced` (P6), and `etag:…` (M9).
//!
//! Times are seconds. A line acts in the project named last; at the start that is `default`, a SINGLE_ROLE project.

use std::sync::Arc;

use rolecall::domain::Outcome;
use rolecall::domain::commands::command::*;
use rolecall::domain::commands::group::{Known, Verdict, Work, decide_group};
use rolecall::domain::impact::report::Impact;
use rolecall::domain::model::membership::Origin;
use rolecall::domain::model::project::{Environment, RoleStructure};
use rolecall::domain::rules::visibility::Visibility;
use rolecall::domain::{
    Call, Decision, OrgId, PermissionName, Project, ProjectKey, Question, Reason, Refusal, RoleMappingName, RoleName,
    State, Time, UserId,
};
use rolecall::limits::Limits;

use crate::history_runner::{HistoryRunner, call};
use crate::model::{Answer, Model, ProjectModel};
use crate::placeholders::ALL_OTHERS;
use crate::random_history::empty_state;
use crate::state_to_model::{answer_of, check, model_of};

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
            if let Err(refusal) = self.decide_line(line) {
                panic!("`{line}` is refused: {refusal}");
            }
        }
    }

    /// The answer to a line that must be accepted.
    pub fn answer(&mut self, line: &str) -> Answer {
        self.decide_line(line)
            .map(|(outcome, _)| answer_of(&outcome))
            .unwrap_or_else(|refusal| panic!("`{line}`: {refusal}"))
    }

    /// What a line that must be accepted does to those whom it touches.
    pub fn impact(&mut self, line: &str) -> Impact {
        self.decide_line(line).map(|(_, impact)| impact).unwrap_or_else(|refusal| panic!("`{line}`: {refusal}"))
    }

    /// What it would do; nothing happens.
    pub fn preview(&mut self, line: &str) -> Impact {
        let before = self.state.clone();
        let impact = self.impact(line);
        self.state = before;
        impact
    }

    /// The line must be refused, for this reason, and change nothing.
    #[track_caller]
    pub fn refused(&mut self, line: &str, reason: Reason) -> Refusal {
        let before = self.state.clone();
        match self.decide_line(line) {
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
    pub fn unchanged(&mut self, line: &str) {
        let before = self.state.clone();
        self.run(line);
        assert!(self.state == before, "`{line}` changes something");
    }

    #[track_caller]
    pub fn check(&self, user: &str, org: &str, permission: &str, decision: Decision) {
        self.ask(user, org, Question::Permission(permission), decision);
    }

    #[track_caller]
    pub fn ask(&self, user: &str, org: &str, question: Question<'_>, decision: Decision) {
        let found = check(&self.state, &self.project, org, user, question, self.now);
        assert_eq!(found, decision, "{user} {org} {question:?}");
    }

    /// The roles of a member, their ends, and by what they came; none, if the user is no member.
    pub fn roles_and_origins(&self, org: &str, user: &str) -> Option<Vec<(String, Option<Time>, Origin)>> {
        let model = self.model();
        let member = model.projects[&self.project].orgs[org].members.get(user)?;
        Some(member.roles.iter().map(|(role, given)| (role.clone(), given.expire_time, given.origin)).collect())
    }

    /// The same without what they came by.
    pub fn member(&self, org: &str, user: &str) -> Option<Vec<(String, Option<Time>)>> {
        Some(self.roles_and_origins(org, user)?.into_iter().map(|(role, expire_time, _)| (role, expire_time)).collect())
    }

    /// How a member stands, from the highest role to the lowest: `Admin suspended (Member), Guest live until 60`, the role
    /// that stands in between brackets; empty for no member.
    pub fn role_states(&self, org: &str, user: &str) -> String {
        let project = self.project();
        let (org, user) = (project.org(org).expect("an org"), UserId::stored(user));
        let Some(record) = project.membership(org, &user) else { return String::new() };
        let shown = project.member(org, &user, &record, Visibility::All, self.now).roles.into_iter().map(|role| {
            let expire_time = role
                .expire_time
                .map_or(String::new(), |expire_time| format!(" until {}", expire_time.0 / seconds(1).0));
            let fallback_role = role.fallback_role.map_or(String::new(), |fallback_role| format!(" ({fallback_role})"));
            format!("{} {}{fallback_role}{expire_time}", role.role, format!("{:?}", role.state).to_lowercase())
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// All that can be seen; nobody else is ever a member.
    pub fn model(&self) -> Model {
        model_of(&self.state, &["ann", "bob", "cid", "dan", "eve"])
    }

    /// What can be seen of the project in which lines act.
    pub fn project_model(&self) -> ProjectModel {
        self.model().projects[&self.project].clone()
    }

    pub fn project(&self) -> &Project {
        self.state.project_keyed(&self.project).expect("the project is there")
    }

    pub fn at(&mut self, time: i64) -> &mut Self {
        self.now = seconds(time);
        self
    }

    /// From the highest to the lowest.
    pub fn roles(&self) -> Vec<String> {
        let project = self.project();
        project.role_order.iter().map(|&role| project.role_name(role).to_string()).collect()
    }

    /// Purges what is dead, so many memberships at a time, until nothing is. Returns how many commands it took.
    pub fn purge_all(&mut self, rows: usize) -> usize {
        let mut runner = HistoryRunner { state: self.state.clone(), clock: self.now, limits: self.limits };
        let commits = runner.purge(rows, 1_000);
        self.state = runner.state;
        commits.len()
    }

    pub fn decide(&mut self, command: &Command) -> Result<Outcome, Refusal> {
        self.decide_called(command, call()).map(|(outcome, _)| outcome)
    }

    fn decide_line(&mut self, line: &str) -> Result<(Outcome, Impact), Refusal> {
        let (command, call) = self.command_and_call(line);
        self.decide_called(&command, call)
    }

    fn decide_called(&mut self, command: &Command, call: Call) -> Result<(Outcome, Impact), Refusal> {
        let work = Work { command: command.clone(), call, tag: 1 };
        let group = decide_group(self.state.clone(), &[work], &Known::new(), self.now, &self.limits);
        self.state = group.next;
        match group.verdicts.into_iter().next() {
            Some(Verdict::Done { outcome, impact, .. }) => Ok((outcome, Impact::clone(&impact))),
            Some(Verdict::Refused(refusal)) => Err(refusal),
            _ => panic!("nothing is known of the past"),
        }
    }

    pub fn command(&mut self, line: &str) -> Command {
        self.command_and_call(line).0
    }

    /// A command, and how it is called.
    pub fn command_and_call(&mut self, line: &str) -> (Command, Call) {
        let mut prefixes = Prefixes::default();
        let mut line = line.trim();
        while let Some((word, rest)) = line.split_once(' ') {
            match word {
                "suspending" => prefixes.on_disabled = OnDisabled::Suspend { fallback_role: None },
                _ if word.starts_with("suspending:") => {
                    prefixes.on_disabled = OnDisabled::Suspend { fallback_role: Some(joined(&word[11..])) };
                }
                _ if word.starts_with("remapping:") => prefixes.on_disabled = remap(&word[10..]),
                _ if word.starts_with("as:") => prefixes.acting_user = Some(user(&word[3..])),
                _ if word.starts_with("digest:") => prefixes.digest = Some(word[7..].into()),
                "ownerless" => prefixes.ownerless = true,
                "anew" => prefixes.anew = true,
                "forced" => prefixes.forced = true,
                "internal" => prefixes.internal = true,
                _ if word.starts_with("etag:") => prefixes.etag = Some(word[5..].into()),
                _ => break,
            }
            line = rest;
        }
        let command = self.plain(line, &prefixes);
        let call = Call { acting_user: prefixes.acting_user, impact_digest: prefixes.digest, ..call() };
        (crate::placeholders::fill(&self.state, &command), call)
    }

    fn plain(&mut self, line: &str, prefixes: &Prefixes) -> Command {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let project = ProjectKey::stored(self.project.as_str());
        match verb {
            "project" => self.create_project(rest, prefixes.anew),
            "update" => update(project, rest, prefixes),
            "delete" => delete(project, rest, prefixes),
            "order" => {
                let roles =
                    list(rest).map(|name| if name == ALL_OTHERS { RoleName::stored(ALL_OTHERS) } else { role(name) });
                Command::ReorderRoles(ReorderRoles { project, roles: roles.collect(), etag: prefixes.etag.clone() })
            }
            "permission" => {
                let new = |name| NewPermission { name: permission(name), description: String::new() };
                let permissions: Vec<_> = list(rest).map(new).collect();
                Command::CreatePermissions(CreatePermissions { project, batch: permissions.len() > 1, permissions })
            }
            "role" => {
                let (rest, manages) = rest.split_once("; manages ").unwrap_or((rest, ""));
                let (rest, off) = rest.split_once(", off in ").unwrap_or((rest, ""));
                let above = rest.split_once(" above ").map(|(name, other)| (name, Place::Above(role(other))));
                let below = || rest.split_once(" below ").map(|(name, other)| (name, Place::Below(role(other))));
                let (name, place) = above.or_else(below).unwrap_or((rest, Place::Last));
                Command::CreateRole(CreateRole {
                    project,
                    name: role(name),
                    description: String::new(),
                    internal: prefixes.internal,
                    place,
                    disabled_in: list(off).map(mapping).collect(),
                    manages: list(manages).map(role).collect(),
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
                    on_disabled: prefixes.on_disabled.clone(),
                })
            }
            "edit" => {
                let (name, edits) = rest.split_once(": ").expect("edit MAPPING: EDITS");
                update_mapping(project, name, Said::default(), mapping_edits(edits), prefixes)
            }
            "convert" => {
                let (to, order) = rest.split_once(": ").unwrap_or((rest, ""));
                let order =
                    list(order).map(|name| if name == ALL_OTHERS { RoleName::stored(ALL_OTHERS) } else { role(name) });
                Command::ConvertRoleStructure(ConvertRoleStructure {
                    project,
                    etag: prefixes.etag.clone(),
                    to: if to == "MULTI" { RoleStructure::MultiRole } else { RoleStructure::SingleRole },
                    order: order.collect(),
                    allow_ownerless: prefixes.ownerless,
                })
            }
            "promote" => Command::PromoteRoleMapping(PromoteRoleMapping { project, name: mapping(rest) }),
            "org" => {
                let (rest, creator) = rest.split_once(" by ").unwrap_or((rest, ""));
                let (id, on) = rest.split_once(" on ").unwrap_or((rest, ""));
                Command::CreateOrg(CreateOrg {
                    project,
                    org_id: org(id),
                    display_name: String::new(),
                    metadata: String::new(),
                    role_mapping: list(on).map(mapping).next(),
                    creator: list(creator).map(user).next(),
                    reuse_deleted_id: prefixes.anew,
                })
            }
            "subscribe" => {
                let (ids, to) = rest.split_once(" to ").expect("subscribe ORG to MAPPING");
                let to = if to == "default" { SubscribeTo::Default } else { SubscribeTo::RoleMapping(mapping(to)) };
                let (mut org_ids, on_disabled): (Vec<_>, _) =
                    (list(ids).map(org).collect(), prefixes.on_disabled.clone());
                if org_ids.len() == 1 {
                    let org_id = org_ids.remove(0);
                    return Command::SubscribeOrg(SubscribeOrg { project, org_id, to, on_disabled });
                }
                Command::BatchSubscribeOrgs(BatchSubscribeOrgs { project, org_ids, to, on_disabled })
            }
            "write:" => {
                let rows = rest.split('|').map(|row| member_write(row.trim())).collect();
                Command::BatchWriteMembers(BatchWriteMembers { project, rows, allow_ownerless: prefixes.ownerless })
            }
            _ => {
                let row = member_write(line);
                Command::WriteMember(WriteMember { project, row, allow_ownerless: prefixes.ownerless })
            }
        }
    }

    fn create_project(&mut self, rest: &str, reuse_deleted_key: bool) -> Command {
        let (key, structure) = rest.split_once(' ').expect("project KEY SINGLE|MULTI");
        self.project = key.to_string();
        let multi = structure == "MULTI";
        Command::CreateProject(CreateProject {
            key: ProjectKey::parse(key).expect("a key"),
            display_name: key.into(),
            environment: Environment::Live,
            role_structure: if multi { RoleStructure::MultiRole } else { RoleStructure::SingleRole },
            reuse_deleted_key,
        })
    }
}

/// What stands before a line.
#[derive(Default)]
struct Prefixes {
    on_disabled: OnDisabled,
    ownerless: bool,
    anew: bool,
    forced: bool,
    internal: bool,
    etag: Option<String>,
    acting_user: Option<UserId>,
    digest: Option<Arc<str>>,
}

/// A role whose spaces are written `_`.
fn joined(text: &str) -> RoleName {
    role(&text.replace('_', " "))
}

/// `Admin=Member,Guest=Member,*=Owner`: `*` for all others.
fn remap(text: &str) -> OnDisabled {
    let (mut replacements, mut default_replacement) = (Vec::new(), None);
    for entry in text.split(',').filter(|entry| !entry.is_empty()) {
        let (from, to) = entry.split_once('=').expect("ROLE=ROLE");
        match from {
            "*" => default_replacement = Some(joined(to)),
            from => replacements.push((joined(from), joined(to))),
        }
    }
    OnDisabled::Remap { replacements, default_replacement }
}

/// What an update says, each thing in a part of its own: `name Boss; aliases Admin, Chief; internal`.
#[derive(Default)]
struct Said<'a> {
    name: Option<&'a str>,
    text: Option<&'a str>,
    aliases: Option<&'a str>,
    default: Option<&'a str>,
    owner: Option<&'a str>,
    internal: Option<bool>,
    manages: Option<&'a str>,
}

impl<'a> Said<'a> {
    fn read(text: &'a str) -> Self {
        let mut said = Self::default();
        for part in text.split(';').map(str::trim) {
            let (what, value) = part.split_once(' ').unwrap_or((part, ""));
            match what {
                "name" => said.name = Some(value),
                "text" => said.text = Some(value),
                "aliases" => said.aliases = Some(value),
                "default" => said.default = Some(value),
                "owner" => said.owner = Some(value),
                "manages" => said.manages = Some(value),
                "internal" => said.internal = Some(true),
                "visible" => said.internal = Some(false),
                _ => panic!("`{part}` is nothing that an update of the fixture says"),
            }
        }
        said
    }

    fn text(&self) -> Option<String> {
        self.text.map(str::to_string)
    }

    fn aliases<N>(&self, parse: fn(&str) -> N) -> Option<Vec<N>> {
        self.aliases.map(|names| list(names).map(parse).collect())
    }
}

/// `NOUN NAME: WHAT IT SAYS`
fn update(project: ProjectKey, rest: &str, prefixes: &Prefixes) -> Command {
    let (thing, said) = rest.split_once(": ").expect("update NOUN NAME: …");
    let (noun, name) = thing.split_once(' ').unwrap_or((thing, ""));
    let said = Said::read(said);
    let etag = prefixes.etag.clone();
    match noun {
        "project" => Command::UpdateProject(UpdateProject {
            project,
            etag,
            display_name: said.name.map(str::to_string),
            default_role: said.default.map(role),
            default_owner_role: said.owner.map(role),
            allow_ownerless: prefixes.ownerless,
        }),
        "permission" => Command::UpdatePermission(UpdatePermission {
            project,
            name: permission(name),
            new_name: said.name.map(permission),
            description: said.text(),
            aliases: said.aliases(permission),
        }),
        "role" => Command::UpdateRole(UpdateRole {
            project,
            name: role(name),
            etag,
            new_name: said.name.map(role),
            description: said.text(),
            internal: said.internal,
            aliases: said.aliases(role),
            manages: said.manages.map(|names| list(names).map(role).collect()),
        }),
        "mapping" => update_mapping(project, name, said, RoleMappingEdits::default(), prefixes),
        "org" => Command::UpdateOrg(UpdateOrg {
            project,
            org_id: org(name),
            display_name: said.name.map(str::to_string),
            metadata: said.text(),
        }),
        _ => panic!("`{noun}` is no noun of the fixture"),
    }
}

fn update_mapping(
    project: ProjectKey,
    name: &str,
    said: Said<'_>,
    edits: RoleMappingEdits,
    prefixes: &Prefixes,
) -> Command {
    Command::UpdateRoleMapping(UpdateRoleMapping {
        project,
        name: mapping(name),
        etag: prefixes.etag.clone(),
        new_name: said.name.map(mapping),
        description: said.text(),
        aliases: said.aliases(mapping),
        edits,
        on_disabled: prefixes.on_disabled.clone(),
    })
}

/// `NOUN NAME`, and what comes in its place.
fn delete(project: ProjectKey, rest: &str, prefixes: &Prefixes) -> Command {
    let (noun, name) = rest.split_once(' ').expect("delete NOUN NAME");
    let etag = prefixes.etag.clone();
    match noun {
        "project" => {
            let (key, confirm) = name.split_once(" as ").unwrap_or((name, name));
            let (project, confirm) = (ProjectKey::stored(key), confirm.to_string());
            Command::DeleteProject(DeleteProject { project, etag, confirm, force: prefixes.forced })
        }
        "permission" => Command::DeletePermission(DeletePermission { project, name: permission(name) }),
        "role" => {
            let (name, replacement) = name.split_once(" for ").unwrap_or((name, ""));
            let replacement = list(replacement).map(role).next();
            Command::DeleteRole(DeleteRole { project, name: role(name), etag, replacement })
        }
        "mapping" => {
            let (name, to) = name.split_once(" to ").unwrap_or((name, ""));
            Command::DeleteRoleMapping(DeleteRoleMapping {
                project,
                name: mapping(name),
                etag,
                move_subscribers_to: list(to).map(mapping).next(),
                on_disabled: prefixes.on_disabled.clone(),
            })
        }
        "org" => Command::DeleteOrg(DeleteOrg { project, org_id: org(name) }),
        _ => panic!("`{noun}` is no noun of the fixture"),
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
    MemberWrite { org_id: org(id), user_id: self::user(user), write }
}

fn given_role(text: &str) -> RoleAssignment {
    let (text, expire_time) = text.split_once(" until ").unwrap_or((text, ""));
    let (name, permanent) = text.strip_suffix(" permanent").map_or((text, false), |name| (name, true));
    let expire_time = (!expire_time.is_empty()).then(|| seconds(expire_time.parse().expect("seconds")));
    RoleAssignment { role: role(name), expire_time, permanent }
}

/// `on ROLE`, `off ROLE`, or `ROLE +permission -permission`, diverged by semicolons.
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

fn user(id: &str) -> UserId {
    UserId::parse(id).expect("a user's id")
}

fn org(id: &str) -> OrgId {
    OrgId::parse(id).expect("an org's id")
}
