//! Two stores that were one, and of which it is known where they part.
//!
//! Where is told by comparing the bytes of all records one by one, in a loop of three lines: what a pair must have in
//! common are its records and the headers of its blanks, up to the end of the shorter log.

#![expect(clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::{Message, Placed, StoreBuilder, damage, noise};

/// Records of each log.
pub const RECORDS: usize = 40;
/// Queues of the topic `T`; record `n` is in queue `n % QUEUES`.
pub const QUEUES: usize = 3;
const FILE: u64 = 4096;
/// Place of `storeTimestamp`'s last byte in a record: no checksum covers it.
const STORE_TIMESTAMP_END: u64 = 63;

/// What is done to the second of two equal stores.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// Bit `bit` of the byte at `share` (0 to 1) of the log before its last record is flipped.
    FlippedByte {
        /// Which byte.
        share: f64,
        /// Which bit.
        bit: u8,
    },
    /// From this record on nothing was written.
    CutTail(usize),
    /// The log was cut at this record, and another master wrote on.
    RewrittenTail(usize),
    /// A file of the log is gone that is neither the first nor the last, counted from those.
    MissingMiddleFile(usize),
    /// All files of a queue are gone.
    LostQueue(usize),
    /// The slave was master from record `first` on, and slave again from record `back` on.
    RolesSwappedTwice {
        /// The first record of its own.
        first: usize,
        /// The first record that it got from the master again.
        back: usize,
    },
}

/// What must be found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// The first byte that differs.
    pub physical_offset: Option<u64>,
    /// Where the record or blank begins that holds it.
    pub record_offset: Option<u64>,
    /// First byte and length of the missing file.
    pub gap: Option<(u64, u64)>,
    /// The lost queue.
    pub queue: Option<u32>,
    /// Where the second log ends, if the change decides that.
    pub end: Option<u64>,
}

type LogFiles = Vec<(u64, Vec<u8>)>;

/// Two stores in one folder; every [`change`](Self::change) begins with equal ones.
#[derive(Debug)]
pub struct Pair {
    dir: PathBuf,
    placed: Vec<Placed>,
    sound: LogFiles,
    /// By the record from which another master wrote: its log, and where that ends.
    rewritten: Vec<(LogFiles, u64)>,
    queues: Vec<(PathBuf, Vec<u8>)>,
    /// The log of the second store as it lies on disk: only what changes is written.
    written: Mutex<LogFiles>,
    queue_is_gone: Mutex<bool>,
}

impl Pair {
    /// Writes both stores below `dir`.
    pub fn new(dir: &Path) -> Self {
        let placed = write(&dir.join("a"), RECORDS);
        write(&dir.join("b"), RECORDS);
        let rewritten = (0..RECORDS).map(|n| {
            let root = dir.join("other");
            let placed = write(&root, n);
            let files = log_files(&root);
            fs::remove_dir_all(&root).expect("the folder just written");
            (files, end_of(&placed))
        });
        let queues = (0..QUEUES).flat_map(|queue| damage::files(&dir.join(format!("b/consumequeue/T/{queue}"))));
        let queues = queues.map(|path| (path.clone(), fs::read(path).expect("a queue's file"))).collect();
        let sound = log_files(&dir.join("a"));
        let written = Mutex::new(log_files(&dir.join("b")));
        Self {
            rewritten: rewritten.collect(),
            queues,
            sound,
            placed,
            dir: dir.to_owned(),
            written,
            queue_is_gone: Mutex::default(),
        }
    }

    /// Root of the first store, which is never changed.
    pub fn a(&self) -> PathBuf {
        self.dir.join("a")
    }

    /// Root of the second store.
    pub fn b(&self) -> PathBuf {
        self.dir.join("b")
    }

    /// Files of the log that [`Change::MissingMiddleFile`] can take away.
    pub fn middle_files(&self) -> usize {
        self.sound.len() - 2
    }

    /// Makes the stores equal again, then changes the second one.
    pub fn change(&self, change: Change) -> Known {
        let mut gone = self.queue_is_gone.lock().expect("no test failed");
        for (path, bytes) in self.queues.iter().filter(|_| *gone) {
            fs::create_dir_all(path.parent().expect("a folder")).expect("the queue's folder");
            fs::write(path, bytes).expect("the queue's file");
        }
        *gone = matches!(change, Change::LostQueue(_));
        let mut files = self.sound.clone();
        let mut end = end_of(&self.placed);
        let mut known = Known::default();
        match change {
            Change::FlippedByte { share, bit } => {
                let last = self.placed[RECORDS - 1].physical_offset;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
                let offset = (share * last as f64) as u64;
                *byte(&mut files, offset.min(last - 1)) ^= 1 << bit;
            }
            Change::CutTail(n) => {
                let cut = self.placed[n].physical_offset;
                (cut..end).for_each(|offset| *byte(&mut files, offset) = 0);
                end = cut;
                known.end = Some(cut);
            }
            Change::RewrittenTail(n) => {
                (files, end) = self.rewritten[n].clone();
                known.end = Some(end);
            }
            Change::MissingMiddleFile(n) => {
                let (from, bytes) = files.remove(n + 1);
                known.gap = Some((from, bytes.len() as u64));
            }
            Change::LostQueue(queue) => {
                fs::remove_dir_all(self.b().join(format!("consumequeue/T/{queue}"))).expect("the queue's folder");
                known.queue = u32::try_from(queue).ok();
            }
            Change::RolesSwappedTwice { first, back } => {
                for placed in &self.placed[first..back] {
                    *byte(&mut files, placed.physical_offset + STORE_TIMESTAMP_END) ^= 1;
                }
            }
        }
        self.write_log(&files);
        known.physical_offset = self.first_difference(&files, end);
        known.record_offset = known.physical_offset.map(|at| self.start_of(at));
        known
    }

    fn write_log(&self, files: &LogFiles) {
        let path = |from: &u64| self.b().join(format!("commitlog/{from:020}"));
        let mut written = self.written.lock().expect("no test failed");
        for (from, _) in written.iter().filter(|(from, _)| files.iter().all(|(other, _)| other != from)) {
            fs::remove_file(path(from)).expect("a file of the log");
        }
        for (from, bytes) in files.iter().filter(|file| !written.contains(file)) {
            fs::write(path(from), bytes).expect("a file of the log");
        }
        written.clone_from(files);
    }

    /// By the first store's records, since up to the first difference they are the second one's, too.
    fn first_difference(&self, files: &LogFiles, end: u64) -> Option<u64> {
        let end = end.min(end_of(&self.placed));
        let of = |files: &LogFiles, at: u64| {
            files
                .iter()
                .find(|(from, _)| *from == at - at % FILE)
                .map(|f| f.1[usize::try_from(at % FILE).expect("an index")])
        };
        let part = |at: &u64| of(files, *at).is_some_and(|byte| Some(byte) != of(&self.sound, *at));
        self.compared().flatten().take_while(|at| *at < end).find(part)
    }

    /// Records, and headers of blanks.
    fn compared(&self) -> impl Iterator<Item = std::ops::Range<u64>> {
        self.placed.iter().enumerate().flat_map(|(n, placed)| {
            let end = placed.physical_offset + placed.size as u64;
            let blank = self.placed.get(n + 1).filter(|next| next.physical_offset != end).map(|_| end..end + 8);
            std::iter::once(placed.physical_offset..end).chain(blank)
        })
    }

    fn start_of(&self, at: u64) -> u64 {
        self.compared().find(|range| range.contains(&at)).expect("a record or a blank").start
    }
}

fn byte(files: &mut LogFiles, at: u64) -> &mut u8 {
    let (from, bytes) = files.iter_mut().rfind(|(from, _)| *from <= at).expect("a file");
    &mut bytes[usize::try_from(at - *from).expect("an index")]
}

fn end_of(placed: &[Placed]) -> u64 {
    placed.last().map_or(0, |last| last.physical_offset + last.size as u64)
}

/// A store whose records are another master's from `tail` on: other bodies of other lengths.
fn write(root: &Path, tail: usize) -> Vec<Placed> {
    let mut writer = StoreBuilder::new(root).commitlog_file_size(FILE).start();
    let mut placed = Vec::new();
    for n in 0..RECORDS {
        let other = if n >= tail { 11 } else { 0 };
        let queue = i32::try_from(n % QUEUES).expect("a queue");
        let body = noise(200 + n % 7 + other, (n + 1000 * other) as u64);
        let at = 1_700_000_000_000 + i64::try_from(n).expect("a second") * 1000;
        placed.push(writer.put(&Message::new("T", queue).at(at).body(body)));
    }
    writer.finish();
    placed
}

/// The files of a log, by their offsets.
fn log_files(root: &Path) -> LogFiles {
    let number = |path: &Path| path.file_name()?.to_str()?.parse().ok();
    let read = |path: &PathBuf| (number(path).expect("a number"), fs::read(path).expect("a file of the log"));
    damage::files(&root.join("commitlog")).iter().map(read).collect()
}
