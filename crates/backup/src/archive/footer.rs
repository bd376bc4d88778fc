//! The last 56 bytes of an archive, a zstd skippable frame.
//!
//! | offset | size | meaning |
//! |---|---|---|
//! | 0 | 4 | magic of a skippable frame, `50 2a 4d 18` |
//! | 4 | 4 | length of what follows: 48, little-endian as zstd has it |
//! | 8 | 8 | `mqstore1` |
//! | 16 | 8 | position of the frame that holds `manifest.json`, big-endian |
//! | 24 | 32 | SHA-256 over all bytes before the footer |
//!
//! zstd's own checksums leave a few bits of a frame header unprotected; the digest here leaves none.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// Length of the footer in bytes.
pub(crate) const LENGTH: usize = 56;
const START: [u8; 16] = *b"\x50\x2a\x4d\x18\x30\x00\x00\x00mqstore1";
/// How much is read at once.
const CHUNK: usize = 1 << 17;

/// What the footer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Position in the archive of the frame that holds the manifest.
    pub(crate) manifest_at: u64,
    /// SHA-256 over all bytes before the footer.
    pub(crate) digest: [u8; 32],
}

impl Footer {
    pub(crate) fn encode(self) -> Vec<u8> {
        [&START[..], &self.manifest_at.to_be_bytes(), &self.digest].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&START)?;
        let (manifest_at, digest) = rest.split_first_chunk::<8>()?;
        Some(Self { manifest_at: u64::from_be_bytes(*manifest_at), digest: digest.try_into().ok()? })
    }
}

/// Reads an archive up to its footer: keeps the last bytes back until it is clear what they are, and hashes the rest.
pub(crate) struct FooterReader<R> {
    inner: R,
    /// Bytes read; those before `given` were handed out, the last [`LENGTH`] may be the footer.
    buffer: Vec<u8>,
    given: usize,
    ended: bool,
    hash: Sha256,
    footer: Option<Footer>,
    total: u64,
}

impl<R: Read> FooterReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, buffer: Vec::new(), given: 0, ended: false, hash: Sha256::new(), footer: None, total: 0 }
    }

    /// More bytes that belong before the footer, appended to `out`; false at the end.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        while !self.ended && self.buffer.len() - self.given <= LENGTH {
            self.buffer.drain(..self.given);
            self.given = 0;
            let count = self.inner.by_ref().take(CHUNK as u64).read_to_end(&mut self.buffer)?;
            self.total += count as u64;
            if count == 0 {
                self.ended = true;
                let tail = self.buffer.len().saturating_sub(LENGTH);
                self.footer = self.buffer.get(tail..).and_then(Footer::decode);
                if self.footer.is_some() {
                    self.buffer.truncate(tail);
                }
            }
        }
        let keep = if self.ended { 0 } else { LENGTH };
        let end = self.buffer.len().saturating_sub(keep).max(self.given);
        let bytes = self.buffer.get(self.given..end).unwrap_or_default();
        self.hash.update(bytes);
        out.extend_from_slice(bytes);
        let any = !bytes.is_empty();
        self.given = end;
        Ok(any)
    }

    /// Bytes read from the archive so far, those kept back included.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The footer, once the end was reached, and the digest over what came before it.
    pub(crate) fn finish(self) -> (Option<Footer>, [u8; 32]) {
        (self.footer, self.hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_footer_is_kept_back_and_everything_before_it_is_handed_out_and_hashed() {
        for length in [0, 1, LENGTH, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let body: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let footer = Footer { manifest_at: 77, digest: crate::digest::sha256(&body) };
            let archive = [body.clone(), footer.encode()].concat();
            let mut reader = FooterReader::new(&archive[..]);
            let mut out = Vec::new();
            while reader.fill(&mut out).unwrap() {}
            assert_eq!(out, body, "{length}");
            assert_eq!(reader.finish(), (Some(footer), footer.digest), "{length}");
        }
    }

    #[test]
    fn without_a_footer_every_byte_is_handed_out() {
        let body = vec![7u8; CHUNK + 10];
        let mut reader = FooterReader::new(&body[..]);
        let mut out = Vec::new();
        while reader.fill(&mut out).unwrap() {}
        assert_eq!(out, body);
        assert_eq!(reader.finish().0, None);
    }
}
