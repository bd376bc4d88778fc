//! What the start comes to: queues before and after, losses, flags.

use std::collections::{BTreeMap, BTreeSet};

use mqstore_core::StoreError;
use mqstore_core::format::consumequeue::CQ_UNIT_LENGTH;
use mqstore_core::format::system_topic::SCHEDULE_TOPIC;
use mqstore_core::progress::Progress;
use mqstore_core::release::Evidence;
use mqstore_core::release::rules::{AbortDispatch, FileLookup, OverflowBadly, UnreadableUnit};

use super::config::{DELAY_OFFSET, LoadedConfig};
use super::index::{IndexedLog, Loss};
use super::load::{LoadedFile, list};
use super::pull::{LogView, Pulled, pull};
use super::queue::{OnDisk, Unit, on_disk};
use super::settings::Settings;
use super::survey::{FirstPhysical, InLog, Survey, survey};
use super::{
    BootError, BootFlag, BootPrediction, Exit, GroupLosses, LogPrediction, Losses, QueuePrediction, QueueState,
    Refusal, Sim,
};

/// A cut is told by itself, and every abnormal start loses some of the newest index file. Only if that takes more than
/// this share of the log, in per cent, is it told as lost keys, too: the starts of real brokers were judged by look-ups
/// of fifty keys that lie in the first nine tenths of their logs.
const NOTABLE_SHARE: u64 = 10;
/// Topics that a broker knows without `topics.json`.
const BUILT_IN: &[&str] =
    &["TBW102", "SELF_TEST_TOPIC", "BenchmarkTest", "OFFSET_MOVED_EVENT", SCHEDULE_TOPIC, "TRANS_CHECK_MAX_TIME_TOPIC"];

/// Turns the state after the start into a prediction.
pub(super) fn conclude(
    mut sim: Sim<'_>,
    refused: Option<Refusal>,
    progress: &dyn Progress,
) -> Result<BootPrediction, BootError> {
    let before = queues_on_disk(&sim)?;
    let mut first_physical = FirstPhysical::new();
    for ((topic, queue_id), found) in &before {
        if let Some(first) = found.first_physical {
            first_physical.entry(topic.clone().into_bytes()).or_default().insert(*queue_id, first);
        }
    }
    // A refused start cuts nothing that is told here: what it did before is in the steps.
    let end_after = if refused.is_some() { u64::MAX } else { sim.recovered.end };
    let unseen = unseen_files(&sim)?;
    let survey = survey(&sim.log.files, &unseen, end_after, &first_physical, progress)?;
    let end_before = before.values().map(|found| found.physical_end).max().unwrap_or(0).max(survey.end);
    let mut log = LogPrediction {
        end_before,
        end_after: sim.recovered.end,
        scan_from: sim.recovered.scan_from,
        scan_bytes: sim.recovered.scan_bytes,
    };
    let (removed, created, rewritten) = sim.queue_files();
    let names = |paths: Vec<std::path::PathBuf>| paths.iter().map(|p| sim.settings.relative(p)).collect::<Vec<_>>();
    let (removed, created, rewritten) = (names(removed), names(created), names(rewritten));
    sim.files.removed.extend(removed);
    sim.files.created.extend(created);
    sim.files.rewritten.extend(rewritten);
    let new_index = sim.index.as_ref().map_or(0, super::SimIndex::created);
    sim.files.created.extend((1..=new_index).map(|n| format!("index/new-{n}")));

    let mut flags = BTreeSet::new();
    let mut losses = Losses::default();
    let mut unindexed = Vec::new();
    let mut again = 0;
    let queues = if refused.is_some() {
        flags.insert(BootFlag::Refuses);
        // Refused behind recovery: then the log was cut all the same.
        log.end_after = if sim.index.is_some() { sim.recovered.end } else { end_before };
        before.iter().map(|(key, found)| refused_queue(key, found, &survey)).collect()
    } else {
        let queues = queues_after(&mut sim, &before, &survey, &mut flags, &mut losses)?;
        log_flags(&sim, log, &mut flags);
        unindexed = index_flags(&sim, log, &survey, &mut flags, &mut losses)?;
        offsets(&mut sim, &queues, &mut losses);
        again = delayed_again(&sim, survey.newest_timestamp)?;
        if again > 0 {
            losses.redelivered.add(SCHEDULE_TOPIC, again);
            let detail = format!(
                "{again} delayed messages lie behind the offsets of delayOffset.json although they were due before the stop: they are delivered again"
            );
            sim.step("delayed", None, detail, sim.settings.rules.delay_offset.evidence);
        }
        remarks(&mut sim);
        queues
    };
    // Lost delay offsets are 0 again, which is noticed only if a message was delivered before.
    let noticed = |one: &LoadedConfig| one.lost.is_some() && (!one.file.file.ends_with(DELAY_OFFSET) || again > 0);
    if refused.is_none() && sim.loaded_configs.iter().any(noticed) {
        flags.insert(BootFlag::LosesConfig);
    }
    if flags.is_empty() {
        flags.insert(BootFlag::Starts);
    }
    let outcome = flags.first().copied().unwrap_or(BootFlag::Starts);
    let fires_at_once = if fires_at_once(&sim) { sim.dispatched.delayed } else { 0 };
    Ok(BootPrediction {
        release: sim.settings.release,
        exit: sim.exit,
        outcome,
        flags: flags.into_iter().collect(),
        steps: sim.steps,
        log,
        queues,
        files: sim.files,
        config: sim.loaded_configs.into_iter().map(|one| one.file).collect(),
        losses,
        unindexed,
        repeated: sim.dispatched.repeated,
        fires_at_once,
    })
}

type Key = (String, i32);

fn queues_on_disk(sim: &Sim<'_>) -> Result<BTreeMap<Key, OnDisk>, StoreError> {
    let mut log_min = None;
    for dir in &sim.settings.commitlog_dirs {
        let bases = list(dir)?.into_iter().filter(|entry| !entry.is_dir && entry.length > 0).filter_map(|e| e.base());
        log_min = log_min.into_iter().chain(bases).min();
    }
    let mut found = BTreeMap::new();
    for topic in list(&sim.settings.root.join("consumequeue"))? {
        for queue in list(&topic.path)?.into_iter().filter(|entry| entry.is_dir) {
            let Ok(queue_id) = queue.name.parse::<i32>() else { continue };
            found.insert((topic.name.clone(), queue_id), on_disk(&list(&queue.path)?, log_min.unwrap_or(0))?);
        }
    }
    Ok(found)
}

/// Files of the log that hold something and that the release does not see.
fn unseen_files(sim: &Sim<'_>) -> Result<Vec<LoadedFile>, StoreError> {
    let mut unseen = Vec::new();
    for dir in &sim.settings.commitlog_dirs {
        for entry in list(dir)?.into_iter().filter(|entry| !entry.is_dir && entry.length > 0) {
            let Some(base) = entry.base() else { continue };
            if !sim.log.files.iter().any(|file| file.path == entry.path) {
                unseen.push(LoadedFile { base, path: entry.path });
            }
        }
    }
    Ok(unseen)
}

/// What queue and log together know of a queue before the start.
fn state_before(found: &OnDisk, in_log: &InLog) -> QueueState {
    let from_log = in_log.kept + in_log.cut + in_log.unseen;
    let max = if from_log > 0 { u64::try_from(in_log.max_queue_offset.saturating_add(1)).unwrap_or(0) } else { 0 };
    let readable = found.readable.max(from_log);
    let max_offset = found.max_offset.max(max);
    QueueState {
        min_offset: found.min_offset.unwrap_or(max_offset).min(max_offset.saturating_sub(readable)),
        max_offset,
        readable,
    }
}

fn in_log(survey: &Survey, topic: &str, queue_id: i32) -> InLog {
    survey.queues.get(topic.as_bytes()).and_then(|queues| queues.get(&queue_id)).copied().unwrap_or_default()
}

fn refused_queue((topic, queue_id): &Key, found: &OnDisk, survey: &Survey) -> QueuePrediction {
    let before = state_before(found, &in_log(survey, topic, *queue_id));
    QueuePrediction {
        topic: topic.clone(),
        queue_id: *queue_id,
        before,
        after: None,
        lost: 0,
        wrong: 0,
        stuck_at: None,
    }
}

fn is_built_in(topic: &str) -> bool {
    BUILT_IN.contains(&topic)
        || topic.starts_with("RMQ_SYS_")
        || topic.starts_with("rmq_sys_")
        || topic.starts_with("%LMQ%")
}

fn queues_after(
    sim: &mut Sim<'_>,
    before: &BTreeMap<Key, OnDisk>,
    survey: &Survey,
    flags: &mut BTreeSet<BootFlag>,
    losses: &mut Losses,
) -> Result<Vec<QueuePrediction>, StoreError> {
    let settings = sim.settings;
    let topics = sim.configs.topics();
    let mut suspects = survey.suspects.clone();
    suspects.extend(&sim.recovered.lying);
    suspects.sort_unstable();
    let files = sim.recovered.files.clone();
    let log = LogView::new(&files, settings.log_file_size, sim.recovered.end, &settings.rules, &suspects);
    let mut keys: BTreeSet<Key> = before.keys().cloned().collect();
    keys.extend(sim.queues.iter().flat_map(|(t, queues)| queues.keys().map(move |q| (t.clone(), *q))));
    for (topic, queues) in &survey.queues {
        let topic = String::from_utf8_lossy(topic).into_owned();
        if sim.batch_topics.contains(&topic) {
            continue;
        }
        let known = topics.as_ref().is_none_or(|table| table.topics.contains_key(&topic)) || is_built_in(&topic);
        if known || sim.queues.contains_key(&topic) {
            keys.extend(queues.keys().map(|queue_id| (topic.clone(), *queue_id)));
        } else {
            // The topic was deleted, or is younger than this config: its messages are there, but nobody misses a queue.
            losses.hidden.add(&topic, queues.values().map(|queue| queue.kept + queue.unseen).sum());
            losses.cut.add(&topic, queues.values().map(|queue| queue.cut).sum());
        }
    }
    let mut predictions = Vec::new();
    let mut unknown_topics = BTreeSet::new();
    for key in keys {
        let (topic, queue_id) = &key;
        let found = before.get(&key).copied().unwrap_or_default();
        let in_log = in_log(survey, topic, *queue_id);
        let before = state_before(&found, &in_log);
        let queue = sim.queues.get(topic).and_then(|queues| queues.get(queue_id));
        let known = topics.as_ref().is_none_or(|table| table.topics.contains_key(topic)) || is_built_in(topic);
        let pulled = match queue {
            Some(queue) if known => pull(queue, &log)?,
            _ => Pulled::default(),
        };
        let after = QueueState {
            min_offset: queue.map_or(0, super::SimQueue::min_offset),
            max_offset: queue.map_or(0, super::SimQueue::max_offset),
            readable: pulled.got,
        };
        if topic.is_empty() {
            continue;
        }
        if !known && before.readable > 0 {
            unknown_topics.insert(topic.clone());
        }
        if pulled.wrong > 0 {
            flags.insert(BootFlag::WrongMessages);
        }
        if pulled.stuck_at.is_some() {
            flags.insert(BootFlag::ConsumerStuck);
        }
        if after.readable < before.readable {
            flags.insert(BootFlag::LosesQueueEntries);
        }
        let reached = pulled.got.saturating_sub(pulled.wrong) + pulled.displaced;
        let unreached = (in_log.kept + in_log.unseen).saturating_sub(reached);
        let skipped = if pulled.stuck_at.is_some() { unreached } else { pulled.passed_over.min(unreached) };
        losses.skipped.add(topic, skipped);
        losses.hidden.add(topic, unreached - skipped);
        losses.cut.add(topic, in_log.cut);
        predictions.push(QueuePrediction {
            topic: topic.clone(),
            queue_id: *queue_id,
            before,
            after: Some(after),
            lost: unreached + in_log.cut,
            wrong: pulled.wrong,
            stuck_at: pulled.stuck_at,
        });
    }
    let evidence = settings.rules.unreadable_unit.evidence;
    for queue in predictions.iter().filter(|queue| queue.stuck_at.is_some()) {
        let how = match settings.rules.unreadable_unit.value {
            UnreadableUnit::NeverAnswered => "is never answered",
            UnreadableUnit::FailsWithCode1 => "fails with code 1",
            _ => "fails",
        };
        let at = queue.stuck_at.unwrap_or(0);
        let detail =
            format!("queue {} of {}: the pull at {at} {how}, and consumers stay there", queue.queue_id, queue.topic);
        sim.step("stuck", None, detail, evidence);
    }
    if !unknown_topics.is_empty() {
        flags.insert(BootFlag::LosesConfig);
        let names = unknown_topics.into_iter().collect::<Vec<_>>().join(", ");
        let detail =
            format!("topics with queues that the broker does not know, so that every pull answers code 17: {names}");
        sim.step("unknown_topics", None, detail, settings.rules.topics_json_place.evidence);
    }
    Ok(predictions)
}

fn log_flags(sim: &Sim<'_>, log: LogPrediction, flags: &mut BTreeSet<BootFlag>) {
    if sim.log.files.is_empty() {
        if sim.destroyed {
            flags.insert(BootFlag::DestroysQueues);
        } else if log.end_before > 0 {
            flags.insert(BootFlag::Blind);
        }
    } else if log.end_after < log.end_before {
        flags.insert(BootFlag::Truncates);
    }
}

fn index_flags(
    sim: &Sim<'_>,
    log: LogPrediction,
    survey: &Survey,
    flags: &mut BTreeSet<BootFlag>,
    losses: &mut Losses,
) -> Result<Vec<(u64, u64)>, StoreError> {
    let Some(index) = &sim.index else { return Ok(Vec::new()) };
    let files = &sim.recovered.files;
    let indexed = IndexedLog {
        begin: files.first().map_or(0, |file| file.base),
        end: log.end_after,
        scan_from: log.scan_from,
        unreadable: unreadable(files, sim.settings, log.end_after),
    };
    let found = index.losses(&indexed, sim.exit == Exit::Abort)?;
    losses.index_keys = found.lost;
    let length = log.end_before.saturating_sub(survey.min.unwrap_or(0));
    let cut = log.end_before.saturating_sub(log.end_after);
    let notable = |bytes: u64| bytes.saturating_mul(100) > length.saturating_mul(NOTABLE_SHARE);
    let lost = notable(cut) || notable(found.bytes(Loss::OfNewest)) || found.bytes(Loss::Unexpected) > 0;
    if sim.settings.message_index && length > 0 && lost {
        flags.insert(BootFlag::LosesIndex);
    }
    Ok(found.ranges.iter().map(|range| (range.from, range.to)).collect())
}

/// Stretches of the log that reads do not reach because a file before or in them is missing.
fn unreadable(files: &[LoadedFile], settings: &Settings, end: u64) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    for (a, b) in files.iter().zip(files.iter().skip(1)) {
        let from = a.base.saturating_add(settings.log_file_size);
        if from < b.base {
            let by_count = settings.rules.file_lookup.value == FileLookup::ByFileCount;
            found.push((from, if by_count { end } else { b.base }));
            if by_count {
                break;
            }
        }
    }
    found
}

/// What each group loses, and committed offsets that no longer lie in their queue.
fn offsets(sim: &mut Sim<'_>, queues: &[QueuePrediction], losses: &mut Losses) {
    let rule = sim.settings.rules.overflow_badly;
    let table = sim.configs.consumer_offsets().unwrap_or_default();
    let mut beyond = Vec::new();
    for committed in table.committed() {
        let queue = queues.iter().find(|q| q.topic == committed.topic && q.queue_id == committed.queue_id);
        let Some((queue, after)) = queue.and_then(|queue| Some((queue, queue.after?))) else { continue };
        let from = u64::try_from(committed.offset).unwrap_or(0).max(queue.before.min_offset);
        let mut group = GroupLosses {
            unread_lost: queue.lost.min(queue.before.max_offset.saturating_sub(from)),
            ..GroupLosses::default()
        };
        if u64::try_from(committed.offset).is_ok_and(|offset| offset > after.max_offset) {
            let again = rule.value == OverflowBadly::MinIfZero && after.min_offset == 0;
            if again {
                losses.redelivered.add(committed.topic, after.readable);
                group.redelivered = after.readable;
            }
            group.queues_beyond_end = 1;
            let goes_to = if again { 0 } else { after.max_offset };
            beyond.push(format!(
                "group {} has committed {} in queue {} of {}, which ends at {}: it is sent to {goes_to}",
                committed.group, committed.offset, committed.queue_id, committed.topic, after.max_offset
            ));
        }
        if group != GroupLosses::default() {
            let all = losses.groups.entry(committed.group.to_owned()).or_default();
            all.unread_lost += group.unread_lost;
            all.redelivered += group.redelivered;
            all.queues_beyond_end += group.queues_beyond_end;
        }
    }
    for detail in beyond {
        sim.step("offset_beyond_queue", None, detail, rule.evidence);
    }
}

/// Delayed messages at or behind the loaded offset of their level that were due when the newest message was stored.
fn delayed_again(sim: &Sim<'_>, newest_timestamp: i64) -> Result<u64, StoreError> {
    if sim.settings.slave {
        return Ok(0);
    }
    let table = sim.configs.delay_offsets().unwrap_or_default();
    let mut again = 0;
    for (queue_id, queue) in sim.queues.get(SCHEDULE_TOPIC).into_iter().flatten() {
        let from = table.offset_table.get(&(queue_id + 1)).copied().unwrap_or(0);
        let from = u64::try_from(from).unwrap_or(0).max(queue.min_offset());
        for file in &queue.files {
            let (first, map) = (file.base / CQ_UNIT_LENGTH as u64, file.open()?);
            for n in from.saturating_sub(first)..queue.units_in_file() {
                if first + n >= queue.max_offset() {
                    break;
                }
                if let Unit::OnDisk(unit) = queue.unit_in(map.as_ref(), first, n) {
                    again += u64::from(unit.is_valid() && (1..newest_timestamp).contains(&unit.tags_code));
                }
            }
        }
    }
    Ok(again)
}

/// Whether units of delayed messages that the start builds are due at once.
fn fires_at_once(sim: &Sim<'_>) -> bool {
    sim.exit == Exit::Abort && sim.settings.rules.rebuilt_delay_fires_at_once.value
}

/// What is worth saying although no flag has a word for it.
fn remarks(sim: &mut Sim<'_>) {
    let rules = &sim.settings.rules;
    if sim.exit == Exit::Abort && rules.abort_dispatch.value == AbortDispatch::Racing && sim.dispatched.offered > 0 {
        let detail = "the queues are cut by one thread while another appends: some such starts left a queue damaged, verify them";
        sim.step("dispatch", None, detail, rules.abort_dispatch.evidence);
    }
    if fires_at_once(sim) && sim.dispatched.delayed > 0 {
        let detail = format!("{} delayed messages whose units are built anew fire at once", sim.dispatched.delayed);
        sim.step("delayed", None, detail, rules.rebuilt_delay_fires_at_once.evidence);
    }
    if !sim.recovered.lying.is_empty() {
        let detail = "a record whose total size lies was counted as valid: the end of the log is not where its records end, and the next start cuts there";
        sim.step("next_start", None, detail, rules.length_mismatch.evidence);
    }
    if sim.recovered.cut_by.is_some_and(|why| why != "there is no record") {
        let detail = "the bytes behind the end are not zeroed: if new records end on an old boundary, a later start takes the old ones for live";
        sim.step("next_start", None, detail, Evidence::Derived);
    }
}
