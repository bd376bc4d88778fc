//! The log of a store, whatever holds it: commit log files, DLedger entries, or the one continued by the other.

use std::ops::ControlFlow;

use super::Store;
use super::commitlog::{CommitLog, LogEnd, LogEndKind};
use super::dledger::DledgerLog;
use super::mapped_file::MappedFile;
use super::mapped_file_queue::QueueFile;
use crate::error::{FormatError, FormatErrorKind, StoreError};
use crate::format::commitlog::{Blank, Entry, MessageRecord};
use crate::format::dledger::{DLEDGER_HEAD_LENGTH, DataEntry};
use crate::offset::PhysicalOffset;

/// The log that the queues of a store refer to.
#[derive(Debug, Clone)]
pub struct StoreLog {
    commitlog: CommitLog,
    dledger: Option<DledgerLog>,
}

impl From<CommitLog> for StoreLog {
    /// A log without a DLedger part.
    fn from(commitlog: CommitLog) -> Self {
        Self { commitlog, dledger: None }
    }
}

impl Store {
    /// The log of the store: its commit log, continued by the files of the DLedger member if there are any.
    pub fn log(&self) -> Result<StoreLog, StoreError> {
        let dledger = self.dledgers()?.into_iter().find(|dledger| !dledger.data().files().is_empty());
        Ok(StoreLog { commitlog: self.commitlog().clone(), dledger })
    }
}

impl StoreLog {
    /// The classic part; without files on a broker that was born with DLedger.
    pub fn commitlog(&self) -> &CommitLog {
        &self.commitlog
    }

    /// The DLedger part, if it has data files.
    pub fn dledger(&self) -> Option<&DledgerLog> {
        self.dledger.as_ref()
    }

    /// Whether there is no file at all.
    pub fn is_empty(&self) -> bool {
        self.commitlog.is_empty() && self.dledger.is_none()
    }

    /// Where the DLedger part begins (`dividedCommitlogOffset`): behind it, records lie inside entries.
    pub fn dividing_offset(&self) -> Option<PhysicalOffset> {
        self.dledger.as_ref()?.data().min_offset().map(PhysicalOffset)
    }

    /// Physical offset of the first byte; 0 for a log without files.
    pub fn min_offset(&self) -> PhysicalOffset {
        let classic = self.commitlog.queue().min_offset().map(PhysicalOffset);
        classic.or(self.dividing_offset()).unwrap_or_default()
    }

    /// The files in the order of their offsets: those of the commit log, then those of DLedger.
    pub fn files(&self) -> impl Iterator<Item = &QueueFile> {
        let dledger = self.dledger.iter().flat_map(|dledger| dledger.data().files());
        self.commitlog.files().iter().chain(dledger)
    }

    /// Where a broker begins at a normal start to look for the end: the third last file of the part that ends the log.
    pub fn recovery_start(&self) -> PhysicalOffset {
        self.dledger.as_ref().map_or_else(|| self.commitlog.recovery_start(), DledgerLog::recovery_start)
    }

    /// Where the log ends, found as at a normal start; damage before the last three files goes unnoticed.
    pub fn end(&self) -> Result<LogEnd, StoreError> {
        self.scan_from(self.recovery_start(), true, |_| ControlFlow::Continue(()))
    }

    /// Where the first record or blank at or behind `wanted` begins; `None` behind the last. As
    /// [`CommitLog::entry_from`]; records of DLedger are found by the entries from the start of their file on.
    pub fn entry_from(&self, wanted: PhysicalOffset) -> Result<Option<PhysicalOffset>, StoreError> {
        let divide = self.dividing_offset();
        let before = |offset: PhysicalOffset| divide.is_none_or(|divide| offset < divide);
        if before(wanted)
            && let Some(found) = self.commitlog.entry_from(wanted)?.filter(|found| before(*found))
        {
            return Ok(Some(found));
        }
        let Some(dledger) = &self.dledger else { return Ok(None) };
        let mut found = None;
        dledger.scan_from(wanted, |entry| {
            let at = match entry {
                DataEntry::Entry(entry) => entry.record_position(),
                DataEntry::Blank(blank) => blank.position,
            };
            if at < wanted {
                return ControlFlow::Continue(());
            }
            found = Some(at);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Hands every record to `visit`, in order, and says where and how the log ends: [`scan_from`](Self::scan_from) its
    /// first byte on, without the blanks.
    pub fn scan(
        &self,
        body_crc: bool,
        mut visit: impl FnMut(&MessageRecord<'_>) -> ControlFlow<()>,
    ) -> Result<LogEnd, StoreError> {
        self.scan_from(self.min_offset(), body_crc, |entry| match entry {
            Entry::Message(record) => visit(record),
            Entry::Blank(_) => ControlFlow::Continue(()),
        })
    }

    /// Hands every record and blank from `from` on to `visit`, in order, and says where and how the log ends.
    ///
    /// As [`CommitLog::scan`]; in the DLedger part `from` may be any offset. A record that cannot be read ends the scan
    /// in an entry, too, although the recovery of DLedger would not notice it; `blanks` and `records` count both parts.
    pub fn scan_from(
        &self,
        from: PhysicalOffset,
        body_crc: bool,
        mut visit: impl FnMut(&Entry<'_>) -> ControlFlow<()>,
    ) -> Result<LogEnd, StoreError> {
        let in_dledger = self.dividing_offset().is_some_and(|divide| from >= divide);
        let classic = if in_dledger {
            let kind = LogEndKind::FileEnd;
            LogEnd { offset: from, kind, error: None, stale: None, records: 0, blanks: 0, stopped: false }
        } else {
            self.commitlog.scan(from, body_crc, &mut visit)?
        };
        let Some(dledger) = self.dledger.as_ref().filter(|_| !classic.stopped) else { return Ok(classic) };
        let mut broken = None;
        let (mut records, mut blanks) = (classic.records, classic.blanks);
        let mut stopped_at = None;
        let end = dledger.scan_from(from, |entry| {
            let entry = match entry {
                DataEntry::Entry(entry) if entry.record_position() < from => return ControlFlow::Continue(()),
                DataEntry::Blank(blank) if blank.position < from => return ControlFlow::Continue(()),
                DataEntry::Blank(blank) => {
                    blanks += 1;
                    Ok(Entry::Blank(Blank { position: blank.position, total_size: blank.size }))
                }
                DataEntry::Entry(entry) => {
                    let record = entry.record().and_then(|record| {
                        if body_crc { record.check_body_crc().map(|()| record) } else { Ok(record) }
                    });
                    records += u64::from(record.is_ok());
                    record.map(Entry::Message).map_err(|error| (entry.position, error))
                }
            };
            match entry {
                Ok(entry) => {
                    let flow = visit(&entry);
                    if flow.is_break() {
                        stopped_at = Some(entry.position());
                    }
                    flow
                }
                Err(error) => {
                    broken = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        let mut log_end = LogEnd { records, blanks, ..classic };
        (log_end.offset, log_end.kind, log_end.error) = (end.offset, end.kind, end.error);
        if let Some((position, error)) = broken {
            (log_end.offset, log_end.kind, log_end.error) = (position, LogEndKind::Garbage, Some(error));
        }
        if let Some(position) = stopped_at {
            (log_end.offset, log_end.stopped) = (position, true);
        }
        Ok(log_end)
    }

    /// Looks up single records.
    pub fn reader(&self) -> LogReader<'_> {
        LogReader { log: self, mapped: None }
    }
}

/// What was found at a physical offset.
#[derive(Debug, Clone, Copy)]
pub enum Located<'a> {
    /// No file holds the offset: it lies before the log, behind it or in a gap.
    Outside,
    /// A file holds it, and no record begins there.
    Unreadable(FormatError),
    /// A record.
    Record(MessageRecord<'a>),
}

impl<'a> Located<'a> {
    /// The record, if there is one.
    pub fn record(self) -> Option<MessageRecord<'a>> {
        match self {
            Self::Record(record) => Some(record),
            Self::Outside | Self::Unreadable(_) => None,
        }
    }
}

/// Reads records by physical offset, keeping the last file mapped.
#[derive(Debug)]
pub struct LogReader<'s> {
    log: &'s StoreLog,
    mapped: Option<Mapped>,
}

#[derive(Debug)]
struct Mapped {
    map: MappedFile,
    from: u64,
    in_entries: bool,
}

impl LogReader<'_> {
    /// The record that begins at `offset`. In the DLedger part that is 48 bytes into an entry, whose head must be sound.
    pub fn record_at(&mut self, offset: PhysicalOffset) -> Result<Located<'_>, StoreError> {
        let at = offset.get();
        let holds = |mapped: &Mapped| at >= mapped.from && at - mapped.from < mapped.map.len() as u64;
        if !self.mapped.as_ref().is_some_and(holds) {
            self.check()?;
            self.mapped = None;
            let Some((file, in_entries)) = self.find(at) else { return Ok(Located::Outside) };
            self.mapped = Some(Mapped { map: file.map()?, from: file.file_from_offset, in_entries });
        }
        let Some(mapped) = &self.mapped else { return Ok(Located::Outside) };
        let relative = usize::try_from(at.saturating_sub(mapped.from)).unwrap_or(usize::MAX);
        let record = if mapped.in_entries {
            record_in_entry(&mapped.map, relative, offset)
        } else {
            MessageRecord::parse(mapped.map.get(relative..).unwrap_or_default(), offset)
        };
        Ok(record.map_or_else(Located::Unreadable, Located::Record))
    }

    fn find(&self, at: u64) -> Option<(&QueueFile, bool)> {
        let entries = self.log.dledger.as_ref().and_then(|dledger| dledger.data().find(at));
        entries.map(|file| (file, true)).or_else(|| Some((self.log.commitlog.queue().find(at)?, false)))
    }

    /// Fails if pages of the file looked at last were lost while it was read; those before were asked on the way.
    pub fn check(&self) -> Result<(), StoreError> {
        self.mapped.as_ref().map_or(Ok(()), |mapped| mapped.map.check())
    }
}

fn record_in_entry(file: &[u8], relative: usize, offset: PhysicalOffset) -> Result<MessageRecord<'_>, FormatError> {
    let no_entry = |found| {
        let expected = "the place behind the head of an entry";
        Err(FormatError::new(offset.get(), FormatErrorKind::BadValue { field: "record position", found, expected }))
    };
    let Some(head) = relative.checked_sub(DLEDGER_HEAD_LENGTH) else {
        return no_entry(offset.get().cast_signed());
    };
    let position = PhysicalOffset(offset.get() - DLEDGER_HEAD_LENGTH as u64);
    match DataEntry::parse(file.get(head..).unwrap_or_default(), position)? {
        Some(DataEntry::Entry(entry)) => entry.record(),
        Some(DataEntry::Blank(_)) | None => no_entry(offset.get().cast_signed()),
    }
}
