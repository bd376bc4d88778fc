//! The files under `index/`: entries are appended, header and slots written when a file is left.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::full_length_file;
use super::message::{java_hash, put_i32, put_i64, put_u32, put_u64};

const HEADER_SIZE: u64 = 40;
const SLOT_SIZE: u64 = 4;
const ENTRY_SIZE: u64 = 20;
/// Slots are written in pieces of this many, and pieces without a used slot not at all: the file stays sparse.
const SLOTS_PER_PIECE: usize = 1024;

#[derive(Clone, Copy, Debug, Default)]
struct Header {
    begin_timestamp: i64,
    end_timestamp: i64,
    begin_offset: u64,
    end_offset: u64,
    used_slots: u32,
    count: u32,
}

#[derive(Debug)]
pub(super) struct IndexWriter {
    dir: PathBuf,
    slots: u32,
    entries: u32,
    counts_used_slots: bool,
    header: Header,
    table: Vec<u32>,
    file: Option<BufWriter<File>>,
    last_name: u64,
    /// End of the newest file that was full when the next was begun, for the checkpoint.
    pub(super) full_until: i64,
}

impl IndexWriter {
    pub(super) fn new(root: &Path, slots: u32, entries: u32, counts_used_slots: bool) -> Self {
        let dir = root.join("index");
        fs::create_dir_all(&dir).expect("a folder for the index");
        Self {
            dir,
            slots,
            entries,
            counts_used_slots,
            header: Header { count: 1, ..Header::default() },
            table: Vec::new(),
            file: None,
            last_name: 0,
            full_until: 0,
        }
    }

    pub(super) fn put(&mut self, key: &str, physical_offset: u64, store_timestamp: i64) {
        if self.file.is_none() || self.header.count >= self.entries {
            self.begin_file(store_timestamp);
        }
        let hash = java_hash(key).checked_abs().unwrap_or(0);
        let slot = u32::try_from(hash).expect("a positive hash") % self.slots;
        // The first entry is measured against the begin that the header held before it.
        let seconds = match store_timestamp - self.header.begin_timestamp {
            _ if self.header.begin_timestamp <= 0 => 0,
            milliseconds => (milliseconds / 1000).clamp(0, i64::from(i32::MAX)),
        };
        let newest = self.table.get_mut(slot as usize).expect("a slot inside the table");
        let mut entry = Vec::with_capacity(20);
        put_i32(&mut entry, hash);
        put_u64(&mut entry, physical_offset);
        put_i32(&mut entry, i32::try_from(seconds).expect("clamped"));
        put_u32(&mut entry, *newest);
        if *newest == 0 || !self.counts_used_slots {
            self.header.used_slots += 1;
        }
        *newest = self.header.count;
        self.file.as_mut().expect("begun above").write_all(&entry).expect("room for the index");
        if self.header.count == 1 {
            self.header.begin_timestamp = store_timestamp;
            self.header.begin_offset = physical_offset;
        }
        self.header.end_timestamp = store_timestamp;
        self.header.end_offset = physical_offset;
        self.header.count += 1;
    }

    fn begin_file(&mut self, store_timestamp: i64) {
        if self.file.is_some() {
            self.finish();
            let (end_timestamp, end_offset) = (self.header.end_timestamp, self.header.end_offset);
            self.full_until = end_timestamp;
            self.header = Header {
                begin_timestamp: end_timestamp,
                end_timestamp,
                begin_offset: end_offset,
                end_offset,
                used_slots: 0,
                count: 1,
            };
        }
        self.table = vec![0; self.slots as usize];
        self.last_name = time_name(store_timestamp).max(self.last_name + 1);
        let length = HEADER_SIZE + u64::from(self.slots) * SLOT_SIZE + u64::from(self.entries) * ENTRY_SIZE;
        let mut file = full_length_file(&self.dir.join(format!("{:017}", self.last_name)), length);
        let first_entry = HEADER_SIZE + u64::from(self.slots) * SLOT_SIZE + ENTRY_SIZE;
        file.seek(SeekFrom::Start(first_entry)).expect("a file");
        self.file = Some(BufWriter::with_capacity(1 << 18, file));
    }

    pub(super) fn finish(&mut self) {
        let Some(mut writer) = self.file.take() else { return };
        writer.flush().expect("room for the index");
        let file = writer.get_ref();
        let mut bytes = Vec::with_capacity(40);
        put_i64(&mut bytes, self.header.begin_timestamp);
        put_i64(&mut bytes, self.header.end_timestamp);
        put_u64(&mut bytes, self.header.begin_offset);
        put_u64(&mut bytes, self.header.end_offset);
        put_u32(&mut bytes, self.header.used_slots);
        put_u32(&mut bytes, self.header.count);
        file.write_all_at(&bytes, 0).expect("room for the index");
        let mut position = HEADER_SIZE;
        for piece in self.table.chunks(SLOTS_PER_PIECE) {
            if piece.iter().any(|slot| *slot != 0) {
                let mut bytes = Vec::with_capacity(piece.len() * 4);
                for slot in piece {
                    put_u32(&mut bytes, *slot);
                }
                file.write_all_at(&bytes, position).expect("room for the index");
            }
            position += piece.len() as u64 * SLOT_SIZE;
        }
    }
}

/// `yyyyMMddHHmmssSSS` in UTC as a number of 17 digits.
fn time_name(milliseconds: i64) -> u64 {
    let (days, of_day) = (milliseconds.div_euclid(86_400_000), milliseconds.rem_euclid(86_400_000));
    // Days since 1 March of year 0, so that the leap day is the last of its year.
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let clock = of_day / 3_600_000 * 10_000_000 + of_day / 60_000 % 60 * 100_000 + of_day % 60_000;
    u64::try_from((year * 10_000 + month * 100 + day) * 1_000_000_000 + clock).expect("a time after the year 0")
}

#[cfg(test)]
mod tests {
    use super::time_name;

    #[test]
    fn a_time_becomes_the_name_that_the_date_command_gives() {
        // date -u -d @SECONDS +%Y%m%d%H%M%S
        assert_eq!(time_name(1_700_000_000_123), 20_231_114_221_320_123);
        assert_eq!(time_name(951_782_399_999), 20_000_228_235_959_999);
        assert_eq!(time_name(951_868_799_001), 20_000_229_235_959_001);
        assert_eq!(time_name(1_735_689_599_000), 20_241_231_235_959_000);
    }
}
