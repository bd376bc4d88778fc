//! `timercheck`: how far the timer has got, from 5.0.0. 4096 bytes, mapped and flushed every second.
//!
//! ```text
//!  0 lastReadTimeMs          8 lastTimerLogFlushPos   16 lastTimerQueueOffset   24 masterTimerQueueOffset
//! 32 stateVersion           40 timestamp              48 counter                56 .. 4096 zero
//! ```
//!
//! | field | offset | size | meaning |
//! |---|---|---|---|
//! | `lastReadTimeMs` | 0 | 8 | timers due before this have fired |
//! | `lastTimerLogFlushPos` | 8 | 8 | position in `timerlog` flushed so far |
//! | `lastTimerQueueOffset` | 16 | 8 | next queue offset of `rmq_sys_wheel_timer` to enqueue |
//! | `masterTimerQueueOffset` | 24 | 8 | the master's, on a slave |
//! | `stateVersion`, `timestamp`, `counter` | 32 | 24 | the data version |
//!
//! Belongs together with `timerwheel` and `timerlog`: kept without them, timers that are not due yet are lost.
//!
//! Java: `store/.../timer/TimerCheckpoint.java` at 5.0.0, 5.3.3.

use crate::bytes::Reader;
use crate::error::FormatError;

/// What `timercheck` holds, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimerCheckpoint {
    /// Timers due before this have fired, in milliseconds since the epoch.
    pub last_read_time_ms: i64,
    /// Position in `timerlog` flushed so far, in bytes.
    pub last_timer_log_flush_pos: i64,
    /// Next queue offset of `rmq_sys_wheel_timer` to enqueue.
    pub last_timer_queue_offset: i64,
    /// The same of the master, on a slave.
    pub master_timer_queue_offset: i64,
    /// `stateVersion` of the data version.
    pub state_version: i64,
    /// `timestamp` of the data version, in milliseconds since the epoch.
    pub timestamp: i64,
    /// `counter` of the data version.
    pub counter: i64,
}

impl TimerCheckpoint {
    /// Reads the seven numbers; what follows them is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes, 0);
        Ok(Self {
            last_read_time_ms: reader.i64("last read time")?,
            last_timer_log_flush_pos: reader.i64("last timer log flush position")?,
            last_timer_queue_offset: reader.i64("last timer queue offset")?,
            master_timer_queue_offset: reader.i64("master timer queue offset")?,
            state_version: reader.i64("state version")?,
            timestamp: reader.i64("timestamp")?,
            counter: reader.i64("counter")?,
        })
    }
}
