//! Internal numbers of things: small, given once, never given again.

use std::num::NonZeroU32;

use crate::domain::collections::numbered::Numbered;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub NonZeroU32);

        impl $name {
            /// The id with this number; none for 0, which no thing has.
            pub fn new(number: u32) -> Option<Self> {
                NonZeroU32::new(number).map(Self)
            }

            pub fn number(self) -> u32 {
                self.0.get()
            }
        }

        impl Numbered for $name {
            fn from_number(number: NonZeroU32) -> Self {
                Self(number)
            }

            fn index(self) -> usize {
                self.0.get() as usize
            }
        }
    )*};
}

ids! {
    ProjectId
    PermissionId
    RoleId
    /// A set of roles that at least one member holds, or held.
    RoleSetId
    RoleMappingId
    /// An org's number. Its text id can be given anew after a deletion, the number never is.
    OrgNo
}
