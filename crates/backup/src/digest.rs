//! The two digests of a file: over the bytes between its holes, and over all of it.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::manifest::Extent;

/// A SHA-256 in lower case hexadecimal.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::with_capacity(digest.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether more than nine tenths of a file are holes; such a file is left out of `SHA256SUMS` by default.
pub(crate) fn is_mostly_hole(length: u64, stored_length: u64) -> bool {
    u128::from(stored_length) * 10 < u128::from(length)
}

/// Takes the extents of a file in order and gives both digests. Zeros are hashed for holes without being read.
pub(crate) struct FileDigest {
    stored: Sha256,
    /// The plain digest where it is wanted and differs: of a file with holes.
    plain: Option<Sha256>,
    wants_plain: bool,
    at: u64,
    length: u64,
}

/// The digests of a file, as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileDigests {
    /// Over the bytes between the holes.
    pub(crate) stored: [u8; 32],
    /// Over all of the file, if it was asked for.
    pub(crate) plain: Option<[u8; 32]>,
}

impl FileDigest {
    pub(crate) fn new(length: u64, extents: &[Extent], wants_plain: bool) -> Self {
        let stored_length: u64 = extents.iter().map(|extent| extent.length).sum();
        let plain = (wants_plain && stored_length != length).then(Sha256::new);
        Self { stored: Sha256::new(), plain, wants_plain, at: 0, length }
    }

    /// Takes `bytes`, which stand at `offset` of the file.
    pub(crate) fn update(&mut self, offset: u64, bytes: &[u8]) {
        self.stored.update(bytes);
        self.zeros_up_to(offset);
        if let Some(plain) = &mut self.plain {
            plain.update(bytes);
        }
        self.at = offset + bytes.len() as u64;
    }

    fn zeros_up_to(&mut self, offset: u64) {
        static ZEROS: [u8; 65536] = [0; 65536];
        let Some(plain) = &mut self.plain else { return };
        let mut left = offset.saturating_sub(self.at);
        while left > 0 {
            let zeros = usize::try_from(left).ok().and_then(|left| ZEROS.get(..left)).unwrap_or(&ZEROS);
            plain.update(zeros);
            left -= zeros.len() as u64;
        }
    }

    pub(crate) fn finish(mut self) -> FileDigests {
        self.zeros_up_to(self.length);
        let stored = self.stored.finalize().into();
        let plain = self.plain.map_or(stored, |plain| plain.finalize().into());
        FileDigests { stored, plain: self.wants_plain.then_some(plain) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_digest_counts_holes_and_the_stored_one_does_not() {
        let mut content = vec![0u8; 200_000];
        content[8192..12288].fill(7);
        let extents = [Extent { offset: 8192, length: 4096 }];
        let mut digest = FileDigest::new(content.len() as u64, &extents, true);
        digest.update(8192, &content[8192..12288]);
        let digests = digest.finish();
        assert_eq!(digests.plain, Some(sha256(&content)));
        assert_eq!(digests.stored, sha256(&content[8192..12288]));
    }

    #[test]
    fn the_digest_of_nothing_is_the_published_one() {
        let digests = FileDigest::new(0, &[], true).finish();
        assert_eq!(hex(&digests.stored), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(digests.plain, Some(digests.stored));
    }

    #[test]
    fn exactly_nine_tenths_hole_is_not_mostly_hole() {
        assert!(!is_mostly_hole(40960, 4096));
        assert!(is_mostly_hole(40961, 4096));
        assert!(!is_mostly_hole(0, 0));
    }
}
