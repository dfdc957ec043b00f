//! The strings of a request, as parts of its bytes.

use std::str;

use prost::DecodeError;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, check_wire_type, decode_varint, skip_field, string};

/// The bytes of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Texts<'a> {
    pub body: &'a [u8],
    /// True if the whole body is ASCII. Most are: a length or an index above 127 is not, nor are some strings. One look at
    /// the whole body costs less than one at each string.
    ascii: bool,
}

impl<'a> Texts<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        Self { body, ascii: body.is_ascii() }
    }

    /// Returns true if parts of the body are UTF-8, as strings must be.
    #[inline]
    pub fn are_utf8(&self, parts: &[&[u8]]) -> bool {
        self.ascii || parts.iter().all(|part| part.is_ascii() || str::from_utf8(part).is_ok())
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
        let Ok(text) = str::from_utf8(&self.body[from..from + length]) else { return not_utf8().map(|()| "") };
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
