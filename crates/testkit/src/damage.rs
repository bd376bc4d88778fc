//! Ways to break a store on disk, each a plain write at a literal place.
//!
//! A [`Damage`] gives one of them a name, so that a table of them can be walked; what it does is put together from the
//! primitives below. None of them knows a format: offsets are literals in the test, and so check the reader's own.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// A named way to break a store.
#[derive(Clone, Copy, Debug)]
pub struct Damage {
    /// What is broken, as a sentence a failed test can print.
    pub name: &'static str,
    /// Does it, to the store at this root.
    pub apply: fn(&Path),
}

/// Flips one bit; bit 0 is the lowest.
pub fn flip(path: &Path, offset: u64, bit: u8) {
    edit(path, |file| {
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset)?;
        file.write_all_at(&byte.map(|b| b ^ (1 << bit)), offset)
    });
}

/// Overwrites with zeros; the file keeps its length.
pub fn zero(path: &Path, range: Range<u64>) {
    edit(path, |file| {
        let end = range.end.min(file.metadata()?.len());
        let length = usize::try_from(end.saturating_sub(range.start)).unwrap_or_default();
        file.write_all_at(&vec![0; length], range.start)
    });
}

/// Overwrites with `bytes`, and lengthens the file if they go beyond its end.
pub fn write_at(path: &Path, offset: u64, bytes: &[u8]) {
    edit(path, |file| file.write_all_at(bytes, offset));
}

/// Cuts a file off, or lengthens it with a hole.
pub fn truncate(path: &Path, length: u64) {
    edit(path, |file| file.set_len(length));
}

/// Exchanges two runs of `length` bytes that do not overlap.
pub fn swap(path: &Path, first: u64, second: u64, length: usize) {
    edit(path, |file| {
        let (mut a, mut b) = (vec![0; length], vec![0; length]);
        file.read_exact_at(&mut a, first)?;
        file.read_exact_at(&mut b, second)?;
        file.write_all_at(&b, first)?;
        file.write_all_at(&a, second)
    });
}

/// Copies `length` bytes from one place of a file to another.
pub fn copy_within(path: &Path, from: u64, to: u64, length: usize) {
    edit(path, |file| {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, from)?;
        file.write_all_at(&bytes, to)
    });
}

/// Removes a file, or a folder with everything in it.
pub fn remove(path: &Path) {
    let done = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    done.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// Adds a file that must not be there yet, with its folders.
pub fn add_file(path: &Path, content: &[u8]) {
    let add = || -> io::Result<()> {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        io::Write::write_all(&mut File::create_new(path)?, content)
    };
    add().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// Gives a file another name in its folder.
pub fn rename(path: &Path, name: &str) {
    fs::rename(path, path.with_file_name(name)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// Cuts a text file in the middle, as a full disk does: the first half of its bytes stay.
pub fn tear(path: &Path) {
    let length = fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).len();
    truncate(path, length / 2);
}

/// Replaces text that must occur in a file, wherever it does.
pub fn replace_text(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(text.contains(from), "{} has no {from:?}", path.display());
    fs::write(path, text.replace(from, to)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// The files below a folder, sorted by path: `files(root.join("index"))[0]` is the oldest index file.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let found = WalkDir::new(dir).sort_by_file_name().into_iter().map(|e| e.expect("a readable folder"));
    found.filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

fn edit(path: &Path, change: impl FnOnce(&File) -> io::Result<()>) {
    let open = File::options().read(true).write(true).open(path);
    open.and_then(|file| change(&file)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
