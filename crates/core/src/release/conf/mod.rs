//! `broker.conf` (`mqbroker -c FILE`), read as a given release reads it.
//!
//! The file is a Java properties file. For every setter `setXxx` of `BrokerConfig`, `NettyServerConfig`, `NettyClientConfig` and
//! `MessageStoreConfig` the broker looks up the key `xxx` (`MixAll.properties2Object`); it swallows every error on the way. So
//! a key that has no setter in this release, and a number that does not parse, are ignored without a word, and the default
//! is used. Which keys exist changed over the releases, and with them where the store is and how large its files are:
//! [`BrokerConf::resolve`] answers for one release, [`BrokerConf::lint`] names what it ignores.
//!
//! ```
//! use std::path::Path;
//! use mqstore_core::release::{Release, conf::{BrokerConf, Origin}};
//!
//! let conf = BrokerConf::parse(b"storePathRootDir=/data/store\nmapedFileSizeCommitLog = 1048576\n")?;
//! let old = conf.resolve(Release::V3_5_8, Path::new("/home/mq"));
//! assert_eq!(old.mapped_file_size_commit_log.value, 1_048_576);
//! assert_eq!(old.commit_log_paths.value, [Path::new("/home/mq/store/commitlog")]);
//! let new = conf.resolve(Release::V4_9_7, Path::new("/home/mq"));
//! assert_eq!((new.mapped_file_size_commit_log.value, new.mapped_file_size_commit_log.origin), (1 << 30, Origin::Default));
//! assert_eq!(new.commit_log_paths.value, [Path::new("/data/store/commitlog")]);
//! # Ok::<(), mqstore_core::release::conf::BadEscape>(())
//! ```

use std::fs;
use std::path::Path;

mod keys;
mod lint;
mod properties;
mod resolve;

pub use keys::{ConfKey, ValueKind};
pub use lint::{ConfNote, ConfProblem, NoteLevel};
pub use properties::{BadEscape, Entry};
pub use resolve::{DLedgerConf, Origin, Resolved, Value};

use super::Release;
use crate::StoreError;

/// The entries of a `broker.conf`, with their line numbers. Comments are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerConf {
    entries: Vec<Entry>,
}

impl BrokerConf {
    /// Reads the file at `path`. A malformed `\u` escape is [`StoreError::Layout`]: no broker starts with such a file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| StoreError::io("read", path, source))?;
        Self::parse(&bytes).map_err(|problem| StoreError::layout(path, problem.to_string()))
    }

    /// Parses the bytes of a properties file as `java.util.Properties.load` does: ISO-8859-1, `#` and `!` comments, lines
    /// continued by `\`, keys ended by `=`, `:` or a blank. Blanks at the end of a value stay part of it.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadEscape> {
        Ok(Self { entries: properties::parse(bytes)? })
    }

    /// All entries in the order of the file, those overwritten by a later one included.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry that counts for a key: the last one.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rfind(|entry| entry.key == key)
    }

    /// Where the store lies and how large its files are, as `release` reads this file. `home` is the broker's `$HOME`
    /// (Java's `user.home`).
    pub fn resolve(&self, release: Release, home: &Path) -> Resolved {
        resolve::resolve(self, release, home)
    }

    /// What `release` ignores or takes in a way the operator may not expect, in the order of the file.
    pub fn lint(&self, release: Release) -> Vec<ConfNote> {
        lint::lint(self, release)
    }
}

#[cfg(test)]
mod tests;
