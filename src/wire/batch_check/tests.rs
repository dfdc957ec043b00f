//! Compares reading in place with prost's owned messages, on valid and on mutated requests.

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::*;
use crate::wire::{BatchCheckRequest, CheckColumns, CheckItem};

/// Returns org, user and permission of every item, with the defaults.
fn items(request: &BatchCheckRequest) -> Vec<[String; 3]> {
    let fields = |item: &CheckItem| [item.org_id.clone(), item.user_id.clone(), item.permission.clone()];
    let defaults = fields(&request.defaults.clone().unwrap_or_default());
    let filled = |own: String, default: &String| if own.is_empty() { default.clone() } else { own };
    let item = |item| {
        let [org, user, permission] = fields(item);
        [filled(org, &defaults[0]), filled(user, &defaults[1]), filled(permission, &defaults[2])]
    };
    request.items.iter().map(item).collect()
}

fn columns(request: &BatchCheckRequest) -> Vec<[String; 3]> {
    let CheckColumns { orgs, users, permissions, org_ix, user_ix, permission_ix } =
        request.columns.clone().unwrap_or_default();
    let checks = org_ix.len().max(user_ix.len()).max(permission_ix.len());
    let text = |table: &Vec<String>, indices: &Vec<u32>, at: usize| {
        let index = indices.get(at).copied().unwrap_or(0);
        table.get(index as usize).cloned().unwrap_or_default()
    };
    let check = |at| [text(&orgs, &org_ix, at), text(&users, &user_ix, at), text(&permissions, &permission_ix, at)];
    (0..checks).map(check).collect()
}

fn owned(check: Check<'_>) -> [String; 3] {
    check.map(str::to_owned)
}

/// Fails unless both read the same. Returns true if the request is well-formed.
#[track_caller]
fn compare(encoded: &[u8]) -> bool {
    let body = BatchCheckBody::decode(encoded).unwrap();
    let (ours, theirs) = (body.read(usize::MAX), BatchCheckRequest::decode(encoded));
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(ours), Err(theirs)) => {
            assert_eq!(ours, Unreadable::Malformed(theirs), "{encoded:02x?}");
            return false;
        }
        (ours, theirs) => panic!("in place {ours:?}\nowned {theirs:?}\nof {encoded:02x?}"),
    };
    assert_eq!(ours.project, theirs.project, "{encoded:02x?}");
    assert_eq!(ours.no_activity, theirs.no_activity, "{encoded:02x?}");
    assert_eq!(ours.consistency, theirs.consistency, "{encoded:02x?}");
    assert_eq!(ours.items, theirs.items.len(), "{encoded:02x?}");
    assert_eq!(ours.items().map(owned).collect::<Vec<_>>(), items(&theirs), "{encoded:02x?}");
    let table = theirs.columns.clone().unwrap_or_default();
    assert_eq!(ours.columns.tables, [table.orgs.len(), table.users.len(), table.permissions.len()], "{encoded:02x?}");
    let indices = [table.org_ix.len(), table.user_ix.len(), table.permission_ix.len()];
    assert_eq!(ours.columns.indices, indices, "{encoded:02x?}");
    let read = ours.columns().unwrap();
    assert_eq!(read.checks().map(owned).collect::<Vec<_>>(), columns(&theirs), "{encoded:02x?}");
    true
}

/// A small generator of random numbers, so that ten million cases take minutes.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn text(&mut self) -> Vec<u8> {
        match self.below(12) {
            0 => Vec::new(),
            1 => "Zürich".into(),
            2 => vec![b'x'; self.pick(&[126, 127, 128, 129, 255, 300])],
            3 if self.one_in(20) => self.pick(&[&b"\xff"[..], b"\xc3", b"a\xe2\x82", b"\xed\xa0\x80"]).into(),
            _ => (0..self.below(10)).map(|_| self.pick(b"abz0-_.")).collect(),
        }
    }

    /// Returns a number as a varint, sometimes longer than it has to be, rarely too long.
    fn varint(&mut self, number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_varint(number, &mut bytes);
        if self.one_in(30) {
            let last = bytes.len() - 1;
            bytes[last] |= 0x80;
            bytes.resize(last + 1 + self.below(9 - last.min(8)), 0x80);
            bytes.push(self.pick(&[0, 0, 0, 1, 2]));
        }
        bytes
    }

    fn field(&mut self, number: u32, content: &[u8]) -> Vec<u8> {
        let key = u64::from(number << 3 | WireType::LengthDelimited as u32);
        let mut bytes = self.varint(key);
        bytes.extend(self.varint(content.len() as u64));
        bytes.extend(content);
        bytes
    }

    fn number(&mut self, number: u32, value: u64) -> Vec<u8> {
        let mut bytes = self.varint(u64::from(number << 3));
        bytes.extend(self.varint(value));
        bytes
    }

    /// Returns a field that no message knows.
    fn unknown(&mut self) -> Vec<u8> {
        let number = self.pick(&[7, 8, 15, 16, 2_000]);
        let mut bytes = Vec::new();
        match self.below(6) {
            0 => return self.number(number, u64::MAX),
            1 => {
                let text = self.text();
                return self.field(number, &text);
            }
            2 => {
                encode_key(number, WireType::SixtyFourBit, &mut bytes);
                bytes.extend([9; 8]);
            }
            3 => {
                encode_key(number, WireType::ThirtyTwoBit, &mut bytes);
                bytes.extend([9; 4]);
            }
            _ => {
                let depth = if self.one_in(3) { self.pick(&[97, 98, 99, 100, 101]) } else { self.below(3) };
                (0..=depth).for_each(|_| encode_key(number, WireType::StartGroup, &mut bytes));
                if self.one_in(2) {
                    let inner = self.unknown();
                    bytes.extend(inner);
                }
                (0..=depth).for_each(|_| encode_key(number, WireType::EndGroup, &mut bytes));
            }
        }
        bytes
    }

    fn item(&mut self) -> Vec<u8> {
        let mut item = Vec::new();
        let usual = !self.one_in(4);
        let fields: &[u32] = if usual { &[1, 2, 3] } else { self.pick(&[&[3, 2, 1][..], &[1, 1, 2], &[2, 3, 1, 2]]) };
        for &field in fields {
            if !self.one_in(5) {
                let text = self.text();
                item.extend(self.field(field, &text));
            }
        }
        if self.one_in(20) {
            item.extend(self.unknown());
        }
        item
    }

    fn columns(&mut self) -> Vec<u8> {
        let mut columns = Vec::new();
        for _ in 0..self.below(8) {
            let field = 1 + self.below(6) as u32;
            if field <= 3 {
                let text = self.text();
                columns.extend(self.field(field, &text));
            } else if self.one_in(3) {
                let index = self.index();
                columns.extend(self.number(field, index));
            } else {
                let mut packed = Vec::new();
                for _ in 0..self.below(20) {
                    let index = self.index();
                    packed.extend(self.varint(index));
                }
                columns.extend(self.field(field, &packed));
            }
        }
        if self.one_in(20) {
            columns.extend(self.unknown());
        }
        columns
    }

    fn index(&mut self) -> u64 {
        if self.one_in(10) { self.pick(&[127, 128, 300, 1 << 32, u64::MAX]) } else { self.below(4) as u64 }
    }

    fn request(&mut self) -> Vec<u8> {
        let mut request = Vec::new();
        for _ in 0..self.below(9) {
            let field = match self.below(20) {
                0 => {
                    let text = self.text();
                    self.field(1, &text)
                }
                1 | 2 => {
                    let defaults = self.item();
                    self.field(3, &defaults)
                }
                3..=6 => {
                    let columns = self.columns();
                    self.field(4, &columns)
                }
                7 => {
                    let set = self.pick(&[0, 1, 2, 1 << 40]);
                    self.number(9, set)
                }
                8 => {
                    let text = self.text();
                    let token = self.field(2, &text);
                    let latest = self.number(3, 1);
                    let unknown = self.unknown();
                    let requirement = self.pick(&[&token, &latest, &unknown]).clone();
                    self.field(20, &requirement)
                }
                9 => self.unknown(),
                _ => {
                    let item = self.item();
                    self.field(2, &item)
                }
            };
            request.extend(field);
        }
        request
    }

    fn mutate(&mut self, request: &mut Vec<u8>) {
        if request.is_empty() {
            request.push(self.below(256) as u8);
            return;
        }
        let at = self.below(request.len());
        let to = at + self.below((request.len() - at).min(20) + 1);
        match self.below(7) {
            0 => request[at] ^= 1 << self.below(8),
            1 => request[at] = self.pick(&[0, 1, 0x0a, 0x12, 0x13, 0x14, 0x22, 0x7f, 0x80, 0xff]),
            2 => request.insert(at, self.below(256) as u8),
            3 => drop(request.drain(at..to)),
            4 => {
                let part = request[at..to].to_vec();
                let place = self.below(request.len());
                request.splice(place..place, part);
            }
            5 => request.truncate(at),
            _ => {
                let other = self.request();
                let from = self.below(other.len() + 1);
                request.truncate(at);
                request.extend(&other[from..]);
            }
        }
    }
}

/// `PROPTEST_CASES` sets the number of requests.
#[test]
fn valid_and_mutated_requests_are_read_as_prost_reads_them() {
    let cases = std::env::var("PROPTEST_CASES").map_or(30_000, |cases| cases.parse::<u64>().unwrap());
    let (mut whole, mut mutated) = ([0; 2], [0; 2]);
    for seed in 0..cases {
        let mut random = Random(seed);
        let mut request = random.request();
        whole[usize::from(compare(&request))] += 1;
        for _ in 0..3 {
            random.mutate(&mut request);
            mutated[usize::from(compare(&request))] += 1;
        }
    }
    println!("malformed and well-formed: {whole:?} of the requests, {mutated:?} of the mutated ones");
    assert!(whole.iter().chain(&mutated).all(|&number| number > cases / 20), "{whole:?} {mutated:?}");
}

#[test]
fn a_usual_request_is_read_without_the_slow_path() {
    let text = |length: usize| "x".repeat(length);
    for lengths in [[36, 36, 20], [0, 36, 20], [127, 127, 127], [1, 0, 1], [0, 0, 0]] {
        let [org_id, user_id, permission] = lengths.map(text);
        let item = CheckItem { org_id, user_id, permission };
        let encoded = BatchCheckRequest { items: vec![item; 3], ..Default::default() }.encode_to_vec();
        let texts = texts::Texts::new(&encoded);
        let (mut at, mut read) = (0, 0);
        while let Some((check, next)) = read::plain_item(&texts, at) {
            assert_eq!(check.map(str::len), lengths);
            (at, read) = (next, read + 1);
        }
        assert_eq!((at, read), (encoded.len(), 3), "{lengths:?}");
        assert!(compare(&encoded));
    }
}

#[test]
fn a_request_has_at_most_so_many_top_level_fields() {
    let request = BatchCheckRequest { items: vec![CheckItem::default(); 5], ..Default::default() }.encode_to_vec();
    let body = BatchCheckBody::decode(&request[..]).unwrap();
    assert_eq!(body.read(5).unwrap().items, 5);
    assert_eq!(body.read(4).unwrap_err(), Unreadable::TooManyFields);
}

#[test]
fn two_parts_are_one_request() {
    let part = |project: &str, items| BatchCheckRequest {
        project: project.into(),
        items: vec![CheckItem::default(); items],
        ..Default::default()
    };
    let mut body = BatchCheckBody::decode(&part("one", 2).encode_to_vec()[..]).unwrap();
    body.merge(&part("two", 3).encode_to_vec()[..]).unwrap();
    let read = body.read(9).unwrap();
    assert_eq!((read.project, read.items), ("two", 5));
}

#[test]
fn the_answer_has_the_encoding_of_the_contract() {
    let errors = vec![CheckError {
        index: 1,
        reason: Bytes::from_static(b"INVALID_FIELD"),
        field: Bytes::from_static(b"org_id"),
        description: "must not be empty".into(),
    }];
    let evaluated_at = Some(Timestamp { seconds: 5, nanos: 7 });
    let revision = Bytes::from_static(b"token");
    let ours = BatchCheckAnswer { decisions: vec![1, 0, 9], errors, errors_total: 1, revision, evaluated_at };
    let theirs = crate::wire::BatchCheckResponse::decode(&ours.encode_to_vec()[..]).unwrap();
    assert_eq!(theirs.encode_to_vec(), ours.encode_to_vec());
    assert_eq!((theirs.decisions, theirs.revision.as_str()), (vec![1, 0, 9], "token"));
    assert_eq!(theirs.errors[0].field, "org_id");
    let empty = BatchCheckAnswer::default().encode_to_vec();
    assert_eq!(empty, crate::wire::BatchCheckResponse::default().encode_to_vec());
}
