//! The files of a DLedger broker (4.5.0 and later): `dledger-<id>/data`, `index`, `currterm`, `checkpoint`.
//!
//! Written by `DLedgerMmapFileStore` of openmessaging/dledger (libraries 0.1 to 0.3.1.2, all alike on disk). A data file
//! is a commit log file whose message records are wrapped: each is the body of an *entry*.
//!
//! ```text
//!     entry   0       4       8               16              24              32      36      40      44      48
//!             +-------+-------+---------------+---------------+---------------+-------+-------+-------+-------+-----
//!             | magic | size  | index         | term          | position      |channel| chain | body  | body  | body
//!             |       |       |               |               |               |       | crc   | crc   | length|
//!             +-------+-------+---------------+---------------+---------------+-------+-------+-------+-------+-----
//!     blank   | -1    | rest  | zeros
//!             +-------+-------+
//!     index   0       4               12      16              24              32
//!             +-------+---------------+-------+---------------+---------------+
//!             | magic | position      | size  | index         | term          |
//!             +-------+---------------+-------+---------------+---------------+
//! ```
//!
//! | field | bytes | meaning |
//! |---|---|---|
//! | magic | 4 | 1, or -1 for the blank that closes a file |
//! | size | 4 | 48 + body length; 0 where nothing was written |
//! | index | 8 | that of the entry before, plus one; the first is 0 |
//! | term | 8 | term of the leader that wrote it; never falls |
//! | position | 8 | offset of the entry's first byte in the whole log |
//! | channel, chain crc, body crc | 12 | always 0 |
//! | body length, body | 4 + n | one message record, whose physical offset is position + 48 |
//!
//! Quirks:
//! - Nothing in an entry protects the body; only the record's own CRC does, and recovery does not look at it.
//! - The unit of entry n stands at n × 32 in the index. The index is rebuilt from the data when they differ.
//! - `currterm` (`currTerm`, `voteLeader`) and `checkpoint` (`endIndex`, `committedIndex`) are text, one `key=value` a
//!   line, with a `.bak`. Entries behind `committedIndex` are on disk but not yet part of the broker's log.
//! - The file `checkpoint` here has nothing to do with that of the store.

use std::collections::BTreeMap;

use crate::bytes::{Reader, i32_at, i64_at};
use crate::error::{FormatError, FormatErrorKind};
use crate::format::commitlog::MessageRecord;
use crate::offset::PhysicalOffset;

/// Length of the head of an entry in bytes (`DLedgerEntry.BODY_OFFSET`).
pub const DLEDGER_HEAD_LENGTH: usize = 4 + 4 + 8 + 8 + 8 + 4 + 4 + 4 + 4;
/// Magic code of an entry (`MmapFileList`, `CURRENT_MAGIC`).
pub const DLEDGER_MAGIC: i32 = 1;
/// Magic code of a blank (`MmapFileList.BLANK_MAGIC_CODE`).
pub const DLEDGER_BLANK_MAGIC: i32 = -1;
/// Length of a unit of the index in bytes (`DLedgerMmapFileStore.INDEX_UNIT_SIZE`).
pub const DLEDGER_INDEX_UNIT_LENGTH: usize = 4 + 8 + 4 + 8 + 8;

const _: () = assert!(DLEDGER_HEAD_LENGTH == 48 && DLEDGER_INDEX_UNIT_LENGTH == 32);

/// An entry with the record in it, borrowed from the bytes of its file.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct DledgerEntry<'a> {
    /// Where the entry was found; [`stored_position`](Self::stored_position) is where it says it is.
    pub position: PhysicalOffset,
    /// Number of the entry.
    pub index: i64,
    /// Term in which it was written.
    pub term: i64,
    /// Position as stored.
    pub stored_position: i64,
    /// Channel, 0.
    pub channel: i32,
    /// Checksum of the chain, 0.
    pub chain_crc: i32,
    /// Checksum of the body, 0.
    pub body_crc: i32,
    /// The body.
    pub body: &'a [u8],
}

/// The filler that closes a data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DledgerBlank {
    /// Where it stands.
    pub position: PhysicalOffset,
    /// Its length as stored: the rest of the file.
    pub size: i32,
}

/// What follows what in a data file.
#[derive(Debug, Clone, Copy)]
pub enum DataEntry<'a> {
    /// An entry.
    Entry(DledgerEntry<'a>),
    /// The filler; the next entry is the first of the next file.
    Blank(DledgerBlank),
}

impl<'a> DataEntry<'a> {
    /// Reads what stands at the start of `bytes`, which lies at `position` in the log. `None`: nothing was written here
    /// (size 0 and no blank, or no bytes).
    ///
    /// Checks what recovery checks of a single entry: magic, position, and that size and body length agree.
    pub fn parse(bytes: &'a [u8], position: PhysicalOffset) -> Result<Option<Self>, FormatError> {
        let at = position.get();
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut reader = Reader::new(bytes, at);
        let magic = reader.i32("entry magic")?;
        let size = reader.i32("entry size")?;
        if magic == DLEDGER_BLANK_MAGIC {
            return Ok(Some(Self::Blank(DledgerBlank { position, size })));
        }
        if size == 0 {
            return Ok(None);
        }
        let bad = |field, found, expected| FormatError::new(at, FormatErrorKind::BadValue { field, found, expected });
        if magic != DLEDGER_MAGIC {
            return Err(FormatError::new(at, FormatErrorKind::UnknownMagic { found: magic.cast_unsigned() }));
        }
        let index = reader.i64("entry index")?;
        let term = reader.i64("entry term")?;
        let stored_position = reader.i64("entry position")?;
        let channel = reader.i32("entry channel")?;
        let chain_crc = reader.i32("entry chain crc")?;
        let body_crc = reader.i32("entry body crc")?;
        let body_length = reader.i32("entry body length")?;
        if stored_position.cast_unsigned() != at {
            return Err(bad("entry position", stored_position, "the place where the entry stands"));
        }
        let length = usize::try_from(body_length).map_err(|_| {
            FormatError::new(at, FormatErrorKind::BadLength { field: "entry body length", found: body_length.into() })
        })?;
        let computed = i64::try_from(DLEDGER_HEAD_LENGTH.saturating_add(length)).unwrap_or(i64::MAX);
        if i64::from(size) != computed {
            return Err(FormatError::new(at, FormatErrorKind::LengthMismatch { declared: size.into(), computed }));
        }
        let body = reader.bytes("entry body", length)?;
        Ok(Some(Self::Entry(DledgerEntry {
            position,
            index,
            term,
            stored_position,
            channel,
            chain_crc,
            body_crc,
            body,
        })))
    }

    /// Where it stands.
    pub fn position(&self) -> PhysicalOffset {
        match self {
            Self::Entry(entry) => entry.position,
            Self::Blank(blank) => blank.position,
        }
    }
}

impl<'a> DledgerEntry<'a> {
    /// Where the body stands: the physical offset that queues refer to.
    pub fn record_position(&self) -> PhysicalOffset {
        self.position + DLEDGER_HEAD_LENGTH as u64
    }

    /// The first offset behind the entry.
    pub fn end(&self) -> PhysicalOffset {
        self.record_position() + self.body.len() as u64
    }

    /// The message record, which must fill the body.
    pub fn record(&self) -> Result<MessageRecord<'a>, FormatError> {
        let record = MessageRecord::parse(self.body, self.record_position())?;
        if record.bytes.len() == self.body.len() {
            return Ok(record);
        }
        let computed = i64::try_from(self.body.len()).unwrap_or(i64::MAX);
        let kind = FormatErrorKind::LengthMismatch { declared: i64::from(record.total_size()), computed };
        Err(FormatError::new(self.record_position().get(), kind))
    }
}

/// The entries of one data file, in order. Ends behind the first error, behind a blank, and where nothing was written.
#[derive(Debug, Clone)]
pub struct DataEntries<'a> {
    rest: &'a [u8],
    position: PhysicalOffset,
}

impl<'a> DataEntries<'a> {
    /// The entries from `relative` bytes into a file on whose first byte lies at `file_from_offset`.
    pub fn starting_at(bytes: &'a [u8], file_from_offset: PhysicalOffset, relative: usize) -> Self {
        Self { rest: bytes.get(relative..).unwrap_or_default(), position: file_from_offset + relative as u64 }
    }

    /// Where the next entry stands, or would.
    pub fn position(&self) -> PhysicalOffset {
        self.position
    }
}

impl<'a> Iterator for DataEntries<'a> {
    type Item = Result<DataEntry<'a>, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = DataEntry::parse(self.rest, self.position).transpose()?;
        match &entry {
            Ok(DataEntry::Entry(entry)) => {
                self.rest = self.rest.get(DLEDGER_HEAD_LENGTH + entry.body.len()..).unwrap_or_default();
                self.position = entry.end();
            }
            Ok(DataEntry::Blank(_)) | Err(_) => self.rest = &[],
        }
        Some(entry)
    }
}

/// One unit of the index, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DledgerIndexUnit {
    /// 1; 0 where nothing was written.
    pub magic: i32,
    /// Position of the entry in the log.
    pub position: i64,
    /// Size of the entry with its head in bytes.
    pub size: i32,
    /// Number of the entry.
    pub index: i64,
    /// Its term.
    pub term: i64,
}

impl DledgerIndexUnit {
    /// Reads the unit at the start of `bytes`.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            magic: i32_at(bytes, 0)?,
            position: i64_at(bytes, 4)?,
            size: i32_at(bytes, 12)?,
            index: i64_at(bytes, 16)?,
            term: i64_at(bytes, 24)?,
        })
    }

    /// Whether it describes `entry`.
    pub fn describes(&self, entry: &DledgerEntry<'_>) -> bool {
        self.magic == DLEDGER_MAGIC
            && self.position.cast_unsigned() == entry.position.get()
            && usize::try_from(self.size) == Ok(DLEDGER_HEAD_LENGTH + entry.body.len())
            && (self.index, self.term) == (entry.index, entry.term)
    }
}

/// What `currterm` and `checkpoint` hold: text, one `key=value` a line; other lines are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DledgerProperties(pub BTreeMap<String, String>);

impl DledgerProperties {
    /// Reads the text.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Self(pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect())
    }

    /// A number.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.0.get(key)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entry 7 of term 2 at 1024 with a body of three bytes, which is no record.
    #[rustfmt::skip]
    const ENTRY: [u8; 51] = [
        0, 0, 0, 1, 0, 0, 0, 51, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 4, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3,
    ];

    #[test]
    fn an_entry_and_the_blank_behind_it_are_read() {
        let mut bytes = ENTRY.to_vec();
        bytes.extend([0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 20]);
        bytes.extend([0; 12]);
        let entries: Vec<_> =
            DataEntries::starting_at(&bytes, PhysicalOffset(1024), 0).collect::<Result<_, _>>().unwrap();
        let [DataEntry::Entry(entry), DataEntry::Blank(blank)] = entries[..] else { panic!("{entries:?}") };
        assert_eq!((entry.index, entry.term, entry.body), (7, 2, &[1, 2, 3][..]));
        assert_eq!((entry.record_position(), entry.end()), (PhysicalOffset(1072), PhysicalOffset(1075)));
        assert!(entry.record().is_err());
        assert_eq!(blank, DledgerBlank { position: PhysicalOffset(1075), size: 20 });
    }

    #[test]
    fn an_entry_at_another_place_or_cut_short_is_refused() {
        assert!(DataEntry::parse(&ENTRY, PhysicalOffset(1000)).is_err());
        for length in 1..ENTRY.len() {
            assert!(DataEntry::parse(&ENTRY[..length], PhysicalOffset(1024)).is_err(), "{length}");
        }
        assert!(DataEntry::parse(&[0; 64], PhysicalOffset(1024)).unwrap().is_none());
        let mut wrong = ENTRY;
        wrong[7] = 50;
        let error = DataEntry::parse(&wrong, PhysicalOffset(1024)).unwrap_err();
        assert_eq!(error.to_string(), "total size 50 but fields add up to 51 at offset 1024");
    }

    #[test]
    fn the_properties_files_are_lines_of_key_and_value() {
        let properties = DledgerProperties::parse(b"#x\nendIndex=273\ncommittedIndex=272\nvoteLeader=n0");
        assert_eq!(properties.number("committedIndex"), Some(272));
        assert_eq!(properties.number("voteLeader"), None);
        assert_eq!(properties.0.len(), 3);
    }
}
