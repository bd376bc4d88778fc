//! What the log holds, whatever the release makes of it: messages per queue, before and behind the new end.

use std::collections::BTreeMap;

use mqstore_core::format::commitlog::{Entries, Entry, MessageRecord, TransactionType, resync};
use mqstore_core::offset::PhysicalOffset;
use mqstore_core::progress::Progress;
use mqstore_core::store::MappedFile;

use super::BootError;
use super::load::LoadedFile;

/// Places of damage that are remembered; a log with more is not worth a closer look.
const MOST_SUSPECTS: usize = 1 << 20;

/// Messages of one queue, by where they lie.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct InLog {
    /// Before the new end, in files that the release sees.
    pub kept: u64,
    /// Behind the new end, in files that it saw.
    pub cut: u64,
    /// In files that it does not see.
    pub unseen: u64,
    /// Highest queue offset.
    pub max_queue_offset: i64,
}

/// Where the record of unit 0 lies, by topic and queue, for queues that have that unit.
pub(super) type FirstPhysical = BTreeMap<Vec<u8>, BTreeMap<i32, u64>>;

/// The whole log.
#[derive(Debug, Clone, Default)]
pub(super) struct Survey {
    pub queues: BTreeMap<Vec<u8>, BTreeMap<i32, InLog>>,
    /// Behind the last message.
    pub end: u64,
    /// Where the log begins, over all files; `None` without a file.
    pub min: Option<u64>,
    /// Store time of the newest message.
    pub newest_timestamp: i64,
    /// Where bytes lie that are neither record nor blank; sorted.
    pub suspects: Vec<u64>,
}

/// Which file a message lies in.
#[derive(Debug, Clone, Copy)]
struct Place {
    seen: bool,
    end_after: u64,
}

/// Reads every record of the files, those the release does not see included. `first_physical` gives, for queues that
/// begin with unit 0, where its record lies: older records are of a former life of the topic.
pub(super) fn survey(
    seen: &[LoadedFile],
    unseen: &[LoadedFile],
    end_after: u64,
    first_physical: &FirstPhysical,
    progress: &dyn Progress,
) -> Result<Survey, BootError> {
    let mut survey = Survey::default();
    let files = seen.iter().map(|file| (file, true)).chain(unseen.iter().map(|file| (file, false)));
    for (file, seen) in files {
        if progress.cancelled() {
            return Err(BootError::Cancelled);
        }
        survey.min = Some(survey.min.map_or(file.base, |min| min.min(file.base)));
        let map = MappedFile::open(&file.path)?;
        map.advise_sequential();
        let mut at = 0;
        loop {
            let mut entries = Entries::starting_at(&map, PhysicalOffset(file.base), at);
            let mut failed = false;
            for entry in entries.by_ref() {
                match entry {
                    Ok(Entry::Message(record)) => survey.count(&record, Place { seen, end_after }, first_physical),
                    Ok(Entry::Blank(_)) => {}
                    Err(_) => failed = true,
                }
            }
            if !failed {
                break;
            }
            let position = entries.position().get();
            let relative = usize::try_from(position.saturating_sub(file.base)).unwrap_or(usize::MAX);
            // No release reads such a record, but it is a message that was acknowledged.
            let rest = map.get(relative..).unwrap_or_default();
            if let Ok(record) = MessageRecord::parse_with_short_store_host(rest, PhysicalOffset(position)) {
                survey.count(&record, Place { seen, end_after }, first_physical);
                survey.suspect(position);
                at = relative.saturating_add(record.bytes.len());
                continue;
            }
            if mqstore_core::bytes::is_zero(map.get(relative..).unwrap_or_default()) {
                break;
            }
            survey.suspect(position);
            let Some(next) = resync(&map, PhysicalOffset(file.base), relative.saturating_add(1)) else { break };
            at = usize::try_from(next.position.get().saturating_sub(file.base)).unwrap_or(usize::MAX);
        }
    }
    survey.suspects.sort_unstable();
    Ok(survey)
}

impl Survey {
    fn suspect(&mut self, position: u64) {
        if self.suspects.len() < MOST_SUSPECTS {
            self.suspects.push(position);
        }
    }

    fn count(&mut self, record: &MessageRecord<'_>, place: Place, first_physical: &FirstPhysical) {
        self.end = self.end.max(record.end().get());
        self.newest_timestamp = self.newest_timestamp.max(record.store_timestamp);
        if !matches!(record.sys_flag.transaction_type(), TransactionType::Not | TransactionType::Commit) {
            return;
        }
        let first = first_physical.get(record.topic).and_then(|queues| queues.get(&record.queue_id));
        if first.is_some_and(|first| record.position.get() < *first) {
            return;
        }
        if !self.queues.contains_key(record.topic) {
            self.queues.insert(record.topic.to_vec(), BTreeMap::new());
        }
        let Some(topic) = self.queues.get_mut(record.topic) else { return };
        let queue = topic.entry(record.queue_id).or_default();
        queue.max_queue_offset = queue.max_queue_offset.max(record.queue_offset);
        let counter = match place {
            Place { seen: false, .. } => &mut queue.unseen,
            Place { end_after, .. } if record.position.get() < end_after => &mut queue.kept,
            Place { .. } => &mut queue.cut,
        };
        *counter += 1;
    }
}
