//! An index file: `index/<17 digits>`, a hash table from `topic#key` to physical offsets (`IndexFile`, `IndexHeader`).
//!
//! ```text
//!     0               8               16              24              32      36      40
//!     +---------------+---------------+---------------+---------------+-------+-------+
//!     | begin         | end           | begin phy     | end phy       | hash  | index |   header
//!     | timestamp     | timestamp     | offset        | offset        | slots | count |
//!     +-------+-------+-------+-------+---------------+---------------+-------+-------+
//!     | slot 0| slot 1| ...   | 4 bytes each: number of the newest index of the slot, 0 for none
//!     +-------+-------+-------+-------+-------+-------+
//!     | key   | physical      | time  | previous      |   indexes, 20 bytes each; number 0 is never used
//!     | hash  | offset        | diff  | index         |
//!     +-------+---------------+-------+-------+-------+
//! ```
//!
//! | field | bytes | meaning |
//! |---|---|---|
//! | begin, end timestamp | 8 + 8 | store time of the first and last index's message, milliseconds since the epoch |
//! | begin, end phy offset | 8 + 8 | physical offset of the first and last index's message |
//! | hash slot count | 4 | used slots; up to 4.7.0 the number of indexes |
//! | index count | 4 | number of the next index, so 1 in an empty file (0 before the first one) |
//! | key hash | 4 | `abs(hashCode(topic#key))`, 0 for the one hash that has no absolute value |
//! | time diff | 4 | seconds from begin timestamp to the message's store time |
//! | previous index | 4 | the next older index of the same slot, 0 for none |
//!
//! Quirks:
//! - Neither the number of slots nor that of indexes is stored: they come from the broker's configuration.
//!   [`IndexGeometry::infer`] finds them from the length and the content of a file.
//! - A full file's successor starts with the full file's end values in all four header fields, until its first index.

use super::java_hash_from;
use crate::bytes::{Reader, i32_at, i64_at};
use crate::error::{FormatError, FormatErrorKind};

/// Length of the header in bytes.
pub const INDEX_HEADER_LENGTH: usize = 8 + 8 + 8 + 8 + 4 + 4;
/// Length of a hash slot in bytes.
pub const HASH_SLOT_LENGTH: usize = 4;
/// Newest indexes that have to hang in their slots for a geometry to be believed.
const INFERENCE_ENTRIES: u32 = 64;
/// Length of an index in bytes.
pub const INDEX_LENGTH: usize = 4 + 8 + 4 + 4;

const _: () = assert!(INDEX_HEADER_LENGTH == 40 && INDEX_LENGTH == 20);

/// How an index file is divided (`maxHashSlotNum`, `maxIndexNum`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexGeometry {
    /// Number of hash slots.
    pub hash_slot_num: u32,
    /// Number of indexes, the unused number 0 included.
    pub index_num: u32,
}

/// The header, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct IndexHeader {
    /// Store time of the first index's message, milliseconds since the epoch.
    pub begin_timestamp: i64,
    /// Store time of the last index's message, milliseconds since the epoch.
    pub end_timestamp: i64,
    /// Physical offset of the first index's message.
    pub begin_physical_offset: i64,
    /// Physical offset of the last index's message: where its record starts.
    pub end_physical_offset: i64,
    /// Used slots; up to 4.7.0 the number of indexes.
    pub hash_slot_count: i32,
    /// Number of the next index.
    pub index_count: i32,
}

/// One index, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// Its number in the file, 1 and up.
    pub index: u32,
    /// Absolute value of the hash of `topic#key`.
    pub key_hash: i32,
    /// Physical offset of the message.
    pub physical_offset: i64,
    /// Seconds from the begin timestamp to the message's store time.
    pub time_diff: i32,
    /// The next older index of the same slot, 0 for none.
    pub prev: i32,
}

impl IndexGeometry {
    /// What brokers use if nothing is configured: five million slots, twenty million indexes.
    pub const DEFAULT: Self = Self { hash_slot_num: 5_000_000, index_num: 20_000_000 };

    /// Length of a file of this geometry in bytes.
    pub fn file_length(self) -> u64 {
        INDEX_HEADER_LENGTH as u64
            + u64::from(self.hash_slot_num) * HASH_SLOT_LENGTH as u64
            + u64::from(self.index_num) * INDEX_LENGTH as u64
    }

    /// Finds the geometry of a file from its length and content.
    ///
    /// Tried are the defaults, then every division of the length under which first and last index have the header's
    /// offsets and the newest ones hang in their slots. `None` if none fits, or the file is not the default length and holds no index yet.
    pub fn infer(file: &[u8]) -> Option<Self> {
        let header = IndexHeader::parse(file).ok()?;
        if file.len() as u64 == Self::DEFAULT.file_length() && Self::DEFAULT.fits(file, &header) {
            return Some(Self::DEFAULT);
        }
        if header.index_count <= 1 {
            return None;
        }
        let after_header = u64::try_from(file.len().checked_sub(INDEX_HEADER_LENGTH)?).ok()?;
        let (slot, index) = (HASH_SLOT_LENGTH as u64, INDEX_LENGTH as u64);
        // More slots than a fifth of the file leave no room for as many indexes as slots; brokers accept it, so go on.
        let most = after_header / slot;
        // after_header = 4 * slots + 20 * indexes, so slots step by five.
        let first = (after_header / slot) % (index / slot);
        if after_header % slot != 0 {
            return None;
        }
        (first..=most)
            .step_by(5)
            .filter_map(|slots| {
                let index_num = u32::try_from((after_header - slots * slot) / index).ok()?;
                Some(Self { hash_slot_num: u32::try_from(slots).ok().filter(|s| *s > 0)?, index_num })
            })
            .find(|geometry| geometry.fits(file, &header))
    }

    fn fits(self, file: &[u8], header: &IndexHeader) -> bool {
        if header.index_count <= 1 {
            return true;
        }
        if i64::from(header.index_count) > i64::from(self.index_num) {
            return false;
        }
        let Ok(view) = IndexFile::parse(file, self) else { return false };
        let newest = header.index_count.cast_unsigned() - 1;
        let at_newest = view.entry(newest).is_some_and(|e| e.physical_offset == header.end_physical_offset);
        let at_first = view.entry(1).is_some_and(|e| e.prev == 0 && e.physical_offset == header.begin_physical_offset);
        // One entry fits a wrong division now and then (two keys of one message); that many do not.
        let linked = |index: u32| {
            view.entry(index).is_some_and(|e| {
                let slot = if e.key_hash >= 0 { view.slot(self.slot_of(e.key_hash)) } else { None };
                slot.is_some_and(|newer| newer >= index.cast_signed() && newer <= newest.cast_signed())
            })
        };
        at_newest && at_first && (newest.saturating_sub(INFERENCE_ENTRIES).max(1)..=newest).all(linked)
    }

    /// The slot of a key hash.
    pub fn slot_of(self, key_hash: i32) -> u32 {
        key_hash.unsigned_abs() % self.hash_slot_num.max(1)
    }
}

impl IndexEntry {
    /// Index `index` of a file of this geometry, written or not; the header is not looked at. `None` past the end of
    /// the file.
    #[inline]
    pub fn read(file: &[u8], geometry: IndexGeometry, index: u32) -> Option<Self> {
        let before = INDEX_HEADER_LENGTH + geometry.hash_slot_num as usize * HASH_SLOT_LENGTH;
        Self::from_bytes(file.get(before..)?, index)
    }

    #[inline]
    fn from_bytes(entries: &[u8], index: u32) -> Option<Self> {
        let bytes = entries.get(index as usize * INDEX_LENGTH..)?.first_chunk::<INDEX_LENGTH>()?;
        Some(Self {
            index,
            key_hash: i32_at(bytes, 0)?,
            physical_offset: i64_at(bytes, 4)?,
            time_diff: i32_at(bytes, 12)?,
            prev: i32_at(bytes, 16)?,
        })
    }
}

impl IndexHeader {
    /// Reads the header at the start of a file.
    pub fn parse(file: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(file, 0);
        Ok(Self {
            begin_timestamp: reader.i64("begin timestamp")?,
            end_timestamp: reader.i64("end timestamp")?,
            begin_physical_offset: reader.i64("begin phy offset")?,
            end_physical_offset: reader.i64("end phy offset")?,
            hash_slot_count: reader.i32("hash slot count")?,
            index_count: reader.i32("index count")?,
        })
    }
}

/// `abs(hashCode)` of `topic#key`, as `IndexFile.indexKeyHashMethod` computes it.
///
/// ```
/// assert_eq!(mqstore_core::format::index::key_hash(b"TopicTest", b"k1"), 2_746_024);
/// ```
pub fn key_hash(topic: &[u8], key: &[u8]) -> i32 {
    let hash = java_hash_from(java_hash_from(java_hash_from(0, topic), b"#"), key);
    hash.checked_abs().unwrap_or(0)
}

/// One index file, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct IndexFile<'a> {
    header: IndexHeader,
    geometry: IndexGeometry,
    slots: &'a [u8],
    entries: &'a [u8],
}

impl<'a> IndexFile<'a> {
    /// Reads a file of the given geometry. Bytes behind its length are ignored, missing ones are an error.
    pub fn parse(file: &'a [u8], geometry: IndexGeometry) -> Result<Self, FormatError> {
        let header = IndexHeader::parse(file)?;
        let mut reader = Reader::new(file, 0);
        reader.bytes("index header", INDEX_HEADER_LENGTH)?;
        let slots = reader.bytes("hash slots", geometry.hash_slot_num as usize * HASH_SLOT_LENGTH)?;
        let entries = reader.bytes("indexes", geometry.index_num as usize * INDEX_LENGTH)?;
        if header.index_count.cast_unsigned() > geometry.index_num {
            return Err(FormatError::new(
                36,
                FormatErrorKind::BadValue {
                    field: "index count",
                    found: i64::from(header.index_count),
                    expected: "at most the number of indexes that fit",
                },
            ));
        }
        Ok(Self { header, geometry, slots, entries })
    }

    /// The header.
    pub fn header(&self) -> &IndexHeader {
        &self.header
    }

    /// How the file is divided.
    pub fn geometry(&self) -> IndexGeometry {
        self.geometry
    }

    /// Number of the newest index of a slot as stored, 0 for none. `None` past the last slot.
    pub fn slot(&self, slot: u32) -> Option<i32> {
        i32_at(self.slots, slot as usize * HASH_SLOT_LENGTH)
    }

    /// Numbers of the newest index of all slots as stored, 0 for none.
    pub fn slots(&self) -> impl Iterator<Item = i32> + use<'a> {
        let (slots, _) = self.slots.as_chunks::<HASH_SLOT_LENGTH>();
        slots.iter().map(|slot| i32::from_be_bytes(*slot))
    }

    /// Index `index`, written or not. `None` past the last one.
    pub fn entry(&self, index: u32) -> Option<IndexEntry> {
        IndexEntry::from_bytes(self.entries, index)
    }

    /// All written indexes in the order of their numbers.
    pub fn entries(&self) -> impl Iterator<Item = IndexEntry> + use<'a> {
        let this = *self;
        (1..self.header.index_count.max(1).cast_unsigned()).map_while(move |index| this.entry(index))
    }

    /// The indexes of a slot, newest first.
    ///
    /// Follows the chain as `selectPhyOffset` does. An index that names itself, a newer one or one past the count as its
    /// previous one ends the chain with an error; so it is bounded by the index count.
    pub fn chain(&self, slot: u32) -> Chain<'a> {
        Chain { file: *self, next: self.slot(slot).unwrap_or(0), above: self.header.index_count.max(1) }
    }

    /// Physical offsets under which a key was stored, newest first; duplicates are kept.
    ///
    /// Different keys can share a hash: whoever needs certainty reads the records.
    pub fn find(&self, topic: &[u8], key: &[u8]) -> impl Iterator<Item = Result<IndexEntry, FormatError>> + use<'a> {
        let hash = key_hash(topic, key);
        self.chain(self.geometry.slot_of(hash)).filter(move |e| e.as_ref().map_or(true, |e| e.key_hash == hash))
    }
}

/// The indexes of one slot, newest first; ends behind the first error.
#[derive(Debug, Clone)]
pub struct Chain<'a> {
    file: IndexFile<'a>,
    next: i32,
    /// Every further index has a smaller number than this one.
    above: i32,
}

impl Iterator for Chain<'_> {
    type Item = Result<IndexEntry, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next <= 0 {
            return None;
        }
        if self.next >= self.above {
            let (entry, previous) = (self.above.cast_unsigned(), self.next);
            let slots_end = INDEX_HEADER_LENGTH as u64 + u64::from(self.file.geometry.hash_slot_num) * 4;
            self.next = 0;
            return Some(Err(FormatError::new(
                slots_end + u64::from(entry) * INDEX_LENGTH as u64,
                FormatErrorKind::ChainLoop { entry, previous },
            )));
        }
        let entry = self.file.entry(self.next.cast_unsigned())?;
        self.above = self.next;
        self.next = entry.prev;
        Some(Ok(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(geometry: IndexGeometry, keys: &[(&[u8], i64)]) -> Vec<u8> {
        let mut file = vec![0u8; usize::try_from(geometry.file_length()).unwrap()];
        let slots_end = 40 + 4 * geometry.hash_slot_num as usize;
        for (i, (key, phy)) in keys.iter().enumerate() {
            let hash = key_hash(b"T", key);
            let slot = 40 + 4 * (hash.unsigned_abs() % geometry.hash_slot_num) as usize;
            let at = slots_end + 20 * (i + 1);
            let prev: [u8; 4] = file[slot..slot + 4].try_into().unwrap();
            file[at..at + 4].copy_from_slice(&hash.to_be_bytes());
            file[at + 4..at + 12].copy_from_slice(&phy.to_be_bytes());
            file[at + 16..at + 20].copy_from_slice(&prev);
            file[slot..slot + 4].copy_from_slice(&i32::try_from(i + 1).unwrap().to_be_bytes());
        }
        file[16..24].copy_from_slice(&keys[0].1.to_be_bytes());
        file[24..32].copy_from_slice(&keys[keys.len() - 1].1.to_be_bytes());
        file[36..40].copy_from_slice(&i32::try_from(keys.len() + 1).unwrap().to_be_bytes());
        file
    }

    #[test]
    fn the_geometry_is_found_from_content() {
        let keys: Vec<(Vec<u8>, i64)> = (0..50).map(|i| (format!("k{i}").into_bytes(), i * 100)).collect();
        let keys: Vec<(&[u8], i64)> = keys.iter().map(|(k, p)| (&k[..], *p)).collect();
        for (hash_slot_num, index_num) in [(7, 64), (500, 2000), (1000, 51), (3, 1000)] {
            let geometry = IndexGeometry { hash_slot_num, index_num };
            assert_eq!(IndexGeometry::infer(&file(geometry, &keys)), Some(geometry));
        }
    }

    #[test]
    fn a_key_is_found_newest_first() {
        let geometry = IndexGeometry { hash_slot_num: 3, index_num: 100 };
        let bytes = file(geometry, &[(b"a", 10), (b"b", 20), (b"a", 30), (b"c", 40)]);
        let index = IndexFile::parse(&bytes, geometry).unwrap();
        let found: Vec<i64> = index.find(b"T", b"a").map(|e| e.unwrap().physical_offset).collect();
        assert_eq!(found, [30, 10]);
        assert_eq!(index.find(b"T", b"nothing").count(), 0);
    }

    #[test]
    fn a_chain_that_loops_ends_with_an_error() {
        let geometry = IndexGeometry { hash_slot_num: 1, index_num: 100 };
        let mut bytes = file(geometry, &[(b"a", 10), (b"b", 20), (b"c", 30)]);
        let second = 40 + 4 + 2 * 20;
        bytes[second + 16..second + 20].copy_from_slice(&3i32.to_be_bytes());
        let chain: Vec<_> = IndexFile::parse(&bytes, geometry).unwrap().chain(0).collect();
        assert_eq!(chain.len(), 3);
        let error = chain[2].unwrap_err();
        assert_eq!(error.to_string(), "index chain does not go down: entry 2 names 3 as its previous one at offset 84");
    }

    #[test]
    fn the_hash_without_absolute_value_is_zero() {
        assert_eq!(key_hash(b"", b""), 35);
        assert_eq!(i32::MIN.checked_abs().unwrap_or(0), 0);
    }
}
