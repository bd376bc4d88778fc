//! The index files during a start (`IndexService`): which are deleted, which keys come back.

use std::path::PathBuf;

use mqstore_core::StoreError;
use mqstore_core::format::commitlog::{TransactionType, names};
use mqstore_core::format::index::{INDEX_HEADER_LENGTH, IndexFile, IndexGeometry, IndexHeader};
use mqstore_core::release::rules::{IndexForeignName, IndexLoad};
use mqstore_core::store::MappedFile;

use super::load::list;
use super::record::Record;
use super::settings::Settings;

/// An index file in the course of a start.
#[derive(Debug, Clone)]
pub(super) struct SimIndexFile {
    /// `None` if the start made it.
    pub path: Option<PathBuf>,
    /// As the start leaves it.
    pub header: IndexHeader,
    /// As it was on disk.
    pub on_disk: IndexHeader,
    /// Its entries can be read with the configured geometry.
    pub sound: bool,
    /// Its length is not the configured one: it is lengthened when it is mapped.
    pub lengthened: bool,
    pub fate: Fate,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    /// Deleted because it ends behind the checkpoint's index time.
    Deleted,
    /// Loading stopped before it.
    NotLoaded,
}

/// Why the index cannot be loaded.
#[derive(Debug, Clone)]
pub(super) struct IndexProblem {
    pub path: PathBuf,
    pub why: &'static str,
    pub refuses: bool,
}

/// The folder `index/`.
#[derive(Debug, Clone)]
pub(super) struct SimIndex {
    pub files: Vec<SimIndexFile>,
    pub problem: Option<IndexProblem>,
    /// First physical offset that was offered to it.
    pub offered_from: Option<u64>,
    pub existed: bool,
    geometry: IndexGeometry,
    enabled: bool,
}

impl SimIndex {
    /// `IndexService.load`: an abnormal start deletes what ends behind `index_timestamp`.
    pub(super) fn load(settings: &Settings, delete_behind: Option<i64>) -> Result<Self, StoreError> {
        let mut index = Self {
            files: Vec::new(),
            problem: None,
            offered_from: None,
            existed: false,
            geometry: settings.geometry,
            enabled: settings.message_index,
        };
        for entry in list(&settings.root.join("index"))? {
            let numeric = entry.name.parse::<i64>().is_ok();
            if !numeric {
                if settings.rules.index_foreign_name.value == IndexForeignName::StopsLoad && index.problem.is_none() {
                    let why = "its name is no number, which this release does not expect";
                    index.problem = Some(IndexProblem { path: entry.path, why, refuses: true });
                }
                continue;
            }
            if entry.is_dir {
                if index.problem.is_none() {
                    let refuses = settings.rules.index_load.value == IndexLoad::Refuses;
                    let why = "it is a folder and cannot be opened";
                    index.problem = Some(IndexProblem { path: entry.path, why, refuses });
                }
                continue;
            }
            index.existed = true;
            let map = MappedFile::open(&entry.path)?;
            let header = IndexHeader::parse(&map).unwrap_or_default();
            let mut file = SimIndexFile {
                sound: index.is_sound(&map, &header),
                lengthened: (map.len() as u64) < settings.geometry.file_length(),
                path: Some(entry.path),
                header,
                on_disk: header,
                fate: Fate::Kept,
            };
            if index.problem.is_some() {
                file.fate = Fate::NotLoaded;
            } else if delete_behind.is_some_and(|time| header.end_timestamp > time) {
                file.fate = Fate::Deleted;
            }
            index.files.push(file);
        }
        Ok(index)
    }

    /// Whether every entry that the header counts is there, and in its slot by the configured geometry.
    fn is_sound(&self, map: &MappedFile, header: &IndexHeader) -> bool {
        if map.len() < INDEX_HEADER_LENGTH || header.index_count <= 1 {
            return map.len() as u64 >= self.geometry.file_length();
        }
        let Ok(view) = IndexFile::parse(map, self.geometry) else { return false };
        let newest = header.index_count.cast_unsigned() - 1;
        view.entry(newest).is_some_and(|entry| {
            let slot = if entry.key_hash >= 0 { view.slot(self.geometry.slot_of(entry.key_hash)) } else { None };
            entry.physical_offset == header.end_physical_offset && slot == Some(newest.cast_signed())
        })
    }

    /// The newest file that is in use.
    fn newest(&mut self) -> Option<&mut SimIndexFile> {
        self.files.iter_mut().rfind(|file| file.fate == Fate::Kept)
    }

    /// `getAndCreateLastIndexFile`.
    fn writable(&mut self) -> &mut SimIndexFile {
        // With fewer than two a broker would make files for ever.
        let limit = i64::from(self.geometry.index_num.max(2));
        let last = self.newest().map(|file| file.header);
        let full = last.is_none_or(|header| i64::from(header.index_count) >= limit);
        if full {
            let mut header = IndexHeader::default();
            if let Some(last) = last {
                header.begin_timestamp = last.end_timestamp;
                header.end_timestamp = last.end_timestamp;
                header.begin_physical_offset = last.end_physical_offset;
                header.end_physical_offset = last.end_physical_offset;
            }
            header.index_count = 1;
            let on_disk = IndexHeader::default();
            self.files.push(SimIndexFile {
                path: None,
                header,
                on_disk,
                sound: true,
                lengthened: false,
                fate: Fate::Kept,
            });
        }
        let at = self.files.iter().rposition(|file| file.fate == Fate::Kept).unwrap_or(0);
        // `writable` has just made sure that there is one.
        #[expect(clippy::indexing_slicing, reason = "the vector holds the file found or pushed above")]
        &mut self.files[at]
    }

    /// `IndexService.buildIndex`.
    pub(super) fn build(&mut self, record: &Record<'_>, settings: &Settings) {
        if !self.enabled {
            return;
        }
        let rules = &settings.rules;
        let end = self.writable().header.end_physical_offset;
        if record.physical_offset < end {
            return;
        }
        match record.sys_flag.transaction_type() {
            TransactionType::Rollback => return,
            TransactionType::Commit if !rules.commit_indexed.value => return,
            _ => {}
        }
        let mut keys = record.properties.keys().count();
        keys += usize::from(rules.uniq_key_indexed.value && record.properties.get(names::UNIQ_KEY).is_some());
        keys += usize::from(rules.tags_indexed.value && record.properties.get(names::TAGS).is_some());
        let offset = record.physical_offset.cast_unsigned();
        self.offered_from = Some(self.offered_from.map_or(offset, |from| from.min(offset)));
        for _ in 0..keys {
            let header = &mut self.writable().header;
            if header.index_count <= 1 {
                header.begin_physical_offset = record.physical_offset;
                header.begin_timestamp = record.store_timestamp;
                header.index_count = 1;
            }
            header.end_physical_offset = record.physical_offset;
            header.end_timestamp = record.store_timestamp;
            header.index_count = header.index_count.saturating_add(1);
        }
    }

    /// Number of files that the start makes.
    pub(super) fn created(&self) -> usize {
        self.files.iter().filter(|file| file.path.is_none()).count()
    }

    /// Files deleted by the start.
    pub(super) fn deleted(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter().filter(|file| file.fate == Fate::Deleted).filter_map(|file| file.path.as_ref())
    }

    /// Which stretches of the log were indexed and no longer are.
    pub(super) fn losses(&self, log: &IndexedLog, abnormal: bool) -> Result<IndexLosses, StoreError> {
        let mut losses = IndexLosses::default();
        if !self.enabled {
            return Ok(losses);
        }
        let newest = self.files.iter().rposition(|file| file.path.is_some());
        // A file whose times are negative ends every look-up before the older ones.
        let unreachable_below = self
            .files
            .iter()
            .rposition(|file| file.fate == Fate::Kept && file.path.is_some() && file.on_disk.begin_timestamp < 0);
        let restored = self.offered_from.unwrap_or(u64::MAX);
        let mut reached = log.begin;
        for (n, file) in self.files.iter().enumerate() {
            let Some(path) = &file.path else { continue };
            let stretch = self.stretch(n, reached, log.end);
            reached = reached.max(stretch.end);
            let usable = file.fate == Fate::Kept && file.sound && unreachable_below.is_none_or(|at| n > at);
            if usable {
                losses.lost += stretch.entries.saturating_sub(self.entries_below(path, stretch.entries, log.end)?);
                for (from, to) in &log.unreadable {
                    let below = |at| self.entries_below(path, stretch.entries, at);
                    losses.lost += below(*to)?.saturating_sub(below(*from)?);
                }
            } else {
                let to = stretch.end.min(restored);
                losses.lost += self.entries_below(path, stretch.entries, to)?;
                // Every abnormal start takes the newest file, up to where the log is dispatched again.
                let normal = abnormal && Some(n) == newest;
                let split =
                    if normal { log.scan_from.clamp(stretch.begin, to.max(stretch.begin)) } else { stretch.begin };
                losses.push(stretch.begin, split, Loss::Ordinary);
                losses.push(split, to, if normal { Loss::OfNewest } else { Loss::Unexpected });
            }
        }
        if !self.existed {
            losses.push(log.begin, log.end.min(restored), Loss::Unexpected);
        }
        for (from, to) in &log.unreadable {
            losses.push(*from, *to, Loss::Unexpected);
        }
        Ok(losses)
    }

    /// The stretch of the log that file `n` covers, if those before it reach to `reached`.
    fn stretch(&self, n: usize, reached: u64, log_end: u64) -> Stretch {
        let header = self.files.get(n).map(|file| file.on_disk).unwrap_or_default();
        let offset = |offset: i64| u64::try_from(offset).unwrap_or(0);
        let wild = header.begin_physical_offset < 0 || header.begin_physical_offset > header.end_physical_offset;
        if wild || header.index_count <= 1 {
            // Whatever it held lay between its neighbours.
            let next = self.files.get(n + 1).filter(|next| next.path.is_some());
            let end = next.map_or(log_end, |next| offset(next.on_disk.begin_physical_offset));
            return Stretch { begin: reached, end, entries: 0 };
        }
        Stretch {
            begin: offset(header.begin_physical_offset),
            end: offset(header.end_physical_offset).saturating_add(1),
            entries: u64::from(header.index_count.cast_unsigned()) - 1,
        }
    }

    /// How many of a file's entries lie before `offset` of the log; they rise with their numbers.
    fn entries_below(&self, path: &std::path::Path, entries: u64, offset: u64) -> Result<u64, StoreError> {
        let map = MappedFile::open(path)?;
        let Ok(view) = IndexFile::parse(&map, self.geometry) else { return Ok(entries) };
        let (mut low, mut high) = (0, u32::try_from(entries).unwrap_or(u32::MAX));
        while low < high {
            let middle = low + (high - low) / 2;
            let below = view.entry(middle + 1).is_some_and(|e| e.physical_offset.cast_unsigned() < offset);
            if below { low = middle + 1 } else { high = middle }
        }
        Ok(u64::from(low))
    }
}

/// What a file covers.
struct Stretch {
    begin: u64,
    end: u64,
    entries: u64,
}

/// The log as look-ups meet it after the start.
#[derive(Debug, Clone, Default)]
pub(super) struct IndexedLog {
    pub begin: u64,
    pub end: u64,
    pub scan_from: u64,
    /// Stretches that a read does not reach, for lack of a file.
    pub unreadable: Vec<(u64, u64)>,
}

/// Keys that look-ups no longer find.
#[derive(Debug, Clone, Default)]
pub(super) struct IndexLosses {
    /// Entries that are gone, or whose message is.
    pub lost: u64,
    pub ranges: Vec<LostRange>,
}

impl IndexLosses {
    fn push(&mut self, from: u64, to: u64, loss: Loss) {
        if from < to {
            self.ranges.push(LostRange { from, to, loss });
        }
    }

    /// Bytes of the log whose keys are lost in this way.
    pub(super) fn bytes(&self, loss: Loss) -> u64 {
        self.ranges.iter().filter(|range| range.loss == loss).map(|range| range.to - range.from).sum()
    }
}

/// A stretch of the log whose keys are gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct LostRange {
    pub from: u64,
    pub to: u64,
    pub loss: Loss,
}

/// How unusual a loss is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// What every abnormal start loses.
    Ordinary,
    /// More of the newest file than that.
    OfNewest,
    /// Anything else.
    Unexpected,
}
