//! `google.api.field_behavior` of the fields. `prost_types` drops this extension, so these messages read the same bytes.

use std::collections::BTreeMap;

use prost::Message;
use rolecall::grpc::DESCRIPTORS;

pub const REQUIRED: i32 = 2;
pub const OUTPUT_ONLY: i32 = 3;
pub const IMMUTABLE: i32 = 5;

#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "4")]
    message_type: Vec<MessageType>,
}

#[derive(Clone, PartialEq, Message)]
struct MessageType {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    field: Vec<Field>,
}

#[derive(Clone, PartialEq, Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "8")]
    options: Option<Options>,
}

#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(int32, repeated, packed = "false", tag = "1052")]
    field_behavior: Vec<i32>,
}

/// Returns the behaviors of the fields that have any, by names such as `.rolecall.v1.GetOrgRequest.org_id`.
pub fn of_fields() -> BTreeMap<String, Vec<i32>> {
    let mut behaviors = BTreeMap::new();
    for file in Files::decode(DESCRIPTORS).unwrap().file {
        for message in file.message_type {
            for field in message.field {
                let Some(options) = field.options else { continue };
                behaviors.insert(format!(".{}.{}.{}", file.package, message.name, field.name), options.field_behavior);
            }
        }
    }
    behaviors
}
