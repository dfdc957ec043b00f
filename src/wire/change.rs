//! Changes in the encoding of the table `changes`, which other servers follow.

mod value;

use prost::Message;

use crate::domain::model::api_key::ApiKeyId;
use crate::domain::model::invitation::InvitationId;
use crate::domain::rules::event::Object;
use crate::domain::state::change::{GrantsKey, InvitationKey, MembershipKey, UserKey};
use crate::domain::{Change, Edit, Scoped, UserId};
use crate::wire::storage;
use crate::wire::storage::change::Change as Kind;
pub use value::UnknownChange;
use value::{
    api_key_value, block_value, fallbacks_value, id, ids, invitation_value, membership_value, numbers,
    org_domains_value, org_value, permission_ids, permission_value, project_value, read_api_key, read_block,
    read_fallbacks, read_invitation, read_membership, read_org, read_org_domains, read_permission, read_permission_ids,
    read_project, read_role, read_role_mapping, read_role_set, role_mapping_value, role_set_value, role_value, scoped,
    unread,
};

/// Returns the number of a kind of change in the table `changes`. It is the number of the field in the message.
pub fn noun(change: &Change) -> i16 {
    match change {
        Change::Project(_) => 1,
        Change::Permission(_) => 2,
        Change::Role(_) => 3,
        Change::RoleSet(_) => 4,
        Change::RoleMapping(_) => 5,
        Change::Grants(_) => 6,
        Change::Org(_) => 7,
        Change::Membership(_) => 8,
        Change::Subscription(_) => 9,
        Change::Fallbacks(_) => 10,
        Change::Remap(_) => 11,
        Change::Invitation(_) => 13,
        Change::Block(_) => 12,
        Change::OrgDomains(_) => 14,
        Change::Removal(_) => 15,
        Change::ApiKey(_) => 16,
    }
}

/// The numbers of the kinds of changes on which no check depends: invitations, e-mail domains, removals and API keys.
pub const UNCHECKED: [i16; 4] = [13, 14, 15, 16];

/// Returns the number of the kind of changes that an object has, and the number of the object.
pub fn numbers_of(object: Object) -> (i16, u32) {
    match object {
        Object::Permission(id) => (2, id.number()),
        Object::Role(id) => (3, id.number()),
        Object::RoleSet(id) => (4, id.number()),
        Object::RoleMapping(id) => (5, id.number()),
        Object::Org(id) => (7, id.number()),
    }
}

pub fn encode(change: &Change) -> Vec<u8> {
    message(change).encode_to_vec()
}

/// Reads a change. Refuses an unknown field like an unknown kind: prost would skip it, and the State would be wrong. So the
/// message that was read must be as long as the bytes.
pub fn decode(bytes: &[u8]) -> Result<Change, UnknownChange> {
    let message = storage::Change::decode(bytes);
    let message = message.map_err(|error| UnknownChange(format!("a stored change cannot be decoded ({error})")))?;
    if message.change.is_some() && message.encoded_len() != bytes.len() {
        return Err(UnknownChange("a stored change has a field that this release does not know".into()));
    }
    read(message)
}

pub fn message(change: &Change) -> storage::Change {
    macro_rules! edit {
        ($kind:ident($message:ident), $edit:ident, $value:ident, { $($field:ident: $number:expr),* }) => {
            Kind::$kind(storage::$message {
                $($field: $number,)*
                before: $edit.before.as_ref().map($value),
                after: $edit.after.as_ref().map($value),
            })
        };
    }
    let project = change.project().number();
    let kind = match change {
        Change::Project(it) => edit!(Project(ProjectChange), it, project_value, { project: project }),
        Change::Permission(it) => {
            edit!(Permission(PermissionChange), it, permission_value, { project: project, permission: it.key.id.number() })
        }
        Change::Role(it) => edit!(Role(RoleChange), it, role_value, { project: project, role: it.key.id.number() }),
        Change::RoleSet(it) => {
            edit!(RoleSet(RoleSetChange), it, role_set_value, { project: project, role_set: it.key.id.number() })
        }
        Change::RoleMapping(it) => {
            let role_mapping = it.key.id.number();
            edit!(RoleMapping(RoleMappingChange), it, role_mapping_value, { project: project, role_mapping: role_mapping })
        }
        Change::Grants(it) => {
            let (role_mapping, role) = (it.key.role_mapping.number(), it.key.role.number());
            edit!(Grants(GrantsChange), it, permission_ids, { project: project, role_mapping: role_mapping, role: role })
        }
        Change::Org(it) => edit!(Org(OrgChange), it, org_value, { project: project, org: it.key.id.number() }),
        Change::Membership(it) => {
            let (org, user_id) = (it.key.org.number(), it.key.user.to_string());
            edit!(Membership(MembershipChange), it, membership_value, { project: project, org: org, user_id: user_id })
        }
        Change::Subscription(it) => Kind::Subscription(storage::SubscriptionChange {
            project,
            org: it.key.id.number(),
            before: it.before.map_or(0, |mapping| mapping.number()),
            after: it.after.map_or(0, |mapping| mapping.number()),
        }),
        Change::Fallbacks(it) => {
            edit!(Fallbacks(FallbacksChange), it, fallbacks_value, { project: project, org: it.key.id.number() })
        }
        Change::Remap(it) => Kind::Remap(storage::RemapChange {
            project,
            org: it.key.id.number(),
            before: numbers(it.before.as_deref().unwrap_or_default()),
            after: numbers(it.after.as_deref().unwrap_or_default()),
        }),
        Change::Invitation(it) => {
            let (org, invitation_id) = (it.key.org.number(), it.key.id.to_string());
            edit!(Invitation(InvitationChange), it, invitation_value, { project: project, org: org, invitation_id: invitation_id })
        }
        Change::OrgDomains(it) => {
            edit!(OrgDomains(OrgDomainsChange), it, org_domains_value, { project: project, org: it.key.id.number() })
        }
        Change::Removal(it) => Kind::Removal(storage::RemovalChange {
            project,
            org: it.key.org.number(),
            user_id: it.key.user.to_string(),
            before: it.before.is_some(),
            after: it.after.is_some(),
        }),
        Change::ApiKey(it) => {
            edit!(ApiKey(ApiKeyChange), it, api_key_value, { project: project, id: it.key.id.0 })
        }
        Change::Block(it) => {
            edit!(Block(BlockChange), it, block_value, { project: project, user_id: it.key.user.to_string() })
        }
    };
    storage::Change { change: Some(kind) }
}

pub fn read(message: storage::Change) -> Result<Change, UnknownChange> {
    let Some(kind) = message.change else {
        return Err(UnknownChange("a stored change is of a kind that this release does not know".into()));
    };
    Ok(match kind {
        Kind::Project(it) => Change::Project(edit(id(it.project)?, it.before, it.after, read_project)?),
        Kind::Permission(it) => {
            Change::Permission(edit(scoped(it.project, it.permission)?, it.before, it.after, read_permission)?)
        }
        Kind::Role(it) => Change::Role(edit(scoped(it.project, it.role)?, it.before, it.after, read_role)?),
        Kind::RoleSet(it) => {
            Change::RoleSet(edit(scoped(it.project, it.role_set)?, it.before, it.after, read_role_set)?)
        }
        Kind::RoleMapping(it) => {
            Change::RoleMapping(edit(scoped(it.project, it.role_mapping)?, it.before, it.after, read_role_mapping)?)
        }
        Kind::Grants(it) => {
            let key = GrantsKey { project: id(it.project)?, role_mapping: id(it.role_mapping)?, role: id(it.role)? };
            Change::Grants(edit(key, it.before, it.after, read_permission_ids)?)
        }
        Kind::Org(it) => Change::Org(edit(scoped(it.project, it.org)?, it.before, it.after, read_org)?),
        Kind::Membership(it) => {
            let key = MembershipKey { project: id(it.project)?, org: id(it.org)?, user: UserId::stored(it.user_id) };
            Change::Membership(edit(key, it.before, it.after, read_membership)?)
        }
        Kind::Subscription(it) => {
            Change::Subscription(edit(scoped(it.project, it.org)?, Some(it.before), Some(it.after), id)?)
        }
        Kind::Fallbacks(it) => {
            Change::Fallbacks(edit(scoped(it.project, it.org)?, it.before, it.after, read_fallbacks)?)
        }
        Kind::Remap(it) if it.before.len() != it.after.len() => return Err(unread("number of role sets")),
        Kind::Remap(it) => {
            let read = |sets| Ok(ids(sets)?.into());
            Change::Remap(edit(scoped(it.project, it.org)?, Some(it.before), Some(it.after), read)?)
        }
        Kind::Invitation(it) => {
            let invitation_id = InvitationId::parse(&it.invitation_id).ok_or_else(|| unread("id"))?;
            let key = InvitationKey { project: id(it.project)?, org: id(it.org)?, id: invitation_id };
            Change::Invitation(edit(key, it.before, it.after, read_invitation)?)
        }
        Kind::OrgDomains(it) => {
            Change::OrgDomains(edit(scoped(it.project, it.org)?, it.before, it.after, read_org_domains)?)
        }
        Kind::Removal(it) => {
            let key = MembershipKey { project: id(it.project)?, org: id(it.org)?, user: UserId::stored(it.user_id) };
            Change::Removal(Edit { key, before: it.before.then_some(()), after: it.after.then_some(()) })
        }
        Kind::ApiKey(it) => {
            let key = Scoped { project: id(it.project)?, id: ApiKeyId(it.id) };
            Change::ApiKey(edit(key, it.before, it.after, read_api_key)?)
        }
        Kind::Block(it) => {
            let key = UserKey { project: id(it.project)?, user: UserId::stored(it.user_id) };
            Change::Block(edit(key, it.before, it.after, read_block)?)
        }
    })
}

fn edit<K, W, V>(
    key: K,
    before: Option<W>,
    after: Option<W>,
    read: impl Fn(W) -> Result<V, UnknownChange>,
) -> Result<Edit<K, V>, UnknownChange> {
    Ok(Edit { key, before: before.map(&read).transpose()?, after: after.map(&read).transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::email::EmailAddress;
    use crate::domain::model::fallback::{Fallback, Fallbacks};
    use crate::domain::model::id::{PermissionId, RoleId, RoleSetId};
    use crate::domain::model::invitation::{InvitationRecord, Settled, Stage};
    use crate::domain::model::role::Role;
    use crate::domain::{RoleName, Time};

    #[test]
    fn permissions_are_stored_as_differences() {
        let ids = [1, 2, 9, 50_000].map(|number| PermissionId::new(number).unwrap());
        let key = GrantsKey { project: id(1).unwrap(), role_mapping: id(2).unwrap(), role: id::<RoleId>(3).unwrap() };
        let change = Change::Grants(Edit { key, before: None, after: Some(ids.into_iter().collect()) });
        let Some(Kind::Grants(grants)) = message(&change).change else { panic!() };
        assert_eq!(grants.after.unwrap().ids, [1, 1, 7, 49_991]);
        assert_eq!(decode(&encode(&change)).unwrap(), change);
    }

    #[test]
    fn changes_of_plan_changes_are_read_as_written() {
        let set = |number| RoleSetId::new(number).unwrap();
        let role = |number| RoleId::new(number).unwrap();
        let org = Scoped { project: id(3).unwrap(), id: id(70_000).unwrap() };
        let fallbacks: Fallbacks =
            [(2, 5), (9, 5)].map(|(suspended, by)| Fallback { role: role(suspended), fallback_role: role(by) }).into();
        let manager = Role {
            name: RoleName::stored("Admin"),
            description: "".into(),
            internal: false,
            rank: 7,
            create_time: Time(1),
            aliases: [].into(),
            version: 2,
            manages: [role(1), role(300)].into(),
        };
        let alone = Role { manages: [].into(), ..manager.clone() };
        let admin = Scoped { project: id(3).unwrap(), id: role(4) };
        let invited = InvitationKey { project: id(3).unwrap(), org: id(70_000).unwrap(), id: InvitationId(9) };
        let pending = InvitationRecord {
            email: EmailAddress::stored("bea@acme.example"),
            inviter: Some(UserId::stored("ann")),
            create_time: Time(5),
            expire_time: Time(9),
            stage: Stage::Pending { role_set: set(7) },
        };
        let settled = |user| Stage::Settled(Settled { at: Time(7), user, roles: [role(1), role(300)].into() });
        let accepted = InvitationRecord { stage: settled(Some(UserId::stored("bea"))), ..pending.clone() };
        let revoked = InvitationRecord { inviter: None, stage: settled(None), ..pending.clone() };
        for change in [
            Change::Fallbacks(Edit { key: org, before: None, after: Some(fallbacks.clone()) }),
            Change::Fallbacks(Edit { key: org, before: Some(fallbacks.clone()), after: Some(fallbacks[1..].into()) }),
            Change::Fallbacks(Edit { key: org, before: Some(fallbacks), after: None }),
            Change::Remap(Edit {
                key: org,
                before: Some([set(1), set(4)].into()),
                after: Some([set(8), set(7)].into()),
            }),
            Change::Role(Edit { key: admin, before: Some(alone), after: Some(manager) }),
            Change::Invitation(Edit { key: invited, before: None, after: Some(pending.clone()) }),
            Change::Invitation(Edit { key: invited, before: Some(pending.clone()), after: Some(accepted) }),
            Change::Invitation(Edit { key: invited, before: Some(pending), after: Some(revoked) }),
        ] {
            assert_eq!(decode(&encode(&change)).unwrap(), change);
            let undone = change.undone();
            assert_eq!(decode(&encode(&undone)).unwrap(), undone);
        }
    }

    #[test]
    fn a_remap_with_a_set_too_many_is_refused() {
        let remap = storage::RemapChange { project: 1, org: 1, before: vec![1, 2], after: vec![3] };
        assert!(read(storage::Change { change: Some(Kind::Remap(remap)) }).is_err());
    }

    #[test]
    fn an_unknown_kind_of_change_is_an_error_and_never_skipped() {
        // Field 99, length 0: what a newer release may write.
        assert!(decode(&[0x9a, 0x06, 0x00]).unwrap_err().to_string().contains("kind"));
        assert!(decode(&[]).is_err());
        assert!(decode(b"no message").is_err());
        // A field 99 in a change of a known kind.
        let known = encode(&Change::RoleSet(Edit {
            key: Scoped { project: id(1).unwrap(), id: id(1).unwrap() },
            before: None,
            after: None,
        }));
        let newer = [&[known[0], known[1] + 3], &known[2..], &[0x9a, 0x06, 0x00]].concat();
        assert!(decode(&newer).unwrap_err().to_string().contains("field"));
        let nothing = storage::Change { change: Some(Kind::Role(storage::RoleChange::default())) };
        assert!(read(nothing).unwrap_err().to_string().contains("number"));
    }
}
