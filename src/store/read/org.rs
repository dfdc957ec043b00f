//! Reads orgs.

use std::collections::{BTreeSet, HashMap};

use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select};

use super::snapshot::{Page, Snapshot};
use crate::domain::model::email::EmailDomain;
use crate::domain::model::org::OrgProfile;
use crate::domain::rules::org_domain::ShownDomain;
use crate::domain::{OrgId, ProjectKey, RoleMappingName, RoleName, Time};
use crate::store::connect::LONG_MAX;
use crate::store::ids::unreadable;
use crate::store::schema::{membership, org, org_domain, project, role, role_mapping, role_set_role, temporary_role};
use crate::store::{ReadError, Store, StoreError};

#[derive(Clone, Debug, PartialEq)]
pub struct OrgRow {
    pub profile: OrgProfile,
    pub role_mapping: RoleMappingName,
    pub domains: Vec<ShownDomain>,
}

#[derive(Clone, Debug)]
pub struct ListOrgs {
    pub project: ProjectKey,
    /// Only orgs subscribed to it.
    pub role_mapping: Option<RoleMappingName>,
    /// Only orgs in which no member holds the default owner role permanently.
    pub ownerless: bool,
    pub after: Option<OrgId>,
    pub limit: u32,
}

impl Store {
    /// Returns orgs by ascending id.
    pub async fn list_orgs(&self, ask: ListOrgs) -> Result<Page<OrgRow>, ReadError> {
        let read = async {
            let snapshot = self.snapshot().await?;
            let project = snapshot.project(&ask.project).await?;
            let role_mapping = snapshot.named_mapping(project.id, ask.role_mapping.as_ref()).await?;
            let mut find = existing(project.id, role_mapping, ask.after.as_ref());
            if ask.ownerless {
                find = find.filter(ownerless(&project));
            }
            let found = find.limit(u64::from(ask.limit) + 1).all(&snapshot.tx).await?;
            let rows = rows(&snapshot, project.id, found).await?;
            snapshot.page(rows, project.id, role_mapping).await
        };
        self.answered(LONG_MAX, read).await
    }

    /// Returns the orgs that list an e-mail domain, verified: ids, ascending, with display names (J1.d).
    pub async fn list_joinable_orgs(
        &self,
        project: &ProjectKey,
        domain: &str,
        after: Option<&OrgId>,
        limit: u32,
    ) -> Result<Page<(OrgId, String)>, ReadError> {
        let read = async {
            let snapshot = self.snapshot().await?;
            let project = snapshot.project(project).await?;
            let listed = org_domain::Column::Project.eq(project.id).and(org_domain::Column::Domain.eq(domain));
            let listed = listed.and(org_domain::Column::Verified.eq(true));
            let orgs = org_domain::Entity::find().select_only().column(org_domain::Column::Org).filter(listed);
            let find = existing(project.id, None, after).filter(org::Column::No.in_subquery(orgs.into_query()));
            let found = find.limit(u64::from(limit) + 1).all(&snapshot.tx).await.map_err(StoreError::from)?;
            let rows = found.into_iter().map(|org| (OrgId::stored(org.org_id), org.display_name)).collect();
            snapshot.page(rows, project.id, None).await
        };
        self.answered(LONG_MAX, read).await
    }
}

/// Selects the existing orgs of a project by ascending id, after this id; if a role mapping is given, its subscribers only.
pub fn existing(project: i64, role_mapping: Option<i64>, after: Option<&OrgId>) -> Select<org::Entity> {
    let existing = org::Column::Project.eq(project).and(org::Column::DeletedAt.is_null());
    let mut find = org::Entity::find().filter(existing);
    if let Some(role_mapping) = role_mapping {
        find = find.filter(org::Column::RoleMapping.eq(role_mapping));
    }
    if let Some(after) = after {
        find = find.filter(org::Column::OrgId.gt(after.as_str()));
    }
    find.order_by_asc(org::Column::OrgId)
}

/// Selects orgs in which no member holds the default owner role permanently (B3). The planner decides whether to start from
/// the role sets with that role or from the members of the org: there may be few such sets or very many.
fn ownerless(project: &project::Model) -> SimpleExpr {
    let of_role = role_set_role::Column::Project.eq(project.id);
    let of_role = of_role.and(role_set_role::Column::Role.eq(project.default_owner_role));
    let sets = role_set_role::Entity::find().select_only().column(role_set_role::Column::RoleSet).filter(of_role);
    let here = |own: membership::Column, theirs: temporary_role::Column| {
        Expr::col((membership::Entity, own)).equals((temporary_role::Entity, theirs))
    };
    let ends = temporary_role::Entity::find()
        .select_only()
        .expr(Expr::val(1))
        .filter(here(membership::Column::Project, temporary_role::Column::Project))
        .filter(here(membership::Column::Org, temporary_role::Column::Org))
        .filter(here(membership::Column::UserId, temporary_role::Column::UserId))
        .filter(temporary_role::Column::Role.eq(project.default_owner_role));
    let in_org = Expr::col((membership::Entity, membership::Column::Org)).equals((org::Entity, org::Column::No));
    let owners = membership::Entity::find()
        .select_only()
        .expr(Expr::val(1))
        .filter(membership::Column::Project.eq(project.id))
        .filter(in_org)
        .filter(membership::Column::RoleSet.in_subquery(sets.into_query()))
        .filter(membership::Column::Temporary.eq(false).or(Expr::exists(ends.into_query()).not()));
    Expr::exists(owners.into_query()).not()
}

pub async fn mapping_names(
    snapshot: &Snapshot,
    project: i64,
    ids: impl Iterator<Item = i64>,
) -> Result<HashMap<i64, RoleMappingName>, StoreError> {
    let ids: BTreeSet<i64> = ids.collect();
    let named = role_mapping::Column::Project.eq(project).and(role_mapping::Column::Id.is_in(ids));
    let mappings = role_mapping::Entity::find().filter(named).all(&snapshot.tx).await?;
    Ok(mappings.into_iter().map(|mapping| (mapping.id, RoleMappingName::stored(mapping.name))).collect())
}

async fn rows(snapshot: &Snapshot, project: i64, found: Vec<org::Model>) -> Result<Vec<OrgRow>, StoreError> {
    let names = mapping_names(snapshot, project, found.iter().map(|org| org.role_mapping)).await?;
    let mut domains = domains(snapshot, project, found.iter().map(|org| org.no)).await?;
    let row = |org: org::Model| {
        let role_mapping = names.get(&org.role_mapping).cloned();
        Ok(OrgRow {
            role_mapping: role_mapping.ok_or_else(|| unreadable("an org whose role mapping is missing"))?,
            domains: domains.remove(&org.no).unwrap_or_default(),
            profile: OrgProfile {
                org_id: OrgId::stored(org.org_id),
                display_name: org.display_name.into(),
                metadata: org.metadata.into(),
                create_time: Time(org.create_time),
            },
        })
    };
    found.into_iter().map(row).collect()
}

/// Returns the e-mail domains of these orgs, ascending, with the names of their roles from the highest to the lowest.
async fn domains(
    snapshot: &Snapshot,
    project: i64,
    orgs: impl Iterator<Item = i64>,
) -> Result<HashMap<i64, Vec<ShownDomain>>, StoreError> {
    let listed = org_domain::Column::Project.eq(project).and(org_domain::Column::Org.is_in(orgs));
    let find = org_domain::Entity::find().filter(listed).order_by_asc(org_domain::Column::Domain);
    let found = find.all(&snapshot.tx).await?;
    let sets: BTreeSet<i64> = found.iter().filter_map(|rule| rule.role_set).collect();
    let mut names: HashMap<i64, Vec<RoleName>> = HashMap::new();
    if !sets.is_empty() {
        let in_sets = role_set_role::Column::Project.eq(project).and(role_set_role::Column::RoleSet.is_in(sets));
        let in_sets = role_set_role::Entity::find().filter(in_sets).all(&snapshot.tx).await?;
        let ids: BTreeSet<i64> = in_sets.iter().map(|row| row.role).collect();
        let roles = role::Column::Project.eq(project).and(role::Column::Id.is_in(ids));
        for role in role::Entity::find().filter(roles).order_by_asc(role::Column::Rank).all(&snapshot.tx).await? {
            for row in in_sets.iter().filter(|row| row.role == role.id) {
                names.entry(row.role_set).or_default().push(RoleName::stored(role.name.as_str()));
            }
        }
    }
    let mut domains: HashMap<i64, Vec<ShownDomain>> = HashMap::new();
    for rule in found {
        domains.entry(rule.org).or_default().push(ShownDomain {
            domain: EmailDomain::stored(rule.domain),
            roles: rule.role_set.and_then(|set| names.get(&set).cloned()).unwrap_or_default(),
            verified: rule.verified,
            apply_to_existing: rule.apply_to_existing,
        });
    }
    Ok(domains)
}
