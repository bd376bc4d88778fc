//! Archives made to do harm: refused with a finding of their own, and nothing of them reaches the disk.

use std::fs;

use mqstore_backup::{BackupError, RestoreOptions, restore};
use mqstore_core::progress::NoProgress;
use tar::{EntryType, Header};

use super::damage::{assemble, file, frame, frames, ids};
use super::{SmallStore, archive_of};

/// A member with any name, unchecked.
fn member(name: &[u8], kind: EntryType, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_link_name_literal(link).unwrap();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
    tar
}

fn regular(name: &[u8]) -> Vec<u8> {
    member(name, EntryType::Regular, "", b"evil")
}

/// A sound archive with one frame more, at its beginning or in its middle.
fn with(tar: &[u8], at: usize) -> Vec<u8> {
    let mut frames = frames(&archive_of(SmallStore::new().root()));
    frames.insert(at, frame(tar));
    assemble(&frames)
}

/// Verification finds `id`, and restoration refuses and leaves nothing anywhere.
fn refused(what: &str, archive: &[u8], id: &str) {
    assert!(ids(archive).contains(&id), "{what}: {:?}", ids(archive));
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a.tar.zst");
    fs::write(&path, archive).unwrap();
    let options = RestoreOptions { to: temp.path().join("in/store"), ..RestoreOptions::default() };
    fs::create_dir(temp.path().join("in")).unwrap();
    let error = restore(&path, &options, &NoProgress).unwrap_err();
    assert!(matches!(error, BackupError::Damaged { .. }), "{what}: {error:?}");
    assert_eq!(fs::read_dir(temp.path().join("in")).unwrap().count(), 0, "{what}");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2, "{what}");
}

#[test]
fn names_that_lead_out_of_the_target_are_refused() {
    for name in [
        &b"../x"[..],
        b"store/../../x",
        b"/tmp/x",
        b"store//x",
        b"store/./x",
        b"elsewhere/x",
        b"store/\xff",
        b"store/a\nb",
        b"store/..",
        b"",
    ] {
        refused(&format!("{:?}", name.escape_ascii().to_string()), &with(&regular(name), 0), "backup.unsafe-name");
    }
    let long = [
        member(b"././@LongLink", EntryType::GNULongName, "", b"store/../../x\0"),
        member(b"store/fine", EntryType::Regular, "", b"evil"),
    ];
    refused("a long name", &with(&long.concat(), 0), "backup.unsafe-name");
}

#[test]
fn links_devices_and_pax_headers_are_refused() {
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::Continuous,
        EntryType::GNULongLink,
        EntryType::new(b'V'),
    ] {
        let tar = member(b"store/x", kind, "/etc/passwd", b"");
        refused(&format!("{kind:?}"), &with(&tar, 1), "backup.unsupported-member");
    }
    let sparse = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n";
    for kind in [EntryType::XHeader, EntryType::XGlobalHeader] {
        let tar = [member(b"PaxHeaders/x", kind, "", sparse), regular(b"store/x")].concat();
        refused(&format!("{kind:?}"), &with(&tar, 1), "backup.unsupported-member");
    }
}

#[test]
fn a_commit_log_is_never_restored() {
    for name in ["store/commitlog/00000000000000000000", "store/dledger-n0/data/00000000000000000000"] {
        refused(name, &with(&file(name, b"log"), 2), "backup.commitlog");
    }
}

#[test]
fn a_member_under_a_file_and_a_file_in_place_of_a_folder_write_nothing() {
    let archive = with(&[file("store/lock/x", b"evil")].concat(), 1);
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a.tar.zst");
    fs::write(&path, archive).unwrap();
    let options = RestoreOptions { to: temp.path().join("store"), ..RestoreOptions::default() };
    restore(&path, &options, &NoProgress).unwrap_err();
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
}

#[test]
fn sparse_maps_that_lie_are_refused_before_they_cost_memory() {
    let sparse = |map: &[(u64, u64)], real: u64, size: u64| {
        let mut header = Header::new_gnu();
        header.set_path("store/a").unwrap();
        header.set_entry_type(EntryType::GNUSparse);
        header.set_size(size);
        header.set_mode(0o644);
        let gnu = header.as_gnu_mut().unwrap();
        for (slot, (offset, length)) in gnu.sparse.iter_mut().zip(map) {
            slot.set_offset(*offset);
            slot.set_length(*length);
        }
        gnu.set_real_size(real);
        header.set_cksum();
        let mut tar = header.as_bytes().to_vec();
        tar.resize(512 + usize::try_from(size.min(8192)).unwrap(), b'x');
        tar
    };
    for (what, map, real, size) in [
        ("overlap", &[(0, 8192), (4096, 4096)][..], 8192, 12288),
        ("backwards", &[(8192, 4096), (0, 4096)], 12288, 8192),
        ("beyond the end", &[(0, 4096)], 100, 4096),
        ("sum differs", &[(0, 4096)], 4096, 512),
        ("overflow", &[(u64::MAX - 4095, 8192)], 1, 8192),
        ("not aligned", &[(100, 412)], 512, 412),
    ] {
        refused(what, &with(&sparse(map, real, size), 1), "backup.header");
    }
    // Extension blocks without end, 60 MB that compress to nothing.
    let mut endless = sparse(&[], 0, 0);
    let mut header = Header::from_byte_slice(&endless).clone();
    header.as_gnu_mut().unwrap().set_is_extended(true);
    header.set_cksum();
    endless = header.as_bytes().to_vec();
    let mut block = tar::GnuExtSparseHeader::new();
    for slot in &mut block.sparse {
        slot.set_offset(0);
        slot.set_length(0);
    }
    block.set_is_extended(true);
    for _ in 0..120_000 {
        endless.extend_from_slice(block.as_bytes());
    }
    refused("endless sparse map", &with(&endless, 1), "backup.header");
    let name = member(b"././@LongLink", EntryType::GNULongName, "", &vec![b'x'; 1 << 20]);
    refused("a name of a megabyte", &with(&name, 1), "backup.header");
}

#[test]
fn a_manifest_that_lies_about_its_length_or_its_json_is_refused() {
    let mut all = frames(&archive_of(SmallStore::new().root()));
    let at = all.len() - 2;
    for (what, text, id) in [
        ("not JSON", &b"{"[..], "backup.manifest"),
        ("another schema", b"{\"schema\":\"x\",\"schema_version\":1}", "backup.manifest"),
        ("deep", &b"[".repeat(100_000), "backup.manifest"),
    ] {
        all[at] = frame(&file("manifest.json", text));
        refused(what, &assemble(&all), id);
    }
    let mut header = Header::new_gnu();
    header.set_path("manifest.json").unwrap();
    header.set_size(1 << 40);
    header.set_mode(0o644);
    header.set_cksum();
    all[at] = frame(header.as_bytes());
    refused("a terabyte", &assemble(&all), "backup.header");
}

#[test]
fn a_manifest_of_a_later_version_is_no_verdict_and_is_not_restored() {
    let mut all = frames(&archive_of(SmallStore::new().root()));
    let at = all.len() - 2;
    all[at] = frame(&file("manifest.json", b"{\"schema\":\"mqstore.backup\",\"schema_version\":3}"));
    let archive = assemble(&all);
    let report = mqstore_backup::verify(&archive[..], &NoProgress).unwrap().report;
    assert_eq!(report.outcome(mqstore_check::Severity::Error), mqstore_check::Outcome::NoVerdict);
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("a"), archive).unwrap();
    let options = RestoreOptions { to: temp.path().join("store"), ..RestoreOptions::default() };
    let error = restore(&temp.path().join("a"), &options, &NoProgress).unwrap_err();
    assert!(error.to_string().contains("version 3 of its schema, this program knows 2"), "{error}");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
}
