//! Keys and values of an SST file: block-based table, format version 5.
//!
//! ```text
//!     file    data blocks, index block, filter and meta blocks, meta index block, footer of 53 bytes
//!     block   contents as compressed | compression 1 | checksum 4
//!     footer  checksum type 1 | handles of meta index and index, filled up to 40 | version 4 | magic 8
//!     data    entries | restarts 4 × n | perhaps a hash table | n, top bit: there is a hash table
//!     entry   shared length | rest length | value length | rest of the key | value       (varints)
//!     key     the user's key | sequence number × 256 + type, 8 bytes
//! ```
//!
//! | compression | what | contents |
//! |---|---|---|
//! | 0, 4 or 5, 7 | none, LZ4, zstd | 4 to 7: length when decompressed (varint), then the compressed block |
//!
//! Read is what brokers write: a plain index, and CRC-32C or no checksum. Everything else is refused by name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::coding::{Cursor, crc32c, little_endian, mask_crc};
use crate::error::{FormatError, FormatErrorKind};

const FOOTER_LENGTH: usize = 1 + 40 + 4 + 8;
const MAGIC: u64 = 0x88E2_41B7_85F4_CFF7;
const TRAILER_LENGTH: usize = 1 + 4;
/// A block that claims to be longer when decompressed is damaged: brokers cut blocks at 32 KiB.
const MAX_BLOCK_LENGTH: u32 = 16 << 20;
const KEY_TAIL_LENGTH: usize = 8;

/// An SST file could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SstError {
    /// The bytes are not what the format demands.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The file uses something that brokers do not, and that is not read here.
    #[error("{what} {found} is not supported")]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// Its number.
        found: u64,
    },
}

/// What an entry does with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Sets it.
    Value,
    /// Removes it.
    Deletion,
    /// Removes all keys from this one up to the value, which is left out.
    RangeDeletion,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SstEntry<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Number of the write; of entries with one key the highest counts.
    pub sequence: u64,
    /// What it does.
    pub kind: ValueKind,
    /// The value; of a range deletion, the key behind the range.
    pub value: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Handle {
    offset: u64,
    size: u64,
}

impl Handle {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, FormatError> {
        Ok(Self { offset: cursor.varint("block offset")?, size: cursor.varint("block size")? })
    }
}

/// An SST file.
#[derive(Debug, Clone, Copy)]
pub struct SstFile<'a> {
    bytes: &'a [u8],
    checksum: u8,
    meta_index: Handle,
    index: Handle,
}

impl<'a> SstFile<'a> {
    /// Reads the footer of a whole file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SstError> {
        let Some(start) = bytes.len().checked_sub(FOOTER_LENGTH) else {
            let (needed, available) = (FOOTER_LENGTH as u64, bytes.len() as u64);
            let kind = FormatErrorKind::Truncated { field: "sst footer", needed, available };
            return Err(FormatError::new(0, kind).into());
        };
        let mut cursor = Cursor::new(bytes.get(start..).unwrap_or_default(), start as u64);
        let checksum = cursor.u8("checksum type")?;
        let mut handles = Cursor::new(cursor.bytes("block handles", 40)?, start as u64 + 1);
        let version = cursor.u32("format version")?;
        let magic = little_endian(cursor.bytes("sst magic", 8)?);
        if magic != MAGIC {
            let [_, _, _, _, low @ ..] = magic.to_be_bytes();
            let kind = FormatErrorKind::UnknownMagic { found: u32::from_be_bytes(low) };
            return Err(FormatError::new(start as u64, kind).into());
        }
        if !(2..=5).contains(&version) {
            return Err(SstError::Unsupported { what: "sst format version", found: u64::from(version) });
        }
        if checksum > 1 {
            return Err(SstError::Unsupported { what: "checksum type", found: u64::from(checksum) });
        }
        Ok(Self { bytes, checksum, meta_index: Handle::read(&mut handles)?, index: Handle::read(&mut handles)? })
    }

    /// Hands all entries to `visit`, by key and from the newest to the oldest of each; range deletions come first.
    ///
    /// Each block, filters and properties as well, is checked and decompressed when its turn comes.
    pub fn visit(&self, mut visit: impl FnMut(SstEntry<'_>)) -> Result<(), SstError> {
        let meta = self.meta_blocks()?;
        // Filters are of no use here, but a damaged one makes readers miss keys.
        for handle in meta.values() {
            self.block(*handle)?;
        }
        let properties = match meta.get("rocksdb.properties") {
            Some(handle) => self.properties(*handle)?,
            None => BTreeMap::new(),
        };
        let number =
            |name: &str| properties.get(name).map_or(0, |value| little_endian(value.get(..8).unwrap_or(value)));
        let index_type = number("rocksdb.block.based.table.index.type");
        if index_type > 1 {
            return Err(SstError::Unsupported { what: "index type", found: index_type });
        }
        if let Some(handle) = meta.get("rocksdb.range_del") {
            let block = self.block(*handle)?;
            entries(&block, handle.offset, |key, value| deliver(&key, value, handle.offset, &mut visit))?;
        }
        // From format version 4 on. Only the value of the first entry of each interval is whole.
        let delta_encoded = properties
            .get("rocksdb.index.value.is.delta.encoded")
            .is_some_and(|_| number("rocksdb.index.value.is.delta.encoded") != 0);
        let index = self.block(self.index)?;
        let mut behind = 0;
        for handle in index_handles(&index, self.index.offset, delta_encoded)? {
            // Blocks follow each other. One that is named twice would make a small file endless.
            if handle.offset < behind {
                let found = i64::try_from(handle.offset).unwrap_or(i64::MAX);
                let kind =
                    FormatErrorKind::BadValue { field: "block offset", found, expected: "one behind the last block" };
                return Err(FormatError::new(self.index.offset, kind).into());
            }
            behind = handle.offset.saturating_add(handle.size).saturating_add(TRAILER_LENGTH as u64);
            let block = self.block(handle)?;
            entries(&block, handle.offset, |key, value| deliver(&key, value, handle.offset, &mut visit))?;
        }
        Ok(())
    }

    fn meta_blocks(&self) -> Result<BTreeMap<String, Handle>, SstError> {
        let block = self.block(self.meta_index)?;
        let mut meta = BTreeMap::new();
        entries(&block, self.meta_index.offset, |key, value| {
            let handle = Handle::read(&mut Cursor::new(value, self.meta_index.offset))?;
            meta.insert(String::from_utf8_lossy(&key).into_owned(), handle);
            Ok(())
        })?;
        Ok(meta)
    }

    fn properties(&self, handle: Handle) -> Result<BTreeMap<String, Vec<u8>>, SstError> {
        let block = self.block(handle)?;
        let mut properties = BTreeMap::new();
        entries(&block, handle.offset, |key, value| {
            properties.insert(String::from_utf8_lossy(&key).into_owned(), value.to_vec());
            Ok(())
        })?;
        Ok(properties)
    }

    fn block(&self, handle: Handle) -> Result<Cow<'a, [u8]>, SstError> {
        let start = usize::try_from(handle.offset).unwrap_or(usize::MAX);
        let size = usize::try_from(handle.size).unwrap_or(usize::MAX);
        let mut cursor = Cursor::new(self.bytes.get(start..).unwrap_or_default(), handle.offset);
        let contents = cursor.bytes("block", size)?;
        let compression = cursor.bytes("block compression", 1)?;
        let stored = cursor.u32("block checksum")?;
        let computed = mask_crc(crc32c(&[contents, compression]));
        if self.checksum == 1 && stored != computed {
            let kind = FormatErrorKind::Crc { field: "block crc", stored, computed };
            return Err(FormatError::new(handle.offset, kind).into());
        }
        let compression = compression.first().copied().unwrap_or_default();
        if compression == 0 {
            return Ok(Cow::Borrowed(contents));
        }
        let mut cursor = Cursor::new(contents, handle.offset);
        let length = cursor.varint_u32("length of a decompressed block")?;
        let broken = |found| {
            let expected = "that of the block when decompressed";
            let kind = FormatErrorKind::BadValue { field: "length of a decompressed block", found, expected };
            SstError::Format(FormatError::new(handle.offset, kind))
        };
        if length > MAX_BLOCK_LENGTH {
            return Err(broken(i64::from(length)));
        }
        let capacity = length as usize;
        let block = match compression {
            4 | 5 => lz4_flex::block::decompress(cursor.rest(), capacity).ok(),
            7 => zstd::bulk::decompress(cursor.rest(), capacity).ok(),
            other => return Err(SstError::Unsupported { what: "compression", found: u64::from(other) }),
        };
        block.filter(|block| block.len() == capacity).map(Cow::Owned).ok_or_else(|| broken(i64::from(length)))
    }
}

/// Takes key, sequence number and type of an internal key apart.
fn deliver(key: &[u8], value: &[u8], offset: u64, visit: &mut impl FnMut(SstEntry<'_>)) -> Result<(), SstError> {
    let Some((user_key, tail)) = key.len().checked_sub(KEY_TAIL_LENGTH).and_then(|at| key.split_at_checked(at)) else {
        let found = i64::try_from(key.len()).unwrap_or(i64::MAX);
        return Err(FormatError::new(offset, FormatErrorKind::BadLength { field: "length of a key", found }).into());
    };
    let tail = little_endian(tail);
    let kind = match tail & 0xFF {
        0 | 7 => ValueKind::Deletion,
        1 => ValueKind::Value,
        15 => ValueKind::RangeDeletion,
        found => return Err(SstError::Unsupported { what: "value type", found }),
    };
    visit(SstEntry { key: user_key, sequence: tail >> 8, kind, value });
    Ok(())
}

/// The part of a block that holds entries, without restarts and hash table.
fn entry_bytes(block: &[u8], offset: u64) -> Result<&[u8], FormatError> {
    let bad = || {
        let found = i64::try_from(block.len()).unwrap_or(i64::MAX);
        FormatError::new(offset, FormatErrorKind::BadLength { field: "length of a block", found })
    };
    let (rest, footer) = block.split_last_chunk::<4>().ok_or_else(bad)?;
    let footer = u32::try_from(little_endian(footer)).unwrap_or_default();
    let mut length = rest.len();
    if footer >> 31 == 1 {
        let (_, buckets) = rest.split_last_chunk::<2>().ok_or_else(bad)?;
        let buckets = usize::try_from(little_endian(buckets)).unwrap_or(usize::MAX);
        length = length.checked_sub(2).and_then(|l| l.checked_sub(buckets)).ok_or_else(bad)?;
    }
    let restarts = (footer & 0x7FFF_FFFF) as usize;
    let length = restarts.checked_mul(4).and_then(|restarts| length.checked_sub(restarts)).ok_or_else(bad)?;
    rest.get(..length).ok_or_else(bad)
}

/// Hands the entries of a block to `visit`, their keys joined.
fn entries(
    block: &[u8],
    offset: u64,
    mut visit: impl FnMut(Cow<'_, [u8]>, &[u8]) -> Result<(), SstError>,
) -> Result<(), SstError> {
    let mut cursor = Cursor::new(entry_bytes(block, offset)?, offset);
    let mut key = Vec::new();
    while !cursor.rest().is_empty() {
        let shared = cursor.varint_u32("shared length of a key")? as usize;
        let rest = cursor.varint_u32("rest length of a key")? as usize;
        let value_length = cursor.varint_u32("length of a value")? as usize;
        if shared > key.len() {
            let found = i64::try_from(shared).unwrap_or(i64::MAX);
            let kind = FormatErrorKind::BadLength { field: "shared length of a key", found };
            return Err(FormatError::new(cursor.offset(), kind).into());
        }
        key.truncate(shared);
        key.extend_from_slice(cursor.bytes("key", rest)?);
        let value = cursor.bytes("value", value_length)?;
        visit(Cow::Borrowed(&key), value)?;
    }
    Ok(())
}

/// Where the data blocks lie.
fn index_handles(block: &[u8], offset: u64, delta_encoded: bool) -> Result<Vec<Handle>, SstError> {
    let mut handles: Vec<Handle> = Vec::new();
    if !delta_encoded {
        entries(block, offset, |_, value| {
            handles.push(Handle::read(&mut Cursor::new(value, offset))?);
            Ok(())
        })?;
        return Ok(handles);
    }
    let mut cursor = Cursor::new(entry_bytes(block, offset)?, offset);
    while !cursor.rest().is_empty() {
        let shared = cursor.varint_u32("shared length of an index key")?;
        let rest = cursor.varint_u32("rest length of an index key")? as usize;
        cursor.bytes("index key", rest)?;
        // The value has no length. Behind an entry that shares nothing it is a handle; behind others, it follows from
        // the handle before, and only the difference of the sizes is there, with the sign in the lowest bit.
        let handle = match handles.last().filter(|_| shared > 0) {
            None => Handle::read(&mut cursor)?,
            Some(last) => {
                let difference = cursor.varint("difference of block sizes")?;
                let magnitude = difference >> 1;
                let size = if difference & 1 == 0 {
                    last.size.wrapping_add(magnitude)
                } else {
                    last.size.wrapping_sub(magnitude).wrapping_sub(1)
                };
                Handle { offset: last.offset.wrapping_add(last.size).wrapping_add(TRAILER_LENGTH as u64), size }
            }
        };
        handles.push(handle);
    }
    Ok(handles)
}
