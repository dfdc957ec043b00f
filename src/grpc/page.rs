//! Pages (AIP-158): sizes, and tokens that say where the next page begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Status;

use super::status;
use crate::domain::model::id::RoleId;
use crate::limits::{PAGE_BYTES_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::store::Scope;

const FINGERPRINT: usize = 8;

/// A page that was asked for.
pub struct Page {
    /// Rows at most.
    pub limit: u32,
    /// The key of the row that the page begins after, as the list wrote it; none for the first page.
    pub after: Option<String>,
    /// Of what the page before was in.
    scope: Option<[u8; FINGERPRINT]>,
    fingerprint: [u8; FINGERPRINT],
}

impl Page {
    /// Reads the page fields of a request. `arguments` are all others, the method's name among them: a token belongs to them.
    pub fn read(arguments: &[&str], page_size: i32, page_token: &str) -> Result<Self, Status> {
        let limit = match u32::try_from(page_size) {
            Err(_) => return Err(status::invalid("page_size", "must not be negative")),
            Ok(0) => PAGE_SIZE_DEFAULT,
            Ok(size) => size.min(PAGE_SIZE_MAX),
        };
        let fingerprint = fingerprint(arguments);
        let opened = if page_token.is_empty() { None } else { Some(open(page_token, &fingerprint)?) };
        let (scope, after) = opened.unzip();
        Ok(Self { limit, after, scope, fingerprint })
    }

    /// The position as a number, for lists ordered by one.
    pub fn after_number<N: std::str::FromStr>(&self) -> Result<Option<N>, Status> {
        self.after.as_deref().map(|text| text.parse().map_err(|_| status::page_token())).transpose()
    }

    /// The position in a list in the order of roles: the rank, and the id for equal ranks.
    pub fn place(&self) -> Result<Option<(u64, RoleId)>, Status> {
        let Some(text) = &self.after else { return Ok(None) };
        let parts =
            text.split_once(' ').and_then(|(rank, id)| Some((rank.parse().ok()?, RoleId::new(id.parse().ok()?)?)));
        parts.map(Some).ok_or_else(status::page_token)
    }

    /// The token of the page after the row with this key; empty at the end of the list. `scope` is what this page was read
    /// in: refused, if the page before was of an org, a project or a mapping that had the same name, and is gone.
    pub fn next_token(&self, scope: Scope, last: Option<&str>) -> Result<String, Status> {
        let scope =
            fingerprint(&[scope.project, scope.org, scope.role_order, scope.named].map(|number| number.to_string()));
        if self.scope.is_some_and(|before| before != scope) {
            return Err(status::page_token());
        }
        Ok(last.map_or_else(String::new, |key| {
            let bytes: Vec<u8> = self.fingerprint.into_iter().chain(scope).chain(key.bytes()).collect();
            URL_SAFE_NO_PAD.encode(bytes)
        }))
    }
}

/// Writes what [`Page::place`] reads.
pub fn place(rank: u64, role: RoleId) -> String {
    format!("{rank} {}", role.number())
}

/// The rows of a page as they are shown, as many as clients take, and the row after which the list goes on, if it does.
pub fn fitting<R, M: Message>(rows: &[R], more: bool, show: impl Fn(&R) -> M) -> (Vec<M>, Option<&R>) {
    let mut shown = Vec::with_capacity(rows.len());
    let mut bytes = 0;
    for (at, row) in rows.iter().enumerate() {
        let message = show(row);
        bytes += message.encoded_len();
        if at > 0 && bytes > PAGE_BYTES_MAX {
            return (shown, rows.get(at - 1));
        }
        shown.push(message);
    }
    (shown, rows.last().filter(|_| more))
}

fn open(token: &str, expected: &[u8; FINGERPRINT]) -> Result<([u8; FINGERPRINT], String), Status> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| status::page_token())?;
    let rest = bytes.strip_prefix(expected).ok_or_else(status::page_token)?;
    let (scope, key) = rest.split_first_chunk().ok_or_else(status::page_token)?;
    // PostgreSQL would refuse a NUL with an error of its own.
    let key = String::from_utf8(key.to_vec()).ok().filter(|key| !key.contains('\0')).ok_or_else(status::page_token)?;
    Ok((*scope, key))
}

fn fingerprint<T: AsRef<str>>(arguments: &[T]) -> [u8; FINGERPRINT] {
    let mut hash = Sha256::new();
    for argument in arguments {
        let argument = argument.as_ref();
        hash.update((argument.len() as u64).to_le_bytes());
        hash.update(argument);
    }
    std::array::from_fn({
        let hash = hash.finalize();
        move |at| hash[at]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_before_it_has_more_bytes_than_clients_take() {
        let rows = ["a".repeat(PAGE_BYTES_MAX), "b".into(), "c".repeat(PAGE_BYTES_MAX / 2), "d".into()];
        let (shown, last) = fitting(&rows, false, String::clone);
        assert_eq!((shown.len(), last), (1, Some(&rows[0])), "the first row always goes");
        let (shown, last) = fitting(&rows[1..], false, String::clone);
        assert_eq!((shown.len(), last), (3, None));
        let (_, last) = fitting(&rows[1..], true, String::clone);
        assert_eq!(last, Some(&rows[3]));
        assert_eq!(fitting(&rows[..0], false, String::clone), (vec![], None));
    }

    #[test]
    fn b4_a_token_goes_on_where_the_page_ended_and_only_for_its_arguments() {
        let page = Page::read(&["ListMembers", "default", "acme"], 0, "").unwrap();
        assert_eq!((page.limit, page.after.as_deref()), (100, None));
        let scope = Scope { project: 1, org: 7, role_order: 0, named: 3 };
        let token = page.next_token(scope, Some("änn")).unwrap();
        let next = Page::read(&["ListMembers", "default", "acme"], 5_000, &token).unwrap();
        assert_eq!((next.limit, next.after.as_deref()), (1_000, Some("änn")));
        assert_eq!(next.next_token(scope, None).unwrap(), "");
        let others = [Scope { org: 8, ..scope }, Scope { project: 2, ..scope }, Scope { named: 4, ..scope }];
        for other in others.into_iter().chain([Scope { role_order: 1, ..scope }]) {
            assert!(next.next_token(other, None).is_err());
        }
        for other in [["ListMembers", "default", "globex"], ["ListMembers", "defaul", "tacme"]] {
            assert!(Page::read(&other, 0, &token).is_err());
        }
        assert!(Page::read(&["ListMembers", "default", "acme"], 0, "?").is_err());
        assert!(Page::read(&["ListMembers", "default", "acme"], -1, "").is_err());
    }
}
