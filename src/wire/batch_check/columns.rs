//! The columns of a request: tables of strings, and arrays of indices into them.

use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_varint, merge_loop, skip_field, uint32};
use prost::{DecodeError, Message};

use super::read::{FieldsLeft, within};
use super::texts::Texts;

/// The paths of the fields of `CheckColumns`: three tables, then three index arrays.
pub const COLUMN_PATHS: [&str; 6] = [
    "columns.orgs",
    "columns.users",
    "columns.permissions",
    "columns.org_ix",
    "columns.user_ix",
    "columns.permission_ix",
];

/// Bytes that a string takes once it is hashed or looked up.
const LOOKED_UP_BYTES: usize = 16;

/// Returns what a field of `CheckColumns` is, by its number. `None` for an unknown one.
fn part(tag: u32) -> Option<Part> {
    match tag {
        1..=3 => Some(Part::Table(tag as usize - 1)),
        4..=6 => Some(Part::Indices(tag as usize - 4)),
        _ => None,
    }
}

enum Part {
    Table(usize),
    Indices(usize),
}

/// The sizes of the columns: pass 1.
#[derive(Debug)]
pub struct Shape<'a> {
    texts: Texts<'a>,
    /// The strings of each table.
    pub tables: [usize; 3],
    /// The entries of each index array.
    pub indices: [usize; 3],
    pub(super) left: FieldsLeft,
}

impl<'a> Shape<'a> {
    pub(super) fn new(texts: Texts<'a>) -> Self {
        Self { texts, tables: [0; 3], indices: [0; 3], left: FieldsLeft::default() }
    }

    /// Returns the number of checks.
    pub fn checks(&self) -> usize {
        self.indices.into_iter().max().unwrap_or(0)
    }

    /// Returns the path and size of the first index array that is neither empty nor as long as the longest one.
    pub fn uneven(&self) -> Option<(&'static str, usize)> {
        let differs = |&at: &usize| self.indices[at] != 0 && self.indices[at] != self.checks();
        (0..3).find(differs).map(|at| (COLUMN_PATHS[3 + at], self.indices[at]))
    }

    /// Returns the path of the largest table and its number of strings.
    pub fn largest_table(&self) -> (&'static str, usize) {
        let largest = (0..3).max_by_key(|&at| self.tables[at]).unwrap_or(0);
        (COLUMN_PATHS[largest], self.tables[largest])
    }

    /// Returns the memory that pass 2 and looking up the strings take.
    pub fn bytes(&self) -> usize {
        let (strings, indices) = (self.tables.iter().sum::<usize>(), self.indices.iter().sum::<usize>());
        strings * (size_of::<&str>() + LOOKED_UP_BYTES) + indices * size_of::<u32>()
    }
}

impl Message for Shape<'_> {
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        rest: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        self.left.take()?;
        let Some(part) = part(tag) else { return skip_field(wire_type, tag, rest, ctx) };
        let read = match part {
            Part::Table(at) => self.texts.take(wire_type, rest).map(|_| self.tables[at] += 1),
            Part::Indices(at) => count(wire_type, &mut self.indices[at], rest, ctx),
        };
        read.map_err(|error| {
            let field = COLUMN_PATHS[tag as usize - 1].trim_start_matches("columns.");
            within("CheckColumns", field, error)
        })
    }

    only_read!();
}

/// Counts indices, packed or not.
fn count(wire_type: WireType, number: &mut usize, rest: &mut impl Buf, ctx: DecodeContext) -> Result<(), DecodeError> {
    if wire_type != WireType::LengthDelimited {
        *number += 1;
        return uint32::merge(wire_type, &mut 0, rest, ctx);
    }
    if let Some((packed, bytes)) = packed(rest.chunk())
        && let Some(short) = count_short(packed)
    {
        rest.advance(bytes);
        *number += short;
        return Ok(());
    }
    merge_loop(number, rest, ctx, |number, rest, _| {
        *number += 1;
        decode_varint(rest).map(|_| ())
    })
}

/// Returns the content of a packed array, and where it ends.
fn packed(mut from: &[u8]) -> Option<(&[u8], usize)> {
    let all = from.len();
    let length = usize::try_from(decode_varint(&mut from).ok()?).ok()?;
    Some((from.get(..length)?, all - from.len() + length))
}

/// Counts varints. `None` if one has ten bytes, which may be malformed, or has no end.
fn count_short(packed: &[u8]) -> Option<usize> {
    if packed.is_ascii() {
        return Some(packed.len());
    }
    let (mut number, mut open) = (0, 0);
    for &byte in packed {
        open = if byte < 0x80 { 0 } else { open + 1 };
        if open == 9 {
            return None;
        }
        number += usize::from(byte < 0x80);
    }
    (open == 0).then_some(number)
}

/// Appends well-formed varints.
fn append(packed: &[u8], indices: &mut Vec<u32>) {
    if packed.is_ascii() {
        indices.extend(packed.iter().map(|&byte| u32::from(byte)));
        return;
    }
    let (mut index, mut shift) = (0, 0);
    for &byte in packed {
        // As prost does: the bits above 32 are dropped.
        index |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            indices.push(index as u32);
            (index, shift) = (0, 0);
        } else {
            shift += 7;
        }
    }
}

/// The columns of a well-formed request: pass 2.
#[derive(Debug)]
pub struct Columns<'a> {
    texts: Texts<'a>,
    tables: [Vec<&'a str>; 3],
    indices: [Vec<u32>; 3],
}

/// Org, user or permission of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column<'a> {
    Text(&'a str),
    /// An index that the table does not have, and the number of its strings.
    OutOfRange(u32, usize),
}

impl<'a> Columns<'a> {
    pub(super) fn new(shape: &Shape<'a>) -> Self {
        Self {
            texts: shape.texts,
            tables: shape.tables.map(Vec::with_capacity),
            indices: shape.indices.map(Vec::with_capacity),
        }
    }

    /// Returns a table: 0 orgs, 1 users, 2 permissions.
    pub fn table(&self, column: usize) -> &[&'a str] {
        &self.tables[column]
    }

    /// Returns the indices of each check.
    pub fn rows(&self) -> impl Iterator<Item = [u32; 3]> + Clone {
        let checks = self.indices.iter().map(Vec::len).max().unwrap_or(0);
        (0..checks).map(move |at| [0, 1, 2].map(|column| self.index(column, at)))
    }

    /// Returns org, user and permission of a check, for its error.
    pub fn explained(&self, at: usize) -> [Column<'a>; 3] {
        [0, 1, 2].map(|column| match self.text(column, at) {
            Some(text) => Column::Text(text),
            None => Column::OutOfRange(self.index(column, at), self.tables[column].len()),
        })
    }

    #[inline]
    fn index(&self, column: usize, at: usize) -> u32 {
        // An empty array means index 0.
        self.indices[column].get(at).copied().unwrap_or(0)
    }

    #[inline]
    fn text(&self, column: usize, at: usize) -> Option<&'a str> {
        self.tables[column].get(self.index(column, at) as usize).copied()
    }
}

impl Message for Columns<'_> {
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        rest: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match part(tag) {
            Some(Part::Table(at)) => self.tables[at].push(self.texts.take(wire_type, rest)?),
            Some(Part::Indices(at)) => match packed(rest.chunk()).filter(|_| wire_type == WireType::LengthDelimited) {
                Some((packed, bytes)) => {
                    append(packed, &mut self.indices[at]);
                    rest.advance(bytes);
                }
                None => uint32::merge_repeated(wire_type, &mut self.indices[at], rest, ctx)?,
            },
            None => skip_field(wire_type, tag, rest, ctx)?,
        }
        Ok(())
    }

    only_read!();
}
