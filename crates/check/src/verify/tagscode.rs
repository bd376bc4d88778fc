//! The tags code of a unit against its message: a hash, a due time, or the address of an extension unit.

use std::collections::BTreeMap;

use mqstore_core::format::commitlog::MessageRecord;
use mqstore_core::format::consumequeue::{CqUnit, TagsCode};
use mqstore_core::format::consumequeue_ext::CqExtUnit;
use mqstore_core::format::java_hash;
use mqstore_core::format::system_topic::SCHEDULE_TOPIC;
use mqstore_core::store::MappedFileQueue;

use super::record::{Known, number};
use super::{Context, finding};
use crate::finding::Location;

/// Delays of the default `messageDelayLevel` in seconds; level 1 first.
const DELAYS: [i64; 18] = [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];
/// What 3.2.6 may be off: it reads the clock twice for a delayed message. Milliseconds.
const TWO_CLOCK_READS: i64 = 5000;
/// Different delays of one level that are told apart.
const MOST_DELAYS: usize = 16;
/// The longest extension unit.
const EXT_UNIT_LENGTH: usize = 32_767;

/// The messages of one level that have the same delay.
#[derive(Debug)]
struct Delayed {
    count: u64,
    first: Location,
    tags_code: i64,
    /// The tags code is that of a message without delay.
    rebuilt: bool,
}

/// The delays seen, by level and by milliseconds.
#[derive(Debug, Default)]
pub(super) struct Delays(BTreeMap<i64, BTreeMap<i64, Delayed>>);

/// Compares the tags code of `unit`, which lies at `place`, with what the release that wrote it computes.
pub(super) fn check(
    cx: &mut Context<'_>,
    delays: &mut Delays,
    place: impl Fn() -> Location,
    unit: CqUnit,
    record: &MessageRecord<'_>,
    known: &Known<'_>,
) {
    let level = known.delay.and_then(number).filter(|level| *level > 0);
    let hash = i64::from(known.tags.map_or(0, java_hash));
    if record.topic == SCHEDULE_TOPIC.as_bytes()
        && let Some(level) = level
    {
        // 4.9.2 to 4.9.8 rebuild such units with the hash of the tag: the message fires at once.
        let delay = unit.tags_code.saturating_sub(record.store_timestamp);
        let seen = delays.0.entry(level).or_default();
        if seen.len() < MOST_DELAYS || seen.contains_key(&delay) {
            // 3.5.5 and later clients give every message a unique key; a message without one may be from 3.2.6.
            let default = usize::try_from(level - 1).ok().and_then(|n| DELAYS.get(n)).map(|s| s * 1000);
            let slack = if known.uniq_key.is_none() { TWO_CLOCK_READS } else { 0 };
            let delay = default.filter(|d| (0..=slack).contains(&delay.saturating_sub(*d))).unwrap_or(delay);
            let rebuilt = unit.tags_code == hash || unit.tags_code == 0;
            let first = || Delayed { count: 0, first: place(), tags_code: unit.tags_code, rebuilt };
            seen.entry(delay).or_insert_with(first).count += 1;
        }
        return;
    }
    if let TagsCode::ExtAddress(address) = unit.tags_code_kind() {
        check_ext(cx, place, address, hash, record);
        return;
    }
    // Java and Rust disagree on the replacement characters of text that is not UTF-8.
    let comparable = known.tags.is_none_or(|tags| std::str::from_utf8(tags).is_ok());
    if unit.tags_code != hash && comparable {
        let tag = String::from_utf8_lossy(known.tags.unwrap_or_default()).into_owned();
        let message = format!("tags code {} of a message with tag {tag:?}", unit.tags_code);
        cx.push(finding("queue.tags-code", place(), message).values(hash, unit.tags_code));
    }
}

fn check_ext(cx: &mut Context<'_>, place: impl Fn() -> Location, address: u64, hash: i64, record: &MessageRecord<'_>) {
    if !cx.is_full() {
        return;
    }
    let at = place();
    let topic = at.topic.clone().unwrap_or_default();
    let dir = cx.store.root().join("consumequeue_ext").join(topic).join(at.queue_id.unwrap_or(0).to_string());
    let mut bytes = vec![0; EXT_UNIT_LENGTH];
    let unit = MappedFileQueue::list(&[dir]).ok().and_then(|queue| {
        let file = queue.find(address)?;
        let open = std::fs::File::open(&file.path).ok()?;
        let read = std::os::unix::fs::FileExt::read_at(&open, &mut bytes, address - file.file_from_offset).ok()?;
        CqExtUnit::read(bytes.get(..read)?, 0).ok().flatten()
    });
    let right = unit.is_some_and(|u| u.tags_code == hash && u.store_time == record.store_timestamp);
    if !right {
        let actual = unit.map_or("no unit".to_owned(), |u| format!("tags code {}, time {}", u.tags_code, u.store_time));
        let message = format!("extension address {address} of a unit leads to {actual}");
        let expected = format!("tags code {hash}, time {}", record.store_timestamp);
        cx.push(finding("queue.ext", at, message).values(expected, actual));
    }
}

impl Delays {
    /// Tells of the messages whose delay is none of their level. The levels may have been configured otherwise, so what
    /// most messages of a level have is right.
    pub(super) fn finish(self, cx: &mut Context<'_>) {
        for (level, seen) in self.0 {
            let default = usize::try_from(level - 1).ok().and_then(|n| DELAYS.get(n)).map(|s| s * 1000);
            let usual = seen.iter().max_by_key(|(_, delayed)| delayed.count).map(|(delay, _)| *delay);
            let right = default.filter(|delay| seen.contains_key(delay)).or(usual);
            for (delay, delayed) in seen.into_iter().filter(|(delay, _)| Some(*delay) != right) {
                let Delayed { count, first: place, tags_code, rebuilt } = delayed;
                let why = if rebuilt { ", as a rebuild of 4.9.2 to 4.9.8 leaves it" } else { "" };
                let message = format!("{count} delayed messages of level {level} have the tags code {tags_code}{why}");
                let expected = right.map_or(String::new(), |right| format!("store time + {right} ms"));
                let found = finding("queue.delay-time", place, message);
                cx.push(found.values(expected, format_args!("store time + {delay} ms")));
            }
        }
    }
}
