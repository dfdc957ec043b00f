//! Cuts members into calls that the server takes.

use super::contents::{Contents, Member};
use crate::limits::REQUEST_NESTED_FIELDS_MAX;
use crate::wire::Limits;

/// Bytes of a row and of a role besides ids and names. Their tags, lengths and times need less.
const ROW_BYTES: usize = 32;
const ROLE_BYTES: usize = 40;
/// Bytes of the other fields of a request.
const REQUEST_BYTES: usize = 1_024;
/// Fields of a row, and of a role with an expiry, at all depths.
const ROW_FIELDS: usize = 5;
const ROLE_FIELDS: usize = 6;

/// The most that one call may have.
#[derive(Clone, Copy)]
pub struct CallLimits {
    rows: usize,
    bytes: usize,
    fields: usize,
}

impl CallLimits {
    pub fn new(limits: &Limits) -> Self {
        let max = |limit: i32| usize::try_from(limit).unwrap_or_default();
        Self {
            rows: max(limits.bulk_rows_max).max(1),
            bytes: max(limits.bulk_request_bytes_max).saturating_sub(REQUEST_BYTES),
            fields: REQUEST_NESTED_FIELDS_MAX - ROW_FIELDS,
        }
    }

    /// Returns the members of each call. A member who is too large has a call too, which the server refuses.
    pub fn cut(&self, contents: &Contents, members: Vec<Member>) -> Vec<Vec<Member>> {
        let mut calls: Vec<Vec<Member>> = Vec::new();
        let (mut bytes, mut fields) = (0, 0);
        for member in members {
            let roles = contents.roles(member.roles);
            let names: usize = roles.iter().map(|role| role.name.len() + ROLE_BYTES).sum();
            let row_bytes = ROW_BYTES + contents.orgs[member.org].id.len() + member.user_id.len() + names;
            let row_fields = ROW_FIELDS + roles.len() * ROLE_FIELDS;
            bytes += row_bytes;
            fields += row_fields;
            match calls.last_mut() {
                Some(call) if call.len() < self.rows && bytes <= self.bytes && fields <= self.fields => {
                    call.push(member);
                }
                _ => {
                    (bytes, fields) = (row_bytes, row_fields);
                    calls.push(vec![member]);
                }
            }
        }
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::super::contents::Role;
    use super::*;

    #[test]
    fn a_call_ends_at_the_limit_of_rows_of_bytes_and_of_fields() {
        let mut contents = Contents::default();
        let org = contents.org("acme").unwrap();
        for number in 0..10 {
            contents.member(org, &format!("user-{number}"), vec![Role::permanent("Admin"), Role::permanent("Member")]);
        }
        let none = CallLimits { rows: 100, bytes: 100_000, fields: 10_000 };
        // A row has 32 + 4 + 6 + 45 + 46 bytes, and 17 fields.
        for (limits, lengths) in [
            (none, &[10][..]),
            (CallLimits { rows: 4, ..none }, &[4, 4, 2]),
            (CallLimits { bytes: 3 * 133, ..none }, &[3, 3, 3, 1]),
            (CallLimits { bytes: 3 * 133 - 1, ..none }, &[2; 5]),
            (CallLimits { fields: 5 * 17, ..none }, &[5, 5]),
            (CallLimits { bytes: 1, ..none }, &[1; 10]),
        ] {
            let members = contents.take_members();
            let calls = limits.cut(&contents, members);
            assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), lengths);
            for member in calls.into_iter().flatten() {
                let roles = contents.roles(member.roles).to_vec();
                contents.member(member.org, &member.user_id, roles);
            }
        }
    }
}
