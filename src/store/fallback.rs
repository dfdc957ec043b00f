//! Reads who stands in for suspended roles (M7). An org has few of them, mostly none.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect};

use super::StoreError;
use super::entity::{grant, org};
use super::ids::{id, number};
use super::read::Snapshot;
use super::role_mapping::disabled_in;
use super::sql::Sql;
use crate::domain::model::fallback::{Fallback, fallback_of};

/// The suspended roles of an org in whose places others are held, with those.
#[derive(Default)]
pub struct Places(BTreeMap<i64, i64>);

impl Places {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The suspended roles.
    pub fn taken(&self) -> impl Iterator<Item = i64> {
        self.0.keys().copied()
    }

    /// The suspended roles in whose places this one is held.
    pub fn taken_by(&self, role: i64) -> impl Iterator<Item = i64> {
        self.0.iter().filter(move |&(_, &by)| by == role).map(|(&suspended, _)| suspended)
    }
}

impl Snapshot {
    /// Who stands in for whom in these orgs, as it is recorded; an org where nobody does is missing. Where `visible_only`,
    /// as if there were no internal roles.
    pub async fn fallbacks(
        &self,
        project: i64,
        orgs: BTreeSet<i64>,
        visible_only: bool,
    ) -> Result<HashMap<i64, Vec<Fallback>>, StoreError> {
        let mut sql = Sql::default();
        let (project, orgs) = (sql.bind(project), sql.list(orgs));
        let hidden = match visible_only {
            true => {
                " AND NOT EXISTS (SELECT 1 FROM roles r
                                  WHERE r.project = s.project AND r.id IN (s.role, s.fallback_role) AND r.internal)"
            }
            false => "",
        };
        sql.push(&format!(
            "SELECT s.org, s.role, s.fallback_role FROM fallback_roles s
             WHERE s.project = {project} AND s.org IN ({orgs}){hidden} ORDER BY s.org, s.role"
        ));
        let mut found: HashMap<i64, Vec<Fallback>> = HashMap::new();
        for row in self.tx.query_all_raw(sql.statement(self.tx.get_database_backend())).await? {
            let recorded_role =
                Fallback { role: id(row.try_get_by_index(1)?)?, fallback_role: id(row.try_get_by_index(2)?)? };
            found.entry(row.try_get_by_index(0)?).or_default().push(recorded_role);
        }
        Ok(found)
    }

    /// The places of suspended roles in an org.
    pub async fn places(&self, org: &org::Model, visible_only: bool) -> Result<Places, StoreError> {
        let found = self.fallbacks(org.project, BTreeSet::from([org.no]), visible_only).await?.remove(&org.no);
        let Some(fallbacks) = found else { return Ok(Places::default()) };
        let disabled = disabled_in(self, org.project, org.role_mapping).await?;
        let suspended =
            fallbacks.iter().map(|recorded_role| recorded_role.role).filter(|&role| disabled.contains(&number(role)));
        let places = suspended.filter_map(|role| {
            let by = fallback_of(&fallbacks, role, |role| !disabled.contains(&number(role)))?;
            Some((number(role), number(by)))
        });
        Ok(Places(places.collect()))
    }

    /// The suspended roles of an org that count for a permission, since what is held in their places grants it.
    pub async fn granting(&self, org: &org::Model, places: &Places, permission: i64) -> Result<Vec<i64>, StoreError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let by: BTreeSet<i64> = places.0.values().copied().collect();
        let granted = grant::Column::Project.eq(org.project).and(grant::Column::RoleMapping.eq(org.role_mapping));
        let granted = granted.and(grant::Column::Permission.eq(permission)).and(grant::Column::Role.is_in(by));
        let find = grant::Entity::find().select_only().column(grant::Column::Role).filter(granted);
        let granting: BTreeSet<i64> = find.into_tuple().all(&self.tx).await?.into_iter().collect();
        Ok(places.0.iter().filter(|(_, by)| granting.contains(by)).map(|(&suspended, _)| suspended).collect())
    }
}
