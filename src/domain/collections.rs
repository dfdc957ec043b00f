//! Data structures that are values: a clone is cheap, and an edit copies only what it touches. They know no ids and no
//! rules.

pub mod hash;
pub mod id_set;
pub mod numbered;
pub mod pages;
pub mod prefetch;
pub mod table;
pub mod trie;
