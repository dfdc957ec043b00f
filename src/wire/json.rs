//! How the command line prints what serde cannot derive. `build.rs` names the fields.

use prost_types::Timestamp;
use serde::{Serialize, Serializer};

use super::{
    Decision, Environment, ErrorReason, EventAction, EventType, InvitationState, MemberRoleState, MembershipOrigin,
};

pub fn is_unset<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}

/// Prints a timestamp as RFC 3339 says.
pub fn time<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    time.as_ref().map(Timestamp::to_string).serialize(to)
}

/// Prints an absent message like an empty one.
pub fn or_default<T: Default + Serialize, S: Serializer>(message: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    match message {
        Some(message) => message.serialize(to),
        None => T::default().serialize(to),
    }
}

macro_rules! by_name {
    ($($function:ident $of:ident;)*) => {$(
        pub fn $function<S: Serializer>(number: &i32, to: S) -> Result<S::Ok, S::Error> {
            $of::try_from(*number).unwrap_or_default().as_str_name().serialize(to)
        }
    )*};
}

by_name! {
    decision Decision;
    environment Environment;
    error_reason ErrorReason;
    event_action EventAction;
    event_type EventType;
    invitation_state InvitationState;
    origin MembershipOrigin;
    role_state MemberRoleState;
}
