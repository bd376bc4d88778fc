//! Arguments of `backup`.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand, ValueEnum};
use mqstore_backup::in_place::{Offsets, Way, What};

use super::units::{parse_duration_ms, parse_size};
use super::{AlsoArgs, ChainArgs, StoreArgs};
use crate::glob::Glob;

/// Archive everything except the commit log, prove the archive, put it back
#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    pub(crate) command: BackupCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    Create(CreateArgs),
    List(ListArgs),
    Show(ShowArgs),
    Verify(VerifyArgs),
    Prune(PruneArgs),
    Restore(RestoreArgs),
    Undo(UndoArgs),
}

/// Archive everything except the commit log, with a manifest that proves it
///
/// The archive is a plain .tar.zst, written to --output: a new file, a folder that gets one named after broker and time,
/// or - for standard output. With --broker-conf that file is archived, too.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Also archive the broker's program folder
    #[arg(long, value_name = "DIR", help_heading = "Content", env = "MQSTORE_PROGRAM", hide_env = true)]
    pub(crate) program: Option<PathBuf>,

    /// Also archive this file or folder; may be given several times
    #[arg(long, value_name = "PATH", help_heading = "Content", env = "MQSTORE_INCLUDE", hide_env = true)]
    pub(crate) include: Vec<PathBuf>,

    /// Store only files that differ by checksum from those of this archive, and refer to it for the rest; it may be
    /// incremental itself, and has to be kept
    #[arg(long, value_name = "ARCHIVE", help_heading = "Content", env = "MQSTORE_SINCE", hide_env = true)]
    pub(crate) since: Option<PathBuf>,

    /// Folder to look in for the archives that the one of --since refers to, besides its own; may be given several times
    #[arg(long, value_name = "DIR", help_heading = "Content", env = "MQSTORE_CHAIN", hide_env = true)]
    pub(crate) chain: Vec<PathBuf>,

    /// Leave out files whose name in the archive matches, as '*.yml'; may be given several times
    #[arg(long, value_name = "GLOB", help_heading = "Content", env = "MQSTORE_EXCLUDE", hide_env = true)]
    pub(crate) exclude: Vec<Glob>,

    /// Show what would be archived, write nothing
    #[arg(long, help_heading = "Archive", env = "MQSTORE_DRY_RUN", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) dry_run: bool,

    /// Compression level of zstd
    #[arg(long, help_heading = "Archive", value_name = "1-19", default_value_t = 3, env = "MQSTORE_LEVEL", hide_env = true, value_parser = clap::value_parser!(i32).range(1..=19))]
    pub(crate) level: i32,

    /// Read no faster than this, as 50MiB a second
    #[arg(long, help_heading = "Archive", value_name = "RATE", value_parser = parse_size, env = "MQSTORE_LIMIT_RATE", hide_env = true)]
    pub(crate) limit_rate: Option<u64>,

    /// Afterwards remove older archives of the same broker in that folder but for the newest N, once the new one is verified
    #[arg(long, help_heading = "Archive", value_name = "N", env = "MQSTORE_KEEP", hide_env = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: Option<u32>,

    /// Threads that compress and hash; the archive does not depend on it [default: as many as there are processors]
    #[arg(short, long, help_heading = "Archive", value_name = "N", env = "MQSTORE_JOBS", hide_env = true, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) jobs: Option<u32>,

    /// Read the archive back from disk when it is written, and compare every byte with its manifest
    #[arg(long, env = "MQSTORE_VERIFY", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) verify: bool,

    /// Which files to list in SHA256SUMS: all, or only those that are not almost all hole
    #[arg(
        long,
        help_heading = "Archive",
        value_name = "FILES",
        value_enum,
        default_value_t,
        env = "MQSTORE_SUMS",
        hide_env = true
    )]
    pub(crate) sums: Sums,

    #[command(flatten)]
    pub(crate) also: AlsoArgs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sums {
    #[default]
    Dense,
    All,
}

/// Archives in a folder, by their manifests
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Folder that holds *.tar.zst
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) chain: ChainArgs,
}

/// What is in an archive, by its manifest; or the content of one file
///
/// With FILE, as store/config/topics.json, only the part of the archive is read that holds it, and what is written is compared
/// with the manifest.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[arg(value_name = "ARCHIVE")]
    pub(crate) archive: PathBuf,

    /// Write the content of this file, named as --verbose lists it
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<String>,

    #[command(flatten)]
    pub(crate) chain: ChainArgs,
}

/// Is every byte of an archive still right, and is what it holds a sound store
///
/// First the bytes, by manifest, checksums and footer; then the content, as a store without commit log, unpacked into a
/// temporary folder (TMPDIR) that goes away again. With --store also whether the log beside that store is still the one
/// that the backup needs, as far as it needs it. An incremental archive is verified with the earlier ones that it needs.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The archive, or - for standard input
    #[arg(value_name = "ARCHIVE")]
    pub(crate) archive: PathBuf,

    /// Only the bytes, nothing is unpacked; so is an archive from standard input
    #[arg(long, env = "MQSTORE_BYTES_ONLY", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) bytes_only: bool,

    #[command(flatten)]
    pub(crate) chain: ChainArgs,

    /// Store whose commit log is to carry the backup
    #[arg(long, value_name = "STORE", env = "MQSTORE_STORE", hide_env = true)]
    pub(crate) store: Option<PathBuf>,

    /// Folder of that store's commit log, if not STORE/commitlog; may be given several times
    #[arg(
        long,
        value_name = "DIR",
        requires = "store",
        value_delimiter = ',',
        env = "MQSTORE_COMMITLOG",
        hide_env = true
    )]
    pub(crate) commitlog: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) also: AlsoArgs,
}

/// Remove old archives from a folder, broker by broker
///
/// An archive stays if one of the rules keeps it. Before any of a broker goes, one that stays is verified; if none of those
/// is right, the newest right one of the others stays, too. What an incremental archive that stays needs, stays with it. Files
/// that are no archives, and archives that do not name their broker, are never touched.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Folder that holds *.tar.zst
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,

    /// Keep the newest N of each broker
    #[arg(long, value_name = "N", env = "MQSTORE_KEEP_LAST", hide_env = true, required_unless_present = "keep_within", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep_last: Option<u32>,

    /// Keep those younger than this, as 30d
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ms, env = "MQSTORE_KEEP_WITHIN", hide_env = true)]
    pub(crate) keep_within: Option<u64>,

    /// Say what would go, remove nothing
    #[arg(long, env = "MQSTORE_DRY_RUN", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) dry_run: bool,
}

/// Put an archive back: into a new folder, or in place beside the commit log, safely for the release that will start
///
/// The whole archive is verified before anything changes. Without --release it is unpacked into a folder that is empty or
/// not there yet. With --release it takes the place of what is in STORE: the start of that release on the result is
/// simulated first, and of the ways to do it the one is taken that loses least. What was there is kept beside STORE, and
/// the commit log is never touched.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[arg(value_name = "ARCHIVE")]
    pub(crate) archive: PathBuf,

    /// Store root; a new one without --release
    #[arg(long, value_name = "STORE", env = "MQSTORE_TO", hide_env = true)]
    pub(crate) to: PathBuf,

    /// Home folder of the broker's user, for the files of 3.5.x in DIR/store/config
    #[arg(long, value_name = "DIR", env = "MQSTORE_HOME", hide_env = true)]
    pub(crate) home: Option<PathBuf>,

    /// New program folder
    #[arg(long, value_name = "DIR", env = "MQSTORE_PROGRAM", hide_env = true)]
    pub(crate) program: Option<PathBuf>,

    /// New folder for what was archived with --include
    #[arg(long, value_name = "DIR", env = "MQSTORE_INCLUDE", hide_env = true)]
    pub(crate) include: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) chain: ChainArgs,

    #[command(flatten)]
    pub(crate) in_place: InPlaceArgs,
}

/// How to restore beside a commit log that went on.
#[derive(Debug, Args)]
#[command(next_help_heading = "In place")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct InPlaceArgs {
    /// The release that will start: restore in place, safely for it
    #[arg(long, value_name = "RELEASE", env = "MQSTORE_RELEASE", hide_env = true)]
    pub(crate) release: Option<String>,

    /// Show the plan, change nothing; needs room for the unpacked backup all the same
    #[arg(long, requires = "release", env = "MQSTORE_DRY_RUN", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) dry_run: bool,

    /// The configuration file that the release will start with
    #[arg(short = 'c', long, value_name = "FILE", env = "MQSTORE_BROKER_CONF", hide_env = true)]
    pub(crate) broker_conf: Option<PathBuf>,

    /// Folder of the commit log, if not STORE/commitlog; may be given several times
    #[arg(long, value_name = "DIR", env = "MQSTORE_COMMITLOG", hide_env = true, value_delimiter = ',')]
    pub(crate) commitlog: Vec<PathBuf>,

    /// Which part to restore [default: the one that loses least]
    #[arg(long, requires = "release", value_enum, value_name = "PART", env = "MQSTORE_WHAT", hide_env = true)]
    pub(crate) what: Option<WhatArg>,

    /// Take this way, if it is safe [default: the one that loses least]
    #[arg(long, requires = "release", value_enum, value_name = "WAY", env = "MQSTORE_WAY", hide_env = true)]
    pub(crate) way: Option<WayArg>,

    /// Consumer and delay offsets [default: min, with --what queues current]
    #[arg(long, requires = "release", value_enum, value_name = "WHOSE", env = "MQSTORE_OFFSETS", hide_env = true)]
    pub(crate) offsets: Option<OffsetsArg>,

    /// Drop the topics and groups that are younger than the backup
    #[arg(long, requires = "release", env = "MQSTORE_EXACT_CONFIG", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) exact_config: bool,

    /// The backup may be of a broker with another name, cluster or id
    #[arg(long, requires = "release", env = "MQSTORE_OTHER_BROKER", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) other_broker: bool,

    /// No broker runs on the store although abort is there and no lock tells
    #[arg(long, env = "MQSTORE_STOPPED", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) stopped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhatArg {
    /// Topics, groups and offsets
    Config,
    /// Queues, index and checkpoint
    Queues,
    /// Everything
    All,
}

impl From<WhatArg> for What {
    fn from(what: WhatArg) -> Self {
        match what {
            WhatArg::Config => Self::Config,
            WhatArg::Queues => Self::Queues,
            WhatArg::All => Self::All,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WayArg {
    /// Everything as archived, no abort
    AsArchived,
    /// Configuration only, the queues stay
    ConfigOnly,
    /// Old queues with their own checkpoint, and an empty abort
    Abort,
    /// Old queues without a checkpoint, and an empty abort
    AbortWithoutCheckpoint,
    /// No queues, index and checkpoint, and an empty abort
    Rebuild,
}

impl From<WayArg> for Way {
    fn from(way: WayArg) -> Self {
        match way {
            WayArg::AsArchived => Self::AsArchived,
            WayArg::ConfigOnly => Self::ConfigOnly,
            WayArg::Abort => Self::Abort,
            WayArg::AbortWithoutCheckpoint => Self::AbortWithoutCheckpoint,
            WayArg::Rebuild => Self::Rebuild,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OffsetsArg {
    /// Those of the backup; groups that are younger have none
    Backup,
    /// The present ones
    Current,
    /// The higher of both: nothing comes twice
    Max,
    /// The lower of both: nothing is skipped
    Min,
}

impl From<OffsetsArg> for Offsets {
    fn from(offsets: OffsetsArg) -> Self {
        match offsets {
            OffsetsArg::Backup => Self::Backup,
            OffsetsArg::Current => Self::Current,
            OffsetsArg::Max => Self::Max,
            OffsetsArg::Min => Self::Min,
        }
    }
}

/// Take the last restoration back, also one that was interrupted
///
/// What is in the store now is kept: a second undo puts that back.
#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// Store root
    #[arg(value_name = "STORE")]
    pub(crate) store: PathBuf,

    /// The folder STORE.before-TIME to put back [default: the newest]
    #[arg(long, value_name = "DIR", env = "MQSTORE_FROM", hide_env = true)]
    pub(crate) from: Option<PathBuf>,

    /// The release that will start: needed if the log went on since the restoration
    #[arg(long, value_name = "RELEASE", env = "MQSTORE_RELEASE", hide_env = true)]
    pub(crate) release: Option<String>,

    /// The configuration file that the release will start with
    #[arg(short = 'c', long, value_name = "FILE", env = "MQSTORE_BROKER_CONF", hide_env = true)]
    pub(crate) broker_conf: Option<PathBuf>,

    /// Home folder of the broker's user
    #[arg(long, value_name = "DIR", env = "MQSTORE_HOME", hide_env = true)]
    pub(crate) home: Option<PathBuf>,

    /// No broker runs on the store although abort is there and no lock tells
    #[arg(long, env = "MQSTORE_STOPPED", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) stopped: bool,
}
