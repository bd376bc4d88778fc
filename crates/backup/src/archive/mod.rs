//! The archive as bytes: a GNU tar stream, cut into zstd frames, with a footer.
//!
//! ```text
//! | frame: member | frame: member | … | frame: manifest.json | frame: SHA256SUMS + end of tar | footer (56 bytes) |
//! ```
//!
//! Each member has a zstd frame of its own, with checksum and content size, so one file can be restored alone and
//! `zstd -d` reads the concatenation. A file with holes is an old-GNU sparse member (type `S`): GNU tar and every tar
//! of the last thirty years restores it; PAX sparse would need a newer reader. The footer is a *skippable* frame,
//! which zstd ignores: it says where the manifest's frame starts and holds a SHA-256 over everything before it.

pub(crate) mod footer;
pub(crate) mod frames;
pub(crate) mod header;
pub(crate) mod reader;
pub(crate) mod writer;
