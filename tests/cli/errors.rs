//! Every error has a reason, even those that no handler returned.

use bytes::{Buf, BufMut, Bytes};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType};
use rolecall::grpc::status::DOMAIN;
use rolecall::wire::ErrorReason;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::run::{Server, grpcurl};

#[test]
fn grpcurl_shows_the_reason_of_an_error() {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start::<&str>(folder.path(), &[]);
    for (body, method, code, reason) in [
        (r#"{"project": "nowhere"}"#, "ProjectService/GetProject", "NotFound", "PROJECT_NOT_FOUND"),
        (r#"{"org_id": "a b"}"#, "OrgService/CreateOrg", "InvalidArgument", "INVALID_FIELD"),
        (
            r#"{"key": "default", "environment": 1}"#,
            "ProjectService/CreateProject",
            "AlreadyExists",
            "PROJECT_ALREADY_EXISTS",
        ),
        (r#"{"org_id": "acme", "user_id": "ann"}"#, "CheckService/Check", "InvalidArgument", "INVALID_FIELD"),
        (
            r#"{"project": "nowhere", "org_id": "a", "user_id": "b", "permission": "c"}"#,
            "CheckService/Check",
            "NotFound",
            "PROJECT_NOT_FOUND",
        ),
        (r#"{"page_token": "stale"}"#, "ProjectService/ListProjects", "InvalidArgument", "PAGE_TOKEN_INVALID"),
    ] {
        let shown = server.call(&grpcurl, body, &format!("rolecall.v1.{method}"));
        assert!(shown.contains(&format!("Code: {code}")), "{method} {body}: {shown}");
        assert!(shown.contains("google.rpc.ErrorInfo"), "{method} {body}: {shown}");
        assert!(shown.contains(&format!(r#""reason":"{reason}""#)), "{method} {body}: {shown}");
    }
}

#[tokio::test]
async fn errors_that_no_handler_returned_have_a_reason_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start::<&str>(folder.path(), &[]);
    let channel = Endpoint::from_shared(format!("http://{}", server.address)).unwrap().connect().await.unwrap();
    let empty = Bytes::new();
    let truncated = Bytes::from_static(b"\x0a\x7fabc");
    let no_utf8 = Bytes::from_static(b"\x0a\x02\xff\xfe");
    let large = Bytes::from(vec![0; 2 << 20]);
    for (method, body, code, reason) in [
        ("/rolecall.v1.CheckService/Guess", &empty, Code::Unimplemented, "UNKNOWN_METHOD"),
        ("/rolecall.v1.NoService/Check", &empty, Code::Unimplemented, "UNKNOWN_METHOD"),
        ("/rolecall.v1.CheckService/Check", &truncated, Code::InvalidArgument, "MALFORMED_REQUEST"),
        ("/rolecall.v1.CheckService/BatchCheck", &no_utf8, Code::InvalidArgument, "MALFORMED_REQUEST"),
        ("/rolecall.v1.OrgService/CreateOrg", &large, Code::ResourceExhausted, "REQUEST_TOO_LARGE"),
    ] {
        let status = call(&channel, method, body.clone(), "").await.unwrap_err();
        assert_eq!(explained(&status), (code, reason.to_owned()), "{method}: {status:?}");
    }
    // An unsupported compression is not reported as an unknown method.
    let status =
        call(&channel, "/rolecall.v1.CheckService/Check", Bytes::from_static(b"\x01"), "zip").await.unwrap_err();
    let (code, reason) = explained(&status);
    assert_eq!((code, reason.as_str()), (Code::Unimplemented, "CALL_FAILED"), "{status:?}");
}

/// Returns the code and the reason, which must be in the table of reasons.
fn explained(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no reason: {status:?}"));
    assert_eq!(info.domain, DOMAIN);
    assert!(ErrorReason::from_str_name(&info.reason).is_some(), "{} is not in the table", info.reason);
    (status.code(), info.reason)
}

async fn call(channel: &Channel, method: &'static str, body: Bytes, encoding: &'static str) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = Request::new(Raw(body));
    if !encoding.is_empty() {
        request.metadata_mut().insert("grpc-encoding", encoding.parse().unwrap());
    }
    let codec = tonic_prost::ProstCodec::<Raw, Raw>::default();
    client.unary(request, http::uri::PathAndQuery::from_static(method), codec).await.map(|_| ())
}

/// A message with any body.
#[derive(Debug, Default)]
struct Raw(Bytes);

impl prost::Message for Raw {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn merge_field(&mut self, _: u32, _: WireType, _: &mut impl Buf, _: DecodeContext) -> Result<(), DecodeError> {
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {}
}
