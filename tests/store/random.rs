//! Long random histories of commands over few names, in groups of every size, so that they interact: names are given up and
//! taken, objects are deleted while others refer to them.

use std::collections::BTreeMap;

use rolecall::domain::commands::command::{
    AcceptInvitation, CreateInvitations, NewInvitation, OnDisabled, Place, RevokeInvitation, RoleMappingEdits, Write,
};
use rolecall::domain::model::email::EmailAddress;
use rolecall::domain::model::id::RoleId;
use rolecall::domain::model::invitation::InvitationId;
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::{Command, OrgId};
use rolecall::grpc::configuration;
use rolecall::limits::Limits;
use rolecall::wire::change::noun;

use crate::agreement::{agrees, shows_members, shows_members_at, undoes};
use crate::desk::{
    Desk, answering, block_user, convert, create_mapping, create_org, create_permissions, create_project, create_role,
    delete_mapping, delete_org, delete_permission, delete_project, delete_role, delete_user, given, grant, key, manage,
    promote, provision, remap, rename_mapping, rename_permission, rename_role, reorder_roles, role, set_domains,
    subscribe, suspend, unblock_user, update_mapping, update_project, user, write_member,
};
use crate::on_both;
use crate::random_configuration::{Names, random_request};
use crate::support::TestDatabase;

on_both! {
    random_histories_are_stored_as_they_were_decided
}

const PROJECTS: [&str; 2] = ["shop", "forum"];
const ROLES: [&str; 7] = ["Owner", "Admin", "Member", "Guest", "GUEST", "Staff", "Staff two"];
const PERMISSIONS: [&str; 5] = ["a", "b", "c", "d", "rolecall::can_invite"];
const MAPPINGS: [&str; 4] = ["Default", "Paid", "paid", "Free"];
const ORGS: [&str; 4] = ["acme", "globex", "made-by-somebody", "initech"];
const EMAILS: [&str; 4] = ["a@a.example", "b@a.example", "c@a.example", "d@a.example"];
const USERS: [&str; 6] = ["ann", "bob", "cid", "dan", "eve", "creator"];

/// Groups per history, and the seeds of the histories.
const GROUPS: usize = 160;
const SEEDS: [u64; 3] = [3, 77, 2_026];

async fn random_histories_are_stored_as_they_were_decided(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let mut accepted: BTreeMap<String, usize> = BTreeMap::new();
    let mut changed = [0; 16];
    for seed in SEEDS {
        let mut dice = Dice(seed);
        // The State of a server that is behind the database.
        let mut earlier = desk.state.clone();
        for group in 0..GROUPS {
            let commands: Vec<Command> = (0..dice.below(20) + 1).map(|_| dice.command(&desk)).collect();
            for commit in desk.try_write(commands).await {
                *accepted.entry(commit.kind.to_string()).or_default() += 1;
                for change in &commit.changes {
                    changed[usize::from(noun(change).unsigned_abs())] += 1;
                }
            }
            desk.now = desk.now.plus_seconds(dice.below(40) as i64);
            if dice.below(6) == 0 {
                desk.purge(dice.below(4) as u32 + 1).await;
            }
            if group % 10 == 0 {
                agrees(&desk).await;
                shows_members(&desk, &USERS).await;
            }
            if group % 5 == 3 {
                shows_members_at(&desk, &earlier, &USERS).await;
            }
            if group % 3 == 0 {
                earlier = desk.state.clone();
            }
        }
    }
    agrees(&desk).await;
    desk.purge(100).await;
    agrees(&desk).await;
    shows_members(&desk, &USERS).await;
    undoes(&desk).await;
    // A history in which nearly all commands are refused proves little.
    let rare: Vec<_> = accepted.iter().filter(|(_, count)| **count < 5).collect();
    assert!(changed[1..].iter().all(|count| *count >= 10), "hardly ever changed: {changed:?}");
    let configured = accepted.get("ApplyConfiguration").is_some_and(|&count| count >= 20);
    assert!(accepted.len() >= 22 && rare.is_empty() && configured, "hardly ever accepted: {rare:?} of {accepted:?}");
}

/// The existing names of a project.
struct Present {
    roles: Vec<String>,
    permissions: Vec<String>,
    mappings: Vec<String>,
    orgs: Vec<String>,
}

impl Present {
    fn of(desk: &Desk, project_key: &str) -> Self {
        let mut names = Self { roles: vec![], permissions: vec![], mappings: vec![], orgs: vec![] };
        let Some(project) = desk.state.project(&key(project_key)) else { return names };
        names.roles.extend(project.role_order.iter().map(|&id| project.role_name(id).to_string()));
        let own = project.permissions.entries().filter(|(_, permission)| !permission.built_in);
        names.permissions.extend(own.map(|(_, permission)| permission.name.to_string()));
        names.mappings.extend(project.role_mappings.entries().map(|(_, mapping)| mapping.record.name.to_string()));
        project.for_each_org(|org| names.orgs.push(org.record.profile.org_id.to_string()));
        names.orgs.sort_unstable();
        names
    }
}

/// Random numbers from a seed: Marsaglia's xorshift.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn of<'a>(&mut self, names: &[&'a str]) -> &'a str {
        names[self.below(names.len())]
    }

    fn maybe<'a>(&mut self, names: &[&'a str]) -> Option<&'a str> {
        (self.below(2) == 0).then(|| self.of(names))
    }

    fn some<'a>(&mut self, names: &[&'a str], max: usize) -> Vec<&'a str> {
        let mut chosen: Vec<&str> = (0..self.below(max + 1)).map(|_| self.of(names)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    /// Returns mostly an existing name.
    fn one_of(&mut self, present: &[String], names: &[&str]) -> String {
        if present.is_empty() || self.below(8) == 0 {
            return self.of(names).into();
        }
        present[self.below(present.len())].clone()
    }

    fn edits(&mut self, present: &Present) -> RoleMappingEdits {
        let add = self.some(&PERMISSIONS, 3);
        let known = |name: &&str| present.permissions.iter().any(|known| known == name) || name.contains("::");
        let add: Vec<&str> = add.into_iter().filter(known).collect();
        let remove = self.some(&PERMISSIONS, 2).into_iter().filter(known);
        let remove: Vec<&str> = remove.filter(|permission| !add.contains(permission)).collect();
        let grants = vec![grant(&self.one_of(&present.roles, &ROLES), &add, &remove)];
        let (mut enable, mut disable) = (Vec::new(), Vec::new());
        match self.below(3) {
            0 => enable.push(role(&self.one_of(&present.roles, &ROLES))),
            1 => disable.push(role(&self.one_of(&present.roles, &ROLES))),
            _ => {}
        }
        RoleMappingEdits { grants, enable, disable }
    }

    fn write(&mut self, desk: &Desk, present: &Present) -> Write {
        let mut roles: Vec<String> = (0..self.below(3)).map(|_| self.one_of(&present.roles, &ROLES)).collect();
        roles.sort_unstable();
        roles.dedup();
        for name in &mut roles {
            if self.below(3) == 0 {
                *name = format!("{name} for {}", 5 + self.below(300));
            }
        }
        let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
        let roles = given(&roles, desk.now);
        match self.below(5) {
            0 => Write::Remove,
            1 | 2 => Write::Set(roles),
            _ => Write::Add(roles),
        }
    }

    pub fn command(&mut self, desk: &Desk) -> Command {
        let project = self.of(&PROJECTS);
        let present = Present::of(desk, project);
        let (role_name, other_role) = (self.one_of(&present.roles, &ROLES), self.one_of(&present.roles, &ROLES));
        let mapping_name = self.one_of(&present.mappings, &MAPPINGS);
        let other_mapping = self.one_of(&present.mappings, &MAPPINGS);
        let permission = self.one_of(&present.permissions, &PERMISSIONS);
        let org = self.one_of(&present.orgs, &ORGS);
        // Old names are dropped sometimes. Otherwise no name would be free after a while.
        let kept: Option<&[&str]> = if self.below(2) == 0 { Some(&[]) } else { None };
        let half = self.below(2) == 0;
        let command = match self.below(110) {
            _ if present.roles.is_empty() => {
                create_project(project, [RoleStructure::MultiRole, RoleStructure::SingleRole][self.below(2)])
            }
            0 if self.below(6) == 0 => delete_project(project),
            0 | 1 => update_project(project, &org, half.then_some(&role_name)),
            2 | 3 => create_permissions(project, &self.some(&PERMISSIONS[..4], 2)),
            4 | 5 => rename_permission(project, &permission, self.maybe(&PERMISSIONS), kept),
            6 => delete_permission(project, &permission),
            7..=10 => {
                let place = match self.below(3) {
                    0 => Place::Last,
                    1 => Place::Above(role(&role_name)),
                    _ => Place::Below(role(&role_name)),
                };
                let disabled_in: &[&str] = if half { &[&mapping_name] } else { &[] };
                create_role(project, self.of(&ROLES), place, disabled_in)
            }
            11 | 12 => rename_role(project, &role_name, self.maybe(&ROLES), kept),
            13 | 14 => delete_role(project, &role_name, half.then_some(&other_role)),
            15 => {
                let names: Vec<&str> = present.roles.iter().rev().map(String::as_str).collect();
                reorder_roles(project, &names)
            }
            16 | 17 => {
                let original = half.then_some(other_mapping.as_str());
                create_mapping(project, self.of(&MAPPINGS), original, self.edits(&present))
            }
            18 | 19 => rename_mapping(project, &mapping_name, self.maybe(&MAPPINGS), kept),
            20 => delete_mapping(project, &mapping_name, half.then_some(&other_mapping)),
            21..=23 => update_mapping(project, &mapping_name, self.edits(&present)),
            24 => promote(project, &mapping_name),
            25..=27 => create_org(project, self.of(&ORGS), half.then_some(&mapping_name)),
            28 => delete_org(project, &org),
            29 => subscribe(project, &org, &mapping_name),
            30..=32 => create_mapping(project, self.of(&MAPPINGS), Some(&other_mapping), self.edits(&present)),
            33 | 34 => delete_mapping(project, &mapping_name, Some(&other_mapping)),
            35 | 36 => subscribe(project, &org, &other_mapping),
            37..=39 => manage(project, &role_name, &self.several(&present.roles)),
            40 => {
                let names: Vec<&str> = present.roles.iter().rev().map(String::as_str).collect();
                let to = [RoleStructure::MultiRole, RoleStructure::SingleRole][self.below(2)];
                convert(project, to, if to == RoleStructure::SingleRole { &names } else { &[] })
            }
            41 | 42 => match self.below(6) {
                0 | 1 => block_user(project, self.of(&USERS)),
                2 | 3 => unblock_user(project, self.of(&USERS)),
                _ => delete_user(project, self.of(&USERS)),
            },
            43 | 44 => {
                let roles = self.several(&present.roles);
                set_domains(project, &org, &[("a.example", &roles), ("b.example", &roles[..roles.len().min(1)])])
            }
            45..=47 => provision(project, &org, self.of(&USERS), self.of(&["a.example", "b.example", "c.example"])),
            48..=59 => {
                let add = |org: &str, user| write_member(project, org, user, Write::Add(Vec::new()));
                return self.disabling(desk, project).unwrap_or_else(|| add(&org, USERS[0]));
            }
            60..=67 => self.invitation(desk, project, &org, &present),
            68..=73 => return self.configuration(desk, project),
            _ => write_member(project, &org, self.of(&USERS), self.write(desk, &present)),
        };
        let on_disabled = match self.below(8) {
            0 | 1 => suspend(None),
            2..=4 => suspend(Some(&self.one_of(&present.roles, &ROLES))),
            _ => {
                // A visible role can only replace visible ones.
                let alike =
                    |from: &&str| *from != other_role && from.starts_with("Staff") == other_role.starts_with("Staff");
                let from = self.several(&present.roles).into_iter().filter(alike);
                let pairs: Vec<_> = from.map(|from| (from, other_role.as_str())).collect();
                remap(&pairs, half.then_some(&role_name))
            }
        };
        answering(command, on_disabled)
    }

    /// Applies a change of the configuration of an existing project.
    fn configuration(&mut self, desk: &Desk, project: &str) -> Command {
        let project = desk.state.project(&key(project)).expect("it has roles");
        let names = Names { permissions: &PERMISSIONS[..4], roles: &ROLES, role_mappings: &MAPPINGS };
        let request = random_request(project, &names, &mut |sides| self.below(sides));
        Command::ApplyConfiguration(configuration::command(&request, &Limits::default()).unwrap())
    }

    /// Invites addresses, or accepts or revokes an invitation.
    fn invitation(&mut self, desk: &Desk, project: &str, org_id: &str, present: &Present) -> Command {
        let (project, org_id) = (key(project), OrgId::stored(org_id));
        let space = desk.state.project(&project);
        let pending = space.and_then(|space| space.org(org_id.as_str())).map(|org| org.invitations());
        let pending = pending.unwrap_or_default();
        let (kind, at) = (self.below(8), self.below(pending.len().max(1)));
        match pending.get(at) {
            Some(invitation) if kind < 2 => Command::AcceptInvitation(AcceptInvitation {
                project,
                org_id,
                id: invitation.id,
                user_id: user(self.of(&USERS)),
                email: invitation.record.email.clone(),
                email_verified: true,
            }),
            Some(invitation) if kind == 2 => {
                Command::RevokeInvitation(RevokeInvitation { project, org_id, id: invitation.id })
            }
            _ => {
                let row = |dice: &mut Self| NewInvitation {
                    email: EmailAddress::stored(dice.of(&EMAILS)),
                    roles: given(&dice.several(&present.roles), desk.now),
                    expire_time: Some(desk.now.plus_seconds(dice.below(400) as i64 + 1)),
                    replace: dice.below(2) == 0,
                    id: InvitationId(dice.0.into()),
                };
                let rows = (0..self.below(3) + 1).map(|_| row(self)).collect();
                Command::CreateInvitations(CreateInvitations { project, org_id, rows, batch: true })
            }
        }
    }

    /// Disables a role that is held, or moves an org to a mapping that disables one, with a strategy.
    fn disabling(&mut self, desk: &Desk, project_key: &str) -> Option<Command> {
        let project = desk.state.project(&key(project_key))?;
        let mut held = Vec::new();
        project.for_each_org(|org| {
            let records = USERS.iter().filter_map(|name| project.membership(org, &user(name)));
            let sets = records.filter_map(|record| project.role_sets.get(record.role_set));
            held.extend(sets.flat_map(|set| set.roles.iter().map(|&role| (org, role))).collect::<Vec<_>>());
        });
        held.sort_by_key(|(org, role)| (org.no, *role));
        let defaults = [project.record.default_role, project.record.default_owner_role];
        held.retain(|(_, role)| !defaults.contains(role));
        let (org, lost) = *held.get(self.below(held.len().max(1)))?;
        let org_id = org.record.profile.org_id.as_str();
        let mut to = org.record.role_mapping;
        let elsewhere = project.role_mappings.entries().find(|(_, mapping)| !mapping.enabled(lost));
        let command = match elsewhere {
            Some((id, mapping)) if id != to && self.below(3) > 0 => {
                to = id;
                subscribe(project_key, org_id, mapping.record.name.as_str())
            }
            _ => {
                let disable = vec![project.role_name(lost)];
                let edits = RoleMappingEdits { disable, ..RoleMappingEdits::default() };
                update_mapping(project_key, project.role_mapping_name(to).as_str(), edits)
            }
        };
        let enabled = |role| project.role_mappings.get(to).is_some_and(|mapping| mapping.enabled(role));
        let others = project.role_order.iter().copied().filter(|&role| role != lost && enabled(role));
        let (visible, internal): (Vec<_>, Vec<_>) = others.partition(|&role| project.is_visible(role));
        let one = |roles: &[RoleId], at: usize| roles.get(at % roles.len().max(1)).map(|&role| project.role_name(role));
        let (at, other) = (self.below(50), self.below(50));
        let answer = match self.below(5) {
            0 | 1 => OnDisabled::Suspend { fallback_role: one(&visible, at) },
            _ => {
                let alike = if project.is_visible(lost) { &visible } else { &internal };
                let to = one(alike, at).map(|to| (project.role_name(lost), to));
                OnDisabled::Remap { replacements: to.into_iter().collect(), default_replacement: one(&visible, other) }
            }
        };
        Some(answering(command, answer))
    }

    /// Returns some existing names.
    fn several<'a>(&mut self, present: &'a [String]) -> Vec<&'a str> {
        present.iter().filter(|_| self.below(3) == 0).map(String::as_str).collect()
    }
}
