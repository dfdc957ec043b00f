//! Internal ids: small numbers that are never reused.

use std::num::NonZeroU32;

use crate::domain::collections::numbered::Numbered;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub NonZeroU32);

        impl $name {
            /// `None` for 0, which is no id.
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
    RoleSetId
    RoleMappingId
    /// An org's number. The text id of a deleted org can be reused, the number never is.
    OrgNo
}
