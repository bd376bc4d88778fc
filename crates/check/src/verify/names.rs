//! The names of the queues that have a folder, as records ask for them.

use std::collections::HashMap;
use std::sync::Arc;

use mqstore_core::format::java_hash_from;

/// Numbers kept by a [`Finder`].
const KEPT: usize = 1024;

/// One queue.
#[derive(Debug)]
struct Name {
    topic: Arc<[u8]>,
    queue_id: i32,
    key_seed: i32,
    is_plain: bool,
}

/// All queues, by topic and queue id; their numbers are those in which they were added.
#[derive(Debug, Default)]
pub(super) struct Names {
    queues: Vec<Name>,
    topics: HashMap<Arc<[u8]>, HashMap<i32, u32>>,
}

impl Names {
    /// Adds the next queue. A plain one has units that hold nothing but the place of a message and the hash of its tag.
    pub(super) fn add(&mut self, topic: &[u8], queue_id: i32, is_plain: bool) {
        let number = u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
        let topic = self.topics.get_key_value(topic).map_or_else(|| topic.into(), |(topic, _)| Arc::clone(topic));
        self.topics.entry(Arc::clone(&topic)).or_default().insert(queue_id, number);
        let key_seed = java_hash_from(java_hash_from(0, &topic), b"#");
        self.queues.push(Name { topic, queue_id, key_seed, is_plain });
    }

    /// The number of a queue.
    pub(super) fn find(&self, topic: &[u8], queue_id: i32) -> Option<u32> {
        self.topics.get(topic)?.get(&queue_id).copied()
    }

    /// Whether the queue is a plain one.
    pub(super) fn is_plain(&self, number: u32) -> bool {
        self.queues.get(number as usize).is_some_and(|name| name.is_plain)
    }

    /// Java's hash of `topic#`, with which the hash of each key begins.
    pub(super) fn key_seed(&self, number: u32) -> Option<i32> {
        self.queues.get(number as usize).map(|name| name.key_seed)
    }
}

/// Remembers which queues were asked for: most records are of few queues.
#[derive(Debug)]
pub(super) struct Finder {
    names: Arc<Names>,
    kept: Box<[u32]>,
}

impl Finder {
    pub(super) fn new(names: Arc<Names>) -> Self {
        Self { names, kept: vec![0; KEPT].into() }
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// The number of a queue.
    #[inline]
    pub(super) fn find(&mut self, topic: &[u8], queue_id: i32) -> Option<u32> {
        let is_it = |name: &Name| name.queue_id == queue_id && *name.topic == *topic;
        // Only a guess, so a poor hash will do: the end of the topic differs more often than its beginning.
        let end = topic.last_chunk::<8>().map_or(topic.len() as u64, |end| u64::from_be_bytes(*end));
        let hash = (end ^ u64::from(queue_id.cast_unsigned())).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let place = usize::try_from(hash >> 54).unwrap_or(0);
        let kept = self.kept.get_mut(place)?;
        if self.names.queues.get(*kept as usize).is_some_and(is_it) {
            return Some(*kept);
        }
        let number = self.names.find(topic, queue_id)?;
        *kept = number;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_found_whatever_was_asked_for_before() {
        let mut names = Names::default();
        for n in 0..3000 {
            names.add(format!("T{n}").as_bytes(), n % 5, n % 2 == 0);
        }
        let mut finder = Finder::new(Arc::new(names));
        for n in (0..3000u32).chain((0..3000).rev()) {
            let id = (n % 5).cast_signed();
            assert_eq!(finder.find(format!("T{n}").as_bytes(), id), Some(n));
            assert_eq!(finder.find(format!("T{n}").as_bytes(), id + 1), None);
            assert_eq!(finder.names().is_plain(n), n % 2 == 0);
        }
        assert_eq!(finder.find(b"", 0), None);
    }
}
