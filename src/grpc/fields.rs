//! Counts the fields of an encoded request at all depths. A few bytes on the wire can be many in memory.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message;
use prost::encoding::WireType;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};

use super::DESCRIPTORS;

/// The depth at which prost refuses a message.
const DEPTH_MAX: usize = 100;

/// The number of fields, up to the first malformed one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub top_level: usize,
    pub all: usize,
}

/// Counts the fields of a message. `name` is its full name. Stops above `max`.
pub fn count(name: &str, message: &[u8], max: usize) -> Fields {
    let mut fields = Fields::default();
    walk(SCHEMA.by_name.get(name).copied(), message, max, 0, &mut fields);
    fields
}

/// Which fields of a message are messages, by number. An entry is a position in `messages`.
struct Schema {
    by_name: HashMap<String, usize>,
    messages: Vec<Vec<Option<usize>>>,
}

/// The contract's own descriptors: an unknown field is counted as one field, as prost skips it.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default().file;
    let mut found = Vec::new();
    for file in &files {
        collect(&format!(".{}", file.package()), &file.message_type, &mut found);
    }
    let by_name: HashMap<String, usize> =
        found.iter().enumerate().map(|(at, (name, _))| (name[1..].to_owned(), at)).collect();
    let messages = found.iter().map(|(_, message)| {
        let mut nested = Vec::new();
        for field in message.field.iter().filter(|field| field.r#type() == Type::Message) {
            let number = usize::try_from(field.number()).unwrap_or(0);
            nested.resize(nested.len().max(number + 1), None);
            nested[number] = by_name.get(field.type_name().trim_start_matches('.')).copied();
        }
        nested
    });
    Schema { messages: messages.collect(), by_name }
});

fn collect<'a>(scope: &str, messages: &'a [DescriptorProto], found: &mut Vec<(String, &'a DescriptorProto)>) {
    for message in messages {
        let name = format!("{scope}.{}", message.name());
        collect(&name, &message.nested_type, found);
        found.push((name, message));
    }
}

/// Returns `None` at a malformed field, which prost reports, and above `max`.
fn walk(schema: Option<usize>, mut message: &[u8], max: usize, depth: usize, fields: &mut Fields) -> Option<()> {
    let nested = schema.map_or(&[][..], |at| &SCHEMA.messages[at]);
    while !message.is_empty() {
        let key = varint(&mut message)?;
        fields.all += 1;
        fields.top_level += usize::from(depth == 0);
        if fields.all > max || depth > DEPTH_MAX {
            return None;
        }
        let length = match WireType::try_from(key & 7).ok()? {
            WireType::Varint => varint(&mut message).map(|_| 0)?,
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let number = usize::try_from(key >> 3).ok()?;
                if let Some(&Some(schema)) = nested.get(number) {
                    walk(Some(schema), message.get(..length)?, max, depth + 1, fields)?;
                }
                length
            }
            // Fields of a group are counted as fields of this message.
            WireType::StartGroup | WireType::EndGroup => 0,
        };
        message = message.get(length..)?;
    }
    Some(())
}

#[inline]
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    match bytes.first()? {
        &byte if byte < 0x80 => {
            *bytes = &bytes[1..];
            Some(u64::from(byte))
        }
        _ => prost::encoding::decode_varint(bytes).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    const MAX: usize = 500_000;

    fn counted(name: &str, message: &[u8]) -> (usize, usize) {
        let fields = count(&format!("rolecall.v1.{name}"), message, MAX);
        (fields.top_level, fields.all)
    }

    #[test]
    fn fields_are_counted_at_all_depths() {
        let item = |number: usize| wire::CheckItem { user_id: "u".repeat(number), ..Default::default() };
        let request = wire::BatchCheckRequest {
            project: "default".into(),
            items: (1..=300).map(item).collect(),
            defaults: Some(item(1)),
            ..Default::default()
        };
        assert_eq!(counted("BatchCheckRequest", &request.encode_to_vec()), (302, 603));
        let role =
            wire::RoleAssignment { role: "Admin".into(), expire_time: Some(Default::default()), ..Default::default() };
        let add = wire::member_write::Write::Add(wire::RoleAssignments { roles: vec![role; 7] });
        let row = wire::MemberWrite { org_id: "acme".into(), user_id: "ann".into(), write: Some(add) };
        let request = wire::BatchWriteMembersRequest { rows: vec![row; 5], ..Default::default() };
        assert_eq!(counted("BatchWriteMembersRequest", &request.encode_to_vec()), (5, 5 * (4 + 7 * 3)));
        let edit = wire::GrantEdit { role: "Admin".into(), add: vec![String::new(); 9], remove: Vec::new() };
        let request = wire::UpdateRoleMappingRequest { edits: vec![edit; 2], ..Default::default() };
        assert_eq!(counted("UpdateRoleMappingRequest", &request.encode_to_vec()), (2, 22));
    }

    #[test]
    fn all_wire_types_are_counted_and_text_is_not_followed() {
        assert_eq!(counted("CheckRequest", &[]), (0, 0));
        // A varint, eight bytes, four bytes, a group with a varint in it.
        assert_eq!(counted("CheckRequest", b"\x08\xac\x02\x11........\x1d....\x23\x08\x01\x24"), (6, 6));
        let text = wire::CheckRequest { user_id: "\u{8}\u{1}\u{8}\u{1}".into(), ..Default::default() };
        assert_eq!(counted("CheckRequest", &text.encode_to_vec()), (1, 1));
    }

    #[test]
    fn counting_stops_at_a_malformed_field_and_above_the_bound() {
        assert_eq!(counted("CheckRequest", b"\x08\x01\x12\x7fshort"), (2, 2));
        assert_eq!(counted("CheckRequest", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), (1, 1));
        assert_eq!(counted("CheckRequest", &[0xff; 64]), (0, 0));
        assert_eq!(counted("BatchCheckRequest", &[0x12, 0].repeat(1_000_000)).1, MAX + 1);
    }

    #[test]
    fn every_request_of_the_contract_is_known() {
        for request in super::super::codec::BULK {
            assert!(SCHEMA.by_name.contains_key(&format!("rolecall.v1.{request}")), "{request}");
        }
    }
}
