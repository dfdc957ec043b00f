//! How often a property met what it is about: a property that meets it never says nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::strategy::Strategy;
use proptest::test_runner::{TestCaseResult, TestRunner};

use crate::strategies::config;

/// With fewer cases than these nothing is said of how often.
const ENOUGH: u32 = 500;

#[derive(Default)]
pub struct Tally(RefCell<BTreeMap<String, u32>>);

impl Tally {
    pub fn met(&self, what: impl Into<String>) {
        *self.0.borrow_mut().entry(what.into()).or_default() += 1;
    }

    pub fn met_if(&self, met: bool, what: &str) {
        if met {
            self.met(what);
        }
    }
}

/// Holds a property in 2,000 cases, and each of these things as often as this in every thousand cases at least.
pub fn hold<S: Strategy>(strategy: &S, wanted: &[(&str, u32)], property: impl Fn(S::Value, &Tally) -> TestCaseResult) {
    let tally = Tally::default();
    let config = config(2_000);
    let cases = config.cases;
    if let Err(failure) = TestRunner::new(config).run(strategy, |value| property(value, &tally)) {
        panic!("{failure}");
    }
    let tally = tally.0.into_inner();
    println!("of {cases} cases: {tally:#?}");
    for &(what, often) in wanted.iter().filter(|_| cases >= ENOUGH) {
        let met = tally.get(what).copied().unwrap_or_default();
        assert!(met * 1_000 >= often * cases, "{what} only {met} times in {cases} cases: {tally:#?}");
    }
}
