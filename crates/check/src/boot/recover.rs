//! Recovery of the commit log: where it is scanned from, where it is cut (`CommitLog.recoverNormally`,
//! `recoverAbnormally`), and what the dispatcher does afterwards (`DefaultMessageStore.start`).

use std::path::PathBuf;

use mqstore_core::StoreError;
use mqstore_core::format::checkpoint::Checkpoint;
use mqstore_core::progress::Progress;
use mqstore_core::release::rules::{AbnormalScanStart, CleanDispatch, NormalScanStart};
use mqstore_core::store::MappedFile;

use super::dispatch::Dispatcher;
use super::load::LoadedFile;
use super::record::{Judge, Verdict};
use super::{BootError, Exit};

/// What recovery made of the log.
#[derive(Debug, Clone, Default)]
pub(super) struct Recovered {
    pub scan_from: u64,
    pub scan_bytes: u64,
    /// Where the log ends from now on.
    pub end: u64,
    /// Why it ends there, if not at a blank or at zeros.
    pub cut_by: Option<&'static str>,
    /// Files deleted because they lie behind the end.
    pub removed: Vec<PathBuf>,
    /// Files that stay.
    pub files: Vec<LoadedFile>,
    /// Where records start whose total size lies and that were counted as valid.
    pub lying: Vec<u64>,
}

/// A cursor over the loaded files that moves as the release's does.
struct Scan<'a> {
    judge: Judge<'a>,
    files: &'a [LoadedFile],
    progress: &'a dyn Progress,
}

/// What the scan does with each record.
struct Pass<'d, 'a> {
    /// Dispatches records whose stored physical offset lies above this; `None`: nothing is dispatched.
    dispatch_above: Option<i64>,
    abnormal: bool,
    dispatcher: &'d mut Dispatcher<'a>,
}

impl Scan<'_> {
    fn run(&self, start: usize, pass: &mut Pass<'_, '_>) -> Result<Recovered, BootError> {
        let Some(first) = self.files.get(start) else { return Ok(Recovered::default()) };
        let total = self.files.len().saturating_sub(start) as u64 * self.judge.settings.log_file_size;
        let mut recovered = Recovered { scan_from: first.base, ..Recovered::default() };
        for file in self.files.iter().skip(start) {
            if self.progress.cancelled() {
                return Err(BootError::Cancelled);
            }
            self.progress.update(recovered.scan_bytes, Some(total));
            let map = MappedFile::open(&file.path)?;
            map.advise_sequential();
            let (mut at, mut counted) = (0usize, 0u64);
            let blank = loop {
                match self.judge.check(map.get(at..).unwrap_or_default()) {
                    Verdict::Message(record) => {
                        if pass.dispatch_above.is_some_and(|above| record.physical_offset > above) {
                            pass.dispatcher.dispatch(&record, file.base);
                        }
                        at = at.saturating_add(record.consumed);
                        counted = counted.saturating_add(record.size);
                    }
                    Verdict::Mismatch(lying) if pass.abnormal => {
                        recovered.lying.push(file.base + at as u64);
                        pass.dispatcher.dispatch_failed(lying.size);
                        at = at.saturating_add(lying.consumed);
                        counted = counted.saturating_add(lying.size);
                    }
                    Verdict::Mismatch(_) => {
                        recovered.cut_by = Some("its total size is not the sum of its fields");
                        break false;
                    }
                    Verdict::Blank => break true,
                    Verdict::Fail(why) => {
                        recovered.cut_by = Some(why);
                        break false;
                    }
                }
            };
            recovered.scan_bytes += at as u64;
            recovered.end = file.base.saturating_add(counted);
            if !blank {
                break;
            }
        }
        recovered.truncate_dirty_files(self.files);
        Ok(recovered)
    }
}

impl Recovered {
    /// `MappedFileQueue.truncateDirtyFiles`.
    fn truncate_dirty_files(&mut self, files: &[LoadedFile]) {
        for file in files {
            if file.base > self.end {
                self.removed.push(file.path.clone());
            } else {
                self.files.push(file.clone());
            }
        }
    }
}

/// Recovers a log that has files. `max_cq` is the queues' highest physical offset after their own recovery.
pub(super) fn recover_log(
    files: &[LoadedFile],
    checkpoint: &Checkpoint,
    max_cq: i64,
    exit: Exit,
    dispatcher: &mut Dispatcher<'_>,
    progress: &dyn Progress,
) -> Result<Recovered, BootError> {
    let settings = dispatcher.settings;
    let judge = Judge { settings, crc: settings.check_crc };
    let scan = Scan { judge, files, progress };
    let (start, dispatch_above) = match exit {
        Exit::Clean => {
            let above = (settings.rules.clean_dispatch.value == CleanDispatch::FromQueuesButFirst).then_some(max_cq);
            (normal_start(&judge, files, checkpoint, max_cq)?, above)
        }
        Exit::Abort => (abnormal_start(&judge, files, checkpoint)?, Some(i64::MIN)),
    };
    scan.run(start, &mut Pass { dispatch_above, abnormal: exit == Exit::Abort, dispatcher })
}

fn normal_start(
    judge: &Judge<'_>,
    files: &[LoadedFile],
    checkpoint: &Checkpoint,
    max_cq: i64,
) -> Result<usize, StoreError> {
    let settings = judge.settings;
    let fits = |file: &LoadedFile| i64::try_from(file.base).is_ok_and(|base| base <= max_cq);
    match settings.rules.normal_scan_start.value {
        NormalScanStart::HighestCqPosition => Ok(files.iter().rposition(fits).unwrap_or(0)),
        NormalScanStart::ValidFirstRecord => {
            for (n, file) in files.iter().enumerate().rev() {
                let map = MappedFile::open(&file.path)?;
                let Verdict::Message(record) = judge.check(&map) else { continue };
                let indexed = !(settings.message_index && settings.message_index_safe)
                    || record.store_timestamp <= checkpoint.index_msg_timestamp;
                if record.store_timestamp != 0 && record.physical_offset <= max_cq && indexed {
                    return Ok(n);
                }
            }
            Ok(0)
        }
        _ => Ok(files.len().saturating_sub(3)),
    }
}

fn abnormal_start(judge: &Judge<'_>, files: &[LoadedFile], checkpoint: &Checkpoint) -> Result<usize, StoreError> {
    let settings = judge.settings;
    let rule = settings.rules.abnormal_scan_start.value;
    let whole = rule != AbnormalScanStart::FirstStoreTimestamp;
    let by_offset = rule == AbnormalScanStart::DispatchedOffset;
    let dispatched = u64::try_from(checkpoint.logics_physical_offset).ok().filter(|offset| *offset > 0 && by_offset);
    let mut limit = match dispatched {
        Some(_) => i64::MAX,
        None if by_offset => checkpoint.logics_msg_timestamp,
        None => checkpoint.min_timestamp(),
    };
    if settings.message_index && settings.message_index_safe {
        limit = limit.min(checkpoint.index_msg_timestamp);
    }
    for (n, file) in files.iter().enumerate().rev() {
        let map = MappedFile::open(&file.path)?;
        if whole && !matches!(judge.check(&map), Verdict::Message(_)) {
            continue;
        }
        let in_time = judge.first_store_timestamp(&map).is_some_and(|time| time <= limit);
        if in_time && dispatched.is_none_or(|offset| file.base <= offset) {
            return Ok(n);
        }
    }
    Ok(0)
}

/// `ReputMessageService.doReput` from `from` on: dispatches what lies behind it, without a look at checksums.
///
/// Returns where it stops; short of `end` if it meets a gap between files or bytes that are no record.
pub(super) fn reput(
    files: &[LoadedFile],
    from: u64,
    end: u64,
    dispatcher: &mut Dispatcher<'_>,
    progress: &dyn Progress,
) -> Result<u64, BootError> {
    let settings = dispatcher.settings;
    let judge = Judge { settings, crc: false };
    let size = settings.log_file_size;
    let mut offset = from;
    while offset < end {
        if progress.cancelled() {
            return Err(BootError::Cancelled);
        }
        let Some(file) = files.iter().find(|file| file.base <= offset && offset < file.base.saturating_add(size))
        else {
            return Ok(offset);
        };
        let map = MappedFile::open(&file.path)?;
        let limit = usize::try_from(end.saturating_sub(file.base).min(size)).unwrap_or(usize::MAX);
        let bytes = map.get(..limit.min(map.len())).unwrap_or_default();
        let mut at = usize::try_from(offset - file.base).unwrap_or(usize::MAX);
        let next = file.base.saturating_add(size);
        loop {
            // The dispatcher is given no more than was written.
            if at >= bytes.len() {
                offset = if at as u64 >= size { next } else { file.base + at as u64 };
                break;
            }
            match judge.check(bytes.get(at..).unwrap_or_default()) {
                Verdict::Message(record) => {
                    dispatcher.dispatch(&record, file.base);
                    at = at.saturating_add(usize::try_from(record.size).unwrap_or(usize::MAX));
                }
                Verdict::Mismatch(lying) => at = at.saturating_add(usize::try_from(lying.size).unwrap_or(usize::MAX)),
                Verdict::Blank => {
                    offset = next;
                    break;
                }
                Verdict::Fail(_) => return Ok(file.base + at as u64),
            }
        }
    }
    Ok(offset)
}
