//! Fallback roles: what the holders of a suspended role hold meanwhile (M7).
//!
//! They are kept per (org, suspended role), not per member. No member can be given a disabled role (M3). So all holders
//! of a suspended role held it when it was suspended, and the strategy of that write applies to all of them.

use std::sync::Arc;

use crate::domain::model::id::RoleId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fallback {
    /// The suspended role.
    pub role: RoleId,
    pub fallback_role: RoleId,
}

/// The fallback roles of an org, ascending by suspended role, each once. Never empty.
pub type Fallbacks = Arc<[Fallback]>;

/// Returns the fallback role of a suspended role, then the fallback role's own one if it is suspended too, and so on to
/// the first that is enabled.
pub fn chain<'a>(
    fallbacks: &'a [Fallback],
    role: RoleId,
    enabled: impl Fn(RoleId) -> bool + 'a,
) -> impl Iterator<Item = RoleId> + 'a {
    let next = move |role: RoleId| {
        let at = fallbacks.binary_search_by_key(&role, |fallback| fallback.role).ok()?;
        fallbacks.get(at).map(|fallback| fallback.fallback_role)
    };
    // Each was enabled when it became a fallback role for those before it, so there is no cycle. The bound only makes
    // that plain.
    let links = std::iter::successors(next(role), move |&role| if enabled(role) { None } else { next(role) });
    links.take(fallbacks.len())
}

/// Returns the enabled role of the chain. `None` if there is none.
pub fn first_enabled_fallback(
    fallbacks: &[Fallback],
    role: RoleId,
    enabled: impl Fn(RoleId) -> bool + Copy,
) -> Option<RoleId> {
    if fallbacks.is_empty() { None } else { chain(fallbacks, role, enabled).find(|&role| enabled(role)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> RoleId {
        RoleId::new(number).unwrap()
    }

    #[test]
    fn m7_the_first_enabled_role_of_a_chain_is_the_fallback_role() {
        let fallbacks =
            [(1, 2), (2, 3), (5, 6)].map(|(role, other)| Fallback { role: id(role), fallback_role: id(other) });
        let held = |role, disabled: &[u32]| {
            let enabled = |role: RoleId| !disabled.contains(&role.number());
            let links: Vec<u32> = chain(&fallbacks, id(role), enabled).map(RoleId::number).collect();
            (links, first_enabled_fallback(&fallbacks, id(role), enabled).map(RoleId::number))
        };
        assert_eq!(held(1, &[1]), (vec![2], Some(2)), "an enabled role ends the chain");
        assert_eq!(held(1, &[1, 2]), (vec![2, 3], Some(3)));
        assert_eq!(held(1, &[1, 2, 3]), (vec![2, 3], None));
        assert_eq!(held(5, &[5]), (vec![6], Some(6)));
        assert_eq!(held(4, &[4]), (vec![], None));
    }

    #[test]
    fn m7_an_impossible_cycle_ends() {
        let fallbacks = [(1, 2), (2, 1)].map(|(role, other)| Fallback { role: id(role), fallback_role: id(other) });
        assert_eq!(first_enabled_fallback(&fallbacks, id(1), |_| false), None);
    }
}
