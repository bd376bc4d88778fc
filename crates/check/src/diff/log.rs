//! The log: ranges, lag, where the sides part, and whether replication can go on.

use std::ops::ControlFlow;

use mqstore_core::PhysicalOffset;
use mqstore_core::format::commitlog::Entry;
use mqstore_core::release::Release;
use mqstore_core::store::CommitLog;

use super::digests::{self, Source};
use super::report::{Ahead, Compared, Divergence, How, LogDiff, LogSide, PhysicalRange, Which};
use super::{Area, Pair, bytes, log_location};
use crate::finding::{Finding, Location};
use crate::report::Amount;
use crate::snapshot::{LogSnapshot, PIECE, SnapshotError};

pub(super) fn compare(pair: &mut Pair<'_>) -> Result<LogDiff, SnapshotError> {
    let (a, b) = (side(&pair.a.snapshot.log), side(&pair.b.snapshot.log));
    let mut diff = LogDiff { a, b, ..LogDiff::default() };
    measure(pair, &mut diff)?;
    if !pair.wants(Area::Log) {
        // Something was looked at nevertheless.
        pair.report.coverage.files = Amount { seen: 1, total: 1 };
        return Ok(diff);
    }
    pair.unread(Area::Log);
    let files = pair.both().iter().map(|seen| seen.snapshot.log.files.len() as u64).sum();
    pair.report.coverage.files = Amount { seen: files, total: files };
    pair.report.coverage.new_store = pair.both().iter().all(|seen| is_empty(&seen.snapshot.log));
    compare_common(pair, &mut diff)?;
    if pair.roles.before_after {
        before_after(pair, &diff);
    } else {
        replication(pair, &diff);
    }
    ends(pair, &diff);
    Ok(diff)
}

fn side(log: &LogSnapshot) -> LogSide {
    LogSide {
        min_offset: log.min_offset,
        max_offset: log.max_offset,
        end: log.end.clone(),
        stale: log.stale,
        newest_store_timestamp: log.newest_store_timestamp,
    }
}

fn is_empty(log: &LogSnapshot) -> bool {
    log.reach() <= log.min_offset
}

/// Who is ahead and by how much.
fn measure(pair: &Pair<'_>, diff: &mut LogDiff) -> Result<(), SnapshotError> {
    let ahead = match diff.a.max_offset.cmp(&diff.b.max_offset) {
        std::cmp::Ordering::Greater => Which::A,
        std::cmp::Ordering::Less => Which::B,
        std::cmp::Ordering::Equal => {
            diff.lag_messages = Some(0);
            diff.lag_messages_exact = true;
            diff.lag_ms = Some(0);
            return Ok(());
        }
    };
    diff.ahead = if ahead == Which::A { Ahead::A } else { Ahead::B };
    let (long, short) = (pair.side(ahead), pair.side(ahead.other()));
    let (longer, shorter) = (&long.snapshot.log, &short.snapshot.log);
    let from = shorter.max_offset.max(longer.min_offset);
    // What the longer one holds no more is behind, too: it counts in bytes, and its records nobody can count.
    let gone = if is_empty(shorter) { 0 } else { from - shorter.max_offset };
    diff.lag_bytes = longer.max_offset - from + gone;
    if let (Some(newest), Some(behind)) = (longer.newest_store_timestamp, shorter.newest_store_timestamp) {
        diff.lag_ms = Some(u64::try_from(newest.saturating_sub(behind)).unwrap_or(0));
    }
    let known = longer.records_from(from);
    let counted = match (&long.store, known) {
        (_, Some((records, true))) => Some((records, true)),
        (Some(store), _) => Some((count(store.commitlog(), from, longer.max_offset)?, true)),
        (None, known) => known,
    };
    diff.lag_messages = counted.map(|(records, _)| records);
    diff.lag_messages_exact = gone == 0 && counted.is_some_and(|(_, exact)| exact);
    Ok(())
}

/// Records of a log that begin in `from .. to`.
fn count(log: &CommitLog, from: u64, to: u64) -> Result<u64, SnapshotError> {
    let start = log.queue().find(from).map_or(from, |file| file.file_from_offset);
    let mut records = 0;
    log.scan(PhysicalOffset(start), false, |entry| {
        let at = entry.position().get();
        if at >= to {
            return ControlFlow::Break(());
        }
        records += u64::from(matches!(entry, Entry::Message(_)) && at >= from);
        ControlFlow::Continue(())
    })?;
    Ok(records)
}

impl LogSnapshot {
    /// Records from `offset` to the end, and whether they were counted one by one. `None` if too little is known.
    pub(crate) fn records_from(&self, offset: u64) -> Option<(u64, bool)> {
        if offset >= self.max_offset {
            return Some((0, true));
        }
        let first = self.recent.first()?;
        if first.physical_offset <= offset {
            let behind = self.recent.partition_point(|record| record.physical_offset < offset);
            return Some(((self.recent.len() - behind) as u64, true));
        }
        // The finest run that holds the offset is taken for its share, all behind it whole.
        let holds = |chunk: &&crate::snapshot::Chunk| chunk.from <= offset && offset < chunk.to;
        let chunk = self.chunks.iter().find(holds)?;
        let grain = self.tail.iter().find(holds);
        let cut = grain.unwrap_or(chunk);
        let share = u128::from(cut.records) * u128::from(cut.to - offset) / u128::from((cut.to - cut.from).max(1));
        let grains = self.tail.iter().filter(|g| grain.is_some() && g.from >= cut.to && g.to <= chunk.to);
        let chunks = self.chunks.iter().filter(|c| c.from >= chunk.to && c.from < self.max_offset);
        let records: u64 = grains.chain(chunks).map(|c| c.records).sum();
        Some((records + u64::try_from(share).unwrap_or(u64::MAX), false))
    }
}

fn compare_common(pair: &mut Pair<'_>, diff: &mut LogDiff) -> Result<(), SnapshotError> {
    let from = diff.a.min_offset.max(diff.b.min_offset);
    let to = diff.a.max_offset.min(diff.b.max_offset);
    if from >= to && [&diff.a, &diff.b].iter().all(|side| side.stale.is_none()) {
        return Ok(());
    }
    let to = to.max(from);
    diff.common = Some(PhysicalRange { from, to }).filter(|common| common.from < common.to);
    if let (Some(a), Some(b)) = (&pair.a.store, &pair.b.store) {
        let logs = (a.commitlog(), b.commitlog());
        let to = extended_bytes(logs, diff, to)?;
        let work = (pair.options.jobs, pair.progress);
        let found = bytes::compare(logs, from, to, work)?;
        diff.compared = Compared { bytes: found.bytes, how: How::Bytes };
        if let Some(parted) = found.parted {
            diff.divergence = Some(describe(logs, parted, to, work)?);
        }
        for gap in found.gaps {
            let finding = Finding::error(
                "pair.log-gap",
                Location::path("commitlog").at(gap.from).spanning(gap.to - gap.from),
                format!("{} has no file for {} to {}, the other side has", gap.side, gap.from, gap.to),
            );
            pair.report.push(finding.suggest(format!("copy the files from the other side to {}", gap.side)));
        }
    } else {
        compare_by_digests(pair, diff, from, to)?;
    }
    pair.report.coverage.bytes = Amount { seen: diff.compared.bytes, total: (to - from).max(diff.compared.bytes) };
    Ok(())
}

/// Where the comparison ends: a log that a broker would cut at a damaged record goes on behind it, if the records there
/// are still those of the other side.
fn extended_bytes((a, b): (&CommitLog, &CommitLog), diff: &LogDiff, to: u64) -> Result<u64, SnapshotError> {
    for (short, long) in [(&diff.a, &diff.b), (&diff.b, &diff.a)] {
        if let Some(stale) = short.stale.filter(|_| short.max_offset <= long.max_offset)
            && bytes::same_record(a, b, stale.first)?
        {
            let reach = long.stale.map_or(long.max_offset, |stale| stale.end.max(long.max_offset));
            return Ok(to.max(stale.end.min(reach)));
        }
    }
    Ok(to)
}

fn compare_by_digests(pair: &mut Pair<'_>, diff: &mut LogDiff, from: u64, to: u64) -> Result<(), SnapshotError> {
    let [a, b] = pair.both().map(|seen| match &seen.store {
        Some(store) => Source::store(store.commitlog(), &seen.snapshot.log),
        None => Source::snapshot(&seen.snapshot.log),
    });
    let (layout, this, other) = match pair.a.store {
        None => (&pair.a.snapshot.log, &a, &b),
        Some(_) => (&pair.b.snapshot.log, &b, &a),
    };
    let mut damaged = None;
    for (short, long) in [(&pair.a, &pair.b), (&pair.b, &pair.a)] {
        let (short, long) = (&short.snapshot.log, &long.snapshot.log);
        if let Some(stale) = short.stale.filter(|_| short.max_offset <= long.max_offset)
            && (digests::has_record(long, stale.first, stale.first_digest)
                || digests::any_equal(layout, other, short.max_offset, stale.end.min(long.reach()))?)
        {
            damaged = Some(PhysicalRange { from: short.max_offset, to: stale.first });
        }
    }
    let mut found = digests::compare(layout, (this, other), from, to, pair.progress)?;
    let records = digests::compare_records(&pair.a.snapshot.log, &pair.b.snapshot.log, from, to);
    // A stretch that was asked for is known from its begin on, so what parts in it parts there first. It may lie behind the
    // end of a log that goes on behind damage.
    let [reach_a, reach_b] = pair.both().map(|seen| seen.snapshot.log.reach());
    let known = if damaged.is_some() { reach_a.min(reach_b).max(to) } else { to };
    let asked = digests::compare_ranges((&a, &b), from, known)?;
    let records = match asked.parted {
        Some(row)
            if records.parted.is_none_or(|recent| {
                row.from <= recent.from || (row.from < recent.to && asked.from <= recent.from)
            }) =>
        {
            asked
        }
        _ => records,
    };
    let by_rows = match (found.parted, records.parted) {
        (Some(chunk), Some(record)) if records.from > chunk.from && record.from >= chunk.from => false,
        (Some(chunk), Some(record)) => record.from < chunk.to,
        (None, record) => record.is_some(),
        (_, None) => false,
    };
    if by_rows {
        found.parted = records.parted;
    } else if found.parted.is_none() {
        found.parted = damaged;
    }
    found.bytes += records.bytes_behind(found.end);
    diff.compared = Compared { bytes: found.bytes, how: How::Digests };
    for (which, own, other) in
        [(Which::A, pair.a.snapshot, pair.b.snapshot), (Which::B, pair.b.snapshot, pair.a.snapshot)]
    {
        let has = |at: u64| own.log.files.iter().any(|file| (file.from..file.from + file.length).contains(&at));
        let missing = other.log.files.iter().filter(|file| file.from >= from && file.from < to && !has(file.from));
        for file in missing {
            let end = file.from + file.length;
            let finding = Finding::error(
                "pair.log-gap",
                Location::path("commitlog").at(file.from).spanning(file.length),
                format!("{which} has no file for {} to {end}, the other side has", file.from),
            );
            pair.report.push(finding.suggest(format!("copy the files from the other side to {which}")));
        }
    }
    if let Some(chunk) = found.parted {
        let of_rows = by_rows.then_some(records.record);
        let record = of_rows.or(Some(chunk.from).filter(|_| found.parted == damaged));
        let exact = by_rows && records.exact;
        diff.divergence = Some(Divergence {
            physical_offset: chunk.from,
            exact,
            chunk: Some(chunk).filter(|_| !exact),
            record_offset: record,
            message: parted_by_digests(chunk, record, exact),
            ..Divergence::default()
        });
    } else if found.bytes == 0 && from < to {
        pair.report.skip(format!("commitlog {from} to {to}"), "no digest that both sides have lies in what both hold");
    } else if diff.compared.bytes < to - from {
        let what = format!("commitlog, {} of {} bytes that both hold", diff.compared.bytes, to - from);
        pair.report.skip_as_asked(what, "digests cover the rest");
    }
    Ok(())
}

/// How near the digests come, and what would come nearer.
fn parted_by_digests(PhysicalRange { from, to }: PhysicalRange, record: Option<u64>, exact: bool) -> String {
    let more = format!("snapshots with --range {from}..{to} of both sides tell");
    match record {
        Some(record) if exact => format!("the logs part at {from} in the record at {record}"),
        Some(record) => {
            let what = if to - from <= PIECE { "the byte" } else { "where in it" };
            format!("the logs part in the record at {record}, between {from} and {to}: {more} {what}")
        }
        None => format!("somewhere in {from} to {to} the logs differ: {more} the record"),
    }
}

/// Everything about the place where two stores part.
fn describe(
    (a, b): (&CommitLog, &CommitLog),
    parted: bytes::Parted,
    to: u64,
    work: (usize, &dyn mqstore_core::progress::Progress),
) -> Result<Divergence, SnapshotError> {
    let (shown_a, end_a) = bytes::record_at(a, parted.record)?;
    let (shown_b, end_b) = bytes::record_at(b, parted.record)?;
    let last = match parted.previous {
        Some(previous) => Some(previous),
        None => bytes::last_record_before(a, parted.file)?,
    };
    let last_common = last.map(|at| bytes::record_at(a, at)).transpose()?.map(|(shown, _)| shown);
    let sound = |shown: &super::RecordShown| shown.problem.is_none();
    let next = if sound(&shown_a) { end_a } else { None }.or(end_b).or(end_a).filter(|next| *next < to);
    let equal_again_from = match next {
        Some(next) => bytes::compare((a, b), next, to, work)?.parted.is_none().then_some(next),
        None => None,
    };
    let who = match (sound(&shown_a), sound(&shown_b)) {
        (true, false) => "a holds a sound record there, b does not",
        (false, true) => "b holds a sound record there, a does not",
        (true, true) => "both hold a sound record there, not the same one",
        (false, false) => "neither holds a sound record there",
    };
    let rest = if equal_again_from.is_some() { "behind it they are equal again" } else { "behind it they differ, too" };
    let message = format!("the logs part at {} in the record at {}: {who}; {rest}", parted.offset, parted.record);
    Ok(Divergence {
        physical_offset: parted.offset,
        exact: true,
        chunk: None,
        record_offset: Some(parted.record),
        file: Some(format!("{:020}", parted.file)),
        file_offset: Some(parted.offset - parted.file),
        last_common,
        a: Some(shown_a),
        b: Some(shown_b),
        equal_again_from,
        message,
    })
}

fn diverged(pair: &mut Pair<'_>, diff: &LogDiff, consequence: &str) {
    let Some(divergence) = &diff.divergence else { return };
    let file = divergence.file.as_deref().and_then(|name| name.parse().ok());
    let mut location = log_location(divergence.physical_offset, file);
    if let Some(chunk) = divergence.chunk {
        location = location.spanning(chunk.to - chunk.from);
    }
    pair.report.push(Finding::error("pair.diverged", location, divergence.message.clone()).consequence(consequence));
}

/// One broker, earlier and later.
fn before_after(pair: &mut Pair<'_>, diff: &LogDiff) {
    let (before, after) = match pair.roles.first {
        Which::A => (&diff.a, &diff.b),
        Which::B => (&diff.b, &diff.a),
    };
    diverged(pair, diff, "the log does not go on from what it was");
    if after.max_offset < before.max_offset {
        let message = format!("the log ends {} bytes earlier than before", before.max_offset - after.max_offset);
        let finding = Finding::error("pair.log-lost", log_location(after.max_offset, None), message)
            .values(before.max_offset, after.max_offset);
        pair.report.push(finding.consequence("messages that were stored before are gone, or hidden behind damage"));
    }
    if after.min_offset > before.min_offset {
        let message = format!("the log begins {} bytes later than before", after.min_offset - before.min_offset);
        pair.report.push(Finding::info("pair.log-expired", log_location(after.min_offset, None), message));
    }
    if diff.common.is_none() && before.max_offset > before.min_offset && after.max_offset >= before.max_offset {
        pair.report.skip("commitlog", "nothing is left of what was there before");
    }
}

/// Master and slave: can replication go on, and how far has it come.
fn replication(pair: &mut Pair<'_>, diff: &LogDiff) {
    let (master, slave) = match pair.roles.first {
        Which::A => (&diff.a, &diff.b),
        Which::B => (&diff.b, &diff.a),
    };
    diverged(
        pair,
        diff,
        "plain HA never compares content: the slave keeps its own records, its dispatcher stops at the first one it cannot \
         read, and consumers get other messages from it than from the master",
    );
    let [empty_master, empty_slave] =
        [pair.roles.first, pair.roles.second()].map(|which| is_empty(&pair.side(which).snapshot.log));
    if empty_master && empty_slave {
        return;
    }
    if empty_slave {
        pair.report.push(slave_is_empty(pair, master));
    } else if slave.max_offset > master.max_offset {
        pair.report.push(slave_is_ahead(pair, master, slave));
    } else if slave.max_offset < master.min_offset {
        let message =
            format!("the slave ends at {}, before the master's first file {}", slave.max_offset, master.min_offset);
        let finding = Finding::error("pair.slave-too-old", log_location(slave.max_offset, None), message)
            .consequence("the master answers with heartbeats only, and the slave never advances; nothing logs an error")
            .suggest("stop the slave and copy the master's store to it, or empty it, which gives it the master's last file only");
        pair.report.push(finding);
    }
    if slave.max_offset < master.max_offset && !empty_slave {
        lag(pair, diff, slave.max_offset);
    }
    older_slave(pair);
}

fn slave_is_empty(pair: &Pair<'_>, master: &LogSide) -> Finding {
    let size = pair.side(pair.roles.first).snapshot.log.file_size.max(1);
    let start = (master.max_offset - master.max_offset % size).max(master.min_offset);
    let missed = start - master.min_offset;
    let controller = pair.side(pair.roles.first).snapshot.state.controller_mode;
    let (message, consequence) = if controller {
        let message =
            "the slave is empty: in controller mode it gets the whole log, unless syncFromLastFile=true".to_owned();
        (message, "by reading the source")
    } else {
        let message = format!(
            "the slave is empty: it would get the log from {start} on, the beginning of the master's last file"
        );
        (message, "what lies before never reaches it (seen on 3.5.8 behind 4.3.2: 131 of 1608 records)")
    };
    Finding::error("pair.empty-slave", log_location(start, None), message)
        .values(format!("{missed} bytes before it copied by hand"), "an empty log")
        .consequence(consequence)
        .suggest("stop the slave and copy the master's store to it instead of letting it synchronise from nothing")
}

fn slave_is_ahead(pair: &Pair<'_>, master: &LogSide, slave: &LogSide) -> Finding {
    let releases = pair.side(pair.roles.first).snapshot.release.releases();
    let drops: Vec<bool> = releases.map(|release: Release| release.behaviour().slave_ahead_dropped.value).collect();
    let master_does = match (drops.contains(&true), drops.contains(&false)) {
        (true, false) => "the master closes the connection, again and again",
        (true, true) => "the master sends nothing (4.9.3 to 4.9.8 close the connection)",
        _ => "the master sends nothing",
    };
    let (from, to) = (master.max_offset, slave.max_offset);
    let message = format!("the slave is {} bytes ahead of the master: {from} to {to} are on the slave only", to - from);
    Finding::error("pair.slave-ahead", log_location(from, None).spanning(to - from), message)
        .values(format!("at most {from}"), to)
        .consequence(format!(
            "{master_does} until its own log has passed {to}; then {from} to {to} hold other messages on both sides, and the \
             slave goes on in the middle of one. Harmless only if the master was read earlier than the slave"
        ))
        .suggest("read the slave first, or both while stopped; if it is still ahead, save its tail before the master takes messages")
}

fn lag(pair: &mut Pair<'_>, diff: &LogDiff, slave_max: u64) {
    let limits = pair.options.limits;
    let beyond = limits.bytes_exceeded(diff.lag_bytes)
        || diff.lag_messages.is_some_and(|messages| limits.messages_exceeded(messages))
        || diff.lag_ms.is_some_and(|ms| limits.time_exceeded(ms));
    let unknown = limits.max_lag_messages.is_some() && diff.lag_messages.is_none();
    if unknown && !beyond {
        pair.report.skip("lag in messages", "the snapshot does not reach back so far: take it with more digests");
    }
    let messages = diff.lag_messages.map_or(String::new(), |n| format!(", {n} messages"));
    let time = diff.lag_ms.map_or(String::new(), |ms| format!(", {ms} ms"));
    let message = format!("the slave is behind by {} bytes{messages}{time}", diff.lag_bytes);
    let location = log_location(slave_max, None).spanning(diff.lag_bytes);
    let finding = if beyond {
        Finding::warning("pair.behind", location, message)
    } else {
        Finding::info("pair.behind", location, message)
    };
    pair.report
        .push(finding.suggest("stop the producers and wait until it has caught up before the master is stopped"));
}

/// A slave of an older release stalls at records it cannot read.
fn older_slave(pair: &mut Pair<'_>) {
    let (master, slave) = (pair.side(pair.roles.first), pair.side(pair.roles.second()));
    let Some(newest) = slave.snapshot.release.bounds().1 else { return };
    let features = master.snapshot.log.features;
    let what = if features.magic_v2 && newest < Release::V5_1_0 {
        "records of magic V2, which only 5.1.0 and later read"
    } else if features.ipv6_host && newest < Release::V4_6_0 {
        "records with IPv6 addresses, which only 4.6.0 and later read"
    } else {
        return;
    };
    let message = format!("the slave was written by {newest} or earlier, and the master's log holds {what}");
    let finding = Finding::warning("pair.slave-older", Location::path("commitlog"), message)
        .consequence("the slave's dispatcher stalls at the first of them, by reading the source")
        .suggest("upgrade the slave before the master");
    pair.report.push(finding);
}

/// What lies at the ends that is no part of the logs.
fn ends(pair: &mut Pair<'_>, diff: &LogDiff) {
    for (which, side) in [(Which::A, &diff.a), (Which::B, &diff.b)] {
        let name = pair.roles.name(which);
        let location = log_location(side.max_offset, None);
        if let Some(stale) = side.stale {
            let message = format!(
                "{name} ({which}): {} records from {} to {} lie behind the end of its log",
                stale.records, stale.first, stale.end
            );
            let finding = Finding::info("pair.stale-tail", location.spanning(stale.end - side.max_offset), message);
            pair.report.push(finding.consequence("a broker cuts or hides them at its next start; they are not compared unless both logs hold the same ones"));
        } else if side.end == "torn" {
            let message = format!("{name} ({which}): the log ends inside a record at {}", side.max_offset);
            let finding = Finding::info("pair.torn-tail", location, message);
            pair.report
                .push(finding.consequence("normal on a slave: the stream is cut anywhere; a start cuts the log there"));
        }
    }
}
