//! Why a command is refused: one variant per cause. The [`Reason`] is part of the API.

use crate::domain::model::email::{EmailAddress, EmailDomain};
use crate::domain::model::invitation::{InvitationId, InvitationState};
use crate::domain::model::name::{OrgId, PermissionName, RoleMappingName, RoleName, UserId};
use crate::domain::model::project::{BOOTSTRAP, RoleStructure, WORKSPACE};
use crate::domain::model::reason::Reason;
use crate::domain::model::time::Time;
use crate::limits::{INVITATION_DAYS_MAX, REFUSAL_NAMES_MAX};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    Project,
    Permission,
    Role,
    RoleMapping,
    Org,
    OrgDomain,
    Member,
    Invitation,
    ApiKey,
}

/// Why a command is refused. A refused command stores nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("{} `{}` does not exist", .0.word(), .1)]
    NotFound(Noun, String),
    #[error("{} `{}` exists already", .0.word(), .1)]
    AlreadyExists(Noun, String),
    #[error("`{name}` is an old name of {} `{of}`; remove it from the aliases there, or choose another name", .noun.word())]
    AliasOf { noun: Noun, name: String, of: String },
    #[error("a deleted {} had the {} `{}`; choose another, or set `{}`", .0.word(), retired(.0).0, .1, retired(.0).1)]
    Retired(Noun, String),
    #[error("`{name}` is not an alias; `aliases` can only leave out present ones")]
    UnknownAlias { name: String },
    #[error("this has changed since it was read (its etag is now `{now}`); read it again")]
    EtagMismatch { now: String },
    #[error("`confirm` must repeat the key `{key}`")]
    NotConfirmed { key: String },
    #[error("the project has {}; delete them first, or set `force`", count(.orgs, "org"))]
    ProjectHasOrgs { orgs: u64 },
    #[error("project `{0}` cannot be deleted")]
    ProjectPermanent(String),
    #[error("permission `{0}` is built in: it can be neither renamed nor deleted")]
    BuiltIn(PermissionName),
    #[error("role `{role}` cannot be {}: {why}", wanted(.deleting))]
    DefaultRoleUnsuitable { role: RoleName, deleting: bool, why: String },
    #[error(
        "role `{role}` is a role of {}; `internal` can change only while nobody holds or gets the role",
        holders(.members, .invitations, .domains)
    )]
    RoleInUse { role: RoleName, members: u64, invitations: u64, domains: u64 },
    #[error("{} `{name}` is in the configuration and is to be deleted; leave it out of one of both", .noun.word())]
    WantedAndDeleted { noun: Noun, name: String },
    #[error("the order must name every role; `{missing}` is missing")]
    IncompleteOrder { missing: RoleName },
    #[error("{} `{name}` cannot replace itself", .noun.word())]
    OwnReplacement { noun: Noun, name: String },
    #[error(
        "role `{replacement}` is disabled in role mappings where members would get it: {}; enable it there or name another replacement",
        counted(.disabled_in, "member")
    )]
    ReplacementDisabled { replacement: RoleName, disabled_in: Vec<(RoleMappingName, u64)> },
    #[error(
        "role `{replacement}` cannot replace `{role}`: an internal role needs an internal replacement, a visible role a visible one"
    )]
    ReplacementUnsuitable { role: RoleName, replacement: RoleName },
    #[error("role mapping `{0}` is the default; promote another first")]
    DefaultRoleMapping(RoleMappingName),
    #[error("role mapping `{role_mapping}` has {} subscribed; set `move_subscribers_to` to move them", count(.orgs, "org"))]
    RoleMappingInUse { role_mapping: RoleMappingName, orgs: u64 },
    #[error(
        "this would disable roles of {} in {}: {}; set `on_disabled` to choose what happens to them",
        holders(.members, .invitations, .domains),
        count(.orgs, "org"),
        roles(.held)
    )]
    RolesWouldBeDisabled { held: Vec<(RoleName, u64)>, members: u64, invitations: u64, domains: u64, orgs: u64 },
    #[error(
        "{} with members would be left without an owner (role `{role}`), for example `{first}`; make another member the owner there first, or set `allow_ownerless`",
        count(.orgs, "org")
    )]
    LastOwner { role: RoleName, first: OrgId, orgs: u64 },
    #[error("role `{role}` appears in `replacements` twice")]
    RemappedTwice { role: RoleName },
    #[error("role `{role}` is internal; only a visible role can be a fallback role")]
    FallbackRoleInternal { role: RoleName },
    #[error("the project is {}: {why}", structure(.is))]
    WrongRoleStructure { is: RoleStructure, why: &'static str, rule: &'static str },
    #[error("the impact has changed since the preview (its digest is now `{now}`); preview the write again")]
    ImpactChanged { now: String },
    #[error("the acting user `{0}` is blocked in the project")]
    ActingUserBlocked(UserId),
    #[error("the acting user `{0}` is not a member of the org")]
    ActingUserNotAMember(UserId),
    #[error("no live role of the acting user grants `{permission}`")]
    ActingUserMissingPermission { permission: &'static str },
    #[error("no live role of the acting user that grants `{permission}` manages role `{role}`")]
    RoleOutOfScope { role: RoleName, permission: &'static str },
    #[error("role `{role}` would outlast the acting user's role by which it is given; set an earlier `expire_time`")]
    OutlastsGranter { role: RoleName, expire_time: Time },
    #[error("the e-mail address is not verified; set `email_verified` once the user has proved that it is theirs")]
    EmailNotVerified { rule: &'static str },
    #[error("the org does not list the e-mail domain `{domain}`")]
    DomainNotListed { domain: String },
    #[error("the e-mail domain `{domain}` is not verified; VerifyOrgDomain does that")]
    DomainNotVerified { domain: EmailDomain },
    #[error("every role of the e-mail domain `{domain}` is disabled in the org's role mapping")]
    NoEnabledRole { domain: EmailDomain },
    #[error("user `{0}` was removed from the org; add or invite the user, or set `allow_provisioning`")]
    RemovedBefore(UserId),
    #[error("`{domain}` is a domain of a public mail provider, where anybody can get an address")]
    PublicDomain { at: usize, domain: EmailDomain },
    #[error("the e-mail domain `{domain}` appears twice")]
    RepeatedDomain { at: usize, domain: EmailDomain },
    #[error("role `{role}` is given twice")]
    RepeatedDomainRole { at: usize, role: RoleName },
    #[error("in a SINGLE_ROLE project an e-mail domain gives at most one role")]
    TooManyDomainRoles { at: usize },
    #[error("role `{role}` is internal; an e-mail domain gives only visible roles")]
    InternalRole { role: RoleName },
    #[error("user `{0}` is not available for this")]
    UserNotAvailable(UserId),
    #[error("address `{0}` is not available for this")]
    AddressNotAvailable(EmailAddress),
    #[error("the invitation is {} and can be neither accepted nor revoked", state_word(.state))]
    InvitationNotPending { id: InvitationId, state: InvitationState },
    #[error("the invitation has expired; create another one")]
    InvitationExpired { expire_time: Time },
    #[error("the user who invited could no longer invite to these roles; somebody else must invite again")]
    InviterMayNot,
    #[error("the invitation is for another address than `{0}`")]
    EmailMismatch(EmailAddress),
    #[error("the expiry of the invitation has passed; set a later `expire_time`")]
    InvitationExpiryPast,
    #[error("an invitation is valid for at most {INVITATION_DAYS_MAX} days; set an earlier `expire_time`")]
    InvitationExpiryTooLate,
    #[error("no live role of the viewer grants `{permission}`, which this call needs")]
    ViewerMissingPermission { permission: &'static str },
    #[error("the name or prefix `{reserved}` is reserved; choose another name")]
    ReservedName { reserved: &'static str },
    #[error("{limit}: {asked} would be more than {max}; remove what is not used, or raise the limit of the server")]
    LimitExceeded { limit: &'static str, max: u64, asked: u64 },
    #[error("role `{role}` cannot be enabled and disabled at once")]
    EnabledAndDisabled { role: RoleName },
    #[error("permission `{}` cannot be added to and removed from role `{role}` at once", name_of(.permission))]
    AddedAndRemoved { role: RoleName, permission: Option<PermissionName> },
    #[error(
        "role `{role}` is the project's default role or default owner role and stays enabled in every role mapping"
    )]
    DefaultRoleDisabled { role: RoleName },
    #[error(
        "role `{role}` is disabled in role mapping `{role_mapping}`; enable it there or move the org to another mapping"
    )]
    RoleDisabled { role: RoleName, role_mapping: RoleMappingName },
    #[error("role `{role}` is given twice")]
    RepeatedRole { at: usize, role: RoleName },
    #[error("role `{role}` appears in the order twice")]
    RepeatedInOrder { at: usize, role: RoleName },
    #[error("the expiry of role `{role}` has passed; set a later `expire_time`, or `permanent`")]
    EndInThePast { at: usize, role: RoleName },
    #[error(
        "a member of a SINGLE_ROLE project holds at most one permanent and one temporary role; {permanent} permanent and {temporary} temporary were given"
    )]
    TooManyRoles { permanent: usize, temporary: usize },
    #[error("the workspace {why}")]
    WorkspaceFixed { why: &'static str },
    #[error(
        "the workspace would be left without an operator who holds role `{role}` permanently and is not blocked; make another \
         operator one first"
    )]
    LastOperatorOwner { role: RoleName },
    #[error("this would give permission `{permission}`, which the caller does not have")]
    ExceedsCaller { permission: PermissionName },
    #[error("only an operator with role `{role}` may change which role that is, or the order of roles")]
    OwnersOnly { role: RoleName },
    #[error("the owner role of the workspace keeps permission `{permission}`")]
    OwnersKeep { permission: &'static str },
    #[error("the expiry of the API key has passed; set a later `expire_time`")]
    ApiKeyExpiryPast,
    #[error("the API key would outlast the one with which it is created; set an earlier `expire_time`")]
    ApiKeyOutlasts { expire_time: Time },
    #[error("this org and user appear in an earlier row")]
    RepeatedRow,
    #[error("org `{0}` appears in an earlier row")]
    RepeatedOrg(OrgId),
    #[error("request id `{0}` was used for a different request; choose a new one")]
    RequestIdReused(String),
    #[error("{} refused, the first of them: {}", refused_rows(.total), first(.rows))]
    Rows { rows: Vec<(usize, Refusal)>, total: usize },
    #[error("deciding failed; this is a bug, please report it")]
    Bug,
}

impl Noun {
    pub fn word(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Permission => "permission",
            Self::Role => "role",
            Self::RoleMapping => "role mapping",
            Self::Org => "org",
            Self::OrgDomain => "e-mail domain",
            Self::Member => "member",
            Self::Invitation => "invitation",
            Self::ApiKey => "API key",
        }
    }
}

impl Refusal {
    pub fn reason(&self) -> Reason {
        match self {
            Self::NotFound(noun, _) => match noun {
                Noun::Project => Reason::ProjectNotFound,
                Noun::Permission => Reason::PermissionNotFound,
                Noun::Role => Reason::RoleNotFound,
                Noun::RoleMapping => Reason::RoleMappingNotFound,
                Noun::Org => Reason::OrgNotFound,
                Noun::OrgDomain => Reason::OrgDomainNotFound,
                Noun::Member => Reason::MemberNotFound,
                Noun::Invitation => Reason::InvitationNotFound,
                Noun::ApiKey => Reason::ApiKeyNotFound,
            },
            Self::AlreadyExists(noun, _) | Self::AliasOf { noun, .. } => match noun {
                Noun::Project => Reason::ProjectAlreadyExists,
                Noun::Permission => Reason::PermissionAlreadyExists,
                Noun::Role => Reason::RoleAlreadyExists,
                Noun::RoleMapping => Reason::RoleMappingAlreadyExists,
                Noun::Org => Reason::OrgAlreadyExists,
                Noun::OrgDomain => Reason::RepeatedDomain,
                Noun::Member => Reason::MemberAlreadyExists,
                Noun::Invitation => Reason::InvitationAlreadyExists,
                // Ids of keys are random.
                Noun::ApiKey => Reason::Internal,
            },
            Self::Retired(Noun::Project, _) => Reason::ProjectKeyRetired,
            Self::Retired(..) => Reason::OrgIdRetired,
            Self::UnknownAlias { .. } => Reason::UnknownAlias,
            Self::EtagMismatch { .. } => Reason::EtagMismatch,
            Self::NotConfirmed { .. } => Reason::NotConfirmed,
            Self::ProjectHasOrgs { .. } => Reason::ProjectHasOrgs,
            Self::ProjectPermanent(_) => Reason::ProjectPermanent,
            Self::BuiltIn(_) => Reason::BuiltIn,
            Self::DefaultRoleUnsuitable { .. } => Reason::DefaultRoleUnsuitable,
            Self::RoleInUse { .. } => Reason::RoleInUse,
            Self::IncompleteOrder { .. } => Reason::IncompleteOrder,
            Self::OwnReplacement { .. } | Self::RemappedTwice { .. } | Self::WantedAndDeleted { .. } => {
                Reason::Contradiction
            }
            Self::ReplacementDisabled { .. } => Reason::ReplacementDisabled,
            Self::ReplacementUnsuitable { .. } | Self::FallbackRoleInternal { .. } => Reason::ReplacementUnsuitable,
            Self::DefaultRoleMapping(_) => Reason::DefaultRoleMapping,
            Self::RoleMappingInUse { .. } => Reason::RoleMappingInUse,
            Self::RolesWouldBeDisabled { .. } => Reason::RolesWouldBeDisabled,
            Self::LastOwner { .. } => Reason::LastOwner,
            Self::WrongRoleStructure { .. } => Reason::WrongRoleStructure,
            Self::ImpactChanged { .. } => Reason::ImpactChanged,
            Self::ActingUserBlocked(_) => Reason::ActingUserBlocked,
            Self::ActingUserNotAMember(_) => Reason::ActingUserNotAMember,
            Self::ActingUserMissingPermission { .. } => Reason::ActingUserMissingPermission,
            Self::RoleOutOfScope { .. } => Reason::RoleOutOfScope,
            Self::OutlastsGranter { .. } => Reason::OutlastsGranter,
            Self::AddressNotAvailable(_) => Reason::UserNotAvailable,
            Self::InvitationNotPending { .. } => Reason::InvitationNotPending,
            Self::InvitationExpired { .. } => Reason::InvitationExpired,
            Self::InviterMayNot => Reason::InviterMayNot,
            Self::EmailMismatch(_) => Reason::EmailMismatch,
            Self::InvitationExpiryTooLate => Reason::InvitationExpiryTooLate,
            Self::EmailNotVerified { .. } => Reason::EmailNotVerified,
            Self::DomainNotListed { .. } => Reason::DomainNotListed,
            Self::DomainNotVerified { .. } => Reason::DomainNotVerified,
            Self::NoEnabledRole { .. } => Reason::NoEnabledRole,
            Self::RemovedBefore(_) => Reason::RemovedBefore,
            Self::PublicDomain { .. } => Reason::PublicDomain,
            Self::RepeatedDomain { .. } => Reason::RepeatedDomain,
            Self::RepeatedDomainRole { .. } => Reason::RepeatedRole,
            Self::TooManyDomainRoles { .. } => Reason::TooManyRoles,
            Self::InternalRole { .. } => Reason::RoleInternal,
            Self::UserNotAvailable(_) => Reason::UserNotAvailable,
            Self::ViewerMissingPermission { .. } => Reason::ViewerMissingPermission,
            Self::ReservedName { .. } => Reason::ReservedName,
            Self::LimitExceeded { .. } => Reason::LimitExceeded,
            Self::EnabledAndDisabled { .. } | Self::AddedAndRemoved { .. } => Reason::Contradiction,
            Self::DefaultRoleDisabled { .. } => Reason::DefaultRoleDisabled,
            Self::RoleDisabled { .. } => Reason::RoleDisabled,
            Self::RepeatedRole { .. } | Self::RepeatedInOrder { .. } => Reason::RepeatedRole,
            Self::EndInThePast { .. } | Self::InvitationExpiryPast => Reason::EndInThePast,
            Self::TooManyRoles { .. } => Reason::TooManyRoles,
            Self::WorkspaceFixed { .. } | Self::OwnersKeep { .. } => Reason::WorkspaceFixed,
            Self::LastOperatorOwner { .. } => Reason::LastOwner,
            Self::ExceedsCaller { .. } | Self::OwnersOnly { .. } => Reason::ExceedsCaller,
            Self::ApiKeyExpiryPast => Reason::EndInThePast,
            Self::ApiKeyOutlasts { .. } => Reason::OutlastsGranter,
            Self::RepeatedRow | Self::RepeatedOrg(_) => Reason::RepeatedRow,
            Self::RequestIdReused(_) => Reason::RequestIdReused,
            Self::Rows { rows, .. } => rows.first().map_or(Reason::Internal, |(_, refusal)| refusal.reason()),
            Self::Bug => Reason::Internal,
        }
    }

    /// Returns true if the command, or a row of it, exceeds this limit.
    pub fn exceeds(&self, name: &str) -> bool {
        match self {
            Self::LimitExceeded { limit, .. } => *limit == name,
            Self::Rows { rows, .. } => rows.iter().any(|(_, refusal)| refusal.exceeds(name)),
            _ => false,
        }
    }

    /// Returns the rule of the domain that refuses the command.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NotFound(Noun::Project, _) | Self::AlreadyExists(Noun::Project, _) => "P1",
            Self::NotFound(Noun::Org, _) => "S5",
            Self::NotFound(Noun::Member, _) => "B1",
            Self::NotFound(Noun::Invitation, _) => "V2",
            Self::NotFound(Noun::OrgDomain, _) => "J1",
            Self::NotFound(Noun::ApiKey, _) => "W6",
            Self::NotFound(..) => "R1",
            Self::AliasOf { .. } | Self::UnknownAlias { .. } => "R3",
            Self::Retired(..) => "S5",
            Self::EtagMismatch { .. } => "M9",
            Self::NotConfirmed { .. } | Self::ProjectHasOrgs { .. } | Self::ProjectPermanent(_) => "P6",
            Self::BuiltIn(_) => "P4",
            Self::DefaultRoleUnsuitable { .. } => "R5",
            Self::RoleInUse { .. } => "R10",
            Self::IncompleteOrder { .. } | Self::RepeatedInOrder { .. } => "R6",
            Self::WantedAndDeleted { .. } => "R1",
            Self::OwnReplacement { noun: Noun::Role, .. } => "R4",
            Self::OwnReplacement { .. } => "M6",
            Self::ReplacementDisabled { .. } | Self::ReplacementUnsuitable { .. } => "R4",
            Self::DefaultRoleMapping(_) => "M5",
            Self::RoleMappingInUse { .. } => "M6",
            Self::RolesWouldBeDisabled { .. } | Self::RemappedTwice { .. } | Self::FallbackRoleInternal { .. } => "M7",
            Self::LastOwner { .. } => "B3",
            Self::AlreadyExists(Noun::Org, _) => "S5",
            Self::AlreadyExists(Noun::Member, _) => "B2",
            Self::AlreadyExists(Noun::Invitation, _) => "V1",
            Self::AlreadyExists(..) => "R1",
            Self::WrongRoleStructure { rule, .. } => rule,
            Self::ImpactChanged { .. } => "R9",
            Self::ActingUserBlocked(_) | Self::ActingUserNotAMember(_) | Self::ActingUserMissingPermission { .. } => {
                "G1"
            }
            Self::RoleOutOfScope { .. } => "G2",
            Self::OutlastsGranter { .. } => "G6",
            Self::AddressNotAvailable(_) => "I4",
            Self::InvitationNotPending { .. } | Self::EmailMismatch(_) => "V2",
            Self::EmailNotVerified { rule } => rule,
            Self::InvitationExpired { .. } | Self::InviterMayNot => "V3",
            Self::InvitationExpiryPast | Self::InvitationExpiryTooLate => "V1",
            Self::DomainNotListed { .. } | Self::NoEnabledRole { .. } => "J2",
            Self::RemovedBefore(_) => "J3",
            Self::DomainNotVerified { .. }
            | Self::PublicDomain { .. }
            | Self::RepeatedDomain { .. }
            | Self::InternalRole { .. } => "J1",
            Self::UserNotAvailable(_) => "I4",
            Self::WorkspaceFixed { .. } => "W8",
            Self::LastOperatorOwner { .. }
            | Self::OwnersKeep { .. }
            | Self::OwnersOnly { .. }
            | Self::ExceedsCaller { .. }
            | Self::ApiKeyOutlasts { .. } => "W7",
            Self::ApiKeyExpiryPast => "W6",
            Self::ViewerMissingPermission { .. } => "I2",
            Self::ReservedName { reserved: WORKSPACE | BOOTSTRAP | "system" | "local" } => "W1",
            Self::ReservedName { .. } => "P4",
            Self::LimitExceeded { .. } => "P7",
            Self::EnabledAndDisabled { .. } | Self::AddedAndRemoved { .. } => "M2",
            Self::DefaultRoleDisabled { .. } => "M4",
            Self::RoleDisabled { .. } => "M3",
            Self::RepeatedRole { .. }
            | Self::TooManyRoles { .. }
            | Self::RepeatedDomainRole { .. }
            | Self::TooManyDomainRoles { .. } => "B1",
            Self::EndInThePast { .. } => "B5",
            Self::RepeatedRow => "B2",
            Self::RepeatedOrg(_) => "S2",
            Self::RequestIdReused(_) => "A4",
            Self::Rows { rows, .. } => rows.first().map_or("", |(_, refusal)| refusal.rule()),
            Self::Bug => "",
        }
    }
}

/// Collects the refused rows of a bulk write.
#[derive(Debug, Default)]
pub struct Rows {
    rows: Vec<(usize, Refusal)>,
    total: usize,
}

impl Rows {
    pub fn push(&mut self, row: usize, refusal: Refusal) {
        self.total += 1;
        if self.rows.len() < crate::limits::VIOLATIONS_MAX {
            self.rows.push((row, refusal));
        }
    }

    /// Returns one refusal for all refused rows, if there are any.
    pub fn refuse_if_any(self) -> Result<(), Refusal> {
        if self.total == 0 { Ok(()) } else { Err(Refusal::Rows { rows: self.rows, total: self.total }) }
    }
}

fn name_of(permission: &Option<PermissionName>) -> &str {
    permission.as_ref().map_or("", PermissionName::as_str)
}

fn structure(structure: &RoleStructure) -> &'static str {
    match structure {
        RoleStructure::SingleRole => "SINGLE_ROLE",
        RoleStructure::MultiRole => "MULTI_ROLE",
    }
}

fn wanted(deleting: &bool) -> &'static str {
    if *deleting { "deleted" } else { "a default role" }
}

fn count(number: &u64, noun: &str) -> String {
    if *number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// For example: 3 members, 1 pending invitation.
fn holders(members: &u64, invitations: &u64, domains: &u64) -> String {
    let all = [(members, "member"), (invitations, "pending invitation"), (domains, "e-mail domain")];
    let counted = all.into_iter().filter(|(number, _)| **number > 0).map(|(number, noun)| count(number, noun));
    counted.collect::<Vec<_>>().join(", ")
}

/// Returns what identifies a noun, and the field that allows to reuse it.
fn retired(noun: &Noun) -> (&'static str, &'static str) {
    match noun {
        Noun::Project => ("key", "reuse_deleted_key"),
        _ => ("id", "reuse_deleted_id"),
    }
}

/// For example: `Free` (3 members).
fn counted(in_mappings: &[(RoleMappingName, u64)], noun: &str) -> String {
    listed(in_mappings.iter().map(|(name, number)| format!("`{name}` ({})", count(number, noun))))
}

/// For example: `Admin` (3).
fn roles(held: &[(RoleName, u64)]) -> String {
    listed(held.iter().map(|(name, count)| format!("`{name}` ({count})")))
}

/// Lists only the first few, since the text must fit into a header.
fn listed(each: impl ExactSizeIterator<Item = String>) -> String {
    let more = each.len().saturating_sub(REFUSAL_NAMES_MAX);
    let first = each.take(REFUSAL_NAMES_MAX).collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

fn refused_rows(total: &usize) -> String {
    if *total == 1 { "1 row is".into() } else { format!("{total} rows are") }
}

fn first(rows: &[(usize, Refusal)]) -> String {
    rows.first().map_or_else(String::new, |(row, refusal)| format!("row {row}: {refusal}"))
}

fn state_word(state: &InvitationState) -> &'static str {
    match state {
        InvitationState::Pending => "pending",
        InvitationState::Accepted => "accepted",
        InvitationState::Revoked => "revoked",
        InvitationState::Expired => "expired",
    }
}
