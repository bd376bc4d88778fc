//! No more than so many bytes a second.

use std::time::{Duration, Instant};

use mqstore_core::progress::Progress;

/// Longest nap, so that a cancelled run ends soon.
const NAP: Duration = Duration::from_millis(100);

/// Sleeps as long as it takes for the rate to be kept since the beginning.
#[derive(Debug)]
pub(crate) struct Throttle {
    rate: Option<u64>,
    started: Instant,
    bytes: u64,
}

impl Throttle {
    /// `rate` in bytes a second; `None` never sleeps.
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self { rate: rate.filter(|rate| *rate > 0), started: Instant::now(), bytes: 0 }
    }

    /// Counts bytes, and waits until so many may have been read; returns early if the run was cancelled.
    pub(crate) fn wait(&mut self, bytes: u64, progress: &dyn Progress) {
        let Some(rate) = self.rate else { return };
        self.bytes += bytes;
        let due =
            Duration::from_micros(u64::try_from(u128::from(self.bytes) * 1_000_000 / u128::from(rate)).unwrap_or(0));
        while let Some(left) = due.checked_sub(self.started.elapsed()).filter(|left| !left.is_zero()) {
            if progress.cancelled() {
                return;
            }
            std::thread::sleep(left.min(NAP));
        }
    }
}

#[cfg(test)]
mod tests {
    use mqstore_core::progress::NoProgress;

    use super::*;

    #[test]
    fn a_hundred_kilobytes_at_a_megabyte_a_second_take_a_tenth_of_a_second() {
        let started = Instant::now();
        let mut throttle = Throttle::new(Some(1_000_000));
        for _ in 0..10 {
            throttle.wait(10_000, &NoProgress);
        }
        assert!(started.elapsed() >= Duration::from_millis(100));
    }
}
