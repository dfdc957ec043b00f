//! The strings of a request, as parts of its bytes.

use std::ops::Range;
use std::str;

use prost::DecodeError;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, check_wire_type, decode_varint, skip_field, string};

/// The bytes of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Texts<'a> {
    pub body: &'a [u8],
    /// The whole body, if it is valid UTF-8. It is unless a length above 127, a large index or a strange string is in it.
    /// One look at the whole body costs less than one at each string.
    whole: Option<&'a str>,
}

impl<'a> Texts<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        Self { body, whole: str::from_utf8(body).ok() }
    }

    /// Returns a part of the body, or `None` if it is not in the body or not UTF-8.
    #[inline]
    pub fn get(&self, part: Range<usize>) -> Option<&'a str> {
        match self.whole {
            // A part of valid UTF-8 is valid if and only if it begins and ends between characters.
            Some(whole) => whole.get(part),
            None => str::from_utf8(self.body.get(part)?).ok(),
        }
    }

    /// Reads the length and content of a string field. `rest` is the end of the body, from the length on.
    pub fn take(&self, wire_type: WireType, rest: &mut impl Buf) -> Result<&'a str, DecodeError> {
        check_wire_type(WireType::LengthDelimited, wire_type)?;
        let length = decode_varint(rest)?;
        let from = self.body.len() - rest.remaining();
        if length > rest.remaining() as u64 {
            return cut_off().map(|()| "");
        }
        let length = length as usize;
        let Some(text) = self.get(from..from + length) else { return not_utf8().map(|()| "") };
        rest.advance(length);
        Ok(text)
    }
}

/// Returns prost's error for a field that does not end before its message does.
pub(super) fn cut_off() -> Result<(), DecodeError> {
    skip_field(WireType::SixtyFourBit, 1, &mut &[][..], DecodeContext::default())
}

/// Returns prost's error for a string that is not UTF-8.
fn not_utf8() -> Result<(), DecodeError> {
    string::merge(WireType::LengthDelimited, &mut String::new(), &mut &b"\x01\xff"[..], DecodeContext::default())
}
