//! Decisions for all permissions at once: for members without temporary roles they depend on role mapping and role set.

use crate::domain::collections::numbered::Numbered;
use crate::domain::model::decision::Decision;
use crate::domain::model::id::{PermissionId, RoleMappingId, RoleSetId};
use crate::domain::model::time::Time;
use crate::domain::rules::check::decision_of;
use crate::domain::rules::role_state::role_states;
use crate::domain::state::decision_rows::Row;
use crate::domain::state::membership::MembershipSlot;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// Permissions above which no rows are computed: a row takes about a nanosecond for each, and every change of a role
/// drops it.
const PERMISSIONS_MAX: u32 = 4_096;

/// Role sets above which no rows are computed: each role mapping has an array with 24 bytes for each role set, and every change
/// of a role drops it.
const ROLE_SETS_MAX: u32 = 65_536;

impl Project {
    /// Returns the decision if it needs neither expiries nor fallback roles.
    #[inline]
    pub(super) fn decide_by_row(&self, org: &Org, permission: PermissionId, slot: MembershipSlot) -> Option<Decision> {
        if slot.has_temporary_roles() {
            return None;
        }
        let (mapping, set) = (org.record.role_mapping, slot.role_set()?);
        let row = self.decisions(mapping, set).or_else(|| self.computed_decisions(mapping, set))?;
        let decision = *row.get(permission.index())?;
        // A fallback role may allow what the suspended role would.
        (decision == Decision::Allowed || org.fallbacks().is_empty()).then_some(decision)
    }

    #[cold]
    #[inline(never)]
    fn computed_decisions(&self, mapping: RoleMappingId, set: RoleSetId) -> Option<&[Decision]> {
        if self.permissions.next_number() > PERMISSIONS_MAX || self.role_sets.next_number() > ROLE_SETS_MAX {
            return None;
        }
        self.decisions_or(mapping, set, || self.decision_row(mapping, set))
    }

    fn decision_row(&self, mapping: RoleMappingId, set: RoleSetId) -> Option<Row> {
        let (mapping, set) = (self.role_mappings.get(mapping)?, self.role_sets.get(set)?);
        // The holders of a set without roles are no members (R4).
        let none = if set.roles.is_empty() { Decision::NotAMember } else { Decision::MissingPermission };
        let mut row = vec![none; self.permissions.next_number() as usize].into_boxed_slice();
        let enabled = |role| mapping.enabled(role);
        // Without temporary roles the time does not count.
        for recorded in role_states(self.record.role_structure, &set.roles, &[], enabled, &[], Time(0)) {
            let decision = decision_of(recorded.state, recorded.overridden);
            for granted in mapping.row(recorded.role).into_iter().flat_map(|row| row.iter()) {
                row[granted.index()] = row[granted.index()].or(decision);
            }
        }
        Some(row)
    }
}
