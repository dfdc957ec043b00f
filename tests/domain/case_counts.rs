//! How often a property met what it is details: a property that meets it never says nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::strategy::Strategy;
use proptest::test_runner::{TestCaseResult, TestRunner};

use crate::random_history::config;

/// With fewer cases than these nothing is said of how often.
const CASES_MIN: u32 = 500;

#[derive(Default)]
pub struct CaseCounts(RefCell<BTreeMap<String, u32>>);

impl CaseCounts {
    pub fn count(&self, what: impl Into<String>) {
        *self.0.borrow_mut().entry(what.into()).or_default() += 1;
    }

    pub fn count_if(&self, met: bool, what: &str) {
        if met {
            self.count(what);
        }
    }
}

/// Holds a property in 2,000 cases, and each of these things as often as this in every thousand cases at least.
pub fn check_cases<S: Strategy>(
    strategy: &S,
    wanted: &[(&str, u32)],
    property: impl Fn(S::Value, &CaseCounts) -> TestCaseResult,
) {
    let tally = CaseCounts::default();
    let config = config(2_000);
    let cases = config.cases;
    if let Err(failure) = TestRunner::new(config).run(strategy, |value| property(value, &tally)) {
        panic!("{failure}");
    }
    let tally = tally.0.into_inner();
    println!("of {cases} cases: {tally:#?}");
    for &(what, often) in wanted.iter().filter(|_| cases >= CASES_MIN) {
        let met = tally.get(what).copied().unwrap_or_default();
        assert!(met * 1_000 >= often * cases, "{what} only {met} times in {cases} cases: {tally:#?}");
    }
}
