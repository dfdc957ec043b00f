//! The sizes of answers.

use prost::Message;
use rolecall::wire;

use crate::server::on_both;

/// The bytes that a client takes by default.
const CLIENTS_MAX: usize = 4 << 20;

#[test]
fn a_batch_check_of_malformed_items_lists_some_and_counts_all() {
    on_both(async |server| {
        let items = vec![wire::CheckItem::default(); 100_000];
        let answer = server.batch_check(wire::BatchCheckRequest { items, ..Default::default() }).await.unwrap();
        assert_eq!((answer.decisions.len(), answer.errors.len(), answer.errors_total), (100_000, 100, 100_000));
        assert!(answer.decisions.iter().all(|&decision| decision == wire::Decision::Unspecified as i32));
        assert!(answer.errors.iter().map(|error| error.index).eq(0..100));
        assert!(answer.encoded_len() < CLIENTS_MAX / 8, "{}", answer.encoded_len());
    });
}
