//! What a RocksDB database says about itself: `CURRENT` and `MANIFEST-<number>`.
//!
//! Brokers keep queues (5.2.0 and later, by choice), topics, groups and offsets (5.1.4), POP records (5.3.2) and index,
//! timers and transactions (5.4.0) in such databases, written by the library `rocketmq-rocksdb` 1.0.2. The manifest alone
//! tells which files belong together, and so what a copy must hold.
//!
//! ```text
//!     manifest: blocks of 32768 bytes, each filled with records; a tail shorter than a head is zeros
//!     record  0       4    6    7         7 + n
//!             +-------+----+----+---------+
//!             | crc   |len |type| payload |   type 1 whole, 2 first, 3 middle, 4 last piece
//!             +-------+----+----+---------+
//!     edit    tag (varint), value, tag, value, ...
//! ```
//!
//! | tag | value | meaning |
//! |---|---|---|
//! | 1 | text | comparator of the column family |
//! | 2, 9, 10 | varint | log number of the family; previous log; oldest log still needed |
//! | 3, 4 | varint | next file number; last sequence number |
//! | 6 | level, number | a file that is gone |
//! | 7, 100, 102, 103 | level, number, size, key range, … | a file that is there |
//! | 200, 201, 202, 203 | varint or text | family of this edit; a new family's name; the family is dropped; highest id |
//! | 300 | varint | edits of the group that follow: they count together or not at all |
//! | 8192 and up | length and bytes | may be passed over |
//!
//! Quirks:
//! - All fixed numbers are little-endian. The CRC is CRC-32C over type and payload, rotated and shifted
//!   ([`mask_crc`]), so that a CRC of bytes that hold CRCs is not weak.
//! - A piece cut off at the end of the file was being written, and is no damage.
//! - `CURRENT` is the name of the manifest and a line feed, written by renaming.
//!
//! Format: the RocksDB sources, `db/log_format.h`, `db/version_edit.h`; compared with databases of 5.3.3 to 5.5.0.

mod coding;
mod log;
mod manifest;
pub mod rows;
mod sst;

pub use coding::{crc32c, mask_crc};
pub use log::{LogRecords, RecordsEnd};
pub use manifest::{ColumnFamily, LiveFile, Manifest, MissingSst, current_manifest};
pub use sst::{SstEntry, SstError, SstFile, ValueKind};
