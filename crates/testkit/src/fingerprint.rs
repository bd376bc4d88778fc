//! Everything about a folder that a reader must leave as it was.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

/// What kind of thing a path names, links not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link; its content is its target.
    Link,
    /// A device, a pipe or a socket; its content is not looked at.
    Other,
}

/// One path of a fingerprint. Equal entries mean: same name, same content, and not written to in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the folder that was fingerprinted; empty for that folder itself.
    pub path: PathBuf,
    /// File, folder, link or other.
    pub kind: EntryKind,
    /// Bytes, holes included; 0 for everything that is not a file.
    pub length: u64,
    /// Time of the last change of the content, nanoseconds since the epoch.
    pub mtime_ns: i128,
    /// Permission bits, without the file type.
    pub mode: u32,
    /// SHA-256 of the content in lower-case hex; empty for folders and others.
    pub sha256: String,
}

/// Everything below (and including) a folder, sorted by path. Access times are left out: reading may change them.
pub fn fingerprint(dir: &Path) -> Vec<Entry> {
    let walk = WalkDir::new(dir).sort_by(|a, b| a.file_name().as_bytes().cmp(b.file_name().as_bytes()));
    walk.into_iter()
        .map(|found| {
            let found = found.expect("a readable folder");
            let meta = found.metadata().expect("a file that stays where it is");
            entry(found.path(), found.path().strip_prefix(dir).expect("below the folder"), &meta)
        })
        .collect()
}

fn entry(path: &Path, relative: &Path, meta: &Metadata) -> Entry {
    let (kind, length, sha256) = if meta.is_file() {
        (EntryKind::File, meta.len(), sha256_of_file(path))
    } else if meta.is_dir() {
        (EntryKind::Dir, 0, String::new())
    } else if meta.is_symlink() {
        let target = fs::read_link(path).expect("a readable link");
        (EntryKind::Link, 0, hex(&Sha256::digest(target.as_os_str().as_bytes())))
    } else {
        (EntryKind::Other, 0, String::new())
    };
    let mtime_ns = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
    Entry { path: relative.to_owned(), kind, length, mtime_ns, mode: meta.mode() & 0o7777, sha256 }
}

/// SHA-256 of a file's content in lower-case hex, as `sha256sum` prints it.
pub fn sha256_of_file(path: &Path) -> String {
    let hash = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex(&hasher.finalize())),
                read => hasher.update(buffer.get(..read).unwrap_or_default()),
            }
        }
    };
    hash().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
