//! `--report`: the HTML page. Where a browser is at hand it is the judge of whether the page is well.

use std::path::Path;
use std::process::Command;

use super::{broken, mqstore, shared};

fn page(args: &[&std::ffi::OsStr]) -> (i32, String) {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("page.html");
    let mut all = args.to_vec();
    all.extend(["--report".as_ref(), file.as_os_str()]);
    let run = mqstore(&all);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{e}: {}", run.session()));
    well_formed(&file, &text);
    (run.code, text)
}

/// It asks for nothing from anywhere, and the browser has nothing to complain about.
fn well_formed(file: &Path, text: &str) {
    for outside in ["<script", "src=", "href=", "url(", "@import", "http://", "https://"] {
        assert!(!text.contains(outside), "{outside} in {text}");
    }
    assert!(text.contains("Content-Security-Policy\" content=\"default-src 'none'"), "{text}");
    let profile = tempfile::tempdir().unwrap();
    let chromium = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", file.display()))
        .output();
    let Ok(chromium) = chromium else { return };
    let (dom, log) = (String::from_utf8_lossy(&chromium.stdout), String::from_utf8_lossy(&chromium.stderr));
    assert!(dom.contains("<footer>exit code"), "the page is not there to its end: {dom}");
    assert!(!log.contains("CONSOLE"), "{log}");
}

#[test]
fn a_damaged_store_has_its_verdict_first_and_its_damage_on_the_map() {
    let (_keep, root) = broken("4.3.2-clean");
    let log = root.join("commitlog/00000000000000000000");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[50_000] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let (code, text) = page(&["verify".as_ref(), root.as_os_str(), "--level=full".as_ref()]);
    assert_eq!(code, 1);
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
    assert!(at("DAMAGED") < at("Looked at") && at("Looked at") < at("commitlog.body-crc"));
    assert!(at("Map of the log") < at("class=\"error\" d="), "the damage is marked");
    assert!(at("What follows:") < at("What to do:"));
}

#[test]
fn a_sound_store_passes_and_what_was_not_looked_at_is_named() {
    let (_keep, root) = broken("5.3.3-rocksdb");
    // Writes that only a log of the database has.
    std::fs::write(root.join("config/topics/000028.log"), [0; 40]).unwrap();
    let (code, text) = page(&["verify".as_ref(), root.as_os_str()]);
    assert_eq!((code, text.contains("NO VERDICT"), text.contains("Not looked at")), (3, true, true));
    let golden = shared("4.3.2-clean");
    let (code, text) = page(&["verify".as_ref(), golden.root().as_os_str()]);
    assert_eq!((code, text.contains(">PASS<"), text.contains("Not looked at")), (0, true, false));
}

#[test]
fn a_pair_is_drawn_and_a_start_is_told_step_by_step() {
    let golden = shared("4.3.2-pair");
    let (a, b) = (golden.sub("master/store"), golden.sub("slave/store"));
    let (_, text) = page(&["diff".as_ref(), a.as_os_str(), b.as_os_str()]);
    assert!(text.contains("a has 0 to 1,517,886, b has 0 to 813,958") && text.contains("Queues that lag"), "{text}");

    let golden = shared("rollback-s1");
    let home = golden.sub("home");
    let (code, text) = page(&[
        "boot".as_ref(),
        golden.root().as_os_str(),
        "--release=3.5.8".as_ref(),
        "--home".as_ref(),
        home.as_os_str(),
    ]);
    assert_eq!(code, 1);
    assert!(text.contains("915 messages") && text.contains("What happens, in order"), "{text}");
}

#[test]
fn an_archive_and_a_fleet_have_pages_too() {
    let golden = shared("4.3.2-clean");
    let temp = tempfile::tempdir().unwrap();
    let archive = temp.path().join("a.tar.zst");
    let root = golden.root();
    let create = ["backup".as_ref(), "create".as_ref(), root.as_os_str(), "-o".as_ref(), archive.as_os_str()];
    assert_eq!(mqstore(&create).code, 0);
    let (code, text) = page(&["backup".as_ref(), "verify".as_ref(), archive.as_os_str()]);
    assert_eq!((code, text.contains(">PASS<")), (0, true));
    let fetched = temp.path().join("fetched");
    std::fs::create_dir(&fetched).unwrap();
    let file = fetched.join("broker-a.verify.json");
    let verify = ["verify".as_ref(), root.as_os_str(), "--format=json".as_ref(), "-o".as_ref(), file.as_os_str()];
    assert_eq!(mqstore(&verify).code, 0);
    let (code, text) = page(&["fleet".as_ref(), fetched.as_os_str()]);
    assert_eq!((code, text.contains("broker-a")), (0, true));
}
