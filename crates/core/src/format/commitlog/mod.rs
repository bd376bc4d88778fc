//! The commit log: `commitlog/<20 digits>`, message records one behind the other.
//!
//! Written by `CommitLog.DefaultAppendMessageCallback` (3.2.6 to 5.0.0) and `MessageExtEncoder` (5.1.0 and later), read
//! back by `CommitLog.checkMessageAndReturnSize`. A file has a fixed length and is named by the physical offset of its
//! first byte. It holds records, then one *blank* that fills it up; the newest file holds records, then zeros.
//!
//! ```text
//!        0       4       8       12      16      20
//!        +-------+-------+-------+-------+-------+
//!      0 | total | magic | body  | queue | flag  |
//!        | size  | code  | crc   | id    |       |
//!        +-------+-------+-------+-------+-------+-------+
//!     20 | queue offset  | physical      | sys   |
//!        |               | offset        | flag  |
//!        +---------------+---------------+-------+
//!     40 | born          | born host     | store         | store host    |      hosts: 8 bytes (IPv4 + port)
//!        | timestamp     | 8 | 20        | timestamp     | 8 | 20        |          or 20 bytes (IPv6 + port)
//!        +-------+-------+-------+-------+---------------+---------------+
//!     72 | recon-| prepared      | body  | body ...                      |      offsets here and below are for
//!        | sume  | transaction   | length|                               |      two IPv4 hosts and an empty body
//!        +---+---+-------+-------+-------+-------------------------------+
//!     88 | t | topic ...     | properties length (2) | properties ...    |      t: topic length, 1 byte in V1,
//!        +---+---------------+-----------------------+-------------------+         2 bytes in V2
//! ```
//!
//! | field | bytes | meaning |
//! |---|---|---|
//! | total size | 4 | length of the record, this field included |
//! | magic code | 4 | [`MESSAGE_MAGIC_CODE`] (V1), [`MESSAGE_MAGIC_CODE_V2`] (5.1.0+), [`BLANK_MAGIC_CODE`] |
//! | body crc | 4 | CRC-32 of the body as stored, top bit cleared; 0 for an empty body |
//! | queue id | 4 | queue of the topic |
//! | flag | 4 | the client's own |
//! | queue offset | 8 | number in the queue; 0 for prepared and rolled back transactions of 3.x to 4.2.0 |
//! | physical offset | 8 | offset of the record's first byte in the whole log |
//! | sys flag | 4 | [`SysFlag`] |
//! | born timestamp, host | 8 + 8 or 20 | when and where the client made it, milliseconds since the epoch |
//! | store timestamp, host | 8 + 8 or 20 | when and where a broker first stored it |
//! | reconsume times | 4 | deliveries that failed |
//! | prepared transaction offset | 8 | of a committed message: the physical offset of its prepared or half record |
//! | body length, body | 4 + n | as the client compressed it |
//! | topic length, topic | 1 or 2 + n | UTF-8 (3.2.6: the JVM's default charset) |
//! | properties length, properties | 2 + n | [`Properties`] |
//!
//! Quirks:
//! - A blank is `total size, magic code` and then bytes without meaning: up to 4.9.0 remains of older records. Nothing
//!   may be looked for in it.
//! - A record whose body length is 0 or less has no body, and one whose properties length is 0 or less no properties.
//! - Records that 5.0.0 to 5.3.3 wrote after a change of the broker's address from IPv6 to IPv4 claim a 20-byte store
//!   host but hold 8 bytes, and end with 12 bytes of padding. No release can read them. [`MessageRecord::parse`]
//!   refuses them as every broker does; [`MessageRecord::parse_with_short_store_host`] tells them from damage.
//! - Brokers never compare the physical offset with the record's place; [`resync`] does.

mod body;
mod entry;
mod host;
mod inner_batch;
mod message;
mod multi_dispatch;
mod properties;
mod sysflag;

pub use body::DecompressError;
pub use entry::{Blank, Entries, Entry, resync, resync_within};
pub use host::Host;
pub use inner_batch::{BatchSpan, InnerMessage, InnerMessages, MIN_INNER_MESSAGE_LENGTH};
pub use message::{MagicCode, MessageRecord};
pub use multi_dispatch::{DispatchTarget, Exemption, LMQ_PREFIX, MultiDispatch};
pub use properties::{Properties, names};
pub use sysflag::{Codec, SysFlag, TransactionType};

/// Magic code of a message record with a one-byte topic length.
pub const MESSAGE_MAGIC_CODE: i32 = 0xDAA3_20A7_u32.cast_signed();
/// Magic code of a message record with a two-byte topic length, 5.1.0 and later.
pub const MESSAGE_MAGIC_CODE_V2: i32 = 0xDAA3_20AB_u32.cast_signed();
/// Magic code of the blank that closes a file.
pub const BLANK_MAGIC_CODE: i32 = 0xCBD4_3194_u32.cast_signed();

/// Length of an address of four bytes and its port.
pub const HOST_V4_LENGTH: usize = 4 + 4;
/// Length of an address of sixteen bytes and its port.
pub const HOST_V6_LENGTH: usize = 16 + 4;
/// Where the physical offset stands in every record.
pub const PHYSICAL_OFFSET_POSITION: usize = 4 + 4 + 4 + 4 + 4 + 8;
/// Where the system flag stands in every record.
pub const SYS_FLAG_POSITION: usize = PHYSICAL_OFFSET_POSITION + 8;
/// Length of everything before the born host.
pub const BORN_HOST_POSITION: usize = SYS_FLAG_POSITION + 4 + 8;
/// The shortest record: two IPv4 hosts, V1, no body, topic or properties.
pub const MIN_RECORD_LENGTH: usize = BORN_HOST_POSITION + HOST_V4_LENGTH + 8 + HOST_V4_LENGTH + 4 + 8 + 4 + 1 + 2;
/// The shortest blank.
pub const MIN_BLANK_LENGTH: usize = 4 + 4;

const _: () = assert!(MIN_RECORD_LENGTH == 91 && PHYSICAL_OFFSET_POSITION == 28 && BORN_HOST_POSITION == 48);

#[cfg(test)]
mod tests;
