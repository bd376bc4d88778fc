//! Whatever is changed about an archive is found.

use std::io::Read;

use mqstore_backup::{FINDINGS, verify};
use mqstore_check::{Outcome, Severity};
use mqstore_core::progress::NoProgress;
use sha2::{Digest, Sha256};

use super::{SmallStore, archive_of};

const FOOTER: usize = 56;

/// The zstd frames of an archive, without footer and table.
pub(crate) fn raw_frames(archive: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = archive;
    let mut frames = Vec::new();
    while !rest.starts_with(b"\x50\x2a\x4d\x18") {
        let mut decoder = zstd::Decoder::with_buffer(rest).unwrap().single_frame();
        std::io::copy(&mut decoder, &mut std::io::sink()).unwrap();
        let left = decoder.finish();
        frames.push(rest[..rest.len() - left.len()].to_vec());
        rest = left;
    }
    frames
}

/// The members of an archive, each in a frame of its own, as the first archives had them.
pub(crate) fn frames(archive: &[u8]) -> Vec<Vec<u8>> {
    let mut tar = Vec::new();
    zstd::Decoder::new(archive).unwrap().read_to_end(&mut tar).unwrap();
    let mut frames = Vec::new();
    let mut rest = &tar[..];
    while !rest.is_empty() {
        let (member, behind) = rest.split_at(member_length(rest));
        let is_last = behind.iter().all(|byte| *byte == 0);
        frames.push(frame(if is_last { rest } else { member }));
        rest = if is_last { &[] } else { behind };
    }
    frames
}

/// The length of the member that a tar stream starts with.
fn member_length(tar: &[u8]) -> usize {
    let size = std::str::from_utf8(&tar[124..135]).unwrap();
    let size = usize::from_str_radix(size, 8).unwrap().next_multiple_of(512);
    let is_long_name = tar[156] == b'L';
    let mut headers = 512;
    let mut is_extended = tar[156] == b'S' && tar[482] == 1;
    while is_extended {
        is_extended = tar[headers + 504] == 1;
        headers += 512;
    }
    let length = headers + size;
    if is_long_name { length + member_length(&tar[length..]) } else { length }
}

/// An archive of these frames, with footer and table that fit: the manifest is in the last but one.
pub(crate) fn assemble(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = frames.concat();
    archive.extend(footer(frames, b'2'));
    let lengths = frames.iter().map(|frame| (frame.len(), plain(frame).len())).chain([(FOOTER, 0)]);
    let entries: Vec<u8> = lengths.flat_map(|(packed, plain)| [little(packed), little(plain)].concat()).collect();
    archive.extend_from_slice(b"\x5e\x2a\x4d\x18");
    archive.extend(little(entries.len() + 9));
    archive.extend_from_slice(&entries);
    archive.extend(little(entries.len() / 8));
    archive.extend_from_slice(b"\x00\xb1\xea\x92\x8f");
    archive
}

/// An archive of these frames without a table, as the first archives were.
fn assemble_first(frames: &[Vec<u8>]) -> Vec<u8> {
    [frames.concat(), footer(frames, b'1')].concat()
}

fn footer(frames: &[Vec<u8>], version: u8) -> Vec<u8> {
    let before = frames.concat();
    let last_two: usize = frames.iter().rev().take(2).map(Vec::len).sum();
    let manifest_at = (before.len() - last_two) as u64;
    let start = [&b"\x50\x2a\x4d\x18\x30\x00\x00\x00mqstore"[..], &[version]].concat();
    [&start[..], &manifest_at.to_be_bytes(), &Sha256::digest(&before)].concat()
}

fn little(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().swap_bytes().to_be_bytes()
}

/// One frame as the archive has them.
pub(crate) fn frame(tar: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    std::io::copy(&mut &tar[..], &mut encoder).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn ids(archive: &[u8]) -> Vec<&'static str> {
    let verified = verify(archive, &NoProgress).unwrap();
    let mut ids: Vec<_> = verified.report.findings().iter().map(|finding| finding.id).collect();
    ids.dedup();
    for id in &ids {
        assert!(FINDINGS.iter().any(|(known, _)| known == id), "{id} is not in the list of findings");
    }
    ids
}

fn is_found(archive: &[u8]) -> bool {
    verify(archive, &NoProgress).unwrap().report.outcome(Severity::Error) == Outcome::Found
}

#[test]
fn an_archive_taken_apart_and_put_together_is_the_same_and_sound() {
    let archive = archive_of(SmallStore::new().root());
    assert!(assemble(&raw_frames(&archive)) == archive);
    let a_frame_a_member = frames(&archive);
    for archive in [archive, assemble(&a_frame_a_member), assemble_first(&a_frame_a_member)] {
        let report = verify(&archive[..], &NoProgress).unwrap().report;
        assert_eq!(report.findings(), []);
        assert_eq!(report.outcome(Severity::Info), Outcome::Clean);
        assert_eq!(report.coverage.bytes.seen, archive.len() as u64);
        assert_eq!(report.coverage.files.seen, report.coverage.files.total);
    }
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let archive = archive_of(SmallStore::new().root());
    let first = assemble_first(&frames(&archive));
    for (mut archive, step) in [(archive, 1), (first, 7)] {
        let behind: usize = raw_frames(&archive).iter().map(Vec::len).sum();
        for at in (0..behind).step_by(step).chain(behind..archive.len()) {
            // All bits at both ends and of one byte in 29, one bit of the others.
            let ends = at < 40 || at >= behind || at % 29 == 0;
            let bits = if ends { 0..8 } else { at % 8..at % 8 + 1 };
            for bit in bits {
                archive[at] ^= 1 << bit;
                assert!(is_found(&archive), "bit {bit} at {at} of {}", archive.len());
                archive[at] ^= 1 << bit;
            }
        }
        assert!(!is_found(&archive));
    }
}

#[test]
fn a_table_of_frames_that_says_something_else_is_found_although_the_frames_are_right() {
    let archive = archive_of(SmallStore::new().root());
    let behind: usize = raw_frames(&archive).iter().map(Vec::len).sum();
    let table = behind + FOOTER;
    let mut changed = archive.clone();
    changed[table + 8] ^= 1;
    assert_eq!(ids(&changed), ["backup.table"]);
    assert_eq!(ids(&archive[..table]), ["backup.table"], "cut off as a whole");
    assert_eq!(ids(&archive[..archive.len() - 1]), ["backup.table"]);
    let first = assemble_first(&frames(&archive));
    assert_eq!(ids(&[&first, &archive[table..]].concat()), ["backup.trailing"], "a table where there was none");
    let with_none = [&archive[..behind], &footer(&raw_frames(&archive), b'1')].concat();
    assert_eq!(ids(&with_none), [""; 0], "the first archives had none");
}

#[test]
fn a_cut_is_found_at_every_frame_boundary_and_anywhere_else() {
    let archive = archive_of(SmallStore::new().root());
    let mut boundary = 0;
    for frame in raw_frames(&archive) {
        assert!(is_found(&archive[..boundary]), "cut at the boundary {boundary}");
        assert!(is_found(&archive[..boundary + frame.len() / 2]), "cut inside the frame at {boundary}");
        boundary += frame.len();
    }
    for length in boundary..archive.len() {
        assert!(is_found(&archive[..length]), "cut at {length} of {}", archive.len());
    }
    assert!(is_found(&[archive.clone(), vec![0]].concat()), "one byte more");
    assert!(is_found(&[archive.clone(), archive].concat()), "two archives in one file");
}

#[test]
fn members_that_are_missing_doubled_moved_or_added_are_found_by_name() {
    let archive = archive_of(SmallStore::new().root());
    let frames = frames(&archive);
    let count = frames.len();
    let edited = |edit: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut frames = frames.clone();
        edit(&mut frames);
        ids(&assemble(&frames))
    };
    assert_eq!(edited(&|frames| drop(frames.remove(3))), ["backup.missing"]);
    assert_eq!(edited(&|frames| frames.insert(3, frames[3].clone())), ["backup.duplicate"]);
    assert_eq!(edited(&|frames| frames.swap(3, 4)), ["backup.order"]);
    assert_eq!(edited(&|frames| frames.insert(count - 2, frame(&file("store/zzz", b"new")))), ["backup.unlisted"]);
    assert_eq!(edited(&|frames| drop(frames.remove(count - 2))), ["backup.manifest", "backup.footer"]);
    let renamed = |frames: &mut Vec<Vec<u8>>| {
        frames.insert(count - 2, frame(&file("store/commitlog/00000000000000000000", b"log")));
    };
    assert!(edited(&renamed).contains(&"backup.commitlog"));
}

#[test]
fn content_that_was_changed_with_all_checksums_of_the_container_made_right_is_found() {
    let archive = archive_of(SmallStore::new().root());
    let mut frames = frames(&archive);
    let at = frames.iter().position(|frame| plain(frame).starts_with(b"store/lock\0")).unwrap();
    let mut tar = plain(&frames[at]);
    tar[512] = b'L';
    frames[at] = frame(&tar);
    let archive = assemble(&frames);
    assert_eq!(ids(&archive), ["backup.digest", "backup.sums"]);
    let report = verify(&archive[..], &NoProgress).unwrap().report;
    let finding = &report.findings()[0];
    assert_eq!(finding.location.path.as_deref(), Some("store/lock"));
    // As `printf lock | sha256sum` and `printf Lock | sha256sum` print them.
    let digests = [
        "0c030586945fe504b604ecc2e875c38ede400cd5cd73da9730302162e6b02c6f",
        "db44b8db4f05d720ef1a57abadeed0c164d47b17416c7dd7d136d8f10fba91c9",
    ];
    assert_eq!([finding.expected.as_deref().unwrap(), finding.actual.as_deref().unwrap()], digests);
}

#[test]
fn a_byte_changed_in_the_tar_stream_is_found_although_all_checksums_around_it_fit() {
    let frames = frames(&archive_of(SmallStore::new().root()));
    // Over all frames every byte of a header is changed in some. Not in SHA256SUMS: a comment in it may say anything.
    for at in 0..frames.len() - 1 {
        let mut tar = plain(&frames[at]);
        let places =
            (0..tar.len()).filter(|place| if *place < 2048 { place % 13 == at % 13 } else { place % 1009 == 0 });
        for place in places.collect::<Vec<_>>() {
            tar[place] ^= 0x15;
            let mut frames = frames.clone();
            frames[at] = frame(&tar);
            assert!(is_found(&assemble(&frames)), "byte {place} of frame {at}");
            tar[place] ^= 0x15;
        }
    }
}

#[test]
fn every_finding_has_its_page() {
    let folder = mqstore_testkit::testdata().join("../docs/findings");
    for (id, meaning) in FINDINGS {
        let page = std::fs::read_to_string(folder.join(format!("{id}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {id}: {meaning}\n")), "{id}");
    }
    assert!(FINDINGS.is_sorted());
}

#[test]
fn a_frame_without_a_checksum_is_found_because_zstd_could_not_test_it() {
    let archive = archive_of(SmallStore::new().root());
    let mut frames = frames(&archive);
    frames[2] = zstd::encode_all(&plain(&frames[2])[..], 3).unwrap();
    assert_eq!(ids(&assemble(&frames)), ["backup.frame"]);
}

#[test]
fn an_archive_that_was_compressed_again_is_told_from_a_sound_one() {
    let archive = archive_of(SmallStore::new().root());
    let mut tar = Vec::new();
    zstd::Decoder::new(&archive[..]).unwrap().read_to_end(&mut tar).unwrap();
    assert_eq!(ids(&frame(&tar)), ["backup.footer"]);
}

#[test]
fn what_is_no_archive_at_all_is_found_and_nothing_panics() {
    for bytes in [&b""[..], b"x", &[0; 512], &[0x28, 0xb5, 0x2f, 0xfd], b"\x50\x2a\x4d\x18\x30\x00\x00\x00mqstore1"] {
        assert!(is_found(bytes), "{bytes:?}");
    }
    assert!(is_found(&assemble(&[])));
    assert!(is_found(&assemble(&[frame(b"not a tar stream")])));
}

fn plain(frame: &[u8]) -> Vec<u8> {
    zstd::decode_all(frame).unwrap()
}

/// A tar member, as the tar crate makes it.
pub(crate) fn file(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
    tar
}
