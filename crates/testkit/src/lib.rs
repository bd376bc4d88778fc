//! Test support for the mqstore crates: stores with known truth, stores built to measure, and ways to break both.
//!
//! - [`golden()`] unpacks a store that a real broker wrote; [`truth()`] and [`truth_lines()`] give what that broker and
//!   its own classes said about it. [`GOLDEN`] and [`STORES`] list them all.
//! - [`StoreBuilder`] writes a healthy store of any size with code of its own.
//! - [`damage`] has the ways to break a store, [`mutate()`] breaks bytes at random.
//! - [`faults`] has the faults that real brokers were started on, by name.
//! - [`pairs`] makes two stores that part at a known place.
//! - [`rocksdb`] puts rows into a RocksDB database.
//! - [`fingerprint()`] proves that a folder was left untouched.
//!
//! Nothing here uses an mqstore crate: the truth that their tests compare with comes from outside.
//! Every function panics when it cannot do its work, because that is a failed test.

#![expect(clippy::missing_panics_doc, reason = "test support: whatever goes wrong here is a failed test")]

mod builder;
pub mod damage;
pub mod faults;
mod fingerprint;
mod golden;
mod mutate;
pub mod pairs;
pub mod rocksdb;

pub use builder::{Built, Message, Placed, Release, StoreBuilder, StoreWriter, noise};
pub use fingerprint::{Entry, EntryKind, fingerprint, sha256_of_file};
pub use golden::{GOLDEN, Golden, STORES, golden, testdata, truth, truth_lines};
pub use mutate::mutate;
