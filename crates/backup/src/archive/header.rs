//! Tar headers of a member: GNU format, long names and old-GNU sparse maps.
//!
//! ```text
//! | [L header, name blocks] | header | [sparse map blocks] | data between the holes | zeros up to 512 |
//! ```
//!
//! A sparse header holds 4 extents, each further 512-byte block 21. A file that ends in a hole has an empty extent at
//! its end, as GNU tar writes it. Owner and group are 0 and have no name: the archive says what a store holds, not who
//! made the copy.

use tar::{EntryType, GnuExtSparseHeader, GnuSparseHeader, Header};

use crate::manifest::Extent;

/// Length of a tar block in bytes.
pub(crate) const BLOCK: usize = 512;
pub(crate) const LONG_NAME: &str = "././@LongLink";
const NAME_FIELD: usize = 100;

/// Kind of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
}

/// What the headers of a member say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberHeader {
    /// Without a slash at the end.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Length of the file, holes included.
    pub(crate) length: u64,
    /// The data between the holes.
    pub(crate) extents: Vec<Extent>,
    pub(crate) mode: u32,
    /// Seconds since the epoch.
    pub(crate) mtime: u64,
}

impl MemberHeader {
    pub(crate) fn folder(name: &str, mode: u32, mtime_ns: i64) -> Self {
        let mtime = whole_seconds(mtime_ns);
        Self { name: name.to_owned(), kind: Kind::Folder, length: 0, extents: Vec::new(), mode, mtime }
    }

    /// Bytes of data that follow the headers.
    pub(crate) fn stored_length(&self) -> u64 {
        self.extents.iter().map(|extent| extent.length).sum()
    }

    /// All header blocks.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut name = self.name.clone().into_bytes();
        if self.kind == Kind::Folder {
            name.push(b'/');
        }
        let mut blocks = Vec::new();
        if name.len() > NAME_FIELD {
            long_name(&name, &mut blocks);
        }
        let mut header = Header::new_gnu();
        set_name(&mut header, &name);
        header.set_mode(self.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.mtime);
        header.set_size(self.stored_length());
        header.set_entry_type(if self.kind == Kind::Folder { EntryType::Directory } else { EntryType::Regular });
        let map = self.sparse_map();
        let (first, rest) = map.split_at_checked(4).unwrap_or((&map, &[]));
        if let (false, Some(gnu)) = (map.is_empty(), header.as_gnu_mut()) {
            fill(&mut gnu.sparse, first);
            gnu.set_real_size(self.length);
            gnu.set_is_extended(!rest.is_empty());
            header.set_entry_type(EntryType::GNUSparse);
        }
        header.set_cksum();
        blocks.extend_from_slice(header.as_bytes());
        let mut chunks = rest.chunks(21).peekable();
        while let Some(chunk) = chunks.next() {
            let mut block = GnuExtSparseHeader::new();
            fill(&mut block.sparse, chunk);
            block.set_is_extended(chunks.peek().is_some());
            blocks.extend_from_slice(block.as_bytes());
        }
        blocks
    }

    /// Empty for a file without holes.
    fn sparse_map(&self) -> Vec<Extent> {
        if self.stored_length() == self.length {
            return Vec::new();
        }
        let mut map = self.extents.clone();
        if map.last().is_none_or(|last| last.offset + last.length < self.length) {
            map.push(Extent { offset: self.length, length: 0 });
        }
        map
    }
}

/// Whole seconds for the tar header; times before 1970 become 0.
pub(crate) fn whole_seconds(mtime_ns: i64) -> u64 {
    u64::try_from(mtime_ns / 1_000_000_000).unwrap_or(0)
}

/// Zero bytes that pad `length` to whole blocks.
pub(crate) fn padding(length: u64) -> u64 {
    length.next_multiple_of(BLOCK as u64) - length
}

fn fill(slots: &mut [GnuSparseHeader], extents: &[Extent]) {
    for (slot, extent) in slots.iter_mut().zip(extents) {
        slot.set_offset(extent.offset);
        slot.set_length(extent.length);
    }
}

fn set_name(header: &mut Header, name: &[u8]) {
    for (slot, byte) in header.as_old_mut().name.iter_mut().zip(name) {
        *slot = *byte;
    }
}

fn long_name(name: &[u8], blocks: &mut Vec<u8>) {
    let length = name.len() as u64 + 1;
    let mut header = Header::new_gnu();
    set_name(&mut header, LONG_NAME.as_bytes());
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(length);
    header.set_entry_type(EntryType::GNULongName);
    header.set_cksum();
    blocks.extend_from_slice(header.as_bytes());
    blocks.extend_from_slice(name);
    blocks.push(0);
    blocks.extend((0..padding(length)).map(|_| 0));
}
