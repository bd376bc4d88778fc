//! The archive as bytes: a GNU tar stream, cut into zstd frames, with a footer and a table of the frames.
//!
//! ```text
//! | frame: members | … | frame: manifest.json | frame: SHA256SUMS + end of tar | footer (56 bytes) | table |
//! ```
//!
//! A frame, with checksum and content size, holds whole members, up to 8 MiB of the tar stream, or a piece of one that is
//! longer; `zstd -d` reads the concatenation. A file with holes is an old-GNU sparse member (type `S`): GNU tar and every tar
//! of the last thirty years restores it; PAX sparse would need a newer reader. Footer and table are *skippable* frames,
//! which zstd ignores: the footer says where the manifest's frame starts and holds a SHA-256 over everything before it; the
//! table is that of zstd's seekable format, so that one member can be read alone. The first archives had a frame for each
//! member and no table; they are read like the others.

pub(crate) mod footer;
pub(crate) mod frames;
pub(crate) mod header;
pub(crate) mod pack;
pub(crate) mod random;
pub(crate) mod reader;
pub(crate) mod table;
pub(crate) mod writer;
