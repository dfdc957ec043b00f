//! The rows of the tables that `migrations/` creates. Ids and times are signed 64-bit numbers.

/// What sea-orm asks of every entity beside its row. There are no foreign keys, so no entity has relations.
macro_rules! without_relations {
    () => {
        #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}
    };
}
use without_relations;

pub mod alias;
pub mod api_key;
pub mod blocked_user;
pub mod change;
pub mod commit;
pub mod denial;
pub mod disabled_role;
pub mod fallback;
pub mod grant;
pub mod head;
pub mod invitation;
pub mod managed_role;
pub mod membership;
pub mod org;
pub mod org_activity;
pub mod org_domain;
pub mod permission;
pub mod project;
pub mod removed_member;
pub mod request;
pub mod role;
pub mod role_mapping;
pub mod role_origin;
pub mod role_set;
pub mod role_set_role;
pub mod temporary_role;
