//! What the manifest says about the store beyond its files.

use std::path::Path;

use mqstore_core::format::system_topic::{REVIVE_TOPIC_PREFIX, SCHEDULE_TOPIC, TRANS_HALF_TOPIC};
use mqstore_core::release::marks::{LogMarks, ReleaseBounds};
use mqstore_core::store::{ConsumeQueue, EntryKind, QueueRange, Store};
use mqstore_core::{PhysicalOffset, StoreError};

use crate::log_identity;
use crate::manifest::{
    self, Broker, CheckpointPositions, CommitLogPositions, Gap, GapKind, Layout, OffsetRange, Positions, QueuePosition,
};
use crate::member::Section;

/// Fewest queues that are worth a thread.
const MIN_SHARE: usize = 256;

/// Whose store it is and where it stood, for the manifest; everything is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreFacts {
    /// Cluster, name, id and release.
    pub broker: Broker,
    /// Sizes and paths.
    pub layout: Layout,
    /// Optional features in use.
    pub features: Vec<String>,
    /// Commit log, queues, checkpoint and abort file.
    pub positions: Positions,
    /// What could not be found out because a file could not be read; becomes gaps of the backup.
    pub gaps: Vec<Gap>,
}

/// Reads from the store what can be known without a broker's configuration: everything but cluster, name and id.
///
/// The release is that of the marks in the files; the commit log is not searched for further ones.
///
/// A file that cannot be read ends nothing: its positions are missing and [`StoreFacts::gaps`] says so.
pub fn gather(store: &Store) -> StoreFacts {
    let mut facts = StoreFacts::default();
    let positions = gather_queues(store, &mut facts);
    facts.positions.commitlog = gather_commitlog(store, positions, &mut facts);
    facts.positions.checkpoint =
        known(store.checkpoint(), store, &mut facts).flatten().map(|marks| CheckpointPositions {
            physic_msg_timestamp: marks.physic_msg_timestamp,
            logics_msg_timestamp: marks.logics_msg_timestamp,
            index_msg_timestamp: marks.index_msg_timestamp,
        });
    facts.positions.abort = known(store.abort(), store, &mut facts).flatten().is_some();
    gather_features(store, &mut facts);
    gather_release(store, &mut facts);
    gather_layout(store, &mut facts.layout);
    facts
}

/// The value, or `None` and a gap.
fn known<T>(result: Result<T, StoreError>, store: &Store, facts: &mut StoreFacts) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    let path = match error.path().strip_prefix(store.root()) {
        Ok(below) => Path::new(Section::Store.prefix()).join(below),
        Err(_) => error.path().to_path_buf(),
    };
    let reason = format!("what it says about the positions of the store is not known: {error}{source}");
    facts.gaps.push(Gap { path: path.to_string_lossy().into_owned(), kind: GapKind::Unreadable, reason });
    None
}

/// The queues, and which part of the log all of them need.
fn gather_queues(store: &Store, facts: &mut StoreFacts) -> Option<OffsetRange> {
    let mut required: Option<OffsetRange> = None;
    let log_min = store.commitlog().min_offset();
    let queues = known(store.consumequeues(), store, facts).unwrap_or_default();
    for (queue, range) in queues.iter().zip(ranges(&queues, log_min)) {
        let Some(range) = known(range, store, facts) else { continue };
        let (from, to) = (range.min_physical_offset, range.max_physical_offset);
        if let (Some(from), Some(to)) = (from, to) {
            let mine = OffsetRange { from: from.get(), to: to.get() };
            required = Some(
                required.map_or(mine, |all| OffsetRange { from: all.from.min(mine.from), to: all.to.max(mine.to) }),
            );
        }
        facts.positions.queues.push(QueuePosition {
            topic: queue.topic().to_owned(),
            queue_id: queue.queue_id(),
            kind: "file".to_owned(),
            min_offset: range.min_offset.get(),
            max_offset: range.max_offset.get(),
            min_physical_offset: from.map(PhysicalOffset::get),
            max_physical_offset: to.map(PhysicalOffset::get),
        });
    }
    required
}

/// The ranges of the queues, in order. Looking at ten thousand files costs more than anything else here, so the processors
/// share it.
fn ranges(queues: &[ConsumeQueue], log_min: PhysicalOffset) -> Vec<Result<QueueRange, StoreError>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = queues.len().div_ceil(threads).max(MIN_SHARE);
    let of = |queues: &[ConsumeQueue]| queues.iter().map(|queue| queue.range(log_min)).collect::<Vec<_>>();
    let Some((first, rest)) = queues.split_at_checked(share) else { return of(queues) };
    std::thread::scope(|scope| {
        let others: Vec<_> = rest.chunks(share).map(|queues| (queues, scope.spawn(move || of(queues)))).collect();
        let mut all = of(first);
        for (queues, thread) in others {
            // A thread ends early only by a panic, which then comes again here.
            all.extend(thread.join().unwrap_or_else(|_| of(queues)));
        }
        all
    })
}

fn gather_commitlog(
    store: &Store,
    required: Option<OffsetRange>,
    facts: &mut StoreFacts,
) -> Option<CommitLogPositions> {
    let log = store.commitlog();
    if log.is_empty() {
        return None;
    }
    let end = known(log.end(), store, facts)?;
    let (last_record, tail) = known(log_identity::tail(log, end.offset), store, facts).unwrap_or_default();
    let (min_offset, max_offset) = (log.min_offset().get(), end.offset.get());
    Some(CommitLogPositions { min_offset, max_offset, required, last_record, tail })
}

fn gather_features(store: &Store, facts: &mut StoreFacts) {
    let has_topic = |name: &str| facts.positions.queues.iter().any(|queue| queue.topic.starts_with(name));
    let mut features = Vec::new();
    for (topic, feature) in
        [(SCHEDULE_TOPIC, "delay"), (TRANS_HALF_TOPIC, "half_messages"), (REVIVE_TOPIC_PREFIX, "pop")]
    {
        if has_topic(topic) {
            features.push(feature.to_owned());
        }
    }
    if store.has(EntryKind::ConsumeQueueExt) {
        features.push("consumequeue_ext".to_owned());
    }
    for part in known(store.special_parts(), store, facts).unwrap_or_default() {
        features.push(part.kind.as_str().replace('-', "_"));
    }
    features.sort_unstable();
    features.dedup();
    facts.features = features;
}

fn gather_release(store: &Store, facts: &mut StoreFacts) {
    let bounds = ReleaseBounds::read(store.root(), store.options().home.as_deref(), &LogMarks::default());
    if let Some(bounds) = known(bounds, store, facts) {
        let (oldest, newest) = (bounds.oldest, bounds.newest);
        let text = |release: Option<mqstore_core::release::Release>| release.map(|release| release.to_string());
        facts.broker.release = Some(manifest::ReleaseBounds { oldest: text(oldest), newest: text(newest) });
    }
}

fn gather_layout(store: &Store, layout: &mut Layout) {
    let log = store.commitlog();
    if log.file_size() > 0 {
        layout.sizes.insert("mappedFileSizeCommitLog".to_owned(), log.file_size());
    }
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let text = |path: &Path| absolute(path).to_string_lossy().into_owned();
    layout.paths.insert("storePathRootDir".to_owned(), text(store.root()));
    let dirs: Vec<String> = log.dirs().iter().map(|dir| text(dir)).collect();
    layout.paths.insert("storePathCommitLog".to_owned(), dirs.join(","));
}
