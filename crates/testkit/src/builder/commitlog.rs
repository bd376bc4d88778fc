//! The files under `commitlog/`, written front to back.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::message::put_u32;
use super::{full_length_file, offset_name};

const MAGIC_BLANK: u32 = 0xCBD4_3194;
/// Room that a record must leave behind it, so that a blank always fits.
const END_FILE_MIN_BLANK: u64 = 8;

#[derive(Debug)]
pub(super) struct CommitLogWriter {
    dir: PathBuf,
    file_size: u64,
    base: u64,
    position: u64,
    file: Option<BufWriter<File>>,
}

impl CommitLogWriter {
    pub(super) fn new(root: &Path, file_size: u64, first_offset: u64) -> Self {
        assert_eq!(first_offset % file_size, 0, "a commitlog starts at the start of a file");
        let dir = root.join("commitlog");
        fs::create_dir_all(&dir).expect("a folder for the commitlog");
        Self { dir, file_size, base: first_offset, position: 0, file: None }
    }

    /// Physical offset at which a record of `length` bytes goes; closes the file with a blank where it does not fit.
    pub(super) fn place(&mut self, length: usize) -> u64 {
        let needed = length as u64 + END_FILE_MIN_BLANK;
        assert!(needed <= self.file_size, "a record of {length} bytes in files of {}", self.file_size);
        let remaining = self.file_size - self.position;
        if needed > remaining {
            let mut blank = Vec::with_capacity(8);
            put_u32(&mut blank, u32::try_from(remaining).expect("a file below 4 GiB"));
            put_u32(&mut blank, MAGIC_BLANK);
            self.write(&blank);
            self.flush();
            self.file = None;
            self.base += self.file_size;
            self.position = 0;
        }
        self.base + self.position
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        let path = self.dir.join(offset_name(self.base));
        let size = self.file_size;
        let file = self.file.get_or_insert_with(|| BufWriter::with_capacity(1 << 20, full_length_file(&path, size)));
        file.write_all(bytes).expect("room for the commitlog");
        self.position += bytes.len() as u64;
    }

    fn flush(&mut self) {
        if let Some(file) = &mut self.file {
            file.flush().expect("room for the commitlog");
        }
    }

    /// Writes what is left; with `allocate_next` also the empty file that a running broker keeps ready.
    pub(super) fn finish(&mut self, allocate_next: bool) {
        self.flush();
        if allocate_next {
            full_length_file(&self.dir.join(offset_name(self.base + self.file_size)), self.file_size);
        }
    }

    /// Physical offset behind the last record.
    pub(super) fn end(&self) -> u64 {
        self.base + self.position
    }
}
