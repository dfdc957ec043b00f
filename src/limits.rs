//! Every limit that callers notice, with its unit.

use std::time::Duration;

/// The limits of rule P7: what a project may hold and what one call may have. Each has a flag of `rolecall serve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Roles per project.
    pub roles: u64,
    /// Permissions per project, built-in ones included.
    pub permissions: u64,
    /// Role mappings per project.
    pub role_mappings: u64,
    /// (mapping, role, permission) grants per project.
    pub grants: u64,
    /// Different role sets per project.
    pub role_sets: u64,
    /// (role, managed role) pairs of a MULTI_ROLE project.
    pub managed_roles: u64,
    /// Roles per member of a MULTI_ROLE project.
    pub member_roles: u64,
    /// Pending invitations per org.
    pub org_invitations: u64,
    /// E-mail domains per org.
    pub org_domains: u64,
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
            org_invitations: 10_000,
            org_domains: 100,
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
/// Bytes of an e-mail address (V1).
pub const EMAIL_BYTES_MAX: usize = 254;
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
/// API keys of an installation, archived ones included (W6).
pub const API_KEYS_MAX: u64 = 100_000;
/// Bytes of the actor recorded with a write.
pub const ACTOR_BYTES_MAX: usize = 256;
/// Days for which an invitation is valid, unless the request says otherwise (V1).
pub const INVITATION_DAYS: i64 = 7;
/// Days for which an invitation is valid at most (V1).
pub const INVITATION_DAYS_MAX: i64 = 90;
/// Seconds for which a request id is remembered (A4).
pub const REQUEST_ID_SECONDS: i64 = 24 * 60 * 60;

/// The longest wait of any call for a revision (K4).
pub const WAIT_MAX: Duration = Duration::from_secs(10);

/// Rows of a page when the request names no size.
pub const PAGE_SIZE_DEFAULT: u32 = 100;
/// Rows of the largest page. A larger size is read as this.
pub const PAGE_SIZE_MAX: u32 = 1_000;
/// How often a page of invitations reads `PAGE_SIZE_MAX` rows that its filter may leave out. The next page goes on from
/// there.
pub const LIST_READS_MAX: usize = 10;

/// Old names of one object (R3).
pub const ALIASES_MAX: u64 = 50;
/// Members in the sample of an impact (R9).
pub const IMPACT_SAMPLE_MAX: usize = 20;
/// Grants, pairs of roles and orgs that an impact lists. The rest are counted.
pub const IMPACT_LIST_MAX: usize = 100;
/// Permissions that an impact lists for one member. The rest are counted.
pub const IMPACT_PERMISSIONS_MAX: usize = 20;

/// Permissions in one question of a check (P7).
pub const CHECK_LIST_MAX: usize = 100;

/// Checks in one message of StreamCheck. Messages that are ready are answered together until they have as many.
pub const STREAM_CHECKS_MAX: usize = 1_000;

/// Role mappings that an explanation lists. The rest are counted.
pub const ALLOWED_ON_MAX: usize = 100;

/// Malformed items that the answer of a batch check lists. The rest are counted.
pub const ITEM_ERRORS_MAX: usize = 100;

/// Days for which the history of changes is kept, unless configured.
pub const HISTORY_DAYS: u32 = 400;

/// Different refused calls that one server records in a minute (A1). Further ones are only counted.
pub const DENIALS_PER_MINUTE_MAX: usize = 100;
/// Bytes of each text that is recorded of a refused call. A longer text is cut.
pub const DENIAL_TEXT_BYTES_MAX: usize = 256;

/// Changes of access that a watch reports of one write. More of them are reported with wider scopes.
pub const WATCH_CHANGES_MAX: usize = 1_000;

/// Changes that an event of the audit shows. The rest are counted.
pub const EVENT_CHANGES_MAX: usize = 100;
/// Bytes of the changes that an event shows. The first may exceed it.
pub const EVENT_BYTES_MAX: usize = 256 << 10;
/// Values of one field that an event shows. The rest are counted.
pub const EVENT_VALUES_MAX: usize = 100;

/// Seconds for which an expired role is kept (B5): 30 days.
pub const EXPIRED_SECONDS: i64 = 30 * 24 * 60 * 60;

/// Memberships that one command purges.
pub const PURGE_ROWS_MAX: usize = 2_000;

/// Bytes of the rows of one page. The first row may exceed it. Clients take answers of 4 MiB.
pub const PAGE_BYTES_MAX: usize = 3 << 20;

/// Lists of one project answered at one time, so that other projects get connections to the database too.
pub const LISTS_PER_PROJECT_MAX: usize = 4;
/// Lists, previews or calls of ListManageableRoles of one project that wait for their turn. More are refused as OVERLOADED.
pub const TURNS_WAITING_MAX: usize = 256;

/// Names in one list of a request.
pub const NAMES_MAX: usize = 1_000;

/// Bytes of an ordinary request.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Bytes of a request whose RPC's comment allows 16 MiB: those in `BULK` of `grpc/codec.rs`.
pub const BULK_REQUEST_BYTES_MAX: usize = 16 << 20;

/// Top-level fields of one request, counted before it is decoded: an empty message takes 2 bytes on the wire and 72 in
/// memory. It also bounds the items of a batch check, whatever their limit is.
pub const REQUEST_FIELDS_MAX: usize = 200_000;

/// Fields of one request at all depths, counted before it is decoded. The usual fields of a batch check's items do not count.
pub const REQUEST_NESTED_FIELDS_MAX: usize = 500_000;

/// The largest number of grants in a configuration that is read as a whole. With its other fields it can be applied again.
pub const CONFIGURATION_GRANTS_MAX: u64 = 250_000;
/// Bytes that a decoded field takes at most, besides its own bytes.
pub const FIELD_BYTES: usize = 100;
/// Bytes of a request whose fields are not counted.
pub const SMALL_REQUEST_BYTES: usize = 1 << 10;

/// Large requests that are decoded or wait for it. They block threads, and the runtime has 512. More are refused as
/// OVERLOADED.
pub const LARGE_REQUESTS_MAX: usize = 64;

/// Bytes that each call in flight takes, whatever its size.
pub const CALL_BYTES: usize = 4 << 10;
/// Bytes of a small call. Only small calls may use the last quarter of the memory of all calls.
pub const SMALL_CALL_BYTES: usize = 512 << 10;
/// Bytes of one message and of one frame that the health and reflection services take.
pub const PROBE_BYTES_MAX: usize = 4 << 10;
/// Bytes of a request of a stream of this API, and of the memory to decode it.
pub const FEED_REQUEST_BYTES_MAX: usize = 64 << 10;
/// Bytes of an answer that is sent even if the memory of all calls is used up.
pub const REFUSABLE_ANSWER_BYTES: usize = 64 << 10;

/// Commands of one group commit.
pub const GROUP_COMMANDS_MAX: usize = 256;
/// Rows of one group commit. A heavier command commits alone.
pub const GROUP_ROWS_MAX: usize = 20_000;
/// Rows that count for reading the members of one org in a group.
pub const ORG_ROWS: usize = 512;
/// Commands that wait for the writer. More are refused as OVERLOADED.
pub const WRITE_QUEUE_MAX: usize = 4_096;

/// Previews decided at one time. Others wait.
pub const PREVIEWS_MAX: usize = 2;
/// Previews of one project decided at one time, so that another project gets a turn.
pub const PREVIEWS_PER_PROJECT_MAX: usize = 1;
/// Calls of ListManageableRoles (G5) answered at one time. Each tries up to 3,000 writes. Others wait.
pub const TRIALS_MAX: usize = 2;
/// Calls of ListManageableRoles of one project answered at one time, so that another project gets a turn.
pub const TRIALS_PER_PROJECT_MAX: usize = 1;
/// Calls of GetInsights (U4) answered at one time. Each looks at every membership of a project. Others wait.
pub const INSIGHTS_MAX: usize = 2;
/// Calls of GetInsights of one project answered at one time, so that another project gets a turn.
pub const INSIGHTS_PER_PROJECT_MAX: usize = 1;

/// New role sets between two collections of unused ones.
pub const ROLE_SETS_BETWEEN_COLLECTIONS: usize = 1_024;

/// Projects that one sidecar asks for by key.
pub const PROJECTS_A_SIDECAR_MAX: usize = 1_000;
/// Orgs in one report of a sidecar.
pub const ACTIVE_ORGS_A_REPORT_MAX: usize = 10_000;

/// Edits between a name and its suggestion.
pub const SUGGESTION_EDITS_MAX: usize = 4;
/// Pairs of letters compared for the suggestions of one refusal. They take tens of milliseconds.
pub const SUGGESTION_STEPS_MAX: usize = 20_000_000;

/// Names in the text of one refusal. The rest are counted.
pub const REFUSAL_NAMES_MAX: usize = 3;
/// Violations in one refusal of a bulk write. The rest are counted.
pub const VIOLATIONS_MAX: usize = 20;
/// Bytes of the violations in one refusal. The first may exceed it. With the message and their encoding they stay below the
/// 8 KiB of headers that grpc-java takes.
pub const VIOLATIONS_BYTES_MAX: usize = 2_048;

/// Bytes of the head of an HTTP request.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 << 10;
/// Evaluations in one request of AuthZEN.
pub const EVALUATIONS_MAX: usize = 10_000;
/// Bytes of the properties of an action, if they decide which permission it asks for.
pub const ACTION_PROPERTIES_BYTES_MAX: usize = 4 << 10;
/// Entries of the file that gives AuthZEN's actions permissions.
pub const AUTHZEN_ACTIONS_MAX: usize = 1_000;
/// Bytes of a request of Envoy.
pub const ENVOY_REQUEST_BYTES_MAX: usize = 256 << 10;
/// Bytes of the file that maps Envoy's requests, and of the one that maps AuthZEN's actions.
pub const GATEWAY_FILE_BYTES_MAX: u64 = 1 << 20;
/// Rules of the mapping of Envoy's requests.
pub const ENVOY_RULES_MAX: usize = 1_000;

/// Bytes of a JWT (W3).
pub const JWT_BYTES_MAX: usize = 8 << 10;
/// Verified JWTs that are remembered.
pub const JWTS_REMEMBERED_MAX: usize = 10_000;
/// Seconds by which the clock of a JWT's issuer may differ, unless configured.
pub const JWT_SKEW_SECONDS: u64 = 60;
/// Seconds by which the clock of a JWT's issuer may differ at most.
pub const JWT_SKEW_SECONDS_MAX: u64 = 600;
/// Bytes of one JWKS file.
pub const JWKS_BYTES_MAX: usize = 1 << 20;
/// JWKS files in one directory.
pub const JWKS_FILES_MAX: usize = 100;
/// Keys of one JWT issuer.
pub const JWKS_KEYS_MAX: usize = 1_000;
/// Bits of an RSA key that verifies JWTs. The upper bound is ring's.
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;
