//! Arguments of `diff`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mqstore_check::diff::{Area, Limits, Relation, Which};

use super::units::parse_duration_ms;
use super::units::parse_size;
use super::{AlsoArgs, ChainArgs};

/// Master against slave, or before against after: who is ahead, by how much, where do they part
///
/// Each side is a store, a snapshot, or a backup archive, recognised by its content. A broker may run on a store.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Store root, snapshot or backup archive
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,

    /// The same of the other side
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,

    /// What the sides are to each other; auto tells master and slave by their files
    #[arg(long, value_enum, default_value_t, env = "MQSTORE_RELATION", hide_env = true)]
    pub(crate) relation: RelationArg,

    /// Leave this area out: log, queues, offsets, delay, timer or config
    #[arg(long, value_name = "AREA", value_delimiter = ',', env = "MQSTORE_IGNORE", hide_env = true)]
    pub(crate) ignore: Vec<Area>,

    /// Threads that compare the logs of two stores; the answer is the same with any number [default: as many as there are
    /// processors]
    #[arg(short, long, value_name = "N", env = "MQSTORE_JOBS", hide_env = true, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) jobs: Option<u32>,

    #[command(flatten)]
    pub(crate) chain: ChainArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) watch: WatchArgs,

    #[command(flatten)]
    pub(crate) merge: MergeArgs,

    #[command(flatten)]
    pub(crate) places: PlacesArgs,

    #[command(flatten)]
    pub(crate) also: AlsoArgs,
}

/// Without any limit nothing may be missing.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
#[expect(clippy::struct_field_names, reason = "they are the names of the flags")]
pub(crate) struct LimitArgs {
    /// Bytes of log that the shorter side may lack, as 1MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size, env = "MQSTORE_MAX_LAG_BYTES", hide_env = true)]
    pub(crate) max_lag_bytes: Option<u64>,

    /// Messages that it may lack, and that an offset may lag
    #[arg(long, value_name = "N", env = "MQSTORE_MAX_LAG_MESSAGES", hide_env = true)]
    pub(crate) max_lag_messages: Option<u64>,

    /// Time between the last messages of both, as 3s
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ms, env = "MQSTORE_MAX_LAG_TIME", hide_env = true)]
    pub(crate) max_lag_time: Option<u64>,
}

impl From<&LimitArgs> for Limits {
    fn from(args: &LimitArgs) -> Self {
        Self {
            max_lag_bytes: args.max_lag_bytes,
            max_lag_messages: args.max_lag_messages,
            max_lag_ms: args.max_lag_time,
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Waiting")]
pub(crate) struct WatchArgs {
    /// Compare anew so often until the sides are within the limits, as 5s
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ms, env = "MQSTORE_WATCH", hide_env = true)]
    pub(crate) watch: Option<u64>,

    /// Give up after this time, as 10m [default: never]
    #[arg(
        long,
        value_name = "TIME",
        requires = "watch",
        value_parser = parse_duration_ms,
        env = "MQSTORE_TIMEOUT",
        hide_env = true
    )]
    pub(crate) timeout: Option<u64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Merged offsets")]
pub(crate) struct MergeArgs {
    /// Write a consumerOffset.json with the larger offset of each queue to a new file
    #[arg(long, value_name = "FILE", env = "MQSTORE_MERGE_OFFSETS", hide_env = true)]
    pub(crate) merge_offsets: Option<PathBuf>,

    /// The side whose queues bound the offsets [default: the master, or what came after]
    #[arg(
        long,
        value_name = "SIDE",
        requires = "merge_offsets",
        value_enum,
        env = "MQSTORE_MERGE_FOR",
        hide_env = true
    )]
    pub(crate) merge_for: Option<SideArg>,

    /// Release that will read the file, and that configuration is read as [default: the one that the marks tell]
    #[arg(long, value_name = "RELEASE", env = "MQSTORE_RELEASE", hide_env = true)]
    pub(crate) release: Option<String>,
}

/// Where the parts of a side lie that is a store.
#[derive(Debug, Args)]
#[command(next_help_heading = "Stores")]
pub(crate) struct PlacesArgs {
    /// Configuration file of the broker of A
    #[arg(long, value_name = "FILE", env = "MQSTORE_BROKER_CONF_A", hide_env = true)]
    pub(crate) broker_conf_a: Option<PathBuf>,

    /// Configuration file of the broker of B
    #[arg(long, value_name = "FILE", env = "MQSTORE_BROKER_CONF_B", hide_env = true)]
    pub(crate) broker_conf_b: Option<PathBuf>,

    /// Folder of A's commit log, where that is not below its root; may be given more than once
    #[arg(long, value_name = "DIR", env = "MQSTORE_COMMITLOG_A", hide_env = true)]
    pub(crate) commitlog_a: Vec<PathBuf>,

    /// The same for B
    #[arg(long, value_name = "DIR", env = "MQSTORE_COMMITLOG_B", hide_env = true)]
    pub(crate) commitlog_b: Vec<PathBuf>,

    /// Home folder of the user of the broker of A: 3.5.x keeps topics and groups in DIR/store/config
    #[arg(long, value_name = "DIR", env = "MQSTORE_HOME_A", hide_env = true)]
    pub(crate) home_a: Option<PathBuf>,

    /// The same for B
    #[arg(long, value_name = "DIR", env = "MQSTORE_HOME_B", hide_env = true)]
    pub(crate) home_b: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SideArg {
    A,
    B,
}

impl From<SideArg> for Which {
    fn from(side: SideArg) -> Self {
        match side {
            SideArg::A => Self::A,
            SideArg::B => Self::B,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RelationArg {
    #[default]
    Auto,
    MasterSlave,
    SlaveMaster,
    BeforeAfter,
}

impl From<RelationArg> for Relation {
    fn from(relation: RelationArg) -> Self {
        match relation {
            RelationArg::Auto => Self::Auto,
            RelationArg::MasterSlave => Self::MasterSlave,
            RelationArg::SlaveMaster => Self::SlaveMaster,
            RelationArg::BeforeAfter => Self::BeforeAfter,
        }
    }
}
