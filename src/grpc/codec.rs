//! Decodes requests and encodes answers with prost. Malformed protobuf is the caller's fault. A request with too many bytes
//! or fields is refused before it takes memory.

use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use prost::bytes::Buf;
use prost::{Message, Name};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;
use tonic::Status;
use tonic::codec::{BufferSettings, DecodeBuf};
use tonic_prost::ProstEncoder;

use super::authz::{Authorized, authorize};
use super::layers::calls::take_for_decoding;
use super::{fields, status};
use crate::limits::{
    BULK_REQUEST_BYTES_MAX, FIELD_BYTES, LARGE_REQUESTS_MAX, REQUEST_BYTES_MAX, REQUEST_FIELDS_MAX,
    REQUEST_NESTED_FIELDS_MAX, SMALL_REQUEST_BYTES,
};
use crate::wire::StreamCheckRequest;
use crate::wire::batch_check::BatchCheckBody;

/// The requests with rows, or with names of many roles. They may be large. A service itself only bounds its largest request.
pub const BULK: [&str; 15] = [
    "ApplyConfigurationRequest",
    "BatchCheckRequest",
    "BatchCreateInvitationsRequest",
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
    U: Message + Name + Default + Authorized + Send + 'static,
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

impl<U: Message + Name + Default + Authorized> tonic::codec::Decoder for Decoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        decode(buf).map(Some)
    }
}

/// Requests above this are decoded off the threads that answer checks. Smaller ones take at most a few milliseconds.
const LARGE_BYTES: usize = 256 << 10;
/// Held while a large request is decoded, so that decoding takes one processor at most.
static LARGE: Mutex<()> = Mutex::new(());
/// Bounds the threads that wait for `LARGE`.
static LARGE_TURNS: Semaphore = Semaphore::const_new(LARGE_REQUESTS_MAX);

/// Decodes a request that is in one chunk.
pub fn decode<U: Message + Name + Default + Authorized>(buf: &mut impl Buf) -> Result<U, Status> {
    let (bytes, bytes_max) = (buf.remaining(), bytes_max(U::NAME));
    if bytes > bytes_max {
        return Err(status::too_large(&format!("the request has {bytes} bytes; {bytes_max} are allowed")));
    }
    if U::NAME == BatchCheckBody::NAME {
        // Its handler reads it in place, takes what it needs, and authorizes it.
        return U::decode(buf).map_err(|error| status::malformed(&error.to_string()));
    }
    if bytes > LARGE_BYTES && can_block_in_place() {
        let Ok(_turn) = LARGE_TURNS.try_acquire() else {
            let why = format!("{LARGE_REQUESTS_MAX} large requests already wait to be decoded; try again in a moment");
            return Err(status::overloaded(why));
        };
        // The other calls of this thread go on in another thread.
        return block_in_place(|| {
            let _one_at_a_time = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
            decode_fields(buf)
        });
    }
    decode_fields(buf)
}

/// Returns true if the other calls of this thread can go on in another thread.
pub fn can_block_in_place() -> bool {
    Handle::try_current().is_ok_and(|it| it.runtime_flavor() == RuntimeFlavor::MultiThread)
}

fn decode_fields<U: Message + Name + Default + Authorized>(buf: &mut impl Buf) -> Result<U, Status> {
    let bytes = buf.remaining();
    let memory = if bytes <= SMALL_REQUEST_BYTES {
        // The shortest field has two bytes.
        bytes * FIELD_BYTES / 2
    } else {
        let whole = buf.chunk();
        let fields = fields::count(&U::full_name(), whole, REQUEST_NESTED_FIELDS_MAX);
        if fields.top_level > REQUEST_FIELDS_MAX {
            return Err(status::too_many_fields(REQUEST_FIELDS_MAX));
        }
        if fields.all > REQUEST_NESTED_FIELDS_MAX {
            return Err(status::too_many_fields(REQUEST_NESTED_FIELDS_MAX));
        }
        bytes + fields.all * FIELD_BYTES
    };
    take_for_decoding(memory)?;
    let request = U::decode(buf).map_err(|error| status::malformed(&error.to_string()))?;
    // The handler of a stream authorizes each check.
    if U::NAME != StreamCheckRequest::NAME {
        authorize(&request)?;
    }
    Ok(request)
}

fn bytes_max(request: &str) -> usize {
    if BULK.contains(&request) { BULK_REQUEST_BYTES_MAX } else { REQUEST_BYTES_MAX }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use http_body_util::Full;
    use tokio::runtime::{Builder, Runtime};
    use tonic::codec::Streaming;

    use super::*;
    use crate::grpc::layers::calls::as_local;
    use crate::wire;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Decodes a request of more than so many bytes in a task.
    fn decode_in(runtime: &Runtime, bytes: usize, decoded: Sender<Result<(), Status>>) {
        let request =
            wire::BatchWriteMembersRequest { project: "p".repeat(bytes), ..Default::default() }.encode_to_vec();
        let mut body = vec![0];
        body.extend((request.len() as u32).to_be_bytes());
        body.extend(request);
        let body = Full::new(prost::bytes::Bytes::from(body));
        let decoder = Decoder::<wire::BatchWriteMembersRequest>(PhantomData);
        let mut requests = Streaming::new_request(decoder, body, None, None);
        runtime.spawn(as_local(async move { decoded.send(requests.message().await.map(|_| ())) }));
    }

    fn next(decoded: &Receiver<Result<(), Status>>) -> Result<(), Status> {
        decoded.recv_timeout(PATIENCE).expect("a request is decoded or refused")
    }

    #[test]
    fn small_requests_are_decoded_while_large_ones_wait_and_too_many_are_refused() {
        let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let ((large, large_decoded), (small, small_decoded)) = (channel(), channel());
        let one_is_decoded = LARGE.lock().unwrap();
        for _ in 0..LARGE_REQUESTS_MAX + 3 {
            decode_in(&runtime, LARGE_BYTES, large.clone());
        }
        for _ in 0..3 {
            let refused = next(&large_decoded).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
            assert!(tonic_types::StatusExt::get_details_retry_info(&refused).is_some());
        }
        // All others wait: there are more of them than threads of the runtime.
        decode_in(&runtime, 1, small);
        next(&small_decoded).unwrap();
        assert!(large_decoded.try_recv().is_err());
        drop(one_is_decoded);
        for _ in 0..LARGE_REQUESTS_MAX {
            next(&large_decoded).unwrap();
        }
    }
}
