//! The checkpoint: `checkpoint`, one page of 4096 bytes, what is known to be flushed (`StoreCheckpoint`).
//!
//! ```text
//!     0               8               16              24              32              40              48
//!     +---------------+---------------+---------------+---------------+---------------+---------------+-- 0 ...
//!     | physic msg    | logics msg    | index msg     | master        | confirm       | logics        |
//!     | timestamp     | timestamp     | timestamp     | flushed offset| phy offset    | physical      |
//!     +---------------+---------------+---------------+---------------+---------------+---------------+-- 0 ...
//! ```
//!
//! | field | since | meaning |
//! |---|---|---|
//! | physic msg timestamp | 3.x | store time of the newest message flushed to the commit log, ms since the epoch |
//! | logics msg timestamp | 3.x | store time of the newest message put into a queue |
//! | index msg timestamp | 3.x | end of the newest *full* index file |
//! | master flushed offset | 5.0.0 | a slave's view of its master's flush point |
//! | confirm phy offset | 5.1.1 | outside controller mode: start of the last record at the previous start |
//! | logics physical offset | 5.5.0 | start of the last record put into a queue at the last thorough flush |
//!
//! There is no magic code and no checksum. Releases leave the fields they do not know untouched. Zero is normal in any
//! of them: see the specification of each.

use crate::bytes::Reader;
use crate::error::FormatError;

/// Length of the file in bytes.
pub const CHECKPOINT_LENGTH: u64 = 4096;
/// Bytes that hold fields.
pub const CHECKPOINT_FIELDS_LENGTH: usize = 6 * 8;
/// Recovery starts this much before the older of two timestamps, in milliseconds.
pub const CHECKPOINT_MARGIN_MS: i64 = 3000;

/// The fields of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Store time of the newest message flushed to the commit log, milliseconds since the epoch.
    pub physic_msg_timestamp: i64,
    /// Store time of the newest message put into a consume queue, milliseconds since the epoch.
    pub logics_msg_timestamp: i64,
    /// End of the newest full index file, milliseconds since the epoch.
    pub index_msg_timestamp: i64,
    /// A slave's view of its master's flush point, a physical offset (5.0.0 and later).
    pub master_flushed_offset: i64,
    /// A physical offset (5.1.1 and later).
    pub confirm_phy_offset: i64,
    /// A physical offset (5.5.0 and later).
    pub logics_physical_offset: i64,
}

impl Checkpoint {
    /// Reads the fields at the start of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes, 0);
        Ok(Self {
            physic_msg_timestamp: reader.i64("physic msg timestamp")?,
            logics_msg_timestamp: reader.i64("logics msg timestamp")?,
            index_msg_timestamp: reader.i64("index msg timestamp")?,
            master_flushed_offset: reader.i64("master flushed offset")?,
            confirm_phy_offset: reader.i64("confirm phy offset")?,
            logics_physical_offset: reader.i64("logics physical offset")?,
        })
    }

    /// Messages stored after this need not be in queues and log; an abnormal start re-dispatches from here
    /// (`getMinTimestamp`). Milliseconds since the epoch.
    pub fn min_timestamp(&self) -> i64 {
        self.physic_msg_timestamp.min(self.logics_msg_timestamp).saturating_sub(CHECKPOINT_MARGIN_MS).max(0)
    }

    /// The same for index files (`getMinTimestampIndex`). Milliseconds since the epoch.
    pub fn min_timestamp_index(&self) -> i64 {
        self.min_timestamp().min(self.index_msg_timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_lies_three_seconds_before_the_older_mark_and_not_below_zero() {
        let mut bytes = vec![0; 4096];
        assert_eq!(Checkpoint::parse(&bytes).unwrap().min_timestamp(), 0);
        bytes[..8].copy_from_slice(&10_000i64.to_be_bytes());
        bytes[8..16].copy_from_slice(&9_000i64.to_be_bytes());
        bytes[40..48].copy_from_slice(&77i64.to_be_bytes());
        let checkpoint = Checkpoint::parse(&bytes).unwrap();
        assert_eq!((checkpoint.min_timestamp(), checkpoint.min_timestamp_index()), (6_000, 0));
        assert_eq!(checkpoint.logics_physical_offset, 77);
    }

    #[test]
    fn a_short_file_names_the_field_it_lacks() {
        let error = Checkpoint::parse(&[0; 20]).unwrap_err();
        assert_eq!(error.to_string(), "index msg timestamp needs 8 bytes, 4 are left at offset 16");
    }
}
