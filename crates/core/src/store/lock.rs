//! Is a broker running on the store? Asked without taking or writing anything.

use std::fs::File;
use std::path::Path;

use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::error::StoreError;

/// State of the broker's lock on the first byte of `lock` (4.2.0 and later).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// The file exists and nobody holds it.
    Free,
    /// A process holds it.
    Held {
        /// Its id, if it runs in a process namespace that this process sees.
        pid: Option<u32>,
    },
    /// There is no lock file: no broker from 4.2.0 on ever started here. Older ones take no lock.
    Absent,
}

impl LockState {
    /// The word for it in all outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Held { .. } => "held",
            Self::Absent => "absent",
        }
    }
}

/// Asks the kernel who holds the lock, through a read-only descriptor.
///
/// This is `F_GETLK`, which sees the lock of a JVM; `flock` does not. A lock held on another host over a network file
/// system may not be seen.
pub(super) fn probe(path: &Path) -> Result<LockState, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(LockState::Absent),
        Err(e) => return Err(StoreError::io("open", path, e)),
    };
    let mut wanted = Flock::from(FlockType::WriteLock);
    wanted.length = 1;
    match fcntl_getlk(&file, &wanted) {
        Ok(None) => Ok(LockState::Free),
        Ok(Some(holder)) => {
            Ok(LockState::Held { pid: holder.pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok()) })
        }
        Err(e) => Err(StoreError::io("ask for the lock on", path, e.into())),
    }
}
