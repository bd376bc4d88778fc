//! The log of a DLedger broker: `dledger-<id>/data` with its index and state files.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::commitlog::LogEndKind;
use super::layout::EntryKind;
use super::mapped_file_queue::{MappedFileQueue, QueueFile};
use super::{Store, read_small};
use crate::bytes::{i32_at, is_zero};
use crate::error::{FormatError, FormatErrorKind, StoreError};
use crate::format::dledger::{
    DLEDGER_INDEX_UNIT_LENGTH, DLEDGER_MAGIC, DataEntries, DataEntry, DledgerEntry, DledgerIndexUnit, DledgerProperties,
};
use crate::offset::PhysicalOffset;

/// Files that a start of a broker scans (`DLedgerMmapFileStore.recover`).
const RECOVERY_FILES: usize = 3;

/// The files of one DLedger member.
#[derive(Debug, Clone)]
pub struct DledgerLog {
    id: String,
    dir: PathBuf,
    data: MappedFileQueue,
    index: MappedFileQueue,
    current_term: Option<DledgerProperties>,
    checkpoint: Option<DledgerProperties>,
}

/// How a scan of the data files ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DledgerEnd {
    /// The first offset that holds no valid entry.
    pub offset: PhysicalOffset,
    /// Where the broker's log ends: behind the entry of `committedIndex`, if `checkpoint` names one at or before the
    /// last. `None` without it.
    pub committed_offset: Option<PhysicalOffset>,
    /// What lies at `offset`.
    pub kind: LogEndKind,
    /// Why the bytes there are no entry; `None` where nothing was written.
    pub error: Option<FormatError>,
    /// Entries seen.
    pub entries: u64,
    /// Blanks seen.
    pub blanks: u64,
    /// Number of the first entry seen.
    pub first_index: Option<i64>,
    /// Number of the last entry seen.
    pub last_index: Option<i64>,
    /// The terms of the entries seen, each once, rising.
    pub terms: Vec<i64>,
    /// The visitor ended the scan, behind the entry that ends at `offset`; nothing is known about the end of the log.
    pub stopped: bool,
}

impl Store {
    /// The DLedger members whose files lie in the store, by id; a broker has one.
    pub fn dledgers(&self) -> Result<Vec<DledgerLog>, StoreError> {
        let folders = self.entries().iter().filter(|entry| entry.kind == EntryKind::Dledger && entry.is_dir);
        folders.map(|entry| DledgerLog::open(&entry.path, self.options().dledger_data_dir.as_deref())).collect()
    }
}

impl DledgerLog {
    fn open(dir: &Path, data_dir: Option<&Path>) -> Result<Self, StoreError> {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        let properties = |name: &str| Ok(read_small(&dir.join(name))?.map(|bytes| DledgerProperties::parse(&bytes)));
        Ok(Self {
            id: name.strip_prefix("dledger-").unwrap_or(&name).to_owned(),
            data: MappedFileQueue::list(&[data_dir.unwrap_or(&dir.join("data"))])?,
            index: MappedFileQueue::list(&[dir.join("index")])?,
            current_term: properties("currterm")?,
            checkpoint: properties("checkpoint")?,
            dir: dir.into(),
        })
    }

    /// The member's id (`dLegerSelfId`).
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder `dledger-<id>`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The data files.
    pub fn data(&self) -> &MappedFileQueue {
        &self.data
    }

    /// The index files.
    pub fn index(&self) -> &MappedFileQueue {
        &self.index
    }

    /// `currterm`: `currTerm`, `voteLeader`; `None` without the file.
    pub fn current_term(&self) -> Option<&DledgerProperties> {
        self.current_term.as_ref()
    }

    /// `checkpoint`: `endIndex`, `committedIndex`; `None` without the file.
    pub fn checkpoint(&self) -> Option<&DledgerProperties> {
        self.checkpoint.as_ref()
    }

    /// Number of the last entry that a majority had, as `checkpoint` says.
    pub fn committed_index(&self) -> Option<i64> {
        self.checkpoint.as_ref()?.number("committedIndex")
    }

    /// The index unit of entry `index`, used or not. `None` where no file holds it.
    pub fn index_unit(&self, index: i64) -> Result<Option<DledgerIndexUnit>, StoreError> {
        let at = u64::try_from(index).ok().and_then(|index| index.checked_mul(DLEDGER_INDEX_UNIT_LENGTH as u64));
        let Some((at, file)) = at.and_then(|at| Some((at, self.index.find(at)?))) else { return Ok(None) };
        let map = file.map()?;
        let relative = usize::try_from(at - file.file_from_offset).unwrap_or(usize::MAX);
        let unit = map.get(relative..).and_then(DledgerIndexUnit::read);
        map.check()?;
        Ok(unit)
    }

    /// Where the log ends, found as a broker does at start: from the third last data file on.
    pub fn end(&self) -> Result<DledgerEnd, StoreError> {
        self.scan_files(self.data.files().len().saturating_sub(RECOVERY_FILES), |_| ControlFlow::Continue(()))
    }

    /// Hands every entry and blank to `visit`, in order, and says where and how the log ends.
    ///
    /// An entry counts if its head is sound, its index follows from the one before and its term does not fall. One file
    /// is mapped at a time.
    pub fn scan(&self, visit: impl FnMut(&DataEntry<'_>) -> ControlFlow<()>) -> Result<DledgerEnd, StoreError> {
        self.scan_files(0, visit)
    }

    /// As [`scan`](Self::scan), from the file on that holds `from`, or is the first behind it.
    pub fn scan_from(
        &self,
        from: PhysicalOffset,
        visit: impl FnMut(&DataEntry<'_>) -> ControlFlow<()>,
    ) -> Result<DledgerEnd, StoreError> {
        self.scan_files(self.data.files().partition_point(|file| file.end() <= from.get()), visit)
    }

    /// Where [`end`](Self::end) begins to look: the third last data file.
    pub fn recovery_start(&self) -> PhysicalOffset {
        let files = self.data.files();
        let first = files.get(files.len().saturating_sub(RECOVERY_FILES));
        PhysicalOffset(first.map_or(0, |file| file.file_from_offset))
    }

    fn scan_files(
        &self,
        first: usize,
        mut visit: impl FnMut(&DataEntry<'_>) -> ControlFlow<()>,
    ) -> Result<DledgerEnd, StoreError> {
        let files = self.data.files();
        let mut end = DledgerEnd {
            offset: PhysicalOffset(files.get(first).map_or(0, |file| file.file_from_offset)),
            committed_offset: None,
            kind: LogEndKind::FileEnd,
            error: None,
            entries: 0,
            blanks: 0,
            first_index: None,
            last_index: None,
            terms: Vec::new(),
            stopped: false,
        };
        for (number, file) in files.iter().enumerate().skip(first) {
            let map = file.map()?;
            map.advise_sequential();
            let base = PhysicalOffset(file.file_from_offset);
            let relative = if number == 0 { self.start_in_first_file(file, &map)? } else { 0 };
            let mut entries = DataEntries::starting_at(&map, base, relative);
            end.offset = entries.position();
            let mut closed = false;
            for entry in entries.by_ref() {
                let entry = match entry.and_then(|entry| end.check_order(&entry).map(|()| entry)) {
                    Ok(entry) => entry,
                    Err(error) => {
                        end.error = Some(error);
                        break;
                    }
                };
                match &entry {
                    DataEntry::Entry(entry) => end.count(entry, self.committed_index()),
                    DataEntry::Blank(_) => {
                        end.blanks += 1;
                        closed = true;
                    }
                }
                if visit(&entry).is_break() {
                    end.stopped = true;
                    map.check()?;
                    return Ok(end);
                }
            }
            if !closed && end.offset.get() < file.end() {
                let rest = map.get(usize::try_from(end.offset.since(base)).unwrap_or(usize::MAX)..).unwrap_or_default();
                end.kind = self.classify(rest, end.error.as_ref(), number)?;
                map.check()?;
                break;
            }
            map.check()?;
        }
        self.find_committed(&mut end)?;
        Ok(end)
    }

    /// Position of the first entry in the first file. A follower that was started anew in the middle of a file has zeros
    /// before it; the index, which has zeros before it too, tells where it is.
    fn start_in_first_file(&self, file: &QueueFile, map: &[u8]) -> Result<usize, StoreError> {
        if i32_at(map, 0) != Some(0) || is_zero(map) {
            return Ok(0);
        }
        for index in self.index.files() {
            let index_map = index.map()?;
            let (units, _) = index_map.as_chunks::<DLEDGER_INDEX_UNIT_LENGTH>();
            let first = units.iter().find(|unit| !is_zero(*unit)).and_then(|unit| DledgerIndexUnit::read(unit));
            index_map.check()?;
            if let Some(unit) = first.filter(|unit| unit.magic == DLEDGER_MAGIC) {
                let relative = unit.position.cast_unsigned().checked_sub(file.file_from_offset);
                let relative = relative.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < map.len());
                return Ok(relative.unwrap_or(0));
            }
        }
        Ok(0)
    }

    fn classify(&self, rest: &[u8], error: Option<&FormatError>, number: usize) -> Result<LogEndKind, StoreError> {
        let mut zeros_follow = true;
        for file in self.data.files().get(number + 1..).unwrap_or_default() {
            let map = file.map()?;
            zeros_follow &= is_zero(&map);
            map.check()?;
        }
        if !zeros_follow {
            return Ok(LogEndKind::Garbage);
        }
        if is_zero(rest) {
            return Ok(LogEndKind::Zeros);
        }
        let claimed = i32_at(rest, 4).and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        let behind = rest.get(claimed.min(rest.len())..).unwrap_or_default();
        let torn = error.is_some_and(|error| {
            matches!(error.kind, FormatErrorKind::Truncated { .. } | FormatErrorKind::LengthMismatch { .. })
        });
        Ok(if torn && is_zero(behind) { LogEndKind::Torn } else { LogEndKind::Garbage })
    }

    fn find_committed(&self, end: &mut DledgerEnd) -> Result<(), StoreError> {
        let (Some(committed), Some(first), Some(last)) = (self.committed_index(), end.first_index, end.last_index)
        else {
            return Ok(());
        };
        if committed >= last {
            end.committed_offset = Some(end.offset);
        } else if committed < first
            && let Some(unit) = self.index_unit(committed)?.filter(|unit| unit.index == committed)
        {
            let length = u64::try_from(unit.size).unwrap_or(0);
            end.committed_offset = Some(PhysicalOffset(unit.position.cast_unsigned()) + length);
        }
        Ok(())
    }
}

impl DledgerEnd {
    /// Whether the entry follows those before it.
    fn check_order(&self, entry: &DataEntry<'_>) -> Result<(), FormatError> {
        let (DataEntry::Entry(entry), Some(last), Some(term)) = (entry, self.last_index, self.terms.last()) else {
            return Ok(());
        };
        let bad = |field, found, expected| {
            Err(FormatError::new(entry.position.get(), FormatErrorKind::BadValue { field, found, expected }))
        };
        if entry.index != last.wrapping_add(1) {
            return bad("entry index", entry.index, "one more than the entry before");
        }
        if entry.term < *term {
            return bad("entry term", entry.term, "no less than the entry before");
        }
        Ok(())
    }

    fn count(&mut self, entry: &DledgerEntry<'_>, committed: Option<i64>) {
        self.entries += 1;
        self.offset = entry.end();
        self.first_index.get_or_insert(entry.index);
        self.last_index = Some(entry.index);
        if self.terms.last() != Some(&entry.term) {
            self.terms.push(entry.term);
        }
        if committed == Some(entry.index) {
            self.committed_offset = Some(entry.end());
        }
    }
}
