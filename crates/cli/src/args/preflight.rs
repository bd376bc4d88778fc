//! Arguments of `preflight`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::AlsoArgs;
use super::diff::LimitArgs;
use super::verify::FailOn;

/// May this broker go to another release, and can it come back: a checklist with evidence from the store
///
/// Nothing is written. Each line passes, warns, fails or could not be checked; at the end come the way back and the
/// commands for this broker in order. --to may be the older one.
#[derive(Debug, Args)]
pub(crate) struct PreflightArgs {
    /// Store root: the folder that holds commitlog and consumequeue
    #[arg(value_name = "STORE")]
    pub(crate) store: PathBuf,

    /// The release that runs now
    #[arg(long, value_name = "RELEASE", env = "MQSTORE_FROM", hide_env = true)]
    pub(crate) from: String,

    /// The release that is to run
    #[arg(long, value_name = "RELEASE", env = "MQSTORE_TO", hide_env = true)]
    pub(crate) to: String,

    /// The broker's configuration file now; if only one of both is given, it stands for both
    #[arg(long, value_name = "FILE", help_heading = "Broker", env = "MQSTORE_OLD_CONF", hide_env = true)]
    pub(crate) old_conf: Option<PathBuf>,

    /// The configuration file that the new release is to get
    #[arg(long, value_name = "FILE", help_heading = "Broker", env = "MQSTORE_NEW_CONF", hide_env = true)]
    pub(crate) new_conf: Option<PathBuf>,

    /// Home folder of the broker's user: 3.5.x keeps topics and groups in DIR/store/config
    #[arg(long, value_name = "DIR", help_heading = "Broker", env = "MQSTORE_HOME", hide_env = true)]
    pub(crate) home: Option<PathBuf>,

    /// Folder of the commit log, if not STORE/commitlog; may be given several times
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Broker",
        env = "MQSTORE_COMMITLOG",
        hide_env = true,
        value_delimiter = ','
    )]
    pub(crate) commitlog: Vec<PathBuf>,

    /// A broker runs on the store [default: ask the lock]
    #[arg(long, help_heading = "Broker", conflicts_with = "stopped", env = "MQSTORE_LIVE", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) live: bool,

    /// No broker runs on the store, whatever the lock says
    #[arg(long, help_heading = "Broker", env = "MQSTORE_STOPPED", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) stopped: bool,

    /// Release of the name servers
    #[arg(long, value_name = "RELEASE", help_heading = "Around it", env = "MQSTORE_NAME_SERVER", hide_env = true)]
    pub(crate) name_server: Option<String>,

    /// Snapshot of the other side of master and slave
    #[arg(long, value_name = "SNAPSHOT", help_heading = "Around it", env = "MQSTORE_PAIR", hide_env = true)]
    pub(crate) pair: Option<PathBuf>,

    /// Folder for the backup: is there room in it
    #[arg(long, value_name = "DIR", help_heading = "Around it", env = "MQSTORE_BACKUP_TO", hide_env = true)]
    pub(crate) backup_to: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    /// Exit with 1 from lines of this severity on: a failed line is an error, a warning a warning
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t, env = "MQSTORE_FAIL_ON", hide_env = true)]
    pub(crate) fail_on: FailOn,

    #[command(flatten)]
    pub(crate) also: AlsoArgs,
}
