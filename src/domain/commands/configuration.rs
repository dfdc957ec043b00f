//! Applies a configuration: it decides the ordinary commands that lead to it, one after another on one draft.
//!
//! Every rule is decided by the command that it belongs to. The order of the commands is chosen so that a valid result is
//! not refused for what is only in between: names first, then what is new, what is enabled and granted, the defaults,
//! what is deleted or disabled, and what depends on all of that last. Limits and owners are checked at the end.

mod claims;
mod contents;
mod deletions;
mod naming;
mod noun;

use std::collections::BTreeSet;

use crate::domain::commands::command::configuration::{ApplyConfiguration, WantedNames};
use crate::domain::commands::command::{Command, ConvertRoleStructure};
use crate::domain::commands::configuration::claims::claims;
use crate::domain::commands::configuration::noun::Configured;
use crate::domain::commands::decide::run;
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::{Applied, Outcome};
use crate::domain::commands::project::convert;
use crate::domain::model::id::{PermissionId, RoleId, RoleMappingId};
use crate::domain::model::project::RoleStructure;
use crate::domain::model::refusal::Refusal;
use crate::domain::rules::configuration::{configuration_etag, difference};
use crate::domain::rules::owners::check_owners_kept;
use crate::domain::state::project::Project;

pub fn apply(draft: &mut Draft<'_>, command: &ApplyConfiguration) -> Result<Outcome, Refusal> {
    let before = draft.project(&command.project)?;
    let now = configuration_etag(&before);
    if command.etag.as_ref().is_some_and(|expected| *expected != now) {
        return Err(Refusal::EtagMismatch { now });
    }
    let wanted = Names::of(command);
    deletions::check(command, &wanted)?;
    // Each entry is an object of its own. Too many are refused before anything is done for them.
    check_limits(draft, &Counts::of(&before), &wanted.counts())?;
    let claimed = Claimed {
        permissions: claims(&before, &wanted.permissions),
        roles: claims(&before, &wanted.roles),
        role_mappings: claims(&before, &wanted.role_mappings),
    };
    convert_to_multi(draft, &before, command, &claimed)?;
    draft.defer_limits();
    steps(draft, command, &wanted, &claimed)?;
    let after = draft.project(&command.project)?;
    draft.check_limits_again();
    check_limits(draft, &Counts::of(&before), &Counts::of(&after))?;
    if !command.allow_ownerless {
        check_owners_kept(&before, &after, draft.now())?;
    }
    let managed = wanted.existing(&after);
    Ok(Outcome::Configuration(Applied {
        steps: difference(&before, &after).into(),
        unmanaged: managed.others(&after).into(),
        etag: configuration_etag(&after),
    }))
}

/// The names of all entries.
struct Names<'a> {
    permissions: Vec<&'a WantedNames<<PermissionId as Configured>::Name>>,
    roles: Vec<&'a WantedNames<<RoleId as Configured>::Name>>,
    role_mappings: Vec<&'a WantedNames<<RoleMappingId as Configured>::Name>>,
}

/// The object that each entry means, as [`claims`] finds it.
struct Claimed {
    permissions: Vec<Option<PermissionId>>,
    roles: Vec<Option<RoleId>>,
    role_mappings: Vec<Option<RoleMappingId>>,
}

/// The objects that a configuration names.
struct Managed {
    permissions: BTreeSet<PermissionId>,
    roles: BTreeSet<RoleId>,
    role_mappings: BTreeSet<RoleMappingId>,
}

impl<'a> Names<'a> {
    fn of(command: &'a ApplyConfiguration) -> Self {
        Self {
            permissions: command.permissions.iter().map(|wanted| &wanted.names).collect(),
            roles: command.roles.iter().map(|wanted| &wanted.names).collect(),
            role_mappings: command.role_mappings.iter().map(|wanted| &wanted.names).collect(),
        }
    }

    /// Counts the entries.
    fn counts(&self) -> Counts {
        Counts {
            permissions: self.permissions.len(),
            roles: self.roles.len(),
            role_mappings: self.role_mappings.len(),
            ..Counts::default()
        }
    }

    /// Returns the objects with these names. Once the steps of naming and creating are done, these are all.
    fn existing(&self, project: &Project) -> Managed {
        fn ids<I: Configured>(project: &Project, wanted: &[&WantedNames<I::Name>]) -> BTreeSet<I> {
            wanted.iter().filter_map(|names| I::named(project, &names.name)).collect()
        }
        Managed {
            permissions: ids(project, &self.permissions),
            roles: ids(project, &self.roles),
            role_mappings: ids(project, &self.role_mappings),
        }
    }
}

/// Converts a project to MULTI_ROLE, if the configuration says so. It also says whom its roles manage, and the other roles go on
/// managing those below them, unless they are deleted.
fn convert_to_multi(
    draft: &mut Draft<'_>,
    before: &Project,
    command: &ApplyConfiguration,
    claimed: &Claimed,
) -> Result<(), Refusal> {
    let to = RoleStructure::MultiRole;
    if command.role_structure != Some(to) || before.record.role_structure == to {
        return Ok(());
    }
    let named: BTreeSet<RoleId> = claimed.roles.iter().flatten().copied().collect();
    convert::to_multi(draft, before, |role| !command.prune && !named.contains(&role))
}

fn steps(
    draft: &mut Draft<'_>,
    command: &ApplyConfiguration,
    wanted: &Names<'_>,
    claimed: &Claimed,
) -> Result<(), Refusal> {
    let key = &command.project;
    rename(draft, command, &wanted.permissions, &claimed.permissions)?;
    rename(draft, command, &wanted.roles, &claimed.roles)?;
    rename(draft, command, &wanted.role_mappings, &claimed.role_mappings)?;
    all(draft, command, wanted, contents::create)?;
    all(draft, command, wanted, contents::describe)?;
    all(draft, command, wanted, contents::enable_and_grant)?;
    all(draft, command, wanted, contents::set_defaults)?;
    // Some of these depend on what is deleted first, and others on what is deleted later.
    accepted(draft, command, wanted, contents::make_internal)?;
    accepted(draft, command, wanted, deletions::delete_roles)?;
    all(draft, command, wanted, contents::disable)?;
    all(draft, command, wanted, deletions::delete_role_mappings)?;
    all(draft, command, wanted, deletions::delete_roles)?;
    all(draft, command, wanted, deletions::delete_permissions)?;
    all(draft, command, wanted, contents::make_internal)?;
    let project = draft.project(key)?;
    let order = contents::role_order(&project, &wanted.roles);
    let is = project.record.role_structure;
    drop(project);
    let to_single = command.role_structure.filter(|&to| to == RoleStructure::SingleRole && to != is);
    step(
        draft,
        match to_single {
            Some(to) => {
                let (project, etag) = (key.clone(), None);
                Command::ConvertRoleStructure(ConvertRoleStructure { project, etag, to, order, allow_ownerless: true })
            }
            None => contents::reorder(key, order),
        },
    )?;
    all(draft, command, wanted, contents::set_managed)?;
    alias::<PermissionId>(draft, command, &wanted.permissions)?;
    alias::<RoleId>(draft, command, &wanted.roles)?;
    alias::<RoleMappingId>(draft, command, &wanted.role_mappings)
}

/// The part of a configuration that a phase reads.
#[derive(Clone, Copy)]
struct Phase<'a> {
    project: &'a Project,
    command: &'a ApplyConfiguration,
    /// What the configuration names, as far as it exists yet.
    managed: &'a Managed,
}

/// Returns the commands of a phase, which compares the configuration with the project as it is then.
fn commands_of(
    draft: &Draft<'_>,
    command: &ApplyConfiguration,
    wanted: &Names<'_>,
    phase: fn(Phase<'_>) -> Result<Vec<Command>, Refusal>,
) -> Result<Vec<Command>, Refusal> {
    let project = draft.project(&command.project)?;
    // The project is dropped before the commands run. Otherwise each would copy what it changes.
    phase(Phase { project: &project, command, managed: &wanted.existing(&project) })
}

/// Decides the commands of a phase.
fn all(
    draft: &mut Draft<'_>,
    command: &ApplyConfiguration,
    wanted: &Names<'_>,
    phase: fn(Phase<'_>) -> Result<Vec<Command>, Refusal>,
) -> Result<(), Refusal> {
    commands_of(draft, command, wanted, phase)?.into_iter().try_for_each(|command| step(draft, command))
}

/// Decides the commands of a phase that are accepted, up to the first one that is not. A later phase decides the others again.
fn accepted(
    draft: &mut Draft<'_>,
    command: &ApplyConfiguration,
    wanted: &Names<'_>,
    phase: fn(Phase<'_>) -> Result<Vec<Command>, Refusal>,
) -> Result<(), Refusal> {
    for command in commands_of(draft, command, wanted, phase)? {
        let before = draft.savepoint();
        if step(draft, command).is_err() {
            draft.roll_back(before);
            break;
        }
    }
    Ok(())
}

fn rename<I: Configured>(
    draft: &mut Draft<'_>,
    command: &ApplyConfiguration,
    wanted: &[&WantedNames<I::Name>],
    of: &[Option<I>],
) -> Result<(), Refusal> {
    let project = draft.project(&command.project)?;
    let commands = naming::renames(&command.project, &project, wanted, of, command.prune);
    drop(project);
    commands.into_iter().try_for_each(|command| step(draft, command))
}

fn alias<I: Configured>(
    draft: &mut Draft<'_>,
    command: &ApplyConfiguration,
    wanted: &[&WantedNames<I::Name>],
) -> Result<(), Refusal> {
    let commands = naming::missing_aliases::<I>(&command.project, &*draft.project(&command.project)?, wanted);
    commands.into_iter().try_for_each(|command| step(draft, command))
}

fn step(draft: &mut Draft<'_>, command: Command) -> Result<(), Refusal> {
    match run(draft, &command) {
        // The rows are those of a step, not of the request.
        Err(Refusal::Rows { rows, .. }) => Err(rows.into_iter().next().map_or(Refusal::Bug, |(_, refusal)| refusal)),
        done => done.map(|_| ()),
    }
}

/// The numbers of what a project has that have a limit (P7).
#[derive(Default)]
struct Counts {
    permissions: usize,
    roles: usize,
    role_mappings: usize,
    grants: usize,
    managed_roles: usize,
}

impl Counts {
    fn of(project: &Project) -> Self {
        Self {
            permissions: project.permissions.len(),
            roles: project.roles.len(),
            role_mappings: project.role_mappings.len(),
            grants: project.grants as usize,
            managed_roles: project.roles.entries().map(|(_, role)| role.manages.len()).sum(),
        }
    }
}

/// Refuses numbers above their limits, if they are higher than before (P7). A project may have more since before its limits were
/// lowered.
fn check_limits(draft: &Draft<'_>, before: &Counts, after: &Counts) -> Result<(), Refusal> {
    let limits = draft.limits();
    let numbers = [
        ("permissions", limits.permissions, before.permissions, after.permissions),
        ("roles", limits.roles, before.roles, after.roles),
        ("role_mappings", limits.role_mappings, before.role_mappings, after.role_mappings),
        ("grants", limits.grants, before.grants, after.grants),
        ("managed_roles", limits.managed_roles, before.managed_roles, after.managed_roles),
    ];
    let mut grown = numbers.into_iter().filter(|(_, _, was, is)| is > was);
    grown.try_for_each(|(limit, max, _, is)| draft.check_limit(limit, max, is))
}
