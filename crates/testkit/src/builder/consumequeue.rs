//! The files under `consumequeue/`: units are collected and written in runs, so that no file stays open.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::message::{put_i64, put_u32, put_u64};
use super::{full_length_file, offset_name};

const UNIT_SIZE: u64 = 20;
/// Size field of the units that fill a first file up to the first real unit.
const PRE_BLANK_SIZE: u32 = 0x7FFF_FFFF;
/// Bytes collected over all queues before they are written out: bounds memory, not correctness.
const BUFFERED: usize = 64 << 20;

#[derive(Debug, Default)]
struct Queue {
    /// Queue offset of the next unit; `None` before the first.
    next: Option<i64>,
    /// Position in the queue's byte stream of the first byte in `units`.
    start: u64,
    units: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct ConsumeQueueWriter {
    dir: PathBuf,
    file_size: u64,
    buffered: usize,
    topics: BTreeMap<String, BTreeMap<i32, Queue>>,
}

impl ConsumeQueueWriter {
    pub(super) fn new(root: &Path, file_size: u64) -> Self {
        let dir = root.join("consumequeue");
        fs::create_dir_all(&dir).expect("a folder for the queues");
        Self { dir, file_size: file_size.div_ceil(UNIT_SIZE) * UNIT_SIZE, buffered: 0, topics: BTreeMap::new() }
    }

    fn queue(&mut self, topic: &str, queue_id: i32) -> &mut Queue {
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.to_owned(), BTreeMap::new());
        }
        self.topics.get_mut(topic).expect("just inserted").entry(queue_id).or_default()
    }

    /// The queue offset that a message gets when it asks for none.
    pub(super) fn next_offset(&mut self, topic: &str, queue_id: i32) -> i64 {
        self.queue(topic, queue_id).next.unwrap_or(0)
    }

    pub(super) fn append(&mut self, topic: &str, queue_id: i32, offset: i64, unit: (u64, usize, i64)) {
        let file_size = self.file_size;
        let queue = self.queue(topic, queue_id);
        let before = queue.units.len();
        if let Some(next) = queue.next {
            assert_eq!(offset, next, "queue offsets of {topic}/{queue_id} follow each other");
        } else {
            let position = u64::try_from(offset).expect("a queue offset") * UNIT_SIZE;
            queue.start = position - position % file_size;
            for _ in 0..(position - queue.start) / UNIT_SIZE {
                put_unit(&mut queue.units, 0, PRE_BLANK_SIZE, 0);
            }
        }
        let (physical_offset, size, tags_code) = unit;
        put_unit(&mut queue.units, physical_offset, u32::try_from(size).expect("a record below 2 GiB"), tags_code);
        queue.next = Some(offset + 1);
        self.buffered += queue.units.len() - before;
        if self.buffered >= BUFFERED {
            self.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        for (topic, queues) in &mut self.topics {
            for (queue_id, queue) in queues {
                let dir = self.dir.join(topic).join(queue_id.to_string());
                queue.flush(&dir, self.file_size);
            }
        }
        self.buffered = 0;
    }

    /// Topics with the number of queues that their highest queue id asks for.
    pub(super) fn topics(&self) -> impl Iterator<Item = (&str, i32)> {
        self.topics.iter().map(|(topic, queues)| (topic.as_str(), queues.keys().max().map_or(1, |id| id + 1)))
    }
}

impl Queue {
    fn flush(&mut self, dir: &Path, file_size: u64) {
        if self.units.is_empty() {
            return;
        }
        fs::create_dir_all(dir).expect("a folder for a queue");
        let mut rest = self.units.as_slice();
        while !rest.is_empty() {
            let inside = self.start % file_size;
            let room = usize::try_from(file_size - inside).expect("a file that fits into memory");
            let (run, after) = rest.split_at(room.min(rest.len()));
            let path = dir.join(offset_name(self.start - inside));
            let file = if inside == 0 {
                full_length_file(&path, file_size)
            } else {
                File::options().write(true).open(&path).expect("the queue file written before")
            };
            file.write_all_at(run, inside).expect("room for a queue");
            self.start += run.len() as u64;
            rest = after;
        }
        self.units = Vec::new();
    }
}

fn put_unit(out: &mut Vec<u8>, physical_offset: u64, size: u32, tags_code: i64) {
    put_u64(out, physical_offset);
    put_u32(out, size);
    put_i64(out, tags_code);
}
