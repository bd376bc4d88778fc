//! The timer.

use super::{Check, c};
use crate::finding::Severity::{Error, Info, Warning};
use crate::verify::Level::{Full, Quick};

pub(super) const CHECKS: &[Check] = &[
    c(
        "timer.file",
        Error,
        Quick,
        "a file of the timer has a wrong length or name, or one is missing between others",
        "5.0.0 and later do not start on a wheel of another length than 38707200 or a timer log file of a wrong length; a wheel of length 0 is made anew (by reading the source)",
        "restore timerwheel, timerlog and config/timercheck from one backup, or remove all three: what is not due is then enqueued again",
    ),
    c(
        "timer.unit",
        Error,
        Quick,
        "bytes in the timer log that are no unit",
        "a start cuts the timer log there and enqueues what follows again from its queue: nothing is lost, some timers may fire twice (by reading the source)",
        "",
    ),
    c(
        "timer.log-tail",
        Warning,
        Quick,
        "the timer log ends in a unit that was not written to its end",
        "a start cuts it off and enqueues the message again from its queue (by reading the source)",
        "",
    ),
    c(
        "timer.slot",
        Error,
        Quick,
        "a slot of the timer wheel contradicts its place or its chain",
        "a start sets slots right from the last file of the timer log; elsewhere a slot that does not name the second asked for is passed over, and its timers do not fire (by reading the source)",
        "remove timerwheel, timerlog and config/timercheck together while the broker is stopped: what is not due is then enqueued again",
    ),
    c(
        "timer.chain",
        Error,
        Quick,
        "the chain of a slot of the timer wheel breaks off or holds foreign units",
        "the timers behind the break do not fire, foreign ones fire at the wrong time; a start sets only the ends of chains right, from the last file of the timer log (by reading the source)",
        "remove timerwheel, timerlog and config/timercheck together while the broker is stopped: what is not due is then enqueued again",
    ),
    c(
        "timer.message",
        Error,
        Full,
        "a unit of the timer log does not lead to its message",
        "the timer reads other bytes or nothing, and the message is not delivered (by reading the source)",
        "remove timerwheel, timerlog and config/timercheck together while the broker is stopped: what is not due is then enqueued again",
    ),
    c(
        "timer.due-time",
        Warning,
        Full,
        "a unit of the timer log waits for another time than its message is due",
        "the message is delivered at the time of the slot (by reading the source)",
        "",
    ),
    c(
        "timer.lost",
        Error,
        Quick,
        "timed messages that are not due and that the wheel does not reach",
        "they are never delivered: the timer goes on behind them in its queue. A start sets slots right for units in the last file of the timer log (derived, never observed)",
        "remove timerwheel, timerlog and config/timercheck together while the broker is stopped: what is not due is then enqueued again",
    ),
    c(
        "timer.checkpoint",
        Warning,
        Quick,
        "timercheck contradicts the timer's queue or log",
        "an offset behind the queue is clamped to it; without timercheck everything in the queue is enqueued again, and what has fired fires again (derived, never observed)",
        "restore timerwheel, timerlog and config/timercheck from one backup",
    ),
    c(
        "timer.metrics",
        Info,
        Full,
        "timermetrics counts other numbers of timed messages than wait",
        "only shown to operators; a broker was seen to write a negative count",
        "",
    ),
];
