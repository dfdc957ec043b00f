//! The State that the benches in memory measure.

use std::num::NonZeroU32;
use std::sync::Arc;

use rolecall::domain::collections::hash::HashKey;
use rolecall::domain::model::id::{OrgNo, PermissionId, ProjectId, RoleId, RoleMappingId, RoleSetId};
use rolecall::domain::model::lifecycle::Lifecycle;
use rolecall::domain::model::membership::{MembershipRecord, Origin};
use rolecall::domain::model::org::{OrgProfile, OrgRecord};
use rolecall::domain::model::permission::Permission;
use rolecall::domain::model::project::{Environment, ProjectRecord, RoleStructure};
use rolecall::domain::model::role::{Role, rank_at};
use rolecall::domain::model::role_mapping::RoleMappingRecord;
use rolecall::domain::model::role_set::RoleSet;
use rolecall::domain::state::change::{GrantsKey, MembershipKey};
use rolecall::domain::{
    Change, Edit, OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, Scoped, State, Time, UserId,
};

pub const PROJECT: ProjectId = ProjectId(NonZeroU32::MIN);
pub const MEMBERS: u32 = 100;
pub const PERMISSIONS: u32 = 200;
pub const ROLES: u32 = 10;
const ROLE_MAPPINGS: u32 = 4;

pub fn permission(number: u32) -> String {
    format!("Product{}::CanDo{number:06}", number % 10)
}

/// Returns an id in the form of a UUID.
pub fn id(kind: u64, number: u32) -> String {
    let mut random = Random(kind << 40 | u64::from(number));
    let (high, low) = (random.next(), random.next());
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// Returns a State with 100 members in each org, 10 roles and 4 mappings, where half of the permissions are granted.
/// `held` returns the number of each member's role.
pub fn state(memberships: u32, mut held: impl FnMut(&mut Random) -> u32) -> State {
    let mut state = State::new(HashKey::new([42; 16]));
    let mut random = Random(42);
    state.apply(&Change::Project(created(PROJECT, project())));
    for number in 1..=PERMISSIONS {
        let name = PermissionName::stored(permission(number - 1));
        let permission =
            Permission { name, description: "".into(), built_in: false, create_time: Time(0), aliases: [].into() };
        state.apply(&Change::Permission(created(scoped(PermissionId::new(number)), permission)));
    }
    for number in 1..=ROLES {
        state.apply(&Change::Role(created(scoped(RoleId::new(number)), role(number))));
        state.apply(&Change::RoleSet(created(scoped(RoleSetId::new(number)), RoleSet::new([role_id(number)]))));
    }
    for number in 1..=ROLE_MAPPINGS {
        let record = RoleMappingRecord {
            name: RoleMappingName::stored(format!("mapping {number}")),
            description: "".into(),
            disabled_roles: [role_id(number)].into(),
            create_time: Time(0),
            aliases: [].into(),
            version: 1,
        };
        let mapping = scoped(RoleMappingId::new(number));
        state.apply(&Change::RoleMapping(created(mapping, record)));
        for role in (1..=ROLES).map(role_id) {
            let granted = (1..=PERMISSIONS).filter(|_| random.below(10) < 6).filter_map(PermissionId::new).collect();
            let key = GrantsKey { project: PROJECT, role_mapping: mapping.id, role };
            state.apply(&Change::Grants(created(key, granted)));
        }
    }
    for org in 0..memberships.div_ceil(MEMBERS) {
        state.apply(&Change::Org(created(org_key(org), org_record(org))));
        for member in org * MEMBERS..memberships.min((org + 1) * MEMBERS) {
            let record = Some(membership(held(&mut random)));
            state.apply(&Change::Membership(Edit { key: member_key(org, member), before: None, after: record }));
        }
    }
    state
}

/// The role with number 10 is internal and no other.
pub fn role(number: u32) -> Role {
    Role {
        name: RoleName::stored(format!("role {number}")),
        description: "".into(),
        internal: number == ROLES,
        rank: rank_at(number as usize),
        create_time: Time(0),
        aliases: [].into(),
        version: 1,
        manages: [].into(),
    }
}

pub fn org_key(org: u32) -> Scoped<OrgNo> {
    scoped(OrgNo::new(org + 1))
}

pub fn org_record(org: u32) -> OrgRecord {
    let profile = OrgProfile {
        org_id: OrgId::stored(id(1, org)),
        display_name: "".into(),
        metadata: "".into(),
        create_time: Time(0),
    };
    let role_mapping = scoped(RoleMappingId::new(1 + org % ROLE_MAPPINGS)).id;
    OrgRecord { profile: Arc::new(profile), role_mapping, lifecycle: Lifecycle::Existing }
}

pub fn member_key(org: u32, member: u32) -> MembershipKey {
    MembershipKey { project: PROJECT, org: org_key(org).id, user: UserId::stored(id(2, member)) }
}

/// Returns the membership of a holder of one role.
pub fn membership(role: u32) -> MembershipRecord {
    MembershipRecord {
        role_set: scoped(RoleSetId::new(role)).id,
        origin: Origin::Direct,
        temporary: [].into(),
        origins: [].into(),
    }
}

pub fn role_id(number: u32) -> RoleId {
    scoped(RoleId::new(number)).id
}

fn project() -> ProjectRecord {
    ProjectRecord {
        key: ProjectKey::default_project(),
        display_name: "".into(),
        environment: Environment::Live,
        role_structure: RoleStructure::SingleRole,
        default_role: role_id(1),
        default_owner_role: role_id(1),
        default_role_mapping: RoleMappingId(NonZeroU32::MIN),
        create_time: Time(0),
        version: 1,
        role_order_version: 1,
        lifecycle: Lifecycle::Existing,
    }
}

pub fn scoped<I>(id: Option<I>) -> Scoped<I> {
    match id {
        Some(id) => Scoped { project: PROJECT, id },
        None => unreachable!("ids begin at 1"),
    }
}

pub fn created<K, V>(key: K, value: V) -> Edit<K, V> {
    Edit { key, before: None, after: Some(value) }
}

/// splitmix64 (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }
}
