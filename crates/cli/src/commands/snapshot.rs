//! `snapshot`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mqstore_check::snapshot::{Identity, Snapshot, SnapshotOptions, take};
use mqstore_core::release::conf::Resolved;
use mqstore_core::store::Store;
use serde::Serialize;

use super::facts::missing_log;
use super::{Context, Target};
use crate::args::SnapshotArgs;
use crate::exit::{Exit, hinted};
use crate::output::human::{count, number};
use crate::output::json::{self, TargetJson};

/// Times that a store is looked at whose log loses files meanwhile.
const ATTEMPTS: u32 = 3;
/// Of zstd: a snapshot is small, and travels.
const LEVEL: i32 = 9;

/// The document: the snapshot, and what a running broker changed while it was taken.
#[derive(Debug, Serialize)]
struct SnapshotJson<'a> {
    #[serde(flatten)]
    snapshot: &'a Snapshot,
    moved: &'a [String],
}

pub(crate) fn run(context: &mut Context, args: &SnapshotArgs) -> anyhow::Result<Exit> {
    let target = Target::open_quietly(context, &args.store)?;
    // A name that cannot be written is told before what takes long.
    let root = target.root().to_path_buf();
    context.out(&[&root])?;
    let mut options = SnapshotOptions::default();
    options.digest = args.digest;
    options.chunk = args.chunk;
    options.range = args.range;
    options.identity = target.conf.as_ref().map(identity).unwrap_or_default();
    let Taken { snapshot, moved, stable } = take_stable(context, &target.store, &options)?;
    if let Some((from, to)) = args.range.filter(|_| snapshot.log.range.as_ref().is_none_or(|r| r.records.is_empty())) {
        let (min, max) = (snapshot.log.min_offset, snapshot.log.max_offset);
        return Err(hinted(
            format!("no record lies in {from}..{to}"),
            format!("the log holds {min} to {max}; name a range inside it"),
        ));
    }
    for part in &moved {
        context.note(&format!("while the snapshot was taken {part}"));
    }
    let mut exit = missing_log(&target)?;
    if !stable {
        exit =
            exit.and(Exit::no_verdict(format!("no stable picture in {ATTEMPTS} tries: the broker removes log files")));
    }
    for unread in &snapshot.unread {
        exit = exit.and(Exit::no_verdict(format!("{}: {}", unread.what, unread.why)));
    }
    write(context, (&root, &snapshot, &moved), &exit)?;
    Ok(exit)
}

/// What the broker's configuration says it is.
pub(super) fn identity(conf: &Resolved) -> Identity {
    Identity {
        cluster: Some(conf.broker_cluster_name.value.clone()),
        broker: conf.broker_name.value.clone(),
        broker_id: Some(conf.broker_id.value),
    }
}

fn write(
    context: &mut Context,
    (root, snapshot, moved): (&Path, &Snapshot, &[String]),
    exit: &Exit,
) -> anyhow::Result<()> {
    let path = context.args.output.clone().filter(|path| path != Path::new("-"));
    let ndjson = context.is_ndjson();
    let head = ("mqstore.snapshot", &TargetJson::store(root));
    let body = SnapshotJson { snapshot, moved };
    let out = context.out(&[root])?;
    if path.as_ref().is_some_and(|path| path.extension().is_some_and(|extension| extension == "zst")) {
        let mut packed = zstd::Encoder::new(&mut *out, LEVEL)?;
        packed.include_checksum(true)?;
        json::line(&mut packed, ndjson, head, &body, exit)?;
        packed.finish()?;
    } else {
        json::line(&mut *out, ndjson, head, &body, exit)?;
    }
    if let Some(path) = path {
        context.note(&format!("{}: {}", path.display(), summary(snapshot)));
    }
    Ok(())
}

fn summary(snapshot: &Snapshot) -> String {
    let log = &snapshot.log;
    let queues: usize = snapshot.queues.values().map(Vec::len).sum();
    let offsets: usize = snapshot.consumer_offsets.iter().flat_map(BTreeMap::values).map(BTreeMap::len).sum();
    let digests = log.files.iter().filter(|file| file.digest.is_some()).count();
    format!(
        "log {} to {}, digests of {} of {}, {}, {}",
        number(log.min_offset),
        number(log.max_offset),
        number(digests),
        count(log.files.len() as u64, "log file", "log files"),
        count(queues as u64, "queue", "queues"),
        count(offsets as u64, "consumer offset", "consumer offsets"),
    )
}

#[derive(Debug)]
struct Taken {
    snapshot: Snapshot,
    /// What the broker did meanwhile, as the end of a sentence.
    moved: Vec<String>,
    stable: bool,
}

/// A growing log does no harm, its end is taken once, and a config file is replaced as a whole. Only a log that loses
/// files is looked at again: the beginnings of queues were told by files that are gone.
fn take_stable(context: &Context, store: &Store, options: &SnapshotOptions) -> anyhow::Result<Taken> {
    let bar = context.bar("hashing");
    let mut attempt = 1;
    loop {
        let store = Store::open(store.root(), store.options().clone())?;
        let before = Stamps::read(&store);
        let snapshot = take(&store, options, &bar)?;
        let after = Stamps::read(&Store::open(store.root(), store.options().clone())?);
        let mut moved = before.changed(&after);
        let stable = before.log_min == after.log_min;
        if stable || attempt == ATTEMPTS {
            if !stable {
                moved.push("the oldest files of the log were removed".to_owned());
            } else if snapshot.has_moved(&store)? {
                moved.push(format!("the log went on behind {}", number(snapshot.log.max_offset)));
            }
            return Ok(Taken { snapshot, moved, stable });
        }
        attempt += 1;
    }
}

/// Where the log begins, and what a changed config file shows without being read.
#[derive(Debug)]
struct Stamps {
    log_min: u64,
    config: BTreeMap<PathBuf, (u64, Option<SystemTime>)>,
}

impl Stamps {
    fn read(store: &Store) -> Self {
        let home = store.options().home.as_ref().map(|home| home.join("store/config"));
        let dirs = [Some(store.root().join("config")), home];
        let entries = dirs.into_iter().flatten().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
        // What cannot be listed here is named by the snapshot.
        let config = entries.filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((entry.path(), (metadata.len(), metadata.modified().ok())))
        });
        Self { log_min: store.commitlog().min_offset().get(), config: config.collect() }
    }

    /// The config files that differ, as the end of a sentence. A broker's own `.bak` and `.tmp` come with their file.
    fn changed(&self, later: &Self) -> Vec<String> {
        let names = self.config.keys().chain(later.config.keys().filter(|path| !self.config.contains_key(*path)));
        let changed = names.filter(|path| self.config.get(*path) != later.config.get(*path));
        let changed =
            changed.filter(|path| path.extension().is_none_or(|extension| extension != "bak" && extension != "tmp"));
        changed.map(|path| format!("{} was written", path.file_name().unwrap_or_default().display())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_files_that_changed_are_told_once_and_by_their_own_name() {
        let stamps = |files: &[(&str, u64)]| Stamps {
            log_min: 0,
            config: files.iter().map(|(name, length)| (PathBuf::from("config").join(name), (*length, None))).collect(),
        };
        let before = stamps(&[("topics.json", 5), ("consumerOffset.json", 7), ("consumerOffset.json.bak", 7)]);
        let after = stamps(&[
            ("topics.json", 5),
            ("consumerOffset.json", 8),
            ("consumerOffset.json.bak", 8),
            ("delayOffset.json", 1),
        ]);
        assert_eq!(before.changed(&after), ["consumerOffset.json was written", "delayOffset.json was written"]);
        assert!(before.changed(&before).is_empty());
    }
}
