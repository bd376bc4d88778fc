//! Files that lose their end while they are mapped.

use std::fs::OpenOptions;
use std::ops::ControlFlow;
use std::process::Command;

use mqstore_core::store::{MappedFile, Store, StoreOptions, sigbus};
use mqstore_testkit::golden;

#[test]
fn a_file_that_another_process_cuts_short_under_the_mapping_is_an_error_and_not_the_end_of_the_process() {
    sigbus::install().unwrap();
    let golden = golden("4.3.2-clean");
    let store = Store::open(golden.root(), StoreOptions::default()).unwrap();
    let log = store.commitlog();
    let victim = &log.files()[1];
    let mut cut = false;
    let error = log
        .scan(log.min_offset(), true, |entry| {
            if !cut && entry.position().get() > victim.file_from_offset {
                let status = Command::new("truncate").arg("--size=8192").arg(&victim.path).status().unwrap();
                assert!(status.success());
                cut = true;
            }
            ControlFlow::Continue(())
        })
        .unwrap_err();
    assert_eq!(error.path(), victim.path);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        source.ends_with("pages went away while they were read: the file was cut short, or the disk failed"),
        "{source}"
    );
}

#[test]
fn lost_pages_read_as_zeros_and_the_others_as_they_are() {
    sigbus::install().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, vec![7; 64 << 10]).unwrap();
    let map = MappedFile::open(&path).unwrap();
    map.check().unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(10_000).unwrap();
    assert_eq!((map[9_999], map[10_000], map[12_288], map[65_535]), (7, 0, 0, 0));
    assert!(map.check().is_err());
    drop(map);
    // The place in the table is free again, and clean.
    std::fs::write(&path, vec![7; 64 << 10]).unwrap();
    MappedFile::open(&path).unwrap().check().unwrap();
}
