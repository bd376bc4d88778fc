//! One consume queue during a start: its files on disk, where it is written next, and what the start appended.
//!
//! Nothing is copied. What was appended is kept as [`Run`]s, at most one for each stretch of one log file; units that
//! no run covers are read from disk when they are asked for.

use std::path::PathBuf;

use mqstore_core::StoreError;
use mqstore_core::bytes::i64_at;
use mqstore_core::format::consumequeue::{CQ_UNIT_LENGTH, CqUnit, CqUnits};
use mqstore_core::release::Behaviour;
use mqstore_core::release::rules::{MaxPhysicOffset, MinLogicOffset, RepeatedQueueOffset};
use mqstore_core::store::MappedFile;

use super::load::LoadedFiles;

const UNIT: u64 = CQ_UNIT_LENGTH as u64;
/// Files whose units are read to find the end of a queue.
const RECOVERED_FILES: usize = 3;

/// A file of the queue.
#[derive(Debug, Clone)]
pub(super) struct CqFile {
    /// Byte offset of its first unit in the queue.
    pub base: u64,
    pub path: PathBuf,
    /// Whether the start made it, so that what lies on disk under its name, if anything, does not count.
    pub fresh: bool,
}

impl CqFile {
    /// Maps the file; `None` if the start made it, so that nothing counts that is on disk.
    pub(super) fn open(&self) -> Result<Option<MappedFile>, StoreError> {
        if self.fresh { Ok(None) } else { MappedFile::open(&self.path).map(Some) }
    }
}

/// Units that the start appended one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub first: u64,
    pub count: u64,
    pub kind: RunKind,
}

/// What the units of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunKind {
    PreBlank,
    /// Records of one log file; `shift` is unit number minus the record's queue offset, in all of them.
    Records {
        log_base: u64,
        shift: i64,
    },
    /// A record that failed and was dispatched all the same.
    Failed,
}

/// A unit as a reader of the queue would find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    OnDisk(CqUnit),
    Appended(RunKind),
}

impl Unit {
    /// Whether `ConsumeQueue.recover` takes it for one.
    fn is_valid(&self) -> bool {
        match self {
            Self::OnDisk(unit) => unit.is_valid(),
            Self::Appended(_) => true,
        }
    }
}

/// What a call to put a unit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Appended,
    /// The queue has it already, by physical offset.
    AlreadyThere,
    /// Its queue offset lies below the end of the queue.
    Repeated,
}

/// A queue in the course of a start.
#[derive(Debug, Clone)]
pub(super) struct SimQueue {
    pub dir: PathBuf,
    pub files: Vec<CqFile>,
    /// Write position in the last file, in bytes.
    pub wrote: u64,
    /// -1 in a queue without units.
    pub max_physic_offset: i64,
    /// In bytes of the queue; memory only, 0 after a restart.
    pub min_logic_offset: u64,
    /// Files that the start deleted.
    pub removed: Vec<PathBuf>,
    pub runs: Vec<Run>,
    file_size: u64,
    created_empty: bool,
}

impl SimQueue {
    pub(super) fn new(dir: PathBuf, loaded: &LoadedFiles, file_size: u64) -> Self {
        let file = |file: &super::load::LoadedFile| CqFile { base: file.base, path: file.path.clone(), fresh: false };
        Self {
            dir,
            files: loaded.files.iter().map(file).collect(),
            wrote: file_size,
            max_physic_offset: -1,
            min_logic_offset: 0,
            removed: loaded.deleted.clone(),
            runs: Vec::new(),
            file_size,
            created_empty: false,
        }
    }

    /// Units that fit into a file.
    pub(super) fn units_in_file(&self) -> u64 {
        self.file_size / UNIT
    }

    /// Byte offset of the end of the queue.
    fn max_bytes(&self) -> u64 {
        self.files.last().map_or(0, |file| file.base.saturating_add(self.wrote))
    }

    /// The next queue offset.
    pub(super) fn max_offset(&self) -> u64 {
        self.max_bytes() / UNIT
    }

    /// The queue's minimum, as the release has it after the start.
    pub(super) fn min_offset(&self) -> u64 {
        self.min_logic_offset / UNIT
    }

    /// How far the units of file `n` may be read, in bytes.
    pub(super) fn readable_bytes(&self, n: usize) -> u64 {
        if n + 1 == self.files.len() { self.wrote } else { self.file_size }
    }

    fn end_of(physical_offset: i64, size: i32, rules: &Behaviour) -> i64 {
        match rules.max_physic_offset.value {
            MaxPhysicOffset::PhyPlusSize => physical_offset.saturating_add(i64::from(size)),
            _ => physical_offset,
        }
    }

    /// `ConsumeQueue.recover`: finds the end from the third-last file on and drops the files behind it.
    pub(super) fn recover(&mut self, rules: &Behaviour) -> Result<(), StoreError> {
        let first = self.files.len().saturating_sub(RECOVERED_FILES);
        let Some(mut end) = self.files.get(first).map(|file| file.base) else { return Ok(()) };
        for file in self.files.iter().skip(first) {
            let map = MappedFile::open(&file.path)?;
            let units = CqUnits::new(&map);
            let valid = units.valid_prefix();
            if let Some(last) = valid.checked_sub(1).and_then(|n| units.get(n)) {
                self.max_physic_offset = Self::end_of(last.physical_offset, last.size, rules);
            }
            end = file.base.saturating_add(valid * UNIT);
            if valid < self.units_in_file() {
                break;
            }
        }
        self.truncate_dirty_files(end);
        Ok(())
    }

    /// `MappedFileQueue.truncateDirtyFiles`: the file that holds `end` is written there next, later ones are deleted.
    fn truncate_dirty_files(&mut self, end: u64) {
        let size = self.file_size;
        let (kept, dropped): (Vec<_>, Vec<_>) = self.files.drain(..).partition(|file| file.base <= end);
        self.removed.extend(dropped.into_iter().map(|file| file.path).filter(|path| path.exists()));
        self.files = kept;
        let full = self.files.last().is_none_or(|file| file.base.saturating_add(size) <= end);
        self.wrote = if full { size } else { end % size };
    }

    /// `ConsumeQueue.truncateDirtyLogicFiles`: drops what lies at or behind `end` of the log.
    ///
    /// Only the last surviving file is looked into, and its first unit is taken without a look at its size: that is how
    /// an all-zero file gains a unit (0, 0, 0).
    pub(super) fn truncate_dirty_logic_files(&mut self, end: u64, rules: &Behaviour) -> Result<(), StoreError> {
        let end = i64::try_from(end).unwrap_or(i64::MAX);
        self.max_physic_offset =
            if rules.max_physic_offset.value == MaxPhysicOffset::PhyPlusSize { end } else { end - 1 };
        while let Some(file) = self.files.last() {
            let map = file.open()?;
            let first = file.base / UNIT;
            let physical = |unit: &Unit| match unit {
                Unit::OnDisk(unit) => (unit.physical_offset, unit.size),
                // Whatever was dispatched lies before the end.
                Unit::Appended(RunKind::PreBlank) => (0, i32::MAX),
                Unit::Appended(_) => (end - 1, 1),
            };
            if physical(&self.unit_in(map.as_ref(), first, 0)).0 >= end {
                self.drop_last_file();
                continue;
            }
            self.wrote = UNIT;
            let mut last = physical(&self.unit_in(map.as_ref(), first, 0));
            for n in 1..self.units_in_file() {
                let unit = self.unit_in(map.as_ref(), first, n);
                if !unit.is_valid() || physical(&unit).0 >= end {
                    break;
                }
                last = physical(&unit);
                self.wrote = (n + 1) * UNIT;
            }
            self.max_physic_offset = Self::end_of(last.0, last.1, rules);
            return Ok(());
        }
        Ok(())
    }

    fn drop_last_file(&mut self) {
        self.removed.extend(self.files.pop().map(|file| file.path).filter(|path| path.exists()));
        self.wrote = self.file_size;
    }

    /// `ConsumeQueue.destroy`.
    pub(super) fn destroy(&mut self) {
        while !self.files.is_empty() {
            self.drop_last_file();
        }
        self.max_physic_offset = -1;
        self.min_logic_offset = 0;
        self.runs.clear();
    }

    /// `ConsumeQueue.putMessagePositionInfo`.
    pub(super) fn put(&mut self, unit: NewUnit, rules: &Behaviour) -> Put {
        let already = match rules.max_physic_offset.value {
            MaxPhysicOffset::PhyPlusSize => {
                unit.physical_offset.saturating_add(i64::from(unit.size)) <= self.max_physic_offset
            }
            _ => unit.physical_offset <= self.max_physic_offset,
        };
        if already {
            return Put::AlreadyThere;
        }
        let queue_offset = u64::try_from(unit.queue_offset).unwrap_or(0);
        let expected = queue_offset.saturating_mul(UNIT);
        self.roll(expected);
        let last = self.files.last().map_or(0, |file| file.base);
        if self.created_empty && queue_offset != 0 && self.wrote == 0 {
            self.min_logic_offset = expected;
            self.append(last / UNIT, (expected - last) / UNIT, RunKind::PreBlank);
            self.wrote = expected - last;
        }
        self.created_empty = false;
        let current = last.saturating_add(self.wrote);
        if queue_offset != 0 && expected < current && rules.repeated_queue_offset.value == RepeatedQueueOffset::Skipped
        {
            return Put::Repeated;
        }
        let number = current / UNIT;
        let shift = i64::try_from(number).unwrap_or(i64::MAX).saturating_sub(unit.queue_offset);
        let kind = match unit.log_base {
            Some(log_base) => RunKind::Records { log_base, shift },
            None => RunKind::Failed,
        };
        self.append(number, 1, kind);
        self.wrote += UNIT;
        self.max_physic_offset = Self::end_of(unit.physical_offset, unit.size, rules);
        Put::Appended
    }

    /// `MappedFileQueue.getLastMappedFile`: makes the next file where there is none or the last one is full. A file that
    /// loading did not see is mapped again as it is.
    fn roll(&mut self, expected: u64) {
        let base = match self.files.last() {
            None => expected - expected % self.file_size,
            Some(last) if self.wrote >= self.file_size => last.base.saturating_add(self.file_size),
            Some(_) => return,
        };
        self.created_empty = self.files.is_empty();
        let path = self.dir.join(format!("{base:020}"));
        let fresh = self.removed.contains(&path) || !path.exists();
        self.removed.retain(|removed| *removed != path);
        self.files.push(CqFile { base, path, fresh });
        self.wrote = 0;
    }

    fn append(&mut self, first: u64, count: u64, kind: RunKind) {
        if count == 0 {
            return;
        }
        while let Some(last) = self.runs.last_mut() {
            if last.first >= first {
                self.runs.pop();
                continue;
            }
            last.count = last.count.min(first - last.first);
            if last.kind == kind && last.first + last.count == first {
                last.count += count;
                return;
            }
            break;
        }
        self.runs.push(Run { first, count, kind });
    }

    /// Unit `n` of the mapped file whose first unit has the number `first`.
    pub(super) fn unit_in(&self, map: Option<&MappedFile>, first: u64, n: u64) -> Unit {
        let number = first + n;
        let at = self.runs.partition_point(|run| run.first <= number);
        let run = at.checked_sub(1).and_then(|at| self.runs.get(at));
        if let Some(run) = run.filter(|run| number < run.first + run.count) {
            return Unit::Appended(run.kind);
        }
        // A file shorter than configured was lengthened by zeros when it was mapped.
        let zero = CqUnit { physical_offset: 0, size: 0, tags_code: 0 };
        Unit::OnDisk(map.and_then(|map| CqUnits::new(map).get(n)).unwrap_or(zero))
    }

    /// The physical offset of a unit of the first or last file, for the minimum.
    fn physical(&self, map: Option<&MappedFile>, base: u64, at: u64) -> i64 {
        match self.unit_in(map, base / UNIT, at / UNIT) {
            Unit::OnDisk(unit) => unit.physical_offset,
            Unit::Appended(RunKind::Records { log_base, .. }) => i64::try_from(log_base).unwrap_or(i64::MAX),
            Unit::Appended(RunKind::PreBlank | RunKind::Failed) => 0,
        }
    }

    /// `ConsumeQueue.correctMinOffset`, for a log that begins at `log_min` (-1 without files).
    pub(super) fn correct_min_offset(&mut self, log_min: i64, rules: &Behaviour) -> Result<(), StoreError> {
        match rules.min_logic_offset.value {
            MinLogicOffset::BinarySearch => self.search_min_offset(log_min),
            _ => self.scan_min_offset(log_min),
        }
    }

    fn scan_min_offset(&mut self, log_min: i64) -> Result<(), StoreError> {
        let Some(first) = self.files.first() else { return Ok(()) };
        let map = first.open()?;
        let (base, readable) = (first.base, self.readable_bytes(0));
        let found = (0..readable / UNIT).map(|n| n * UNIT).find(|at| self.physical(map.as_ref(), base, *at) >= log_min);
        if let Some(at) = found {
            self.min_logic_offset = base + at;
        }
        Ok(())
    }

    fn search_min_offset(&mut self, log_min: i64) -> Result<(), StoreError> {
        if self.min_logic_offset >= self.max_bytes() {
            return Ok(());
        }
        let (Some(first), Some(last)) = (self.files.first(), self.files.last()) else { return Ok(()) };
        if self.wrote >= UNIT {
            let map = last.open()?;
            if self.physical(map.as_ref(), last.base, self.wrote - UNIT) < log_min {
                self.min_logic_offset = last.base + self.wrote;
                return Ok(());
            }
        }
        let map = first.open()?;
        let physical = |at: u64| self.physical(map.as_ref(), first.base, at);
        let readable = self.readable_bytes(0);
        let intact = self.min_logic_offset >= first.base;
        let start = self.min_logic_offset.saturating_sub(first.base);
        if start >= readable || (intact && physical(start) >= log_min) {
            return Ok(());
        }
        let (mut low, mut high) = (0, readable.saturating_sub(start).saturating_sub(UNIT));
        while high - low > UNIT {
            let middle = u64::midpoint(low, high) / UNIT * UNIT;
            match physical(start + middle).cmp(&log_min) {
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Less => low = middle,
                std::cmp::Ordering::Equal => {
                    (low, high) = (middle, middle);
                    break;
                }
            }
        }
        let mut at = low;
        while at <= high {
            if physical(start + at) >= log_min {
                self.min_logic_offset = first.base + start + at;
                break;
            }
            at += UNIT;
        }
        Ok(())
    }
}

/// A unit to be put.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewUnit {
    pub physical_offset: i64,
    pub size: i32,
    pub queue_offset: i64,
    /// First offset of the log file it lies in; `None` for a record that failed.
    pub log_base: Option<u64>,
}

/// What a queue's files hold before the start, whatever the release makes of them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OnDisk {
    pub min_offset: Option<u64>,
    pub max_offset: u64,
    pub readable: u64,
    /// End of the record of the last unit, if the units before it rise towards it.
    pub physical_end: u64,
    /// Where the record of unit 0 lies, if the queue has that unit.
    pub first_physical: Option<u64>,
}

/// Reads every file of a queue that has a number for a name.
pub(super) fn on_disk(entries: &[super::load::DirEntry], log_min: u64) -> Result<OnDisk, StoreError> {
    let mut found = OnDisk::default();
    let mut previous = 0;
    for entry in entries.iter().filter(|entry| !entry.is_dir) {
        let Some(base) = entry.base() else { continue };
        let map = MappedFile::open(&entry.path)?;
        for (n, chunk) in map.chunks_exact(CQ_UNIT_LENGTH).enumerate() {
            let Some(unit) = CqUnit::read(chunk) else { break };
            if !unit.is_valid() || unit.is_pre_blank() {
                continue;
            }
            let number = base / UNIT + n as u64;
            found.max_offset = number + 1;
            if number == 0 {
                found.first_physical = Some(unit.physical_offset.cast_unsigned());
            }
            if unit.physical_offset.cast_unsigned() < log_min {
                continue;
            }
            found.min_offset = found.min_offset.or(Some(number));
            found.readable += 1;
            // A single wild unit must not move the end of the log: it counts only if the next one lies behind it.
            let physical = unit.physical_offset.cast_unsigned();
            if physical >= previous {
                let next = map.get((n + 1) * CQ_UNIT_LENGTH..).and_then(|rest| i64_at(rest, 0)).unwrap_or(0);
                if next == 0 || next.cast_unsigned() > physical {
                    found.physical_end = unit.physical_end();
                    previous = physical;
                }
            }
        }
    }
    Ok(found)
}
