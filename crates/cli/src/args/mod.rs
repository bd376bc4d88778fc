//! What the user typed, as typed. Nothing is opened here.

mod backup;
mod boot;
mod diff;
pub(crate) mod examples;
mod fleet;
mod inspect;
mod preflight;
mod snapshot;
mod units;
mod verify;

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use backup::{
    BackupArgs, BackupCommand, CreateArgs, ListArgs, PruneArgs, RestoreArgs, ShowArgs, Sums, UndoArgs, VerifyArgs,
};
pub(crate) use boot::BootArgs;
pub(crate) use diff::{DiffArgs, LimitArgs, MergeArgs};
pub(crate) use fleet::FleetArgs;
pub(crate) use inspect::{
    BodyForm, CheckpointArgs, CommitlogArgs, ConfigArgs, IndexArgs, InspectArgs, InspectCommand, OffsetsArgs,
    PendingArgs, QueuesArgs, TimerArgs,
};
pub(crate) use preflight::PreflightArgs;
pub(crate) use snapshot::SnapshotArgs;
pub(crate) use verify::{IoArg, VerifyStoreArgs};

const EXIT_CODES: &str = "\
Exit codes:
    0  ran to the end over all that was asked
    1  found damage, a difference, or a start that does harm
    2  could not run: usage, not a store, nothing matches, I/O error
    3  no verdict: something was skipped, unreadable or unsupported
    4  refused for safety
  130  interrupted";

/// Reads, proves and backs up Apache RocketMQ broker stores without a broker
#[derive(Debug, Parser)]
#[command(name = "mqstore", version, after_help = EXIT_CODES, disable_help_subcommand = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Inspect(InspectArgs),
    Verify(VerifyStoreArgs),
    Backup(BackupArgs),
    Snapshot(SnapshotArgs),
    Diff(DiffArgs),
    Boot(BootArgs),
    Preflight(PreflightArgs),
    Fleet(FleetArgs),
    Releases(ReleasesArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Completions for a shell, on standard output
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that is to complete
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Write the man pages of all commands into a folder
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// An existing folder, or one to make; pages of the same names are replaced
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// What is known about each broker release
#[derive(Debug, Args)]
pub(crate) struct ReleasesArgs {
    /// Show everything that is known about this one
    #[arg(value_name = "RELEASE")]
    pub(crate) release: Option<String>,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct CommonArgs {
    /// Form of the answer: for people, one JSON document, or one JSON object a line
    #[arg(long, global = true, value_enum, default_value_t, env = "MQSTORE_FORMAT", hide_env = true)]
    pub(crate) format: Format,

    /// Write to a file, which appears only when it is complete [default: standard output]
    #[arg(short, long, global = true, value_name = "FILE", env = "MQSTORE_OUTPUT", hide_env = true)]
    pub(crate) output: Option<PathBuf>,

    /// No notes and no progress, only errors
    #[arg(short, long, global = true, env = "MQSTORE_QUIET", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) quiet: bool,

    /// Show more detail in text output
    #[arg(short, long, global = true, env = "MQSTORE_VERBOSE", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) verbose: bool,

    /// Progress on standard error; auto is on a terminal
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        env = "MQSTORE_PROGRESS",
        hide_env = true
    )]
    pub(crate) progress: When,

    /// Colors; auto is on a terminal
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        env = "MQSTORE_COLOR",
        hide_env = true
    )]
    pub(crate) color: When,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Ndjson,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    #[default]
    Auto,
    Always,
    Never,
}

/// Files that a command writes beside its answer.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Also")]
pub(crate) struct AlsoArgs {
    /// Also write the result as metrics for Prometheus, in the format of its textfile collector; replaced as a whole
    #[arg(long, value_name = "FILE.prom", env = "MQSTORE_TEXTFILE", hide_env = true)]
    pub(crate) textfile: Option<PathBuf>,

    /// Also write the result as one self-contained HTML page
    #[arg(long, value_name = "FILE.html", env = "MQSTORE_REPORT", hide_env = true)]
    pub(crate) report: Option<PathBuf>,
}

/// Where the archives lie that an incremental one refers to.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChainArgs {
    /// Folder to look in for the earlier archives of an incremental one, besides its own; may be given several times
    #[arg(long = "chain", value_name = "DIR", env = "MQSTORE_CHAIN", hide_env = true)]
    pub(crate) folders: Vec<PathBuf>,
}

/// Which store, and what its folder does not tell.
#[derive(Debug, Clone, Args)]
pub(crate) struct StoreArgs {
    /// Store root: the folder that holds commitlog and consumequeue
    #[arg(value_name = "STORE")]
    pub(crate) store: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// Where the parts of a store lie.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct PlaceArgs {
    /// Folder of the commit log, if not STORE/commitlog; may be given several times
    #[arg(long, value_name = "DIR", env = "MQSTORE_COMMITLOG", hide_env = true, value_delimiter = ',')]
    pub(crate) commitlog: Vec<PathBuf>,

    /// The broker's configuration file: paths and sizes are read from it
    #[arg(short = 'c', long, value_name = "FILE", env = "MQSTORE_BROKER_CONF", hide_env = true)]
    pub(crate) broker_conf: Option<PathBuf>,

    /// Read configuration as this release does [default: the one that the store's marks tell]
    #[arg(long, value_name = "RELEASE", env = "MQSTORE_RELEASE", hide_env = true)]
    pub(crate) release: Option<String>,

    /// Home folder of the broker's user: 3.5.x keeps topics and groups in DIR/store/config
    #[arg(long, value_name = "DIR", env = "MQSTORE_HOME", hide_env = true)]
    pub(crate) home: Option<PathBuf>,

    /// A broker runs on the store: what is read may move [default: ask the lock]
    #[arg(long, conflicts_with = "stopped", env = "MQSTORE_LIVE", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) live: bool,

    /// No broker runs on the store, whatever the lock says
    #[arg(long, env = "MQSTORE_STOPPED", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) stopped: bool,
}
