//! Writes members, each as one zstd frame, and the footer.

use std::io::{self, Write};

use sha2::{Digest, Sha256};
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation, OutBuffer};

use super::footer::Footer;
use super::header::{MemberHeader, padding};

/// Writes an archive to a stream, front to back.
pub(crate) struct ArchiveWriter<W> {
    out: W,
    encoder: Encoder<'static>,
    buffer: Vec<u8>,
    hash: Sha256,
    written: u64,
    frame_at: u64,
    /// Bytes of data that the open member still expects, and the padding behind them.
    expected: u64,
    padding: u64,
}

impl<W: Write> ArchiveWriter<W> {
    /// `level` is zstd's; `workers` threads compress.
    pub(crate) fn new(out: W, level: i32, workers: u32) -> io::Result<Self> {
        let mut encoder = Encoder::new(level)?;
        encoder.set_parameter(CParameter::ChecksumFlag(true))?;
        // At least one: the bytes do not depend on the number of workers, but they do on whether there are any.
        encoder.set_parameter(CParameter::NbWorkers(workers.max(1)))?;
        let (buffer, hash) = (vec![0; 1 << 17], Sha256::new());
        Ok(Self { out, encoder, buffer, hash, written: 0, frame_at: 0, expected: 0, padding: 0 })
    }

    /// Bytes of the archive written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Position of the frame that was started last.
    pub(crate) fn frame_at(&self) -> u64 {
        self.frame_at
    }

    /// Starts a member; exactly [`MemberHeader::stored_length`] bytes of data must follow, then [`end`](Self::end).
    pub(crate) fn begin(&mut self, header: &MemberHeader, is_last: bool) -> io::Result<()> {
        let blocks = header.encode();
        self.expected = header.stored_length();
        // A tar stream ends with two blocks of zeros.
        self.padding = padding(self.expected) + if is_last { 1024 } else { 0 };
        let total = blocks.len() as u64 + self.expected + self.padding;
        self.frame_at = self.written;
        self.encoder.reinit()?;
        self.encoder.set_pledged_src_size(Some(total))?;
        self.feed(&blocks)
    }

    /// The next bytes of data of the open member.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.expected = self
            .expected
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| io::Error::other("more data than the member's header says"))?;
        self.feed(bytes)
    }

    /// Ends the member and its frame.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if self.expected != 0 {
            return Err(io::Error::other("less data than the member's header says"));
        }
        let zeros = usize::try_from(self.padding).ok().and_then(|length| [0; 2048].get(..length)).unwrap_or_default();
        self.feed(zeros)?;
        loop {
            let mut output = OutBuffer::around(&mut self.buffer[..]);
            let left = self.encoder.finish(&mut output, true)?;
            let count = output.pos();
            self.flush_buffer(count)?;
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// Writes the footer and gives the stream back.
    pub(crate) fn finish(mut self, manifest_at: u64) -> io::Result<W> {
        let digest = self.hash.finalize().into();
        self.out.write_all(&Footer { manifest_at, digest }.encode())?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn feed(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut input = InBuffer::around(bytes);
        while input.pos() < bytes.len() {
            let mut output = OutBuffer::around(&mut self.buffer[..]);
            self.encoder.run(&mut input, &mut output)?;
            let count = output.pos();
            self.flush_buffer(count)?;
        }
        Ok(())
    }

    fn flush_buffer(&mut self, count: usize) -> io::Result<()> {
        let bytes = self.buffer.get(..count).unwrap_or_default();
        self.hash.update(bytes);
        self.written += count as u64;
        self.out.write_all(bytes)
    }
}
