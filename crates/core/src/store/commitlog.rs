//! The commit log as a whole: where it begins, where it ends, and every entry between.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::mapped_file_queue::{MappedFileQueue, QueueFile};
use crate::bytes::is_zero;
use crate::error::{FormatError, FormatErrorKind, StoreError};
use crate::format::commitlog::{Entries, Entry, MIN_RECORD_LENGTH, MessageRecord, resync};
use crate::offset::PhysicalOffset;

/// Files that a normal start of a broker before 5.3.2 scans (`CommitLog.recoverNormally`).
const NORMAL_RECOVERY_FILES: usize = 3;

/// The commit log of a store.
#[derive(Debug, Clone)]
pub struct CommitLog {
    dirs: Vec<PathBuf>,
    queue: MappedFileQueue,
}

/// What lies where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEndKind {
    /// Zeros to the end of the last file: a healthy active file.
    Zeros,
    /// Nothing: the last file is full and no next one exists, or there is no file at all.
    FileEnd,
    /// The beginning of a record that was never completed, and no record behind it. Normal after a power loss and on
    /// a slave.
    Torn,
    /// Something else: bytes that are no record, or a bad record with good ones behind it.
    Garbage,
}

impl LogEndKind {
    /// The word for it in all outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zeros => "zeros",
            Self::FileEnd => "file-end",
            Self::Torn => "torn",
            Self::Garbage => "garbage",
        }
    }
}

/// Records behind the end of the log that can still be read: a broker cuts or hides them at its next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StaleTail {
    /// Where the first of them stands.
    pub first: PhysicalOffset,
    /// Where the last of them ends.
    pub end: PhysicalOffset,
    /// How many there are.
    pub records: u64,
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogEnd {
    /// The first offset that holds no valid entry: where a broker goes on writing.
    pub offset: PhysicalOffset,
    /// What lies there.
    pub kind: LogEndKind,
    /// Why the bytes there are no entry; `None` at the end of the last file.
    pub error: Option<FormatError>,
    /// Records that can still be read behind it.
    pub stale: Option<StaleTail>,
    /// Records seen.
    pub records: u64,
    /// Blanks seen.
    pub blanks: u64,
    /// The visitor ended the scan; offset is where it did, and nothing is known about the end of the log.
    pub stopped: bool,
}

impl CommitLog {
    pub(super) fn open(dirs: Vec<PathBuf>) -> Result<Self, StoreError> {
        let queue = MappedFileQueue::list(&dirs)?;
        Ok(Self { dirs, queue })
    }

    /// A log that is a single file outside a store; its name must be its offset.
    pub fn single_file(path: &std::path::Path) -> Result<Self, StoreError> {
        let dir = path.parent().unwrap_or(std::path::Path::new(".")).to_path_buf();
        let name = path.file_name().unwrap_or_default();
        if super::mapped_file_queue::parse_file_name(name).is_none() {
            return Err(StoreError::layout(path, "not a commit log file: expected a name of 20 digits, its offset"));
        }
        Ok(Self { queue: MappedFileQueue::list_one(path)?, dirs: vec![dir] })
    }

    /// The folders that hold it; several with the multi-path log of 4.9.2 and later.
    pub fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// Its files.
    pub fn queue(&self) -> &MappedFileQueue {
        &self.queue
    }

    /// The files, by offset.
    pub fn files(&self) -> &[QueueFile] {
        self.queue.files()
    }

    /// Length of a file in bytes, as most files have it.
    pub fn file_size(&self) -> u64 {
        self.queue.file_size()
    }

    /// Whether there is no file at all.
    pub fn is_empty(&self) -> bool {
        self.files().is_empty()
    }

    /// Physical offset of the first byte; 0 for a log without files.
    pub fn min_offset(&self) -> PhysicalOffset {
        PhysicalOffset(self.queue.min_offset().unwrap_or(0))
    }

    /// Where the log ends, found as a broker does at a normal start: from the third last file on, each record with its
    /// CRC. Damage before that goes unnoticed, as it does there. A broker from 5.3.2 on looks at fewer files.
    pub fn end(&self) -> Result<LogEnd, StoreError> {
        self.scan(self.recovery_start(), true, |_| ControlFlow::Continue(()))
    }

    /// Where [`end`](Self::end) begins to look: the third last file. For callers who want to see its records as well.
    pub fn recovery_start(&self) -> PhysicalOffset {
        let first = self.files().len().saturating_sub(NORMAL_RECOVERY_FILES);
        PhysicalOffset(self.files().get(first).map_or(0, |file| file.file_from_offset))
    }

    /// Hands every entry from `from` on to `visit`, in order, and says where and how the log ends.
    ///
    /// `from` must be the start of a record or of a file; an offset before the first file means the first file. With
    /// `body_crc`, a record with a bad body ends the log, as in a broker's recovery with its default settings. A blank
    /// leads to the next file there is, across gaps. One file is mapped at a time.
    pub fn scan(
        &self,
        from: PhysicalOffset,
        body_crc: bool,
        mut visit: impl FnMut(&Entry<'_>) -> ControlFlow<()>,
    ) -> Result<LogEnd, StoreError> {
        let mut end = LogEnd {
            offset: from,
            kind: LogEndKind::FileEnd,
            error: None,
            stale: None,
            records: 0,
            blanks: 0,
            stopped: false,
        };
        let first = self.files().partition_point(|file| file.end() <= from.get());
        for (number, file) in self.files().iter().enumerate().skip(first) {
            let map = file.map()?;
            map.advise_sequential();
            let base = PhysicalOffset(file.file_from_offset);
            let relative = usize::try_from(from.since(base)).unwrap_or(usize::MAX);
            let entries = Entries::starting_at(&map, base, relative);
            end.offset = entries.position();
            let mut closed = false;
            for entry in entries {
                let entry = match entry {
                    Ok(Entry::Message(record)) if body_crc => record.check_body_crc().map(|()| Entry::Message(record)),
                    other => other,
                };
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        let end = self.classify(end, error, &map, number)?;
                        map.check()?;
                        return Ok(end);
                    }
                };
                match &entry {
                    Entry::Message(_) => end.records += 1,
                    Entry::Blank(_) => end.blanks += 1,
                }
                if visit(&entry).is_break() {
                    return Ok(LogEnd { stopped: true, offset: entry.position(), ..end });
                }
                match entry {
                    Entry::Message(record) => end.offset = record.end(),
                    Entry::Blank(_) => closed = true,
                }
            }
            map.check()?;
            // Fewer bytes are left than an entry has, or none: the broker reads past the end, fails, and stops here.
            if !closed && end.offset.get() < file.end() {
                let error = Entry::parse(&[], end.offset).err();
                return Ok(LogEnd { error, ..end });
            }
        }
        Ok(end)
    }

    /// Where the first entry at or behind `wanted` begins, if a record or blank is there or can be found by [`resync`].
    /// A gap between two files leads to the next file. `None` behind the last record.
    pub fn entry_from(&self, wanted: PhysicalOffset) -> Result<Option<PhysicalOffset>, StoreError> {
        for file in self.files().iter().skip(self.files().partition_point(|file| file.end() <= wanted.get())) {
            let map = file.map()?;
            let base = PhysicalOffset(file.file_from_offset);
            let relative = position_in(base, wanted);
            let entry = Entry::parse(map.get(relative..).unwrap_or_default(), base + relative as u64);
            let is_in_place = match &entry {
                Ok(Entry::Message(record)) => record.physical_offset.cast_unsigned() == record.position.get(),
                Ok(Entry::Blank(_)) => true,
                Err(_) => false,
            };
            let found = match entry {
                Ok(entry) if is_in_place => Some(entry.position()),
                _ => resync(&map, base, relative).map(|record| record.position),
            };
            map.check()?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Hands the record at `offset` to `read`. `None` where no file is or no record begins.
    pub fn with_record<T>(
        &self,
        offset: PhysicalOffset,
        read: impl FnOnce(&MessageRecord<'_>) -> T,
    ) -> Result<Option<T>, StoreError> {
        let Some(file) = self.queue.find(offset.get()) else { return Ok(None) };
        let map = file.map()?;
        let relative = position_in(PhysicalOffset(file.file_from_offset), offset);
        let record = MessageRecord::parse(map.get(relative..).unwrap_or_default(), offset);
        let result = record.ok().map(|record| read(&record));
        map.check()?;
        Ok(result)
    }

    /// What lies at `end.offset`, in file `number` and behind, that is no entry because of `error`.
    fn classify(&self, end: LogEnd, error: FormatError, map: &[u8], number: usize) -> Result<LogEnd, StoreError> {
        let files = self.files();
        let base = files.get(number).map_or(0, |file| file.file_from_offset);
        let relative = usize::try_from(end.offset.get() - base).unwrap_or(usize::MAX);
        let rest = map.get(relative..).unwrap_or_default();
        let mut stale = stale_records(map, PhysicalOffset(base), relative);
        let mut zeros = is_zero(rest);
        for file in files.get(number + 1..).unwrap_or_default() {
            let map = file.map()?;
            if is_zero(&map) {
                map.check()?;
                continue;
            }
            zeros = false;
            let more = stale_records(&map, PhysicalOffset(file.file_from_offset), 0);
            map.check()?;
            stale = match (stale, more) {
                (Some(a), Some(b)) => Some(StaleTail { end: b.end, records: a.records + b.records, ..a }),
                (a, b) => a.or(b),
            };
        }
        let kind = if zeros {
            LogEndKind::Zeros
        } else if stale.is_none() && is_torn(&error, rest) {
            LogEndKind::Torn
        } else {
            LogEndKind::Garbage
        };
        Ok(LogEnd { kind, error: Some(error), stale, ..end })
    }
}

/// Whether the bytes are the beginning of a record that was being written: a magic code, or only a length, and nothing
/// but zeros behind what the length covers. `error` is why they are no record.
pub fn is_torn(error: &FormatError, rest: &[u8]) -> bool {
    let claimed = crate::bytes::i32_at(rest, 0).and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    let behind = rest.get(claimed.min(rest.len())..).unwrap_or_default();
    match error.kind {
        FormatErrorKind::Truncated { .. } | FormatErrorKind::LengthMismatch { .. } | FormatErrorKind::Crc { .. } => {
            is_zero(behind)
        }
        // The length came to disk and the magic code did not.
        FormatErrorKind::UnknownMagic { found: 0 } => claimed >= MIN_RECORD_LENGTH && is_zero(behind),
        _ => false,
    }
}

/// The records behind `relative` that name their own place.
fn stale_records(bytes: &[u8], file_from_offset: PhysicalOffset, relative: usize) -> Option<StaleTail> {
    let mut tail: Option<StaleTail> = None;
    let mut at = relative.saturating_add(1);
    while let Some(record) = resync(bytes, file_from_offset, at) {
        let entries = Entries::starting_at(bytes, file_from_offset, position_in(file_from_offset, record.position));
        for entry in entries {
            let Ok(Entry::Message(record)) = entry else { break };
            let tail = tail.get_or_insert(StaleTail { first: record.position, end: record.end(), records: 0 });
            tail.end = record.end();
            tail.records += 1;
        }
        let end = tail.map_or(record.end(), |tail| tail.end);
        at = position_in(file_from_offset, end).max(at + 1);
    }
    tail
}

fn position_in(file_from_offset: PhysicalOffset, offset: PhysicalOffset) -> usize {
    usize::try_from(offset.since(file_from_offset)).unwrap_or(usize::MAX)
}
