//! The broker's configuration held against the files that the broker made, and what its release ignores in it.

use mqstore_core::format::index::IndexGeometry;
use mqstore_core::release::Release;
use mqstore_core::release::conf::{NoteLevel, Resolved};
use mqstore_core::release::marks::ReleaseBounds;
use serde::Serialize;

use super::Target;
use crate::output::human::{count, number};

/// What `--broker-conf` says that the files do not, and what in it has no effect.
#[derive(Debug, Serialize)]
pub(crate) struct ConfCheck {
    /// The release it was read as: the one given, else of those that can have written the store the newest that agrees
    /// best with its files.
    release: Release,
    differences: Vec<Difference>,
    notes: Vec<Note>,
}

/// A size that the files have and one that the configuration gives.
#[derive(Debug, Serialize)]
struct Difference {
    what: &'static str,
    configured: u64,
    found: u64,
    /// Files that have the size found.
    files: u64,
}

/// A remark on a line of the file.
#[derive(Debug, Serialize)]
struct Note {
    line: usize,
    key: String,
    level: &'static str,
    says: String,
}

impl ConfCheck {
    /// `None` without `--broker-conf`.
    pub(crate) fn of(target: &Target, bounds: &ReleaseBounds) -> anyhow::Result<Option<Self>> {
        let Some((conf, home)) = &target.broker_conf else { return Ok(None) };
        let sizes = Sizes::found(target)?;
        let within = |release: &Release| {
            bounds.oldest.is_none_or(|oldest| *release >= oldest)
                && bounds.newest.is_none_or(|newest| *release <= newest)
        };
        let candidates: Vec<Release> = match target.release {
            Some(release) => vec![release],
            None => Release::ALL.iter().copied().filter(within).collect(),
        };
        let read = candidates.iter().rev().map(|release| (*release, sizes.differences(&conf.resolve(*release, home))));
        let Some((release, differences)) = read.min_by_key(|(_, differences)| differences.len()) else {
            return Ok(None);
        };
        let notes = conf.lint(release).into_iter().map(|note| Note {
            line: note.line,
            key: note.key,
            level: match note.level {
                NoteLevel::Block => "block",
                NoteLevel::Warning => "warning",
                NoteLevel::Info => "info",
            },
            says: note.says,
        });
        Ok(Some(Self { release, differences, notes: notes.collect() }))
    }

    /// Lines for people, the grave ones first; remarks only with `verbose`.
    pub(crate) fn lines(&self, verbose: bool) -> Vec<(bool, String)> {
        let agrees = if self.differences.is_empty() { "its sizes are those of the files, " } else { "" };
        let mut lines = vec![(false, format!("{agrees}read as {} does", self.release))];
        lines.extend(self.differences.iter().map(|difference| {
            let Difference { what, configured, found, files } = difference;
            let files = count(*files, "file has", "files have");
            (true, format!("{what}: configured are {} bytes, {files} {}", number(configured), number(found)))
        }));
        let shown = self.notes.iter().filter(|note| verbose || note.level != "info");
        lines.extend(
            shown.map(|note| (note.level != "info", format!("line {}, {}: {}", note.line, note.key, note.says))),
        );
        lines
    }
}

/// Lengths of the files of a store, each with the number of files that have it.
struct Sizes {
    commitlog: Option<(u64, u64)>,
    queues: Vec<(u64, u64)>,
    index: Vec<(u64, u64)>,
}

impl Sizes {
    fn found(target: &Target) -> anyhow::Result<Self> {
        let log = target.store.commitlog();
        let queues = target.queues()?;
        let index = target.store.index()?;
        let index = index.files().iter().filter_map(|path| std::fs::metadata(path).ok()).map(|m| m.len());
        Ok(Self {
            commitlog: (log.file_size() > 0).then(|| (log.file_size(), log.files().len() as u64)),
            queues: tally(queues.iter().flat_map(|queue| queue.queue().files()).map(|file| file.length)),
            index: tally(index),
        })
    }

    fn differences(&self, conf: &Resolved) -> Vec<Difference> {
        let (hash_slot_num, index_num) = (conf.max_hash_slot_num.value, conf.max_index_num.value);
        let index = IndexGeometry { hash_slot_num, index_num }.file_length();
        let mut differences = Vec::new();
        let mut compare = |what, configured, found: &[(u64, u64)]| {
            let other = found.iter().filter(|(length, _)| *length != configured);
            differences.extend(other.map(|(found, files)| Difference {
                what,
                configured,
                found: *found,
                files: *files,
            }));
        };
        compare("commit log file", conf.mapped_file_size_commit_log.value, self.commitlog.as_slice());
        compare("queue file", conf.mapped_file_size_consume_queue.value, &self.queues);
        compare("index file", index, &self.index);
        differences
    }
}

fn tally(lengths: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut counts = std::collections::BTreeMap::new();
    for length in lengths {
        *counts.entry(length).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}
