//! Which log files a run reads, and sets of physical ranges.

use mqstore_core::store::QueueFile;

use super::facts::first_store_timestamp;
use super::{Context, Sample};

/// Files of the log that the quick level reads, as many as a clean start scans up to 5.3.1.
const QUICK_FILES: usize = 3;

/// The log files to read, by number, and why the others are left out.
pub(super) fn log_files(cx: &mut Context<'_>) -> Vec<usize> {
    let files = cx.log_files();
    let count = files.len();
    let options = cx.options;
    let mut from = 0;
    if !cx.is_full() {
        // Empty files behind the end count as the broker counts them.
        from = count.saturating_sub(QUICK_FILES);
    }
    if let Some(since) = options.since {
        // Messages behind `since` begin in the last file that begins before it.
        let later = files.iter().position(|f| first_store_timestamp(f).is_none_or(|t| t > since)).unwrap_or(count);
        from = from.max(later.saturating_sub(1));
    }
    if let Some(most) = options.max_bytes {
        let mut bytes = 0;
        let fits = files.iter().rev().take_while(|f| {
            bytes += f.length;
            bytes <= most
        });
        from = from.max(count - fits.count().max(1).min(count));
    }
    let last = count.saturating_sub(1);
    let mut chosen: Vec<usize> = (from..count).collect();
    if let Some(sample) = options.sample {
        chosen.retain(|n| *n == last || files.get(*n).is_some_and(|file| drawn(sample, file)));
    }
    if chosen.len() < count && cx.is_full() {
        let why = format!("asked for a part of the log: {} of {count} files read", chosen.len());
        cx.report.skip_as_asked("commitlog", why);
    }
    chosen
}

fn drawn(sample: Sample, file: &QueueFile) -> bool {
    let mut x = file.file_from_offset ^ sample.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (x ^ (x >> 31)) % u64::from(sample.of.max(1)) < u64::from(sample.n)
}

/// Ranges of physical offsets, kept sorted and joined; they are added in rising order.
#[derive(Debug, Default)]
pub(super) struct Ranges(Vec<(u64, u64)>);

/// Ranges kept apart; behind that, neighbours are joined, so that hostile bytes cannot eat the memory.
const MOST_RANGES: usize = 1 << 20;

impl Ranges {
    pub(super) fn add(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        let full = self.0.len() >= MOST_RANGES;
        match self.0.last_mut() {
            Some((_, end)) if *end >= from || full => *end = (*end).max(to),
            _ => self.0.push((from, to)),
        }
    }

    pub(super) fn contains(&self, offset: u64) -> bool {
        let after = self.0.partition_point(|(from, _)| *from <= offset);
        after.checked_sub(1).and_then(|n| self.0.get(n)).is_some_and(|(_, to)| offset < *to)
    }

    /// Where the last range ends, if there is any.
    pub(super) fn end(&self) -> Option<u64> {
        self.0.last().map(|(_, to)| *to)
    }

    /// The first offset of all, if there is any.
    pub(super) fn first(&self) -> Option<u64> {
        self.0.first().map(|(from, _)| *from)
    }
}
