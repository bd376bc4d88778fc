//! Why a backup, a verification or a restore could not run or was refused.

use std::io;
use std::path::{Path, PathBuf};

use mqstore_check::{Finding, Report};

use crate::chain::MissingArchive;

/// Why work on a backup ended without a result.
///
/// [`is_refusal`](BackupError::is_refusal) tells a refusal for safety, where nothing was tried, from a failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb: `open`, `read`, `write`, `sync`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The archive could not be written to the stream given.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
    /// The archive could not be read from the stream given.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// A broker runs on the store, and a live backup was not asked for.
    #[error("a broker holds the lock of {}: stop it, or ask for a live backup", root.display())]
    BrokerRunning {
        /// The store root.
        root: PathBuf,
    },
    /// The files do not tell whether a broker runs, and nobody said so.
    #[error(
        "abort is there in {}, and no release before 4.2.0 takes a lock: a broker runs on it or was killed",
        root.display()
    )]
    BrokerMayRun {
        /// The store root.
        root: PathBuf,
    },
    /// The folder or the options make no sense.
    #[error("{}: {problem}", path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// Expected and found, in words.
        problem: String,
    },
    /// The archive would become part of what it archives.
    #[error("the archive {} would lie inside {}, which it backs up", archive.display(), source_root.display())]
    ArchiveInsideSource {
        /// Where the archive was to be written.
        archive: PathBuf,
        /// The folder that is backed up.
        source_root: PathBuf,
    },
    /// There is already something under the name.
    #[error("{} exists already", path.display())]
    Exists {
        /// The archive or folder.
        path: PathBuf,
    },
    /// The folder to restore into holds something.
    #[error("{} is not empty, it holds {}", path.display(), found)]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// Name of one entry of it.
        found: String,
    },
    /// Another process writes the same archive or restores into the same folder.
    #[error("another process is writing {}", path.display())]
    InUse {
        /// The partial file or folder.
        path: PathBuf,
    },
    /// The archive is not what its manifest says, or its manifest cannot be read; nothing was restored.
    #[error("the archive cannot be relied on: {}", summary(report))]
    Damaged {
        /// All findings, and what could not be read.
        report: Box<Report>,
    },
    /// Earlier archives that hold files of an incremental one were not found; nothing was touched.
    #[error("{}", in_words(missing))]
    MissingArchives {
        /// Each of them, and where it was looked for.
        missing: Vec<MissingArchive>,
    },
    /// It would be unsafe; nothing was touched.
    #[error("{}: {problem}", path.display())]
    Refused {
        /// What the refusal is about: the store, its log, a file of it.
        path: PathBuf,
        /// Expected and found, in words.
        problem: String,
        /// What to do instead, if there is something safe.
        instead: Option<String>,
    },
    /// An earlier restoration was stopped in the middle of the switch.
    #[error("a restoration of {} was interrupted, its journal is {}", root.display(), journal.display())]
    Interrupted {
        /// The store root.
        root: PathBuf,
        /// The journal.
        journal: PathBuf,
    },
    /// The switch failed and could not be taken back either.
    #[error("{} is switched in part and could not be taken back ({problem}), its journal is {}", root.display(), journal.display())]
    HalfSwitched {
        /// The store root.
        root: PathBuf,
        /// The journal, by which the next run goes on.
        journal: PathBuf,
        /// Why taking back failed.
        problem: String,
        /// Why the switch failed.
        source: Box<BackupError>,
    },
    /// The start of a release on the restored store cannot be predicted.
    #[error(transparent)]
    Boot(#[from] mqstore_check::boot::BootError),
    /// The store to restore into cannot be read.
    #[error(transparent)]
    Store(#[from] mqstore_core::StoreError),
    /// The caller asked to stop; what was half done is removed.
    #[error("interrupted")]
    Cancelled,
}

impl BackupError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }

    pub(crate) fn unusable(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Unusable { path: path.as_ref().to_path_buf(), problem: problem.into() }
    }

    pub(crate) fn refused(
        path: impl AsRef<Path>,
        problem: impl Into<String>,
        instead: impl Into<Option<&'static str>>,
    ) -> Self {
        let instead = instead.into().map(str::to_owned);
        Self::Refused { path: path.as_ref().to_path_buf(), problem: problem.into(), instead }
    }

    /// Whether this is a refusal for safety (exit code 4) rather than a failure (2).
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::BrokerRunning { .. }
                | Self::BrokerMayRun { .. }
                | Self::ArchiveInsideSource { .. }
                | Self::Exists { .. }
                | Self::NotEmpty { .. }
                | Self::InUse { .. }
                | Self::MissingArchives { .. }
                | Self::Refused { .. }
                | Self::Interrupted { .. }
        )
    }
}

fn in_words(missing: &[MissingArchive]) -> String {
    let each: Vec<String> = missing.iter().map(|one| format!("{} {}", one.name(), one.problem())).collect();
    each.join("; ")
}

fn summary(report: &Report) -> String {
    let first = report.findings().first().map(|finding: &Finding| finding.message.clone());
    let skipped = || report.coverage.skipped.first().map(|skipped| format!("{}: {}", skipped.what, skipped.why));
    let first = first.or_else(skipped).unwrap_or_default();
    match report.counts().error {
        0 | 1 => first,
        count => format!("{first}, and {} more findings", count - 1),
    }
}
