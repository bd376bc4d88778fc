//! Why there is no snapshot.

use std::io;

use mqstore_core::StoreError;

/// A snapshot could not be taken, written or read, or a comparison could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was told to stop.
    #[error("cancelled")]
    Cancelled,
    /// The document could not be read or written.
    #[error("cannot {action} the snapshot")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The text is no snapshot.
    #[error("not a snapshot: {problem}")]
    NotASnapshot {
        /// Expected and found, in words.
        problem: String,
    },
}
