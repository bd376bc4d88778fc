//! Keys that a release ignores, and keys that bite.

use super::keys::{ConfKey, ValueKind};
use super::resolve::{java_trim, valid_flush, valid_role};
use super::{BrokerConf, Entry, Release};
use crate::release::Evidence;
use crate::release::rules::DefaultPlace;

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteLevel {
    /// Worth knowing.
    Info,
    /// The broker may not do what the file seems to say.
    Warning,
    /// Starting this release with it may destroy data or fail.
    Block,
}

/// What kind of thing a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfProblem {
    /// No release reads this key.
    NeverRead,
    /// Later releases read it, this one not yet.
    NotYetRead,
    /// Earlier releases read it, this one no more.
    NoLongerRead,
    /// This release knows the setting under another name.
    Renamed,
    /// The value does not parse, the default is used.
    BadValue,
    /// A later line sets the same key.
    Overwritten,
    /// The value ends in blanks, which belong to it.
    TrailingBlank,
    /// mqstore does not know the key and cannot judge it.
    NotKnown,
    /// mqstore does not know the key, but one spelled much alike.
    Misspelled,
    /// The value is taken as written, and that has consequences.
    Bites,
}

/// One remark on one line of `broker.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfNote {
    /// The key as written.
    pub key: String,
    /// Its line, from 1.
    pub line: usize,
    /// How much it matters.
    pub level: NoteLevel,
    /// What kind of thing it is.
    pub problem: ConfProblem,
    /// What the release does with it.
    pub says: String,
    /// How that is known.
    pub evidence: Evidence,
}

pub(super) fn lint(conf: &BrokerConf, release: Release) -> Vec<ConfNote> {
    let mut notes = Vec::new();
    for entry in conf.entries() {
        let mut note = |level, problem, evidence, says| {
            let (key, line) = (entry.key.clone(), entry.line);
            notes.push(ConfNote { key, line, level, problem, says, evidence });
        };
        if conf.get(&entry.key).is_some_and(|last| last.line != entry.line) {
            note(
                NoteLevel::Warning,
                ConfProblem::Overwritten,
                Evidence::Source,
                "a later line sets it again".to_owned(),
            );
            continue;
        }
        match ConfKey::find(&entry.key) {
            None => not_known(entry, &mut note),
            Some(key) if !key.is_read_by(release) => ignored(conf, key, release, &mut note),
            Some(key) => {
                value(key, entry, release, &mut note);
                bites(conf, key, entry, release, &mut note);
            }
        }
    }
    notes
}

trait Note: FnMut(NoteLevel, ConfProblem, Evidence, String) {}
impl<F: FnMut(NoteLevel, ConfProblem, Evidence, String)> Note for F {}

fn not_known(entry: &Entry, note: &mut impl Note) {
    if let Some(known) = similar(&entry.key) {
        let says = format!("not known to mqstore, but {} is: a broker ignores keys it does not know", known.name);
        note(NoteLevel::Warning, ConfProblem::Misspelled, Evidence::Source, says);
    } else {
        let says = "not known to mqstore, which cannot say whether the broker reads it".to_owned();
        note(NoteLevel::Info, ConfProblem::NotKnown, Evidence::Source, says);
    }
}

fn ignored(conf: &BrokerConf, key: &ConfKey, release: Release, note: &mut impl Note) {
    if key.kind == ValueKind::NeverRead {
        let says = "no release reads it: the files lie below storePathRootDir all the same".to_owned();
        return note(NoteLevel::Warning, ConfProblem::NeverRead, Evidence::Source, says);
    }
    let is_size = key.name.contains("FileSize");
    let evidence = if is_size { release.behaviour().mapped_file_size_key.evidence } else { Evidence::Source };
    if let Some(other) = key.other_name {
        let (level, tail) = match conf.get(other) {
            Some(set) => (NoteLevel::Info, format!("and is set in line {}", set.line)),
            None => (NoteLevel::Warning, "which is not set: the default is used".to_owned()),
        };
        let says = format!("{release} ignores it and reads {other}, {tail}");
        return note(level, ConfProblem::Renamed, evidence, says);
    }
    if release > key.until {
        let says = format!("{release} ignores it: read up to {}", key.until);
        note(NoteLevel::Info, ConfProblem::NoLongerRead, evidence, says);
    } else {
        let says = format!("{release} ignores it: read from {} on", key.since);
        note(NoteLevel::Info, ConfProblem::NotYetRead, evidence, says);
    }
}

fn value(key: &ConfKey, entry: &Entry, release: Release, note: &mut impl Note) {
    let raw = entry.value.as_str();
    let is_text = !matches!(key.kind, ValueKind::Int | ValueKind::Long | ValueKind::Bool);
    let trimmed = is_text && release.behaviour().string_values_trimmed.value;
    let value = if trimmed { java_trim(raw) } else { raw };
    let expected = match key.kind {
        ValueKind::Int if value.parse::<i32>().is_err() => "a whole number below 2147483648",
        ValueKind::Long if value.parse::<i64>().is_err() => "a whole number",
        ValueKind::BrokerRole if valid_role(value).is_none() => "ASYNC_MASTER, SYNC_MASTER or SLAVE",
        ValueKind::FlushDiskType if valid_flush(value).is_none() => "ASYNC_FLUSH or SYNC_FLUSH",
        ValueKind::Bool if !value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false") => {
            let says = format!("{value:?} counts as false, expected true or false");
            return note(NoteLevel::Warning, ConfProblem::BadValue, Evidence::Source, says);
        }
        ValueKind::Text if !trimmed && value.ends_with([' ', '\t']) => {
            let says = format!("{release} takes {value:?} with the blanks at its end");
            return note(NoteLevel::Warning, ConfProblem::TrailingBlank, Evidence::Source, says);
        }
        _ => return,
    };
    let says = format!("{value:?} is ignored and the default used, expected {expected}");
    note(NoteLevel::Warning, ConfProblem::BadValue, Evidence::Source, says);
}

fn bites(conf: &BrokerConf, key: &ConfKey, entry: &Entry, release: Release, note: &mut impl Note) {
    let behaviour = release.behaviour();
    let is_true = |entry: &Entry| entry.value.eq_ignore_ascii_case("true");
    let mut bite = |level, evidence, says: String| note(level, ConfProblem::Bites, evidence, says);
    let number = entry.value.parse::<i64>().ok();
    match key.name {
        "storePathRootDir" if conf.get("storePathCommitLog").is_none() => {
            let place = match behaviour.commit_log_place.value {
                DefaultPlace::Root => "below it, releases up to 4.9.3 in $HOME/store/commitlog",
                _ => "in $HOME/store/commitlog, releases from 4.9.4 on below it",
            };
            let says = format!("storePathCommitLog is not set: {release} looks for the log {place}");
            bite(NoteLevel::Warning, behaviour.commit_log_place.evidence, says);
        }
        "storePathCommitLog" if entry.value.contains(',') && !behaviour.commit_log_multi_path.value => {
            let says = format!("{release} takes the list as one folder name and starts with an empty log");
            bite(NoteLevel::Block, behaviour.commit_log_multi_path.evidence, says);
        }
        "storePathCommitLog" if entry.value.contains(';') => {
            bite(NoteLevel::Warning, Evidence::Source, "several folders are split by a comma only".to_owned());
        }
        "mapedFileSizeConsumeQueue" | "mappedFileSizeConsumeQueue" if number.is_some_and(|n| n > 0 && n % 20 != 0) => {
            bite(NoteLevel::Info, Evidence::Source, "rounded up to a multiple of 20".to_owned());
        }
        "mapperFileSizeBatchConsumeQueue" if number.is_some_and(|n| n % 46 != 0) => {
            let says = "no multiple of 46: a file never becomes full, and appending then fails".to_owned();
            bite(NoteLevel::Warning, Evidence::Derived, says);
        }
        "duplicationEnable" if is_true(entry) && behaviour.dup_info_demanded.value => {
            let says = format!("{release} cuts the log at the first record of the file where its scan starts");
            bite(NoteLevel::Block, behaviour.dup_info_demanded.evidence, says);
        }
        "forceVerifyPropCRC" if is_true(entry) => {
            let says = format!("{release} cuts the log at the first record without __CRC32#");
            bite(NoteLevel::Block, behaviour.force_verify_prop_crc.evidence, says);
        }
        "enableControllerMode"
            if is_true(entry)
                && conf.get("enableDLegerCommitLog").is_some_and(is_true)
                && behaviour.dledger_with_controller_refused.value =>
        {
            let says = format!("{release} ends at start when enableDLegerCommitLog is true, too");
            bite(NoteLevel::Block, behaviour.dledger_with_controller_refused.evidence, says);
        }
        "aclEnable" if is_true(entry) && !behaviour.acl_1_enforced.value => {
            let says = format!("{release} enforces no ACL 1.0: without auth 2.0 access is open");
            bite(NoteLevel::Block, behaviour.acl_1_enforced.evidence, says);
        }
        "storeType" if java_trim(&entry.value) == "defaultRocksDB" => {
            let says = format!("topics, groups and offsets come from RocksDB; JSON files: {}", import(release));
            bite(NoteLevel::Warning, behaviour.rocksdb_import.evidence, says);
        }
        "haListenPort" if !behaviour.ha_listen_port_honoured.value => {
            let says = format!("{release} uses listenPort + 1 instead");
            bite(NoteLevel::Info, behaviour.ha_listen_port_honoured.evidence, says);
        }
        "messageDelayLevel" => {
            let says = "must stay as it is while delayed messages are pending: queue ids and due times come from it";
            bite(NoteLevel::Info, Evidence::Seen(&DELAY_SEEN), says.to_owned());
        }
        "fileReservedTime" => {
            let says = "hours since a file was modified: a copy must keep modification times".to_owned();
            bite(NoteLevel::Info, Evidence::Source, says);
        }
        "autoCreateTopicEnable" if !is_true(entry) => {
            let says = "a topic missing from topics.json does not come back when messages are sent to it".to_owned();
            bite(NoteLevel::Info, Evidence::Source, says);
        }
        "brokerId"
            if number.is_some_and(|id| id <= 0)
                && conf.get("brokerRole").is_some_and(|role| java_trim(&role.value) == "SLAVE") =>
        {
            bite(NoteLevel::Block, Evidence::Source, "a slave with an id below 1 does not start".to_owned());
        }
        _ => {}
    }
}

const DELAY_SEEN: [Release; 4] = [Release::V3_5_8, Release::V4_3_2, Release::V4_9_7, Release::V5_3_3];

fn import(release: Release) -> &'static str {
    use crate::release::rules::RocksDbImport;
    match release.behaviour().rocksdb_import.value {
        RocksDbImport::ByCounter => "imported if their dataVersion.counter is above the database's",
        RocksDbImport::BySwitch => "imported with transferMetadataJsonToRocksdb and transferOffsetJsonToRocksdb only",
        RocksDbImport::Ignored | RocksDbImport::Absent => "not imported",
    }
}

/// A known key that the text may have meant.
fn similar(text: &str) -> Option<&'static ConfKey> {
    let allowed = if text.len() < 12 { 1 } else { 2 };
    ConfKey::all()
        .iter()
        // Lengths further apart than that cannot match, and the text may be megabytes of somebody's mistake.
        .filter(|key| key.name.len().abs_diff(text.len()) <= allowed)
        .map(|key| (distance(&text.to_ascii_lowercase(), &key.name.to_ascii_lowercase()), key))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, key)| key)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (pair, y) in row.windows(2).zip(&b) {
            let [diagonal, above] = pair else { continue };
            left = (left + 1).min(above + 1).min(diagonal + usize::from(x != *y));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
