//! Reads roles, in their order.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::SimpleExpr,
};

use super::alias::Renamed;
use super::entity::role;
use super::ids::{id, number, u32_of, unreadable};
use super::read::Snapshot;
use super::role_mapping::Filling;
use super::sql::Sql;
use super::{At, Page, ReadError, Store, StoreError};
use crate::domain::model::id::RoleId;
use crate::domain::model::role::Role;
use crate::domain::rules::role::{role_order_etag_of, visible_order_of};
use crate::domain::{OrgId, ProjectKey, RoleName, Time, UserId};

/// A role and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleRow {
    pub id: RoleId,
    pub role: Role,
    /// From 1, the highest.
    pub position: u32,
    /// The names of the roles that it manages, in the order of the roles (G2).
    pub manages: Vec<RoleName>,
}

/// Where a list of roles goes on.
#[derive(Clone, Debug)]
pub enum After {
    /// Below this rank, and where ranks were equal, this id.
    Place(u64, RoleId),
    /// Below the role of this name, if it is known to whoever asks: a rank would tell of others.
    Role(RoleName),
}

/// Which roles to list.
#[derive(Clone, Debug)]
pub struct ListRoles {
    pub project: ProjectKey,
    pub after: Option<After>,
    pub limit: u32,
    pub now: Time,
    /// The member of an org for whom they are listed, as if there were no internal ones (I2); none: all are seen.
    pub viewer: Option<(OrgId, UserId)>,
}

/// Some of the roles, and the etag of the order of all (M9).
#[derive(Clone, Debug, PartialEq)]
pub struct RoleList {
    pub page: Page<RoleRow>,
    /// Empty for a viewer: it changes with internal roles too.
    pub role_order_etag: String,
}

impl Store {
    pub async fn get_role(&self, project: &ProjectKey, name: &RoleName) -> Result<At<RoleRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let found = snapshot.role(project.id, name).await?;
        let row = Known::all(project.id).rows(&snapshot, vec![found]).await?.pop();
        Ok(snapshot.at(row.ok_or_else(|| unreadable("a role without a row"))?).await)
    }

    /// From the highest role to the lowest.
    pub async fn list_roles(&self, ask: ListRoles) -> Result<RoleList, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(&ask.project).await?;
        let mut known = Known::all(project.id);
        if let Some((org_id, viewer)) = &ask.viewer {
            let org = snapshot.org(project.id, org_id).await?;
            snapshot.admit(&project, &org, viewer, ask.now).await?;
            known.visible_only = true;
        }
        if known.visible_only {
            let order = known.order(&snapshot).await?;
            snapshot.found_in_order(visible_order_of(&order));
        }
        let after = match &ask.after {
            None => None,
            Some(After::Place(rank, id)) => Some((*rank as i64, number(*id))),
            // Not before the viewer was let in, and one that it does not see is like one that is not there.
            Some(After::Role(name)) => {
                let role = snapshot.role_named(project.id, name).await?;
                let role = role.filter(|role| !(known.visible_only && role.internal)).ok_or(ReadError::PlaceGone)?;
                Some((role.rank, role.id))
            }
        };
        let mut find = known.roles();
        if let Some((rank, id)) = after {
            find = find.filter(below(rank, id));
        }
        let find = find.order_by_asc(role::Column::Rank).order_by_asc(role::Column::Id);
        let found = find.limit(u64::from(ask.limit) + 1).all(&snapshot.tx).await?;
        let counts = known.counts(&snapshot, &found).await?;
        let mut filling = Filling::new(ask.limit);
        for role in found {
            let names = counts.get(&role.id).copied().unwrap_or_default();
            if !filling.take(role, names) {
                break;
            }
        }
        let more = filling.more;
        let rows = known.rows(&snapshot, filling.roles).await?;
        let role_order_etag = match known.visible_only {
            true => String::new(),
            false => {
                let (version, next) = (u32_of(project.role_order_version)?, u32_of(project.next_role)?);
                role_order_etag_of(id(project.id)?, version, next, known.roles().count(&snapshot.tx).await? as usize)
            }
        };
        let At { revision, value: rows, scope } = snapshot.at(rows).await;
        Ok(RoleList { page: Page { revision, rows, more, scope }, role_order_etag })
    }
}

/// Whether a role stands below one of this rank and id. The first term is what an index can be asked.
pub fn below(rank: i64, id: i64) -> SimpleExpr {
    let tied_or_lower = role::Column::Rank.gt(rank).or(role::Column::Id.gt(id));
    role::Column::Rank.gte(rank).and(tied_or_lower)
}

/// The roles of a project that are known to whoever asks.
#[derive(Clone, Copy)]
struct Known {
    project: i64,
    visible_only: bool,
}

impl Known {
    fn all(project: i64) -> Self {
        Self { project, visible_only: false }
    }

    fn roles(self) -> Select<role::Entity> {
        let find = role::Entity::find().filter(role::Column::Project.eq(self.project));
        if self.visible_only { find.filter(role::Column::Internal.eq(false)) } else { find }
    }

    /// All of them in their order, with when each was created.
    async fn order(self, snapshot: &Snapshot) -> Result<Vec<(RoleId, Time)>, StoreError> {
        let find = self.roles().select_only().column(role::Column::Id).column(role::Column::CreateTime);
        let find = find.order_by_asc(role::Column::Rank).order_by_asc(role::Column::Id);
        let found: Vec<(i64, i64)> = find.into_tuple().all(&snapshot.tx).await?;
        found.into_iter().map(|(role, created)| Ok((id(role)?, Time(created)))).collect()
    }

    /// How many roles stand above this one.
    async fn above(self, snapshot: &Snapshot, role: &role::Model) -> Result<u32, StoreError> {
        let tied = role::Column::Rank.eq(role.rank).and(role::Column::Id.lt(role.id));
        let higher = role::Column::Rank.lt(role.rank).or(tied);
        let higher = self.roles().filter(higher).count(&snapshot.tx).await?;
        Ok(u32::try_from(higher).unwrap_or(u32::MAX))
    }

    /// How many roles each of these manages; one that manages none is missing.
    async fn counts(self, snapshot: &Snapshot, roles: &[role::Model]) -> Result<HashMap<i64, usize>, StoreError> {
        let managed = self.managed(roles, "m.role, count(*)", "GROUP BY m.role");
        let mut counts = HashMap::new();
        for row in snapshot.tx.query_all_raw(managed.statement(snapshot.tx.get_database_backend())).await? {
            counts.insert(row.try_get_by_index(0)?, row.try_get_by_index::<i64>(1)? as usize);
        }
        Ok(counts)
    }

    /// The roles that these manage, in the order of the roles.
    async fn manages(
        self,
        snapshot: &Snapshot,
        roles: &[role::Model],
    ) -> Result<HashMap<i64, Vec<(RoleId, RoleName)>>, StoreError> {
        let managed = self.managed(roles, "m.role, r.id, r.name", r#"ORDER BY m.role, r."rank", r.id"#);
        let mut manages: HashMap<i64, Vec<(RoleId, RoleName)>> = HashMap::new();
        for row in snapshot.tx.query_all_raw(managed.statement(snapshot.tx.get_database_backend())).await? {
            let name = RoleName::stored(row.try_get_by_index::<String>(2)?);
            manages.entry(row.try_get_by_index(0)?).or_default().push((id(row.try_get_by_index(1)?)?, name));
        }
        Ok(manages)
    }

    fn managed(self, roles: &[role::Model], columns: &str, rest: &str) -> Sql {
        let mut sql = Sql::default();
        let project = sql.bind(self.project);
        let roles = sql.list(roles.iter().map(|role| role.id));
        let visible = if self.visible_only { "AND NOT r.internal" } else { "" };
        sql.push(&format!(
            "SELECT {columns} FROM managed_roles m JOIN roles r ON r.project = m.project AND r.id = m.managed
             WHERE m.project = {project} AND m.role IN ({roles}) {visible} {rest}"
        ));
        sql
    }

    /// Adds the old names, the positions and what they manage to roles that follow each other.
    async fn rows(self, snapshot: &Snapshot, found: Vec<role::Model>) -> Result<Vec<RoleRow>, StoreError> {
        let Some(first) = found.first() else { return Ok(Vec::new()) };
        let above = self.above(snapshot, first).await?;
        let mut aliases = snapshot.aliases(self.project, Renamed::Role, found.iter().map(|role| role.id)).await?;
        let mut manages = self.manages(snapshot, &found).await?;
        let row = |(found, position): (role::Model, u32)| {
            let (mut managed, manages): (Vec<RoleId>, _) =
                manages.remove(&found.id).unwrap_or_default().into_iter().unzip();
            managed.sort_unstable();
            Ok(RoleRow {
                id: id(found.id)?,
                role: Role {
                    name: RoleName::stored(found.name),
                    description: found.description.into(),
                    internal: found.internal,
                    rank: found.rank.unsigned_abs(),
                    create_time: Time(found.create_time),
                    aliases: aliases.remove(&found.id).unwrap_or_default().into_iter().map(RoleName::stored).collect(),
                    version: u32_of(found.version)?,
                    manages: managed.into(),
                },
                position,
                manages,
            })
        };
        found.into_iter().zip(above + 1..).map(row).collect()
    }
}
