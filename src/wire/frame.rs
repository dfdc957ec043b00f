//! Messages as gRPC sends them: one byte that says "not compressed", four of the length, and the message.

use prost::bytes::{BufMut, Bytes};
use prost::{DecodeError, Message};

/// The bytes before the message.
pub const HEADER_BYTES: usize = 5;

/// Returns the frame of a message.
pub fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + length);
    bytes.put_u8(0);
    bytes.put_u32(length as u32);
    message.encode_raw(&mut bytes);
    bytes.into()
}

/// Reads the message of one frame that is not compressed.
pub fn unframe<M: Message + Default>(frame: &[u8]) -> Result<M, DecodeError> {
    M::decode(frame.get(HEADER_BYTES..).unwrap_or_default())
}
