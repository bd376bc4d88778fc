//! Single records by their offset, for the few that have to be looked up out of order.

use mqstore_core::PhysicalOffset;
use mqstore_core::format::commitlog::MessageRecord;
use mqstore_core::store::{MappedFile, QueueFile, StoreLog};

/// Log files mapped at a time.
const OPEN_FILES: usize = 4;

/// Reads records at random, from the commit log and from DLedger's entries. Keeps a few files mapped.
#[derive(Debug)]
pub(super) struct LogReader<'a> {
    log: &'a StoreLog,
    open: Vec<(u64, MappedFile)>,
}

impl<'a> LogReader<'a> {
    pub(super) fn new(log: &'a StoreLog) -> Self {
        Self { log, open: Vec::new() }
    }

    fn find(&self, offset: u64) -> Option<&'a QueueFile> {
        let entries = self.log.dledger().and_then(|dledger| dledger.data().find(offset));
        entries.or_else(|| self.log.commitlog().queue().find(offset))
    }

    /// The record that begins at `offset` and names that place; `None` if none does.
    pub(super) fn record(&mut self, offset: u64) -> Option<MessageRecord<'_>> {
        let file = self.find(offset)?;
        let base = file.file_from_offset;
        if let Some(at) = self.open.iter().position(|(open, _)| *open == base) {
            self.open.swap(0, at);
        } else {
            self.open.truncate(OPEN_FILES - 1);
            self.open.insert(0, (base, file.map().ok()?));
        }
        let (_, map) = self.open.first()?;
        let bytes = map.get(usize::try_from(offset - base).ok()?..)?;
        let record = MessageRecord::parse(bytes, PhysicalOffset(offset)).ok()?;
        (record.physical_offset.cast_unsigned() == offset).then_some(record)
    }
}
