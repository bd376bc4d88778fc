//! The table of frames at the very end of an archive, in zstd's seekable format 0.1.0: a skippable frame.
//!
//! | offset | size | meaning |
//! |---|---|---|
//! | 0 | 4 | magic of a skippable frame, `5e 2a 4d 18` |
//! | 4 | 4 | length of what follows: 8 n + 9 |
//! | 8 | 8 n | of each frame before the table its length and that of its content, the latter 0 for the footer |
//! | 8 + 8 n | 4 | n, the number of frames |
//! | 12 + 8 n | 1 | 0: no checksums here, each frame has its own |
//! | 13 + 8 n | 4 | `b1 ea 92 8f` |
//!
//! Numbers are little-endian, as everywhere in zstd. Where a member starts is not in it: the manifest lists the members in
//! order with all that their headers are made of, so their places in the tar stream follow from it.

use std::io::{self, Read, Seek, SeekFrom};

use super::footer::{self, Footer};

/// Most frames of an archive that are accepted.
pub(crate) const MAX_FRAMES: usize = 1 << 22;
const MAGIC: [u8; 4] = *b"\x5e\x2a\x4d\x18";
/// No checksums, then the magic that ends the file.
const END: [u8; 5] = *b"\x00\xb1\xea\x92\x8f";
/// Bytes of the table beside its entries.
const AROUND: usize = 17;

/// A frame of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Its length in bytes.
    pub(crate) packed: u32,
    /// The length of its content.
    pub(crate) plain: u32,
}

impl Span {
    /// The footer, which has no content.
    pub(crate) const FOOTER: Self = Self { packed: 56, plain: 0 };
}

/// The table as it stands in the file.
pub(crate) fn encode(spans: &[Span]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(AROUND + spans.len() * 8);
    bytes.extend_from_slice(&MAGIC);
    put(&mut bytes, u32::try_from(spans.len() * 8 + 9).unwrap_or(u32::MAX));
    for span in spans {
        put(&mut bytes, span.packed);
        put(&mut bytes, span.plain);
    }
    put(&mut bytes, u32::try_from(spans.len()).unwrap_or(u32::MAX));
    bytes.extend_from_slice(&END);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Vec<Span>> {
    let entries = bytes.get(8..bytes.len().checked_sub(9)?)?;
    let (entries, _) = entries.as_chunks::<8>();
    let numbers = |entry: &[u8; 8]| {
        let (packed, plain) = entry.split_first_chunk::<4>()?;
        Some(Span { packed: number(*packed), plain: number(plain.try_into().ok()?) })
    };
    let spans: Vec<Span> = entries.iter().filter_map(numbers).collect();
    (encode(&spans) == bytes).then_some(spans)
}

fn put(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend_from_slice(&value.swap_bytes().to_be_bytes());
}

fn number(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes).swap_bytes()
}

/// What an archive file of this length ends with: its footer and, of one that has it, the table. `None` if these are not to
/// be found or do not fit the length. Nothing else is read.
pub(crate) fn read_end(file: &mut (impl Read + Seek), length: u64) -> io::Result<Option<(Footer, Vec<Span>)>> {
    let footer_length = footer::LENGTH as u64;
    let end: Vec<u8> = tail(file, length, END.len() + 4)?;
    let table = match end.split_first_chunk::<4>() {
        Some((count, end)) if *end == END => AROUND + usize::try_from(number(*count)).unwrap_or(usize::MAX) * 8,
        _ => 0,
    };
    let spans = if (AROUND..=AROUND + MAX_FRAMES * 8).contains(&table) {
        decode(&tail(file, length, table)?).unwrap_or_default()
    } else {
        Vec::new()
    };
    let before = length.saturating_sub(if spans.is_empty() { 0 } else { table as u64 });
    let Some(footer) = Footer::decode(&tail(file, before, footer::LENGTH)?) else { return Ok(None) };
    let sum: u64 = spans.iter().map(|span| u64::from(span.packed)).sum();
    let fits = match spans.last() {
        Some(last) => footer.has_table && *last == Span::FOOTER && sum == before,
        None => !footer.has_table,
    };
    Ok((fits && footer.manifest_at < before - footer_length).then_some((footer, spans)))
}

/// The last bytes before `end`; none if there are not so many.
fn tail(file: &mut (impl Read + Seek), end: u64, length: usize) -> io::Result<Vec<u8>> {
    let Some(from) = end.checked_sub(length as u64) else { return Ok(Vec::new()) };
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(from))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn the_table_is_as_the_specification_of_the_seekable_format_draws_it() {
        let spans = [Span { packed: 0x0102_0304, plain: 0x8000_0000 }, Span::FOOTER];
        let bytes = encode(&spans);
        assert_eq!(
            bytes,
            b"\x5e\x2a\x4d\x18\x19\x00\x00\x00\x04\x03\x02\x01\x00\x00\x00\x80\
              \x38\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\xb1\xea\x92\x8f"
        );
        assert_eq!(decode(&bytes).as_deref(), Some(&spans[..]));
        assert_eq!(decode(&bytes[1..]), None);
    }

    #[test]
    fn the_end_of_a_file_is_believed_only_if_its_parts_fit_each_other() {
        let end = |has_table, packed, spans: &[Span]| {
            let footer = Footer { has_table, manifest_at: 3, digest: [7; 32] };
            let mut file = [vec![0; packed], footer.encode()].concat();
            if !spans.is_empty() {
                file.extend(encode(spans));
            }
            let length = file.len() as u64;
            read_end(&mut Cursor::new(file), length).unwrap().map(|(_, spans)| spans)
        };
        let spans = [Span { packed: 60, plain: 1 }, Span { packed: 40, plain: 2 }, Span::FOOTER];
        assert_eq!(end(true, 100, &spans).as_deref(), Some(&spans[..]));
        assert_eq!(end(false, 100, &[]).as_deref(), Some(&[][..]));
        assert_eq!(end(true, 101, &spans), None);
        assert_eq!(end(true, 100, &spans[..2]), None);
        assert_eq!(end(false, 100, &spans), None);
        assert_eq!(end(true, 100, &[]), None);
        assert_eq!(end(false, 0, &[]), None);
    }
}
