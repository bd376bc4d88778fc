//! The last frame of an archive but one, a zstd skippable frame of 56 bytes; before there was a table it was the last one.
//!
//! | offset | size | meaning |
//! |---|---|---|
//! | 0 | 4 | magic of a skippable frame, `50 2a 4d 18` |
//! | 4 | 4 | length of what follows: 48, little-endian as zstd has it |
//! | 8 | 8 | `mqstore2`, or `mqstore1` if nothing follows the footer |
//! | 16 | 8 | position of the frame that holds `manifest.json`, big-endian |
//! | 24 | 32 | SHA-256 over all bytes before the footer |
//!
//! zstd's own checksums leave a few bits of a frame header unprotected; the digest here leaves none. The number in the name
//! says whether the table of frames follows, so that an archive that lost its table is not taken for one that never had any.

/// Length of the footer in bytes.
pub(crate) const LENGTH: usize = 56;
/// Magic of the frame, as it stands in the file.
pub(crate) const MAGIC: [u8; 4] = *b"\x50\x2a\x4d\x18";
const WITHOUT_TABLE: [u8; 16] = *b"\x50\x2a\x4d\x18\x30\x00\x00\x00mqstore1";
const WITH_TABLE: [u8; 16] = *b"\x50\x2a\x4d\x18\x30\x00\x00\x00mqstore2";

/// What the footer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Whether the table of frames follows.
    pub(crate) has_table: bool,
    /// Position in the archive of the frame that holds the manifest.
    pub(crate) manifest_at: u64,
    /// SHA-256 over all bytes before the footer.
    pub(crate) digest: [u8; 32],
}

impl Footer {
    pub(crate) fn encode(self) -> Vec<u8> {
        let start = if self.has_table { WITH_TABLE } else { WITHOUT_TABLE };
        [&start[..], &self.manifest_at.to_be_bytes(), &self.digest].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (start, rest) = bytes.split_first_chunk::<16>()?;
        let has_table = *start == WITH_TABLE;
        if !has_table && *start != WITHOUT_TABLE {
            return None;
        }
        let (manifest_at, digest) = rest.split_first_chunk::<8>()?;
        Some(Self { has_table, manifest_at: u64::from_be_bytes(*manifest_at), digest: digest.try_into().ok()? })
    }
}
