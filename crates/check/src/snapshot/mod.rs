//! A snapshot: all positions and digests of a store, small enough to carry to another machine.
//!
//! Master and slave live on different hosts. [`take`] writes down what is needed to compare them: where log and queues
//! begin and end, every committed offset, the configuration, and digests of the log. [`diff`](mod@crate::diff) compares
//! snapshots with each other and with stores.
//!
//! # On a live store
//!
//! The order is config, queues, log: what is read later can only be newer than what refers to it, so a committed offset
//! is never beyond its queue, nor a queue beyond its log, only because the broker went on meanwhile. The end of the log is taken
//! once, and everything about the log is told of the bytes before it.
//!
//! # Digests of the log
//!
//! Two brokers hold the same records at the same physical offsets, but not the same bytes: what a blank holds behind its
//! eight-byte header and what lies behind the log's end may differ. So a digest covers a file from its first byte to the
//! header of its blank, or to the log's end, and nothing else.
//!
//! ```text
//! file      |<---------- chunk ---------->|<---------- chunk ---------->|<-- chunk -->|blank| old bytes |
//! grains    | 64 KiB | 64 KiB |    ...    | 64 KiB | 64 KiB |    ...    | 64 KiB | 8 b |
//! ```
//!
//! Chunks and grains begin at fixed distances from the start of their file, so both sides cut at the same offsets also
//! when they end at different ones. The digest of a grain is XXH3-128 of its bytes, that of a chunk XXH3-128 of its
//! grains' digests, that of a file of its chunks' digests. A snapshot keeps the chunks, and of the last 64 MiB the
//! grains, so two snapshots of a pair that is not far apart can be compared to within 64 KiB of the shorter one's end.
//! There the last records help, which are hashed one by one.
//!
//! XXH3-128, because the digest guards against accidents: at 128 bits two different chunks agree by chance once in 10^38, no
//! library in C is needed, and it takes a third of the time of BLAKE3 (4.3 to 1.3 GB/s on one core of a small machine)
//! and a fifth of that of SHA-256. Somebody who can forge records with equal digests can as well forge the snapshot.

use mqstore_core::PhysicalOffset;
use mqstore_core::format::commitlog::Entry;
use mqstore_core::progress::Progress;
use mqstore_core::release::marks::{LogMarks, ReleaseBounds};
use mqstore_core::store::config::ConfigDir;
use mqstore_core::store::{EntryKind, LockState, Store};

mod config;
mod digest;
mod document;
mod error;
mod io;
mod log;
mod queues;
mod special;

pub use config::{FILTERS, FORBIDDEN, GROUPS, MODES, TOPICS};
pub use digest::{Digest, GRAIN, PIECE};
pub use document::{
    CheckpointMarks, Chunk, ConfigTables, DataVersions, DledgerPosition, FileDigest, Identity, LmqOffsets, LogFeatures,
    LogSnapshot, OffsetTable, QueuePosition, QueueTable, RecentRecord, RecordRange, ReleaseRange, Snapshot, Stale,
    StoreState, TakenOf, TimerProgress, Unread, Version,
};
pub(crate) use document::{find_queue, full_text};
pub use error::SnapshotError;
pub use io::{SCHEMA, SCHEMA_VERSION};
pub(crate) use log::{GOES_ON, digest_of, record_range};

/// Which files of the log get digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestScope {
    /// All of them: the whole log is read.
    All,
    /// The newest ones that hold records.
    Last(usize),
    /// None.
    None,
}

/// What [`take`] is to do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SnapshotOptions {
    /// Which files of the log get digests; the last two by default.
    pub digest: DigestScope,
    /// Bytes of a chunk, a multiple of [`GRAIN`] (rounded up); 16 MiB by default.
    pub chunk: u64,
    /// Records at the end of the log whose places and times are kept one by one; 1000 by default.
    pub recent: usize,
    /// Physical offsets between which every record gets digests of its own, or every byte if they are no more than [`PIECE`]
    /// apart; none by default.
    pub range: Option<(u64, u64)>,
    /// What the broker's configuration says it is. Names that are missing are taken from its own topics.
    pub identity: Identity,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        Self { digest: DigestScope::Last(2), chunk: 16 << 20, recent: 1000, range: None, identity: Identity::default() }
    }
}

impl SnapshotOptions {
    /// Positions and configuration only, no digests: what a comparison of two stores needs.
    pub fn positions() -> Self {
        Self { digest: DigestScope::None, ..Self::default() }
    }
}

/// Takes a snapshot of `store`; `progress` gets the bytes of log read for digests.
///
/// # Errors
/// A log that cannot be listed or mapped, and a run that was cancelled. Whatever else cannot be read is named in
/// [`Snapshot::unread`](Snapshot#structfield.unread).
pub fn take(store: &Store, options: &SnapshotOptions, progress: &dyn Progress) -> Result<Snapshot, SnapshotError> {
    let mut snapshot = Snapshot { identity: options.identity.clone(), ..Snapshot::default() };
    state(store, &mut snapshot);
    config::read(store, &mut snapshot);
    // The log's minimum decides the queues', and only rises.
    queues::read(store, &mut snapshot);
    special::read(store, &mut snapshot)?;
    // Listed again, because the queues may reach into a file that is younger than the first listing.
    let store = Store::open(store.root(), store.options().clone())?;
    snapshot.log = log::read(store.commitlog(), options, progress, &mut snapshot.unread)?;
    Ok(snapshot)
}

impl Snapshot {
    /// Whether a broker has appended to the log of `store`, or removed a file of it, since the snapshot was taken.
    ///
    /// # Errors
    /// A log that cannot be listed or mapped.
    pub fn has_moved(&self, store: &Store) -> Result<bool, SnapshotError> {
        let fresh = Store::open(store.root(), store.options().clone())?;
        let log = &self.log;
        if fresh.commitlog().min_offset().get() != log.min_offset {
            return Ok(true);
        }
        let Some(file) = fresh.commitlog().queue().find(log.max_offset) else { return Ok(false) };
        let map = file.map()?;
        let at = usize::try_from(log.max_offset - file.file_from_offset).unwrap_or(usize::MAX);
        let entry = Entry::parse(map.get(at..).unwrap_or_default(), PhysicalOffset(log.max_offset));
        Ok(match entry {
            Ok(Entry::Message(record)) => record.check_body_crc().is_ok(),
            Ok(Entry::Blank(_)) => true,
            Err(_) => false,
        })
    }
}

/// The config folder of a store, with the one in the home folder where that is known.
pub(crate) fn config_dir(store: &Store) -> ConfigDir {
    ConfigDir::new(store.root()).with_home(store.options().home.as_ref().map(|home| home.join("store/config")))
}

fn state(store: &Store, snapshot: &mut Snapshot) {
    match store.abort() {
        Ok(abort) => {
            snapshot.state.abort = abort.is_some();
            snapshot.state.abort_pid = abort.and_then(|abort| abort.pid);
        }
        Err(error) => snapshot.cannot_read("abort", &error),
    }
    match store.lock() {
        Ok(lock) => {
            lock.as_str().clone_into(&mut snapshot.state.lock);
            if let LockState::Held { pid } = lock {
                snapshot.state.lock_pid = pid;
            }
        }
        Err(error) => snapshot.cannot_read("lock", &error),
    }
    match store.checkpoint() {
        Ok(checkpoint) => snapshot.state.checkpoint = checkpoint.map(Into::into),
        Err(error) => snapshot.cannot_read("checkpoint", &error),
    }
    snapshot.state.controller_mode = store.has(EntryKind::EpochFile);
    match ReleaseBounds::read(store.root(), store.options().home.as_deref(), &LogMarks::default()) {
        Ok(bounds) => snapshot.release = bounds.into(),
        Err(error) => snapshot.cannot_read("config", &error),
    }
}
