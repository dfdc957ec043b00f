//! Which known name an unknown one was perhaps meant to be: refusals of R1 say it.

use crate::domain::model::refusal::Noun;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::project::Project;
use crate::limits::{SUGGESTION_EDITS_MAX, SUGGESTION_STEPS_MAX};

/// Looks for near names in a project, with as much work as one refusal is worth: then it finds no more.
pub struct Suggester<'a> {
    project: &'a Project,
    visibility: Visibility,
    steps_left: usize,
}

impl<'a> Suggester<'a> {
    pub fn new(project: &'a Project, visibility: Visibility) -> Self {
        Self { project, visibility, steps_left: SUGGESTION_STEPS_MAX }
    }

    /// The name of this noun that is nearest to `unknown`, if one is near. Ids of orgs and users are nobody's to guess.
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
            Noun::Project | Noun::Org | Noun::Member => None,
        }
    }
}

/// The name with the fewest edits from `unknown`, of those with as few the first in byte order. Case is no edit.
fn nearest<'a>(unknown: &str, names: impl Iterator<Item = &'a str>, steps: &mut usize) -> Option<&'a str> {
    let asked = letters(unknown);
    // Of a short name little may differ, or everything would be near.
    let mut edits_max = (asked.len() / 3).clamp(1, SUGGESTION_EDITS_MAX).min(asked.len().checked_sub(1)?);
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        *steps = steps.checked_sub(1)?;
        // A letter is 1 to 4 bytes: most names are told apart by their length alone.
        let too_long = name.len() > 4 * (asked.len() + edits_max);
        let too_short = name.len() + edits_max < asked.len();
        if too_long || too_short || name == unknown {
            continue;
        }
        let Some(edits) = edits(&asked, &letters(name), edits_max, steps) else { continue };
        if best.is_none_or(|best| (edits, name) < best) {
            best = Some((edits, name));
            edits_max = edits;
        }
    }
    best.map(|(_, name)| name)
}

/// The letters as they are compared. Not the folding by which names are unique: that one may lengthen a name, and a
/// suggestion needs no exactness.
fn letters(name: &str) -> Vec<char> {
    name.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect()
}

/// The Levenshtein distance, if it is at most `max`: only cells that near the diagonal are looked at.
fn edits(left: &[char], right: &[char], max: usize, steps: &mut usize) -> Option<usize> {
    let same_start = left.iter().zip(right).take_while(|(l, r)| l == r).count();
    let (left, right) = (&left[same_start..], &right[same_start..]);
    let same_end = left.iter().rev().zip(right.iter().rev()).take_while(|(l, r)| l == r).count();
    let (left, right) = (&left[..left.len() - same_end], &right[..right.len() - same_end]);
    if left.len().abs_diff(right.len()) > max {
        return None;
    }
    let far = max + 1;
    let mut above: Vec<usize> = (0..=right.len()).map(|at| at.min(far)).collect();
    let mut row = vec![far; right.len() + 1];
    for (at, letter) in left.iter().enumerate() {
        let first = (at + 1).saturating_sub(max).max(1);
        let last = right.len().min(at + 1 + max);
        *steps = steps.checked_sub(last + 1 - first.min(last))?;
        row[first - 1] = if first == 1 { (at + 1).min(far) } else { far };
        let mut least = row[first - 1];
        for column in first..=last {
            let replaced = above[column - 1] + usize::from(*letter != right[column - 1]);
            row[column] = replaced.min(above[column] + 1).min(row[column - 1] + 1).min(far);
            least = least.min(row[column]);
        }
        if last < right.len() {
            row[last + 1] = far;
        }
        if least > max {
            return None;
        }
        std::mem::swap(&mut above, &mut row);
    }
    Some(above[right.len()]).filter(|&edits| edits <= max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near<'a>(unknown: &str, names: &[&'a str]) -> Option<&'a str> {
        nearest(unknown, names.iter().copied(), &mut usize::MAX.clone())
    }

    /// The distance as textbooks write it.
    fn distance(left: &[char], right: &[char]) -> usize {
        let mut row: Vec<usize> = (0..=right.len()).collect();
        for (at, l) in left.iter().enumerate() {
            let mut corner = std::mem::replace(&mut row[0], at + 1);
            for (column, r) in right.iter().enumerate() {
                let replaced = corner + usize::from(l != r);
                corner = row[column + 1];
                row[column + 1] = replaced.min(corner + 1).min(row[column] + 1);
            }
        }
        row[right.len()]
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
        let mut none = 0;
        assert_eq!(nearest("Membr", ["Member"].into_iter(), &mut none), None);
    }

    proptest! {
        #[test]
        fn few_edits_are_counted_and_many_are_not(left in "[abc]{0,12}", right in "[abc]{0,12}", max in 1usize..5) {
            let (left, right) = (letters(&left), letters(&right));
            let expected = Some(distance(&left, &right)).filter(|&edits| edits <= max);
            prop_assert_eq!(edits(&left, &right, max, &mut usize::MAX.clone()), expected);
        }
    }
}
