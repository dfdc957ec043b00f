//! BatchCheck's request and response, written by hand: the request is read where it arrived, and a decision of the
//! response is one byte. Clients and tests use the generated messages, which have the same encoding.

/// The rest of prost's trait for a type that only collects what is read.
macro_rules! only_read {
    () => {
        fn encode_raw(&self, _: &mut impl prost::bytes::BufMut) {}

        fn encoded_len(&self) -> usize {
            0
        }

        fn clear(&mut self) {}
    };
}

pub mod columns;
pub mod read;
#[cfg(test)]
mod tests;
mod texts;

use prost::bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_varint};
use prost::{DecodeError, Message, Name};
use prost_types::Timestamp;

pub use columns::{COLUMN_PATHS, Column, Columns};
pub use read::{BatchCheck, Check, FieldLimits, Items, Unreadable};

/// An encoded `BatchCheckRequest`. Decoding copies and judges nothing; [`BatchCheckBody::read`] does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchCheckBody(Bytes);

impl BatchCheckBody {
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Reads all of the request but its checks, and judges it as prost would.
    pub fn read(&self, limits: FieldLimits) -> Result<BatchCheck<'_>, Unreadable> {
        read::read(&self.0, limits)
    }
}

impl Name for BatchCheckBody {
    const NAME: &'static str = "BatchCheckRequest";
    const PACKAGE: &'static str = "rolecall.v1";
}

impl Message for BatchCheckBody {
    fn decode(mut buf: impl Buf) -> Result<Self, DecodeError> {
        Ok(Self(buf.copy_to_bytes(buf.remaining())))
    }

    /// Merges a second request: an encoded message followed by another one encodes both merged.
    fn merge(&mut self, buf: impl Buf) -> Result<(), DecodeError> {
        let joined = (&self.0[..]).chain(buf);
        *self = Self::decode(joined)?;
        Ok(())
    }

    /// Fails: no message has a request as a field.
    fn merge_field(
        &mut self,
        _tag: u32,
        _wire_type: WireType,
        _buf: &mut impl Buf,
        _ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        decode_varint(&mut &[][..]).map(|_| ())
    }

    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// `BatchCheckResponse` with one byte per decision: a packed enum below 128 is encoded like bytes, and a string too.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BatchCheckAnswer {
    #[prost(bytes = "vec", tag = "1")]
    pub decisions: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub errors: Vec<CheckError>,
    #[prost(int32, tag = "3")]
    pub errors_total: i32,
    #[prost(bytes = "bytes", tag = "100")]
    pub revision: Bytes,
    #[prost(message, optional, tag = "101")]
    pub evaluated_at: Option<Timestamp>,
}

/// `ItemError`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CheckError {
    #[prost(int32, tag = "1")]
    pub index: i32,
    #[prost(bytes = "bytes", tag = "2")]
    pub reason: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub field: Bytes,
    #[prost(string, tag = "4")]
    pub description: String,
}
