//! `backup restore` in place and `backup undo`, as their users see them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mqstore_testkit::{Golden, fingerprint, golden};

use super::backup::settled;
use super::{Run, assert_snapshot, json_session, mqstore};

/// The recorded upgrade, with an archive of what there was before it.
fn upgraded() -> (Golden, String) {
    let golden = golden("3.5.8-upgraded-4.3.2");
    let archive = golden.sub("t0.tar.zst").to_str().unwrap().to_owned();
    let path = |below: &str| golden.sub(below).to_str().unwrap().to_owned();
    let (store, home) = (path("backup-t0/store"), path("backup-t0/home"));
    let run = mqstore(&["backup", "create", &store, "--home", &home, "-o", &archive]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    (golden, archive)
}

fn restore(golden: &Golden, archive: &str, more: &[&str]) -> Run {
    let (store, home) = (golden.root(), golden.sub("home"));
    let args = ["backup", "restore", archive, "--to", store.to_str().unwrap(), "--home", home.to_str().unwrap()];
    mqstore(&[&args[..], more].concat())
}

fn snapshot(name: &str, text: &str, golden: &Golden) {
    // Two folders of one second are told apart by a number.
    let text = settled(text).replace("before-[time]-2", "before-[time]");
    assert_snapshot(name, &text, &[(&golden.path(), "TEMP")]);
}

#[test]
fn a_plan_is_shown_on_one_screen_and_changes_nothing() {
    let (golden, archive) = upgraded();
    // What lies beside the store and beside the home folder's configuration for a while changes the time of those around.
    let fingerprint = || {
        let mut entries = fingerprint(&golden.path());
        entries.retain(|entry| !["", "home/store"].map(Path::new).contains(&entry.path.as_path()));
        entries
    };
    let before = fingerprint();
    let safe = ["--release=3.5.8", "--what=all", "--dry-run"];
    snapshot("restore-plan", &restore(&golden, &archive, &safe).session(), &golden);
    let json = restore(&golden, &archive, &[&safe[..], &["--format=json"]].concat());
    snapshot("restore-plan-json", &json_session(&json), &golden);
    snapshot("restore-plan-chosen", &restore(&golden, &archive, &["--release=3.5.8", "--dry-run"]).session(), &golden);
    assert!(fingerprint() == before, "a dry run changed something");
}

#[test]
fn a_plan_does_not_depend_on_how_folders_are_named() {
    let (golden, archive) = upgraded();
    let more = ["--release=3.5.8", "--dry-run"];
    let absolute = restore(&golden, &archive, &more);
    let from_here = |args: &[&str]| super::run(super::command().current_dir(golden.path()).args(args).args(more));
    let args = ["backup", "restore", "t0.tar.zst", "--to", "store", "--home", "home"];
    let relative = from_here(&args);
    let log = from_here(&[&args[..], &["--commitlog", "store/commitlog"]].concat());
    let settled = |run: &Run| settled(&run.session());
    assert_eq!(settled(&relative), settled(&absolute));
    assert_eq!(settled(&log), settled(&absolute));
}

#[test]
fn what_is_restored_can_be_undone() {
    let (golden, archive) = upgraded();
    let store = golden.root().to_str().unwrap().to_owned();
    let before = fingerprint(&golden.root().join("consumequeue"));
    let mut text = restore(&golden, &archive, &["--release=3.5.8", "--what=all"]).session();
    text += &mqstore(&["backup", "undo", &store]).session();
    text += &mqstore(&["backup", "undo", &store, "--stopped"]).session();
    assert_eq!(fingerprint(&golden.root().join("consumequeue")), before);
    snapshot("restore-undo", &text, &golden);
}

#[test]
fn refusals_say_what_is_safe_instead() {
    let (golden, archive) = upgraded();
    let temp = golden.path();
    let mut text = mqstore(&["backup", "restore", &archive, "--to", "/nowhere/store", "--release=4.3.2"]).session();
    text += &mqstore(&["backup", "undo", golden.root().to_str().unwrap()]).session();
    fs::rename(golden.root().join("commitlog"), temp.join("moved")).unwrap();
    text += &restore(&golden, &archive, &["--release=4.3.2"]).session();
    fs::rename(temp.join("moved"), golden.root().join("commitlog")).unwrap();
    fs::write(golden.root().join("abort"), "").unwrap();
    text += &restore(&golden, &archive, &["--release=3.5.8"]).session();
    fs::remove_file(golden.root().join("abort")).unwrap();
    let moved = temp.join("elsewhere");
    fs::rename(golden.root(), &moved).unwrap();
    let args = ["backup", "restore", &archive, "--to", moved.to_str().unwrap(), "--release=3.5.8"];
    text += &mqstore(&args).session();
    assert_eq!(text.matches("exit code 4").count(), 3);
    snapshot("restore-refused", &text, &golden);
}

#[test]
fn an_archive_that_was_made_to_do_harm_is_refused_with_4() {
    let (golden, _) = upgraded();
    let temp = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { temp.path().join(name) };
    fs::create_dir(path("store")).unwrap();
    fs::write(path("store/checkpoint"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path("store/link")).unwrap();
    fs::write(path("holes"), "").unwrap();
    fs::File::options().write(true).open(path("holes")).unwrap().set_len(1 << 20).unwrap();
    for (name, tar) in [
        ("link", "tar -cf - store"),
        ("climbing", "tar -cf - --transform 's,^store,store/../..,' store/checkpoint"),
        ("absolute", "tar -Pcf - --transform 's,^store,/store,' store/checkpoint"),
        ("pax-sparse", "tar --format=pax -Scf - --transform 's,^,store/,' holes"),
    ] {
        let archive = path(&format!("{name}.tar.zst"));
        // One frame a member is not needed to be read, a checksum is.
        let shell = format!("cd {} && {tar} | zstd -q --check -o {}", temp.path().display(), archive.display());
        assert!(Command::new("sh").args(["-c", &shell]).status().unwrap().success(), "{name}");
        let before = fingerprint(&golden.root());
        let new = path("new");
        for to in [golden.root().as_path(), new.as_path()] {
            let mut args = vec!["backup", "restore", archive.to_str().unwrap(), "--to", to.to_str().unwrap()];
            args.extend((to != Path::new(&new)).then_some("--release=4.3.2"));
            let run = mqstore(&args);
            assert_eq!(run.code, 4, "{name}: {}", run.session());
        }
        assert!(!new.exists() && fingerprint(&golden.root()) == before, "{name}");
    }
}
