//! How long work tells what it has done, and is told to stop.

/// Watches work that takes long: called from time to time with the bytes done, and asked whether to go on.
///
/// Implementations must be cheap: they are called about once for each megabyte.
pub trait Progress: Sync {
    /// So many bytes are done, of `total` where that is known.
    fn update(&self, done: u64, total: Option<u64>) {
        let _ = (done, total);
    }

    /// Whether the work is to stop at the next chance, leaving nothing half done.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Nobody watches, nobody stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}

impl Progress for std::sync::atomic::AtomicBool {
    /// The flag says "stop"; a signal handler may set it.
    fn cancelled(&self) -> bool {
        self.load(std::sync::atomic::Ordering::Relaxed)
    }
}
