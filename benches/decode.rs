//! What reading a batch check costs, in nanoseconds per check: `cargo bench --bench decode`.

use std::hint::black_box;
use std::time::Instant;

use prost::Message;
use rolecall::wire::batch_check::BatchCheckBody;
use rolecall::wire::{BatchCheckRequest, CheckColumns, CheckItem};

/// Each figure is the best of this many runs.
const RUNS: usize = 15;

fn main() {
    println!("ns per check            owned   pass 1   pass 2");
    for (name, bytes) in [("items of 20 bytes", [6, 6, 8]), ("items of 92 bytes", [36, 36, 20])] {
        for items in [1_000, 100_000] {
            measure(&format!("{items} {name}"), items, items_of(items, bytes, "").encode_to_vec());
        }
    }
    measure("1000 items of 180 bytes", 1_000, items_of(1_000, [80, 80, 20], "").encode_to_vec());
    measure("1000 items, not ASCII", 1_000, items_of(1_000, [36, 36, 20], "ü").encode_to_vec());
    let mut not_utf8 = items_of(1_000, [36, 36, 20], "").encode_to_vec();
    // An unknown field.
    not_utf8.extend([0x7a, 1, 0xff]);
    measure("1000 items, not UTF-8", 1_000, not_utf8);
    measure("columns of 100 x 100", 10_000, matrix(100, 100).encode_to_vec());
    measure("columns of 1000 x 100", 100_000, matrix(1_000, 100).encode_to_vec());
    println!("\nms per hostile request of 16 MiB: pass 1");
    for (name, body) in hostile() {
        let request = BatchCheckBody::decode(&body[..]).unwrap_or_default();
        println!("{name:40} {:6.1}", best(|| request.read(200_000).is_ok()) / 1e6);
    }
}

fn items_of(items: usize, bytes: [usize; 3], end: &str) -> BatchCheckRequest {
    let text = |number: usize, bytes: usize| format!("{number:0>width$}{end}", width = bytes - end.len());
    let item = |number: usize| CheckItem {
        org_id: text(number * 7, bytes[0]),
        user_id: text(number * 13, bytes[1]),
        permission: text(number % 50, bytes[2]),
    };
    BatchCheckRequest { project: "default".into(), items: (0..items).map(item).collect(), ..Default::default() }
}

fn matrix(users: u32, permissions: u32) -> BatchCheckRequest {
    let texts = |count: u32| (0..count).map(|number| format!("{number:036}")).collect();
    let columns = CheckColumns {
        orgs: texts(1),
        users: texts(users),
        permissions: texts(permissions),
        user_ix: (0..users * permissions).map(|at| at / permissions).collect(),
        permission_ix: (0..users * permissions).map(|at| at % permissions).collect(),
        ..Default::default()
    };
    BatchCheckRequest { columns: Some(columns), ..Default::default() }
}

fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    const BYTES: usize = (16 << 20) - 16;
    let within = |key: u8, content: Vec<u8>| {
        let mut field = vec![key];
        prost::encoding::encode_varint(content.len() as u64, &mut field);
        field.extend(content);
        field
    };
    let text = |end: &[u8]| [&b"\xc3\xa9".repeat(BYTES / 2 - 8), end].concat();
    vec![
        ("an item of empty strings", within(0x12, [0x0a, 0].repeat(BYTES / 2))),
        ("an item of unknown numbers", within(0x12, [0x78, 0].repeat(BYTES / 2))),
        ("a group of numbers", [&[0x7b][..], &[0x08, 0].repeat(BYTES / 2), &[0x7c]].concat()),
        ("a table of empty strings", within(0x22, [0x0a, 0].repeat(BYTES / 2))),
        ("unpacked indices", within(0x22, [0x20, 0].repeat(BYTES / 2))),
        ("packed indices", within(0x22, within(0x22, vec![1; BYTES]))),
        ("long packed indices", within(0x22, within(0x22, [0x81, 0x80, 0].repeat(BYTES / 3)))),
        ("a string that is not ASCII", within(0x12, within(0x0a, text(b"")))),
        ("the same, not UTF-8 at its end", within(0x12, within(0x0a, text(b"\xff")))),
        ("empty items", [0x12, 0].repeat(BYTES / 2)),
        ("100,000 items of 160 bytes", items_of(100_000, [60, 60, 32], "").encode_to_vec()),
    ]
}

fn measure(name: &str, checks: usize, encoded: Vec<u8>) {
    let owned = best(|| BatchCheckRequest::decode(black_box(&encoded[..])));
    let Ok(body) = BatchCheckBody::decode(&encoded[..]) else { return };
    let first = best(|| body.read(usize::MAX).map(|read| read.items));
    let Ok(read) = body.read(usize::MAX) else { return };
    let second = best(|| {
        let lengths = |[org, user, permission]: [&str; 3]| org.len() + user.len() * 3 + permission.len() * 5;
        let items: usize = read.items().map(lengths).sum();
        let columns = read.columns().map(|columns| columns.checks().map(lengths).sum::<usize>());
        items + columns.unwrap_or_default()
    });
    let [owned, first, second] = [owned, first, second].map(|nanos| nanos / checks as f64);
    println!("{name:27} {owned:6.1}   {first:6.1}   {second:6.1}");
}

/// Returns the nanoseconds of one run.
fn best<T>(mut run: impl FnMut() -> T) -> f64 {
    let times = (0..RUNS).map(|_| {
        let began = Instant::now();
        let mut rounds = 0;
        while rounds == 0 || began.elapsed().as_millis() < 10 {
            black_box(run());
            rounds += 1;
        }
        began.elapsed().as_nanos() as f64 / f64::from(rounds)
    });
    times.fold(f64::INFINITY, f64::min)
}
