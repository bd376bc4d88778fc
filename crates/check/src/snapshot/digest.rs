//! Digests of the log: see [the module above](super) for what they cover.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use twox_hash::XxHash3_128;

/// Bytes of a grain, the smallest run of log that has a digest of its own.
pub const GRAIN: u64 = 64 << 10;
/// Bytes that a row of a range has at most; a range no longer than this is told byte by byte.
pub const PIECE: u64 = 1024;
/// Name of the digest in the document.
pub(crate) const ALGORITHM: &str = "xxh3-128";

/// XXH3-128 of a run of log; 32 hex digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u128);

impl Digest {
    /// The digest of a grain.
    pub fn of(bytes: &[u8]) -> Self {
        Self(XxHash3_128::oneshot(bytes))
    }

    /// The digest of a chunk from those of its grains, or of a file from those of its chunks.
    pub fn of_digests(parts: &[Self]) -> Self {
        let mut hasher = XxHash3_128::new();
        for part in parts {
            hasher.write(&part.0.to_be_bytes());
        }
        Self(hasher.finish_128())
    }

    /// The digest of a chunk: its first byte is the first of a grain.
    pub fn of_chunk(bytes: &[u8]) -> Self {
        let grain = usize::try_from(GRAIN).unwrap_or(usize::MAX);
        let grains: Vec<_> = bytes.chunks(grain).map(Self::of).collect();
        Self::of_digests(&grains)
    }
}

/// The digest of one record, short enough for a JSON number.
pub(crate) fn of_record(bytes: &[u8]) -> u64 {
    u64::try_from(XxHash3_128::oneshot(bytes) & 0xFFFF_FFFF_FFFF).unwrap_or_default()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(|_| D::Error::custom("expected a digest of 32 hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_reference_implementation_and_survives_its_text() {
        // XXH3_128bits of no bytes, seed 0, as the reference implementation of xxHash gives it.
        let empty = Digest::of(b"");
        assert_eq!(empty.to_string(), "99aa06d3014798d86001c324468d497f");
        let text = serde_json::to_string(&Digest(7)).unwrap();
        assert_eq!(text, "\"00000000000000000000000000000007\"");
        assert_eq!(serde_json::from_str::<Digest>(&text).unwrap(), Digest(7));
        assert!(serde_json::from_str::<Digest>("\"grain\"").is_err());
    }

    #[test]
    fn a_chunk_is_the_digest_of_its_grains() {
        let bytes: Vec<u8> = (0..150_000u32).map(|n| n.to_be_bytes()[3]).collect();
        let grains = [Digest::of(&bytes[..65_536]), Digest::of(&bytes[65_536..131_072]), Digest::of(&bytes[131_072..])];
        assert_eq!(Digest::of_chunk(&bytes), Digest::of_digests(&grains));
        assert_ne!(Digest::of_chunk(&bytes), Digest::of_chunk(&bytes[..149_999]));
    }
}
