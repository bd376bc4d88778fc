//! Reads members back. Strict: it takes what the writer makes and refuses everything else, so that no hostile archive
//! reaches a rule that was not meant for it.

use tar::{EntryType, GnuExtSparseHeader, GnuSparseHeader, Header};

use super::frames::{Plain, ReadProblem};
use super::header::{BLOCK, Kind, LONG_NAME, MemberHeader, padding};
use crate::manifest::Extent;
use crate::member::{MAX_NAME, name_problem};

/// Most extents of one file that are accepted: a 4 GiB file with every second block a hole.
const MAX_EXTENTS: usize = 1 << 19;
/// Most extents of a whole archive that are accepted.
const MAX_ALL_EXTENTS: usize = 1 << 23;

/// Reads the members of an archive from a tar stream.
pub(crate) struct ArchiveReader<P> {
    frames: P,
    /// Data of the open member not read yet, and the padding behind it.
    left: u64,
    padding: u64,
    extents_seen: usize,
    /// The header blocks of the member, as they were read.
    blocks: Vec<u8>,
}

impl<P: Plain> ArchiveReader<P> {
    /// Starts where `frames` stand, with a member.
    pub(crate) fn new(frames: P) -> Self {
        Self { frames, left: 0, padding: 0, extents_seen: 0, blocks: Vec::new() }
    }

    /// Where the tar stream comes from.
    pub(crate) fn frames(&self) -> &P {
        &self.frames
    }

    /// The same, to go elsewhere in it between two members.
    pub(crate) fn frames_mut(&mut self) -> &mut P {
        &mut self.frames
    }

    /// Gives the stream back, which stands behind what was read.
    pub(crate) fn into_frames(self) -> P {
        self.frames
    }

    /// Position of the frame that the last bytes came from.
    pub(crate) fn frame_at(&self) -> u64 {
        self.frames.frame_at()
    }

    /// Position in the archive of the next compressed byte.
    pub(crate) fn position(&self) -> u64 {
        self.frames.position()
    }

    /// The next member, or `None` at the end of the tar stream; what is left of the previous one is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<MemberHeader>, ReadProblem> {
        let mut skipped = [0; 1 << 14];
        while self.data(&mut skipped)? > 0 {}
        self.blocks.clear();
        let Some(block) = self.block()? else { return self.end_of_tar() };
        let mut header = self.checked(&block)?;
        let mut long_name = None;
        if header.entry_type().is_gnu_longname() {
            long_name = Some(self.long_name(&header)?);
            let block = self.block()?.ok_or_else(|| self.unsupported("a long name without a member"))?;
            header = self.checked(&block)?;
        }
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::GNUSparse => Kind::File,
            EntryType::Directory => Kind::Folder,
            other => return Err(self.unsupported(&format!("member type {:?}", char::from(other.as_byte())))),
        };
        let name = self.name(&header, long_name, kind)?;
        let stored = header.entry_size().map_err(|_| self.malformed("size"))?;
        let (length, extents) = self.extents(&header, stored)?;
        let mode = header.mode().map_err(|_| self.malformed("mode"))?;
        let mtime = header.mtime().map_err(|_| self.malformed("mtime"))?;
        if kind == Kind::Folder && stored != 0 {
            return Err(self.malformed("size of a folder"));
        }
        (self.left, self.padding) = (stored, padding(stored));
        let member = MemberHeader { name, kind, length, extents, mode, mtime };
        // A header has fields that nothing above looks at, and numbers that can be written in several ways.
        if member.encode() != self.blocks {
            return Err(self.malformed("not in the form that a backup has"));
        }
        Ok(Some(member))
    }

    /// More data of the open member; 0 at its end.
    pub(crate) fn data(&mut self, out: &mut [u8]) -> Result<usize, ReadProblem> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        if wanted > 0 {
            let out = out.get_mut(..wanted).unwrap_or_default();
            self.exactly(out)?;
            self.left -= wanted as u64;
            return Ok(wanted);
        }
        if self.left == 0 && self.padding > 0 {
            let mut zeros = [0; BLOCK];
            let padding = usize::try_from(self.padding).unwrap_or_default();
            self.padding = 0;
            let zeros = zeros.get_mut(..padding).unwrap_or_default();
            self.exactly(zeros)?;
            if zeros.iter().any(|byte| *byte != 0) {
                return Err(self.malformed("padding"));
            }
        }
        Ok(0)
    }

    /// Behind the first of the two blocks of zeros that end a tar stream.
    fn end_of_tar(&mut self) -> Result<Option<MemberHeader>, ReadProblem> {
        if self.block()?.is_some() {
            return Err(self.malformed("end of the tar stream"));
        }
        if self.frames.read(&mut [0])? != 0 {
            let message = "something follows the end of the tar stream".to_owned();
            return Err(ReadProblem::Damage { id: "backup.trailing", offset: self.frame_at(), message });
        }
        Ok(None)
    }

    /// A block, or `None` for one of zeros.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, ReadProblem> {
        let mut block = [0; BLOCK];
        self.exactly(&mut block)?;
        self.blocks.extend_from_slice(&block);
        Ok(block.iter().any(|byte| *byte != 0).then_some(block))
    }

    fn exactly(&mut self, out: &mut [u8]) -> Result<(), ReadProblem> {
        if self.frames.read(out)? < out.len() {
            let message = "the archive ends before its last member does".to_owned();
            return Err(ReadProblem::Damage { id: "backup.truncated", offset: self.position(), message });
        }
        Ok(())
    }

    fn checked(&self, block: &[u8; BLOCK]) -> Result<Header, ReadProblem> {
        let header = Header::from_byte_slice(block).clone();
        let (before, rest) = block.split_at_checked(148).unwrap_or_default();
        let behind = rest.get(8..).unwrap_or_default();
        // The checksum's own field counts as eight spaces.
        let sum = before.iter().chain(behind).map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32;
        if header.cksum().ok() != Some(sum) {
            return Err(self.malformed("checksum"));
        }
        if header.as_gnu().is_none() {
            return Err(self.unsupported("a tar header that is not GNU's"));
        }
        Ok(header)
    }

    fn long_name(&mut self, header: &Header) -> Result<Vec<u8>, ReadProblem> {
        let length = header.entry_size().unwrap_or(u64::MAX);
        let bounded = usize::try_from(length).ok().filter(|length| (1..=MAX_NAME + 2).contains(length));
        let length = bounded.ok_or_else(|| self.malformed("length of a long name"))?;
        if header.path_bytes() != LONG_NAME.as_bytes() {
            return Err(self.malformed("long name header"));
        }
        let mut name = vec![0; length];
        (self.left, self.padding) = (length as u64, padding(length as u64));
        self.data(&mut name)?;
        self.data(&mut [0])?;
        self.blocks.extend_from_slice(&name);
        self.blocks.resize(self.blocks.len().next_multiple_of(BLOCK), 0);
        if name.pop() != Some(0) {
            return Err(self.malformed("end of a long name"));
        }
        Ok(name)
    }

    fn name(&self, header: &Header, long: Option<Vec<u8>>, kind: Kind) -> Result<String, ReadProblem> {
        let bytes = long.unwrap_or_else(|| {
            let field = &header.as_old().name;
            field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
        });
        let name = String::from_utf8(bytes).map_err(|_| self.unsafe_name("a name that is not UTF-8"))?;
        let bare = match kind {
            Kind::Folder => name.strip_suffix('/').unwrap_or(&name),
            Kind::File => &name,
        };
        match name_problem(bare) {
            None => Ok(bare.to_owned()),
            Some(problem) => Err(self.unsafe_name(&format!("{name:?} {problem}"))),
        }
    }

    fn extents(&mut self, header: &Header, stored: u64) -> Result<(u64, Vec<Extent>), ReadProblem> {
        let (EntryType::GNUSparse, Some(gnu)) = (header.entry_type(), header.as_gnu()) else {
            let all = Extent { offset: 0, length: stored };
            return Ok((stored, if stored == 0 { Vec::new() } else { vec![all] }));
        };
        let length = gnu.real_size().map_err(|_| self.malformed("real size"))?;
        let mut extents = Vec::new();
        self.add_extents(&gnu.sparse, &mut extents)?;
        let mut more = gnu.is_extended();
        while more {
            let mut block = GnuExtSparseHeader::new();
            self.exactly(block.as_mut_bytes())?;
            self.blocks.extend_from_slice(block.as_bytes());
            self.add_extents(&block.sparse, &mut extents)?;
            more = block.is_extended();
        }
        let mut end = 0;
        for extent in &extents {
            if extent.offset < end || !extent.offset.is_multiple_of(crate::holes::BLOCK) && extent.length > 0 {
                return Err(self.malformed("order of the extents"));
            }
            end = extent.offset.checked_add(extent.length).ok_or_else(|| self.malformed("extent"))?;
        }
        let sum: u64 = extents.iter().map(|extent| extent.length).sum();
        if end != length || sum != stored {
            return Err(self.malformed("sum of the extents"));
        }
        extents.retain(|extent| extent.length > 0);
        Ok((length, extents))
    }

    fn add_extents(&mut self, slots: &[GnuSparseHeader], extents: &mut Vec<Extent>) -> Result<(), ReadProblem> {
        for slot in slots.iter().filter(|slot| !slot.is_empty()) {
            let offset = slot.offset().map_err(|_| self.malformed("extent"))?;
            let length = slot.length().map_err(|_| self.malformed("extent"))?;
            extents.push(Extent { offset, length });
            self.extents_seen += 1;
            if extents.len() > MAX_EXTENTS || self.extents_seen > MAX_ALL_EXTENTS {
                return Err(self.malformed("number of extents"));
            }
        }
        Ok(())
    }

    fn malformed(&self, what: &str) -> ReadProblem {
        let message = format!("tar header is damaged: {what}");
        ReadProblem::Damage { id: "backup.header", offset: self.frame_at(), message }
    }

    fn unsupported(&self, what: &str) -> ReadProblem {
        let message = format!("{what} is nothing that a backup holds");
        ReadProblem::Damage { id: "backup.unsupported-member", offset: self.frame_at(), message }
    }

    fn unsafe_name(&self, what: &str) -> ReadProblem {
        let message = format!("unsafe member name: {what}");
        ReadProblem::Damage { id: "backup.unsafe-name", offset: self.frame_at(), message }
    }
}
