use tonic::Code;

use super::*;

fn calls(budget: Arc<Budget>) -> Arc<Calls> {
    Calls::new(budget, Arc::new(CallMetrics::new(false, [])))
}

#[test]
fn calls_share_one_budget_and_return_it() {
    let budget = Budget::new(16 * SMALL_CALL_BYTES);
    let (one, other) = (calls(budget.clone()), calls(budget.clone()));
    let large = one.begin(Kind::Plain, "").unwrap();
    large.take(11 * SMALL_CALL_BYTES).unwrap();
    // Three quarters are for large calls.
    assert_eq!(large.take(SMALL_CALL_BYTES).unwrap_err().code(), Code::ResourceExhausted);
    let small = other.begin(Kind::Plain, "").unwrap();
    for _ in 0..3 {
        other.begin(Kind::Plain, "").unwrap().take(SMALL_CALL_BYTES - CALL_BYTES).unwrap();
    }
    assert!(small.take(SMALL_CALL_BYTES * 2).is_err());
    small.take(SMALL_CALL_BYTES / 2).unwrap();
    large.answered();
    large.take(SMALL_CALL_BYTES).unwrap();
    drop((large, small));
    assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    assert_eq!(one.held.load(Ordering::Relaxed), 0);
    assert!(!one.any_in_flight() && !other.any_in_flight());
}

#[test]
fn the_calls_of_one_connection_share_a_quarter_of_the_budget() {
    let budget = Budget::new(64 << 20);
    let (one, other) = (calls(budget.clone()), calls(budget.clone()));
    // A call by itself may have more than a quarter.
    let largest = one.begin(Kind::Plain, "").unwrap();
    largest.take(40 << 20).unwrap();
    assert!(one.begin(Kind::Plain, "").is_err());
    assert!(other.begin(Kind::Plain, "").is_ok());
    drop(largest);
    let mut calls = Vec::new();
    while let Ok(call) = one.begin(Kind::Plain, "")
        && call.take(1 << 20).is_ok()
    {
        calls.push(call);
    }
    assert_eq!(calls.len(), 16);
    other.begin(Kind::Plain, "").unwrap().take(40 << 20).map_err(|_| "too much").unwrap_err();
    other.begin(Kind::Plain, "").unwrap().take(30 << 20).unwrap();
    drop(calls);
    assert_eq!(budget.used.load(Ordering::Relaxed), 0);
}

#[test]
fn medium_calls_of_many_connections_leave_a_quarter_to_small_ones() {
    let budget = Budget::new(64 << 20);
    let connections: Vec<_> = (0..8).map(|_| calls(budget.clone())).collect();
    let mut held = Vec::new();
    for calls in connections.iter().cycle().take(8 * 15) {
        held.extend(calls.begin(Kind::Plain, "").ok().filter(|call| call.take(1 << 20).is_ok()));
    }
    assert_eq!(held.len(), 47);
    calls(budget).begin(Kind::Plain, "").unwrap().take(SMALL_CALL_BYTES - CALL_BYTES).unwrap();
}

#[test]
fn frames_of_probes_are_bounded() {
    let calls = calls(Budget::new(1 << 20));
    for kind in [Kind::Health, Kind::Stream] {
        let call = calls.begin(kind, "").unwrap();
        call.take(PROBE_BYTES_MAX).unwrap();
        assert!(call.take(PROBE_BYTES_MAX + 1).is_err());
    }
}

#[test]
fn a_full_budget_refuses_all_calls_but_health_checks() {
    let budget = Budget::new(CALL_BYTES);
    let calls = calls(budget);
    let _call = calls.begin(Kind::Plain, "").unwrap();
    let refused = calls.begin(Kind::Plain, "").map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(tonic_types::StatusExt::get_details_retry_info(&refused).is_some());
    assert!(calls.begin(Kind::Health, "").is_ok());
}

#[test]
fn an_answer_is_stuck_after_two_periods() {
    let calls = calls(Budget::new(1 << 20));
    for _ in 0..10 {
        let call = calls.begin(Kind::Plain, "").unwrap();
        assert!(!calls.answer_is_stuck());
        call.answered();
        assert!(!calls.answer_is_stuck());
        let sent = calls.begin(Kind::Plain, "").unwrap();
        sent.answered();
        drop(sent);
        assert!(calls.answer_is_stuck());
    }
}

#[test]
fn a_connection_is_idle_without_calls_and_streams() {
    let calls = calls(Budget::new(1 << 20));
    let stream = calls.begin(Kind::Stream, "").unwrap();
    assert!(!calls.any_in_flight(), "a stop does not wait for a stream");
    assert_eq!(calls.idle_after(), None);
    drop(stream);
    assert_eq!(calls.idle_after(), Some(1));
    let _call = calls.begin(Kind::Plain, "").unwrap();
    assert_eq!(calls.idle_after(), None);
    assert!(calls.any_in_flight());
}
