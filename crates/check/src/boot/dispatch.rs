//! What a start puts into queues and index (`CommitLogDispatcherBuildConsumeQueue`, `IndexService.buildIndex`).

use std::collections::{BTreeMap, BTreeSet};

use mqstore_core::StoreError;
use mqstore_core::format::commitlog::Properties;
use mqstore_core::format::commitlog::names;
use mqstore_core::format::system_topic::SCHEDULE_TOPIC;

use super::index::SimIndex;
use super::load::LoadedFiles;
use super::queue::{NewUnit, Put, SimQueue};
use super::record::Record;
use super::settings::Settings;

/// The queues of the store, by topic and number.
pub(super) type Queues = BTreeMap<String, BTreeMap<i32, SimQueue>>;

/// What was dispatched, in messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Dispatched {
    /// Offered to a queue.
    pub offered: u64,
    /// Appended.
    pub appended: u64,
    /// Dropped because their queue offset was used twice.
    pub repeated: u64,
    /// Records that failed and were dispatched to topic "" all the same.
    pub failed: u64,
    /// Units of delayed messages that were built anew.
    pub delayed: u64,
    /// First physical offset offered.
    pub from: Option<u64>,
}

/// Hands records to queues and index.
#[derive(Debug)]
pub(super) struct Dispatcher<'a> {
    pub settings: &'a Settings,
    pub queues: &'a mut Queues,
    pub index: &'a mut SimIndex,
    /// Topics whose queues are of another kind.
    pub batch_topics: &'a BTreeSet<String>,
    pub done: &'a mut Dispatched,
}

impl Dispatcher<'_> {
    /// Dispatches a record that lies in the log file beginning at `log_base`.
    pub(super) fn dispatch(&mut self, record: &Record<'_>, log_base: u64) {
        // Holds everything back until a confirmation that a single broker never gets: nothing is dispatched.
        if self.settings.duplication {
            return;
        }
        self.done.from = self.done.from.or(u64::try_from(record.physical_offset).ok());
        self.index.build(record, self.settings);
        if !record.has_unit() {
            return;
        }
        let size = i32::try_from(record.size).unwrap_or(i32::MAX);
        for (topic, queue_id, queue_offset) in targets(record, self.settings) {
            if self.batch_topics.contains(&topic) {
                continue;
            }
            let physical_offset = record.physical_offset;
            let unit = NewUnit { physical_offset, size, queue_offset, log_base: Some(log_base) };
            self.done.offered += 1;
            let settings = self.settings;
            match self.queue(&topic, queue_id).put(unit, &settings.rules) {
                Put::Appended => {
                    self.done.appended += 1;
                    self.done.delayed += u64::from(topic == SCHEDULE_TOPIC);
                }
                Put::Repeated => self.done.repeated += 1,
                Put::AlreadyThere => {}
            }
        }
    }

    /// Dispatches what is left of a record that failed: no topic, queue 0, offset 0.
    pub(super) fn dispatch_failed(&mut self, size: u64) {
        if self.settings.duplication {
            return;
        }
        let size = i32::try_from(size).unwrap_or(i32::MAX);
        self.done.failed += 1;
        let unit = NewUnit { physical_offset: 0, size, queue_offset: 0, log_base: None };
        let settings = self.settings;
        self.queue("", 0).put(unit, &settings.rules);
    }

    fn queue(&mut self, topic: &str, queue_id: i32) -> &mut SimQueue {
        if !self.queues.contains_key(topic) {
            self.queues.insert(topic.to_owned(), BTreeMap::new());
        }
        let dir = || self.settings.root.join("consumequeue").join(topic).join(queue_id.to_string());
        let size = self.settings.queue_file_size;
        let new = || SimQueue::new(dir(), &LoadedFiles::default(), size);
        self.queues.entry(topic.to_owned()).or_default().entry(queue_id).or_insert_with(new)
    }
}

/// The queues that a record gets a unit in: its own, and those that its properties list.
pub(super) fn targets(record: &Record<'_>, settings: &Settings) -> Vec<(String, i32, i64)> {
    let topic = String::from_utf8_lossy(record.topic).into_owned();
    let mut targets = vec![(topic, record.queue_id, record.queue_offset)];
    if settings.multi_dispatch && settings.rules.lmq.value {
        targets.extend(further_targets(record.properties));
    }
    targets
}

fn further_targets(properties: Properties<'_>) -> Vec<(String, i32, i64)> {
    let list = |name: &str| properties.get_str(name).unwrap_or_default().into_owned();
    let (queues, offsets) = (list(names::INNER_MULTI_DISPATCH), list(names::INNER_MULTI_QUEUE_OFFSET));
    let pairs = queues.split(',').zip(offsets.split(','));
    pairs.filter(|(queue, _)| !queue.is_empty()).filter_map(|(q, o)| Some((q.to_owned(), 0, o.parse().ok()?))).collect()
}

/// The highest physical offset over all queues, as the release computes it; -1 without queues.
pub(super) fn max_physic_offset(queues: &Queues) -> i64 {
    queues.values().flat_map(BTreeMap::values).map(|queue| queue.max_physic_offset).max().unwrap_or(-1)
}

/// Cuts every queue at `end`.
pub(super) fn truncate_dirty_logic_files(queues: &mut Queues, end: u64, settings: &Settings) -> Result<(), StoreError> {
    for queue in queues.values_mut().flat_map(BTreeMap::values_mut) {
        queue.truncate_dirty_logic_files(end, &settings.rules)?;
    }
    Ok(())
}
