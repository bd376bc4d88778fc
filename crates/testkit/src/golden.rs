//! The recorded stores under `testdata/golden` and what is known about them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

/// The name of every recorded archive, sorted; `testdata/README.md` says what each is for.
pub const GOLDEN: &[&str] = &[
    "3.2.6-clean",
    "3.5.8-clean",
    "3.5.8-killed",
    "3.5.8-upgraded-4.3.2",
    "4.3.2-clean",
    "4.3.2-cqext",
    "4.3.2-expired",
    "4.3.2-killed",
    "4.3.2-pair",
    "4.9.7-clean",
    "4.9.7-dledger",
    "5.3.3-batchcq",
    "5.3.3-clean",
    "5.3.3-dledger",
    "5.3.3-ipv6",
    "5.3.3-killed",
    "5.3.3-lmq",
    "5.3.3-ms-master",
    "5.3.3-ms-slave",
    "5.3.3-pair",
    "5.3.3-propcrc",
    "5.3.3-rocksdb",
    "5.3.3-rocksdb-killed",
    "5.3.3-rocksdb-v2",
    "5.3.3-timer",
    "5.3.3-v6mix",
    "5.4.0-clean",
    "5.5.0-clean",
    "boot-base-3.5.8",
    "boot-base-4.3.2",
    "boot-base-4.9.7",
    "boot-base-5.3.3",
    "rollback-s1",
];

/// Every store root in the archives: the archive, the root below [`Golden::path`], and the name to give to
/// [`truth_lines`] (empty where no message-by-message truth was recorded).
pub const STORES: &[(&str, &str, &str)] = &[
    ("3.2.6-clean", "store", "3.2.6-clean"),
    ("3.5.8-clean", "store", "3.5.8-clean"),
    ("3.5.8-killed", "store", "3.5.8-killed"),
    ("3.5.8-upgraded-4.3.2", "store", "3.5.8-upgraded-4.3.2"),
    ("3.5.8-upgraded-4.3.2", "backup-t0/store", "3.5.8-upgraded-4.3.2.backup-t0"),
    ("4.3.2-clean", "store", "4.3.2-clean"),
    ("4.3.2-cqext", "store", ""),
    ("4.3.2-expired", "store", "4.3.2-expired"),
    ("4.3.2-killed", "store", "4.3.2-killed"),
    ("4.3.2-pair", "master/store", "4.3.2-pair.master"),
    ("4.3.2-pair", "slave/store", "4.3.2-pair.slave"),
    ("4.9.7-clean", "store", "4.9.7-clean"),
    ("4.9.7-dledger", "store", ""),
    ("5.3.3-batchcq", "store", ""),
    ("5.3.3-clean", "store", "5.3.3-clean"),
    ("5.3.3-dledger", "store", ""),
    ("5.3.3-ipv6", "store", ""),
    ("5.3.3-killed", "store", "5.3.3-killed"),
    ("5.3.3-lmq", "store", ""),
    ("5.3.3-ms-master", "store", ""),
    ("5.3.3-ms-slave", "store", ""),
    ("5.3.3-pair", "master/store", "5.3.3-pair.master"),
    ("5.3.3-pair", "slave/store", "5.3.3-pair.slave"),
    ("5.3.3-propcrc", "store", ""),
    ("5.3.3-rocksdb", "store", ""),
    ("5.3.3-rocksdb-killed", "store", ""),
    ("5.3.3-rocksdb-v2", "store", ""),
    ("5.3.3-timer", "store", ""),
    ("5.3.3-v6mix", "store", "5.3.3-v6mix"),
    ("5.4.0-clean", "store", ""),
    ("5.5.0-clean", "store", ""),
    ("boot-base-3.5.8", "store", ""),
    ("boot-base-4.3.2", "store", ""),
    ("boot-base-4.9.7", "store", ""),
    ("boot-base-5.3.3", "store", ""),
    ("rollback-s1", "store", "rollback-s1"),
];

/// The `testdata` folder of the repository.
pub fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

/// A recorded store, unpacked into a temporary folder of its own that goes away with this value.
#[derive(Debug)]
pub struct Golden {
    temp: TempDir,
    name: String,
}

impl Golden {
    /// The folder that the archive holds: `store/`, `broker.conf` and, for some, `home/`; `master/` and `slave/` for pairs.
    pub fn path(&self) -> PathBuf {
        self.temp.path().join(&self.name)
    }

    /// The store of an archive that is not a pair (`storePathRootDir` of the broker that wrote it).
    pub fn root(&self) -> PathBuf {
        let root = self.sub("store");
        assert!(root.is_dir(), "{} is a pair: take sub(\"master/store\") or sub(\"slave/store\")", self.name);
        root
    }

    /// A path below [`Golden::path`], such as `master/store` or `broker.conf`.
    pub fn sub(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }
}

/// Unpacks `testdata/golden/NAME.tar.zst` as GNU tar run by root would: holes, modes and mtimes (whole seconds) included,
/// owners not.
pub fn golden(name: &str) -> Golden {
    let archive = golden_file(&format!("{name}.tar.zst"));
    let temp = tempfile::Builder::new().prefix("mqstore-golden-").tempdir().expect("a temporary folder");
    unpack(&archive, temp.path());
    Golden { temp, name: name.to_owned() }
}

/// `NAME.truth.json`: release, how the store was made, and what the live broker answered.
pub fn truth(name: &str) -> Value {
    let path = golden_file(&format!("{name}.truth.json"));
    let text = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The lines of `NAME.truth.jsonl.zst` in order: what the release's own classes read from the store after the stop.
///
/// For one of several stores in an archive the name ends with its side: `5.3.3-pair.master`,
/// `3.5.8-upgraded-4.3.2.backup-t0`.
pub fn truth_lines(name: &str) -> Vec<Value> {
    let whole = golden_file(&format!("{name}.truth.jsonl.zst"));
    let path = match name.rsplit_once('.') {
        Some((archive, side)) if !whole.exists() => golden_file(&format!("{archive}.truth.{side}.jsonl.zst")),
        _ => whole,
    };
    let reader = BufReader::new(zstd::Decoder::new(open(&path)).expect("a zstd stream"));
    let parse = |line: std::io::Result<String>| {
        let line = line.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{}: {e} in {line}", path.display()))
    };
    reader.lines().map(parse).collect()
}

fn golden_file(name: &str) -> PathBuf {
    testdata().join("golden").join(name)
}

fn open(path: &Path) -> File {
    File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn unpack(archive: &Path, into: &Path) {
    let mut tar = tar::Archive::new(zstd::Decoder::new(open(archive)).expect("a zstd stream"));
    tar.set_preserve_permissions(true);
    tar.set_preserve_mtime(true);
    // The tar crate sets no times on folders, and each file put into one would change them again.
    let mut folders = Vec::new();
    for entry in tar.entries().expect("a tar archive") {
        let mut entry = entry.expect("a tar entry");
        let inside = entry.unpack_in(into).unwrap_or_else(|e| panic!("{}: {e}", archive.display()));
        assert!(inside, "{}: an entry leads out of the folder", archive.display());
        if entry.header().entry_type().is_dir() {
            folders.push((into.join(entry.path().expect("a path")), entry.header().mtime().expect("an mtime")));
        }
    }
    for (folder, mtime) in folders.iter().rev() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(*mtime);
        open(folder).set_modified(time).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    }
}
