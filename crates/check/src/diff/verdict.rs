//! The result in one sentence.

use super::Pair;
use super::report::{Ahead, DiffReport, Which};

pub(super) fn write(pair: &Pair<'_>, result: &mut DiffReport) {
    let log = &result.commitlog;
    let name = |which| pair.roles.name(which);
    let distance = {
        let messages = match (log.lag_messages, log.lag_messages_exact) {
            (Some(n), true) => format!(" / {n} messages"),
            (Some(n), false) => format!(" / about {n} messages"),
            (None, _) => String::new(),
        };
        let time = log.lag_ms.map_or(String::new(), |ms| format!(" / {}.{:03} s", ms / 1000, ms % 1000));
        format!("{} bytes{messages}{time}", log.lag_bytes)
    };
    let lag = match log.ahead {
        Ahead::None => format!("both end at {}", log.a.max_offset),
        ahead => {
            let short = if ahead == Ahead::A { Which::B } else { Which::A };
            match (pair.roles.before_after, short == pair.roles.first) {
                (true, true) => format!("after ({}) goes on by {distance}", short.other()),
                (true, false) => format!("after ({short}) ends {distance} earlier"),
                (false, _) => format!("{} ({short}) is {distance} behind", name(short)),
            }
        }
    };
    let same = match (&log.divergence, log.common) {
        (Some(divergence), _) if divergence.exact => format!("the logs part at {}", divergence.physical_offset),
        (Some(divergence), _) => match divergence.chunk {
            Some(chunk) => format!("the logs part between {} and {}", chunk.from, chunk.to),
            None => "the logs part".to_owned(),
        },
        (None, None) => "the logs have nothing in common".to_owned(),
        (None, Some(_)) if log.compared.bytes == 0 => "the logs were not compared".to_owned(),
        (None, Some(common)) => format!("same log up to {}", common.to),
    };
    result.verdict = format!("{lag}, {same}");
}
