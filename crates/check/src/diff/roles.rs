//! Who is the master.

use mqstore_core::release::Release;

use super::report::{RelationFound, Which};
use crate::snapshot::Snapshot;

/// What the sides are to each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Relation {
    /// Master and slave, told by the broker ids, else by what only slaves write; else the first one is the master.
    #[default]
    Auto,
    /// The first one is the master of the second.
    MasterSlave,
    /// The second one is the master of the first.
    SlaveMaster,
    /// Both are the same broker, the second one later: nothing may be lost.
    BeforeAfter,
}

/// What the sides are to each other, decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Roles {
    pub(super) before_after: bool,
    /// The master, or what came before.
    pub(super) first: Which,
    how: &'static str,
}

impl Roles {
    /// The slave, or what came after.
    pub(super) fn second(self) -> Which {
        self.first.other()
    }

    /// The side whose offsets both have after the next sync, or which simply is newer.
    pub(super) fn winner(self) -> Which {
        if self.before_after { self.second() } else { self.first }
    }

    pub(super) fn name(self, which: Which) -> &'static str {
        match (self.before_after, which == self.first) {
            (false, true) => "master",
            (false, false) => "slave",
            (true, true) => "before",
            (true, false) => "after",
        }
    }

    pub(super) fn found(self) -> RelationFound {
        let kind = if self.before_after { "before-after" } else { "master-slave" };
        RelationFound { kind, first: self.first, how: self.how }
    }
}

pub(super) fn find(relation: Relation, a: &Snapshot, b: &Snapshot) -> Roles {
    let roles = |first, how| Roles { before_after: false, first, how };
    match relation {
        Relation::BeforeAfter => Roles { before_after: true, first: Which::A, how: "given" },
        Relation::MasterSlave => roles(Which::A, "given"),
        Relation::SlaveMaster => roles(Which::B, "given"),
        Relation::Auto => {
            let only_one = |is: fn(&Snapshot) -> bool| match (is(a), is(b)) {
                (true, false) => Some(Which::A),
                (false, true) => Some(Which::B),
                _ => None,
            };
            if let Some(master) = only_one(|side| side.identity.broker_id == Some(0)) {
                return roles(master, "broker ids");
            }
            if let Some(slave) = only_one(|side| side.identity.broker_id.is_some_and(|id| id > 0)) {
                return roles(slave.other(), "broker ids");
            }
            if let Some(slave) = only_one(has_slaves_checkpoint) {
                return roles(slave.other(), "physicMsgTimestamp of a slave's checkpoint is 0 up to 4.5.2");
            }
            if let Some(slave) = only_one(|side| side.delay_offsets_compact) {
                return roles(slave.other(), "delayOffset.json on one line, as slaves write it");
            }
            roles(Which::A, "assumed: the first one is the master")
        }
    }
}

/// Up to 4.5.2 a slave's checkpoint never gets the time of the last flush of its log.
fn has_slaves_checkpoint(side: &Snapshot) -> bool {
    let marks = side.state.checkpoint;
    let old = side.release.bounds().1.is_some_and(|newest| {
        newest < Release::V5_0_0 && side.release.bounds().0.is_none_or(|oldest| oldest <= Release::V4_5_2)
    });
    let zero = marks.is_some_and(|marks| marks.physic_msg_timestamp == 0 && marks.logics_msg_timestamp > 0);
    old && zero
}
