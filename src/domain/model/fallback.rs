//! Fallback roles: what the holders of a suspended role hold meanwhile (M7).
//!
//! They are kept for each org and not for each member: while a role is disabled nobody is given it (M3), so that whoever
//! holds it in an org was there when it was suspended, and all of them were asked about at once.

use std::sync::Arc;

use crate::domain::model::id::RoleId;

/// A role that is held in the place of a suspended one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fallback {
    pub role: RoleId,
    pub fallback_role: RoleId,
}

/// The fallback roles of an org, ascending by the suspended role, each once; never empty.
pub type Fallbacks = Arc<[Fallback]>;

/// The roles that are held in the place of a suspended one: where the first is suspended as well, the one that stands in for
/// it, and so on to the first that is enabled.
pub fn chain<'a>(
    fallbacks: &'a [Fallback],
    role: RoleId,
    enabled: impl Fn(RoleId) -> bool + 'a,
) -> impl Iterator<Item = RoleId> + 'a {
    let next = move |role: RoleId| {
        let at = fallbacks.binary_search_by_key(&role, |recorded_role| recorded_role.role).ok()?;
        fallbacks.get(at).map(|recorded_role| recorded_role.fallback_role)
    };
    // Each was enabled when it came to stand in for those before it, so there is no circle; the bound is for the reader.
    let links = std::iter::successors(next(role), move |&role| if enabled(role) { None } else { next(role) });
    links.take(fallbacks.len())
}

/// The one of them that is enabled, if there is one.
pub fn fallback_of(fallbacks: &[Fallback], role: RoleId, enabled: impl Fn(RoleId) -> bool + Copy) -> Option<RoleId> {
    if fallbacks.is_empty() { None } else { chain(fallbacks, role, enabled).find(|&role| enabled(role)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> RoleId {
        RoleId::new(number).unwrap()
    }

    #[test]
    fn m7_the_first_enabled_of_a_chain_stands_in() {
        let fallbacks =
            [(1, 2), (2, 3), (5, 6)].map(|(role, other)| Fallback { role: id(role), fallback_role: id(other) });
        let held = |role, disabled: &[u32]| {
            let enabled = |role: RoleId| !disabled.contains(&role.number());
            let links: Vec<u32> = chain(&fallbacks, id(role), enabled).map(RoleId::number).collect();
            (links, fallback_of(&fallbacks, id(role), enabled).map(RoleId::number))
        };
        assert_eq!(held(1, &[1]), (vec![2], Some(2)), "what stands in for 2 is not asked");
        assert_eq!(held(1, &[1, 2]), (vec![2, 3], Some(3)));
        assert_eq!(held(1, &[1, 2, 3]), (vec![2, 3], None));
        assert_eq!(held(5, &[5]), (vec![6], Some(6)));
        assert_eq!(held(4, &[4]), (vec![], None));
    }

    #[test]
    fn m7_a_circle_that_cannot_be_ends_all_the_same() {
        let fallbacks = [(1, 2), (2, 1)].map(|(role, other)| Fallback { role: id(role), fallback_role: id(other) });
        assert_eq!(fallback_of(&fallbacks, id(1), |_| false), None);
    }
}
