//! Decodes requests and encodes answers with prost. Malformed protobuf is the caller's fault. A request with too many bytes
//! or fields is refused before it takes memory.

use std::marker::PhantomData;

use prost::bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};
use prost::{Message, Name};
use tonic::Status;
use tonic::codec::{BufferSettings, DecodeBuf};
use tonic_prost::ProstEncoder;

use super::status;
use crate::limits::{BULK_REQUEST_BYTES_MAX, REQUEST_BYTES_MAX, REQUEST_FIELDS_MAX};

/// The requests with rows, or with names of many roles. They may be large. Other requests must be small, because nested
/// fields are decoded before they can be counted. A service itself only bounds its largest request.
pub const BULK: [&str; 13] = [
    "BatchCheckRequest",
    "BatchCreatePermissionsRequest",
    "BatchCreateRolesRequest",
    "BatchSubscribeOrgsRequest",
    "BatchWriteMembersRequest",
    "ConvertRoleStructureRequest",
    "CreateRoleMappingRequest",
    "CreateRoleRequest",
    "DeleteRoleMappingRequest",
    "ReorderRolesRequest",
    "SubscribeOrgRequest",
    "UpdateRoleMappingRequest",
    "UpdateRoleRequest",
];

/// The codec of every method of a server. Clients use tonic's: answers are not bounded.
pub struct Codec<T, U>(PhantomData<(T, U)>);

/// The decoder of [`Codec`].
pub struct Decoder<U>(PhantomData<U>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = Decoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        Decoder(PhantomData)
    }
}

impl<U: Message + Name + Default> tonic::codec::Decoder for Decoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let (bytes, bytes_max) = (buf.remaining(), bytes_max(U::NAME));
        if bytes > bytes_max {
            return Err(status::too_large(&format!("the request has {bytes} bytes; {bytes_max} are allowed")));
        }
        // tonic passes one chunk. Several chunks would be bounded only by their bytes.
        let whole = buf.chunk();
        if whole.len() == buf.remaining() && fields(whole) > REQUEST_FIELDS_MAX {
            return Err(status::too_many_fields(REQUEST_FIELDS_MAX));
        }
        U::decode(buf).map(Some).map_err(|error| status::malformed(&error.to_string()))
    }
}

fn bytes_max(request: &str) -> usize {
    if BULK.contains(&request) { BULK_REQUEST_BYTES_MAX } else { REQUEST_BYTES_MAX }
}

/// Counts the top-level fields of a message, up to the first malformed one. Stops above the bound.
fn fields(mut message: &[u8]) -> usize {
    let mut fields = 0;
    while fields <= REQUEST_FIELDS_MAX && skip_field(&mut message).is_some() {
        fields += 1;
    }
    fields
}

/// Skips a field. `None` at the end and at a malformed field, which prost reports.
fn skip_field(message: &mut &[u8]) -> Option<()> {
    let (_, wire_type) = decode_key(message).ok()?;
    let length = match wire_type {
        WireType::Varint => decode_varint(message).map(|_| 0).ok()?,
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => usize::try_from(decode_varint(message).ok()?).ok()?,
        // Fields of a group are counted as top-level ones.
        WireType::StartGroup | WireType::EndGroup => 0,
    };
    *message = message.get(length..)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn the_top_level_fields_are_counted() {
        let item = |number: usize| wire::CheckItem { user_id: "u".repeat(number), ..Default::default() };
        let request = wire::BatchCheckRequest {
            project: "default".into(),
            items: (0..300).map(item).collect(),
            defaults: Some(item(1)),
            ..Default::default()
        };
        assert_eq!(fields(&request.encode_to_vec()), 302);
        assert_eq!(fields(&[]), 0);
        // A varint, eight bytes, four bytes, a group with a varint in it.
        assert_eq!(fields(b"\x08\xac\x02\x11........\x1d....\x23\x08\x01\x24"), 6);
    }

    #[test]
    fn counting_stops_at_a_malformed_field_and_above_the_bound() {
        assert_eq!(fields(b"\x08\x01\x12\x7fshort"), 1);
        assert_eq!(fields(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0);
        assert_eq!(fields(&[0xff; 64]), 0);
        assert_eq!(fields(&[0x12, 0].repeat(1_000_000)), REQUEST_FIELDS_MAX + 1);
    }
}
