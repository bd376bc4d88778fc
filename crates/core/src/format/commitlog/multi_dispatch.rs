//! Further queues that get a unit for one record: `INNER_MULTI_DISPATCH` and `INNER_MULTI_QUEUE_OFFSET`, 4.9.3 and later.
//!
//! Names and offsets are lists split by `,`, in the same order. Quirks:
//! - A name that begins with `%LMQ%` is queue 0 of a topic of that name; any other name keeps the record's queue id.
//! - 5.3.3 writes no offset for a name without `%LMQ%` (`0,` for two names). Java drops empty items at the end of a list,
//!   so when such a name comes last the counts differ, and *no* queue of the list gets a unit, although the counters of
//!   the `%LMQ%` queues went on: holes that a healthy broker leaves. Elsewhere in the list the number cannot be read.
//! - Topics of the broker itself are left out from the release of [`Exemption`] on.
//!
//! Java: `CommitLogDispatcherBuildConsumeQueue`, `MultiDispatch`, `queue/MultiDispatchUtils.java` at 4.9.3, 5.3.3.

use super::{MessageRecord, names};
use crate::format::system_topic::{SCHEDULE_TOPIC, TIMER_TOPIC};

/// Prefix of the name of a light message queue.
pub const LMQ_PREFIX: &str = "%LMQ%";

/// A queue that a record has a unit in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DispatchTarget {
    /// Topic of the queue: the name of its folder.
    pub topic: String,
    /// The queue's number.
    pub queue_id: i32,
    /// The unit's number in the queue.
    pub queue_offset: i64,
}

impl DispatchTarget {
    /// Whether the name holds the separator of paths: up to 5.1.1 the queue is a nested folder that a restart does not
    /// load, from 5.1.2 on it gets no unit.
    pub fn is_nested(&self) -> bool {
        self.topic.contains('/')
    }
}

/// What the two properties amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiDispatch {
    /// The queues that get a unit.
    Queues(Vec<DispatchTarget>),
    /// Names and offsets are not as many: no queue gets a unit.
    CountMismatch {
        /// Names in the list.
        names: usize,
        /// Offsets in the list, as Java splits it.
        offsets: usize,
    },
    /// An offset is no number: no queue from that position of the list on gets a unit.
    BadOffset {
        /// The queues before it.
        before: Vec<DispatchTarget>,
        /// Position in the list, from 0.
        position: usize,
    },
}

/// Why a release leaves the further queues of a record out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exemption {
    /// `%RETRY%…`: from 5.1.1 on.
    Retry,
    /// `rmq_sys_wheel_timer` and `SCHEDULE_TOPIC_XXXX`: from 5.1.2 on.
    Delayed,
    /// Any other `rmq_sys_…`: from 5.2.0 on.
    System,
}

impl MessageRecord<'_> {
    /// The further queues that get a unit for the record; `None` without the two properties.
    ///
    /// A broker dispatches to them only with `enableMultiDispatch` (for `%LMQ%` names also `enableLmq`), and not if the
    /// record's topic is [exempt](Self::multi_dispatch_exemption) in its release.
    pub fn multi_dispatch(&self) -> Option<MultiDispatch> {
        let names = self.properties.get_str(names::INNER_MULTI_DISPATCH)?;
        let offsets = self.properties.get_str(names::INNER_MULTI_QUEUE_OFFSET)?;
        let (names, offsets) = (java_split(&names), java_split(&offsets));
        if names.len() != offsets.len() {
            return Some(MultiDispatch::CountMismatch { names: names.len(), offsets: offsets.len() });
        }
        let mut queues = Vec::with_capacity(names.len());
        for (position, (name, offset)) in names.into_iter().zip(offsets).enumerate() {
            let Ok(queue_offset) = offset.parse() else {
                return Some(MultiDispatch::BadOffset { before: queues, position });
            };
            let queue_id = if name.starts_with(LMQ_PREFIX) { 0 } else { self.queue_id };
            queues.push(DispatchTarget { topic: name.to_owned(), queue_id, queue_offset });
        }
        Some(MultiDispatch::Queues(queues))
    }

    /// Whether later releases leave the further queues of this record out because of its topic.
    pub fn multi_dispatch_exemption(&self) -> Option<Exemption> {
        if self.topic.starts_with(b"%RETRY%") {
            Some(Exemption::Retry)
        } else if [TIMER_TOPIC.as_bytes(), SCHEDULE_TOPIC.as_bytes()].contains(&self.topic) {
            Some(Exemption::Delayed)
        } else if self.topic.starts_with(b"rmq_sys_") {
            Some(Exemption::System)
        } else {
            None
        }
    }
}

/// `String.split(",")`: empty items at the end are dropped.
fn java_split(text: &str) -> Vec<&str> {
    let mut items: Vec<&str> = text.split(',').collect();
    while items.len() > 1 && items.last() == Some(&"") {
        items.pop();
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_as_java_does() {
        assert_eq!(java_split("0,"), ["0"]);
        assert_eq!(java_split("0,,1"), ["0", "", "1"]);
        assert_eq!(java_split("%LMQ%a,Other"), ["%LMQ%a", "Other"]);
    }
}
