//! One function per subcommand: it asks the libraries, renders what they say, and returns how it went.

pub(crate) mod backup;
pub(crate) mod boot;
pub(crate) mod conf;
pub(crate) mod diff;
pub(crate) mod facts;
pub(crate) mod findings;
pub(crate) mod fleet;
pub(crate) mod inspect;
pub(crate) mod paperwork;
pub(crate) mod preflight;
pub(crate) mod releases;
pub(crate) mod snapshot;
mod target;
mod unpacked;
pub(crate) mod verify;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use mqstore_core::store::sigbus;

pub(crate) use target::Target;
pub(crate) use unpacked::Unpacked;

use crate::args::{CommonArgs, Format, When};
use crate::exit::{Exit, Refused, note};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::output::human::Paint;
use crate::progress::Bar;

/// Threads: as many as asked for, else as there are processors.
pub(crate) fn jobs(asked: Option<u32>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.and_then(|jobs| usize::try_from(jobs).ok()).unwrap_or_else(cores)
}

/// Where a command writes, and how.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) args: CommonArgs,
    pub(crate) paint: Paint,
    interrupt: Interrupt,
    started: Instant,
    out: Option<Output>,
}

impl Context {
    pub(crate) fn new(args: CommonArgs) -> anyhow::Result<Self> {
        let choice = match args.color {
            When::Auto => anstream::ColorChoice::Auto,
            When::Always => anstream::ColorChoice::Always,
            When::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        let resolved = anstream::AutoStream::choice(&std::io::stdout());
        let to_file = args.output.as_deref().is_some_and(|path| path != Path::new("-"));
        let color = resolved != anstream::ColorChoice::Never && (!to_file || args.color == When::Always);
        sigbus::install().context("cannot install the handler for lost pages")?;
        let interrupt = Interrupt::install().context("cannot install the handler for Ctrl-C")?;
        Ok(Self { args, paint: Paint(color), interrupt, started: Instant::now(), out: None })
    }

    /// Standard output, or the file of `--output`, which is made now. `sources` must not hold it.
    pub(crate) fn out(&mut self, sources: &[&Path]) -> anyhow::Result<&mut Output> {
        if self.out.is_none() {
            let path = self.args.output.as_deref();
            if let Some(path) = path {
                refuse_inside(path, sources)?;
            }
            self.out = Some(Output::open(path, self.args.format == Format::Text)?);
        }
        self.out.as_mut().context("no output")
    }

    /// Standard output whatever `--output` says: for commands that make a file of their own under that name.
    pub(crate) fn stdout(&mut self) -> anyhow::Result<&mut Output> {
        self.args.output = None;
        self.out(&[])
    }

    pub(crate) fn is_text(&self) -> bool {
        self.args.format == Format::Text
    }

    pub(crate) fn is_ndjson(&self) -> bool {
        self.args.format == Format::Ndjson
    }

    pub(crate) fn bar(&self, task: &'static str) -> Bar {
        Bar::new(task, self.args.progress, self.args.quiet, self.interrupt.clone())
    }

    /// Time since the command began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn interrupted(&self) -> bool {
        self.interrupt.is_set()
    }

    /// A remark on standard error.
    pub(crate) fn note(&self, text: &str) {
        if !self.args.quiet {
            note(text);
        }
    }

    /// Completes the output; that of an interrupted command is thrown away if it is a file.
    pub(crate) fn finish(&mut self, exit: &Exit) -> anyhow::Result<()> {
        match self.out.take() {
            Some(out) if exit.is_interrupted() => out.abandon(),
            Some(out) => out.commit(),
            None => Ok(()),
        }
    }
}

/// Whether a file of this path would lie inside the folder `source`.
fn lies_inside(path: &Path, source: &Path) -> bool {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(parent) = parent.canonicalize() else { return false };
    source.canonicalize().is_ok_and(|source| source.is_dir() && parent.starts_with(source))
}

pub(crate) fn refuse_inside(path: &Path, sources: &[&Path]) -> anyhow::Result<()> {
    for source in sources {
        if lies_inside(path, source) {
            let message = format!("{} would lie inside the store {}", path.display(), source.display());
            return Err(Refused(message).into());
        }
    }
    Ok(())
}
