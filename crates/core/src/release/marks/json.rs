//! Marks in the text of the JSON files.

use crate::format::system_topic::{
    REVIVE_TOPIC_PREFIX, SCHEDULE_TOPIC, TIMER_TOPIC, TRANS_HALF_TOPIC, TRANS_OP_HALF_TOPIC,
};
use memchr::memmem;

use super::{About, Mark, Release, Strength};

/// The JSON files that carry marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Topics,
    Groups,
    /// `consumerOffset.json` and `lmqConsumerOffset.json`.
    Offsets,
    Delay,
}

/// Topics that only some releases put into `topics.json`, with the first of them.
const SYSTEM_TOPICS: &[(&str, Release)] = &[
    (SCHEDULE_TOPIC, Release::V4_7_1),
    (TRANS_HALF_TOPIC, Release::V4_3_0),
    (TRANS_OP_HALF_TOPIC, Release::V4_3_0),
    ("RMQ_SYS_TRACE_TOPIC", Release::V4_4_0),
    ("TRANS_CHECK_MAX_TIME_TOPIC", Release::V4_5_2),
    (TIMER_TOPIC, Release::V5_3_1),
    ("RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC", Release::V5_4_0),
    ("RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC", Release::V5_4_0),
    // Of that release only.
    ("AUTO_CREATE_TOPIC_KEY", Release::V4_3_0),
];

pub(super) fn marks(kind: Kind, path: &str, text: &[u8], is_slave: bool) -> Vec<Mark> {
    let mut file = File { path, text, marks: Vec::new() };
    match kind {
        Kind::Topics => {
            file.data_version();
            if file.has_object("attributes") {
                file.last(Strength::Strong, "config.topic-attributes", "topics with attributes", R5_0_0, None);
            }
            // A slave takes the topics of its master over, whatever its own release.
            file.system_topics(if is_slave { Strength::Medium } else { Strength::Strong });
        }
        Kind::Groups => {
            file.data_version();
            file.groups();
        }
        Kind::Offsets => {
            file.table_version("config.offset-data-version", Strength::Strong);
            if file.has_object("pullOffsetTable") {
                let says = "pullOffsetTable";
                file.last(Strength::Strong, "config.pull-offset-table", says, Some(Release::V5_5_0), None);
            }
            file.layout();
        }
        // Text of one line is what the master sent.
        Kind::Delay if text.contains(&b'\n') => {
            file.table_version("config.delay-data-version", Strength::Strong);
            file.layout();
        }
        Kind::Delay => file.table_version("config.delay-data-version", Strength::Medium),
    }
    file.marks
}

const R5_0_0: Option<Release> = Some(Release::V5_0_0);

struct File<'a> {
    path: &'a str,
    text: &'a [u8],
    marks: Vec<Mark>,
}

impl File<'_> {
    fn push(&mut self, mark: Mark) {
        self.marks.push(mark);
    }

    fn last(
        &mut self,
        strength: Strength,
        mark: &'static str,
        what: &str,
        at_least: Option<Release>,
        at_most: Option<Release>,
    ) {
        let by = match (at_least, at_most) {
            (Some(from), Some(to)) => format!("{from} to {to}"),
            (Some(from), None) => format!("{from} or later"),
            (None, Some(to)) => format!("{to} or earlier"),
            (None, None) => "any release".to_owned(),
        };
        let says = format!("{what}: last written by {by}");
        let about = About::LastWriter;
        self.push(Mark { mark, path: self.path.to_owned(), says, at_least, at_most, about, strength });
    }

    fn has_object(&self, name: &str) -> bool {
        memmem::find(self.text, format!("\"{name}\":{{").as_bytes()).is_some()
    }

    fn has_scalar(&self, name: &str) -> bool {
        let key = format!("\"{name}\":");
        // A topic or group of that name would be an object.
        memmem::find_iter(self.text, key.as_bytes()).any(|at| {
            let next = self.text.get(at + key.len());
            next.is_some_and(|b| *b != b'{')
        })
    }

    /// `dataVersion` of topics and groups.
    fn data_version(&mut self) {
        if self.has_scalar("stateVersion") {
            self.last(Strength::Strong, "config.state-version", "dataVersion.stateVersion", R5_0_0, None);
        } else if self.has_scalar("timestatmp") {
            let to = Some(Release::V4_0_0);
            self.last(Strength::Strong, "config.timestatmp", "dataVersion.timestatmp", None, to);
        } else if self.has_scalar("timestamp") {
            let says = "dataVersion.timestamp without stateVersion";
            self.last(Strength::Strong, "config.timestamp", says, Some(Release::V4_1_0), Some(Release::V4_9_8));
        }
    }

    /// `dataVersion` of offsets, which older releases do not write.
    fn table_version(&mut self, mark: &'static str, strength: Strength) {
        if self.has_object("dataVersion") {
            self.last(strength, mark, "a dataVersion", R5_0_0, None);
        } else if self.has_object("offsetTable") {
            self.last(strength, mark, "no dataVersion", None, Some(Release::V4_9_8));
        }
    }

    fn groups(&mut self) {
        let strong = Strength::Strong;
        if self.has_object("groupRetryPolicy") || self.has_object("forbiddenTable") {
            self.last(strong, "config.group-retry-policy", "groupRetryPolicy or forbiddenTable", R5_0_0, None);
        }
        if self.has_object("attributes") {
            let from = Some(Release::V5_1_3);
            self.last(strong, "config.group-attributes", "groups with attributes", from, None);
        }
        if self.has_scalar("notifyConsumerIdsChangedEnable") {
            let from = Some(Release::V4_0_0);
            self.last(strong, "config.notify-consumer-ids", "notifyConsumerIdsChangedEnable", from, None);
        } else if self.has_scalar("groupName") {
            let (says, to) = ("groups without notifyConsumerIdsChangedEnable", Some(Release::V3_5_8));
            self.last(strong, "config.notify-consumer-ids", says, None, to);
        }
    }

    fn system_topics(&mut self, strength: Strength) {
        for (topic, from) in SYSTEM_TOPICS.iter().filter(|(topic, _)| self.has_object(topic)).collect::<Vec<_>>() {
            self.topic(topic, *from, strength);
        }
        // Topics named after the cluster: the cluster itself is a topic, too, and tells them from a user's name.
        if let Some(cluster) = self.cluster() {
            self.topic(&format!("{cluster}_REPLY_TOPIC"), Release::V4_6_0, strength);
            let revive = format!("{REVIVE_TOPIC_PREFIX}{cluster}");
            if self.has_object(&revive) {
                self.topic(&revive, Release::V5_0_0, strength);
            }
        }
    }

    /// The `C` for which both topics `C` and `C_REPLY_TOPIC` exist.
    fn cluster(&self) -> Option<String> {
        memmem::find_iter(self.text, b"_REPLY_TOPIC\":{").find_map(|end| {
            let before = self.text.get(..end)?;
            let start = memchr::memrchr(b'"', before)? + 1;
            let cluster = std::str::from_utf8(before.get(start..)?).ok()?;
            self.has_object(cluster).then(|| cluster.to_owned())
        })
    }

    fn topic(&mut self, topic: &str, from: Release, strength: Strength) {
        let says = format!("topic {topic}: opened by {from} or later");
        self.push(Mark {
            mark: "config.system-topic",
            path: self.path.to_owned(),
            says,
            at_least: Some(from),
            at_most: None,
            about: About::OpenedOnce,
            strength,
        });
    }

    /// Whether entries with numeric keys stand on lines of their own. Only told from a non-empty table.
    fn layout(&mut self) {
        let after_brace = |at: usize| self.text.get(at + 1..).unwrap_or_default();
        let entries = |skip_blanks: bool| {
            memchr::memchr_iter(b'{', self.text).any(|at| {
                let rest = after_brace(at);
                let blanks = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
                let digits = rest.iter().skip(blanks).take_while(|b| b.is_ascii_digit()).count();
                let colon = rest.get(blanks + digits) == Some(&b':');
                digits > 0 && colon && (blanks > 0) == skip_blanks
            })
        };
        if entries(true) {
            let says = "every entry on a line of its own";
            self.last(Strength::Strong, "config.json-layout", says, Some(Release::V5_4_0), None);
        } else if entries(false) && self.text.contains(&b'\n') {
            let says = "entries with numeric keys on one line";
            self.last(Strength::Strong, "config.json-layout", says, None, Some(Release::V5_3_4));
        }
    }
}

/// The number after `"timestamp":` or `"timestatmp":`, milliseconds since the epoch.
pub(super) fn data_version_time(text: &[u8]) -> Option<i64> {
    let number = |key: &str| {
        let at = memmem::find(text, key.as_bytes())?;
        let digits: Vec<u8> = text.iter().skip(at + key.len()).copied().take_while(u8::is_ascii_digit).collect();
        std::str::from_utf8(&digits).ok()?.parse().ok()
    };
    number("\"timestatmp\":").or_else(|| number("\"timestamp\":"))
}
