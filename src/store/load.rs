//! Loads the whole State in one snapshot. Every row is applied as the change that would have created it.

mod memberships;

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend};

use super::ids::{environment, id, number, role_structure, u32_of, unreadable};
use super::rows::each;
use super::{Database, Store, StoreError};
use crate::domain::collections::hash::HashKey;
use crate::domain::collections::numbered::Numbered;
use crate::domain::model::api_key::{ApiKey, ApiKeyId, ApiKeyScope};
use crate::domain::model::email::{EmailAddress, EmailDomain};
use crate::domain::model::fallback::Fallback;
use crate::domain::model::id::{OrgNo, PermissionId, ProjectId, RoleId, RoleMappingId, RoleSetId};
use crate::domain::model::invitation::{InvitationId, InvitationRecord, Stage};
use crate::domain::model::org::{OrgProfile, OrgRecord};
use crate::domain::model::org_domain::OrgDomain;
use crate::domain::model::permission::Permission;
use crate::domain::model::project::ProjectRecord;
use crate::domain::model::role::Role;
use crate::domain::model::role_mapping::RoleMappingRecord;
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::user::Block;
use crate::domain::state::Counters;
use crate::domain::state::change::{GrantsKey, InvitationKey, MembershipKey, UserKey};
use crate::domain::{
    Change, Edit, OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, Scoped, State, Time, UserId,
};
use crate::store::schema::alias::Renamed;

impl Store {
    /// Returns the State at the newest revision. Its hashes use `hash_key`.
    pub async fn load(&self, hash_key: HashKey) -> Result<State, StoreError> {
        let snapshot = self.snapshot().await?;
        if self.database() == Database::Postgres {
            // A large table takes longer than a statement of a list may.
            snapshot.tx.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
        }
        let mut state = State::new(hash_key);
        let counters = projects(&snapshot.tx, &mut state).await?;
        let mut aliases = Aliases::read(&snapshot.tx).await?;
        permissions(&snapshot.tx, &mut state, &mut aliases).await?;
        roles(&snapshot.tx, &mut state, &mut aliases).await?;
        role_sets(&snapshot.tx, &mut state).await?;
        role_mappings(&snapshot.tx, &mut state, &mut aliases).await?;
        grants(&snapshot.tx, &mut state).await?;
        state.share_rows();
        orgs(&snapshot.tx, &mut state).await?;
        fallbacks(&snapshot.tx, &mut state).await?;
        state = memberships::load(&snapshot.tx, state).await?;
        invitations(&snapshot.tx, &mut state).await?;
        blocks(&snapshot.tx, &mut state).await?;
        api_keys(&snapshot.tx, &mut state).await?;
        org_domains(&snapshot.tx, &mut state).await?;
        removals(&snapshot.tx, &mut state).await?;
        for (project, counters) in counters {
            state.restore_counters(project, &counters);
        }
        state.set_revision(snapshot.revision);
        snapshot.end().await;
        Ok(state)
    }
}

/// The old names of permissions, roles and role mappings, oldest first.
struct Aliases(HashMap<(i16, ProjectId, i64), Vec<String>>);

impl Aliases {
    async fn read(tx: &DatabaseTransaction) -> Result<Self, StoreError> {
        let mut all: HashMap<_, Vec<String>> = HashMap::new();
        each(tx, "SELECT noun, project, id, alias FROM aliases ORDER BY noun, project, id, place", |mut row| {
            all.entry((row.next()?, row.id()?, row.next()?)).or_default().push(row.text()?);
            Ok(())
        })
        .await?;
        Ok(Self(all))
    }

    fn of<I: Numbered, N>(&mut self, noun: Renamed, key: Scoped<I>, name: fn(String) -> N) -> Arc<[N]> {
        let names = self.0.remove(&(noun as i16, key.project, number(key.id)));
        names.unwrap_or_default().into_iter().map(name).collect()
    }
}

fn created<K, V>(key: K, value: V) -> Edit<K, V> {
    Edit { key, before: None, after: Some(value) }
}

async fn projects(tx: &DatabaseTransaction, state: &mut State) -> Result<Vec<(ProjectId, Counters)>, StoreError> {
    let mut all = Vec::new();
    let sql = r#"SELECT id, "key", display_name, environment, role_structure, default_role, default_owner_role,
            default_role_mapping, create_time, version, role_order_version, deleted_at, purged,
            next_permission, next_role, next_role_set, next_role_mapping, next_org
        FROM projects ORDER BY id"#;
    each(tx, sql, |mut row| {
        let project = row.id()?;
        let record = ProjectRecord {
            key: ProjectKey::stored(row.text()?),
            display_name: row.text()?.into(),
            environment: environment(row.next()?)?,
            role_structure: role_structure(row.next()?)?,
            default_role: row.id()?,
            default_owner_role: row.id()?,
            default_role_mapping: row.id()?,
            create_time: row.time()?,
            version: u32_of(row.next()?)?,
            role_order_version: u32_of(row.next()?)?,
            lifecycle: row.lifecycle()?,
        };
        state.apply(&Change::Project(created(project, record)));
        let counters = Counters {
            permission: u32_of(row.next()?)?,
            role: u32_of(row.next()?)?,
            role_set: u32_of(row.next()?)?,
            role_mapping: u32_of(row.next()?)?,
            org: u32_of(row.next()?)?,
        };
        all.push((project, counters));
        Ok(())
    })
    .await?;
    Ok(all)
}

async fn permissions(tx: &DatabaseTransaction, state: &mut State, aliases: &mut Aliases) -> Result<(), StoreError> {
    let sql = "SELECT project, id, name, description, built_in, create_time FROM permissions ORDER BY project, id";
    each(tx, sql, |mut row| {
        let key = row.scoped()?;
        let permission = Permission {
            name: PermissionName::stored(row.text()?),
            description: row.text()?.into(),
            built_in: row.next()?,
            create_time: row.time()?,
            aliases: aliases.of(Renamed::Permission, key, PermissionName::stored),
        };
        state.apply(&Change::Permission(created(key, permission)));
        Ok(())
    })
    .await
}

async fn roles(tx: &DatabaseTransaction, state: &mut State, aliases: &mut Aliases) -> Result<(), StoreError> {
    let mut managed: HashMap<Scoped<RoleId>, Vec<RoleId>> = HashMap::new();
    each(tx, "SELECT project, role, managed FROM managed_roles ORDER BY project, role, managed", |mut row| {
        managed.entry(row.scoped()?).or_default().push(row.id()?);
        Ok(())
    })
    .await?;
    let sql = r#"SELECT project, id, name, description, internal, "rank", create_time, version FROM roles
        ORDER BY project, "rank", id"#;
    each(tx, sql, |mut row| {
        let key = row.scoped()?;
        let role = Role {
            name: RoleName::stored(row.text()?),
            description: row.text()?.into(),
            internal: row.next()?,
            rank: row.next::<i64>()?.unsigned_abs(),
            create_time: row.time()?,
            aliases: aliases.of(Renamed::Role, key, RoleName::stored),
            version: u32_of(row.next()?)?,
            manages: managed.remove(&key).unwrap_or_default().into(),
        };
        state.apply(&Change::Role(created(key, role)));
        Ok(())
    })
    .await
}

async fn role_sets(tx: &DatabaseTransaction, state: &mut State) -> Result<(), StoreError> {
    let mut roles: HashMap<Scoped<RoleSetId>, Vec<(RoleId, bool)>> = HashMap::new();
    each(tx, "SELECT project, role_set, role, migrated FROM role_set_roles", |mut row| {
        roles.entry(row.scoped()?).or_default().push((row.id()?, row.next()?));
        Ok(())
    })
    .await?;
    each(tx, "SELECT project, id, migrated FROM role_sets ORDER BY project, id", |mut row| {
        let key = row.scoped()?;
        let roles = roles.remove(&key).unwrap_or_default();
        let migrated_roles = roles.iter().filter(|(_, migrated)| *migrated).map(|&(role, _)| role);
        let RoleSet { roles: migrated_roles, .. } = RoleSet::new(migrated_roles);
        let set = RoleSet::new(roles.iter().map(|&(role, _)| role));
        let set = RoleSet { migrated: row.next()?, migrated_roles, ..set };
        state.apply(&Change::RoleSet(created(key, set)));
        Ok(())
    })
    .await
}

async fn role_mappings(tx: &DatabaseTransaction, state: &mut State, aliases: &mut Aliases) -> Result<(), StoreError> {
    let mut disabled: HashMap<Scoped<RoleMappingId>, Vec<RoleId>> = HashMap::new();
    let sql = "SELECT project, role_mapping, role FROM disabled_roles ORDER BY project, role_mapping, role";
    each(tx, sql, |mut row| {
        disabled.entry(row.scoped()?).or_default().push(row.id()?);
        Ok(())
    })
    .await?;
    let sql = "SELECT project, id, name, description, create_time, version FROM role_mappings ORDER BY project, id";
    each(tx, sql, |mut row| {
        let key = row.scoped()?;
        let record = RoleMappingRecord {
            name: RoleMappingName::stored(row.text()?),
            description: row.text()?.into(),
            disabled_roles: disabled.remove(&key).unwrap_or_default().into(),
            create_time: row.time()?,
            aliases: aliases.of(Renamed::RoleMapping, key, RoleMappingName::stored),
            version: u32_of(row.next()?)?,
        };
        state.apply(&Change::RoleMapping(created(key, record)));
        Ok(())
    })
    .await
}

/// The permissions of one mapping and role are one row and one change.
async fn grants(tx: &DatabaseTransaction, state: &mut State) -> Result<(), StoreError> {
    let permissions = match ConnectionTrait::get_database_backend(tx) {
        DbBackend::Postgres => "string_agg(permission::text, ',')",
        _ => "group_concat(permission)",
    };
    let sql = format!(
        "SELECT project, role_mapping, role, {permissions} FROM grants
        GROUP BY project, role_mapping, role ORDER BY project, role_mapping, role"
    );
    each(tx, &sql, |mut row| {
        let key = GrantsKey { project: row.id()?, role_mapping: row.id()?, role: row.id()? };
        let text = row.text()?;
        let number = |text: &str| text.parse().map_err(|_| unreadable("a permission that is no number")).and_then(id);
        let mut permissions = text.split(',').map(number).collect::<Result<Vec<PermissionId>, _>>()?;
        permissions.sort_unstable();
        state.apply(&Change::Grants(created(key, permissions.into_iter().collect())));
        Ok(())
    })
    .await
}

/// Also loads deleted orgs: their ids are retired, and some still have members to purge.
async fn orgs(tx: &DatabaseTransaction, state: &mut State) -> Result<(), StoreError> {
    let sql = r#"SELECT project, "no", org_id, display_name, metadata, create_time, role_mapping, deleted_at, purged FROM orgs
        ORDER BY project, "no""#;
    each(tx, sql, |mut row| {
        let key = row.scoped()?;
        let profile = OrgProfile {
            org_id: OrgId::stored(row.text()?),
            display_name: row.text()?.into(),
            metadata: row.text()?.into(),
            create_time: row.time()?,
        };
        let record = OrgRecord { profile: Arc::new(profile), role_mapping: row.id()?, lifecycle: row.lifecycle()? };
        state.apply(&Change::Org(created(key, record)));
        Ok(())
    })
    .await
}

async fn api_keys(tx: &DatabaseTransaction, state: &mut State) -> Result<(), StoreError> {
    let sql = "SELECT project, id, hash, display_name, operator, environment, checks_only, acting_user_required,
            no_activity, scope_project, scope_org, creator, create_time, expire_time, archive_time
        FROM api_keys ORDER BY project, id";
    each(tx, sql, |mut row| {
        let project = row.id()?;
        let id = ApiKeyId(row.next::<i64>()?.cast_unsigned());
        let hash: Vec<u8> = row.next()?;
        let key = ApiKey {
            hash: hash.try_into().map_err(|_| unreadable("an API key without a hash"))?,
            display_name: row.text()?.into(),
            operator: UserId::stored(row.text()?),
            environment: environment(row.next()?)?,
            scope: ApiKeyScope {
                checks_only: row.next()?,
                acting_user_required: row.next()?,
                no_activity: row.next()?,
                project: row.next::<Option<i64>>()?.map(super::ids::id).transpose()?,
                org: row.next::<Option<i64>>()?.map(super::ids::id).transpose()?,
            },
            creator: row.text()?.into(),
            create_time: row.time()?,
            expire_time: row.next::<Option<i64>>()?.map(Time),
            archive_time: row.next::<Option<i64>>()?.map(Time),
        };
        state.apply(&Change::ApiKey(created(Scoped { project, id }, Arc::new(key))));
        Ok(())
    })
    .await
}

/// The rows of one org follow each other and are one change.
async fn fallbacks(tx: &DatabaseTransaction, state: &mut State) -> Result<(), StoreError> {
    let mut current: Option<(Scoped<OrgNo>, Vec<Fallback>)> = None;
    let mut apply = |row: Option<(Scoped<OrgNo>, Vec<Fallback>)>| {
        if let Some((key, fallbacks)) = row {
            state.apply(&Change::Fallbacks(created(key, fallbacks.into())));
        }
    };
    each(tx, "SELECT project, org, role, fallback_role FROM fallback_roles ORDER BY project, org, role", |mut row| {
        let key = row.scoped()?;
        let fallback = Fallback { role: row.id()?, fallback_role: row.id()? };
        match &mut current {
            Some((last, fallbacks)) if *last == key => fallbacks.push(fallback),
            _ => apply(current.replace((key, vec![fallback]))),
        }
        Ok(())
    })
    .await?;
    apply(current);
    Ok(())
}

/// Loads pending invitations only. The database keeps the others.
async fn invitations(tx: &DatabaseTransaction, state: &mut State) -> Result<(), StoreError> {
    let sql = "SELECT project, org, id, email, inviter, create_time, expire_time, role_set FROM invitations
        WHERE role_set IS NOT NULL ORDER BY project, org, id";
    each(tx, sql, |mut row| {
        let (project, org, id) = (row.id()?, row.id()?, row.text()?);
        let id = InvitationId::parse(&id).ok_or_else(|| unreadable("an invitation with a malformed id"))?;
        let record = InvitationRecord {
            email: EmailAddress::stored(row.text()?),
            inviter: row.next::<Option<String>>()?.map(UserId::stored),
            create_time: row.time()?,
            expire_time: row.time()?,
            stage: Stage::Pending { role_set: row.id()? },
        };
        state.apply(&Change::Invitation(created(InvitationKey { project, org, id }, record)));
        Ok(())
    })
    .await
}

async fn blocks(tx: &DatabaseTransaction, state: &mut State) -> Result<(), StoreError> {
    each(tx, "SELECT project, user_id, block_time FROM blocked_users ORDER BY project, user_id", |mut row| {
        let key = UserKey { project: row.id()?, user: UserId::stored(row.text()?) };
        state.apply(&Change::Block(created(key, Block { block_time: row.time()? })));
        Ok(())
    })
    .await
}

/// The rows of one org follow each other and are one change.
async fn org_domains(tx: &DatabaseTransaction, state: &mut State) -> Result<(), StoreError> {
    let mut current: Option<(Scoped<OrgNo>, Vec<OrgDomain>)> = None;
    let mut apply = |row: Option<(Scoped<OrgNo>, Vec<OrgDomain>)>| {
        if let Some((key, domains)) = row {
            state.apply(&Change::OrgDomains(created(key, domains.into())));
        }
    };
    let sql = "SELECT project, org, domain, role_set, verified, apply_to_existing FROM org_domains
        ORDER BY project, org, domain";
    each(tx, sql, |mut row| {
        let key = row.scoped()?;
        let domain = EmailDomain::stored(row.text()?);
        let role_set: Option<i64> = row.next()?;
        let role_set = role_set.map(id).transpose()?;
        let rule = OrgDomain { domain, role_set, verified: row.next()?, apply_to_existing: row.next()? };
        match &mut current {
            Some((last, domains)) if *last == key => domains.push(rule),
            _ => apply(current.replace((key, vec![rule]))),
        }
        Ok(())
    })
    .await?;
    apply(current);
    Ok(())
}

async fn removals(tx: &DatabaseTransaction, state: &mut State) -> Result<(), StoreError> {
    each(tx, "SELECT project, org, user_id FROM removed_members ORDER BY project, org, user_id", |mut row| {
        let key = MembershipKey { project: row.id()?, org: row.id()?, user: UserId::stored(row.text()?) };
        state.apply(&Change::Removal(created(key, ())));
        Ok(())
    })
    .await
}
