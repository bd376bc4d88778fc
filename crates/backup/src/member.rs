//! Names of archive members: sections, their order, which names are safe, and which class of file a name stands for.

use std::cmp::Ordering;

use crate::manifest::FileClass;

/// Name of the manifest's member, the last but one.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Name of the last member, for `sha256sum -c`.
pub(crate) const SUMS: &str = "SHA256SUMS";
/// Longest name accepted, in bytes: Linux' `PATH_MAX`.
pub(crate) const MAX_NAME: usize = 4096;

/// A part of the archive, in the order in which the parts come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// `store/…`: the store root.
    Store,
    /// `home/store/config/…`: the files that 3.5.x keeps under the user's home.
    Home,
    /// `program/…`: the broker's program folder.
    Program,
    /// `include/…`: what the user named in addition.
    Include,
    /// `manifest.json`.
    Manifest,
    /// `SHA256SUMS`.
    Sums,
}

impl Section {
    /// What the names of its members start with, without a slash at the end.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Home => "home/store/config",
            Self::Program => "program",
            Self::Include => "include",
            Self::Manifest => MANIFEST,
            Self::Sums => SUMS,
        }
    }

    /// The section that a member name belongs to, a folder's name given without its last slash.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Store, Self::Home, Self::Program, Self::Include, Self::Manifest, Self::Sums]
            .into_iter()
            .find(|section| section.rest_of(name).is_some())
    }

    /// The part of a member name below this section: empty for the section's own folder, `None` for a name of another.
    pub fn rest_of(self, name: &str) -> Option<&str> {
        let rest = name.strip_prefix(self.prefix())?;
        match self {
            Self::Manifest | Self::Sums => rest.is_empty().then_some(rest),
            _ if rest.is_empty() => Some(rest),
            _ => rest.strip_prefix('/'),
        }
    }
}

/// The order of members: by section, in a section by the bytes of the name, where a folder's ends with a slash.
pub(crate) fn compare(a: (&str, bool), b: (&str, bool)) -> Ordering {
    Section::of(a.0).cmp(&Section::of(b.0)).then_with(|| sort_key(a).cmp(sort_key(b)))
}

fn sort_key((name, is_folder): (&str, bool)) -> impl Iterator<Item = u8> {
    name.bytes().chain(is_folder.then_some(b'/'))
}

/// What is wrong with a member name, in words; `None` for a name that is safe to create below a folder.
pub(crate) fn name_problem(name: &str) -> Option<&'static str> {
    if name.len() > MAX_NAME {
        Some("is longer than 4096 bytes")
    } else if name.starts_with('/') {
        Some("is absolute")
    } else if name.chars().any(char::is_control) {
        Some("holds a control character")
    } else if name.split('/').any(|part| part == "..") {
        Some("climbs out with \"..\"")
    } else if name.split('/').any(|part| part.is_empty() || part == ".") {
        Some("has an empty part or \".\"")
    } else if name.split('/').any(|part| part.len() > 255) {
        Some("has a part of more than 255 bytes")
    } else if Section::of(name).is_none() {
        Some("belongs to no section of an archive")
    } else {
        None
    }
}

/// What kind of file a member name stands for.
pub(crate) fn class_of(name: &str) -> FileClass {
    match Section::of(name) {
        Some(Section::Store) => Section::Store.rest_of(name).map_or(FileClass::Other, class_in_store),
        Some(Section::Home) => FileClass::Config,
        Some(Section::Program) => FileClass::Program,
        Some(Section::Include) => FileClass::Include,
        _ => FileClass::Other,
    }
}

fn class_in_store(path: &str) -> FileClass {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    match first {
        "checkpoint" => FileClass::Checkpoint,
        "abort" | "abort.bak" => FileClass::Abort,
        "lock" => FileClass::Lock,
        "config" => class_in_config(rest),
        "index" => FileClass::Index,
        // RocksDB queues lie in the very folder of the file queues, but not in a topic's and queue's folder.
        "consumequeue" if rest.matches('/').count() < 2 => FileClass::Rocksdb,
        "consumequeue" => FileClass::Consumequeue,
        "consumequeue_ext" => FileClass::ConsumequeueExt,
        "batchconsumequeue" => FileClass::Batchconsumequeue,
        "consumequeue_rocksdb" | "kvStore" | "rocksdbstore" | "RocksDBMessageStore" => FileClass::Rocksdb,
        "timerlog" => FileClass::Timer,
        "compaction" => FileClass::Compaction,
        "tiered_index_file" => FileClass::Tiered,
        _ if first.starts_with("timerwheel") => FileClass::Timer,
        _ if first.starts_with("epochFileCheckpoint") || first.starts_with("brokerIdentity") => FileClass::Epoch,
        _ if first.starts_with("dledger-") => FileClass::Dledger,
        _ => FileClass::Other,
    }
}

fn class_in_config(path: &str) -> FileClass {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    match first {
        "timercheck" | "timermetrics" | "timermetrics.bak" => FileClass::Timer,
        "topics" | "subscriptionGroups" | "consumerOffsets" | "rdb" | "users" | "acls" if !rest.is_empty() => {
            FileClass::Rocksdb
        }
        _ => FileClass::Config,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_unsafe() {
        for name in ["store/../x", "/store/x", "../x", "store//x", "store/./x", "x", "store/", "storex/y", "", "home/x"]
        {
            assert!(name_problem(name).is_some(), "{name}");
        }
        assert_eq!(name_problem(&format!("store/{}", "t".repeat(256))), Some("has a part of more than 255 bytes"));
        for name in ["store", "store/x", "store/%RETRY%g/0/..x", "home/store/config/topics.json", MANIFEST, SUMS] {
            assert_eq!(name_problem(name), None, "{name}");
        }
    }

    #[test]
    fn sections_come_in_the_order_of_the_contract_and_names_in_byte_order() {
        let names =
            ["store", "store/a-b", "store/a", "home/store/config/x", "program/bin", "include/x", MANIFEST, SUMS];
        let folders = [true, false, true, false, true, false, false, false];
        let list: Vec<_> = names.into_iter().zip(folders).collect();
        assert!(list.windows(2).all(|w| compare(w[0], w[1]) == Ordering::Less), "{list:?}");
    }

    #[test]
    fn the_class_follows_the_place_in_the_store() {
        for (name, class) in [
            ("store/consumequeue/TopicTest/0/00000000000000000000", FileClass::Consumequeue),
            ("store/consumequeue/CURRENT", FileClass::Rocksdb),
            ("store/config/topics.json.bak", FileClass::Config),
            ("store/config/topics/CURRENT", FileClass::Rocksdb),
            ("store/config/timercheck", FileClass::Timer),
            ("store/dledger-n0/index/00000000000000000000", FileClass::Dledger),
            ("store/brokerIdentity-temp", FileClass::Epoch),
            ("home/store/config/topics.json", FileClass::Config),
            ("program/bin/mqbroker", FileClass::Program),
            ("store/notes.txt", FileClass::Other),
        ] {
            assert_eq!(class_of(name), class, "{name}");
        }
    }
}
