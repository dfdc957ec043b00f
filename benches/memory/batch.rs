//! A batch of random checks.

use std::hint::black_box;
use std::ops::Range;

use rolecall::domain::{Decision, Item, Project, Time};

use crate::state::{MEMBERS, PERMISSIONS, Random, id, permission};

/// The rows of a batch. Their texts are next to each other, as in a request.
pub struct Batch {
    texts: String,
    rows: Vec<[Range<usize>; 3]>,
}

impl Batch {
    pub fn new(len: usize, memberships: u32, random: &mut Random) -> Self {
        let mut batch = Self { texts: String::new(), rows: Vec::new() };
        for _ in 0..len {
            let text = |text: String| {
                let start = batch.texts.len();
                batch.texts += &text;
                start..batch.texts.len()
            };
            batch.rows.push(row(memberships, random).map(text));
        }
        batch
    }

    /// Returns how many items are allowed.
    pub fn check(&self, project: &Project) -> usize {
        let items = self.rows.iter().map(|row| {
            let [org_id, user_id, permission] = row.clone().map(|range| &self.texts.as_bytes()[range]);
            Item { org_id, user_id, permission }
        });
        let mut decisions = Vec::with_capacity(self.rows.len());
        project.check_batch(items, Time(0), &mut decisions, |member| {
            black_box(member.org);
        });
        decisions.iter().filter(|&&decision| decision == Decision::Allowed).count()
    }
}

/// Returns the ids of a member, and a permission.
fn row(memberships: u32, random: &mut Random) -> [String; 3] {
    let member = random.below(memberships);
    [id(1, member / MEMBERS), id(2, member), permission(random.below(PERMISSIONS))]
}
