//! Every malformed value of every request field is refused with its code, its reason and the path of the field, and nothing
//! is stored. So is every required field that is absent. The fields come from the descriptors: a new one fails here until
//! [`form`] knows it.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{FieldDescriptorProto, FieldMask, Timestamp};
use rolecall::wire;
use tonic::Status;

use crate::contract::behavior::{IMMUTABLE, OUTPUT_ONLY, REQUIRED};
use crate::contract::{Contract, requests, shop};
use crate::fixture::{row, set};
use crate::raw::Raw;
use crate::refusals::{Refused, explained, refused};
use crate::server::{Server, on_both};

/// The form of a field's values, from which its malformed values follow.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    ProjectKey,
    Name {
        bytes_max: usize,
    },
    Email,
    InvitationId,
    ApiKeyId,
    InvitationState,
    EmailDomain,
    /// The id of an org or user.
    Id,
    /// Free text, which is only shown.
    Text {
        bytes_max: usize,
    },
    Template,
    RequestId,
    PageSize,
    PageToken,
    Revision,
    OptionalRevision,
    Time,
    /// A time that is not in the future.
    PastTime,
    /// A time in the future.
    ExpireTime,
    /// The `confirm` of DeleteProject.
    Confirmation,
    Environment,
    RoleStructure,
    View,
    /// The type or the order of events.
    EventEnum,
    /// The role structure that a project is converted to.
    ConvertedStructure,
    DisabledRoleStrategy,
    UpdateMask,
    Etag,
    ImpactDigest,
    /// A flag that must be true if it is set.
    True,
    /// Contradicts the `expire_time` that the request sets.
    Permanent,
    /// An index of a table with one string.
    Index,
    /// Every value is well-formed.
    Anything,
    /// A message with fields of its own.
    Message,
}

/// Returns the form of a field that requests can set. Panics for an unknown field, so that a new field fails this test.
fn form(message: &str, field: &str) -> Form {
    const NAME: Form = Form::Name { bytes_max: 128 };
    const PERMISSION: Form = Form::Name { bytes_max: 256 };
    match (message.trim_start_matches(".rolecall.v1."), field) {
        (_, "project") | ("CreateProjectRequest", "key") => Form::ProjectKey,
        ("CreateProjectRequest" | "CreateApiKeyRequest", "environment") => Form::Environment,
        ("CreateProjectRequest" | "Configuration", "role_structure") => Form::RoleStructure,
        ("ListUserMembershipsRequest", "view") => Form::View,
        ("CreateProjectRequest", "template") => Form::Template,
        ("CreateProjectRequest", "owner_role") => NAME,
        ("ConvertRoleStructureRequest", "role_structure") => Form::ConvertedStructure,
        ("DeleteProjectRequest", "confirm") => Form::Confirmation,
        ("OnDisabled", "strategy") => Form::DisabledRoleStrategy,
        ("RoleAssignment" | "CreateInvitationRequest" | "NewInvitation" | "CreateApiKeyRequest", "expire_time") => {
            Form::ExpireTime
        }
        ("RoleAssignment", "permanent") => Form::Permanent,
        ("Consistency", "at_least") => Form::Revision,
        ("ListEventsRequest", "after_revision") | ("WatchRequest", "after") => Form::OptionalRevision,
        (_, "as_of_revision") => Form::OptionalRevision,
        (_, "as_of_time") => Form::PastTime,
        ("ListEventsRequest", "start_time" | "end_time") => Form::Time,
        ("ListEventsRequest", "type" | "order") => Form::EventEnum,
        ("ListEventsRequest", "actor") => Form::Text { bytes_max: 256 },
        ("ListEventsRequest", "kinds") => Form::Text { bytes_max: 128 },
        (_, "update_mask") => Form::UpdateMask,
        (_, "etag") => Form::Etag,
        (_, "impact_digest") => Form::ImpactDigest,
        (_, "request_id") => Form::RequestId,
        (_, "page_size") => Form::PageSize,
        (_, "page_token") => Form::PageToken,
        (_, "any" | "latest" | "to_default") => Form::True,
        ("CheckColumns", "org_ix" | "user_ix" | "permission_ix") => Form::Index,
        // `MemberWrite.remove` is an empty message.
        ("MemberWrite", "remove")
        | (_, "apply_to_existing" | "allow_provisioning" | "email_verified" | "no_activity" | "replace")
        | (_, "force" | "allow_ownerless" | "internal" | "ownerless" | "only_different" | "validate_only")
        | (
            _,
            "keep_invitations"
            | "include_maintenance"
            | "checks_only"
            | "sidecar_only"
            | "acting_user_required"
            | "include_archived"
            | "prune",
        )
        | (_, "reuse_deleted_key" | "reuse_deleted_id") => Form::Anything,
        ("NumberedCheck", "number") => Form::Anything,
        ("StreamCheckRequest", "checks")
        | ("NumberedCheck", "check")
        | ("SetOrgDomainsRequest", "domains")
        | ("MemberWrite", "add" | "set")
        | ("OnDisabled", "replacements")
        | ("BatchCreatePermissionsRequest", "permissions")
        | ("BatchCreateRolesRequest", "roles")
        | ("RoleSpec" | "ConfiguredRoleMapping", "grants")
        | ("ApplyConfigurationRequest", "configuration" | "deleted_roles" | "deleted_role_mappings")
        | ("Configuration", "permissions" | "roles" | "role_mappings")
        | ("AddMemberRequest" | "SetMemberRolesRequest" | "RoleAssignments", "roles")
        | (
            _,
            "scope" | "resource" | "on_disabled" | "edits" | "consistency" | "rows" | "items" | "defaults" | "columns",
        )
        | (_, "all_of" | "any_of") => Form::Message,
        (
            _,
            "acting_user_id" | "viewer_user_id" | "target_user_id" | "creator_user_id" | "org_id" | "user_id"
            | "operator",
        )
        | (_, "org_ids" | "subscribe_org_ids" | "orgs" | "users") => Form::Id,
        (_, "email") => Form::Email,
        (_, "invitation_id") => Form::InvitationId,
        (_, "api_key_id") => Form::ApiKeyId,
        (_, "states") => Form::InvitationState,
        (_, "domain") => Form::EmailDomain,
        (_, "display_name") => Form::Text { bytes_max: 256 },
        (_, "metadata") => Form::Text { bytes_max: 4_096 },
        (_, "description" | "reason") => Form::Text { bytes_max: 1_024 },
        ("Permission" | "ConfiguredPermission", "name" | "aliases" | "renamed_from")
        | (_, "deleted_permissions")
        | ("CreatePermissionRequest" | "PermissionSpec" | "GetPermissionRequest", "name")
        | ("UpdatePermissionRequest" | "DeletePermissionRequest", "name")
        | ("GrantEdit", "add" | "remove")
        | (_, "permission" | "permissions") => PERMISSION,
        (_, "name" | "aliases" | "role" | "roles" | "at_least_role" | "default_role" | "default_owner_role")
        | (_, "manages" | "role_order" | "above" | "below" | "replacement" | "to" | "default_replacement")
        | (_, "fallback_role" | "enable_roles" | "disable_roles" | "disabled_roles" | "renamed_from")
        | (_, "default_role_mapping")
        | (_, "role_mapping" | "duplicate_of" | "move_subscribers_to" | "disabled_in" | "left" | "right") => NAME,
        _ => panic!("which form do the values of `{field}` of {message} have?"),
    }
}

/// A value as it is encoded.
#[derive(Clone, Debug)]
enum Value {
    /// The field is not set.
    Absent,
    Bytes(Vec<u8>),
    Number(i64),
    /// Of a wire type that no field of the contract has.
    Fixed32,
}

/// A malformed value, and the reason it is refused with.
struct Bad {
    value: Value,
    reason: &'static str,
}

impl Form {
    fn bad(self) -> Vec<Bad> {
        let invalid = |value| Bad { value, reason: "INVALID_FIELD" };
        let text = |text: &str| invalid(Value::Bytes(text.into()));
        let number = |number| invalid(Value::Number(number));
        let mask = |path: &str| invalid(Value::Bytes(FieldMask { paths: vec![path.into()] }.encode_to_vec()));
        let long = |bytes_max: usize| "x".repeat(bytes_max + 1);
        let instant = |seconds, nanos| Value::Bytes(Timestamp { seconds, nanos }.encode_to_vec());
        let not_utf8 = Bad { value: Value::Bytes(vec![b'a', 0xff, b'b']), reason: "MALFORMED_REQUEST" };
        let mut bad: Vec<Bad> = match self {
            Self::ProjectKey => {
                ["A", "2shop", "-shop", "shop_1", "shop.1", "schön", "a b", "a\0", &long(63)].map(text).into()
            }
            Self::Name { bytes_max } => [
                " Owner",
                "Owner ",
                "Owner\u{a0}",
                "Ow\0ner",
                "Ow\nner",
                "Ow\u{85}ner",
                "Ow\u{200b}ner",
                "Ow\u{feff}ner",
                "Ow\u{202e}ner",
                "Ow\u{2066}ner",
                "Cafe\u{301}",
                &long(bytes_max),
                &"é".repeat(bytes_max / 2 + 1),
            ]
            .map(text)
            .into(),
            Self::Id => {
                ["a b", " a", "a\t", "a\n", "a\0", "a\u{85}b", "a\u{a0}b", "a\u{2003}b", &long(128)].map(text).into()
            }
            Self::Email => [
                "bea",
                "@acme.example",
                "bea@",
                "bea@b@acme.example",
                "\"bea\"@acme.example",
                "bea m@acme.example",
                " bea@acme.example",
                "bea\0@acme.example",
                "bea@acme..example",
                "bea@acme.example..",
                "bea@xn--a.example",
                &format!("{}@acme.example", "l".repeat(242)),
            ]
            .map(text)
            .into(),
            Self::InvitationId => [
                "x",
                "0192F0C1-2A3B-7C4D-8E5F-60718293A4B5",
                "0192f0c12a3b7c4d8e5f60718293a4b5",
                "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5 ",
                "0192f0c1-2a3b-7c4d-8e5f-60718293a4b",
                "{0192f0c1-2a3b-7c4d-8e5f-60718293a4b5}",
                "+192f0c1-2a3b-7c4d-8e5f-60718293a4b5",
                "a\0",
            ]
            .map(text)
            .into(),
            Self::ApiKeyId => {
                ["x", "ak_", "ak_1", "AK_0102030405060708", "ak_010203040506070G", "0102030405060708", "a\0"]
                    .map(text)
                    .into()
            }
            Self::InvitationState => [0, 5, 99, -1].map(number).into(),
            Self::EmailDomain => [
                "a@b.example",
                ".",
                "a..example",
                "a.example..",
                "a b.example",
                "a\0.example",
                "-a.example",
                "xn--a.example",
                "*.a.example",
                &long(254),
                &"d".repeat(64),
            ]
            .map(text)
            .into(),
            Self::Text { bytes_max } => ["a\0b", &long(bytes_max)].map(text).into(),
            Self::Template => ["b2c", "B2B", "b2b ", "a\0"].map(text).into(),
            Self::RequestId => ["a\0", "a\n", "a\u{7f}", "é", &long(128)].map(text).into(),
            Self::PageSize => [-1, i64::from(i32::MIN)].map(number).into(),
            Self::PageToken => {
                let token = |token: &str| Bad { value: Value::Bytes(token.into()), reason: "PAGE_TOKEN_INVALID" };
                ["?", "AAAA", "AAAAAAAAAAAAAAAA", "acme", " ", "a\0", &long(10_000)].map(token).into()
            }
            Self::Revision => ["", "?", "7", "AAAA", &"A".repeat(23), " ", "a\0"].map(text).into(),
            Self::OptionalRevision => ["?", "7", "AAAA", &"A".repeat(23), " ", "a\0"].map(text).into(),
            Self::Time => [
                instant(i64::MAX, 0),
                instant(i64::MIN, 0),
                instant(253_402_300_800, 0),
                instant(-62_135_596_801, 0),
                instant(4_000_000_000, -1),
                instant(4_000_000_000, 1_000_000_000),
            ]
            .map(invalid)
            .into(),
            Self::PastTime => {
                let future = invalid(instant(4_000_000_000, 0));
                Self::Time.bad().into_iter().filter(|bad| bad.reason == "INVALID_FIELD").chain([future]).collect()
            }
            Self::ExpireTime => {
                let past = |seconds| Bad { value: instant(seconds, 0), reason: "END_IN_THE_PAST" };
                let past = [-62_135_596_800, 0, 1_600_000_000].map(past);
                Self::Time.bad().into_iter().filter(|bad| bad.reason == "INVALID_FIELD").chain(past).collect()
            }
            Self::Confirmation => ["", "default", "Deserted", "deserted "]
                .map(|key| Bad { value: Value::Bytes(key.into()), reason: "NOT_CONFIRMED" })
                .into(),
            Self::Environment => [0, 3, 99, -1].map(number).into(),
            Self::View | Self::RoleStructure | Self::EventEnum => [3, 99, -1].map(number).into(),
            Self::ConvertedStructure => [0, 3, 99, -1].map(number).into(),
            Self::DisabledRoleStrategy => [4, 99, -1].map(number).into(),
            Self::UpdateMask => {
                ["", "*", "Name", "create_time", "etag", "position", "name.first", "nothing", "a\0"].map(mask).into()
            }
            Self::Etag => {
                let etag = |etag: &str| Bad { value: Value::Bytes(etag.into()), reason: "ETAG_MISMATCH" };
                [" ", "0", "0.0", "1", "1.1.1", "stale", "a\0", &long(10_000)].map(etag).into()
            }
            Self::ImpactDigest => {
                let digest = |digest: &str| Bad { value: Value::Bytes(digest.into()), reason: "IMPACT_CHANGED" };
                [" ", "0", "stale", "a\0", &long(10_000)].map(digest).into()
            }
            Self::Index => [1, 1 << 31, -1].map(number).into(),
            Self::True => vec![number(0)],
            Self::Permanent => vec![number(1)],
            Self::Anything | Self::Message => vec![],
        };
        let is_text = bad.iter().any(|bad| matches!(bad.value, Value::Bytes(_)));
        if is_text && !matches!(self, Self::Time | Self::PastTime | Self::ExpireTime | Self::UpdateMask) {
            bad.push(not_utf8);
        }
        bad.push(Bad { value: Value::Fixed32, reason: "MALFORMED_REQUEST" });
        bad
    }
}

/// A field of a request that can be set.
struct Field {
    path: Path,
    form: Form,
    /// As `.rolecall.v1.GetOrgRequest.org_id`.
    name: String,
    required: bool,
    /// True if an empty text is refused although the field may be absent.
    refuses_empty: bool,
}

/// The position of a field in a request, from the outermost message inwards.
#[derive(Clone, Debug, Default)]
struct Path {
    /// The number of each field, and the index among its occurrences.
    steps: Vec<(u32, usize)>,
    /// How a refusal names the field.
    text: String,
}

impl Field {
    fn bad(&self) -> Vec<Bad> {
        let mut bad = self.form.bad();
        if self.required {
            let reason = match self.name.as_str() {
                ".rolecall.v1.DeleteProjectRequest.confirm" => "NOT_CONFIRMED",
                ".rolecall.v1.ReorderRolesRequest.role_order" => "INCOMPLETE_ORDER",
                _ => "INVALID_FIELD",
            };
            bad.push(Bad { value: Value::Absent, reason });
        }
        if self.refuses_empty
            && matches!(self.form, Form::ProjectKey | Form::Name { .. } | Form::Id | Form::EmailDomain)
        {
            bad.push(Bad { value: Value::Bytes(Vec::new()), reason: "INVALID_FIELD" });
        }
        bad
    }

    /// Returns how the refusal of a value names the field. A list that is absent has no index. `to_default` is refused under
    /// the name of its alternative.
    fn named(&self, value: &Value) -> &str {
        match (self.path.text.as_str(), value) {
            ("to_default", _) => "role_mapping",
            (text, Value::Absent) => text.strip_suffix("[0]").unwrap_or(text),
            (text, _) => text,
        }
    }
}

/// Returns every field of a request that can be set.
fn fields_of(contract: &Contract, method: &str, request: &[u8]) -> Vec<Field> {
    let message = &contract.methods.iter().find(|known| known.path == method).unwrap().request;
    let mut found = Vec::new();
    collect_fields(contract, message, request, &Path::default(), &mut found);
    found
}

fn collect_fields(contract: &Contract, message: &str, encoded: &[u8], path: &Path, found: &mut Vec<Field>) {
    for field in contract.fields(message).expect("a message of the package") {
        let occurrences = occurrences(encoded, field.number() as u32);
        let name = format!("{message}.{}", field.name());
        let ignored = contract.has_behavior(&name, &[OUTPUT_ONLY, IMMUTABLE]);
        let form = if ignored { Form::Anything } else { form(message, field.name()) };
        let required = contract.has_behavior(&name, &[REQUIRED]);
        if form == Form::Message {
            for (at, part) in occurrences.iter().enumerate() {
                collect_fields(contract, field.type_name(), part, &path.to(field, at), found);
            }
            if occurrences.is_empty() {
                continue;
            }
        }
        // Other fields are set even if the request leaves them out, but of a `oneof` only the one that it sets.
        let in_oneof = field.oneof_index.is_some();
        if in_oneof && occurrences.is_empty() {
            continue;
        }
        let partial = path.text.starts_with("resource") || message == ".rolecall.v1.CheckItem";
        let refuses_empty = in_oneof || partial || field.label() == Label::Repeated;
        found.push(Field { path: path.to(field, 0), form, name, required, refuses_empty });
    }
}

impl Path {
    fn to(&self, field: &FieldDescriptorProto, at: usize) -> Self {
        let mut steps = self.steps.clone();
        steps.push((field.number() as u32, at));
        let repeated = field.label() == Label::Repeated;
        let index = if repeated { format!("[{at}]") } else { String::new() };
        let dot = if self.text.is_empty() { "" } else { "." };
        Self { steps, text: format!("{}{dot}{}{index}", self.text, field.name()) }
    }
}

/// Returns the content of each occurrence of a field in an encoded message.
fn occurrences(message: &[u8], number: u32) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    each(message, |field, content, _| {
        if field == number {
            found.push(content.to_vec());
        }
    });
    found
}

/// Returns an encoded message with another value at a path.
fn with(message: &[u8], steps: &[(u32, usize)], value: &Value) -> Vec<u8> {
    let [(number, at), inner @ ..] = steps else { panic!("a path has a step") };
    let mut written = Vec::new();
    let (mut seen, mut done) = (0, false);
    each(message, |field, content, whole| {
        if field != *number {
            written.extend_from_slice(whole);
            return;
        }
        let is_last = inner.is_empty();
        if seen == *at || (is_last && matches!(value, Value::Absent)) {
            done = true;
            match inner {
                [] => write(&mut written, *number, value),
                inner => write(&mut written, *number, &Value::Bytes(with(content, inner, value))),
            }
        } else {
            written.extend_from_slice(whole);
        }
        seen += 1;
    });
    if !done {
        assert!(inner.is_empty(), "only the last step may be missing");
        write(&mut written, *number, value);
    }
    written
}

fn write(written: &mut Vec<u8>, number: u32, value: &Value) {
    match value {
        Value::Absent => {}
        Value::Bytes(bytes) => {
            encode_key(number, WireType::LengthDelimited, written);
            encode_varint(bytes.len() as u64, written);
            written.extend_from_slice(bytes);
        }
        Value::Number(value) => {
            encode_key(number, WireType::Varint, written);
            encode_varint(*value as u64, written);
        }
        Value::Fixed32 => {
            encode_key(number, WireType::ThirtyTwoBit, written);
            written.extend_from_slice(&[0; 4]);
        }
    }
}

/// Visits the fields of an encoded message: number, content, and the field as a whole.
fn each(message: &[u8], mut visit: impl FnMut(u32, &[u8], &[u8])) {
    let mut rest = message;
    while !rest.is_empty() {
        let start = rest;
        let (number, kind) = decode_key(&mut rest).unwrap();
        let content = match kind {
            WireType::Varint => {
                let before = rest;
                decode_varint(&mut rest).unwrap();
                &before[..before.len() - rest.len()]
            }
            WireType::LengthDelimited => {
                let length = decode_varint(&mut rest).unwrap() as usize;
                let (content, after) = rest.split_at(length);
                rest = after;
                content
            }
            kind => panic!("no field of the contract is a {kind:?}"),
        };
        visit(number, content, &start[..start.len() - rest.len()]);
    }
}

#[test]
fn every_malformed_or_missing_field_is_refused_with_its_path_and_nothing_is_stored() {
    let contract = Contract::read();
    on_both(async |server| {
        shop(server).await;
        let raw = server.raw().await;
        let mut covered = BTreeSet::new();
        for (method, request) in requests(server).await {
            let fields = fields_of(&contract, method, &request);
            // An empty field of an item is well-formed if the batch has defaults.
            let has_defaults = fields.iter().any(|field| field.path.text == "defaults");
            for field in fields {
                if has_defaults && field.path.text.starts_with("items[") {
                    continue;
                }
                server.storing_nothing(refuses_all(&raw, method, &request, &field)).await;
                covered.insert(field.name);
            }
        }
        let missing: Vec<_> = expected_fields(&contract).difference(&covered).cloned().collect();
        assert!(missing.is_empty(), "no request of `contract::requests` sets {missing:?}");
    });
}

/// Returns every field that can be reached from a request.
fn expected_fields(contract: &Contract) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut messages: Vec<String> = contract.methods.iter().map(|method| method.request.clone()).collect();
    while let Some(message) = messages.pop() {
        let Some(fields) = contract.fields(&message) else { continue };
        for field in fields {
            let name = format!("{message}.{}", field.name());
            let is_input = !contract.has_behavior(&name, &[OUTPUT_ONLY]);
            if reached.insert(name) && is_input && field.r#type() == Type::Message {
                messages.push(field.type_name().into());
            }
        }
    }
    reached
}

async fn refuses_all(raw: &Raw, method: &str, request: &[u8], field: &Field) {
    for Bad { value, reason } in field.bad() {
        let context = format!("{method} {} = {value:?}", field.path.text);
        let answer = raw.call(method, &with(request, &field.path.steps, &value)).await;
        match field.path.text.split_once('.') {
            // A malformed item of a batch check is not an error of the batch (K3).
            Some((part, field)) if reason == "INVALID_FIELD" && (part.starts_with("items[") || part == "defaults") => {
                is_an_item_error(answer, field, &context);
            }
            // Nor is a malformed check an error of its stream.
            Some(("checks[0]", field)) if reason != "MALFORMED_REQUEST" => {
                is_an_error_of_a_check(answer, reason, field.trim_start_matches("check."), &context);
            }
            Some(("columns", _)) if reason == "INVALID_FIELD" => {
                is_an_item_error(answer, field.path.text.trim_end_matches("[0]"), &context);
            }
            // Nor is a malformed row an error of the other invitations (V5).
            Some((_, field)) if method.ends_with("/BatchCreateInvitations") && reason != "MALFORMED_REQUEST" => {
                is_a_refused_row(answer, reason, field, &context);
            }
            _ => {
                let refused = the_refusal(answer, reason, &context);
                // A stale etag or digest is not the fault of a field.
                if !["MALFORMED_REQUEST", "ETAG_MISMATCH", "IMPACT_CHANGED"].contains(&reason) {
                    assert_eq!(refused.fields(), [field.named(&value)], "{context}");
                }
            }
        }
    }
}

#[track_caller]
fn the_refusal(answer: Result<Bytes, Status>, reason: &str, context: &str) -> Refused {
    match answer {
        Ok(_) => panic!("{context} is accepted"),
        Err(status) => {
            println!("{context}");
            explained(&status, reason)
        }
    }
}

#[track_caller]
fn is_an_item_error(answer: Result<Bytes, Status>, field: &str, context: &str) {
    let answer = answer.unwrap_or_else(|status| panic!("{context}: {status:?}"));
    let answer = wire::BatchCheckResponse::decode(answer).unwrap();
    assert_eq!(answer.decisions, [wire::Decision::Unspecified as i32], "{context}");
    let [error] = &answer.errors[..] else { panic!("{context}: {:?}", answer.errors) };
    assert_eq!((error.index, error.reason.as_str(), error.field.as_str()), (0, "INVALID_FIELD", field), "{context}");
    assert!(!error.description.is_empty());
}

#[track_caller]
fn is_an_error_of_a_check(answer: Result<Bytes, Status>, reason: &str, field: &str, context: &str) {
    let answer = answer.unwrap_or_else(|status| panic!("{context}: {status:?}"));
    let answer = wire::StreamCheckResponse::decode(answer).unwrap();
    let [answer] = &answer.answers[..] else { panic!("{context}: {answer:?}") };
    assert_eq!((answer.number, answer.decision()), (7, wire::Decision::Unspecified), "{context}");
    let error = answer.error.as_ref().unwrap();
    assert_eq!((error.reason.as_str(), error.field.as_str()), (reason, field), "{context}");
    assert!(!error.description.is_empty());
}

#[track_caller]
fn is_a_refused_row(answer: Result<Bytes, Status>, reason: &str, field: &str, context: &str) {
    let answer = answer.unwrap_or_else(|status| panic!("{context}: {status:?}"));
    let answer = wire::BatchCreateInvitationsResponse::decode(answer).unwrap();
    let [row] = &answer.results[..] else { panic!("{context}: {answer:?}") };
    assert_eq!((row.reason().as_str_name(), row.field.as_str()), (reason, field), "{context}");
    assert!(row.invitation_id.is_empty() && !row.description.is_empty(), "{context}");
}

#[test]
fn a_body_that_is_not_protobuf_is_malformed() {
    let contract = Contract::read();
    on_both(async |server| {
        let raw = server.raw().await;
        server
            .storing_nothing(async {
                for method in &contract.methods {
                    for body in [&b"\xff"[..], b"\x0a\xff\xff\xff\xff\x0f", b"\x07", b"\x00\x00", b"\x0a\x05abc"] {
                        let refused = refused(raw.call(&method.path, body).await, "MALFORMED_REQUEST");
                        assert!(!refused.message.contains("panicked"), "{}", refused.message);
                    }
                }
            })
            .await;
    });
}

#[test]
fn a_missing_choice_is_refused_by_the_name_of_its_first_field() {
    on_both(async |server| {
        shop(server).await;
        let project = server.single();
        let refuses = |answer: Result<String, Status>, field: &str| {
            assert_eq!(refused(answer, "INVALID_FIELD").fields(), [field]);
        };
        server
            .storing_nothing(async {
                let moving = wire::SubscribeOrgRequest { org_id: "acme".into(), ..Default::default() };
                refuses(server.subscribe_org(moving).await.map(|it| it.revision), "role_mapping");
                let moving = wire::BatchSubscribeOrgsRequest { target: None, ..project.moving_all(&["acme"], "") };
                refuses(server.batch_subscribe_orgs(moving).await.map(|it| it.revision), "role_mapping");
                let asking = wire::CheckRequest { question: None, ..project.asking("acme", "ann", "") };
                refuses(server.check(asking).await.map(|it| it.revision), "permission");
                let writing = project.writing(vec![row("acme", "ann", None)]);
                refuses(server.batch_write_members(writing).await.map(|it| it.revision), "rows[0]");
                // `roles` of a row is not REQUIRED, because a row with `add` may leave it out.
                let writing = project.writing(vec![row("acme", "ann", set(&[]))]);
                refuses(server.batch_write_members(writing).await.map(|it| it.revision), "rows[0].set.roles");
            })
            .await;
    });
}

#[test]
fn a_missing_object_is_not_found_by_its_name() {
    on_both(async |server| {
        shop(server).await;
        server.storing_nothing(nothing_is_found(server)).await;
    });
}

async fn nothing_is_found(server: &Server) {
    let contract = Contract::read();
    let raw = server.raw().await;
    // For each field: a name that does not exist, the reason and the type of the resource.
    let missing = [
        ("project", "nowhere", "PROJECT_NOT_FOUND", "rolecall.v1.Project"),
        ("org_id", "nowhere", "ORG_NOT_FOUND", "rolecall.v1.Org"),
        ("subscribe_org_ids[0]", "nowhere", "ORG_NOT_FOUND", "rolecall.v1.Org"),
        ("user_id", "nobody", "MEMBER_NOT_FOUND", "rolecall.v1.Member"),
        ("role_mapping", "Nothing", "ROLE_MAPPING_NOT_FOUND", "rolecall.v1.RoleMapping"),
        ("org_ids[0]", "nowhere", "ORG_NOT_FOUND", "rolecall.v1.Org"),
        ("left", "Nothing", "ROLE_MAPPING_NOT_FOUND", "rolecall.v1.RoleMapping"),
        ("right", "Nothing", "ROLE_MAPPING_NOT_FOUND", "rolecall.v1.RoleMapping"),
        ("move_subscribers_to", "Nothing", "ROLE_MAPPING_NOT_FOUND", "rolecall.v1.RoleMapping"),
        ("duplicate_of", "Nothing", "ROLE_MAPPING_NOT_FOUND", "rolecall.v1.RoleMapping"),
        ("role_order[0]", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("on_disabled.replacements[0].role", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("on_disabled.replacements[0].replacement", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("disabled_in[0]", "Nothing", "ROLE_MAPPING_NOT_FOUND", "rolecall.v1.RoleMapping"),
        ("above", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("below", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("role", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("replacement", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("resource.default_role", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("resource.default_owner_role", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("roles[0]", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("roles[0].role", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("enable_roles[0]", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("disable_roles[0]", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("edits[0].role", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("edits[0].add[0]", "nothing", "PERMISSION_NOT_FOUND", "rolecall.v1.Permission"),
        ("edits[0].remove[0]", "nothing", "PERMISSION_NOT_FOUND", "rolecall.v1.Permission"),
        ("permission", "nothing", "PERMISSION_NOT_FOUND", "rolecall.v1.Permission"),
        ("domains[0].roles[0]", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("domain", "nothing.example", "ORG_DOMAIN_NOT_FOUND", "rolecall.v1.OrgDomain"),
        ("invitation_id", "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5", "INVITATION_NOT_FOUND", "rolecall.v1.Invitation"),
        ("rows[0].org_id", "nowhere", "ORG_NOT_FOUND", "rolecall.v1.Org"),
        ("rows[1].user_id", "nobody", "MEMBER_NOT_FOUND", "rolecall.v1.Member"),
        ("rows[2].user_id", "nobody", "MEMBER_NOT_FOUND", "rolecall.v1.Member"),
        ("rows[0].add.roles[0].role", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("rows[1].set.roles[0].role", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
    ];
    let mut met = BTreeSet::new();
    for (method, request) in requests(server).await {
        for Field { path, form, .. } in fields_of(&contract, method, &request) {
            let Some((field, name, reason, resource)) = missing.iter().find(|(field, ..)| *field == path.text) else {
                continue;
            };
            // A check denies a missing object (K2). Creating needs no existing one, and neither does a user (U1). A message
            // has no name.
            let answers =
                ["Check", "BatchCheck", "Explain", "ExplainChange"].contains(&method.rsplit('/').next().unwrap());
            let denies = answers && *field != "project";
            let creates = matches!(form, Form::Message)
                || method.contains("UserService") && *field == "user_id"
                || matches!(
                    (method.rsplit('/').next().unwrap(), *field),
                    ("CreateOrg", "org_id")
                        | (
                            "AddMember"
                                | "ListUserMemberships"
                                | "ListEvents"
                                | "ListOrgsWithPermission"
                                | "ProvisionMember"
                                | "AcceptInvitation",
                            "user_id"
                        )
                );
            if denies || creates {
                continue;
            }
            println!("{method} {field}");
            let value = Value::Bytes(name.as_bytes().into());
            let refused = refused(raw.call(method, &with(&request, &path.steps, &value)).await, reason);
            assert_eq!(refused.resource(), (*resource, *name));
            assert!(refused.message.contains(&format!("`{name}`")), "{}", refused.message);
            met.insert(*field);
        }
    }
    let unmet: Vec<_> = missing.iter().filter(|(field, ..)| !met.contains(field)).collect();
    assert!(unmet.is_empty(), "{unmet:?}");
}

#[test]
fn the_longest_well_formed_values_are_stored_whole() {
    on_both(async |server| {
        let project = server.single();
        let (name, permission) = ("é".repeat(64), "p".repeat(256));
        let request = wire::CreateRoleRequest {
            name: name.clone(),
            description: "d".repeat(1_024),
            reason: "r".repeat(1_024),
            request_id: "~ !".repeat(42),
            ..Default::default()
        };
        server.create_role(request).await.unwrap();
        let role = server.get_role(wire::GetRoleRequest { name, ..Default::default() }).await.unwrap().role.unwrap();
        assert_eq!((role.name.len(), role.description.len()), (128, 1_024));
        project.permission(&permission).await;
        let request = wire::CreateOrgRequest {
            org_id: "o".repeat(128),
            display_name: "n".repeat(256),
            metadata: "m".repeat(4_096),
            ..Default::default()
        };
        server.create_org(request).await.unwrap();
        let request = wire::GetOrgRequest { org_id: "o".repeat(128), ..Default::default() };
        let org = server.get_org(request).await.unwrap().org.unwrap();
        assert_eq!((org.display_name.len(), org.metadata.len()), (256, 4_096));
        project.add(&"o".repeat(128), &"ü".repeat(64), &[]).await;
        assert_eq!(project.roles_of(&"o".repeat(128), &"ü".repeat(64)).await, "Member live");
        let request = wire::CreateProjectRequest {
            key: format!("k{}", "-9".repeat(31)),
            environment: wire::Environment::Live.into(),
            ..Default::default()
        };
        assert_eq!(server.create_project(request).await.unwrap().project.unwrap().key.len(), 63);
    });
}
