//! The faults that were put into stores before real brokers were started on them, by their recorded names.
//!
//! A [`FaultyStore`] is a fresh copy of a `boot-base-RELEASE` archive; [`FaultyStore::inject`] changes the same bytes
//! as were changed then, and [`FaultyStore::broker_conf`] gives the configuration the broker was started with.

#![expect(clippy::indexing_slicing, reason = "the base stores are known: a place that is not there is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::damage::{self, files};
use crate::golden::{Golden, golden};

/// Length of a log file of the base stores.
const LOG_FILE: u64 = 1 << 18;
/// Length of a queue file of the base stores: 200 units.
const QUEUE_FILE: u64 = 4000;
const UNIT: usize = 20;
/// The share of the log that a restored, older set of queues knows, in tenths.
const KEPT_TENTHS: u64 = 3;

/// Forty bytes without meaning, for an index header: both times and the first offset come out negative.
const GARBAGE_HEADER: [u8; 40] = [
    245, 177, 101, 34, 74, 88, 183, 145, 223, 106, 241, 216, 48, 62, 97, 205, 196, 187, 134, 195, 209, 196, 39, 16, 60,
    52, 76, 65, 137, 235, 47, 30, 123, 213, 212, 126, 68, 111, 206, 194,
];
/// The fields of a checkpoint without meaning.
const GARBAGE_CHECKPOINT: [u8; 64] = [
    115, 169, 190, 244, 153, 187, 244, 220, 123, 210, 164, 242, 200, 175, 91, 217, 159, 38, 122, 14, 211, 25, 114, 23,
    221, 43, 186, 21, 55, 67, 110, 92, 36, 65, 227, 213, 68, 16, 73, 43, 120, 135, 104, 188, 255, 34, 24, 207, 143,
    115, 115, 171, 232, 227, 148, 218, 248, 7, 226, 78, 88, 195, 103, 64,
];

/// A base store that can be broken in the recorded ways.
#[derive(Debug)]
pub struct FaultyStore {
    golden: Golden,
    release: String,
}

/// A record of a log, read without any of the crates under test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Physical offset.
    pub physical_offset: u64,
    /// Total size in bytes.
    pub size: u64,
    /// The file it lies in.
    pub file: PathBuf,
    /// Where it starts in the file.
    pub position: u64,
    /// The value of its property `KEYS`.
    pub keys: String,
}

impl FaultyStore {
    /// A copy of the store that was used for `release`: its own, or that of the nearest one that has one.
    pub fn for_release(release: &str) -> Self {
        let base = match release {
            "4.4.0" | "4.5.2" | "4.9.2" => "4.3.2",
            "5.0.0" | "5.1.4" => "4.9.7",
            "5.4.0" | "5.5.0" => "5.3.3",
            own => own,
        };
        Self { golden: golden(&format!("boot-base-{base}")), release: release.to_owned() }
    }

    /// The store root.
    pub fn root(&self) -> PathBuf {
        self.golden.sub("store")
    }

    /// The home folder of the broker's user.
    pub fn home(&self) -> PathBuf {
        self.golden.sub("home")
    }

    /// Puts an empty `abort` into the store.
    pub fn add_abort(&self) {
        fs::write(self.root().join("abort"), []).expect("a writable store");
    }

    /// `broker.conf` of the start with this fault.
    pub fn broker_conf(&self, fault: &str) -> String {
        let root = self.root();
        let root = root.display();
        let mut conf = vec![
            ("storePathRootDir", format!("{root}")),
            ("storePathCommitLog", format!("{root}/commitlog")),
            ("mapedFileSizeCommitLog", LOG_FILE.to_string()),
            ("mappedFileSizeCommitLog", LOG_FILE.to_string()),
            ("mapedFileSizeConsumeQueue", QUEUE_FILE.to_string()),
            ("mappedFileSizeConsumeQueue", QUEUE_FILE.to_string()),
            ("maxHashSlotNum", "500".to_owned()),
            ("maxIndexNum", "2000".to_owned()),
            ("brokerRole", "ASYNC_MASTER".to_owned()),
            ("timerWheelEnable", "false".to_owned()),
        ];
        let (without, with): (&str, Option<(&str, &str)>) = match fault {
            "st_only_maped_key_cq" => ("mappedFileSizeConsumeQueue", None),
            "st_only_mapped_key_cq" => ("mapedFileSizeConsumeQueue", None),
            "st_only_maped_key_cl" => ("mappedFileSizeCommitLog", None),
            "st_only_mapped_key_cl" => ("mapedFileSizeCommitLog", None),
            "st_log_in_home_path_unset" | "st_log_in_root_path_unset" => ("storePathCommitLog", None),
            "st_delay_levels_cut_to_3" | "st_delay_levels_cut_to_3_rebuild" => {
                ("", Some(("messageDelayLevel", "1s 2s 3s")))
            }
            "st_duplicationEnable" => ("", Some(("duplicationEnable", "true"))),
            "st_forceVerifyPropCRC" => ("", Some(("forceVerifyPropCRC", "true"))),
            "st_recheckReput" => ("", Some(("recheckReputOffsetFromCq", "true"))),
            _ => ("", None),
        };
        conf.retain(|(key, _)| *key != without);
        conf.extend(with.map(|(key, value)| (key, value.to_owned())));
        let lines: Vec<String> = conf.iter().map(|(key, value)| format!("{key}={value}")).collect();
        lines.join("\n")
    }

    /// Breaks the store; `false` if the fault is none that bytes on disk make.
    pub fn inject(&self, fault: &str) -> bool {
        let fault = fault.strip_prefix("send_").unwrap_or(fault);
        self.inject_log(fault) || self.inject_queue(fault) || self.inject_rest(fault) || self.inject_config(fault)
    }

    fn inject_log(&self, fault: &str) -> bool {
        let log = self.root().join("commitlog");
        let all = files(&log);
        let (first, last) = (all[0].clone(), all[all.len() - 1].clone());
        let next = log.join(format!("{:020}", number(&last) + LOG_FILE));
        let hundredth = |file: &Path| self.records().into_iter().filter(|r| r.file == file).nth(100).expect("records");
        match fault {
            "cl_flip_body_first_file" => flip_body(&hundredth(&first)),
            "cl_flip_body_second_last_file" => flip_body(&hundredth(&all[all.len() - 2])),
            "cl_flip_body_last_file" => flip_body(&hundredth(&last)),
            "cl_magic_last_file" => {
                let record = hundredth(&last);
                damage::flip(&record.file, record.position + 4, 0);
            }
            "cl_totalsize_plus1_last_file" => set_size(&hundredth(&last), 1),
            "cl_totalsize_next_record_last_file" => {
                let record = self.records().into_iter().filter(|r| r.file == last).nth(101).expect("records");
                set_size(&hundredth(&last), record.size);
            }
            "cl_torn_last_record" => self.tear_record(1),
            "cl_torn_40_records_back" => self.tear_record(40),
            "cl_last_file_one_page_longer" => damage::truncate(&last, LOG_FILE + 4096),
            "cl_middle_file_one_page_shorter" => damage::truncate(&all[2], LOG_FILE - 4096),
            "cl_next_file_zero_length" => damage::add_file(&next, &[]),
            "cl_last_data_file_zero_length" => damage::truncate(&last, 0),
            "cl_next_file_all_zero" => {
                damage::add_file(&next, &[]);
                damage::truncate(&next, LOG_FILE);
            }
            "cl_foreign_file_wrong_length" => damage::add_file(&log.join("foo.txt"), b"hello\n"),
            "cl_foreign_file_sorted_first_wrong_length" => damage::add_file(&log.join(".nfs0001"), b"hello\n"),
            "cl_foreign_file_right_length" => {
                damage::add_file(&log.join("foo.txt"), &[]);
                damage::truncate(&log.join("foo.txt"), LOG_FILE);
            }
            "cl_subfolder" => make_folder(&log.join("old")),
            "cl_subfolder_lost_found_sorted_first" => make_folder(&log.join(".snapshot")),
            "cl_missing_middle_file" => damage::remove(&all[2]),
            "cl_missing_second_last_file" => damage::remove(&all[all.len() - 2]),
            "cl_missing_last_data_file" => damage::remove(&last),
            "cl_folder_empty" => all.iter().for_each(|file| damage::remove(file)),
            "cl_folder_missing" => damage::remove(&log),
            _ => return false,
        }
        true
    }

    fn inject_queue(&self, fault: &str) -> bool {
        let root = self.root();
        let dir = self.queue("TopicA/1");
        let all = files(&dir);
        let last = all[all.len() - 1].clone();
        let next = dir.join(format!("{:020}", number(&last) + QUEUE_FILE));
        let middle_of_last = (used_units(&last) / 2 * UNIT) as u64;
        let unit =
            |physical: i64, size: i32| [&physical.to_be_bytes()[..], &size.to_be_bytes(), &1i64.to_be_bytes()].concat();
        match fault {
            "cq_middle_file_20_shorter" => damage::truncate(&all[1], QUEUE_FILE - 20),
            "cq_last_file_20_longer" => damage::truncate(&last, QUEUE_FILE + 20),
            "cq_next_file_zero_length" => damage::add_file(&next, &[]),
            "cq_last_data_file_zero_length" => damage::truncate(&last, 0),
            "cq_hole_in_last_file" => damage::write_at(&last, middle_of_last, &[0; UNIT]),
            "cq_hole_in_first_file" => damage::write_at(&all[0], 50 * 20, &[0; UNIT]),
            "cq_garbage_unit_phy_beyond_log" => {
                damage::write_at(&last, middle_of_last, &unit(0x0123_4567_89AB_CDEF, 0x1111_1111));
            }
            "cq_garbage_unit_phy_small" => damage::write_at(&last, middle_of_last, &unit(12345, 777)),
            "cq_missing_middle_file" => damage::remove(&all[1]),
            "cq_missing_last_file" => damage::remove(&last),
            "cq_foreign_file_wrong_length" => damage::add_file(&dir.join("foo.txt"), b"x"),
            "cq_foreign_file_right_length" => damage::add_file(&dir.join("foo.txt"), &[0; 4000]),
            "cq_subfolder_in_queue" => make_folder(&dir.join("old")),
            "cq_file_beside_topics" => damage::add_file(&root.join("consumequeue/foo.txt"), b"x"),
            "cq_file_beside_queues" => damage::add_file(&root.join("consumequeue/TopicA/foo.txt"), b"x"),
            "cq_folder_beside_queues" => make_folder(&root.join("consumequeue/TopicA/old")),
            "cq_empty_last_file_after_full" => self.add_empty_file_to_topic_b(),
            "cq_only_empty_last_file_kept" => {
                self.add_empty_file_to_topic_b();
                damage::remove(&files(&root.join("commitlog"))[0]);
                damage::remove(&files(&self.queue("TopicB/0"))[0]);
            }
            "cq_one_queue_folder_removed" => damage::remove(&dir),
            "cq_all_removed" | "st_recheckReput" => damage::remove(&root.join("consumequeue")),
            "cq_all_removed_and_checkpoint" | "st_delay_levels_cut_to_3_rebuild" => {
                damage::remove(&root.join("consumequeue"));
                damage::remove(&root.join("checkpoint"));
            }
            _ => return false,
        }
        true
    }

    fn inject_rest(&self, fault: &str) -> bool {
        let root = self.root();
        let index = root.join("index");
        let all = files(&index);
        let checkpoint = root.join("checkpoint");
        match fault {
            "ix_last_truncated_to_1000" => damage::truncate(&all[all.len() - 1], 1000),
            "ix_last_garbage_header" => damage::write_at(&all[all.len() - 1], 0, &GARBAGE_HEADER),
            "ix_last_zero_length" => damage::truncate(&all[all.len() - 1], 0),
            "ix_first_zero_length" => damage::truncate(&all[0], 0),
            "ix_foreign_name" => damage::add_file(&index.join("foo.txt"), b"x"),
            "ix_subfolder_numeric" => make_folder(&index.join("20200101000000000")),
            "ix_folder_removed" => damage::remove(&index),
            "cp_missing" => damage::remove(&checkpoint),
            "cp_zero_length" => damage::truncate(&checkpoint, 0),
            "cp_24_bytes" => damage::truncate(&checkpoint, 24),
            "cp_garbage" => damage::write_at(&checkpoint, 0, &GARBAGE_CHECKPOINT),
            "cp_future_and_cq_short" => {
                // The day after anything in the store.
                let tomorrow = 1_795_600_000_000_i64;
                damage::write_at(&checkpoint, 0, &tomorrow.to_be_bytes().repeat(3));
                self.cut_all_queues(true);
            }
            "cp_true_and_cq_short" => self.cut_all_queues(true),
            "fix_cq_short_checkpoint_removed" => {
                damage::remove(&checkpoint);
                self.cut_all_queues(true);
            }
            "fix_restored_cq_no_checkpoint_zero_tail" => {
                damage::remove(&checkpoint);
                self.cut_all_queues(false);
            }
            "fix_one_queue_removed_checkpoint_removed" | "fix_hole_in_first_file_queue_removed_checkpoint_removed" => {
                damage::remove(&checkpoint);
                damage::remove(&self.queue("TopicA/1"));
            }
            "st_log_in_home_path_unset" => {
                fs::create_dir_all(self.home().join("store")).expect("a writable folder");
                fs::rename(root.join("commitlog"), self.home().join("store/commitlog")).expect("a folder to move");
            }
            // A broker was killed behind its last message, and somebody removed `abort`.
            "t1_kill9_abort_deleted" => self.append_messages(),
            "t1_crash_lagging_cq_abort_deleted" => {
                self.append_messages();
                (0..4).for_each(|queue| self.lose_units(queue));
            }
            "t1_crash_lagging_cq_one_queue_abort_deleted" => {
                self.append_messages();
                self.lose_units(1);
            }
            "none" => {}
            settings if settings.starts_with("st_") => {}
            _ => return false,
        }
        true
    }

    fn inject_config(&self, fault: &str) -> bool {
        let topics = self.config("topics.json");
        let offsets = self.config("consumerOffset.json");
        let torn = |good: &[u8]| good[..good.len() / 2].to_vec();
        match fault {
            "cf_topics_torn_good_bak" => set_config(&topics, |g| Some(torn(g)), |g| Some(g.to_vec())),
            "cf_topics_torn_no_bak" => set_config(&topics, |g| Some(torn(g)), |_| None),
            "cf_topics_torn_empty_bak" => set_config(&topics, |g| Some(torn(g)), |_| Some(Vec::new())),
            "cf_topics_torn_bad_bak" => set_config(&topics, |g| Some(torn(g)), |g| Some(torn(g))),
            "cf_topics_missing_good_bak" => set_config(&topics, |_| None, |g| Some(g.to_vec())),
            "cf_topics_missing_no_bak" => set_config(&topics, |_| None, |_| None),
            "cf_topics_empty_no_bak" => set_config(&topics, |_| Some(Vec::new()), |_| None),
            "cf_topics_missing_only_tmp" => {
                set_config(&topics, |g| Some(g.to_vec()), |_| None);
                damage::rename(&topics, "topics.json.tmp");
            }
            "cf_topics_in_root_only" => {
                set_config(&topics, |g| Some(g.to_vec()), |_| None);
                let root = self.root().join("config/topics.json");
                let to = if topics == root { self.home().join("store/config/topics.json") } else { root };
                fs::create_dir_all(to.parent().expect("a folder")).expect("a writable folder");
                fs::rename(&topics, &to).expect("a file to move");
            }
            "cf_offset_empty_no_bak" => set_config(&offsets, |_| Some(Vec::new()), |_| None),
            "cf_offset_empty_good_bak" => set_config(&offsets, |_| Some(Vec::new()), |g| Some(g.to_vec())),
            "cf_offset_nul_no_bak" => set_config(&offsets, |g| Some(vec![0; g.len()]), |_| None),
            "cf_offset_nul_good_bak" => set_config(&offsets, |g| Some(vec![0; g.len()]), |g| Some(g.to_vec())),
            "cf_offset_nul_nul_bak" => set_config(&offsets, |g| Some(vec![0; g.len()]), |g| Some(vec![0; g.len()])),
            "cf_offset_quoted_keys" => set_config(&offsets, |g| Some(quoted_keys(g)), |_| None),
            "cf_offset_trailing_nul" => set_config(&offsets, |g| Some([g, &[0; 64]].concat()), |_| None),
            "cf_offset_trailing_text" => set_config(&offsets, |g| Some([g, b"xx"].concat()), |_| None),
            "cf_offset_braces_only" => set_config(&offsets, |_| Some(b"{}".to_vec()), |g| Some(g.to_vec())),
            "cf_offset_blank" => set_config(&offsets, |_| Some(b"   \n".to_vec()), |g| Some(g.to_vec())),
            "cf_offset_torn_bad_bak" => set_config(&offsets, |g| Some(torn(g)), |g| Some(torn(g))),
            "cf_offset_utf8_group" => {
                let renamed = |good: &[u8]| String::from_utf8_lossy(good).replace("GID_c", "GID_\u{6d88}").into_bytes();
                set_config(&offsets, |g| Some(renamed(g)), |_| None);
            }
            "cf_delay_torn_no_bak" => set_config(&self.config("delayOffset.json"), |_| Some(torn_delay()), |_| None),
            "cf_delay_torn_bad_bak" => {
                set_config(&self.config("delayOffset.json"), |_| Some(torn_delay()), |_| Some(torn_delay()));
            }
            "cf_groups_torn_bad_bak" => {
                set_config(&self.config("subscriptionGroup.json"), |g| Some(torn(g)), |g| Some(torn(g)));
            }
            _ => return false,
        }
        true
    }

    /// The path of a config file; 3.5.8 keeps topics and groups below the home folder.
    pub fn config(&self, name: &str) -> PathBuf {
        let split =
            self.release.starts_with("3.5.") && (name.starts_with("topics") || name.starts_with("subscription"));
        let place = if split { self.home().join("store") } else { self.root() };
        place.join("config").join(name)
    }

    fn queue(&self, name: &str) -> PathBuf {
        self.root().join("consumequeue").join(name)
    }

    /// Every record of the log up to the first bytes that are none.
    pub fn records(&self) -> Vec<LogRecord> {
        let mut records = Vec::new();
        for file in files(&self.root().join("commitlog")) {
            let (bytes, base) = (fs::read(&file).expect("a readable file"), number(&file));
            let int = |at: usize| i64::from(i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes")));
            let mut at = 0;
            while at + 8 <= bytes.len() && bytes[at + 4..at + 8] == [0xDA, 0xA3, 0x20, 0xA7] {
                let size = usize::try_from(int(at)).expect("a size");
                let record = &bytes[at..at + size];
                let keys = record.windows(5).position(|w| w == b"KEYS\x01").map(|start| {
                    let value = &record[start + 5..];
                    let end = value.iter().position(|b| *b == 2).unwrap_or(value.len());
                    String::from_utf8_lossy(&value[..end]).into_owned()
                });
                records.push(LogRecord {
                    physical_offset: base + at as u64,
                    size: size as u64,
                    file: file.clone(),
                    position: at as u64,
                    keys: keys.unwrap_or_default(),
                });
                at += size;
            }
        }
        records
    }

    /// Zeros from the middle of the n-th last record to the end of its file.
    fn tear_record(&self, n: usize) {
        let records = self.records();
        let record = &records[records.len() - n];
        damage::zero(&record.file, record.position + record.size / 2..LOG_FILE);
    }

    /// Two hundred messages more for `TopicA`, one queue after the other, with their units: what a killed broker leaves. They
    /// are copies of older ones with other offsets.
    fn append_messages(&self) {
        let records = self.records();
        let last = records.last().expect("records");
        let file = fs::read(&last.file).expect("a readable file");
        let (mut position, base) = (last.position + last.size, number(&last.file));
        let template = records.iter().rfind(|r| r.file == last.file && r.keys.starts_with('K')).expect("a message");
        let start = usize::try_from(template.position).expect("a small file");
        let template = &file[start..start + usize::try_from(template.size).expect("a small record")];
        for n in 0..200 {
            let dir = self.queue(&format!("TopicA/{}", n % 4));
            let queue = files(&dir).last().cloned().expect("a queue file");
            let units = used_units(&queue);
            let queue_offset = number(&queue) / UNIT as u64 + units as u64;
            let physical = (base + position).to_be_bytes();
            let mut record = template.to_vec();
            record[12..16].copy_from_slice(&(n % 4_u32).to_be_bytes());
            record[20..28].copy_from_slice(&queue_offset.to_be_bytes());
            record[28..36].copy_from_slice(&physical);
            damage::write_at(&last.file, position, &record);
            let size = u32::try_from(record.len()).expect("a small record").to_be_bytes();
            damage::write_at(&queue, (units * UNIT) as u64, &[&physical[..], &size, &[0; 8]].concat());
            position += record.len() as u64;
        }
    }

    /// Zeros over the last twenty units of the last file of a `TopicA` queue: they were not on disk yet.
    fn lose_units(&self, queue: u32) {
        let file = files(&self.queue(&format!("TopicA/{queue}"))).last().cloned().expect("a queue file");
        let used = used_units(&file);
        damage::zero(&file, (used.saturating_sub(20) * UNIT) as u64..(used * UNIT) as u64);
    }

    fn add_empty_file_to_topic_b(&self) {
        let file = self.queue("TopicB/0").join(format!("{:020}", 2 * QUEUE_FILE));
        damage::add_file(&file, &[]);
        damage::truncate(&file, QUEUE_FILE);
    }

    /// Every queue keeps the units of the first part of the log: the queues of an earlier moment.
    fn cut_all_queues(&self, remove_empty_files: bool) {
        let limit = self.records().last().expect("records").physical_offset * KEPT_TENTHS / 10;
        for file in files(&self.root().join("consumequeue")) {
            let mut bytes = fs::read(&file).expect("a readable file");
            for unit in bytes.chunks_mut(UNIT) {
                if i64::from_be_bytes(unit[..8].try_into().expect("eight bytes")) >= limit.cast_signed() {
                    unit.fill(0);
                }
            }
            if remove_empty_files && bytes.iter().all(|b| *b == 0) {
                damage::remove(&file);
            } else {
                fs::write(&file, bytes).expect("a writable file");
            }
        }
    }
}

fn number(path: &Path) -> u64 {
    path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()).expect("a number for a name")
}

fn flip_body(record: &LogRecord) {
    damage::flip(&record.file, record.position + 90, 0);
}

fn set_size(record: &LogRecord, more: u64) {
    let size = u32::try_from(record.size + more).expect("a small record");
    damage::write_at(&record.file, record.position, &size.to_be_bytes());
}

fn used_units(file: &Path) -> usize {
    let bytes = fs::read(file).expect("a readable file");
    bytes.chunks(UNIT).rposition(|unit| unit.iter().any(|b| *b != 0)).map_or(0, |last| last + 1)
}

fn make_folder(path: &Path) {
    fs::create_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// Writes a config file and its `.bak` anew, each made of the good bytes; `None` removes it.
fn set_config(file: &Path, current: impl Fn(&[u8]) -> Option<Vec<u8>>, bak: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let good = fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let bak_path = file.with_file_name(format!("{}.bak", file.file_name().expect("a name").to_string_lossy()));
    for (path, content) in [(file.to_path_buf(), current(&good)), (bak_path, bak(&good))] {
        match content {
            Some(bytes) => fs::write(&path, bytes).expect("a writable folder"),
            None if path.exists() => damage::remove(&path),
            None => {}
        }
    }
}

fn quoted_keys(good: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(good).replace("{0:", "{\"0\":");
    text.replace(",1:", ",\"1\":").replace(",2:", ",\"2\":").replace(",3:", ",\"3\":").into_bytes()
}

fn torn_delay() -> Vec<u8> {
    b"{\"offsetTable\":{1:".to_vec()
}
