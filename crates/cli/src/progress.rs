//! How far a command is, on standard error.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::When;
use crate::exit::say;
use crate::interrupt::Interrupt;
use crate::output::human::size;

/// Bytes between two updates: small enough to move, large enough to cost nothing.
pub(crate) const STEP: u64 = 8 << 20;
/// Between two lines where no bar can be drawn.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// A bar on a terminal, a line a second where one was asked for without a terminal, or nothing.
#[derive(Debug)]
pub(crate) struct Bar {
    kind: Kind,
    interrupt: Interrupt,
}

#[derive(Debug)]
enum Kind {
    Hidden,
    Drawn(ProgressBar),
    Lines { task: &'static str, started: Instant, last: Mutex<Instant> },
}

impl Bar {
    pub(crate) fn new(task: &'static str, when: When, quiet: bool, interrupt: Interrupt) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let kind = match when {
            When::Never => Kind::Hidden,
            When::Auto if quiet || !terminal => Kind::Hidden,
            When::Auto | When::Always if terminal => Kind::Drawn(draw(task)),
            When::Auto | When::Always => {
                let now = Instant::now();
                Kind::Lines { task, started: now, last: Mutex::new(now) }
            }
        };
        Self { kind, interrupt }
    }

    pub(crate) fn interrupted(&self) -> bool {
        self.interrupt.is_set()
    }

    /// So many bytes of `total` are done. Called about every [`STEP`] bytes.
    pub(crate) fn at(&self, done: u64, total: Option<u64>) {
        match &self.kind {
            Kind::Hidden => {}
            Kind::Drawn(bar) => {
                if let Some(total) = total {
                    bar.set_length(total);
                }
                bar.set_position(done);
            }
            Kind::Lines { task, started, last } => {
                let Ok(mut last) = last.lock() else { return };
                if last.elapsed() < LINE_INTERVAL && total.is_none_or(|total| done < total) {
                    return;
                }
                *last = Instant::now();
                say(&line(task, done, total, started.elapsed()));
            }
        }
    }
}

impl mqstore_core::progress::Progress for Bar {
    fn update(&self, done: u64, total: Option<u64>) {
        self.at(done, total);
    }

    fn cancelled(&self) -> bool {
        self.interrupted()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Kind::Drawn(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

fn draw(task: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)).with_message(task);
    let template = "{msg} {wide_bar} {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
    // The template is a constant that parses; were it wrong, the default style would be drawn.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people")]
fn line(task: &str, done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    let mut line = format!("progress: {task} {}", size(done));
    if let Some(total) = total {
        let left = total.saturating_sub(done) as f64 / rate.max(1.0);
        let _ = write!(line, " of {}, {}/s, {left:.0} s left", size(total), size(rate as u64));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_and_remaining_time() {
        assert_eq!(
            line("reading", 16 << 20, Some(64 << 20), Duration::from_secs(2)),
            "progress: reading 16.0 MiB of 64.0 MiB, 8.0 MiB/s, 6 s left"
        );
    }
}
