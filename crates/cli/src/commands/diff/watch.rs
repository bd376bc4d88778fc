//! `--watch`: compares anew until the sides are close enough.

use std::thread;
use std::time::{Duration, Instant};

use super::{Compared, compare};
use crate::args::DiffArgs;
use crate::commands::Context;
use crate::exit::Exit;

/// How long a wait goes on without a look at the interrupt flag.
const SLICE: Duration = Duration::from_millis(50);

/// The first comparison within the limits, else the last one before the time was over; without `--watch` the only one.
pub(super) fn until_close(context: &Context, args: &DiffArgs) -> anyhow::Result<Compared> {
    let started = Instant::now();
    let Some(pause) = args.watch.watch.map(Duration::from_millis) else { return compare(context, args) };
    let timeout = args.watch.timeout.map(Duration::from_millis);
    loop {
        let mut compared = compare(context, args)?;
        let over = timeout.is_some_and(|timeout| started.elapsed().saturating_add(pause) > timeout);
        if compared.exit.is_clean() || context.interrupted() {
            return Ok(compared);
        }
        if over {
            let text = format!("not within the limits after {} s", started.elapsed().as_secs());
            compared.exit = compared.exit.and(Exit::differs(text));
            return Ok(compared);
        }
        context.note(&compared.report.verdict);
        wait(pause, &mut || context.interrupted());
    }
}

/// Waits until the time is over, or `interrupted`.
fn wait(time: Duration, interrupted: &mut dyn FnMut() -> bool) {
    let started = Instant::now();
    while let Some(left) = time.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
        if interrupted() {
            return;
        }
        thread::sleep(left.min(SLICE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_when_its_time_is_over_and_at_once_when_interrupted() {
        let started = Instant::now();
        wait(Duration::from_millis(60), &mut || false);
        assert!(started.elapsed() >= Duration::from_millis(60));
        let mut asked = 0;
        wait(Duration::from_secs(3600), &mut || {
            asked += 1;
            asked == 2
        });
        assert_eq!(asked, 2);
    }
}
