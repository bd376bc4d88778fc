//! What a consumer gets that starts at the first offset (`DefaultMessageStore.getMessage`).
//!
//! Units are walked pull by pull, each asking for 32 messages, as consumers do. Where units rise and lie in the log,
//! the records are taken for what they should be; where they do not, the bytes that a pull would carry are read and
//! taken apart as a client does.

use std::cell::RefCell;

use mqstore_core::StoreError;
use mqstore_core::bytes::{i32_at, i64_at};
use mqstore_core::format::commitlog::{MESSAGE_MAGIC_CODE, MESSAGE_MAGIC_CODE_V2, MIN_RECORD_LENGTH};
use mqstore_core::format::consumequeue::CqUnit;
use mqstore_core::release::Behaviour;
use mqstore_core::release::rules::FileLookup;
use mqstore_core::store::MappedFile;

use super::load::LoadedFile;
use super::queue::{RunKind, SimQueue, Unit};

/// Units that one pull looks at: 16000 bytes.
const PULL_UNITS: u64 = 800;
/// Where the queue offset stands in a record.
const QUEUE_OFFSET_POSITION: usize = 20;

/// The log as it is after the start.
#[derive(Debug)]
pub(super) struct LogView<'a> {
    pub files: &'a [LoadedFile],
    pub file_size: u64,
    pub end: u64,
    pub lookup: FileLookup,
    /// Messages of one pull.
    pub pull_messages: usize,
    /// Where records start that do not parse; sorted.
    pub suspects: &'a [u64],
    cached: RefCell<Option<(usize, MappedFile)>>,
}

/// What a consumer got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pulled {
    /// Messages that came, right or wrong.
    pub got: u64,
    /// Of those, how many were another message than the offset's, or no message.
    pub wrong: u64,
    /// Of the wrong ones, messages of this queue that came at another offset than theirs: they are not lost.
    pub displaced: u64,
    /// The offset that is never answered.
    pub stuck_at: Option<u64>,
    /// Offsets that were passed over without a word.
    pub passed_over: u64,
}

impl<'a> LogView<'a> {
    pub(super) fn new(
        files: &'a [LoadedFile],
        file_size: u64,
        end: u64,
        rules: &Behaviour,
        suspects: &'a [u64],
    ) -> Self {
        Self {
            files,
            file_size,
            end,
            lookup: rules.file_lookup.value,
            pull_messages: rules.messages_of_pull_32.value.into(),
            suspects,
            cached: RefCell::default(),
        }
    }

    /// The file that the release takes for the one that holds `offset`.
    fn find(&self, offset: u64) -> Option<usize> {
        find(self.files.iter().map(|file| file.base), offset, self.file_size, self.lookup).or({
            // `findMappedFileByOffset(offset, offset == 0)`.
            if offset == 0 && !self.files.is_empty() { Some(0) } else { None }
        })
    }

    /// How far file `n` is written, in bytes.
    fn written(&self, n: usize) -> u64 {
        let base = self.files.get(n).map_or(u64::MAX, |file| file.base);
        self.end.saturating_sub(base).min(self.file_size)
    }

    /// The file and position of `size` bytes at `offset`, if the release can read them.
    fn locate(&self, offset: i64, size: i64) -> Option<(usize, u64)> {
        let offset = u64::try_from(offset).ok()?;
        let file = self.find(offset)?;
        let at = offset % self.file_size;
        let end = at.checked_add_signed(size)?;
        (end <= self.written(file)).then_some((file, at))
    }

    fn with_file<T>(&self, n: usize, read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, StoreError> {
        let Some(file) = self.files.get(n) else { return Ok(None) };
        let mut cached = self.cached.borrow_mut();
        if cached.as_ref().is_none_or(|(at, _)| *at != n) {
            *cached = Some((n, MappedFile::open(&file.path)?));
        }
        Ok(cached.as_ref().map(|(_, map)| read(map)))
    }

    /// The queue offset that the record at `offset` has, if there is one.
    fn queue_offset(&self, unit: CqUnit) -> Result<Option<i64>, StoreError> {
        let Some((file, at)) = self.locate(unit.physical_offset, i64::from(unit.size)) else { return Ok(None) };
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let read = |map: &[u8]| i64_at(map, at.saturating_add(QUEUE_OFFSET_POSITION));
        Ok(self.with_file(file, read)?.flatten())
    }

    /// `rollNextFile`.
    fn next_file(&self, offset: i64) -> i64 {
        let size = i64::try_from(self.file_size).unwrap_or(i64::MAX);
        offset.saturating_add(size).saturating_sub(offset.checked_rem(size).unwrap_or(0))
    }

    /// Whether the file found for `offset` is the one that holds it.
    fn is_right_file(&self, file: usize, offset: u64) -> bool {
        let base = self.files.get(file).map_or(u64::MAX, |file| file.base);
        base <= offset && offset < base.saturating_add(self.file_size)
    }
}

fn find(
    mut bases: impl ExactSizeIterator<Item = u64> + Clone,
    offset: u64,
    size: u64,
    lookup: FileLookup,
) -> Option<usize> {
    let first = bases.clone().next()?;
    match lookup {
        FileLookup::ByFileCount => {
            let index = usize::try_from((offset / size).checked_sub(first / size)?).ok()?;
            (index < bases.len()).then_some(index)
        }
        _ => bases.position(|base| base <= offset && offset < base.saturating_add(size)),
    }
}

/// One message that a pull carries.
enum Slice {
    /// Dispatched by this start, to its own place.
    Right,
    /// Dispatched by this start with another queue offset than its place.
    Shifted,
    /// Bytes of a wrong file that the start dispatched to: no record.
    Nothing,
    /// Bytes of the log, taken for what they should be unless some of the pull are `suspicious`.
    Bytes { file: usize, at: u64, size: usize, suspicious: bool },
}

/// Pulls a whole queue.
pub(super) fn pull(queue: &SimQueue, log: &LogView<'_>) -> Result<Pulled, StoreError> {
    let mut pulled = Pulled::default();
    let units_in_file = queue.units_in_file();
    let (mut at, max) = (queue.min_offset(), queue.max_offset());
    while at < max {
        let bases = queue.files.iter().map(|file| file.base);
        let bytes = at.saturating_mul(20);
        let next_file = (at / units_in_file + 1).saturating_mul(units_in_file);
        let Some(n) = find(bases, bytes, units_in_file * 20, log.lookup) else {
            // The files between are walked one by one by a broker; nothing comes of it.
            let behind = queue.files.iter().map(|file| file.base / 20).filter(|first| *first > at).min();
            let next = behind.map_or(max, |first| first.max(next_file)).min(max);
            pulled.passed_over += next - at;
            at = next;
            continue;
        };
        let Some(file) = queue.files.get(n) else { break };
        let readable = queue.readable_bytes(n) / 20;
        if at % units_in_file >= readable {
            pulled.passed_over += next_file.min(max) - at;
            at = next_file;
            continue;
        }
        let map = file.open()?;
        let mut reader =
            FileReader { queue, log, map: map.as_ref(), first: file.base / 20, readable, previous_end: 0, deep: false };
        reader.deep = reader.is_shifted()?;
        let skew = at - at % units_in_file;
        let mut k = at % units_in_file;
        while k < readable && skew + k < max {
            let Some(next) = reader.pull(k, skew, &mut pulled)? else {
                pulled.stuck_at = Some(skew + k);
                return Ok(pulled);
            };
            k = next;
        }
        at = skew + k;
    }
    Ok(pulled)
}

/// The units of one file.
struct FileReader<'a> {
    queue: &'a SimQueue,
    log: &'a LogView<'a>,
    map: Option<&'a MappedFile>,
    first: u64,
    readable: u64,
    previous_end: u64,
    /// Every record is looked at, because some are known to lie at other places than theirs.
    deep: bool,
}

impl FileReader<'_> {
    fn unit(&self, n: u64) -> Unit {
        self.queue.unit_in(self.map, self.first, n)
    }

    /// Whether the first or last unit of the file has a record with another queue offset.
    fn is_shifted(&self) -> Result<bool, StoreError> {
        for n in [0, self.readable.saturating_sub(1)] {
            let Unit::OnDisk(unit) = self.unit(n) else { continue };
            if !unit.is_valid() || unit.is_pre_blank() {
                continue;
            }
            let found = self.log.queue_offset(unit)?;
            if found.is_some_and(|found| found.cast_unsigned() != self.first + n) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One pull from unit `from` of the file; `skew` is the queue offset of the file's first unit as asked for. Returns
    /// the unit of the next pull, or `None` if it is answered by an error or not at all.
    fn pull(&mut self, from: u64, skew: u64, pulled: &mut Pulled) -> Result<Option<u64>, StoreError> {
        let mut slices: Vec<Slice> = Vec::with_capacity(self.log.pull_messages);
        let mut next_file_start: Option<i64> = None;
        let mut passed_over = 0;
        let mut n = from;
        while n < self.readable && n - from < PULL_UNITS {
            let unit = self.unit(n);
            let physical = match unit {
                Unit::OnDisk(unit) => unit.physical_offset,
                Unit::Appended(RunKind::Records { log_base, .. }) => i64::try_from(log_base).unwrap_or(i64::MAX),
                Unit::Appended(RunKind::PreBlank | RunKind::Failed) => 0,
            };
            if next_file_start.is_some_and(|start| physical < start) {
                passed_over += u64::from(!is_pre_blank(unit));
                n += 1;
                continue;
            }
            if slices.len() == self.log.pull_messages {
                break;
            }
            match self.slice(unit, n, skew + n) {
                Found::Slice(slice) => slices.push(slice),
                Found::Missing => {
                    passed_over += u64::from(!is_pre_blank(unit));
                    next_file_start = Some(self.log.next_file(physical));
                }
                Found::Error => return Ok(None),
            }
            n += 1;
        }
        pulled.passed_over += passed_over;
        self.take_apart(&slices, skew + from, skew + n, pulled)?;
        Ok(Some(n))
    }

    fn slice(&mut self, unit: Unit, n: u64, asked: u64) -> Found {
        let unit = match unit {
            Unit::Appended(RunKind::PreBlank | RunKind::Failed) => return Found::Missing,
            Unit::Appended(RunKind::Records { log_base, shift }) => {
                let Some(file) = self.log.find(log_base) else { return Found::Missing };
                return Found::Slice(if !self.log.is_right_file(file, log_base) {
                    Slice::Nothing
                } else if shift == 0 && asked == self.first + n {
                    Slice::Right
                } else {
                    Slice::Shifted
                });
            }
            Unit::OnDisk(unit) => unit,
        };
        let located = self.log.locate(unit.physical_offset, i64::from(unit.size));
        let Some((file, at)) = located else { return Found::Missing };
        if unit.size <= 0 {
            return Found::Error;
        }
        let physical = unit.physical_offset.cast_unsigned();
        let next = if n + 1 < self.readable { self.unit(n + 1) } else { Unit::Appended(RunKind::Failed) };
        let overlaps_next = matches!(next, Unit::OnDisk(next) if next.is_valid() && next.physical_offset.cast_unsigned() < unit.physical_end());
        let suspicious = self.deep
            || physical < self.previous_end
            || overlaps_next
            || asked != self.first + n
            || !self.log.is_right_file(file, physical)
            || self.log.suspects.binary_search(&physical).is_ok();
        self.previous_end = unit.physical_end();
        let size = usize::try_from(unit.size).unwrap_or(0);
        Found::Slice(Slice::Bytes { file, at, size, suspicious })
    }

    /// Counts what a client makes of the bytes of one pull that asked for `from` and was told to go on at `next`.
    fn take_apart(&self, slices: &[Slice], from: u64, next: u64, pulled: &mut Pulled) -> Result<(), StoreError> {
        // A lying size spoils its neighbours, so the bytes of a pull are parsed together or not at all.
        let known = |slice: &Slice| !matches!(slice, Slice::Bytes { suspicious: true, .. } | Slice::Nothing);
        if slices.iter().all(known) {
            pulled.got += slices.len() as u64;
            let shifted = slices.iter().filter(|slice| matches!(slice, Slice::Shifted)).count() as u64;
            pulled.wrong += shifted;
            pulled.displaced += shifted;
            return Ok(());
        }
        let mut bytes = Vec::new();
        for slice in slices {
            match slice {
                Slice::Bytes { file, at, size, .. } => {
                    let start = usize::try_from(*at).unwrap_or(usize::MAX);
                    let read = |map: &[u8]| map.get(start..start.saturating_add(*size)).map(<[u8]>::to_vec);
                    bytes.extend(self.log.with_file(*file, read)?.flatten().unwrap_or_default());
                }
                known => {
                    if !parse(&std::mem::take(&mut bytes), from, next, pulled) {
                        return Ok(());
                    }
                    pulled.got += 1;
                    pulled.wrong += u64::from(!matches!(known, Slice::Right));
                    pulled.displaced += u64::from(matches!(known, Slice::Shifted));
                    if matches!(known, Slice::Nothing) {
                        return Ok(());
                    }
                }
            }
        }
        parse(&bytes, from, next, pulled);
        Ok(())
    }
}

enum Found {
    Slice(Slice),
    /// Not in the log: the pull goes on with the units of the next log file.
    Missing,
    /// The whole pull fails.
    Error,
}

fn is_pre_blank(unit: Unit) -> bool {
    match unit {
        Unit::OnDisk(unit) => unit.is_pre_blank(),
        Unit::Appended(kind) => kind == RunKind::PreBlank,
    }
}

/// Parses records one behind the other by their own sizes; `false` if it meets bytes that are none, behind which a
/// client finds nothing more.
fn parse(bytes: &[u8], from: u64, next: u64, pulled: &mut Pulled) -> bool {
    let mut rest = bytes;
    while rest.len() >= MIN_RECORD_LENGTH {
        let size = i32_at(rest, 0).and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        let magic = matches!(i32_at(rest, 4), Some(MESSAGE_MAGIC_CODE | MESSAGE_MAGIC_CODE_V2));
        pulled.got += 1;
        if size < MIN_RECORD_LENGTH || !magic {
            pulled.wrong += 1;
            return false;
        }
        let queue_offset = i64_at(rest, QUEUE_OFFSET_POSITION).unwrap_or(-1).cast_unsigned();
        pulled.wrong += u64::from(queue_offset < from || queue_offset >= next);
        rest = rest.get(size..).unwrap_or_default();
    }
    rest.is_empty()
}
