//! The reasons of refusals, which are part of the API.

macro_rules! reasons {
    ($($name:ident = $number:literal,)*) => {
        /// The reason of a refusal. The numbers and names are those of `rolecall.v1.ErrorReason`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(i32)]
        pub enum Reason {
            $($name = $number,)*
        }

        impl Reason {
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

reasons! {
    ProjectNotFound = 1,
    PermissionNotFound = 2,
    RoleNotFound = 3,
    RoleMappingNotFound = 4,
    OrgNotFound = 5,
    MemberNotFound = 6,
    ProjectAlreadyExists = 7,
    PermissionAlreadyExists = 8,
    RoleAlreadyExists = 9,
    RoleMappingAlreadyExists = 10,
    OrgAlreadyExists = 11,
    MemberAlreadyExists = 12,
    OrgIdRetired = 13,
    ProjectKeyRetired = 14,
    UnknownAlias = 22,
    EtagMismatch = 44,
    NotConfirmed = 24,
    ProjectHasOrgs = 42,
    ProjectPermanent = 43,
    BuiltIn = 41,
    DefaultRoleUnsuitable = 31,
    RoleInUse = 33,
    IncompleteOrder = 23,
    ReplacementDisabled = 34,
    ReplacementUnsuitable = 35,
    DefaultRoleMapping = 37,
    RoleMappingInUse = 38,
    RolesWouldBeDisabled = 36,
    LastOwner = 39,
    WrongRoleStructure = 32,
    ImpactChanged = 45,
    ActingUserBlocked = 63,
    EmailNotVerified = 80,
    DomainNotListed = 81,
    DomainNotVerified = 82,
    NoEnabledRole = 83,
    RemovedBefore = 84,
    PublicDomain = 85,
    RoleInternal = 86,
    OrgDomainNotFound = 87,
    RepeatedDomain = 88,
    ActingUserNotAMember = 46,
    ActingUserMissingPermission = 47,
    RoleOutOfScope = 48,
    OutlastsGranter = 49,
    UserNotAvailable = 40,
    ViewerMissingPermission = 51,
    ReservedName = 16,
    LimitExceeded = 53,
    Contradiction = 17,
    DefaultRoleDisabled = 30,
    RoleDisabled = 29,
    RepeatedRole = 18,
    EndInThePast = 20,
    TooManyRoles = 21,
    RepeatedRow = 19,
    RequestIdReused = 27,
    Internal = 62,
    InvitationNotFound = 70,
    InvitationAlreadyExists = 71,
    InvitationNotPending = 72,
    InvitationExpired = 73,
    InviterMayNot = 74,
    EmailMismatch = 75,
    InvitationExpiryTooLate = 77,
    ApiKeyNotFound = 90,
    WorkspaceFixed = 92,
    ExceedsCaller = 93,
}
