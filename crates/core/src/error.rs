//! The errors of the crate.
//!
//! [`FormatError`] is what a parser of plain bytes knows: an absolute offset and what is wrong there. It is `Copy`, has
//! no path and allocates nothing, so a scan over millions of records may make and drop them freely. [`StoreError`] is
//! what the [`store`](crate::store) layer returns: it adds the path. Neither ever repeats the text of its source.

use std::io;
use std::path::{Path, PathBuf};

use crate::bytes::Truncated;

/// Bytes that are not what the format demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at offset {offset}")]
pub struct FormatError {
    /// Absolute offset of the entry that is wrong, in bytes (physical offset in a commit log, else position in file).
    pub offset: u64,
    /// What is wrong.
    pub kind: FormatErrorKind,
}

impl FormatError {
    pub(crate) fn new(offset: u64, kind: FormatErrorKind) -> Self {
        Self { offset, kind }
    }
}

/// What is wrong with the bytes at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatErrorKind {
    /// The bytes end inside a field.
    #[error("{field} needs {needed} bytes, {available} are left")]
    Truncated {
        /// Name of the field.
        field: &'static str,
        /// Its length in bytes.
        needed: u64,
        /// Bytes left.
        available: u64,
    },
    /// The four bytes of the magic code are none that the format knows. 0 is the usual end of a log.
    #[error("illegal magic code {found:#010x}")]
    UnknownMagic {
        /// The code found.
        found: u32,
    },
    /// A record's total size differs from the sum of its fields.
    #[error("total size {declared} but fields add up to {computed}")]
    LengthMismatch {
        /// Total size as stored.
        declared: i64,
        /// Sum of the fields.
        computed: i64,
    },
    /// A length that can only be positive is negative or too small.
    #[error("{field} is {found}")]
    BadLength {
        /// Name of the field.
        field: &'static str,
        /// The value found.
        found: i64,
    },
    /// The stored CRC-32 is not that of the bytes.
    #[error("{field} is {stored:#010x} but the bytes give {computed:#010x}")]
    Crc {
        /// Which checksum.
        field: &'static str,
        /// As stored.
        stored: u32,
        /// As computed.
        computed: u32,
    },
    /// A field holds a value that the format excludes.
    #[error("{field} is {found}, expected {expected}")]
    BadValue {
        /// Name of the field.
        field: &'static str,
        /// The value found.
        found: i64,
        /// What would be right, in words.
        expected: &'static str,
    },
    /// A chain of index entries comes back to where it was.
    #[error("index chain does not go down: entry {entry} names {previous} as its previous one")]
    ChainLoop {
        /// The entry.
        entry: u32,
        /// The previous entry it names.
        previous: i32,
    },
}

impl From<Truncated> for FormatError {
    fn from(t: Truncated) -> Self {
        let (needed, available) = (t.needed as u64, t.available as u64);
        Self::new(t.offset, FormatErrorKind::Truncated { field: t.field, needed, available })
    }
}

/// A store, or one file of it, could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb: `open`, `read`, `map`, `list`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bytes of a file are not what its format demands.
    #[error("{} is damaged", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where and how.
        source: FormatError,
    },
    /// The folder is not a store, or names and lengths in it contradict each other.
    #[error("{}: {problem}", path.display())]
    Layout {
        /// The file or folder.
        path: PathBuf,
        /// Expected and found, in words.
        problem: String,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }

    pub(crate) fn layout(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self::Layout { path: path.into(), problem: problem.into() }
    }

    /// The file or folder that the error is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. } | Self::Format { path, .. } | Self::Layout { path, .. } => path,
        }
    }
}
