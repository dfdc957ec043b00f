//! Shows members: the rows that a statement found, with all that is recorded beside them.

use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryResult};

use super::super::StoreError;
use super::super::entity::{commit, disabled_role, project, role, role_set, role_set_role};
use super::super::ids::{id, number, origin, revision, role_structure, unreadable};
use super::super::read::Snapshot;
use super::super::sql::Sql;
use super::{MemberRow, Select};
use crate::domain::id::RoleId;
use crate::domain::membership::{Member, MemberRole, Origin, RoleOrigin, TimedRole, origin_of, standings};
use crate::domain::project::RoleStructure;
use crate::domain::{OrgId, Revision, RoleName, Time, UserId};

/// A row of the statement.
struct Found {
    org: i64,
    org_id: OrgId,
    role_mapping: i64,
    user_id: UserId,
    role_set: i64,
    origin: i16,
    revision: i64,
    timed: bool,
    other_origins: bool,
}

impl Found {
    fn read(row: &QueryResult) -> Result<Self, StoreError> {
        Ok(Self {
            org: row.try_get_by_index(0)?,
            org_id: OrgId::stored(row.try_get_by_index::<String>(1)?),
            role_mapping: row.try_get_by_index(2)?,
            user_id: UserId::stored(row.try_get_by_index::<String>(3)?),
            role_set: row.try_get_by_index(4)?,
            origin: row.try_get_by_index(5)?,
            revision: row.try_get_by_index(6)?,
            timed: row.try_get_by_index(7)?,
            other_origins: row.try_get_by_index(8)?,
        })
    }
}

/// What must be known to show members.
struct Context {
    structure: RoleStructure,
    /// With their ranks.
    roles: HashMap<RoleId, (i64, RoleName)>,
    sets: HashMap<i64, FoundSet>,
    disabled: HashSet<(i64, RoleId)>,
    ends: HashMap<(i64, UserId), Vec<TimedRole>>,
    origins: HashMap<(i64, UserId), Vec<RoleOrigin>>,
    commits: HashMap<i64, Revision>,
}

/// A role set of the members found.
#[derive(Default)]
struct FoundSet {
    roles: Vec<RoleId>,
    replacements: Vec<RoleId>,
    /// The commit that gave it to whoever has it, where it was altered when a role was deleted (R4).
    migrated: Option<i64>,
}

pub async fn members(
    snapshot: &Snapshot,
    project: &project::Model,
    select: Select,
    now: Time,
) -> Result<Vec<MemberRow>, StoreError> {
    let database = snapshot.tx.get_database_backend();
    let found = snapshot.tx.query_all_raw(select.sql.statement(database)).await?;
    let found: Vec<Found> = found.iter().map(Found::read).collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let context = Context::of(snapshot, project, &found).await?;
    found.into_iter().map(|found| context.row(found, now)).collect()
}

impl Context {
    async fn of(snapshot: &Snapshot, project: &project::Model, found: &[Found]) -> Result<Self, StoreError> {
        let ids: BTreeSet<i64> = found.iter().map(|found| found.role_set).collect();
        let sets = sets(snapshot, project.id, &ids).await?;
        let held: BTreeSet<RoleId> = sets.values().flat_map(|set| set.roles.iter().copied()).collect();
        let of_roles = role::Column::Project.eq(project.id).and(role::Column::Id.is_in(held.into_iter().map(number)));
        let mut roles = HashMap::new();
        for role in role::Entity::find().filter(of_roles).all(&snapshot.tx).await? {
            roles.insert(id(role.id)?, (role.rank, RoleName::stored(role.name)));
        }
        let mappings: BTreeSet<i64> = found.iter().map(|found| found.role_mapping).collect();
        let of_mappings =
            disabled_role::Column::Project.eq(project.id).and(disabled_role::Column::RoleMapping.is_in(mappings));
        let mut disabled = HashSet::new();
        for row in disabled_role::Entity::find().filter(of_mappings).all(&snapshot.tx).await? {
            disabled.insert((row.role_mapping, id(row.role)?));
        }
        let migrations = sets.values().filter_map(|set| set.migrated);
        let latest: BTreeSet<i64> = found.iter().map(|found| found.revision).chain(migrations).collect();
        let of_commits = commit::Entity::find().filter(commit::Column::Revision.is_in(latest));
        let mut commits = HashMap::new();
        for row in of_commits.all(&snapshot.tx).await? {
            commits.insert(row.revision, revision(row.revision, row.tag, row.at)?);
        }
        let structure = role_structure(project.role_structure)?;
        let ends = ends(snapshot, project.id, found).await?;
        let origins = origins(snapshot, project.id, found).await?;
        Ok(Self { structure, roles, sets, disabled, ends, origins, commits })
    }

    fn row(&self, found: Found, now: Time) -> Result<MemberRow, StoreError> {
        let set = self.sets.get(&found.role_set).ok_or_else(|| unreadable("a member whose role set is missing"))?;
        let by = origin(found.origin)?;
        let (latest, commit) = match set.migrated {
            Some(commit) => (Origin::Migration, commit),
            None => (by, found.revision),
        };
        let place = (found.org, found.user_id);
        let ends = self.ends.get(&place).map(Vec::as_slice).unwrap_or_default();
        let others = self.origins.get(&place).map(Vec::as_slice).unwrap_or_default();
        let enabled = |role| !self.disabled.contains(&(found.role_mapping, role));
        let mut shown = Vec::with_capacity(set.roles.len());
        for (role, standing) in standings(self.structure, &set.roles, ends, enabled, now) {
            let until = ends.iter().find(|end| end.role == role).map(|end| end.until);
            let named = self.roles.get(&role);
            let (rank, name) = named.ok_or_else(|| unreadable("a member with a role that is missing"))?;
            let origin = origin_of(role, by, others, &set.replacements);
            shown.push(((*rank, role), MemberRole { role: name.clone(), until, standing, origin }));
        }
        shown.sort_by_key(|(place, _)| *place);
        let revision = self.commits.get(&commit).copied();
        Ok(MemberRow {
            revision: revision.ok_or_else(|| unreadable("a membership whose commit is missing"))?,
            member: Member {
                org_id: found.org_id,
                user_id: place.1,
                roles: shown.into_iter().map(|(_, role)| role).collect(),
                origin: latest,
            },
        })
    }
}

/// The role sets with these ids.
async fn sets(snapshot: &Snapshot, project: i64, ids: &BTreeSet<i64>) -> Result<HashMap<i64, FoundSet>, StoreError> {
    let of_sets = role_set::Column::Project.eq(project).and(role_set::Column::Id.is_in(ids.iter().copied()));
    let found = role_set::Entity::find().filter(of_sets).all(&snapshot.tx).await?;
    let set = |row: role_set::Model| {
        (row.id, FoundSet { migrated: row.migrated.then_some(row.revision), ..FoundSet::default() })
    };
    let mut sets: HashMap<i64, FoundSet> = found.into_iter().map(set).collect();
    let of_sets = role_set_role::Column::Project.eq(project);
    let of_sets = of_sets.and(role_set_role::Column::RoleSet.is_in(ids.iter().copied()));
    for row in role_set_role::Entity::find().filter(of_sets).all(&snapshot.tx).await? {
        let Some(set) = sets.get_mut(&row.role_set) else { continue };
        let role = id(row.role)?;
        set.roles.push(role);
        set.replacements.extend(row.replacement.then_some(role));
    }
    Ok(sets)
}

/// The ends of the roles of these members; few have any.
async fn ends(
    snapshot: &Snapshot,
    project: i64,
    found: &[Found],
) -> Result<HashMap<(i64, UserId), Vec<TimedRole>>, StoreError> {
    let timed = found.iter().filter(|found| found.timed);
    let mut ends: HashMap<(i64, UserId), Vec<TimedRole>> = HashMap::new();
    for row in beside(snapshot, project, timed.collect(), r#"role, "until""#, "timed_roles").await? {
        let (member, role) = member_and_role(&row)?;
        ends.entry(member).or_default().push(TimedRole { role, until: Time(row.try_get_by_index(3)?) });
    }
    Ok(ends)
}

/// By what some roles of these members came; of most members the membership says it.
async fn origins(
    snapshot: &Snapshot,
    project: i64,
    found: &[Found],
) -> Result<HashMap<(i64, UserId), Vec<RoleOrigin>>, StoreError> {
    let mixed = found.iter().filter(|found| found.other_origins);
    let mut origins: HashMap<(i64, UserId), Vec<RoleOrigin>> = HashMap::new();
    for row in beside(snapshot, project, mixed.collect(), "role, origin", "role_origins").await? {
        let (member, role) = member_and_role(&row)?;
        let origin = origin(row.try_get_by_index(3)?)?;
        origins.entry(member).or_default().push(RoleOrigin { role, origin });
    }
    Ok(origins)
}

/// What is recorded of roles of these members beside the memberships. They are of one org or of one user.
async fn beside(
    snapshot: &Snapshot,
    project: i64,
    found: Vec<&Found>,
    columns: &str,
    table: &str,
) -> Result<Vec<QueryResult>, StoreError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::default();
    let project = sql.bind(project);
    let orgs = sql.list(found.iter().map(|found| found.org).collect::<BTreeSet<_>>());
    let users = sql.list(found.iter().map(|found| found.user_id.as_str()).collect::<BTreeSet<_>>());
    sql.push(&format!(
        "SELECT org, user_id, {columns} FROM {table}
         WHERE project = {project} AND org IN ({orgs}) AND user_id IN ({users}) ORDER BY role"
    ));
    Ok(snapshot.tx.query_all_raw(sql.statement(snapshot.tx.get_database_backend())).await?)
}

fn member_and_role(row: &QueryResult) -> Result<((i64, UserId), RoleId), StoreError> {
    let member = (row.try_get_by_index(0)?, UserId::stored(row.try_get_by_index::<String>(1)?));
    Ok((member, id(row.try_get_by_index(2)?)?))
}
