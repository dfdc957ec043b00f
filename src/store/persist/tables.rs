//! The rows as they are after a group.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};

use super::super::StoreError;
use super::super::entity::{
    disabled_role, grant, membership, org, permission, project, role, role_mapping, role_set, role_set_role, timed_role,
};
use super::super::ids::{environment_number, id, number, revision_number, role_structure_number};
use super::super::rows::{delete, upsert};
use super::super::sql::Sql;
use super::collapse::{Final, Last};
use crate::domain::change::MembershipKey;
use crate::domain::id::{Numbered, ProjectId, RoleSetId};
use crate::domain::membership::MembershipRecord;
use crate::domain::name::folded;
use crate::domain::state::Counters;
use crate::domain::{Scoped, Time};

pub async fn write(tx: &DatabaseTransaction, all: &Final<'_>) -> Result<(), StoreError> {
    projects(tx, all).await?;
    permissions(tx, all).await?;
    roles(tx, all).await?;
    role_sets(tx, all).await?;
    role_mappings(tx, all).await?;
    grants(tx, all).await?;
    orgs(tx, all).await?;
    memberships(tx, all).await?;
    for (&project, counters) in &all.counters {
        count(tx, project, counters).await?;
    }
    Ok(())
}

async fn projects(tx: &DatabaseTransaction, all: &Final<'_>) -> Result<(), StoreError> {
    use project::Column::{Id, NextOrg, NextPermission, NextRole, NextRoleMapping, NextRoleSet};
    let deleted = all.projects.iter().filter(|(_, last)| last.is_deleted());
    let deleted: Vec<Value> = deleted.map(|(&id, _)| number(id).into()).collect();
    delete::<project::Entity>(tx, &[Id], &deleted).await?;
    let written = all.projects.iter().filter_map(|(&id, last)| Some((id, last.after?)));
    let written: Vec<project::Model> = written
        .map(|(id, record)| project::Model {
            id: number(id),
            key: record.key.to_string(),
            display_name: record.display_name.to_string(),
            environment: environment_number(record.environment),
            role_structure: role_structure_number(record.role_structure),
            default_role: number(record.default_role),
            default_owner_role: number(record.default_owner_role),
            default_role_mapping: number(record.default_role_mapping),
            create_time: record.create_time.0,
            next_permission: 1,
            next_role: 1,
            next_role_set: 1,
            next_role_mapping: 1,
            next_org: 1,
            version: record.version.into(),
            role_order_version: record.role_order_version.into(),
            dead_at: record.life.dead_at().map(|at| at.0),
            erased: record.life.is_erased(),
        })
        .collect();
    let counters = [NextPermission, NextRole, NextRoleSet, NextRoleMapping, NextOrg];
    Ok(upsert::<project::Entity>(tx, &written, &counters).await?)
}

async fn permissions(tx: &DatabaseTransaction, all: &Final<'_>) -> Result<(), StoreError> {
    use permission::Column::{Id, Project};
    delete::<permission::Entity>(tx, &[Project, Id], &deleted(&all.permissions)).await?;
    let written = all.permissions.iter().filter_map(|(&key, last)| Some((key, last.after?)));
    let written: Vec<permission::Model> = written
        .map(|(key, permission)| permission::Model {
            project: number(key.project),
            id: number(key.id),
            name: permission.name.to_string(),
            description: permission.description.to_string(),
            built_in: permission.built_in,
            create_time: permission.create_time.0,
        })
        .collect();
    Ok(upsert::<permission::Entity>(tx, &written, &[]).await?)
}

async fn roles(tx: &DatabaseTransaction, all: &Final<'_>) -> Result<(), StoreError> {
    use role::Column::{Id, Project};
    delete::<role::Entity>(tx, &[Project, Id], &deleted(&all.roles)).await?;
    let written = all.roles.iter().filter_map(|(&key, last)| Some((key, last.after?)));
    let written: Vec<role::Model> = written
        .map(|(key, role)| role::Model {
            project: number(key.project),
            id: number(key.id),
            name: role.name.to_string(),
            name_key: folded(role.name.as_str()),
            description: role.description.to_string(),
            internal: role.internal,
            rank: rank_number(role.rank),
            create_time: role.create_time.0,
            version: role.version.into(),
        })
        .collect();
    Ok(upsert::<role::Entity>(tx, &written, &[]).await?)
}

async fn role_sets(tx: &DatabaseTransaction, all: &Final<'_>) -> Result<(), StoreError> {
    use role_set_role::Column::{Project, RoleSet};
    let gone = deleted(&all.role_sets);
    delete::<role_set::Entity>(tx, &[role_set::Column::Project, role_set::Column::Id], &gone).await?;
    delete::<role_set_role::Entity>(tx, &[Project, RoleSet], &existed(&all.role_sets)).await?;
    let written: Vec<_> = all.role_sets.iter().filter_map(|(&key, last)| Some((key, last.after?))).collect();
    let sets: Vec<role_set::Model> = written
        .iter()
        .map(|(key, _)| role_set::Model {
            project: number(key.project),
            id: number(key.id),
            migrated: false,
            dying: false,
            revision: 0,
        })
        .collect();
    upsert::<role_set::Entity>(tx, &sets, &[]).await?;
    let mut roles = Vec::new();
    for (key, set) in written {
        roles.extend(set.roles.iter().map(|&role| role_set_role::Model {
            project: number(key.project),
            role_set: number(key.id),
            role: number(role),
            replacement: set.replacements.contains(&role),
        }));
    }
    Ok(upsert::<role_set_role::Entity>(tx, &roles, &[]).await?)
}

async fn role_mappings(tx: &DatabaseTransaction, all: &Final<'_>) -> Result<(), StoreError> {
    use disabled_role::Column::{Project, RoleMapping};
    let gone = deleted(&all.role_mappings);
    delete::<role_mapping::Entity>(tx, &[role_mapping::Column::Project, role_mapping::Column::Id], &gone).await?;
    delete::<grant::Entity>(tx, &[grant::Column::Project, grant::Column::RoleMapping], &gone).await?;
    delete::<disabled_role::Entity>(tx, &[Project, RoleMapping], &existed(&all.role_mappings)).await?;
    let written: Vec<_> = all.role_mappings.iter().filter_map(|(&key, last)| Some((key, last.after?))).collect();
    let mappings: Vec<role_mapping::Model> = written
        .iter()
        .map(|(key, record)| role_mapping::Model {
            project: number(key.project),
            id: number(key.id),
            name: record.name.to_string(),
            name_key: folded(record.name.as_str()),
            description: record.description.to_string(),
            create_time: record.create_time.0,
            version: record.version.into(),
        })
        .collect();
    upsert::<role_mapping::Entity>(tx, &mappings, &[]).await?;
    let mut disabled = Vec::new();
    for (key, record) in written {
        disabled.extend(record.disabled_roles.iter().map(|&role| disabled_role::Model {
            project: number(key.project),
            role_mapping: number(key.id),
            role: number(role),
        }));
    }
    Ok(upsert::<disabled_role::Entity>(tx, &disabled, &[]).await?)
}

async fn grants(tx: &DatabaseTransaction, all: &Final<'_>) -> Result<(), StoreError> {
    use grant::Column::{Permission, Project, Role, RoleMapping};
    let mut lost: Vec<Value> = Vec::new();
    let mut gained = Vec::new();
    for (&(key, permission), &granted) in &all.grants {
        let row = grant::Model {
            project: number(key.project),
            role_mapping: number(key.role_mapping),
            role: number(key.role),
            permission: number(permission),
        };
        let mapping = all.role_mappings.get(&Scoped { project: key.project, id: key.role_mapping });
        if granted && mapping.is_none_or(|mapping| mapping.after.is_some()) {
            gained.push(row);
        } else {
            lost.extend([row.project, row.role_mapping, row.role, row.permission].map(Value::from));
        }
    }
    delete::<grant::Entity>(tx, &[Project, RoleMapping, Role, Permission], &lost).await?;
    Ok(upsert::<grant::Entity>(tx, &gained, &[]).await?)
}

/// A deleted org is marked dead with what it last was: its number leads to it from the changes.
async fn orgs(tx: &DatabaseTransaction, all: &Final<'_>) -> Result<(), StoreError> {
    let rows = all.orgs.iter().filter_map(|(key, last)| {
        let record = last.after?;
        Some(org::Model {
            project: number(key.project),
            no: number(key.id),
            org_id: record.profile.org_id.to_string(),
            display_name: record.profile.display_name.to_string(),
            metadata: record.profile.metadata.to_string(),
            role_mapping: number(record.role_mapping),
            create_time: record.profile.create_time.0,
            dead_at: record.life.dead_at().map(|at| at.0),
            erased: record.life.is_erased(),
        })
    });
    // The dead first: they free their ids.
    let (dead, living): (Vec<_>, Vec<_>) = rows.partition(|row| row.dead_at.is_some());
    upsert::<org::Entity>(tx, &dead, &[]).await?;
    Ok(upsert::<org::Entity>(tx, &living, &[]).await?)
}

async fn memberships(tx: &DatabaseTransaction, all: &Final<'_>) -> Result<(), StoreError> {
    use membership::Column::{Org, Project, UserId};
    let place = |key: &MembershipKey| -> [Value; 3] {
        [number(key.project).into(), number(key.org).into(), key.user.as_str().into()]
    };
    let gone = all.memberships.iter().filter(|(_, last)| last.is_deleted());
    let gone: Vec<Value> = gone.flat_map(|(key, _)| place(key)).collect();
    delete::<membership::Entity>(tx, &[Project, Org, UserId], &gone).await?;
    let ended = all.memberships.iter().filter(|(_, last)| last.before.is_some_and(|before| !before.timed.is_empty()));
    let ended: Vec<Value> = ended.flat_map(|(key, _)| place(key)).collect();
    let columns = [timed_role::Column::Project, timed_role::Column::Org, timed_role::Column::UserId];
    delete::<timed_role::Entity>(tx, &columns, &ended).await?;

    let sizes = set_sizes(tx, all).await?;
    let mut written = Vec::with_capacity(all.memberships.len());
    let mut timed = Vec::new();
    for (&key, last) in &all.memberships {
        let Some(record) = last.after else { continue };
        let size = sizes.get(&Scoped { project: key.project, id: record.role_set });
        written.push(membership::Model {
            project: number(key.project),
            org: number(key.org),
            user_id: key.user.to_string(),
            role_set: number(record.role_set),
            origin: record.origin as i16,
            revision: revision_number(last.revision.number),
            timed: !record.timed.is_empty(),
            held_until: held_until(record, size.copied()).map(|time| time.0),
        });
        timed.extend(record.timed.iter().map(|timed| timed_role::Model {
            project: number(key.project),
            org: number(key.org),
            user_id: key.user.to_string(),
            role: number(timed.role),
            until: timed.until.0,
        }));
    }
    upsert::<membership::Entity>(tx, &written, &[]).await?;
    Ok(upsert::<timed_role::Entity>(tx, &timed, &[]).await?)
}

/// Until when somebody is a member: for ever, if one of the roles has no end.
fn held_until(record: &MembershipRecord, roles: Option<usize>) -> Option<Time> {
    let last = record.timed.iter().map(|timed| timed.until).max()?;
    (roles == Some(record.timed.len())).then_some(last)
}

/// How many roles are in the sets of the members whose roles end. Few have any: mostly nothing is asked.
async fn set_sizes(
    tx: &DatabaseTransaction,
    all: &Final<'_>,
) -> Result<BTreeMap<Scoped<RoleSetId>, usize>, StoreError> {
    let records = all.memberships.iter().filter_map(|(key, last)| Some((key.project, last.after?)));
    let timed = records.filter(|(_, record)| !record.timed.is_empty());
    let wanted: BTreeSet<_> = timed.map(|(project, record)| Scoped { project, id: record.role_set }).collect();
    let wanted: Vec<_> = wanted.into_iter().collect();
    let mut sizes = BTreeMap::new();
    for project in wanted.chunk_by(|one, other| one.project == other.project) {
        for chunk in project.chunks(10_000) {
            let mut sql = Sql::default();
            let project = sql.bind(number(chunk[0].project));
            let sets = sql.list(chunk.iter().map(|set| number(set.id)));
            sql.push(&format!(
                "SELECT role_set, count(*) FROM role_set_roles
                 WHERE project = {project} AND role_set IN ({sets}) GROUP BY role_set"
            ));
            for row in tx.query_all_raw(sql.statement(tx.get_database_backend())).await? {
                let set = Scoped { project: chunk[0].project, id: id(row.try_get_by_index(0)?)? };
                sizes.insert(set, row.try_get_by_index::<i64>(1)? as usize);
            }
        }
    }
    Ok(sizes)
}

/// Moves the counters of a project on; they never go back.
async fn count(tx: &DatabaseTransaction, project: ProjectId, next: &Counters) -> Result<(), StoreError> {
    let all = [
        ("next_permission", next.permission),
        ("next_role", next.role),
        ("next_role_set", next.role_set),
        ("next_role_mapping", next.role_mapping),
        ("next_org", next.org),
    ];
    let mut sql = Sql::default();
    let moved: Vec<String> = all
        .into_iter()
        .filter(|&(_, next)| next > 0)
        .map(|(column, next)| {
            let next = sql.bind(i64::from(next));
            format!("{column} = CASE WHEN {column} < {next} THEN {next} ELSE {column} END")
        })
        .collect();
    let project = sql.bind(number(project));
    sql.push(&format!("UPDATE projects SET {} WHERE id = {project}", moved.join(", ")));
    tx.execute_raw(sql.statement(tx.get_database_backend())).await?;
    Ok(())
}

/// The keys of what is no more.
fn deleted<I: Numbered, V>(lasts: &BTreeMap<Scoped<I>, Last<'_, V>>) -> Vec<Value> {
    keys(lasts, |last| last.is_deleted())
}

/// The keys of what was there before, whose parts are written anew.
fn existed<I: Numbered, V>(lasts: &BTreeMap<Scoped<I>, Last<'_, V>>) -> Vec<Value> {
    keys(lasts, |last| last.before.is_some())
}

fn keys<I: Numbered, V>(lasts: &BTreeMap<Scoped<I>, Last<'_, V>>, which: impl Fn(&Last<'_, V>) -> bool) -> Vec<Value> {
    let chosen = lasts.iter().filter(|(_, last)| which(last));
    chosen.flat_map(|(key, _)| [number(key.project).into(), number(key.id).into()]).collect()
}

/// Ranks are unsigned and compared as signed numbers; the highest bit is never reached.
fn rank_number(rank: u64) -> i64 {
    i64::try_from(rank).unwrap_or(i64::MAX)
}
