//! Reads a request in two passes. The first judges every byte and finds the fields. The second returns the checks. Neither
//! allocates memory for a check.

use std::ops::Range;

use prost::bytes::Buf;
use prost::encoding::{self, DecodeContext, WireType, decode_key, message, skip_field};
use prost::{DecodeError, Message};

use super::columns::{Columns, Shape};
use super::texts::{Texts, cut_off};
use crate::wire::Consistency;

/// The fields of `BatchCheckRequest`.
const PROJECT: u32 = 1;
const ITEMS: u32 = 2;
const DEFAULTS: u32 = 3;
const COLUMNS: u32 = 4;
const NO_ACTIVITY: u32 = 9;
const CONSISTENCY: u32 = 20;

/// The key of an item: its number and its wire type.
const ITEM_KEY: u8 = (ITEMS as u8) << 3 | WireType::LengthDelimited as u8;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    Malformed(DecodeError),
    /// It has more fields than this.
    TooManyFields(usize),
}

impl From<DecodeError> for Unreadable {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

/// How many fields a request may have: they bound the time of pass 1.
#[derive(Clone, Copy, Debug)]
pub struct FieldLimits {
    pub top_level: usize,
    /// At all depths, without those of usual items and of groups.
    pub all: usize,
}

/// How many fields may still come. Negative after one too many.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FieldsLeft(i64);

impl FieldsLeft {
    fn new(max: usize) -> Self {
        Self(i64::try_from(max).unwrap_or(i64::MAX))
    }

    /// Counts a field. If it is one too many, fails with an error that [`read`] replaces.
    pub fn take(&mut self) -> Result<(), DecodeError> {
        self.0 -= 1;
        if self.0 < 0 { cut_off() } else { Ok(()) }
    }
}

/// Org, user and permission of a check. They are UTF-8.
pub type Check<'a> = [&'a [u8]; 3];

/// A well-formed request. Its strings are parts of its bytes.
#[derive(Debug)]
pub struct BatchCheck<'a> {
    texts: Texts<'a>,
    pub project: &'a str,
    pub no_activity: bool,
    pub consistency: Option<Consistency>,
    pub defaults: Check<'a>,
    /// The number of items.
    pub items: usize,
    items_in: Range<usize>,
    /// The sizes of the columns.
    pub columns: Shape<'a>,
    columns_in: Range<usize>,
    left: FieldsLeft,
}

/// Pass 1. Accepts and refuses what prost does.
pub(super) fn read(body: &[u8], limits: FieldLimits) -> Result<BatchCheck<'_>, Unreadable> {
    let texts = Texts::new(body);
    let mut read = BatchCheck {
        texts,
        project: "",
        no_activity: false,
        consistency: None,
        defaults: [b""; 3],
        items: 0,
        items_in: 0..0,
        columns: Shape::new(texts),
        columns_in: 0..0,
        left: FieldsLeft::new(limits.all),
    };
    let (mut fields, mut at) = (0, 0);
    while at < body.len() {
        fields += 1;
        if fields > limits.top_level {
            return Err(Unreadable::TooManyFields(limits.top_level));
        }
        let from = at;
        if let Some((item, next)) = plain_item(body, at)
            && texts.are_utf8(&item)
        {
            at = next;
            read.items += 1;
            widen(&mut read.items_in, from..at);
            continue;
        }
        let mut rest = &body[at..];
        let (tag, wire_type) = decode_key(&mut rest)?;
        if let Err(error) = read.field(tag, wire_type, &mut rest) {
            return Err(match read.left.0 < 0 {
                true => Unreadable::TooManyFields(limits.all),
                false => error.into(),
            });
        }
        at = body.len() - rest.len();
        match tag {
            ITEMS => widen(&mut read.items_in, from..at),
            COLUMNS => widen(&mut read.columns_in, from..at),
            _ => {}
        }
    }
    Ok(read)
}

/// Makes `all` include a later part.
fn widen(all: &mut Range<usize>, part: Range<usize>) {
    if all.end == 0 {
        all.start = part.start;
    }
    all.end = part.end;
}

impl<'a> BatchCheck<'a> {
    /// Reads any field. `rest` is the end of the body, from the content of the field on.
    fn field(&mut self, tag: u32, wire_type: WireType, rest: &mut &'a [u8]) -> Result<(), DecodeError> {
        let ctx = DecodeContext::default();
        let (name, read) = match tag {
            PROJECT => ("project", self.texts.take(wire_type, rest).map(|project| self.project = project)),
            ITEMS => {
                self.items += 1;
                ("items", self.item([b""; 3], wire_type, rest).map(|_| ()))
            }
            // A message that comes twice is merged.
            DEFAULTS => {
                let defaults = self.item(self.defaults, wire_type, rest);
                ("defaults", defaults.map(|defaults| self.defaults = defaults))
            }
            COLUMNS => {
                self.columns.left = self.left;
                let read = message::merge(wire_type, &mut self.columns, rest, ctx);
                self.left = self.columns.left;
                ("columns", read)
            }
            NO_ACTIVITY => ("no_activity", encoding::bool::merge(wire_type, &mut self.no_activity, rest, ctx)),
            CONSISTENCY => {
                let consistency = self.consistency.get_or_insert_default();
                ("consistency", message::merge(wire_type, consistency, rest, ctx))
            }
            _ => return skip_field(wire_type, tag, rest, ctx),
        };
        read.map_err(|error| within("BatchCheckRequest", name, error))
    }

    /// Reads an item or `defaults` over what is known of it.
    fn item(&mut self, check: Check<'a>, wire_type: WireType, rest: &mut &'a [u8]) -> Result<Check<'a>, DecodeError> {
        let mut item = Item { texts: self.texts, check, left: self.left };
        let read = message::merge(wire_type, &mut item, rest, DecodeContext::default());
        self.left = item.left;
        read.map(|()| item.check)
    }

    /// Pass 2 of the items, with the values of `defaults` in empty fields.
    pub fn items(&self) -> Items<'a> {
        Items { texts: self.texts, at: self.items_in.start, to: self.items_in.end, defaults: self.defaults }
    }

    /// Pass 2 of the columns. Allocates the bytes that `columns.bytes()` says.
    pub fn columns(&self) -> Result<Columns<'a>, DecodeError> {
        let mut columns = Columns::new(&self.columns);
        let body = self.texts.body;
        let mut rest = &body[self.columns_in.start..];
        while rest.len() > body.len() - self.columns_in.end {
            let (tag, wire_type) = decode_key(&mut rest)?;
            match tag {
                COLUMNS => message::merge(wire_type, &mut columns, &mut rest, DecodeContext::default())?,
                _ => skip_field(wire_type, tag, &mut rest, DecodeContext::default())?,
            }
        }
        Ok(columns)
    }
}

/// The items of a well-formed request, in order.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    texts: Texts<'a>,
    at: usize,
    to: usize,
    defaults: Check<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Check<'a>;

    #[inline]
    fn next(&mut self) -> Option<Check<'a>> {
        if self.at == self.to {
            return None;
        }
        let item = match plain_item(self.texts.body, self.at) {
            Some((item, next)) => {
                self.at = next;
                item
            }
            None => self.any_item()?,
        };
        let or = |own: &'a [u8], default: &'a [u8]| if own.is_empty() { default } else { own };
        Some([or(item[0], self.defaults[0]), or(item[1], self.defaults[1]), or(item[2], self.defaults[2])])
    }
}

impl<'a> Items<'a> {
    /// Returns the next item, whatever its form is and whatever fields come before it.
    #[cold]
    fn any_item(&mut self) -> Option<Check<'a>> {
        let body = self.texts.body;
        let mut rest = &body[self.at..];
        let mut item = Item { texts: self.texts, check: [b""; 3], left: FieldsLeft::new(usize::MAX) };
        // Pass 1 has found no error. If there were one, the number of items would not be that of pass 1.
        loop {
            let (tag, wire_type) = decode_key(&mut rest).ok()?;
            if tag == ITEMS {
                message::merge(wire_type, &mut item, &mut rest, DecodeContext::default()).ok()?;
                self.at = body.len() - rest.len();
                return Some(item.check);
            }
            skip_field(wire_type, tag, &mut rest, DecodeContext::default()).ok()?;
        }
    }
}

/// Reads an item of the usual form: the fields in their order, at most once, each shorter than 128 bytes. Returns it and
/// where it ends. `None` does not say that anything is malformed.
#[inline]
pub(super) fn plain_item(body: &[u8], mut at: usize) -> Option<(Check<'_>, usize)> {
    if *body.get(at)? != ITEM_KEY {
        return None;
    }
    let mut length = usize::from(*body.get(at + 1)?);
    at += 2;
    if length >= 0x80 {
        let high = usize::from(*body.get(at)?);
        if high >= 0x80 {
            return None;
        }
        length = length - 0x80 + (high << 7);
        at += 1;
    }
    let end = at + length;
    let item = body.get(..end)?;
    let mut check: Check<'_> = [b""; 3];
    for (field, text) in check.iter_mut().enumerate() {
        let key = (field as u8 + 1) << 3 | WireType::LengthDelimited as u8;
        if item.get(at) != Some(&key) {
            continue;
        }
        let length = usize::from(*item.get(at + 1)?);
        let (from, to) = (at + 2, at + 2 + length);
        if length >= 0x80 {
            return None;
        }
        *text = item.get(from..to)?;
        at = to;
    }
    (at == end).then_some((check, end))
}

/// An item of any form, or `defaults`.
#[derive(Debug)]
struct Item<'a> {
    texts: Texts<'a>,
    check: Check<'a>,
    left: FieldsLeft,
}

impl Message for Item<'_> {
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        rest: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        self.left.take()?;
        let (field, name) = match tag {
            1 => (0, "org_id"),
            2 => (1, "user_id"),
            3 => (2, "permission"),
            _ => return skip_field(wire_type, tag, rest, ctx),
        };
        let text = self.texts.take(wire_type, rest).map_err(|error| within("CheckItem", name, error))?;
        self.check[field] = text.as_bytes();
        Ok(())
    }

    only_read!();
}

/// Says where an error is, as prost does.
pub(super) fn within(message: &'static str, field: &'static str, mut error: DecodeError) -> DecodeError {
    error.push(message, field);
    error
}
