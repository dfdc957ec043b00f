//! Every malformed value of every request field: refused with the code, the reason and the path of the field, and nothing
//! is stored. Which fields there are is read from the descriptors: a new one fails here until its form is written down.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use prost_types::field_descriptor_proto::Type;
use prost_types::{FieldDescriptorProto, FieldMask, Timestamp};
use rolecall::wire;
use tonic::Status;

use crate::contract::{Contract, requests, shop};
use crate::fixture::{in_an_hour, row, temporary};
use crate::raw::Raw;
use crate::refusals::{Refused, explained, refused};
use crate::server::{Server, on_both};

/// What the values of a field look like.
#[derive(Clone, Copy)]
enum Form {
    /// A project's key.
    Key {
        required: bool,
    },
    /// A name, of so many bytes at most.
    Name {
        bytes_max: usize,
        required: bool,
    },
    /// An org's or user's id.
    Id {
        required: bool,
    },
    /// A text that is only shown.
    Text {
        bytes_max: usize,
    },
    Template,
    RequestId,
    PageSize,
    PageToken,
    Revision,
    /// The end of a role.
    End,
    /// The key of the project that is to be deleted.
    Confirmation,
    Environment,
    RoleStructure,
    /// The structure that a project is converted to.
    Conversion,
    /// What becomes of roles that get disabled.
    Strategy,
    /// Which fields an update takes.
    Mask,
    /// What was read of a thing, or nothing.
    Etag,
    /// Of the impact that was shown, or nothing.
    Digest,
    /// A flag that is true where it is given.
    True,
    /// May not stand beside an end, which the request has.
    Permanent,
    /// Every value is well-formed.
    Anything,
    /// A message with fields of its own.
    Parts,
}

/// The form of a field of a request. There is no other: an unknown field fails the test.
fn form(message: &str, field: &str) -> Form {
    const NAME: Form = Form::Name { bytes_max: 128, required: true };
    const NAME_OR_NONE: Form = Form::Name { bytes_max: 128, required: false };
    const PERMISSION: Form = Form::Name { bytes_max: 256, required: true };
    match (message.trim_start_matches(".rolecall.v1."), field) {
        ("DeleteProjectRequest", "project") => Form::Key { required: true },
        (_, "project") => Form::Key { required: false },
        ("CreateProjectRequest", "key") => Form::Key { required: true },
        ("CreateProjectRequest", "environment") => Form::Environment,
        ("CreateProjectRequest", "role_structure") => Form::RoleStructure,
        ("ConvertRoleStructureRequest", "role_structure") => Form::Conversion,
        ("ConvertRoleStructureRequest", "role_order") => NAME,
        (_, "impact_digest") => Form::Digest,
        ("ListManageableRolesRequest", "acting_user_id") => Form::Id { required: true },
        (_, "acting_user_id" | "viewer_user_id" | "target_user_id") => Form::Id { required: false },
        ("CreateProjectRequest", "template") => Form::Template,
        ("DeleteProjectRequest", "confirm") => Form::Confirmation,
        (_, "update_mask") => Form::Mask,
        ("UpdateProjectRequest", "resource")
        | ("UpdatePermissionRequest", "permission")
        | ("UpdateRoleRequest", "role")
        | ("UpdateRoleMappingRequest", "role_mapping")
        | ("UpdateOrgRequest", "org") => Form::Parts,
        // Output only, ignored in requests.
        ("Project", "key" | "environment" | "role_structure" | "default_role_mapping")
        | ("Permission", "built_in")
        | ("Role", "position")
        | ("RoleMapping", "is_default" | "disabled_roles" | "grant_count" | "subscriber_count")
        | ("Org", "org_id" | "role_mapping")
        | ("Project" | "Role" | "RoleMapping", "etag")
        | (_, "create_time") => Form::Anything,
        (_, "etag") => Form::Etag,
        (_, "force" | "allow_ownerless" | "reuse_deleted_key" | "reuse_deleted_id") => Form::Anything,
        ("ListOrgsRequest", "ownerless") | ("DiffRoleMappingsRequest", "only_different") => Form::Anything,
        ("Project", "default_role" | "default_owner_role") => NAME,
        (
            "CreatePermissionRequest"
            | "PermissionSpec"
            | "GetPermissionRequest"
            | "UpdatePermissionRequest"
            | "DeletePermissionRequest"
            | "Permission",
            "name",
        ) => PERMISSION,
        ("Permission", "aliases") => PERMISSION,
        (_, "aliases") => NAME,
        ("DeleteRoleMappingRequest", "move_subscribers_to") => NAME_OR_NONE,
        ("DiffRoleMappingsRequest", "left" | "right") => NAME,
        (_, "on_disabled") => Form::Parts,
        ("OnDisabled", "strategy") => Form::Strategy,
        ("OnDisabled", "replacements") => Form::Parts,
        ("RoleReplacement", "role" | "to") => NAME,
        ("OnDisabled", "default_replacement" | "fallback_role") => NAME_OR_NONE,
        (_, "manages") => NAME,
        ("CreateOrgRequest", "creator_user_id") => Form::Id { required: false },
        ("BatchSubscribeOrgsRequest", "org_ids") => Form::Id { required: true },
        ("BatchSubscribeOrgsRequest", "role_mapping") => NAME,
        ("BatchSubscribeOrgsRequest", "to_default") => Form::True,
        ("ListSubscriptionsRequest", "role_mapping") => NAME_OR_NONE,
        ("CheckRequest", "role" | "at_least_role") => NAME,
        ("CheckRequest", "all_of" | "any_of") => Form::Parts,
        ("PermissionList", "permissions") => PERMISSION,
        (_, "name") => NAME,
        (_, "display_name") => Form::Text { bytes_max: 256 },
        (_, "metadata") => Form::Text { bytes_max: 4_096 },
        (_, "description" | "reason") => Form::Text { bytes_max: 1_024 },
        ("CreateOrgRequest", "org_id") => Form::Id { required: false },
        (_, "org_id" | "user_id" | "subscribe_org_ids") => Form::Id { required: true },
        ("CreateRoleRequest", "above" | "below" | "disabled_in") => NAME,
        ("CreateRoleRequest" | "Role", "internal") => Form::Anything,
        ("DeleteRoleRequest", "replacement") => NAME_OR_NONE,
        (_, "role_order") => NAME,
        ("CreateRoleMappingRequest", "duplicate_of") => NAME_OR_NONE,
        (_, "enable_roles" | "disable_roles") => NAME,
        (_, "edits") => Form::Parts,
        ("GrantEdit", "role") => NAME,
        ("GrantEdit", "add" | "remove") => PERMISSION,
        ("ListRoleMappingRolesRequest", "role_mapping" | "roles") => NAME,
        ("SubscribeOrgRequest", "role_mapping") => NAME,
        ("CreateOrgRequest" | "ListOrgsRequest", "role_mapping") => NAME_OR_NONE,
        ("ListMembersRequest", "role") => NAME_OR_NONE,
        ("ListMembersRequest", "permission") => Form::Name { bytes_max: 256, required: false },
        ("CheckRequest" | "CheckItem", "permission") => PERMISSION,
        ("SubscribeOrgRequest", "to_default") => Form::True,
        ("Consistency", "any" | "latest") => Form::True,
        ("Consistency", "at_least") => Form::Revision,
        (_, "consistency" | "roles" | "rows" | "items" | "defaults" | "permissions") => Form::Parts,
        ("MemberWrite", "add" | "set") => Form::Parts,
        // An empty message.
        ("MemberWrite", "remove") => Form::Anything,
        ("RoleAssignment", "role") => NAME,
        ("RoleAssignment", "expire_time") => Form::End,
        ("RoleAssignment", "permanent") => Form::Permanent,
        // Output only, ignored in requests.
        (_, "request_id") => Form::RequestId,
        (_, "validate_only") => Form::Anything,
        (_, "page_size") => Form::PageSize,
        (_, "page_token") => Form::PageToken,
        _ => panic!("what do the values of `{field}` of {message} look like?"),
    }
}

/// A value as it stands on the wire.
#[derive(Clone, Debug)]
enum Value {
    Bytes(Vec<u8>),
    Number(i64),
    /// Of a wire type that no field of ours has.
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
        let no_text = Bad { value: Value::Bytes(vec![b'a', 0xff, b'b']), reason: "MALFORMED_REQUEST" };
        let mut bad: Vec<Bad> = match self {
            Self::Key { .. } => {
                ["A", "2shop", "-shop", "shop_1", "shop.1", "schön", "a b", "a\0", &long(63)].map(text).into()
            }
            Self::Name { bytes_max, .. } => [
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
            Self::Id { .. } => {
                ["a b", " a", "a\t", "a\n", "a\0", "a\u{85}b", "a\u{a0}b", "a\u{2003}b", &long(128)].map(text).into()
            }
            Self::Text { bytes_max } => ["a\0b", &long(bytes_max)].map(text).into(),
            Self::Template => ["b2c", "B2B", "a\0"].map(text).into(),
            Self::RequestId => ["a\0", "a\n", "a\u{7f}", "é", &long(128)].map(text).into(),
            Self::PageSize => [-1, i64::from(i32::MIN)].map(number).into(),
            Self::PageToken => {
                let token = |token: &str| Bad { value: Value::Bytes(token.into()), reason: "PAGE_TOKEN_INVALID" };
                ["?", "AAAA", "AAAAAAAAAAAAAAAA", "acme", " ", "a\0", &long(10_000)].map(token).into()
            }
            Self::Revision => ["", "?", "7", "AAAA", &"A".repeat(23), " ", "a\0"].map(text).into(),
            Self::End => {
                let instant = |seconds, nanos| Value::Bytes(Timestamp { seconds, nanos }.encode_to_vec());
                let past = |seconds| Bad { value: instant(seconds, 0), reason: "END_IN_THE_PAST" };
                vec![
                    invalid(instant(i64::MAX, 0)),
                    invalid(instant(i64::MIN, 0)),
                    invalid(instant(253_402_300_800, 0)),
                    invalid(instant(-62_135_596_801, 0)),
                    invalid(instant(4_000_000_000, -1)),
                    invalid(instant(4_000_000_000, 1_000_000_000)),
                    past(-62_135_596_800),
                    past(0),
                    past(1_600_000_000),
                ]
            }
            Self::Confirmation => ["", "default", "Deserted", "deserted "]
                .map(|key| Bad { value: Value::Bytes(key.into()), reason: "NOT_CONFIRMED" })
                .into(),
            Self::Environment => [0, 3, 99, -1].map(number).into(),
            Self::RoleStructure => [3, 99, -1].map(number).into(),
            Self::Conversion => [0, 3, 99, -1].map(number).into(),
            Self::Strategy => [4, 99, -1].map(number).into(),
            Self::Mask => {
                ["", "*", "Name", "create_time", "etag", "position", "name.first", "nothing", "a\0"].map(mask).into()
            }
            Self::Etag => {
                let etag = |etag: &str| Bad { value: Value::Bytes(etag.into()), reason: "ETAG_MISMATCH" };
                [" ", "0", "0.0", "1", "1.1.1", "stale", "a\0", &long(10_000)].map(etag).into()
            }
            Self::Digest => {
                let digest = |digest: &str| Bad { value: Value::Bytes(digest.into()), reason: "IMPACT_CHANGED" };
                [" ", "0", "stale", "a\0", &long(10_000)].map(digest).into()
            }
            Self::True => vec![number(0)],
            Self::Permanent => vec![number(1)],
            Self::Anything | Self::Parts => vec![],
        };
        let required = matches!(
            self,
            Self::Key { required: true } | Self::Name { required: true, .. } | Self::Id { required: true }
        );
        if required {
            bad.push(text(""));
        }
        if bad.iter().any(|bad| matches!(bad.value, Value::Bytes(_))) && !matches!(self, Self::End | Self::Mask) {
            bad.push(no_text);
        }
        bad.push(Bad { value: Value::Fixed32, reason: "MALFORMED_REQUEST" });
        bad
    }
}

/// A field of a request: its numbers from the outside in, and how a refusal names it.
#[derive(Clone, Debug, Default)]
struct Path {
    /// Number of the field, and which of its occurrences.
    steps: Vec<(u32, usize)>,
    text: String,
}

/// Every field of a request that can be set, with its form.
fn fields(contract: &Contract, message: &str, encoded: &[u8], path: &Path, found: &mut Vec<(Path, Form, String)>) {
    for field in contract.fields(message).expect("a message of the package") {
        let occurrences = occurrences(encoded, field.number() as u32);
        let form = form(message, field.name());
        let name = format!("{message}.{}", field.name());
        if matches!(form, Form::Parts) && field.r#type() == Type::Message {
            for (at, part) in occurrences.iter().enumerate() {
                fields(contract, field.type_name(), part, &path.to(field, at), found);
            }
            if occurrences.is_empty() {
                continue;
            }
        }
        // What the request leaves out is set as the first one; of a `oneof` only what it holds.
        if field.oneof_index.is_some() && occurrences.is_empty() {
            continue;
        }
        found.push((path.to(field, 0), form, name));
    }
}

impl Path {
    fn to(&self, field: &FieldDescriptorProto, at: usize) -> Self {
        let mut steps = self.steps.clone();
        steps.push((field.number() as u32, at));
        let repeated = field.label() == prost_types::field_descriptor_proto::Label::Repeated;
        let index = if repeated { format!("[{at}]") } else { String::new() };
        let dot = if self.text.is_empty() { "" } else { "." };
        Self { steps, text: format!("{}{dot}{}{index}", self.text, field.name()) }
    }
}

/// The contents of a field's occurrences in a message.
fn occurrences(message: &[u8], number: u32) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    each(message, |field, content, _| {
        if field == number {
            found.push(content.to_vec());
        }
    });
    found
}

/// The message with another value at a path.
fn with(message: &[u8], steps: &[(u32, usize)], value: &Value) -> Vec<u8> {
    let [(number, at), inner @ ..] = steps else { panic!("a path has a step") };
    let mut written = Vec::new();
    let (mut seen, mut done) = (0, false);
    each(message, |field, content, whole| {
        if field != *number {
            written.extend_from_slice(whole);
            return;
        }
        if seen == *at {
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
            kind => panic!("no field of ours is a {kind:?}"),
        };
        visit(number, content, &start[..start.len() - rest.len()]);
    }
}

#[test]
fn every_malformed_value_of_every_field_is_refused_by_its_path_and_nothing_is_stored() {
    let contract = Contract::read();
    on_both(async |server| {
        shop(server).await;
        let raw = server.raw().await;
        let mut covered = BTreeSet::new();
        for (method, request) in requests(&server.token().await) {
            let message = &contract.methods.iter().find(|known| known.path == method).unwrap().request;
            let mut found = Vec::new();
            fields(&contract, message, &request, &Path::default(), &mut found);
            // An item that leaves a field empty takes it from the defaults: there it is well-formed.
            let defaults = found.iter().any(|(path, ..)| path.text == "defaults");
            for (path, form, name) in found {
                if defaults && path.text.starts_with("items[") {
                    continue;
                }
                server.storing_nothing(refuses_all(&raw, method, &request, &path, form)).await;
                covered.insert(name);
            }
        }
        let missing: Vec<_> = expected_fields(&contract).difference(&covered).cloned().collect();
        assert!(missing.is_empty(), "no request of `contract::requests` sets {missing:?}");
    });
}

/// Every field that can be reached from a request.
fn expected_fields(contract: &Contract) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut messages: Vec<String> = contract.methods.iter().map(|method| method.request.clone()).collect();
    while let Some(message) = messages.pop() {
        let Some(fields) = contract.fields(&message) else { continue };
        for field in fields {
            if reached.insert(format!("{message}.{}", field.name())) && field.r#type() == Type::Message {
                messages.push(field.type_name().into());
            }
        }
    }
    reached
}

async fn refuses_all(raw: &Raw, method: &str, request: &[u8], path: &Path, form: Form) {
    for Bad { value, reason } in form.bad() {
        let context = format!("{method} {} = {value:?}", path.text);
        let answer = raw.call(method, &with(request, &path.steps, &value)).await;
        match path.text.split_once('.') {
            // A malformed item of a batch check is no error of the batch (K3).
            Some((part, field)) if reason == "INVALID_FIELD" && (part.starts_with("items[") || part == "defaults") => {
                is_an_item_error(answer, field, &context);
            }
            _ => {
                let refused = the_refusal(answer, reason, &context);
                // What is only stale is no fault of a field.
                if !["MALFORMED_REQUEST", "ETAG_MISMATCH", "IMPACT_CHANGED"].contains(&reason) {
                    assert_eq!(refused.fields(), [expected_path(path, form)], "{context}");
                }
            }
        }
    }
}

/// `to_default` is refused under the name of the other way to say where to.
fn expected_path(path: &Path, form: Form) -> &str {
    match (form, path.text.as_str()) {
        (Form::True, "to_default") => "role_mapping",
        (_, text) => text,
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

#[test]
fn a_body_that_is_no_protobuf_is_malformed() {
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
fn what_must_be_given_and_is_not_is_named() {
    on_both(async |server| {
        shop(server).await;
        let project = server.single();
        let named = |refused: Refused, field: &str| assert_eq!(refused.fields(), [field]);
        server
            .storing_nothing(async {
                let nothing = wire::CreateProjectRequest { key: "x".into(), ..Default::default() };
                named(refused(server.create_project(nothing).await, "INVALID_FIELD"), "environment");
                let nowhere = wire::SubscribeOrgRequest { org_id: "acme".into(), ..Default::default() };
                named(refused(server.subscribe_org(nowhere).await, "INVALID_FIELD"), "role_mapping");
                let nowhere = wire::BatchSubscribeOrgsRequest { target: None, ..project.moving_all(&["acme"], "") };
                named(refused(server.batch_subscribe_orgs(nowhere).await, "INVALID_FIELD"), "role_mapping");
                let nobody = project.moving_all(&[], "Paid");
                named(refused(server.batch_subscribe_orgs(nobody).await, "INVALID_FIELD"), "org_ids");
                let no_roles = project.setting("acme", "ann", &[]);
                named(refused(server.set_member_roles(no_roles).await, "INVALID_FIELD"), "roles");
                let no_write = project.writing(vec![row("acme", "ann", None)]);
                named(refused(server.batch_write_members(no_write).await, "INVALID_FIELD"), "rows[0]");
                let no_roles = wire::member_write::Write::Set(wire::RoleAssignments::default());
                let no_roles = project.writing(vec![row("acme", "ann", Some(no_roles))]);
                named(refused(server.batch_write_members(no_roles).await, "INVALID_FIELD"), "rows[0].set.roles");
                named(refused(server.batch_write_members(project.writing(vec![])).await, "INVALID_FIELD"), "rows");
                let nothing = wire::BatchCreatePermissionsRequest::default();
                named(refused(server.batch_create_permissions(nothing).await, "INVALID_FIELD"), "permissions");
                let no_question =
                    wire::CheckRequest { org_id: "acme".into(), user_id: "ann".into(), ..Default::default() };
                named(refused(server.check(no_question).await, "INVALID_FIELD"), "permission");
                for (question, field) in [
                    (wire::check_request::Question::AllOf(Default::default()), "all_of.permissions"),
                    (wire::check_request::Question::AnyOf(Default::default()), "any_of.permissions"),
                ] {
                    let about_nothing =
                        wire::CheckRequest { question: Some(question), ..project.asking("acme", "ann", "") };
                    named(refused(server.check(about_nothing).await, "INVALID_FIELD"), field);
                }
            })
            .await;
    });
}

#[test]
fn what_is_not_there_is_not_found_by_its_name() {
    on_both(async |server| {
        shop(server).await;
        server.storing_nothing(nothing_is_found(server)).await;
    });
}

async fn nothing_is_found(server: &Server) {
    let contract = Contract::read();
    let raw = server.raw().await;
    // Field by field: what is asked for does not exist.
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
        ("on_disabled.replacements[0].to", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
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
        ("rows[0].org_id", "nowhere", "ORG_NOT_FOUND", "rolecall.v1.Org"),
        ("rows[1].user_id", "nobody", "MEMBER_NOT_FOUND", "rolecall.v1.Member"),
        ("rows[2].user_id", "nobody", "MEMBER_NOT_FOUND", "rolecall.v1.Member"),
        ("rows[0].add.roles[0].role", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
        ("rows[1].set.roles[0].role", "Nothing", "ROLE_NOT_FOUND", "rolecall.v1.Role"),
    ];
    let mut met = BTreeSet::new();
    for (method, request) in requests(&server.token().await) {
        let message = &contract.methods.iter().find(|known| known.path == method).unwrap().request;
        let mut found = Vec::new();
        fields(&contract, message, &request, &Path::default(), &mut found);
        for (path, form, _) in found {
            let Some((field, name, reason, resource)) = missing.iter().find(|(field, ..)| *field == path.text) else {
                continue;
            };
            // A check denies what is not there, a new org and member are not there, a user needs not to be (K2, U1); and a
            // message has no name.
            let denies = method.contains("CheckService") && *field != "project";
            let creates = matches!(form, Form::Parts)
                || matches!(
                    (method.rsplit('/').next().unwrap(), *field),
                    ("CreateOrg", "org_id") | ("AddMember" | "ListUserMemberships", "user_id")
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
fn a_role_cannot_be_given_until_a_time_and_for_good() {
    on_both(async |server| {
        shop(server).await;
        let both = wire::RoleAssignment { permanent: true, ..temporary("Admin", in_an_hour()) };
        let request = server.single().adding("acme", "zoe", &[both]);
        let refused = refused(server.storing_nothing(server.add_member(request)).await, "INVALID_FIELD");
        assert_eq!(refused.fields(), ["roles[0].permanent"]);
    });
}

#[test]
fn the_longest_well_formed_values_are_taken_whole() {
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
