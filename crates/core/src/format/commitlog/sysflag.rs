//! The system flag of a record (`MessageSysFlag`).

/// The 32 bits that say how to read a record and what kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SysFlag(pub i32);

/// How a body was compressed by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// RFC 1950; the only one before 4.9.4.
    Zlib,
    /// LZ4 frame.
    Lz4,
    /// zstd frame.
    Zstd,
    /// Codec bits that no release knows (4 to 7).
    Unknown(u8),
}

/// The part of a transaction that a record plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionType {
    /// An ordinary message; since 4.3.0 half messages, too.
    Not,
    /// Prepared, 3.x to 4.2.0: in the real topic, in no queue.
    Prepared,
    /// Committed: a copy of the prepared message, in its queue.
    Commit,
    /// Rolled back, 3.x to 4.2.0: a mark without body, in no queue.
    Rollback,
}

impl SysFlag {
    /// All bits that some release defines.
    pub const KNOWN: i32 = 0x7FF;

    const COMPRESSED: i32 = 0x1;
    const MULTI_TAGS: i32 = 0x2;
    const TRANSACTION: i32 = 0xC;
    const BORN_HOST_V6: i32 = 0x10;
    const STORE_HOST_V6: i32 = 0x20;
    const NEED_UNWRAP: i32 = 0x40;
    const INNER_BATCH: i32 = 0x80;
    const CODEC: i32 = 0x700;

    fn has(self, bits: i32) -> bool {
        self.0 & bits != 0
    }

    /// How the body is compressed, or `None` when it is not.
    pub fn codec(self) -> Option<Codec> {
        self.has(Self::COMPRESSED).then(|| match (self.0 & Self::CODEC) >> 8 {
            // 4.9.4 and later producers set 3 for zlib, older ones nothing.
            0 | 3 => Codec::Zlib,
            1 => Codec::Lz4,
            2 => Codec::Zstd,
            other => Codec::Unknown(u8::try_from(other).unwrap_or(u8::MAX)),
        })
    }

    /// Whether the topic was declared as filtered by several tags.
    pub fn is_multi_tags(self) -> bool {
        self.has(Self::MULTI_TAGS)
    }

    /// The part of a transaction.
    pub fn transaction_type(self) -> TransactionType {
        match self.0 & Self::TRANSACTION {
            0x4 => TransactionType::Prepared,
            0x8 => TransactionType::Commit,
            0xC => TransactionType::Rollback,
            _ => TransactionType::Not,
        }
    }

    /// Whether the born host has 20 bytes (4.6.0 and later).
    #[inline]
    pub fn is_born_host_v6(self) -> bool {
        self.has(Self::BORN_HOST_V6)
    }

    /// Whether the store host has 20 bytes (4.6.0 and later).
    #[inline]
    pub fn is_store_host_v6(self) -> bool {
        self.has(Self::STORE_HOST_V6)
    }

    /// Whether the record holds several messages of one queue (5.0.0 and later).
    pub fn is_inner_batch(self) -> bool {
        self.has(Self::INNER_BATCH)
    }

    /// Whether a consumer has to take the inner batch apart.
    pub fn needs_unwrap(self) -> bool {
        self.has(Self::NEED_UNWRAP)
    }

    /// The bits that no release defines; clients may send any.
    pub fn unknown_bits(self) -> i32 {
        self.0 & !Self::KNOWN
    }
}
