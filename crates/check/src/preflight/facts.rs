//! What is read from the store once, for several lines.

use std::cell::Cell;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use mqstore_core::progress::Progress;
use mqstore_core::release::features::{Feature, Trace, Waiting};
use mqstore_core::release::marks::{LogMarks, ReleaseBounds, Sighting};
use mqstore_core::store::config::ConfigDir;
use mqstore_core::store::{Pending, PendingGap, PendingOptions, Store, pending};
use mqstore_core::{PhysicalOffset, StoreError};

use super::{PreflightError, PreflightOptions};

/// What was found; a part that could not be read is its error in words.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) log: Result<LogFacts, String>,
    pub(super) bounds: Result<ReleaseBounds, String>,
    pub(super) pending: Result<Pending, String>,
    pub(super) abort: bool,
    /// Bytes on disk of everything but the log.
    pub(super) without_log: u64,
    /// Topics with attributes.
    pub(super) topics_with_attributes: usize,
}

/// What the records of the log show.
#[derive(Debug, Default)]
pub(super) struct LogFacts {
    pub(super) marks: LogMarks,
    /// Place and total size of the largest record.
    pub(super) largest: Option<(PhysicalOffset, u32)>,
    pub(super) inner_batch: Option<PhysicalOffset>,
}

/// Bytes between two looks at the progress.
const STEP: u64 = 1 << 20;

impl Facts {
    pub(super) fn gather(
        store: &Store,
        options: &PreflightOptions,
        progress: &dyn Progress,
    ) -> Result<Self, PreflightError> {
        let log = scan(store, progress).map_err(|error| error.to_string());
        if progress.cancelled() {
            return Err(PreflightError::Cancelled);
        }
        let default = LogMarks::default();
        let marks = log.as_ref().map_or(&default, |log| &log.marks);
        let bounds = ReleaseBounds::read(store.root(), options.home.as_deref(), marks);
        let waits = pending(store, PendingOptions::at(options.now).with_samples(1).scanning_log());
        let config = ConfigDir::new(store.root()).topics().root.into_value().unwrap_or_default();
        let with_attributes =
            config.topics.values().filter(|topic| topic.attributes.as_ref().is_some_and(|a| !a.is_empty()));
        Ok(Self {
            log,
            bounds: bounds.map_err(|error| error.to_string()),
            pending: waits.map_err(|error| error.to_string()),
            abort: store.abort()?.is_some(),
            without_log: without_log(store),
            topics_with_attributes: with_attributes.count(),
        })
    }

    /// What was seen of a feature in the store; `Err`: why it could not be looked for.
    pub(super) fn seen(
        &self,
        store: &Store,
        feature: &Feature,
        largest_allowed: u64,
    ) -> Result<Option<String>, String> {
        let log = || self.log.as_ref().map_err(Clone::clone);
        let at = |sighting: Option<Sighting>, what: &str| {
            sighting.map(|s| format!("{what} at {} in the commit log", s.physical_offset))
        };
        Ok(match feature.trace {
            Trace::Path(patterns) => patterns.iter().find_map(|pattern| found(store.root(), pattern)),
            Trace::MagicV2 => at(log()?.marks.magic_v2, "a record with magic 0xDAA320AB"),
            Trace::Ipv6Host => at(log()?.marks.ipv6_host, "a record with an IPv6 host"),
            Trace::PropertyCrc => at(log()?.marks.prop_crc, "a record with __CRC32#"),
            Trace::InnerBatch => log()?.inner_batch.map(|at| format!("a batch at {at} in the commit log")),
            Trace::AboveMaxMessageSize => {
                let above = log()?.largest.filter(|(_, size)| u64::from(*size) > largest_allowed);
                above.map(|(at, size)| format!("a record of {size} bytes at {at} in the commit log"))
            }
            Trace::TopicAttributes => {
                let count = self.topics_with_attributes;
                (count > 0).then(|| format!("{count} topics with attributes in config/topics.json"))
            }
            Trace::Waiting(waiting) => self.waiting(waiting)?.filter(|n| *n > 0).map(|n| format!("{n} messages wait")),
            _ => None,
        })
    }

    /// Messages that wait for one reason; `None`: the store has no place for them.
    pub(super) fn waiting(&self, waiting: Waiting) -> Result<Option<u64>, String> {
        let pending = self.pending.as_ref().map_err(Clone::clone)?;
        let gap = |gaps: &[PendingGap]| match pending.gaps.iter().find(|gap| gaps.contains(gap)) {
            Some(PendingGap::QueuesInRocksDb) => Err("the queues are in RocksDB".to_owned()),
            Some(PendingGap::OffsetsInRocksDb) => Err("the offsets of groups are in RocksDB".to_owned()),
            Some(PendingGap::PopInKvStore) => Err("POP keeps its records in kvStore".to_owned()),
            _ => Ok(()),
        };
        Ok(match waiting {
            Waiting::Half => {
                gap(&[PendingGap::QueuesInRocksDb, PendingGap::OffsetsInRocksDb])?;
                pending.half.as_ref().map(|half| half.count)
            }
            Waiting::Timer => {
                let wheel = &pending.timers.wheel;
                let in_wheel = (wheel.normal + wheel.rolled).saturating_sub(wheel.cancelled);
                Some(in_wheel + pending.timers.not_enqueued.unwrap_or(0))
            }
            Waiting::Pop => {
                gap(&[PendingGap::QueuesInRocksDb, PendingGap::OffsetsInRocksDb, PendingGap::PopInKvStore])?;
                pending.pop.as_ref().map(|pop| pop.messages)
            }
            _ => None,
        })
    }
}

fn scan(store: &Store, progress: &dyn Progress) -> Result<LogFacts, StoreError> {
    let log = store.log()?;
    let mut facts = LogFacts::default();
    let first = log.min_offset().get();
    let total = log.commitlog().files().last().map(|file| file.end().saturating_sub(first));
    let next = Cell::new(first + STEP);
    log.scan(false, |record| {
        facts.marks.see(record);
        let size = record.total_size();
        if facts.largest.is_none_or(|(_, largest)| size > largest) {
            facts.largest = Some((record.position, size));
        }
        if record.sys_flag.is_inner_batch() {
            facts.inner_batch.get_or_insert(record.position);
        }
        let position = record.position.get();
        if position < next.get() {
            return ControlFlow::Continue(());
        }
        next.set(position + STEP);
        progress.update(position - first, total);
        if progress.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(facts)
}

/// The first entry below `root` that fits and holds something.
fn found(root: &Path, pattern: &str) -> Option<String> {
    let Some(prefix) = pattern.strip_suffix('*') else {
        return holds_something(&root.join(pattern)).then(|| pattern.to_owned());
    };
    let (dir, start) = prefix.rsplit_once('/').map_or((root.to_path_buf(), prefix), |(d, s)| (root.join(d), s));
    let mut names: Vec<PathBuf> = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path()).collect();
    names.sort();
    let fits = |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start));
    let path = names.iter().filter(fits).find(|path| holds_something(path))?;
    Some(path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned())
}

fn holds_something(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()),
        Ok(metadata) => metadata.len() > 0,
        Err(_) => false,
    }
}

fn without_log(store: &Store) -> u64 {
    let dirs = store.commitlog().dirs();
    let mut bytes = 0;
    let mut left = vec![store.root().to_path_buf()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            // Links are followed by no one who copies a store without its log.
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() && !dirs.contains(&path) => left.push(path),
                Ok(metadata) if metadata.is_file() => bytes += metadata.blocks() * 512,
                _ => {}
            }
        }
    }
    bytes
}
