//! Listing and showing archives.

use std::fs;
use std::io::Read;

use mqstore_backup::{BackupError, list, show, verify};
use mqstore_core::progress::NoProgress;

use super::damage::frame;
use super::{SmallStore, archive_of};

#[test]
fn list_reads_the_manifests_of_a_folder_and_says_which_cannot_be_read() {
    let temp = tempfile::tempdir().unwrap();
    let archive = archive_of(SmallStore::new().root());
    fs::write(temp.path().join("b.tar.zst"), &archive).unwrap();
    fs::write(temp.path().join("a.tar.zst"), &archive[..archive.len() / 2]).unwrap();
    fs::write(temp.path().join("c.tar.zst.partial"), &archive).unwrap();
    fs::write(temp.path().join("notes.txt"), "x").unwrap();
    let listed = list(temp.path(), &NoProgress).unwrap();
    let names: Vec<_> = listed.iter().map(|listed| listed.path.file_name().unwrap()).collect();
    assert_eq!(names, ["a.tar.zst", "b.tar.zst"]);
    assert!(matches!(listed[0].manifest, Err(BackupError::Damaged { .. })));
    let manifest = listed[1].manifest.as_ref().unwrap();
    assert_eq!(manifest.created_at, "2027-01-15T08:00:00Z");
    assert!(manifest.backup_id.starts_with("20270115T080000Z-"), "{}", manifest.backup_id);
    assert_eq!(listed[1].length, archive.len() as u64);
}

#[test]
fn show_finds_the_manifest_by_the_footer_and_without_one_by_reading_everything() {
    let temp = tempfile::tempdir().unwrap();
    let archive = archive_of(SmallStore::new().root());
    let expected = verify(&archive[..], &NoProgress).unwrap().manifest.unwrap();
    let path = temp.path().join("a.tar.zst");
    let shown = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        show(&path, &NoProgress)
    };
    assert_eq!(shown(&archive).unwrap(), expected);
    // Damage in the first file does not hide the manifest behind it from the footer, but it does from a reader.
    let mut damaged = archive.clone();
    damaged[30] ^= 0xff;
    assert_eq!(shown(&damaged).unwrap(), expected);
    let mut tar = Vec::new();
    zstd::Decoder::new(&archive[..]).unwrap().read_to_end(&mut tar).unwrap();
    assert_eq!(shown(&frame(&tar)).unwrap(), expected);
    damaged.truncate(damaged.len() - 10);
    assert!(matches!(shown(&damaged), Err(BackupError::Damaged { .. })));
}
