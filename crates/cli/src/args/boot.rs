//! Arguments of `boot`.

use clap::{Args, ValueEnum};
use mqstore_check::boot::Exit;

use super::{AlsoArgs, StoreArgs};

/// What would a broker release do to a store at its start: refuse, cut, rebuild, destroy, lose
///
/// The start of --release is simulated; nothing is written. Without --broker-conf sizes are taken from the files, and
/// everything else is the release's default.
#[derive(Debug, Args)]
pub(crate) struct BootArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Predict the start after this kind of stop [default: what the file abort says]
    #[arg(
        long = "exit",
        help_heading = "Start",
        value_name = "KIND",
        value_enum,
        env = "MQSTORE_EXIT",
        hide_env = true
    )]
    pub(crate) stop: Option<StopArg>,

    #[command(flatten)]
    pub(crate) also: AlsoArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StopArg {
    /// An orderly stop: there is no file abort
    Clean,
    /// Killed, or the machine went down: the file abort is there
    Abort,
}

impl From<StopArg> for Exit {
    fn from(stop: StopArg) -> Self {
        match stop {
            StopArg::Clean => Self::Clean,
            StopArg::Abort => Self::Abort,
        }
    }
}
