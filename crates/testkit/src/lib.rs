//! Test support for the mqstore crates: stores with known truth, stores built to measure, and ways to break both.
//!
//! - [`golden()`] unpacks a store that a real broker wrote; [`truth()`] and [`truth_lines()`] give what that broker and
//!   its own classes said about it. [`GOLDEN`] and [`STORES`] list them all.
//! - [`fingerprint()`] proves that a folder was left untouched.
//!
//! Nothing here uses an mqstore crate: the truth that their tests compare with comes from outside.
//! Every function panics when it cannot do its work, because that is a failed test.

#![expect(clippy::missing_panics_doc, reason = "test support: whatever goes wrong here is a failed test")]

mod fingerprint;
mod golden;

pub use fingerprint::{Entry, EntryKind, fingerprint, sha256_of_file};
pub use golden::{GOLDEN, Golden, STORES, golden, testdata, truth, truth_lines};
