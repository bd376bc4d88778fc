//! Exit codes, and what an error looks like.
//!
//! As diff and grep: 0 same, 1 different, 2 trouble; and 3 no verdict, 4 refused for safety, 130 interrupted.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Style};
use mqstore_backup::BackupError;
use mqstore_check::boot::BootError;
use mqstore_check::snapshot::SnapshotError;
use mqstore_check::verify::VerifyError;
use mqstore_core::StoreError;
use mqstore_core::release::Release;
use serde::Serialize;

use crate::output::fold;

/// How a command went. Its JSON is the `exit` of every document.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Exit {
    code: u8,
    reason: String,
    /// What a code of 1 stands for, on standard error.
    #[serde(skip)]
    word: &'static str,
}

const CLEAN: &str = "everything asked for was read";

impl Exit {
    pub(crate) fn clean() -> Self {
        Self::new(0, CLEAN)
    }

    fn new(code: u8, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), word: "damage" }
    }

    /// Ran to the end and found damage.
    pub(crate) fn found(reason: impl Into<String>) -> Self {
        Self::new(1, reason)
    }

    /// Ran to the end, with a clean result that is worth a sentence.
    pub(crate) fn fine(reason: impl Into<String>) -> Self {
        Self::new(0, reason)
    }

    /// Ran to the end and found a difference beyond what was allowed.
    pub(crate) fn differs(reason: impl Into<String>) -> Self {
        Self { word: "different", ..Self::new(1, reason) }
    }

    /// Ran to the end, and the answer is one to stop at.
    pub(crate) fn blocking(reason: impl Into<String>) -> Self {
        Self { word: "harm", ..Self::new(1, reason) }
    }

    /// Ran, but what was selected is not there.
    pub(crate) fn nothing_selected(reason: impl Into<String>) -> Self {
        Self::new(2, reason)
    }

    /// Refused for safety, with an answer that says why.
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::new(4, reason)
    }

    /// Something was skipped, unreadable or unsupported.
    pub(crate) fn no_verdict(reason: impl Into<String>) -> Self {
        Self::new(3, reason)
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(130, "interrupted")
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.code == 130
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.code == 0
    }

    /// Both happened: interruption and trouble win over proven damage, damage over no verdict, no verdict over clean.
    /// Of two equally bad ones both reasons are kept.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        let rank = |exit: &Self| match exit.code {
            0 => 0,
            3 => 1,
            1 => 2,
            code => code,
        };
        match rank(&self).cmp(&rank(&other)) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Equal if self.reason != other.reason => {
                Self { reason: format!("{}; {}", self.reason, other.reason), ..self }
            }
            _ => self,
        }
    }

    /// Says on standard error why the code is not 0, and gives it to the system.
    pub(crate) fn report(&self, quiet: bool) -> ExitCode {
        match self.code {
            0 => {}
            2 => say(&error_line(&self.reason)),
            _ if quiet => {}
            1 => say(&format!("{}: {}", styled(self.word, AnsiColor::Red), self.reason)),
            3 => say(&format!("{}: {}", styled("incomplete", AnsiColor::Yellow), self.reason)),
            _ => say(&self.reason),
        }
        ExitCode::from(self.code)
    }
}

/// What a part of a store gives. If it cannot be read, nothing: the answer is then incomplete, and says why.
pub(crate) fn readable<T>(exit: &mut Exit, what: &str, read: anyhow::Result<T>) -> Option<T> {
    read.map_err(|error| {
        let reason = format!("{what} cannot be read: {}", chain(error.as_ref()));
        *exit = exit.clone().and(Exit::no_verdict(reason));
    })
    .ok()
}

/// An error message with advice. It is context for [`anyhow`]: the chain goes on below it.
#[derive(Debug)]
pub(crate) struct Hinted {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl std::fmt::Display for Hinted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Hinted {}

/// An error with advice.
pub(crate) fn hinted(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted { message: message.into(), hint: hint.into() }.into()
}

/// A release that is not in the table, with the nearest one that is.
pub(crate) fn unknown_release(text: &str, nearest: Option<Release>) -> anyhow::Error {
    let known = match nearest {
        Some(nearest) => format!("the nearest is {nearest}"),
        None => format!("expected one of {} to {}", Release::OLDEST, Release::NEWEST),
    };
    hinted(format!("{text} is no release that is known, {known}"), "mqstore releases lists them")
}

/// Something was refused for safety.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Something could not be looked at, so there is no answer. It is context for [`anyhow`]: the chain goes on below it.
#[derive(Debug)]
pub(crate) struct NoVerdict(pub(crate) String);

impl std::fmt::Display for NoVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prints the error on one line, and a hint if there is one.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    say(&error_line(&chain(error.as_ref())));
    if let Some(hint) = hint(error) {
        say(&format!("{}: {hint}", styled("hint", AnsiColor::Cyan)));
    }
    ExitCode::from(code(error))
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in anyhow::Chain::new(error).skip(1) {
        let _ = write!(text, ": {cause}");
    }
    text
}

fn code(error: &anyhow::Error) -> u8 {
    let cancelled = matches!(error.downcast_ref(), Some(SnapshotError::Cancelled))
        || matches!(error.downcast_ref(), Some(BootError::Cancelled));
    if cancelled {
        return 130;
    }
    if error.downcast_ref::<NoVerdict>().is_some() {
        return 3;
    }
    match error.downcast_ref::<BackupError>() {
        Some(BackupError::Cancelled) => 130,
        Some(BackupError::Damaged { .. }) => 1,
        Some(error) if error.is_refusal() => 4,
        _ if error.downcast_ref::<Refused>().is_some() => 4,
        _ => 2,
    }
}

fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        return Some(hinted.hint.clone());
    }
    if let Some(VerifyError::UnknownCheck { .. }) = error.downcast_ref() {
        return Some("mqstore verify --list-checks lists them".to_owned());
    }
    match error.downcast_ref::<BackupError>() {
        Some(BackupError::BrokerRunning { .. }) => return Some("--live backs up the running broker".to_owned()),
        Some(BackupError::BrokerMayRun { .. }) => {
            return Some("--live, if a broker runs; --stopped, if it was killed".to_owned());
        }
        Some(BackupError::Exists { .. }) => {
            return Some("an archive is never overwritten: give another name".to_owned());
        }
        Some(BackupError::NotEmpty { .. }) => {
            return Some(
                "without --release a store is only restored into a folder that is empty or not there yet; with it, in place"
                    .to_owned(),
            );
        }
        Some(BackupError::Refused { instead, .. }) => return instead.clone(),
        Some(BackupError::MissingArchives { .. }) => {
            return Some("--chain DIR names a further folder to look in".to_owned());
        }
        Some(BackupError::Interrupted { .. } | BackupError::HalfSwitched { .. }) => {
            return Some("mqstore backup restore ends it, mqstore backup undo takes it back".to_owned());
        }
        _ => {}
    }
    match error.downcast_ref::<StoreError>()? {
        StoreError::Layout { problem, .. } if problem.starts_with("not a store") => Some(
            "a store is the folder that holds commitlog and consumequeue (storePathRootDir, by default ~/store)"
                .to_owned(),
        ),
        StoreError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Some("run it as the broker's user, who owns the files".to_owned())
        }
        _ => None,
    }
}

/// The reader of standard output has gone, as `head` does: not our failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// What clap has to say: help and version on standard output, wrong usage on standard error.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // Nothing can be done about a failing terminal here.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// For those who typed nothing but the name: what people do first. It is no answer to anything, so the code is 2.
pub(crate) fn first_steps(steps: &[(&str, &str)]) -> ExitCode {
    say("mqstore reads, proves and backs up Apache RocketMQ broker stores without a broker\n");
    for (question, line) in steps {
        say(&format!("  {question}?\n      {}", styled(line, AnsiColor::Cyan)));
    }
    say("\nmqstore --help lists all commands, mqstore COMMAND --help explains one");
    ExitCode::from(2)
}

fn error_line(text: &str) -> String {
    format!("{}: {text}", styled("error", AnsiColor::Red))
}

fn styled(word: &str, color: AnsiColor) -> String {
    if !stderr_has_color() {
        return word.to_owned();
    }
    let style = Style::new().bold().fg_color(Some(color.into()));
    format!("{style}{word}{style:#}")
}

fn stderr_has_color() -> bool {
    let choice = anstream::AutoStream::choice(&io::stderr());
    choice != anstream::ColorChoice::Never && (choice == anstream::ColorChoice::Always || io::stderr().is_terminal())
}

/// A line on standard error. If that cannot be written, there is nobody to tell.
pub(crate) fn say(line: &str) {
    let mut stderr = io::stderr().lock();
    let width = terminal_size::terminal_size_of(&stderr).map(|(width, _)| usize::from(width.0));
    let _ = match width.filter(|width| *width > 0) {
        Some(width) => line.split('\n').try_for_each(|line| write!(stderr, "{}", fold(&format!("{line}\n"), width))),
        None => writeln!(stderr, "{line}"),
    };
}

/// A remark on standard error that changes nothing about the exit code.
pub(crate) fn note(text: &str) {
    say(&format!("{}: {text}", styled("note", AnsiColor::Cyan)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_wins_over_no_verdict_and_trouble_over_damage() {
        let (clean, found) = (Exit::clean(), Exit::found("a"));
        let no_verdict = Exit::no_verdict("b");
        assert_eq!(clean.clone().and(no_verdict.clone()).code, 3);
        assert_eq!(no_verdict.clone().and(found.clone()).code, 1);
        assert_eq!(found.clone().and(clean.clone()).code, 1);
        assert_eq!(found.and(Exit::interrupted()).code, 130);
        assert_eq!(no_verdict.and(Exit::no_verdict("c")).reason, "b; c");
        assert_eq!(clean.and(Exit::clean()).reason, CLEAN);
    }
}
