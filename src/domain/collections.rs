//! TODO doc

pub mod hash;
pub mod id_set;
pub mod numbered;
pub mod pages;
pub mod table;
pub mod trie;
