//! Tests of single rules of `docs/rules.md`. The name of a test begins with the number of its rule.

mod a;
mod b;
mod g;
mod g5;
mod i;
mod j;
mod k;
mod m;
mod m7;
mod p;
mod p5;
mod p7;
mod r;
mod r4;
mod r9;
mod s;
mod u;

use rolecall::domain::{Reason, Refusal};
use rolecall::limits::Limits;

use crate::fixture::{World, world};

/// Two plans. The role Billing Manager is disabled on Free and enabled on Paid.
const PLANS: &str = "
    permission billing.view, billing.pay
    role Billing Manager below Admin
    mapping Free: off Billing Manager; Billing Manager +billing.view; Owner +billing.view
    mapping Paid like Free: on Billing Manager; Billing Manager +billing.pay
";

fn plans() -> World {
    let mut world = world(PLANS);
    world.run("org acme on Free\n org globex on Paid\n add ann to acme: Owner\n add bob to globex: Billing Manager");
    world
}

fn limits(change: impl Fn(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[track_caller]
fn over(world: &mut World, line: &str, expected: (&str, u64, u64)) {
    match world.refused(line, Reason::LimitExceeded) {
        Refusal::LimitExceeded { limit, max, asked } => assert_eq!((limit, max, asked), expected),
        Refusal::Rows { rows, .. } => match &rows[0].1 {
            Refusal::LimitExceeded { limit, max, asked } => assert_eq!((*limit, *max, *asked), expected),
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    }
}
