//! Writes members, cuts the tar stream into zstd frames, and ends with footer and table.
//!
//! A frame ends before a member that would make it longer than [`FRAME`]. A longer member has its frames to itself, each of
//! that length but the last. So where frames begin depends on the members alone, and the archive not on how it was made.

use std::collections::VecDeque;
use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::footer::Footer;
use super::header::{MemberHeader, padding};
use super::pack::{Frame, Packer, Packing, Piece};
use super::table::{self, Span};
use crate::digest::{FileDigest, FileDigests};

/// Length of the tar stream in a frame, at most: what zstd gives a thread at level 3, too, so that cutting costs next to nothing.
const FRAME: usize = 8 << 20;

/// Writes an archive to a stream, front to back.
pub(crate) struct ArchiveWriter<W> {
    out: W,
    packer: Packer,
    /// Frames that may be on their way before the writer waits for the first.
    ahead: usize,
    packing: VecDeque<Packing>,
    frame: Frame,
    spare: Vec<Vec<u8>>,
    hash: Sha256,
    spans: Vec<Span>,
    open: Option<Open>,
    /// Of the files, in order; `None` while they are being made.
    digests: Vec<Option<FileDigests>>,
}

/// The member that was begun.
struct Open {
    /// Bytes of data that are still expected.
    expected: u64,
    padding: usize,
    /// It has its frames to itself.
    is_long: bool,
    /// Made while the data come, with its number; that of a short file is made where its frame is compressed.
    digest: Option<(usize, FileDigest)>,
}

impl<W: Write> ArchiveWriter<W> {
    /// `level` is zstd's; so many `threads` compress.
    pub(crate) fn new(out: W, level: i32, threads: u32) -> io::Result<Self> {
        Ok(Self {
            out,
            packer: Packer::start(level, threads)?,
            ahead: usize::try_from(threads).unwrap_or(1).max(1) + 1,
            packing: VecDeque::new(),
            frame: Frame::default(),
            spare: Vec::new(),
            hash: Sha256::new(),
            spans: Vec::new(),
            open: None,
            digests: Vec::new(),
        })
    }

    /// Starts a member; exactly [`MemberHeader::stored_length`] bytes of data must follow, then [`end`](Self::end). With
    /// `wants_plain` it gets digests, with `Some(true)` also the plain one.
    pub(crate) fn begin(&mut self, header: &MemberHeader, wants_plain: Option<bool>, is_last: bool) -> io::Result<()> {
        let blocks = header.encode();
        let expected = header.stored_length();
        // A tar stream ends with two blocks of zeros.
        let padding = usize::try_from(padding(expected)).unwrap_or_default() + if is_last { 1024 } else { 0 };
        let total = usize::try_from(expected).unwrap_or(usize::MAX).saturating_add(blocks.len() + padding);
        if self.frame.tar.len().saturating_add(total) > FRAME {
            self.seal()?;
        }
        let is_long = total > FRAME;
        self.push(&blocks)?;
        let (length, extents) = (header.length, &header.extents);
        let mut digest = None;
        match wants_plain {
            Some(wants_plain) if is_long => {
                digest = Some((self.digests.len(), FileDigest::new(length, extents, wants_plain)));
                self.digests.push(None);
            }
            Some(wants_plain) => {
                let at = self.frame.tar.len();
                if self.frame.files.is_empty() {
                    self.frame.first = self.digests.len();
                }
                self.digests.push(None);
                self.frame.files.push(Piece { at, length, extents: extents.clone(), wants_plain });
            }
            None => {}
        }
        self.open = Some(Open { expected, padding, is_long, digest });
        Ok(())
    }

    /// The next bytes of data of the open member, which stand at `offset` of the file.
    pub(crate) fn data(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let open = self.open.as_mut().ok_or_else(|| io::Error::other("data without a member"))?;
        open.expected = open
            .expected
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| io::Error::other("more data than the member's header says"))?;
        if let Some((_, digest)) = &mut open.digest {
            digest.update(offset, bytes);
        }
        self.push(bytes)
    }

    /// Ends the member.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let open = self.open.take().filter(|open| open.expected == 0);
        let Some(Open { padding, is_long, digest, .. }) = open else {
            return Err(io::Error::other("less data than the member's header says"));
        };
        self.push([0; 2048].get(..padding).unwrap_or_default())?;
        if let Some((number, digest)) = digest {
            self.set(number, digest.finish());
        }
        if is_long { self.seal() } else { Ok(()) }
    }

    /// Ends the frame; the number of the next.
    pub(crate) fn next_frame(&mut self) -> io::Result<usize> {
        self.seal()?;
        Ok(self.spans.len() + self.packing.len())
    }

    /// Waits for everything begun; the digests that were wanted, in order.
    pub(crate) fn digests(&mut self) -> io::Result<Vec<FileDigests>> {
        self.seal()?;
        self.drain(0)?;
        let missing = || io::Error::other("a file was not digested");
        std::mem::take(&mut self.digests).into_iter().map(|digests| digests.ok_or_else(missing)).collect()
    }

    fn set(&mut self, number: usize, digests: FileDigests) {
        if let Some(slot) = self.digests.get_mut(number) {
            *slot = Some(digests);
        }
    }

    /// Writes footer and table; the length of the archive. The manifest begins in frame number `manifest`.
    pub(crate) fn finish(mut self, manifest: usize) -> io::Result<u64> {
        self.seal()?;
        self.drain(0)?;
        let sum = |spans: &[Span]| spans.iter().map(|span| u64::from(span.packed)).sum::<u64>();
        let manifest_at = sum(self.spans.get(..manifest).unwrap_or_default());
        let digest = self.hash.finalize().into();
        self.out.write_all(&Footer { has_table: true, manifest_at, digest }.encode())?;
        self.spans.push(Span::FOOTER);
        let table = table::encode(&self.spans);
        self.out.write_all(&table)?;
        self.out.flush()?;
        Ok(sum(&self.spans) + table.len() as u64)
    }

    /// Adds to the frame, and ends it whenever it is full.
    fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = FRAME.saturating_sub(self.frame.tar.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.frame.tar.extend_from_slice(now);
            bytes = later;
            if !bytes.is_empty() {
                self.seal()?;
            }
        }
        Ok(())
    }

    /// Hands the frame over to be compressed.
    fn seal(&mut self) -> io::Result<()> {
        if self.frame.tar.is_empty() {
            return Ok(());
        }
        let mut tar = self.spare.pop().unwrap_or_default();
        tar.clear();
        let frame = std::mem::replace(&mut self.frame, Frame { tar, ..Frame::default() });
        self.packing.push_back(self.packer.pack(frame));
        self.drain(self.ahead)
    }

    /// Writes frames until no more than so many are on their way.
    fn drain(&mut self, left: usize) -> io::Result<()> {
        while self.packing.len() > left {
            let Some(first) = self.packing.pop_front() else { break };
            let (plain, first_file) = (first.plain, first.first);
            let (packed, digests, tar) = first.wait()?;
            self.hash.update(&packed);
            self.out.write_all(&packed)?;
            let length = |length: usize| u32::try_from(length).map_err(io::Error::other);
            self.spans.push(Span { packed: length(packed.len())?, plain: length(plain)? });
            for (number, digests) in digests.into_iter().enumerate() {
                self.set(first_file + number, digests);
            }
            self.spare.push(tar);
        }
        Ok(())
    }
}
