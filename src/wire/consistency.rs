//! The message `Consistency`, written by hand: a requirement that this release does not know must be refused, and prost
//! drops unknown fields.

use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, skip_field};
use prost::{DecodeError, Message};

/// See the contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Consistency {
    pub requirement: Option<Requirement>,
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Oneof)]
pub enum Requirement {
    #[prost(bool, tag = "1")]
    Any(bool),
    #[prost(string, tag = "2")]
    AtLeast(String),
    #[prost(bool, tag = "3")]
    Latest(bool),
    /// A requirement of a newer contract. The tag is the highest one, which no contract uses.
    #[prost(bool, tag = "536870911")]
    Unknown(bool),
}

impl Message for Consistency {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if let Some(requirement) = &self.requirement {
            requirement.encode(buf);
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            1..=3 if !matches!(self.requirement, Some(Requirement::Unknown(_))) => {
                Requirement::merge(&mut self.requirement, tag, wire_type, buf, ctx)
            }
            _ => {
                self.requirement = Some(Requirement::Unknown(true));
                skip_field(wire_type, tag, buf, ctx)
            }
        }
    }

    fn encoded_len(&self) -> usize {
        self.requirement.as_ref().map_or(0, Requirement::encoded_len)
    }

    fn clear(&mut self) {
        self.requirement = None;
    }
}
