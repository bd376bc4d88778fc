//! What waits in a store for its time, its decision or its acknowledgement: lost, or delivered late or twice, if the
//! feature that handles it goes away.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::config::ConfigDir;
use super::consumequeue::{ConsumeQueue, QueueRange};
use super::log::{LogReader, StoreLog};
use super::rocksdb::RocksDb;
use super::special::SpecialKind;
use super::timer::{CancelKey, PendingTimer, TimerPending};
use super::{EntryKind, Store};
use crate::error::StoreError;
use crate::format::commitlog::{MessageRecord, TransactionType, names};
use crate::format::config::consumer_offset::ConsumerOffsetTable;
use crate::format::consumequeue::{CqUnit, TagsCode};
use crate::format::pop::{PopCheckPoint, PopKey, PopRecord, REVIVE_GROUP};
use crate::format::rocksdb::rows::{UnitKey, UnitValue};
use crate::format::system_topic::{
    REVIVE_TOPIC_PREFIX, SCHEDULE_TOPIC, TIMER_TOPIC, TRANS_HALF_TOPIC, TRANS_OP_HALF_TOPIC,
};
use crate::offset::{PhysicalOffset, QueueOffset};

/// The broker's own group that reads half messages and their marks.
const TRANSACTION_GROUP: &str = "CID_RMQ_SYS_TRANS";
/// Tag of an operation record that ends transactions.
const OP_TAG: &[u8] = b"d";

/// How to look.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PendingOptions {
    /// What is due before this is overdue, milliseconds since the epoch.
    pub now: i64,
    /// How many messages of each kind to show.
    pub samples: usize,
    /// Whether to read the whole log for prepared messages of 3.x to 4.2.0, which no queue holds.
    pub scan_log: bool,
}

impl PendingOptions {
    /// Three samples of each kind, without a scan of the log.
    pub fn at(now: i64) -> Self {
        Self { now, samples: 3, scan_log: false }
    }

    /// As many samples of each kind.
    #[must_use]
    pub fn with_samples(self, samples: usize) -> Self {
        Self { samples, ..self }
    }

    /// With a scan of the whole log.
    #[must_use]
    pub fn scanning_log(self) -> Self {
        Self { scan_log: true, ..self }
    }
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingMessage {
    /// Physical offset of its record.
    pub physical_offset: i64,
    /// The topic that it is for.
    pub topic: String,
    /// Its number in the queue in which it waits.
    pub queue_offset: i64,
    /// When the client made it, milliseconds since the epoch.
    pub born_timestamp: i64,
    /// When it was stored, milliseconds since the epoch; a half message is stored again after each check.
    pub store_timestamp: i64,
    /// When it is due, milliseconds since the epoch.
    pub due_time: Option<i64>,
    /// Its unique key.
    pub unique_key: Option<String>,
}

/// Messages that wait for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingMessages {
    /// How many.
    pub count: u64,
    /// Of these, those whose record cannot be read or is not in the log any more.
    pub unreadable: u64,
    /// The earliest birth among those looked at, milliseconds since the epoch: of delayed messages only the samples are.
    pub oldest_born_timestamp: Option<i64>,
    /// The first of them.
    pub samples: Vec<PendingMessage>,
}

/// A delay level with messages that were not delivered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DelayLevel {
    /// The level, from 1.
    pub level: i32,
    /// Where delivery goes on: the stored offset, but not below the queue's first message.
    pub next_offset: QueueOffset,
    /// End of the level's queue.
    pub max_offset: QueueOffset,
    /// What `delayOffset.json` says; `None` if it has no entry for the level.
    pub stored_offset: Option<i64>,
    /// When the first of them is due, milliseconds since the epoch.
    pub first_due: Option<i64>,
    /// The messages.
    pub messages: PendingMessages,
}

/// Messages in the timer wheel, and on the way into it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingTimers {
    /// What waits in the wheel.
    pub wheel: TimerPending,
    /// Messages in the queue of the timer that are not in the wheel yet; `None` if that is not known.
    pub not_enqueued: Option<u64>,
    /// The messages that are due first, by due time; cancelled ones are left out.
    pub samples: Vec<PendingTimer>,
}

/// Messages that a POP consumer took and did not acknowledge yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingPop {
    /// Check points with such messages.
    pub check_points: u64,
    /// The messages: they become visible again when their check point is due.
    pub messages: u64,
    /// Topic and group → messages.
    pub by_group: BTreeMap<(String, String), u64>,
    /// The earliest time at which a consumer took one, milliseconds since the epoch.
    pub oldest_pop_time: Option<i64>,
    /// When the first of them becomes visible again, milliseconds since the epoch.
    pub first_revive: Option<i64>,
    /// Records of the revive topic that cannot be read.
    pub unreadable: u64,
    /// The first of the check points.
    pub samples: Vec<PopCheckPoint>,
}

/// What could not be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PendingGap {
    /// The queues are in RocksDB and cannot be read: delay levels, transactions and POP are unknown.
    QueuesInRocksDb,
    /// The groups' offsets are in RocksDB and cannot be read: transactions and POP are unknown.
    OffsetsInRocksDb,
    /// POP keeps its records in `kvStore` (5.3.2 and later, by choice): those are missing.
    PopInKvStore,
    /// The log was not scanned: prepared messages of 3.x to 4.2.0 are unknown.
    LogNotScanned,
}

/// What waits in a store. A part that could not be looked at is `None`, and `gaps` says why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// Delay levels that have a queue, by level, also those where nothing waits.
    pub delay: Option<Vec<DelayLevel>>,
    /// Half messages that are neither committed nor rolled back, 4.3.0 and later.
    pub half: Option<PendingMessages>,
    /// Prepared messages without their end, 3.x to 4.2.0.
    pub prepared: Option<PendingMessages>,
    /// Timer messages, 5.0.0 and later.
    pub timers: PendingTimers,
    /// POP, 5.0.0 and later.
    pub pop: Option<PendingPop>,
    /// What could not be looked at.
    pub gaps: Vec<PendingGap>,
}

/// What the parts share.
struct Look<'s> {
    log: &'s StoreLog,
    queues: Vec<Queue>,
    offsets: ConsumerOffsetTable,
    options: PendingOptions,
}

/// Looks for everything that waits in `store`.
///
/// Committed positions are those of the files under `config/`: after an unclean stop they are some seconds old, and a
/// little of what was delivered counts as waiting, as it does for the broker.
pub fn pending(store: &Store, options: PendingOptions) -> Result<Pending, StoreError> {
    let log = store.log()?;
    let config = ConfigDir::new(store.root());
    // With `enableLmq` the broker uses the second file instead of the first.
    let mut gaps = Vec::new();
    let queues = queues(store, &log, &mut gaps)?;
    let in_rocksdb = store.rocksdb_config();
    if in_rocksdb.is_err() {
        gaps.push(PendingGap::OffsetsInRocksDb);
    }
    let in_rocksdb = in_rocksdb.ok().and_then(|config| config.consumer_offsets);
    let offsets = in_rocksdb
        .or_else(|| config.consumer_offsets().into_value())
        .or_else(|| config.lmq_consumer_offsets().into_value());
    if store.has(EntryKind::KvStore) {
        gaps.push(PendingGap::PopInKvStore);
    }
    if !options.scan_log {
        gaps.push(PendingGap::LogNotScanned);
    }
    let look = Look { log: &log, queues, offsets: offsets.unwrap_or_default(), options };
    let mut pending = Pending { gaps, ..Pending::default() };
    let known = |gap| !pending.gaps.contains(&gap);
    let (queues, positions) = (known(PendingGap::QueuesInRocksDb), known(PendingGap::OffsetsInRocksDb));
    let (timers, in_wheel) = look.timers(store)?;
    if queues {
        pending.delay = Some(look.delay_levels(&config)?);
    }
    if queues && positions {
        pending.half = Some(look.half_messages()?);
        pending.pop = Some(look.pop(in_wheel)?);
    }
    if options.scan_log {
        pending.prepared = Some(look.prepared()?);
    }
    pending.timers = timers;
    Ok(pending)
}

/// A queue of one of the broker's own topics that hold what waits.
enum Queue {
    File(ConsumeQueue, QueueRange),
    Rows { topic: String, queue_id: u32, range: QueueRange, units: BTreeMap<u64, CqUnit> },
}

impl Queue {
    fn topic(&self) -> &str {
        match self {
            Self::File(queue, _) => queue.topic(),
            Self::Rows { topic, .. } => topic,
        }
    }

    fn queue_id(&self) -> u32 {
        match self {
            Self::File(queue, _) => queue.queue_id(),
            Self::Rows { queue_id, .. } => *queue_id,
        }
    }

    fn range(&self) -> QueueRange {
        match self {
            Self::File(_, range) | Self::Rows { range, .. } => *range,
        }
    }

    /// Hands the units of a range of queue offsets to `visit`, which may fail.
    fn visit(
        &self,
        from: QueueOffset,
        to: QueueOffset,
        mut visit: impl FnMut(QueueOffset, CqUnit) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let queue = match self {
            Self::File(queue, _) => queue,
            Self::Rows { units, .. } => {
                let mut wanted = units.range(from.get()..to.get().max(from.get()));
                return wanted.try_for_each(|(offset, unit)| visit(QueueOffset(*offset), *unit));
            }
        };
        let mut failed = None;
        queue.visit_units(from, to, |offset, unit| match visit(offset, unit) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)
    }
}

fn is_wanted(topic: &str) -> bool {
    [SCHEDULE_TOPIC, TIMER_TOPIC, TRANS_HALF_TOPIC, TRANS_OP_HALF_TOPIC].contains(&topic)
        || topic.starts_with(REVIVE_TOPIC_PREFIX)
}

fn queues(store: &Store, log: &StoreLog, gaps: &mut Vec<PendingGap>) -> Result<Vec<Queue>, StoreError> {
    let mut queues = Vec::new();
    for queue in store.consumequeues()?.into_iter().filter(|queue| is_wanted(queue.topic())) {
        let range = queue.range(log.min_offset())?;
        queues.push(Queue::File(queue, range));
    }
    if queues.is_empty() {
        for (kind, dir) in store.rocksdb_dirs() {
            if kind != SpecialKind::RocksDbQueues {
                continue;
            }
            match RocksDb::open(kind, &dir).and_then(|database| row_queues(&database)) {
                Ok(found) => queues.extend(found),
                Err(_) => gaps.push(PendingGap::QueuesInRocksDb),
            }
        }
    }
    Ok(queues)
}

/// The wanted queues of a database, with all their units in one pass over it.
fn row_queues(database: &RocksDb) -> Result<Vec<Queue>, StoreError> {
    let mut units: BTreeMap<(String, i32), BTreeMap<u64, CqUnit>> = BTreeMap::new();
    let wanted = |key: &[u8]| UnitKey::parse(key).is_some_and(|key| is_wanted(&String::from_utf8_lossy(key.topic)));
    for (key, value) in &database.rows("default", wanted)? {
        if let (Some(key), Some(value)) = (UnitKey::parse(key), UnitValue::parse(value)) {
            let name = (String::from_utf8_lossy(key.topic).into_owned(), key.queue_id);
            units.entry(name).or_default().insert(key.queue_offset.cast_unsigned(), value.unit);
        }
    }
    let ranges = database.queues()?.ranges.into_iter().filter(|((topic, _), _)| is_wanted(topic));
    let queues = ranges.filter_map(|((topic, queue_id), ends)| {
        let range = QueueRange { min_offset: ends.min_offset, max_offset: ends.max_offset, ..QueueRange::default() };
        let units = units.remove(&(topic.clone(), queue_id)).unwrap_or_default();
        Some(Queue::Rows { topic, queue_id: u32::try_from(queue_id).ok()?, range, units })
    });
    Ok(queues.collect())
}

impl Look<'_> {
    fn queue(&self, topic: &str, queue_id: u32) -> Option<(&Queue, QueueRange)> {
        let queue = self.queues.iter().find(|queue| queue.topic() == topic && queue.queue_id() == queue_id);
        queue.map(|queue| (queue, queue.range()))
    }

    fn committed(&self, topic: &str, group: &str, queue_id: u32) -> QueueOffset {
        let queues = self.offsets.offset_table.get(&format!("{topic}@{group}"));
        let offset = i32::try_from(queue_id).ok().and_then(|queue_id| queues?.get(&queue_id).copied());
        QueueOffset(offset.and_then(|offset| u64::try_from(offset).ok()).unwrap_or(0))
    }

    fn delay_levels(&self, config: &ConfigDir) -> Result<Vec<DelayLevel>, StoreError> {
        let stored = config.delay_offsets().into_value().unwrap_or_default();
        let mut reader = self.log.reader();
        let mut levels = Vec::new();
        for queue in self.queues.iter().filter(|queue| queue.topic() == SCHEDULE_TOPIC) {
            let range = queue.range();
            let level = i32::try_from(queue.queue_id()).unwrap_or(i32::MAX).saturating_add(1);
            let stored_offset = stored.offset_table.get(&level).copied();
            let next = QueueOffset(stored_offset.and_then(|offset| u64::try_from(offset).ok()).unwrap_or(0));
            let next_offset = next.max(range.min_offset).min(range.max_offset);
            let mut messages = PendingMessages { count: range.max_offset.since(next_offset), ..Default::default() };
            let to = (next_offset + self.options.samples.max(1) as u64).min(range.max_offset);
            let mut first_due = None;
            queue.visit(next_offset, to, |offset, unit| {
                let due = match unit.tags_code_kind() {
                    TagsCode::DueTime(due) => Some(due),
                    TagsCode::Hash(_) | TagsCode::ExtAddress(_) => None,
                };
                if offset == next_offset {
                    first_due = due;
                }
                messages.look_at(&mut reader, offset, &unit, due, self.options.samples)
            })?;
            levels.push(DelayLevel {
                level,
                next_offset,
                max_offset: range.max_offset,
                stored_offset,
                first_due,
                messages,
            });
        }
        levels.sort_by_key(|level| level.level);
        Ok(levels)
    }

    /// As `TransactionalMessageServiceImpl.check`: from the committed half offset on, without those that an operation
    /// record ends. All operation records are read, not only those behind the committed one: the earlier ones end half
    /// messages that are passed anyway.
    fn half_messages(&self) -> Result<PendingMessages, StoreError> {
        let mut messages = PendingMessages::default();
        let Some((half, half_range)) = self.queue(TRANS_HALF_TOPIC, 0) else { return Ok(messages) };
        let mut ended = BTreeSet::new();
        let mut reader = self.log.reader();
        if let Some((op, range)) = self.queue(TRANS_OP_HALF_TOPIC, 0) {
            op.visit(range.min_offset, range.max_offset, |_, unit| {
                let at = PhysicalOffset(unit.physical_offset.cast_unsigned());
                if let Some(record) = reader.record_at(at)?.record()
                    && record.properties.get(names::TAGS) == Some(OP_TAG)
                {
                    ended.extend(op_offsets(record.body));
                }
                Ok(())
            })?;
        }
        let from = self.committed(TRANS_HALF_TOPIC, TRANSACTION_GROUP, 0).max(half_range.min_offset);
        half.visit(from, half_range.max_offset, |offset, unit| {
            if ended.contains(&offset.get()) {
                return Ok(());
            }
            messages.count += 1;
            messages.look_at(&mut reader, offset, &unit, None, self.options.samples)
        })?;
        reader.check()?;
        Ok(messages)
    }

    fn prepared(&self) -> Result<PendingMessages, StoreError> {
        let mut open: BTreeMap<i64, PendingMessage> = BTreeMap::new();
        self.log.scan(false, |record| {
            match record.sys_flag.transaction_type() {
                TransactionType::Prepared => {
                    open.insert(record.physical_offset, message(record, None));
                }
                TransactionType::Commit | TransactionType::Rollback => {
                    open.remove(&record.prepared_transaction_offset);
                }
                TransactionType::Not => {}
            }
            ControlFlow::Continue(())
        })?;
        Ok(PendingMessages {
            count: open.len() as u64,
            unreadable: 0,
            oldest_born_timestamp: open.values().map(|message| message.born_timestamp).min(),
            samples: open.into_values().take(self.options.samples).collect(),
        })
    }

    /// What waits in the timer, and the physical offsets of POP's records among it.
    fn timers(&self, store: &Store) -> Result<(PendingTimers, Vec<PhysicalOffset>), StoreError> {
        let timer = store.timer()?;
        let mut timers = PendingTimers::default();
        let mut of_pop = Vec::new();
        let samples = self.options.samples;
        timers.wheel = timer.pending(self.log, self.options.now, |unit| {
            if unit.topic.as_ref().is_some_and(|topic| topic.starts_with(REVIVE_TOPIC_PREFIX)) {
                of_pop.push(PhysicalOffset(unit.unit.physical_offset.cast_unsigned()));
            }
            if !unit.unit.magic.is_delete() && unit.cancelled != Some(CancelKey::Unique) {
                let due = |unit: &PendingTimer| (unit.due_time.unwrap_or(unit.slot_time), unit.position);
                let at = timers.samples.partition_point(|other| due(other) < due(unit));
                if at < samples {
                    timers.samples.insert(at, unit.clone());
                    timers.samples.truncate(samples);
                }
            }
        })?;
        if let (Some(checkpoint), Some((_, range))) = (timer.checkpoint(), self.queue(TIMER_TOPIC, 0)) {
            let next = QueueOffset(u64::try_from(checkpoint.last_timer_queue_offset).unwrap_or(0));
            timers.not_enqueued = Some(range.max_offset.since(next.max(range.min_offset)));
        }
        Ok((timers, of_pop))
    }

    /// Check points that are in the timer, or in the revive topic from where its group goes on, less what the
    /// acknowledgements there take off.
    fn pop(&self, in_wheel: Vec<PhysicalOffset>) -> Result<PendingPop, StoreError> {
        let mut pop = PendingPop::default();
        let mut open: BTreeMap<PopKey, (PopCheckPoint, BTreeSet<i64>)> = BTreeMap::new();
        let mut acknowledged: BTreeMap<PopKey, Vec<i64>> = BTreeMap::new();
        let mut reader = self.log.reader();
        let mut read = |at: PhysicalOffset| -> Result<(), StoreError> {
            let parsed = reader.record_at(at)?.record().and_then(|record| {
                PopRecord::parse(record.properties.get(names::TAGS).unwrap_or_default(), record.body)
            });
            match parsed {
                Some(Ok(PopRecord::CheckPoint(check_point))) => {
                    let offsets = check_point.unacknowledged().collect();
                    open.insert(check_point.key.clone(), (check_point, offsets));
                }
                Some(Ok(PopRecord::Ack(ack))) => acknowledged.entry(ack.key).or_default().extend(ack.offsets),
                Some(Err(_)) | None => pop.unreadable += 1,
            }
            Ok(())
        };
        for at in in_wheel {
            read(at)?;
        }
        for queue in self.queues.iter().filter(|queue| queue.topic().starts_with(REVIVE_TOPIC_PREFIX)) {
            let range = queue.range();
            let from = self.committed(queue.topic(), REVIVE_GROUP, queue.queue_id()).max(range.min_offset);
            queue
                .visit(from, range.max_offset, |_, unit| read(PhysicalOffset(unit.physical_offset.cast_unsigned())))?;
        }
        reader.check()?;
        for (key, offsets) in acknowledged {
            if let Some((_, open)) = open.get_mut(&key) {
                open.retain(|offset| !offsets.contains(offset));
            }
        }
        for (key, (check_point, offsets)) in open {
            let count = offsets.len() as u64;
            if count == 0 {
                continue;
            }
            pop.check_points += 1;
            pop.messages += count;
            pop.oldest_pop_time = Some(pop.oldest_pop_time.map_or(key.pop_time, |oldest| oldest.min(key.pop_time)));
            let revive = check_point.revive_time();
            pop.first_revive = Some(pop.first_revive.map_or(revive, |first| first.min(revive)));
            *pop.by_group.entry((key.topic, key.group)).or_default() += count;
            if pop.samples.len() < self.options.samples {
                pop.samples.push(check_point);
            }
        }
        Ok(pop)
    }
}

impl PendingMessages {
    fn look_at(
        &mut self,
        reader: &mut LogReader<'_>,
        offset: QueueOffset,
        unit: &CqUnit,
        due_time: Option<i64>,
        samples: usize,
    ) -> Result<(), StoreError> {
        let Some(record) = reader.record_at(PhysicalOffset(unit.physical_offset.cast_unsigned()))?.record() else {
            self.unreadable += 1;
            return Ok(());
        };
        let born = record.born_timestamp;
        self.oldest_born_timestamp = Some(self.oldest_born_timestamp.map_or(born, |oldest| oldest.min(born)));
        if self.samples.len() < samples {
            let queue_offset = offset.get().cast_signed();
            self.samples.push(PendingMessage { queue_offset, ..message(&record, due_time) });
        }
        Ok(())
    }
}

fn message(record: &MessageRecord<'_>, due_time: Option<i64>) -> PendingMessage {
    let text = |name| record.properties.get_str(name).map(std::borrow::Cow::into_owned);
    PendingMessage {
        physical_offset: record.physical_offset,
        topic: text(names::REAL_TOPIC).unwrap_or_else(|| record.topic_str().into_owned()),
        queue_offset: record.queue_offset,
        born_timestamp: record.born_timestamp,
        store_timestamp: record.store_timestamp,
        due_time,
        unique_key: text(names::UNIQ_KEY),
    }
}

/// Half queue offsets in the body of an operation record: one, or from 5.1.0 on several, each followed by a comma.
fn op_offsets(body: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let items = body.split(|byte| *byte == b',').filter_map(|item| std::str::from_utf8(item).ok());
    items.filter_map(|item| item.parse().ok())
}
