//! What changes around the store when a broker goes from one release to another: defaults, replication, clients, Java,
//! name servers. What changes in the store itself is in [`Feature`](super::features::Feature) and in
//! [`Behaviour`](super::Behaviour).

use super::conf::{BrokerConf, NoteLevel};
use super::features::{Switch, evidence};
use super::{Evidence, Release};

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// The default of a key, or what a key means.
    Defaults,
    /// Master and slave.
    Replication,
    /// Producers and consumers.
    Clients,
    /// Java and the scripts that start it.
    Java,
}

impl Subject {
    /// The word for it in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Defaults => "defaults",
            Self::Replication => "replication",
            Self::Clients => "clients",
            Self::Java => "java",
        }
    }
}

/// Something that changes between two releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// What it is about.
    pub subject: Subject,
    /// First release on the new side.
    pub since: Release,
    /// Last release on the new side.
    pub until: Release,
    /// How much it matters.
    pub level: NoteLevel,
    /// It matters only if `broker.conf` says so.
    pub only_if: Option<Switch>,
    /// It does not matter if `broker.conf` sets this key.
    pub unless_set: Option<&'static str>,
    /// What changes, one sentence.
    pub says: &'static str,
    /// What to do about it; empty if there is nothing to do.
    pub advice: &'static str,
    /// How that is known.
    pub evidence: Evidence,
}

impl Note {
    /// All of them.
    pub const fn all() -> &'static [Note] {
        NOTES
    }

    /// Those that matter to a broker with this configuration that goes from one release to the other, whichever is newer.
    /// Without a configuration those are left out that only matter by it.
    pub fn between(from: Release, to: Release, conf: Option<&BrokerConf>) -> impl Iterator<Item = &'static Note> {
        let (old, new) = (from.min(to), from.max(to));
        NOTES.iter().filter(move |note| {
            let crossed = old < note.since && note.since <= new && new <= note.until;
            let asked = note.only_if.is_none_or(|switch| conf.is_some_and(|conf| switch.is_on(conf)));
            let set = note.unless_set.is_some_and(|key| conf.is_some_and(|conf| conf.get(key).is_some()));
            crossed && asked && !set
        })
    }
}

/// What a name server of one release makes of a broker of another. That it takes no ordinal it does not know is in
/// [`Behaviour::name_server_version_limit`](super::Behaviour::name_server_version_limit).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameServerNote {
    /// First and last release of the name server.
    pub name_server: (Release, Release),
    /// First and last release of the broker.
    pub broker: (Release, Release),
    /// It matters only if `broker.conf` says so.
    pub only_if: Option<Switch>,
    /// How much it matters.
    pub level: NoteLevel,
    /// What happens.
    pub says: &'static str,
    /// How that is known.
    pub evidence: Evidence,
}

impl NameServerNote {
    /// All of them.
    pub const fn all() -> &'static [NameServerNote] {
        NAME_SERVER
    }

    /// Those that hold for this pair, without regard to `only_if`.
    pub fn of(name_server: Release, broker: Release) -> impl Iterator<Item = &'static NameServerNote> {
        let within = |(from, until): (Release, Release), release| from <= release && release <= until;
        NAME_SERVER.iter().filter(move |note| within(note.name_server, name_server) && within(note.broker, broker))
    }
}

impl Release {
    /// Whether a broker of `broker` that registers at a name server of this release gets a route.
    ///
    /// ```
    /// use mqstore_core::release::Release;
    ///
    /// assert!(!Release::V3_5_8.name_server_takes(Release::V4_3_2));
    /// assert!(Release::V4_3_2.name_server_takes(Release::V3_5_8));
    /// ```
    pub fn name_server_takes(self, broker: Self) -> bool {
        self.behaviour().name_server_version_limit.value.is_none_or(|limit| broker.ordinal() < limit)
    }

    /// The oldest release whose name server takes a broker of this one, and all newer ones do.
    #[must_use]
    pub fn oldest_name_server(self) -> Self {
        Self::ALL.into_iter().rev().take_while(|server| server.name_server_takes(self)).last().unwrap_or(Self::NEWEST)
    }
}

const FIRST: Release = Release::OLDEST;
const LAST: Release = Release::NEWEST;
const CONTROLLER: Option<Switch> = Some(Switch::Is("enableControllerMode", "true"));
const SYNC_MASTER: Option<Switch> = Some(Switch::Is("brokerRole", "SYNC_MASTER"));

macro_rules! notes {
    ($( $subject:ident $since:ident..$until:expr, $level:ident, if $only_if:expr, unless $unless:expr =>
        $says:literal, $advice:literal, [$($evidence:ident)+]; )+) => {
        const NOTES: &[Note] = &[$( Note {
            subject: Subject::$subject,
            since: Release::$since,
            until: $until,
            level: NoteLevel::$level,
            only_if: $only_if,
            unless_set: $unless,
            says: $says,
            advice: $advice,
            evidence: evidence!($($evidence)+),
        }, )+];
    };
}

notes! {
    Defaults V3_5_5..LAST, Info, if None, unless Some("maxMessageSize") =>
        "maxMessageSize is 512 KiB up to 3.4.6 and 4 MiB from 3.5.5 on", "", [source];
    Defaults V4_0_0..LAST, Info, if None, unless Some("flushIntervalCommitLog") =>
        "flushIntervalCommitLog is 1000 ms up to 3.5.8 and 500 ms from 4.0.0 on", "", [source];
    Defaults V4_3_2..LAST, Info, if None, unless Some("transactionTimeOut") =>
        "transactions are checked after 3 s up to 5 times up to 4.3.1, after 6 s up to 15 times from 4.3.2 on", "", [source];
    Defaults V4_9_1..LAST, Info, if None, unless Some("useReentrantLockWhenPutMessage") =>
        "useReentrantLockWhenPutMessage and flushCommitLogTimed are false up to 4.9.0 and true from 4.9.1 on", "", [source];
    Defaults V4_9_1..LAST, Info, if None, unless Some("sendMessageThreadPoolNums") =>
        "sendMessageThreadPoolNums is 1 up to 4.9.0 and up to 4 from 4.9.1 on", "", [source];
    Defaults V5_0_0..LAST, Info, if None, unless Some("registerBrokerTimeoutMills") =>
        "registerBrokerTimeoutMills is 6 s up to 4.9.8 and 24 s from 5.0.0 on", "", [source];
    Defaults V5_0_0..LAST, Info, if None, unless Some("timerWheelEnable") =>
        "timed messages are on from 5.0.0 on: timerwheel takes 37 MiB, mostly holes", "", [seen V5_3_3];
    Defaults V5_0_0..LAST, Warning, if SYNC_MASTER, unless Some("inSyncReplicas") =>
        "from 5.0.0 on SYNC_MASTER waits for inSyncReplicas acknowledgements, 1 by default: its own, so in effect ASYNC_MASTER",
        "set totalReplicas=2 and inSyncReplicas=2", [source];
    Defaults V5_1_1..LAST, Info, if None, unless Some("transactionCheckInterval") =>
        "transactionCheckInterval is 60 s up to 5.1.0 and 30 s from 5.1.1 on", "", [source];
    Defaults V5_3_1..LAST, Info, if None, unless Some("autoDeleteUnusedStats") =>
        "autoDeleteUnusedStats is true from 5.3.1 on", "", [source];

    Replication V4_1_0..LAST, Info, if None, unless None =>
        "between 4.0.0 or older and 4.1.0 or newer the data versions never agree: tables are written at every sync", "", [seen V3_5_8 V4_3_2];
    Replication V5_0_0..LAST, Block, if CONTROLLER, unless None =>
        "controller mode does not speak with plain HA: the handshakes differ", "change the release first, the mode later", [source];
    Replication V5_0_0..LAST, Info, if None, unless None =>
        "a slave of 5.x logs an error at each sync of consumer offsets with a master of 4.x; the offsets arrive", "", [source];
    Replication V5_1_1..LAST, Block, if CONTROLLER, unless None =>
        "controller mode of 5.0.0 and 5.1.0 does not speak with that of 5.1.1 and later",
        "stop both, delete epoch and controller data, start the old master first", [source];
    Replication V5_3_2..Release::V5_3_3, Warning, if None, unless None =>
        "a slave of 5.3.2 or 5.3.3 deletes its topics at the first sync and stops at the first one with attributes",
        "never take the topics.json of such a slave as a backup", [seen V5_3_3];
    Replication V5_4_0..Release::V5_5_0, Warning, if None, unless None =>
        "a slave of 5.4.0 or 5.5.0 fails at the sync of consumer offsets",
        "compare the consumer offsets of both sides before the roles change", [source];

    Clients V4_0_0..LAST, Info, if None, unless None =>
        "the packages of 3.x begin with com.alibaba, those of 4.x with org.apache; the protocol is the same", "", [source];
    Clients V4_3_0..Release::V4_3_0, Warning, if None, unless None =>
        "4.3.0 alone names its template topic AUTO_CREATE_TOPIC_KEY: clients of other releases cannot create topics",
        "take 4.3.1 or later, or make all topics beforehand", [source];
    Clients V4_6_0..LAST, Info, if None, unless None =>
        "consumers before 4.6.0 cannot read messages with IPv6 hosts", "", [source];
    Clients V4_9_4..LAST, Info, if None, unless None =>
        "consumers before 4.9.4 cannot read bodies that newer producers pack as LZ4 or ZSTD", "", [source];
    Clients V5_0_0..LAST, Info, if None, unless None =>
        "a new group begins at the end of a queue from 5.0.0 on; before, that depends on the queue", "", [source];

    Java V4_0_0..LAST, Info, if None, unless None =>
        "runbroker.sh asks for 8 GB of heap and 15 GB of direct memory from 4.0.0 on, for 4 GB of heap before",
        "carry your own JVM options over by hand, not the whole script", [source];
    Java V4_9_3..LAST, Info, if None, unless None =>
        "from 4.9.3 on the script chooses the collector by the version of Java; Java 21 also needs --add-opens", "", [source];
}

const NAME_SERVER: &[NameServerNote] = &[
    NameServerNote {
        name_server: (Release::V4_1_0, Release::V4_2_0),
        broker: (Release::V4_3_0, LAST),
        only_if: Some(Switch::Is("forceRegister", "false")),
        level: NoteLevel::Block,
        says: "without forceRegister a broker from 4.3.0 on first asks what name servers of 4.1.0 and 4.2.0 do not know",
        evidence: Evidence::Source,
    },
    NameServerNote {
        name_server: (Release::V5_0_0, Release::V5_0_0),
        broker: (FIRST, Release::V4_9_8),
        only_if: Some(Switch::Is("compressedRegister", "true")),
        level: NoteLevel::Block,
        says: "a name server of 5.0.0 cannot read the compressed registration of a broker of 4.x",
        evidence: Evidence::Source,
    },
    NameServerNote {
        name_server: (Release::V4_1_0, Release::V4_9_8),
        broker: (Release::V5_0_0, LAST),
        only_if: Some(Switch::Is("compatibleWithOldNameSrv", "false")),
        level: NoteLevel::Block,
        says: "a broker of 5.x registers at a name server of 4.x only with compatibleWithOldNameSrv=true, the default",
        evidence: Evidence::Seen(&[Release::V5_3_3]),
    },
    NameServerNote {
        name_server: (Release::V4_1_0, Release::V4_9_8),
        broker: (Release::V5_0_0, LAST),
        only_if: Some(Switch::Is("enableSlaveActingMaster", "true")),
        level: NoteLevel::Warning,
        says: "a slave acts as master only at name servers of 5.0.0 or later",
        evidence: Evidence::Source,
    },
];
