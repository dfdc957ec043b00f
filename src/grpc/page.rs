//! Pages (AIP-158): sizes and tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Status;

use super::status;
use crate::domain::Project;
use crate::domain::model::id::RoleId;
use crate::limits::{PAGE_BYTES_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::store;

const FINGERPRINT: usize = 8;

/// Identifies what a page was read in, by numbers that are never reused: ids, or create times if the caller must not learn
/// how many others there are (I2). An org id or project key can be reused after deletion. A page token must not continue in
/// the new org or project (S5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    pub project: i64,
    pub org: i64,
    /// Changes whenever the roles get another order, if the list is in their order. For a viewer it depends on the visible
    /// roles only.
    pub role_order: i64,
    /// The permissions, roles and mappings that the request names.
    pub named: i64,
}

impl Scope {
    /// Identifies what a page from the database was read in.
    pub fn of<T>(page: &store::Page<T>) -> Self {
        let project = Self { project: page.project.number().into(), ..Self::default() };
        page.role_mapping.map_or(project, |mapping| project.naming(mapping.number()))
    }

    /// Adds a permission, role or mapping that the request names.
    pub fn naming(self, number: impl Into<i64>) -> Self {
        Self { named: self.named.rotate_left(32).wrapping_add(number.into()), ..self }
    }
}

/// A page that was asked for.
pub struct Page {
    /// The largest number of rows.
    pub limit: u32,
    /// The key of the row before the page. `None` for the first page.
    pub after: Option<String>,
    /// The fingerprint of the previous page's scope.
    scope: Option<[u8; FINGERPRINT]>,
    fingerprint: [u8; FINGERPRINT],
}

impl Page {
    /// Reads the page fields of a request. A token is valid only for its `arguments`: the method and all other fields.
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

    /// Returns the position in a list that is ordered by a number.
    pub fn after_number<N: std::str::FromStr>(&self) -> Result<Option<N>, Status> {
        self.after.as_deref().map(|text| text.parse().map_err(|_| status::page_token())).transpose()
    }

    /// Returns the position in a list in the order of roles: the rank, and the id for equal ranks.
    pub fn place(&self) -> Result<Option<(u64, RoleId)>, Status> {
        let Some(text) = &self.after else { return Ok(None) };
        let parts =
            text.split_once(' ').and_then(|(rank, id)| Some((rank.parse().ok()?, RoleId::new(id.parse().ok()?)?)));
        parts.map(Some).ok_or_else(status::page_token)
    }

    /// Turns rows into messages until the page is full: by their number or before they exceed `PAGE_BYTES_MAX`. The first
    /// row always fits. Returns the row after which the list continues. `None` if it ends.
    pub fn fill<R, M: Message>(
        &self,
        rows: impl IntoIterator<Item = R>,
        show: impl Fn(&R) -> M,
    ) -> (Vec<M>, Option<R>) {
        let (mut shown, mut bytes, mut last) = (Vec::new(), 0, None);
        for row in rows {
            if shown.len() == self.limit as usize {
                return (shown, last);
            }
            let message = show(&row);
            bytes += message.encoded_len();
            if last.is_some() && bytes > PAGE_BYTES_MAX {
                return (shown, last);
            }
            shown.push(message);
            last = Some(row);
        }
        (shown, None)
    }

    /// Returns the token of the page after the row with key `last`. Empty at the end of the list. Also refuses a
    /// request whose own token is of another list: of a deleted org, project or mapping with the same name, or of another
    /// order of the roles. So every list calls it, even on its last page.
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

/// Returns the position of a role in the order of the roles. [`Page::place`] reads it.
pub fn place(project: &Project, role: RoleId) -> String {
    let rank = project.roles.get(role).map_or(0, |role| role.rank);
    format!("{rank} {}", role.number())
}

fn open(token: &str, expected: &[u8; FINGERPRINT]) -> Result<([u8; FINGERPRINT], String), Status> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| status::page_token())?;
    let rest = bytes.strip_prefix(expected).ok_or_else(status::page_token)?;
    let (scope, key) = rest.split_first_chunk().ok_or_else(status::page_token)?;
    // PostgreSQL would refuse NUL with another error.
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
    fn a_page_ends_before_it_has_more_rows_or_bytes_than_it_may() {
        let rows = ["a".repeat(PAGE_BYTES_MAX), "b".into(), "c".repeat(PAGE_BYTES_MAX / 2), "d".into()];
        let fill = |limit: i32, rows: &[String]| {
            let (shown, last) = Page::read(&[], limit, "").unwrap().fill(rows, |row| (*row).clone());
            (shown.len(), last.cloned())
        };
        assert_eq!(fill(0, &rows), (1, Some(rows[0].clone())), "the first row always fits");
        assert_eq!(fill(0, &rows[1..]), (3, None));
        assert_eq!(fill(3, &rows[1..]), (3, None));
        assert_eq!(fill(2, &rows[1..]), (2, Some(rows[2].clone())));
        assert_eq!(fill(0, &[]), (0, None));
    }

    #[test]
    fn b4_a_token_continues_after_the_page_and_only_for_its_arguments() {
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
