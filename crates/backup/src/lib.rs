//! Backups of a RocketMQ store that prove themselves, and their restoration. The only crate that writes.
//!
//! A backup is one `.tar.zst` file: everything below the store root except the commit log, which stays where it is and
//! is listed by name and length; then `manifest.json`, which says what is in the archive and where the store stood;
//! then `SHA256SUMS`. GNU tar restores it without this crate, `sha256sum -c` and `zstd -t` test it.
//!
//! - [`plan()`] looks at the store and says what would be archived; a dry run shows the [`BackupPlan`].
//! - [`create_file`] and [`create`] carry a plan out.
//! - [`verify()`] reads an archive and compares every byte with the manifest and `SHA256SUMS`.
//! - [`restore`] does the same while it writes into a new folder, which appears only if everything was right.
//! - [`in_place::prepare`] plans how to put it back beside a commit log that went on, for the release that will start, and
//!   carries that out under a journal; [`in_place::undo`] takes it back.
//! - [`list`] and [`show`] read manifests, [`extract`] one file.
//!
//! An archive may be incremental: with a [`Base`] in its [`CreateOptions`] it stores only what differs by checksum from an
//! earlier one, which is itself whole or incremental, and its manifest names the archives that hold the rest. Everything
//! that reads archives finds those beside it, or in further folders.

#![forbid(unsafe_code)]

mod archive;
mod catalog;
mod chain;
mod create;
mod digest;
mod error;
mod extract;
pub mod facts;
mod holes;
pub mod in_place;
pub mod log_identity;
pub mod manifest;
mod member;
mod partial;
mod plan;
mod prune;
mod restore;
mod scan;
mod staged;
mod sums;
mod throttle;
mod unpack;
mod verify;

pub use catalog::{Listed, list, show};
pub use chain::{Base, Link, MissingArchive, find_links};
pub use create::{CreateOptions, Created, create, create_file};
pub use error::BackupError;
pub use extract::extract;
pub use facts::StoreFacts;
pub use manifest::Manifest;
pub use member::Section;
pub use plan::{BackupPlan, PlanItem, PlanOptions, plan};
pub use prune::{PruneOptions, Pruned, prune};
pub use restore::{RestoreOptions, Restored, restore};
pub use verify::{FINDINGS, Verified, verify, verify_chain, verify_file};
