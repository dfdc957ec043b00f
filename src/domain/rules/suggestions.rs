//! Which known name an unknown one may have meant: refusals of R1 suggest it.

use crate::domain::model::refusal::Noun;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::project::Project;
use crate::limits::{SUGGESTION_EDITS_MAX, SUGGESTION_STEPS_MAX};

/// Looks for near names in a project. It suggests nothing more once the work for one refusal is used up.
pub struct Suggester<'a> {
    project: &'a Project,
    visibility: Visibility,
    steps_left: usize,
}

impl<'a> Suggester<'a> {
    pub fn new(project: &'a Project, visibility: Visibility) -> Self {
        Self { project, visibility, steps_left: SUGGESTION_STEPS_MAX }
    }

    /// Returns the name of this noun that is nearest to `unknown`. `None` if none is near, or for orgs and members,
    /// whose ids nobody may guess.
    pub fn suggest(&mut self, noun: Noun, unknown: &str) -> Option<&'a str> {
        let project = self.project;
        let steps = &mut self.steps_left;
        match noun {
            Noun::Role => {
                let all = self.visibility == Visibility::All;
                let known = project.roles.entries().filter(|(_, role)| all || !role.internal);
                nearest(unknown, known.map(|(_, role)| role.name.as_str()), steps)
            }
            Noun::Permission => {
                nearest(unknown, project.permissions.entries().map(|(_, permission)| permission.name.as_str()), steps)
            }
            Noun::RoleMapping => {
                nearest(unknown, project.role_mappings.entries().map(|(_, row)| row.record.name.as_str()), steps)
            }
            Noun::Project | Noun::Org | Noun::OrgDomain | Noun::Member | Noun::Invitation | Noun::ApiKey => None,
        }
    }
}

/// Returns the name with the fewest edits from `unknown`; among equals the first in byte order. Case does not count.
fn nearest<'a>(unknown: &str, names: impl Iterator<Item = &'a str>, steps: &mut usize) -> Option<&'a str> {
    let asked = unknown.to_lowercase();
    let letters = asked.chars().count();
    // A short name may differ in few letters only, or every name would be near.
    let mut edits_max = (letters / 3).clamp(1, SUGGESTION_EDITS_MAX).min(letters.checked_sub(1)?);
    let mut best: Option<(usize, &str)> = None;
    for name in names.filter(|name| *name != unknown) {
        *steps = steps.checked_sub(1)?;
        let length = name.chars().count();
        if length.abs_diff(letters) > edits_max {
            continue;
        }
        *steps = steps.checked_sub(letters * length)?;
        let edits = strsim::levenshtein(&asked, &name.to_lowercase());
        if edits <= edits_max && best.is_none_or(|best| (edits, name) < best) {
            best = Some((edits, name));
            edits_max = edits;
        }
    }
    best.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near<'a>(unknown: &str, names: &[&'a str]) -> Option<&'a str> {
        nearest(unknown, names.iter().copied(), &mut usize::MAX.clone())
    }

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let names = ["Owner", "Admin", "Member", "Straße", "invoices.view", "invoices.void"];
        for (unknown, expected) in [
            ("Membr", Some("Member")),
            ("Memebr", Some("Member")),
            ("OWNER", Some("Owner")),
            ("STRASSE", Some("Straße")),
            ("invoice.view", Some("invoices.view")),
            ("invoices.vie", Some("invoices.view")),
            ("Ghost", None),
            ("Clerk", None),
            ("x", None),
            ("Membership of all", None),
        ] {
            assert_eq!(near(unknown, &names), expected, "{unknown}");
        }
    }

    #[test]
    fn of_equally_near_names_the_first_in_byte_order_is_suggested() {
        assert_eq!(near("role 1", &["role 4", "role 3", "role 2"]), Some("role 2"));
        assert_eq!(near("role 1", &["ROLE 2", "role 2"]), Some("ROLE 2"));
        assert_eq!(near("a name", &["a name", "a nama"]), Some("a nama"), "the name itself is no suggestion");
    }

    #[test]
    fn the_work_is_bounded() {
        let names: Vec<String> = (0..50_000).map(|number| format!("{number:05}{}", "x".repeat(240))).collect();
        let unknown = format!("x{}", "yx".repeat(120));
        let mut steps = 1_000_000;
        assert_eq!(nearest(&unknown, names.iter().map(String::as_str), &mut steps), None);
        assert_eq!(nearest("Membr", ["Member"].into_iter(), &mut 0), None);
    }
}
