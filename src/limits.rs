//! Every limit of the service, with its unit: the one place where a bound is written down.

/// What a store may hold and what one call may ask, rule P7. Each can be set by a flag of `rolecall serve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Roles a project.
    pub roles: u64,
    /// Permissions a project, the built-in ones included.
    pub permissions: u64,
    /// Role mappings a project.
    pub role_mappings: u64,
    /// (mapping, role, permission) grants a project.
    pub grants: u64,
    /// Different role sets that members of a project hold.
    pub role_sets: u64,
    /// (role, managed role) pairs of a MULTI_ROLE project.
    pub managed_roles: u64,
    /// Roles one member holds in a MULTI_ROLE project.
    pub member_roles: u64,
    /// Rows of one bulk write.
    pub bulk_rows: usize,
    /// Items of one batch check.
    pub batch_check_items: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            roles: 10_000,
            permissions: 50_000,
            role_mappings: 1_000,
            grants: 5_000_000,
            role_sets: 1_000_000,
            managed_roles: 1_000_000,
            member_roles: 50,
            bulk_rows: 10_000,
            batch_check_items: 100_000,
        }
    }
}

/// Bytes of a project's key, pattern `[a-z][a-z0-9-]{0,62}` (P1).
pub const PROJECT_KEY_BYTES_MAX: usize = 63;
/// Bytes of a role's or role mapping's name (R1).
pub const NAME_BYTES_MAX: usize = 128;
/// Bytes of a permission's name (R1).
pub const PERMISSION_NAME_BYTES_MAX: usize = 256;
/// Bytes of an org's or a user's id (S5, U1).
pub const ID_BYTES_MAX: usize = 128;
/// Bytes of a display name.
pub const DISPLAY_NAME_BYTES_MAX: usize = 256;
/// Bytes of a description.
pub const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// Bytes of an org's metadata (S5).
pub const METADATA_BYTES_MAX: usize = 4_096;
/// Bytes of a caller-chosen request id (A4).
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Bytes of the reason recorded with a write.
pub const REASON_BYTES_MAX: usize = 1_024;
/// Bytes of the actor recorded with a write.
pub const ACTOR_BYTES_MAX: usize = 256;
/// Seconds for which a request id is remembered (A4).
pub const REQUEST_ID_SECONDS: i64 = 24 * 60 * 60;

/// Rows of a page when the request names no size.
pub const PAGE_SIZE_DEFAULT: u32 = 100;
/// Rows of the largest page; a larger size is read as this.
pub const PAGE_SIZE_MAX: u32 = 1_000;

/// Old names by which one thing is still found (R3).
pub const ALIASES_MAX: u64 = 50;
/// Members named in the report of an impact (R9).
pub const IMPACT_SAMPLE_MAX: usize = 20;
/// Grants, pairs of roles and orgs that the report of an impact lists; the rest are counted.
pub const IMPACT_LIST_MAX: usize = 100;
/// Permissions that the report of an impact lists of one member; the rest are counted.
pub const IMPACT_PERMISSIONS_MAX: usize = 20;

/// Permissions in one question of a check (P7).
pub const CHECK_LIST_MAX: usize = 100;

/// Memberships that are purged by one command once an org or a project is deleted.
pub const PURGE_ROWS_MAX: usize = 2_000;

/// Permissions named in one page of a role mapping or of a comparison, the first row apart: clients take 4 MiB.
pub const PAGE_GRANTS_MAX: usize = 20_000;

/// Bytes of the rows of one page, the first row apart: clients take answers of 4 MiB.
pub const PAGE_BYTES_MAX: usize = 3 << 20;

/// Names in one list of a request.
pub const NAMES_MAX: usize = 1_000;

/// Bytes of an ordinary request.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Bytes of a bulk write or a batch check.
pub const BULK_REQUEST_BYTES_MAX: usize = 16 << 20;

/// Top-level fields of one request, counted before it is decoded: an empty message takes 2 bytes on the wire and 72 in
/// memory. Items of a batch check above this cannot be sent, whatever their limit is set to. What is nested in a field
/// (the roles of a row, the names of a `GrantEdit`) is bounded by the bytes of the request alone.
pub const REQUEST_FIELDS_MAX: usize = 200_000;

/// Commands of one group commit.
pub const GROUP_COMMANDS_MAX: usize = 256;
/// Rows of one group commit; a heavier command commits alone.
pub const GROUP_ROWS_MAX: usize = 20_000;
/// What looking through the members of one org counts for in a group.
pub const ORG_ROWS: usize = 512;
/// Commands waiting for the writer before callers are told to come back later.
pub const WRITE_QUEUE_MAX: usize = 4_096;

/// Previews decided at one time; others wait their turn.
pub const PREVIEWS_MAX: usize = 2;
/// Lists of what an acting user may do (G5) answered at one time, each by up to 3,000 writes that are tried; others wait
/// their turn.
pub const TRIALS_MAX: usize = 2;

/// Role sets made in the place of others between two looks for those that nobody has any more.
pub const ROLE_SETS_BETWEEN_COLLECTIONS: usize = 1_024;

/// Edits by which a name may differ from the one that is suggested for it.
pub const SUGGESTION_EDITS_MAX: usize = 4;
/// Pairs of letters compared for the suggestions of one refusal: tens of milliseconds.
pub const SUGGESTION_STEPS_MAX: usize = 20_000_000;

/// Names that the text of one refusal lists; the rest are counted.
pub const REFUSAL_NAMES_MAX: usize = 3;
/// Violations named in one refusal of a bulk write; the rest are counted.
pub const VIOLATIONS_MAX: usize = 20;
/// Bytes of the violations named in one refusal, the first of them apart: with the message and what encoding adds they stay
/// below the 8 KiB of headers that grpc-java takes.
pub const VIOLATIONS_BYTES_MAX: usize = 2_048;
