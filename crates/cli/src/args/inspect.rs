//! Arguments of `inspect`.

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand, ValueEnum};

use super::StoreArgs;
use crate::glob::Glob;
use crate::time::parse_ms;

/// Show what a store is, or what one part of it holds
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "A store in a folder named like one of the commands is given as ./NAME."
)]
pub(crate) struct InspectArgs {
    #[command(subcommand)]
    pub(crate) command: Option<InspectCommand>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InspectCommand {
    Commitlog(CommitlogArgs),
    Queues(QueuesArgs),
    Index(IndexArgs),
    Checkpoint(CheckpointArgs),
    Config(ConfigArgs),
    Offsets(OffsetsArgs),
    Timer(TimerArgs),
    Pending(PendingArgs),
}

/// Records of the commit log, or of one file of it
#[derive(Debug, Args)]
pub(crate) struct CommitlogArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Only topics that match; * and ? are wild, may be given several times
    #[arg(
        long,
        value_name = "GLOB",
        help_heading = "Selection",
        env = "MQSTORE_TOPIC",
        hide_env = true,
        value_delimiter = ','
    )]
    pub(crate) topic: Vec<Glob>,

    /// Only these queues
    #[arg(
        long,
        value_name = "GLOB",
        help_heading = "Selection",
        env = "MQSTORE_QUEUE",
        hide_env = true,
        value_delimiter = ','
    )]
    pub(crate) queue: Vec<Glob>,

    /// Only messages with such a tag
    #[arg(
        long,
        value_name = "GLOB",
        help_heading = "Selection",
        env = "MQSTORE_TAG",
        hide_env = true,
        value_delimiter = ','
    )]
    pub(crate) tag: Vec<Glob>,

    /// Only messages with such a key or unique id
    #[arg(long, value_name = "GLOB", help_heading = "Selection", env = "MQSTORE_KEY", hide_env = true)]
    pub(crate) key: Vec<Glob>,

    #[command(flatten)]
    pub(crate) range: RangeArgs,

    /// Stored at or after: RFC 3339 or milliseconds since the epoch
    #[arg(long, value_name = "TIME", help_heading = "Selection", env = "MQSTORE_SINCE", hide_env = true, value_parser = parse_ms, allow_negative_numbers = true)]
    pub(crate) since: Option<i64>,

    /// Stored before
    #[arg(long, value_name = "TIME", help_heading = "Selection", env = "MQSTORE_UNTIL", hide_env = true, value_parser = parse_ms, allow_negative_numbers = true)]
    pub(crate) until: Option<i64>,

    /// Show bodies, which are private: decompressed as text, or the bytes as stored
    #[arg(
        long,
        help_heading = "Output",
        value_name = "FORM",
        value_enum,
        default_value_t,
        env = "MQSTORE_BODY",
        hide_env = true
    )]
    pub(crate) body: BodyForm,
}

/// A part of a stream.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct RangeArgs {
    /// From this physical offset on
    #[arg(long, value_name = "OFFSET", env = "MQSTORE_FROM_OFFSET", hide_env = true)]
    pub(crate) from_offset: Option<u64>,

    /// Up to but not including this physical offset
    #[arg(long, value_name = "OFFSET", env = "MQSTORE_TO_OFFSET", hide_env = true)]
    pub(crate) to_offset: Option<u64>,

    /// Stop after so many
    #[arg(long, value_name = "N", env = "MQSTORE_LIMIT", hide_env = true)]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum BodyForm {
    #[default]
    None,
    Text,
    Hex,
    Base64,
}

/// Ranges of the consume queues; with a topic and queue its units
#[derive(Debug, Args)]
pub(crate) struct QueuesArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Only topics that match; * and ? are wild
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: Option<Glob>,

    /// Show the units of this queue
    #[arg(value_name = "QUEUE")]
    pub(crate) queue: Option<u32>,

    #[command(flatten)]
    pub(crate) range: RangeArgs,
}

/// Headers of the index files, their entries, or where a key is
#[derive(Debug, Args)]
pub(crate) struct IndexArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Look up a message key or unique id
    #[arg(
        long,
        value_name = "KEY",
        help_heading = "Selection",
        requires = "topic",
        env = "MQSTORE_KEY",
        hide_env = true
    )]
    pub(crate) key: Option<String>,

    /// Topic of the key
    #[arg(
        long,
        value_name = "TOPIC",
        help_heading = "Selection",
        requires = "key",
        env = "MQSTORE_TOPIC",
        hide_env = true
    )]
    pub(crate) topic: Option<String>,

    /// Show the entries of all files
    #[arg(long, help_heading = "Selection", conflicts_with = "key", env = "MQSTORE_ENTRIES", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) entries: bool,
}

/// The flush marks of the store
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// Which copy of each config file counts, or one file as strict JSON
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Name of a file, with or without .json
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// Consumer and delay offsets against their queues
#[derive(Debug, Args)]
pub(crate) struct OffsetsArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Only groups that match; * and ? are wild, may be given several times
    #[arg(
        long,
        value_name = "GLOB",
        help_heading = "Selection",
        env = "MQSTORE_GROUP",
        hide_env = true,
        value_delimiter = ','
    )]
    pub(crate) group: Vec<Glob>,

    /// Only topics that match
    #[arg(
        long,
        value_name = "GLOB",
        help_heading = "Selection",
        env = "MQSTORE_TOPIC",
        hide_env = true,
        value_delimiter = ','
    )]
    pub(crate) topic: Vec<Glob>,
}

/// Timed messages: what waits, by when it is due
#[derive(Debug, Args)]
pub(crate) struct TimerArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) moment: MomentArgs,
}

/// What waits in the store: timers, delay levels, half messages, POP in flight, and what only some releases read
#[derive(Debug, Args)]
pub(crate) struct PendingArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) moment: MomentArgs,

    /// Read the whole log for prepared messages of 3.x to 4.2.0, which no queue holds
    #[arg(long, help_heading = "Selection", env = "MQSTORE_SCAN_LOG", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) scan_log: bool,
}

/// When, and how much of it.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct MomentArgs {
    /// What is due before this is overdue: RFC 3339 or milliseconds since the epoch; now if not given
    #[arg(long, value_name = "TIME", env = "MQSTORE_AT", hide_env = true, value_parser = parse_ms, allow_negative_numbers = true)]
    pub(crate) at: Option<i64>,

    /// Show so many messages of each kind, those that are due first
    #[arg(long, value_name = "N", env = "MQSTORE_SAMPLES", hide_env = true, default_value_t = 3)]
    pub(crate) samples: usize,
}
