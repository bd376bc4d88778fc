//! Work on several threads whose results come in order.
//!
//! Whatever depends on what came before (findings, counts, cursors) stays on the calling thread; what can be known
//! without is computed ahead by its helpers. So a run says the same with any number of threads, byte for byte.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Pieces that each thread may be ahead of what was taken: it bounds the memory.
const AHEAD: usize = 2;

struct Board<T> {
    /// The next piece that nobody has begun.
    next: usize,
    /// The piece that is taken next.
    wanted: usize,
    ready: BTreeMap<usize, T>,
    ended: bool,
}

struct Shared<T> {
    board: Mutex<Board<T>>,
    changed: Condvar,
    count: usize,
    jobs: usize,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Board<T>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, board: MutexGuard<'a, Board<T>>) -> MutexGuard<'a, Board<T>> {
        self.changed.wait(board).unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, board: &mut Board<T>) -> Option<usize> {
        let n = board.next;
        let free = n < self.count && n < board.wanted + AHEAD * self.jobs;
        free.then(|| board.next += 1).map(|()| n)
    }

    fn put(&self, n: usize, result: T) -> MutexGuard<'_, Board<T>> {
        let mut board = self.lock();
        board.ready.insert(n, result);
        self.changed.notify_all();
        board
    }

    fn help<S>(&self, state: impl Fn() -> S, work: impl Fn(&mut S, usize) -> T) {
        let _end = EndOnDrop { shared: self, only_in_panic: true };
        let mut own = state();
        let mut board = self.lock();
        while !board.ended && board.next < self.count {
            board = match self.begin(&mut board) {
                Some(n) => {
                    drop(board);
                    self.put(n, work(&mut own, n))
                }
                None => self.wait(board),
            };
        }
    }
}

/// Ends the work when its holder goes, so that no thread waits for one that panicked.
struct EndOnDrop<'a, T> {
    shared: &'a Shared<T>,
    only_in_panic: bool,
}

impl<T> Drop for EndOnDrop<'_, T> {
    fn drop(&mut self) {
        if !self.only_in_panic || std::thread::panicking() {
            self.shared.lock().ended = true;
            self.shared.changed.notify_all();
        }
    }
}

/// Computes `work` for `0..count` on `jobs` threads, this one included, and hands the results to `take` on this thread,
/// in order, until it breaks. Each thread makes itself a `state` first.
pub(super) fn in_order<T: Send, S>(
    jobs: usize,
    count: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
    mut take: impl FnMut(usize, T) -> ControlFlow<()>,
) {
    let jobs = jobs.min(count);
    if jobs <= 1 {
        let mut own = state();
        for n in 0..count {
            if take(n, work(&mut own, n)).is_break() {
                return;
            }
        }
        return;
    }
    let board = Board { next: 0, wanted: 0, ready: BTreeMap::new(), ended: false };
    let shared = Shared { board: Mutex::new(board), changed: Condvar::new(), count, jobs };
    std::thread::scope(|scope| {
        for _ in 1..jobs {
            scope.spawn(|| shared.help(&state, &work));
        }
        let _end = EndOnDrop { shared: &shared, only_in_panic: false };
        let mut own = state();
        for wanted in 0..count {
            let mut board = shared.lock();
            let result = loop {
                if let Some(result) = board.ready.remove(&wanted) {
                    break result;
                }
                if board.ended {
                    return;
                }
                board = match shared.begin(&mut board) {
                    Some(n) => {
                        drop(board);
                        shared.put(n, work(&mut own, n))
                    }
                    None => shared.wait(board),
                };
            };
            board.wanted = wanted + 1;
            drop(board);
            shared.changed.notify_all();
            if take(wanted, result).is_break() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_come_in_order_whatever_the_number_of_threads() {
        for jobs in [0, 1, 2, 3, 7, 100] {
            let mut taken = Vec::new();
            in_order(
                jobs,
                50,
                || 0,
                |own, n| (*own += 1, n * n).1,
                |n, square| {
                    taken.push((n, square));
                    if n == 40 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                },
            );
            assert_eq!(taken, (0..=40).map(|n| (n, n * n)).collect::<Vec<_>>(), "{jobs} threads");
        }
    }

    #[test]
    fn no_thread_runs_further_ahead_than_it_may() {
        let begun = AtomicUsize::new(0);
        in_order(
            3,
            1000,
            || (),
            |(), _| begun.fetch_add(1, Ordering::SeqCst),
            |n, _| {
                assert!(begun.load(Ordering::SeqCst) <= n + 1 + 3 * AHEAD);
                ControlFlow::Continue(())
            },
        );
        assert_eq!(begun.into_inner(), 1000);
    }

    #[test]
    fn a_panic_of_a_helper_or_of_the_taker_is_handed_on_and_nobody_waits_for_ever() {
        let run = |bad: usize, bad_take: usize| {
            std::panic::catch_unwind(|| {
                in_order(
                    3,
                    100,
                    || (),
                    |(), n| assert_ne!(n, bad),
                    |n, ()| {
                        assert_ne!(n, bad_take);
                        ControlFlow::Continue(())
                    },
                );
            })
        };
        assert!(run(20, 1000).is_err());
        assert!(run(1000, 20).is_err());
        assert!(run(1000, 1000).is_ok());
    }
}
