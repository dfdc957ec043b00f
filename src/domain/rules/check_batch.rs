//! Many checks at once. The memory of a check's org, members and roles is rarely in the processor's caches, so a batch
//! reads it in stages: each stage reads one thing for a block of checks, and these reads overlap.

use crate::domain::collections::hash::TextHash;
use crate::domain::collections::trie::Trie;
use crate::domain::model::decision::Decision;
use crate::domain::model::id::PermissionId;
use crate::domain::model::time::Time;
use crate::domain::rules::activity::AllowedMember;
use crate::domain::state::membership::MembershipSlot;
use crate::domain::state::org::{Org, OrgSlot};
use crate::domain::state::project::Project;

/// Checks of one block. At a million memberships a check takes 104 ns with 16, and 102 ns with 32 and with 64
/// (benches/lookup).
const BLOCK: usize = 32;

/// May a user do something in an org? The ids and the name are compared byte for byte, so they need not be UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct Item<'a> {
    pub org_id: &'a [u8],
    pub user_id: &'a [u8],
    pub permission: &'a [u8],
}

/// A check whose org and permission were looked up.
#[derive(Clone, Copy, Default)]
struct Asked<'p> {
    org: Option<&'p Org>,
    permission: Option<PermissionId>,
    user: TextHash,
}

/// The orgs, users and permissions of a batch, looked up or hashed once.
#[derive(Default)]
pub struct Columns<'p> {
    orgs: Vec<Option<&'p Org>>,
    users: Vec<TextHash>,
    permissions: Vec<Option<PermissionId>>,
}

impl<'p> Columns<'p> {
    pub fn add_orgs(&mut self, project: &'p Project, ids: &[&str]) {
        self.orgs.extend(ids.iter().map(|id| project.org(id).map(AsRef::as_ref)));
    }

    pub fn add_users(&mut self, project: &'p Project, ids: &[&str]) {
        self.users.extend(ids.iter().map(|id| project.hash(id)));
    }

    pub fn add_permissions(&mut self, project: &'p Project, names: &[&str]) {
        self.permissions.extend(names.iter().map(|name| project.permission_named(name)));
    }
}

impl Project {
    /// Answers many checks from this one state, in their order. Passes the member of each allowed one to `allowed`.
    pub fn check_batch<'a>(
        &self,
        mut items: impl Iterator<Item = Item<'a>>,
        now: Time,
        out: &mut Vec<Decision>,
        mut allowed: impl FnMut(AllowedMember<'_>),
    ) {
        let mut hashes = [[TextHash::default(); 3]; BLOCK];
        let mut block = [Asked::default(); BLOCK];
        loop {
            let mut len = 0;
            for (hashes, item) in hashes.iter_mut().zip(items.by_ref()) {
                *hashes = [item.org_id, item.user_id, item.permission].map(|text| self.hash_bytes(text));
                len += 1;
            }
            if len == 0 {
                return;
            }
            let block = &mut block[..len];
            let mut leaves: [&[Option<OrgSlot>]; BLOCK] = [&[]; BLOCK];
            for (leaf, &[org, ..]) in leaves.iter_mut().zip(&hashes[..len]) {
                *leaf = self.org_leaf(org);
                Trie::prefetch(leaf, org);
            }
            for ((asked, leaf), &[org, user, permission]) in block.iter_mut().zip(leaves).zip(&hashes) {
                let org = Trie::find(leaf, org).map(|slot| slot.org.as_ref());
                if let Some(org) = org {
                    org.prefetch();
                }
                *asked = Asked { org, permission: self.permission_hashed(permission), user };
            }
            self.check_block(block, now, out, &mut allowed);
        }
    }

    /// Answers checks that name their org, user and permission by their places in columns. A place
    /// outside its column is that of an unknown id or name.
    pub fn check_columns(
        &self,
        columns: &Columns<'_>,
        mut rows: impl Iterator<Item = [u32; 3]>,
        now: Time,
        out: &mut Vec<Decision>,
        mut allowed: impl FnMut(AllowedMember<'_>),
    ) {
        let nobody = self.hash("");
        let mut block = [Asked::default(); BLOCK];
        loop {
            let mut len = 0;
            for (asked, row) in block.iter_mut().zip(rows.by_ref()) {
                let [org, user, permission] = row.map(|at| at as usize);
                asked.org = columns.orgs.get(org).copied().flatten();
                asked.user = columns.users.get(user).copied().unwrap_or(nobody);
                asked.permission = columns.permissions.get(permission).copied().flatten();
                len += 1;
            }
            if len == 0 {
                return;
            }
            self.check_block(&block[..len], now, out, &mut allowed);
        }
    }

    /// Answers the checks of one block.
    fn check_block(
        &self,
        block: &[Asked<'_>],
        now: Time,
        out: &mut Vec<Decision>,
        allowed: &mut impl FnMut(AllowedMember<'_>),
    ) {
        let mut leaves: [&[Option<MembershipSlot>]; BLOCK] = [&[]; BLOCK];
        for (leaf, asked) in leaves.iter_mut().zip(block) {
            *leaf = asked.org.map_or(&[], |org| org.leaf_of(asked.user));
            Trie::prefetch(leaf, asked.user);
        }
        let mut slots = [None; BLOCK];
        for ((slot, leaf), asked) in slots.iter_mut().zip(leaves).zip(block) {
            *slot = Trie::find(leaf, asked.user).copied();
        }
        for (asked, slot) in block.iter().zip(slots) {
            let decision = self.decide_by_slot(asked.org, asked.permission, asked.user, slot, now);
            if let (Decision::Allowed, Some(org)) = (decision, asked.org) {
                allowed(AllowedMember { project: self, org, user: asked.user });
            }
            out.push(decision);
        }
    }
}
