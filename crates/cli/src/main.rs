//! `mqstore`: reads, proves and backs up Apache RocketMQ broker stores without a broker.
//!
//! - `args`: what the user typed.
//! - `commands`: one function per subcommand; it renders what the libraries say and returns how it went.
//! - `output`: the two forms of every answer: text for people, JSON for programs.
//! - `page`: the HTML page of `--report`.
//! - `exit`: exit codes and error texts. `progress`: the bar. `interrupt`: Ctrl-C.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod exit;
mod glob;
mod interrupt;
mod output;
mod page;
mod progress;
mod time;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use args::{BackupCommand, Cli, Command, InspectCommand};
use commands::{Context, backup, boot, diff, fleet, inspect, paperwork, preflight, releases, snapshot, verify};
use exit::Exit;

fn main() -> ExitCode {
    if std::env::args_os().len() == 1 {
        return exit::first_steps(args::examples::FIRST_STEPS);
    }
    let matches = args::examples::with_examples(Cli::command()).try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    let quiet = cli.common.quiet;
    match Context::new(cli.common).and_then(|mut context| {
        let exit = run(&mut context, cli.command)?.and(lost_pages());
        context.finish(&exit)?;
        Ok(exit)
    }) {
        Ok(exit) => exit.report(quiet),
        Err(error) => exit::failed(&error),
    }
}

/// A file that was cut short while it was mapped reads as zeros from there on, and no answer built on them is one.
fn lost_pages() -> Exit {
    match mqstore_core::store::sigbus::lost_pages() {
        0 => Exit::clean(),
        pages => Exit::no_verdict(format!(
            "{pages} pages of mapped files went away while they were read: a file was cut short, or the disk failed"
        )),
    }
}

fn run(context: &mut Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Inspect(args) => match args.command {
            Some(InspectCommand::Commitlog(args)) => inspect::commitlog::run(context, &args),
            Some(InspectCommand::Queues(args)) => inspect::queues::run(context, &args),
            Some(InspectCommand::Index(args)) => inspect::index::run(context, &args),
            Some(InspectCommand::Checkpoint(args)) => inspect::checkpoint::run(context, &args),
            Some(InspectCommand::Config(args)) => inspect::config::run(context, &args),
            Some(InspectCommand::Offsets(args)) => inspect::offsets::run(context, &args),
            Some(InspectCommand::Timer(args)) => inspect::timer::run(context, &args),
            Some(InspectCommand::Pending(args)) => inspect::pending::run(context, &args),
            None => inspect::overview::run(context, &args.store),
        },
        Command::Verify(args) => verify::run(context, &args),
        Command::Backup(args) => match args.command {
            BackupCommand::Create(args) => backup::create::run(context, &args),
            BackupCommand::List(args) => backup::catalog::list(context, &args),
            BackupCommand::Show(args) => backup::catalog::show(context, &args),
            BackupCommand::Verify(args) => backup::verify::run(context, &args),
            BackupCommand::Prune(args) => backup::prune::run(context, &args),
            BackupCommand::Restore(args) => backup::restore::run(context, &args),
            BackupCommand::Undo(args) => backup::undo::run(context, &args),
        },
        Command::Snapshot(args) => snapshot::run(context, &args),
        Command::Diff(args) => diff::run(context, &args),
        Command::Boot(args) => boot::run(context, &args),
        Command::Preflight(args) => preflight::run(context, &args),
        Command::Fleet(args) => fleet::run(context, &args),
        Command::Releases(args) => releases::run(context, &args),
        Command::Completions(args) => paperwork::completions(context, &args),
        Command::Man(args) => paperwork::man(context, &args),
    }
}
