//! The primitives change what they say and nothing else.

use std::fs;

use mqstore_testkit::damage::{
    add_file, copy_within, files, flip, remove, rename, replace_text, swap, tear, truncate, write_at, zero,
};

#[test]
fn each_primitive_changes_exactly_the_bytes_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let after = |change: &dyn Fn()| {
        fs::write(&path, b"0123456789").unwrap();
        change();
        fs::read(&path).unwrap()
    };
    assert_eq!(after(&|| flip(&path, 3, 0)), b"0122456789");
    assert_eq!(after(&|| flip(&path, 9, 7)), b"012345678\xb9");
    assert_eq!(after(&|| zero(&path, 2..4)), b"01\0\x00456789");
    assert_eq!(after(&|| zero(&path, 8..100)), b"01234567\0\0");
    assert_eq!(after(&|| write_at(&path, 4, b"ab")), b"0123ab6789");
    assert_eq!(after(&|| write_at(&path, 9, b"ab")), b"012345678ab");
    assert_eq!(after(&|| truncate(&path, 3)), b"012");
    assert_eq!(after(&|| truncate(&path, 12)), b"0123456789\0\0");
    assert_eq!(after(&|| swap(&path, 0, 8, 2)), b"8923456701");
    assert_eq!(after(&|| copy_within(&path, 0, 5, 3)), b"0123401289");
    assert_eq!(after(&|| tear(&path)), b"01234");
    assert_eq!(after(&|| replace_text(&path, "45", "x")), b"0123x6789");
}

#[test]
fn files_and_folders_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    add_file(&dir.path().join("a/b/1"), b"x");
    add_file(&dir.path().join("a/2"), b"");
    rename(&dir.path().join("a/2"), "0");
    assert_eq!(files(dir.path()), [dir.path().join("a/0"), dir.path().join("a/b/1")]);
    remove(&dir.path().join("a/b"));
    assert_eq!(files(dir.path()), [dir.path().join("a/0")]);
    remove(&dir.path().join("a/0"));
    assert!(files(dir.path()).is_empty());
}

#[test]
#[should_panic = "has no"]
fn replacing_text_that_is_not_there_is_a_failed_test() {
    let dir = tempfile::tempdir().unwrap();
    add_file(&dir.path().join("t"), b"abc");
    replace_text(&dir.path().join("t"), "x", "y");
}
