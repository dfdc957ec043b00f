//! Counts how often the cases of a property contain what the property is about. A property that never meets it proves
//! nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::strategy::Strategy;
use proptest::test_runner::{TestCaseResult, TestRunner};

use crate::random_history::config;

/// With fewer cases the counts are not checked.
const CASES_MIN: u32 = 500;

#[derive(Default)]
pub struct CaseCounts(RefCell<BTreeMap<String, u32>>);

impl CaseCounts {
    pub fn count(&self, what: impl Into<String>) {
        *self.0.borrow_mut().entry(what.into()).or_default() += 1;
    }

    pub fn count_if(&self, condition: bool, what: &str) {
        if condition {
            self.count(what);
        }
    }
}

/// Checks a property in 2,000 cases. Each name in `wanted` must be counted at least that often per thousand cases.
pub fn check_cases<S: Strategy>(
    strategy: &S,
    wanted: &[(&str, u32)],
    property: impl Fn(S::Value, &CaseCounts) -> TestCaseResult,
) {
    check_some_cases(2_000, strategy, wanted, property);
}

/// Does the same in another number of cases, at least 500.
pub fn check_some_cases<S: Strategy>(
    cases: u32,
    strategy: &S,
    wanted: &[(&str, u32)],
    property: impl Fn(S::Value, &CaseCounts) -> TestCaseResult,
) {
    let counts = CaseCounts::default();
    let config = config(cases);
    let cases = config.cases;
    if let Err(failure) = TestRunner::new(config).run(strategy, |value| property(value, &counts)) {
        panic!("{failure}");
    }
    let counts = counts.0.into_inner();
    println!("of {cases} cases: {counts:#?}");
    for &(what, often) in wanted.iter().filter(|_| cases >= CASES_MIN) {
        let counted = counts.get(what).copied().unwrap_or_default();
        assert!(counted * 1_000 >= often * cases, "{what} only {counted} times in {cases} cases: {counts:#?}");
    }
}
