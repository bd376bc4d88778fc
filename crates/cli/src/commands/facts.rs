//! Everything that the overview shows and the manifest of a backup states, gathered once.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use mqstore_core::format::checkpoint::Checkpoint;
use mqstore_core::format::commitlog::Entry;
use mqstore_core::format::config::subscription_group::SubscriptionGroupTable;
use mqstore_core::format::config::topics::TopicConfigTable;
use mqstore_core::format::system_topic::{REVIVE_TOPIC_PREFIX, SCHEDULE_TOPIC, TIMER_TOPIC, TRANS_HALF_TOPIC};
use mqstore_core::release::marks::{LogMarks, ReleaseBounds};
use mqstore_core::store::{AbortFile, EntryKind, LogEnd, SpecialKind};

use super::inspect::end_exit;
use super::inspect::index::IndexFileJson;
use super::inspect::offsets::{DelayJson, OffsetJson, QueueMap, consumer_table, loaded, rocksdb_config};
use super::inspect::queues::{CompactedJson, QueueJson, Queues};
use super::{Context, Target};
use crate::exit::{Exit, readable};
use crate::progress::STEP;

/// What a store is.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) release: ReleaseBounds,
    pub(crate) abort: Option<AbortFile>,
    /// `None` for a log without files, or when it cannot be read.
    pub(crate) end: Option<LogEnd>,
    pub(crate) queues: Vec<QueueJson>,
    pub(crate) compacted: Vec<CompactedJson>,
    /// Timed messages in the wheel, as its slots count them; `None` where none was ever stored.
    pub(crate) timers: Option<i64>,
    pub(crate) index: Vec<IndexFileJson>,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) topics: TopicConfigTable,
    pub(crate) groups: SubscriptionGroupTable,
    pub(crate) offsets: Vec<OffsetJson>,
    pub(crate) delay: Vec<DelayJson>,
    pub(crate) features: Vec<&'static str>,
    /// Entries that no broker makes, relative to the root.
    pub(crate) foreign: Vec<String>,
    /// No broker has stored anything here yet.
    pub(crate) is_new: bool,
    /// How complete all this is.
    pub(crate) exit: Exit,
}

fn part<T: Default>(exit: &mut Exit, what: &str, read: anyhow::Result<T>) -> T {
    readable(exit, what, read).unwrap_or_default()
}

impl Facts {
    pub(crate) fn gather(context: &Context, target: &Target) -> anyhow::Result<Self> {
        let store = &target.store;
        let mut exit = Exit::clean();
        let mut marks = LogMarks::default();
        let end = part(&mut exit, "the commit log", log_end(context, target, &mut marks));
        if context.interrupted() {
            exit = Exit::interrupted();
        }
        if let Some(end) = &end {
            exit = exit.and(end_exit(end, target.live));
        } else {
            exit = exit.and(missing_log(target)?);
        }
        let listed = Queues::read(target, &mut exit);
        let queues = QueueJson::all(target, &listed.list, &mut exit);
        let database = rocksdb_config(target, &mut exit);
        let index = readable(&mut exit, "index", store.index().map_err(Into::into));
        let index = index.map(|index| IndexFileJson::all(&index, &mut exit)).unwrap_or_default();
        let checkpoint = part(&mut exit, "checkpoint", store.checkpoint().map_err(Into::into));
        let config = target.config();
        let map = QueueMap::new(&queues, listed.incomplete);
        let offsets = map.consumer(&consumer_table(target, &database, &mut exit));
        let delay = map.delay(&loaded(&config.delay_offsets(), "delayOffset.json", &mut exit));
        let topics = loaded(target.placed(&config.topics()), "topics.json", &mut exit);
        let topics = database.topics.unwrap_or(topics);
        let groups = loaded(target.placed(&config.subscription_groups()), "subscriptionGroup.json", &mut exit);
        let groups = database.subscription_groups.unwrap_or(groups);
        Ok(Self {
            is_new: target.is_new()?,
            release: target.release_bounds(&marks)?,
            abort: store.abort()?,
            features: features(target, &queues, &marks),
            foreign: part(&mut exit, "a folder", foreign(target)),
            compacted: CompactedJson::all(target, &mut exit),
            timers: part(&mut exit, "the timer", timers(target)),
            end,
            queues,
            index,
            checkpoint,
            topics,
            groups,
            offsets,
            delay,
            exit,
        })
    }

    /// Messages that a consumer can still get.
    pub(crate) fn messages(&self) -> u64 {
        self.queues.iter().map(QueueJson::messages).sum()
    }
}

/// Looks at the last files of the log as a broker does, and at the marks in their records.
fn log_end(context: &Context, target: &Target, marks: &mut LogMarks) -> anyhow::Result<Option<LogEnd>> {
    let log = &target.log;
    if log.is_empty() {
        return Ok(None);
    }
    let from = log.recovery_start();
    let total = log.files().last().map(|file| file.end().saturating_sub(from.get()));
    let bar = context.bar("reading the log's end");
    let mut next_update = from.get() + STEP;
    let end = log.scan_from(from, true, |entry| {
        if let Entry::Message(record) = entry {
            marks.see(record);
        }
        let position = entry.position().get();
        if position >= next_update {
            bar.at(position - from.get(), total);
            next_update = position + STEP;
        }
        if bar.interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(Some(end))
}

/// A log without files: the store is new, or it is incomplete.
pub(crate) fn missing_log(target: &Target) -> anyhow::Result<Exit> {
    Ok(if !target.log.is_empty() || target.is_new()? {
        Exit::clean()
    } else {
        Exit::no_verdict("the commit log has no files, but the store is not new: name its folder with --commitlog")
    })
}

/// What the slots of the wheel count that were not read yet.
fn timers(target: &Target) -> anyhow::Result<Option<i64>> {
    let timer = target.store.timer()?;
    if timer.is_unused()? {
        return Ok(None);
    }
    let read_up_to = timer.checkpoint().map_or(i64::MIN, |checkpoint| checkpoint.last_read_time_ms);
    let mut waiting = 0;
    timer.visit_slots(|_, slot| {
        waiting += if slot.time_ms() < read_up_to { 0 } else { i64::from(slot.num) };
        ControlFlow::Continue(())
    })?;
    Ok(Some(waiting))
}

/// What a store uses beyond plain messages. The words are stable: they are in JSON and in manifests.
fn features(target: &Target, queues: &[QueueJson], marks: &LogMarks) -> Vec<&'static str> {
    let topics: BTreeSet<&str> = queues.iter().map(|queue| queue.topic.as_str()).collect();
    let topic = |name: &str| topics.contains(name);
    let prefix = |prefix: &str| topics.iter().any(|topic| topic.starts_with(prefix));
    let special = |kind: SpecialKind| target.special().iter().any(|part| part.kind == kind && part.bytes > 0);
    let store = &target.store;
    [
        ("batch_queues", special(SpecialKind::BatchQueues)),
        ("consumequeue_ext", store.has(EntryKind::ConsumeQueueExt)),
        ("controller", store.has(EntryKind::EpochFile)),
        ("dead_letters", prefix("%DLQ%")),
        ("delay", topic(SCHEDULE_TOPIC)),
        ("dledger", special(SpecialKind::Dledger)),
        ("half_messages", topic(TRANS_HALF_TOPIC)),
        ("ipv6_hosts", marks.ipv6_host.is_some()),
        ("lmq", prefix("%LMQ%")),
        ("long_topics", marks.magic_v2.is_some()),
        ("multi_path_log", store.commitlog().dirs().len() > 1),
        ("pop", prefix(REVIVE_TOPIC_PREFIX) || special(SpecialKind::RocksDbPop)),
        ("prepared_messages", marks.prepared_in_business_topic.is_some()),
        ("property_crc", marks.prop_crc.is_some()),
        ("retries", prefix("%RETRY%")),
        ("rocksdb_config", special(SpecialKind::RocksDbConfig)),
        ("rocksdb_queues", special(SpecialKind::RocksDbQueues)),
        ("tiered", special(SpecialKind::Tiered)),
        ("timer", topic(TIMER_TOPIC)),
    ]
    .into_iter()
    .filter_map(|(name, used)| used.then_some(name))
    .collect()
}

fn foreign(target: &Target) -> anyhow::Result<Vec<String>> {
    let store = &target.store;
    let root = store.entries().iter().filter(|entry| entry.kind == EntryKind::Unknown).map(|entry| entry.path.clone());
    let mut paths: Vec<_> = root.collect();
    paths.extend(store.commitlog().queue().foreign().iter().map(|entry| entry.path.clone()));
    for queue in target.queues()? {
        paths.extend(queue.queue().foreign().iter().map(|entry| entry.path.clone()));
    }
    paths.extend_from_slice(store.index()?.foreign());
    let mut paths: Vec<String> = paths.iter().map(|path| target.relative(path)).collect();
    let config = target.config().list(mqstore_core::store::config::ConfigPlace::Root)?;
    paths.extend(config.unknown.iter().map(|name| format!("config/{name}")));
    paths.sort();
    Ok(paths)
}
