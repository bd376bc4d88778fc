//! Arguments of `backup`.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand, ValueEnum};

use super::{AlsoArgs, StoreArgs};

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
    Restore(RestoreArgs),
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

    /// Show what would be archived, write nothing
    #[arg(long, help_heading = "Archive", env = "MQSTORE_DRY_RUN", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) dry_run: bool,

    /// Compression level of zstd
    #[arg(long, help_heading = "Archive", value_name = "1-19", default_value_t = 3, env = "MQSTORE_LEVEL", hide_env = true, value_parser = clap::value_parser!(i32).range(1..=19))]
    pub(crate) level: i32,

    /// Threads that compress; the archive does not depend on it
    #[arg(short, long, help_heading = "Archive", value_name = "N", default_value_t = 1, env = "MQSTORE_JOBS", hide_env = true, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) jobs: u32,

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
}

/// What is in an archive, by its manifest
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[arg(value_name = "ARCHIVE")]
    pub(crate) archive: PathBuf,
}

/// Is every byte of an archive still right
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The archive, or - for standard input
    #[arg(value_name = "ARCHIVE")]
    pub(crate) archive: PathBuf,

    #[command(flatten)]
    pub(crate) also: AlsoArgs,
}

/// Put an archive back, into a folder that is empty or not there yet
///
/// The whole archive is verified before anything appears under its name.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[arg(value_name = "ARCHIVE")]
    pub(crate) archive: PathBuf,

    /// New store root
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
}
