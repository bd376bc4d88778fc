//! Reads zstd frames one after the other, knowing where each starts, and what follows the last of them.

use std::io::{self, Read};

use sha2::{Digest, Sha256};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::footer::{self, Footer};
use super::table::{self, MAX_FRAMES, Span};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// In the byte behind the magic: the frame ends with a checksum.
const HAS_CHECKSUM: u8 = 0b100;
/// Largest window accepted, as a power of two: 8 MiB, what zstd uses up to level 19.
pub(crate) const WINDOW_LOG_MAX: u32 = 23;
/// How much is read at once.
const CHUNK: u64 = 1 << 17;

/// Why the bytes of an archive could not be read.
#[derive(Debug)]
pub(crate) enum ReadProblem {
    /// The source failed; says nothing about the archive.
    Io(io::Error),
    /// The bytes are wrong: finding id, position in the archive file, and what is wrong.
    Damage { id: &'static str, offset: u64, message: String },
}

impl From<io::Error> for ReadProblem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The tar stream of an archive.
pub(crate) trait Plain {
    /// Fills `out` and returns how much of it: less than asked for only at the end of the last frame.
    fn read(&mut self, out: &mut [u8]) -> Result<usize, ReadProblem>;
    /// Position in the archive of the frame that the last bytes came from.
    fn frame_at(&self) -> u64;
    /// Position in the archive of the next compressed byte.
    fn position(&self) -> u64;
}

/// What stood behind the last frame.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) footer: Option<Footer>,
    /// SHA-256 over all frames.
    pub(crate) digest: [u8; 32],
    /// What is wrong with the table of frames.
    pub(crate) table_problem: Option<String>,
}

/// The tar stream of an archive that is read from its beginning.
pub(crate) struct FrameReader<R> {
    source: R,
    decoder: Decoder<'static>,
    input: Vec<u8>,
    used: usize,
    /// Position in the archive of `input[0]`.
    base: u64,
    frame_at: u64,
    in_frame: bool,
    /// Bytes of the open frame's content that were handed out.
    plain: u64,
    hash: Sha256,
    spans: Vec<Span>,
    footer: Option<Footer>,
    table_problem: Option<String>,
    ended: bool,
}

impl<R: Read> FrameReader<R> {
    pub(crate) fn new(source: R) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        Ok(Self {
            source,
            decoder,
            input: Vec::new(),
            used: 0,
            base: 0,
            frame_at: 0,
            in_frame: false,
            plain: 0,
            hash: Sha256::new(),
            spans: Vec::new(),
            footer: None,
            table_problem: None,
            ended: false,
        })
    }

    /// Bytes of the archive file read so far.
    pub(crate) fn total(&self) -> u64 {
        self.base + self.input.len() as u64
    }

    /// What stood behind the last frame; to be asked for when there was nothing left to read.
    pub(crate) fn finish(self) -> End {
        End { footer: self.footer, digest: self.hash.finalize().into(), table_problem: self.table_problem }
    }

    fn start_frame(&mut self) -> Result<bool, ReadProblem> {
        if self.ended {
            return Ok(false);
        }
        self.have(MAGIC.len() + 1)?;
        self.frame_at = self.position();
        let head = self.unread();
        match head.split_first_chunk::<4>() {
            None if head.is_empty() => {
                self.ended = true;
                return Ok(false);
            }
            Some((magic, rest)) if *magic == MAGIC => {
                if rest.first().is_none_or(|descriptor| descriptor & HAS_CHECKSUM == 0) {
                    return Err(self.damage("zstd frame has no checksum".to_owned()));
                }
            }
            Some((magic, _)) if *magic == footer::MAGIC => return self.end().map(|()| false),
            _ => return Err(self.damage("no zstd frame starts here".to_owned())),
        }
        (self.in_frame, self.plain) = (true, 0);
        Ok(true)
    }

    fn end_frame(&mut self) -> Result<(), ReadProblem> {
        self.in_frame = false;
        let length = |length: u64| u32::try_from(length).unwrap_or(u32::MAX);
        if self.spans.len() >= MAX_FRAMES {
            return Err(self.damage(format!("the archive has more than {MAX_FRAMES} frames")));
        }
        self.spans.push(Span { packed: length(self.position() - self.frame_at), plain: length(self.plain) });
        Ok(())
    }

    /// Footer and table, behind which nothing may follow.
    fn end(&mut self) -> Result<(), ReadProblem> {
        self.have(footer::LENGTH)?;
        let Some(footer) = self.unread().get(..footer::LENGTH).and_then(Footer::decode) else {
            return Err(self.damage("neither a zstd frame nor the footer starts here".to_owned()));
        };
        self.used += footer::LENGTH;
        (self.footer, self.ended) = (Some(footer), true);
        let mut expected = Vec::new();
        if footer.has_table {
            self.spans.push(Span::FOOTER);
            expected = table::encode(&self.spans);
        }
        self.have(expected.len() + 1)?;
        let rest = self.unread();
        let same = rest.iter().zip(&expected).take_while(|(found, expected)| found == expected).count();
        if same < expected.len() {
            let at = self.position() + same as u64;
            self.table_problem = Some(format!("the table of frames does not fit the frames, from byte {at} on"));
        } else if rest.len() > same {
            let offset = self.position() + same as u64;
            let message = "something follows the end of the archive".to_owned();
            return Err(ReadProblem::Damage { id: "backup.trailing", offset, message });
        }
        Ok(())
    }

    fn unread(&self) -> &[u8] {
        self.input.get(self.used..).unwrap_or_default()
    }

    /// Reads until there are so many bytes at hand, or no more.
    fn have(&mut self, length: usize) -> Result<(), ReadProblem> {
        while self.input.len() - self.used < length && self.refill()? {}
        Ok(())
    }

    fn refill(&mut self) -> io::Result<bool> {
        self.input.drain(..self.used);
        self.base += self.used as u64;
        self.used = 0;
        let count = self.source.by_ref().take(CHUNK).read_to_end(&mut self.input)?;
        Ok(count > 0)
    }

    fn damage(&self, message: String) -> ReadProblem {
        ReadProblem::Damage { id: "backup.frame", offset: self.frame_at, message }
    }
}

impl<R: Read> Plain for FrameReader<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, ReadProblem> {
        let mut filled = 0;
        while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
            if !self.in_frame && !self.start_frame()? {
                break;
            }
            let unread = self.input.get(self.used..).unwrap_or_default();
            let mut input = InBuffer::around(unread);
            let mut output = OutBuffer::around(room);
            let hint = self.decoder.run(&mut input, &mut output);
            let (read, written) = (input.pos(), output.pos());
            let hint = hint.map_err(|error| self.damage(format!("zstd frame is damaged: {error}")))?;
            self.hash.update(unread.get(..read).unwrap_or_default());
            self.used += read;
            filled += written;
            self.plain += written as u64;
            if hint == 0 {
                self.end_frame()?;
            } else if read == 0 && written == 0 && !self.refill()? {
                return Err(self.damage("the archive ends inside a zstd frame".to_owned()));
            }
        }
        Ok(filled)
    }

    fn frame_at(&self) -> u64 {
        self.frame_at
    }

    fn position(&self) -> u64 {
        self.base + self.used as u64
    }
}
