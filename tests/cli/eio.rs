//! A disk that cannot read a sector, through a shim in front of the C library.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Run, command, run, shared};

/// The shim, compiled.
fn shim(dir: &Path) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cli/eio/shim.c");
    let library = dir.join("shim.so");
    let done = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    assert!(done.unwrap().success());
    library
}

fn verify(root: &Path, shim: Option<(&Path, &str, u64)>, args: &[&str]) -> Run {
    let mut command = command();
    command.arg("verify").arg(root).args(["--level", "full", "--format", "json"]).args(args);
    if let Some((shim, file, at)) = shim {
        command.env("LD_PRELOAD", shim).env("EIO_FILE", file).env("EIO_AT", at.to_string());
    }
    run(&mut command)
}

fn findings(run: &Run) -> Vec<Value> {
    run.json()["findings"].as_array().unwrap().clone()
}

#[test]
fn without_mappings_the_answer_is_the_same() {
    for name in ["4.3.2-clean", "5.3.3-killed"] {
        let golden = shared(name);
        let [map, read] = ["map", "read"].map(|io| verify(&golden.sub("store"), None, &["--io", io]));
        assert_eq!(map.code, read.code, "{name}: {}", read.stderr);
        for key in ["findings", "counts", "coverage"] {
            assert_eq!(map.json()[key], read.json()[key], "{name} {key}");
        }
    }
}

#[test]
fn a_sector_that_cannot_be_read_is_told_with_its_file_and_place_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let shim = shim(dir.path());
    let golden = shared("4.3.2-clean");
    let root = golden.sub("store");
    let first = |folder: &str, n: usize| {
        let mut names: Vec<_> = std::fs::read_dir(root.join(folder)).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        format!("{folder}/{}", names[n].to_str().unwrap())
    };
    let log = first("commitlog", 1);
    let base: u64 = log.rsplit('/').next().unwrap().parse().unwrap();
    for (file, at, offset) in [
        (log.clone(), 70_000, Some(base + 69_632)),
        (first("index", 0), 5_000, None),
        ("consumequeue/GoldOne/0/00000000000000000000".to_owned(), 40, None),
    ] {
        let run = verify(&root, Some((&shim, &file, at)), &["--io", "read", "--jobs", "2"]);
        let findings = findings(&run);
        let ids: Vec<_> = findings.iter().map(|finding| finding["id"].as_str().unwrap()).collect();
        assert_eq!((run.code, &ids[..]), (1, &["store.io-error"][..]), "{file}: {}", run.stdout);
        let found = findings.first().unwrap();
        assert_eq!(found["location"]["path"], file.as_str());
        assert_eq!(found["location"]["offset"].as_u64(), offset, "{file}");
        let place = format!("from byte {} on: Input/output error", at & !4095);
        assert!(found["message"].as_str().unwrap().contains(&place), "{found}");
    }
}
