//! Questions about a State: checks, role states, delegation, usage. They change nothing.

pub mod access;
pub mod activity;
pub mod affected;
pub mod api_key;
pub mod check;
pub mod check_batch;
pub mod decision_row;
pub mod delegation;
pub mod event;
pub mod expired;
pub mod insights;
pub mod invitation;
pub mod mapping_rows;
pub mod member_list;
pub mod membership;
pub mod org_domain;
pub mod owners;
pub mod past;
pub mod replacement;
pub mod role;
pub mod role_state;
pub mod suggestions;
pub mod usage;
pub mod viewer;
pub mod visibility;
pub mod workspace;
