//! Shows members: the rows that a statement found, with all that is recorded beside them.

use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryResult};

use super::super::StoreError;
use super::super::entity::{commit, disabled_role, project, role, role_set, role_set_role};
use super::super::ids::{id, number, origin, revision, role_structure, unreadable};
use super::super::read::Snapshot;
use super::super::sql::Sql;
use super::{MemberRow, Select};
use crate::domain::model::fallback::Fallback;
use crate::domain::model::id::RoleId;
use crate::domain::model::membership::{Origin, RoleOrigin, TemporaryRole, origin_of};
use crate::domain::model::project::RoleStructure;
use crate::domain::rules::membership::{Member, MemberRole};
use crate::domain::rules::role_state::role_states;
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
    temporary: bool,
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
            temporary: row.try_get_by_index(7)?,
            other_origins: row.try_get_by_index(8)?,
        })
    }
}

/// What must be known to show members.
struct Context {
    structure: RoleStructure,
    now: Time,
    /// Whether internal roles are unknown to whoever asks, as if there were none (I2).
    visible_only: bool,
    roles: HashMap<RoleId, FoundRole>,
    sets: HashMap<i64, FoundSet>,
    disabled: HashSet<(i64, RoleId)>,
    fallbacks: HashMap<i64, Vec<Fallback>>,
    ends: HashMap<(i64, UserId), Vec<TemporaryRole>>,
    origins: HashMap<(i64, UserId), Vec<RoleOrigin>>,
    commits: HashMap<i64, Revision>,
}

/// A role of the members found, or one that stands in for one.
struct FoundRole {
    rank: i64,
    name: RoleName,
    internal: bool,
}

/// A role set of the members found.
#[derive(Default)]
struct FoundSet {
    roles: Vec<RoleId>,
    migrated_roles: Vec<RoleId>,
    /// The commit that gave it to whoever has it, where it was altered when a role was deleted (R4).
    migrated: Option<i64>,
}

pub async fn members(
    snapshot: &Snapshot,
    project: &project::Model,
    select: Select,
) -> Result<Vec<MemberRow>, StoreError> {
    let database = snapshot.tx.get_database_backend();
    let (now, visible_only) = (select.now(), select.visible_only());
    let found = snapshot.tx.query_all_raw(select.into_sql().statement(database)).await?;
    let found: Vec<Found> = found.iter().map(Found::read).collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let context = Context::of(snapshot, project, &found, now, visible_only).await?;
    found.into_iter().map(|found| context.row(found)).collect()
}

impl Context {
    async fn of(
        snapshot: &Snapshot,
        project: &project::Model,
        found: &[Found],
        now: Time,
        visible_only: bool,
    ) -> Result<Self, StoreError> {
        let orgs = found.iter().map(|found| found.org).collect();
        let fallbacks = snapshot.fallbacks(project.id, orgs, visible_only).await?;
        let ids: BTreeSet<i64> = found.iter().map(|found| found.role_set).collect();
        let sets = sets(snapshot, project.id, &ids).await?;
        let held = sets.values().flat_map(|set| set.roles.iter().copied());
        let held: BTreeSet<RoleId> =
            held.chain(fallbacks.values().flatten().map(|recorded_role| recorded_role.fallback_role)).collect();
        let of_roles = role::Column::Project.eq(project.id).and(role::Column::Id.is_in(held.into_iter().map(number)));
        let mut roles = HashMap::new();
        for role in role::Entity::find().filter(of_roles).all(&snapshot.tx).await? {
            let found = FoundRole { rank: role.rank, name: RoleName::stored(role.name), internal: role.internal };
            roles.insert(id(role.id)?, found);
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
        Ok(Self { structure, now, visible_only, roles, sets, disabled, fallbacks, ends, origins, commits })
    }

    fn role(&self, role: RoleId) -> Result<&FoundRole, StoreError> {
        self.roles.get(&role).ok_or_else(|| unreadable("a member with a role that is missing"))
    }

    /// Those of these roles that are known to whoever asks.
    fn known(&self, roles: &[RoleId]) -> Result<Vec<RoleId>, StoreError> {
        let mut known = Vec::with_capacity(roles.len());
        for &role in roles {
            if !self.visible_only || !self.role(role)?.internal {
                known.push(role);
            }
        }
        Ok(known)
    }

    fn row(&self, found: Found) -> Result<MemberRow, StoreError> {
        let set = self.sets.get(&found.role_set).ok_or_else(|| unreadable("a member whose role set is missing"))?;
        let by = origin(found.origin)?;
        let (latest, commit) = match set.migrated {
            Some(commit) => (Origin::Migration, commit),
            None => (by, found.revision),
        };
        let place = (found.org, found.user_id);
        let roles = self.known(&set.roles)?;
        let ends = self.ends.get(&place).map(Vec::as_slice).unwrap_or_default();
        let ends: Vec<TemporaryRole> = ends.iter().copied().filter(|end| roles.contains(&end.role)).collect();
        let others = self.origins.get(&place).map(Vec::as_slice).unwrap_or_default();
        let fallbacks = self.fallbacks.get(&found.org).map(Vec::as_slice).unwrap_or_default();
        let enabled = |role| !self.disabled.contains(&(found.role_mapping, role));
        let mut shown = Vec::with_capacity(roles.len());
        for recorded_role in role_states(self.structure, &roles, &ends, enabled, fallbacks, self.now) {
            let role = recorded_role.role;
            let FoundRole { rank, name, .. } = self.role(role)?;
            let fallback_role =
                recorded_role.fallback_role.map(|(role, _)| self.role(role).map(|role| role.name.clone()));
            let member_role = MemberRole {
                role: name.clone(),
                expire_time: ends.iter().find(|end| end.role == role).map(|end| end.expire_time),
                state: recorded_role.state,
                origin: origin_of(role, by, others, &set.migrated_roles),
                fallback_role: fallback_role.transpose()?,
            };
            shown.push(((*rank, role), member_role));
        }
        shown.sort_by_key(|(place, _)| *place);
        let revision = self.commits.get(&commit).copied();
        let revision = revision.ok_or_else(|| unreadable("a membership whose commit is missing"))?;
        Ok(MemberRow {
            revision: Some(revision).filter(|_| !self.visible_only),
            member: Member {
                org_id: found.org_id,
                user_id: place.1,
                roles: shown.into_iter().map(|(_, role)| role).collect(),
                origin: Some(latest).filter(|_| !self.visible_only),
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
        set.migrated_roles.extend(row.migrated.then_some(role));
    }
    Ok(sets)
}

/// The ends of the roles of these members; few have any.
async fn ends(
    snapshot: &Snapshot,
    project: i64,
    found: &[Found],
) -> Result<HashMap<(i64, UserId), Vec<TemporaryRole>>, StoreError> {
    let temporary = found.iter().filter(|found| found.temporary);
    let mut ends: HashMap<(i64, UserId), Vec<TemporaryRole>> = HashMap::new();
    for row in beside(snapshot, project, temporary.collect(), r#"role, expire_time"#, "temporary_roles").await? {
        let (member, role) = member_and_role(&row)?;
        ends.entry(member).or_default().push(TemporaryRole { role, expire_time: Time(row.try_get_by_index(3)?) });
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
