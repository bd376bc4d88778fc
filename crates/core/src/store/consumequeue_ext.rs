//! The extension of one queue: the files below `consumequeue_ext/<topic>/<queue id>`, and whom its bit maps name.

use std::ops::ControlFlow;

use super::mapped_file::MappedFile;
use super::mapped_file_queue::MappedFileQueue;
use super::{Store, queue_folders};
use crate::error::{FormatError, StoreError};
use crate::format::config::consumer_filter::ConsumerFilterTable;
use crate::format::consumequeue_ext::{CqExtUnit, CqExtUnits};

/// The extension of a queue.
#[derive(Debug, Clone)]
pub struct ConsumeQueueExt {
    topic: String,
    queue_id: u32,
    files: MappedFileQueue,
}

impl Store {
    /// The extensions of queues, by topic and number.
    pub fn consumequeue_exts(&self) -> Result<Vec<ConsumeQueueExt>, StoreError> {
        let folders = queue_folders(&self.root().join("consumequeue_ext"))?;
        let open =
            |(topic, queue_id, dir)| Ok(ConsumeQueueExt { topic, queue_id, files: MappedFileQueue::list(&[dir])? });
        folders.into_iter().map(open).collect()
    }
}

impl ConsumeQueueExt {
    /// The topic: the name of the folder.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The queue's number in its topic.
    pub fn queue_id(&self) -> u32 {
        self.queue_id
    }

    /// The files.
    pub fn queue(&self) -> &MappedFileQueue {
        &self.files
    }

    /// Hands every unit with its address to `visit`, in order; a file whose units end with an error is left there.
    ///
    /// Units that no queue unit names are normal.
    pub fn visit_units(
        &self,
        mut visit: impl FnMut(u64, Result<CqExtUnit<'_>, FormatError>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        for file in self.files.files() {
            let map = file.map()?;
            for unit in CqExtUnits::new(&map) {
                let position = unit.as_ref().map_or_else(|error| error.offset, |unit| unit.position as u64);
                if visit(file.file_from_offset.saturating_add(position), unit).is_break() {
                    return map.check();
                }
            }
            map.check()?;
        }
        Ok(())
    }

    /// Looks up single units.
    pub fn reader(&self) -> ExtReader<'_> {
        ExtReader { files: &self.files, mapped: None }
    }
}

/// Reads units of an extension by address, keeping the last file mapped.
#[derive(Debug)]
pub struct ExtReader<'s> {
    files: &'s MappedFileQueue,
    mapped: Option<(u64, MappedFile)>,
}

impl ExtReader<'_> {
    /// The unit at `address`, as [`TagsCode::ExtAddress`](crate::format::consumequeue::TagsCode::ExtAddress) gives it.
    /// `None` where no file holds the address or no unit begins: the broker takes the address for the tags code then.
    pub fn unit(&mut self, address: u64) -> Result<Result<Option<CqExtUnit<'_>>, FormatError>, StoreError> {
        let holds = |(from, map): &(u64, MappedFile)| address >= *from && address - from < map.len() as u64;
        if !self.mapped.as_ref().is_some_and(holds) {
            self.check()?;
            self.mapped = None;
            let Some(file) = self.files.find(address) else { return Ok(Ok(None)) };
            self.mapped = Some((file.file_from_offset, file.map()?));
        }
        let Some((from, map)) = &self.mapped else { return Ok(Ok(None)) };
        let relative = usize::try_from(address.saturating_sub(*from)).unwrap_or(usize::MAX);
        Ok(CqExtUnit::read(map, relative))
    }

    /// Fails if pages of the file looked at last were lost while it was read.
    pub fn check(&self) -> Result<(), StoreError> {
        self.mapped.as_ref().map_or(Ok(()), |(_, map)| map.check())
    }
}

/// What the bit map of a unit says about a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BloomAnswer {
    /// All bits of the group are set: its expression matched, or the bits of others cover them.
    Maybe,
    /// The expression did not match.
    No,
    /// There is no map, it has another length than the group's, or the group has no bits: the broker evaluates the
    /// expression.
    Unknown,
}

/// The answer for each group that has a filter on `topic`, by group.
pub fn bloom_answers<'t>(filters: &'t ConsumerFilterTable, topic: &str, map: &[u8]) -> Vec<(&'t str, BloomAnswer)> {
    let groups = filters.filters.get(topic).into_iter().flatten();
    let answers = groups.map(|(group, filter)| {
        let bloom = filter.bloom_filter_data.as_ref();
        let fits = |bits: i32| usize::try_from(bits).is_ok_and(|bits| bits > 0 && bits == map.len().saturating_mul(8));
        let answer = match bloom.filter(|bloom| fits(bloom.bit_num) && !bloom.bit_pos.is_empty()) {
            None => BloomAnswer::Unknown,
            Some(bloom) if bloom.bit_pos.iter().all(|bit| bit_is_set(map, *bit)) => BloomAnswer::Maybe,
            Some(_) => BloomAnswer::No,
        };
        (group.as_str(), answer)
    });
    answers.collect()
}

/// Bit p is bit `p % 8` of byte `p / 8`, counted from the lowest.
fn bit_is_set(map: &[u8], bit: i32) -> bool {
    let Ok(bit) = usize::try_from(bit) else { return false };
    map.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
}
