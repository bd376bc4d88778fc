//! A live capture reads first what others refer to last.
//!
//! A running broker goes on while it is copied, so the copy is not of one moment. It is sound if each thing in it is at most
//! as new as what it refers to: the checkpoint's times no later than the queues, committed offsets within the queues, the
//! timer's wheel no newer than its log, queues within the commit log, which stays where it is and is looked at last. The
//! archive's members are sorted by name, whatever order they were read in; so what must be read early is kept aside in
//! anonymous files, and then archived from there.
//!
//! 1. `checkpoint`; 2. `config/*.json` and their `.bak`, `delayOffset` and `consumerOffset` first, and the split of 3.5.x
//!    below the home folder; `timercheck`; `compaction/position-checkpoint`; 3. `RocksDB` folders; 4. `timerwheel`.
//!    Everything else is listed and read behind
//!    that: index, queues, timer log. Index and queues do not refer to each other.
//!
//! A JSON file is read until it holds still and can be parsed; one that a broker is just writing is torn or empty (5.1.0 and
//! later write in place) or absent (before, it is removed and the new one renamed to its name). If it never does, its `.bak`
//! stands for it, as it would for the broker.
//!
//! Of a `RocksDB` folder the tables are opened first: they never change, but go away after a compaction, and stay readable so.
//! Then `CURRENT` and `MANIFEST`, the tables that were made meanwhile, and the write-ahead logs, which are only appended to.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mqstore_core::format::config::fastjson;
use mqstore_core::format::rocksdb::{Manifest, current_manifest};

use crate::manifest::Source;
use crate::partial::no_follow;
use crate::plan::{extension, is_commitlog, mtime_ns};

/// How often a file that moves is read again, and how long is waited before that.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(10);
/// A file that is not there is looked for so often: one that is being replaced is soon back.
const TRIES_ABSENT: u32 = 3;
/// Files of a broken JSON text that does not change: read so often before it is taken as it is.
const TRIES_AT_REST: u32 = 30;
/// How often the set of a database is taken anew until it is whole.
const RETRIES: u32 = 5;

/// Content that was read ahead of its turn.
#[derive(Debug, Clone)]
pub(crate) struct StagedFile {
    /// An anonymous copy; of a table of `RocksDB` the file itself, which stays readable when its name goes away.
    pub(crate) file: Arc<File>,
    pub(crate) path: PathBuf,
    pub(crate) length: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) mode: u32,
    pub(crate) source: Source,
    /// Why it is not certain to be what a broker would read.
    pub(crate) doubt: Option<String>,
}

/// Member name → content.
pub(crate) type Staged = BTreeMap<String, StagedFile>;

/// Reads ahead, in order, what is below `root` and below `config`, the folder of 3.5.x under the home folder. What is not there
/// is no error; what cannot be read is left to be read, and reported, in its turn.
pub(crate) fn stage(root: &Path, home_config: Option<&Path>) -> Staged {
    let mut staged = Staged::new();
    take(&mut staged, &root.join("checkpoint"), "store/checkpoint");
    config(&mut staged, &root.join("config"), "store/config");
    if let Some(config_dir) = home_config {
        config(&mut staged, config_dir, "home/store/config");
    }
    // How far queues were compacted, before what that made of them.
    config(&mut staged, &root.join("compaction"), "store/compaction");
    for (folder, below) in rocksdb_folders(root) {
        rocksdb(&mut staged, &folder, &format!("store/{below}"));
    }
    for name in names(root) {
        if name.starts_with("timerwheel") {
            take(&mut staged, &root.join(&name), &format!("store/{name}"));
        }
    }
    staged
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut names: Vec<String> = files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

fn config(staged: &mut Staged, folder: &Path, member: &str) {
    let first = |name: &str| {
        let base = name.trim_end_matches(".bak");
        ["delayOffset.json", "consumerOffset.json", "lmqConsumerOffset.json"].iter().position(|known| *known == base)
    };
    let mut all = names(folder);
    // A file that is just being replaced is not listed, but its twin is.
    let twins: Vec<String> = all.iter().filter_map(|name| name.strip_suffix(".bak")).map(str::to_owned).collect();
    all.extend(twins);
    all.sort_by_key(|name| (first(name).unwrap_or(usize::MAX), name.clone()));
    all.dedup();
    for name in all {
        take(staged, &folder.join(&name), &format!("{member}/{name}"));
    }
}

/// Every folder that `RocksDB` keeps a database in, with its path below the root.
fn rocksdb_folders(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut walk = walkdir::WalkDir::new(root).max_depth(4).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        let Ok(entry) = entry else { continue };
        let below = entry.path().strip_prefix(root).unwrap_or(entry.path()).to_path_buf();
        if !entry.file_type().is_dir() {
            continue;
        }
        if is_commitlog(&below) {
            walk.skip_current_dir();
        } else if entry.path().join("CURRENT").is_file()
            && let Some(below) = below.to_str()
        {
            found.push((entry.path().to_path_buf(), below.to_owned()));
        }
    }
    found
}

fn rocksdb(staged: &mut Staged, folder: &Path, member: &str) {
    let mut doubt = None;
    for attempt in 0..RETRIES {
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
        staged.retain(|name, _| !name.starts_with(&format!("{member}/")));
        rocksdb_once(staged, folder, member);
        doubt = missing_part(staged, member);
        if doubt.is_none() {
            return;
        }
    }
    if let Some(current) = staged.get_mut(&format!("{member}/CURRENT")) {
        current.doubt = doubt;
    }
}

/// What a copy of a database lacks: the manifest that `CURRENT` names, or a table that it needs.
fn missing_part(staged: &Staged, member: &str) -> Option<String> {
    let current = content(staged.get(&format!("{member}/CURRENT"))?)?;
    let name = current_manifest(&current)?;
    let Some(manifest) = staged.get(&format!("{member}/{name}")) else {
        return Some(format!("names {name}, which was gone when it was to be read"));
    };
    // One that cannot be read is damaged, which is not for this to tell.
    let manifest = Manifest::parse(&content(manifest)?).ok()?;
    let mut lengths = BTreeMap::new();
    for (name, file) in staged.range(format!("{member}/")..) {
        let Some(name) = name.strip_prefix(member).and_then(|name| name.strip_prefix('/')) else { break };
        if let Some(number) = name.strip_suffix(".sst").and_then(|number| number.parse::<u64>().ok()) {
            lengths.insert(number, file.length);
        }
    }
    manifest.missing(&lengths).first().map(|file| {
        format!("{name} needs table {:06} of {} bytes, which was not there as such", file.number, file.expected)
    })
}

/// All of a file that was read ahead.
fn content(file: &StagedFile) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut reader = &*file.file;
    reader.rewind().and_then(|()| reader.read_to_end(&mut bytes)).ok()?;
    Some(bytes)
}

fn rocksdb_once(staged: &mut Staged, folder: &Path, member: &str) {
    // The tables first, so that those of the manifest read next cannot go away; then whatever was made meanwhile.
    pin_tables(staged, folder, member);
    take(staged, &folder.join("CURRENT"), &format!("{member}/CURRENT"));
    for name in names(folder).into_iter().filter(|name| name.starts_with("MANIFEST-")) {
        take(staged, &folder.join(&name), &format!("{member}/{name}"));
    }
    pin_tables(staged, folder, member);
    let all = names(folder);
    let logs = all.iter().filter(|name| extension(name) == Some("log") || name.starts_with("OPTIONS-"));
    for name in logs {
        take(staged, &folder.join(name), &format!("{member}/{name}"));
    }
}

/// Opens every table; one that is open already stays as it is.
fn pin_tables(staged: &mut Staged, folder: &Path, member: &str) {
    for name in names(folder).iter().filter(|name| extension(name) == Some("sst")) {
        let member = format!("{member}/{name}");
        if !staged.contains_key(&member) {
            pin(staged, &folder.join(name), &member);
        }
    }
}

fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new().read(true).custom_flags(no_follow()).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

fn pin(staged: &mut Staged, path: &Path, member: &str) {
    if let Ok((file, metadata)) = open(path) {
        let file = StagedFile {
            file: file.into(),
            path: path.to_path_buf(),
            length: metadata.len(),
            mtime_ns: mtime_ns(&metadata),
            mode: metadata.mode() & 0o7777,
            source: Source::File,
            doubt: None,
        };
        staged.insert(member.to_owned(), file);
    }
}

/// Copies a file aside, the way that its name asks for.
fn take(staged: &mut Staged, path: &Path, member: &str) {
    let base = member.trim_end_matches(".bak");
    let is_json = extension(base) == Some("json") || base.ends_with("/position-checkpoint");
    let taken = if is_json { json(path) } else { copy(path, true) };
    if let Some(file) = taken {
        staged.insert(member.to_owned(), file);
    }
}

fn json(path: &Path) -> Option<StagedFile> {
    let mut last: Option<StagedFile> = None;
    let (mut at_rest, mut absent) = (0, 0);
    for attempt in 0..TRIES {
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
        let Some(now) = copy(path, false) else {
            absent += u32::from(last.is_none());
            last = None;
            // Absent from the beginning and still: it is not there.
            if absent > TRIES_ABSENT {
                break;
            }
            continue;
        };
        if now.doubt.is_none() && parses(&now) {
            return Some(now);
        }
        let same = last.as_ref().is_some_and(|last| (last.mtime_ns, last.length) == (now.mtime_ns, now.length));
        at_rest = if same { at_rest + 1 } else { 0 };
        last = Some(now);
        if at_rest > TRIES_AT_REST {
            // A broker would read it so, too; but a writer that was held up looks the same.
            let doubt = "is no JSON text, and was not written to while it was watched: broken, or half written";
            return last.map(|file| StagedFile { doubt: Some(doubt.to_owned()), ..file });
        }
    }
    let twin = path.with_file_name(format!("{}.bak", path.file_name()?.to_str()?));
    if let Some(mut twin) = copy(&twin, true).filter(parses) {
        twin.source = Source::Bak;
        twin.path = path.to_path_buf();
        return Some(twin);
    }
    last.map(|file| StagedFile { doubt: Some("was being written all the time it was read".to_owned()), ..file })
}

fn parses(file: &StagedFile) -> bool {
    // The broker takes an empty file for none.
    let is_empty = |text: &[u8]| text.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0);
    content(file).is_some_and(|text| !is_empty(&text) && fastjson::parse(&text).is_ok())
}

/// An anonymous copy of a file that did not change while it was read; with `insist` up to the number of tries.
fn copy(path: &Path, insist: bool) -> Option<StagedFile> {
    let mut taken = None;
    for attempt in 0..if insist { TRIES } else { 1 } {
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
        let (mut file, before) = open(path).ok()?;
        let mut aside = tempfile::tempfile().ok()?;
        // No further than it was when it was opened: a log may be appended to for ever.
        let copied = io::copy(&mut (&mut file).take(before.len()), &mut aside).ok()?;
        aside.flush().ok()?;
        let named = fs::symlink_metadata(path);
        let still = named.is_ok_and(|named| {
            (named.dev(), named.ino()) == (before.dev(), before.ino())
                && (named.len(), mtime_ns(&named)) == (before.len(), mtime_ns(&before))
        });
        let only_appended = path.extension().is_some_and(|extension| extension == "log")
            || path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"MANIFEST-"));
        let whole = still || only_appended && copied == before.len();
        taken = Some(StagedFile {
            file: aside.into(),
            path: path.to_path_buf(),
            length: copied,
            mtime_ns: mtime_ns(&before),
            mode: before.mode() & 0o7777,
            source: Source::File,
            doubt: (!whole).then(|| "was written to while it was read".to_owned()),
        });
        if whole {
            break;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(file: &StagedFile) -> String {
        let mut text = String::new();
        let mut reader = &*file.file;
        reader.rewind().unwrap();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_config_file_that_is_gone_is_taken_from_its_twin() {
        let root = tempfile::tempdir().unwrap();
        let config = root.path().join("config");
        fs::create_dir(&config).unwrap();
        fs::write(config.join("topics.json.bak"), r#"{"topicConfigTable":{}}"#).unwrap();
        let staged = stage(root.path(), None);
        let topics = &staged["store/config/topics.json"];
        assert_eq!((topics.source, text(topics).as_str()), (Source::Bak, r#"{"topicConfigTable":{}}"#));
        assert_eq!(staged["store/config/topics.json.bak"].source, Source::File);
    }

    #[test]
    fn a_config_file_that_is_broken_and_at_rest_is_taken_as_it_is_but_with_a_doubt() {
        let root = tempfile::tempdir().unwrap();
        let config = root.path().join("config");
        fs::create_dir(&config).unwrap();
        fs::write(config.join("topics.json"), "{\"a").unwrap();
        fs::write(config.join("topics.json.bak"), "{}").unwrap();
        let staged = stage(root.path(), None);
        let topics = &staged["store/config/topics.json"];
        assert_eq!(text(topics), "{\"a");
        assert!(topics.doubt.as_ref().is_some_and(|doubt| doubt.contains("half written")), "{topics:?}");
    }
}
