//! Which cases there are, which of them run, and one after the other.

use std::env;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use crate::jars::{self, Jars};
use crate::ledger::{Ledger, page};
use crate::{chain, faults, kill, lag, live, merge, rollback, upgrade};

/// One scenario on the releases it takes, in the order of its steps.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) scenario: &'static str,
    pub(crate) releases: &'static [&'static str],
    /// Rounds when all runs; 1 where there are none.
    rounds: u32,
    /// Rounds when the quick choice runs; `None` if it is not part of it.
    quick: Option<u32>,
}

impl Case {
    const fn new(scenario: &'static str, releases: &'static [&'static str], rounds: u32, quick: Option<u32>) -> Self {
        Self { scenario, releases, rounds, quick }
    }

    /// `SCENARIO@RELEASE-RELEASE`: how it is asked for, and the name of its file of results.
    pub(crate) fn name(&self) -> String {
        format!("{}@{}", self.scenario, self.releases.join("-"))
    }

    /// Rounds that were asked for; `None` if it was not.
    fn asked(&self, choice: &str) -> Option<u32> {
        let rounds = match choice {
            "quick" => self.quick,
            "all" => Some(self.rounds),
            names => names.split(',').any(|name| name == self.scenario || name == self.name()).then_some(self.rounds),
        }?;
        let given = env::var("MQSTORE_REHEARSAL_ROUNDS").ok();
        Some(given.map_or(rounds, |given| if self.rounds > 1 { given.parse().unwrap() } else { rounds }))
    }
}

/// A scenario: its name, what it proves, and what runs it.
type Scenario = (&'static str, &'static str, fn(&Stage, &mut Ledger));

/// In the order of the page.
pub(crate) const SCENARIOS: &[Scenario] = &[
    (
        "upgrade",
        "rolling upgrade of a master and its slave, name server first, a backup before each switch",
        upgrade::of_one,
    ),
    ("upgrade-of-three", "the same with three pairs in one cluster", upgrade::of_three),
    ("rollback", "back to the old release by `backup restore`: nothing is hidden", rollback::by_restore),
    ("rollback-by-hand", "the backup put back by hand beside a log that has grown: what it loses", rollback::by_hand),
    ("chain", "one broker through releases and back, a step each", chain::run),
    ("kill", "kill -9 under load: `boot` against the broker that starts again", kill::run),
    ("live", "live backup under load, restored beside the log into another site and started", live::run),
    ("lag", "a slave that falls behind: `diff` against both brokers and `mqadmin`", lag::run),
    ("merge", "the merged consumerOffset.json, loaded by a broker", merge::run),
    ("faults", "damaged stores: `boot` against the broker that starts on them", faults::run),
    (
        "race",
        "kill -9 of 3.2.6, whose abnormal start damages queues by chance: `verify` against consumers",
        kill::run_racing,
    ),
];

/// More rounds than there are.
const EVERY: u32 = 1000;

/// Every case of every scenario.
pub(crate) const CASES: &[Case] = &[
    Case::new("upgrade", &["3.2.6", "4.3.2"], 1, Some(1)),
    Case::new("upgrade-of-three", &["3.2.6", "4.3.2"], 1, None),
    Case::new("rollback", &["3.2.6", "4.3.2"], 1, Some(1)),
    Case::new("rollback", &["4.3.2", "5.3.3"], 1, None),
    Case::new("rollback", &["4.9.7", "5.3.3"], 1, None),
    Case::new("rollback", &["5.3.3", "5.5.0"], 1, None),
    Case::new("rollback-by-hand", &["3.2.6", "4.3.2"], 1, None),
    Case::new("rollback-by-hand", &["4.3.2", "5.3.3"], 1, None),
    Case::new("rollback-by-hand", &["4.9.7", "5.3.3"], 1, None),
    Case::new("rollback-by-hand", &["5.3.3", "5.5.0"], 1, None),
    Case::new("chain", &["4.3.2", "4.9.7", "5.3.3", "5.5.0"], 1, None),
    Case::new("kill", &["4.3.2"], 20, Some(2)),
    Case::new("kill", &["4.9.7"], 20, None),
    Case::new("kill", &["5.3.3"], 20, None),
    Case::new("kill", &["5.5.0"], 20, None),
    Case::new("live", &["4.3.2"], 20, Some(1)),
    Case::new("live", &["4.9.7"], 20, None),
    Case::new("live", &["5.3.3"], 20, None),
    Case::new("lag", &["3.2.6"], 5, None),
    Case::new("lag", &["4.3.2"], 5, Some(1)),
    Case::new("lag", &["5.3.3"], 5, None),
    Case::new("merge", &["4.3.2"], 1, None),
    Case::new("merge", &["4.9.7"], 1, None),
    Case::new("merge", &["5.3.3"], 1, None),
    Case::new("merge", &["5.5.0"], 1, None),
    Case::new("faults", &["4.3.2"], EVERY, Some(3)),
    Case::new("faults", &["4.5.2"], EVERY, None),
    Case::new("faults", &["4.9.7"], EVERY, None),
    Case::new("faults", &["5.1.4"], EVERY, None),
    Case::new("faults", &["5.3.3"], EVERY, None),
    Case::new("faults", &["5.5.0"], EVERY, None),
    Case::new("race", &["3.2.6"], 5, None),
];

/// What a case is given.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The releases of the case, in its order.
    pub(crate) jars: Vec<Jars>,
    pub(crate) rounds: u32,
}

/// Runs the cases that were asked for, one at a time, writes the page anew after each, and fails if anything was not as
/// predicted. What cannot run here is named, and does not count as right.
pub(crate) fn rehearse() -> ExitCode {
    let choice = env::var("MQSTORE_REHEARSAL").unwrap_or_default();
    if choice.is_empty() {
        say("not run: MQSTORE_REHEARSAL asks for nothing (quick, all, or SCENARIO[@RELEASES],…)");
        return ExitCode::SUCCESS;
    }
    for name in choice.split(',').filter(|name| !matches!(*name, "quick" | "all")) {
        if !CASES.iter().any(|case| name == case.scenario || name == case.name()) {
            say(&format!("MQSTORE_REHEARSAL: there is no scenario {name}"));
            return ExitCode::FAILURE;
        }
    }
    let (mut right, mut wrong, mut not_run) = (Vec::new(), Vec::new(), Vec::new());
    for case in CASES {
        let Some(rounds) = case.asked(&choice) else {
            continue;
        };
        let jars = case.releases.iter().map(|release| jars::of(release)).collect::<Result<Vec<_>, _>>();
        let jars = match jars.and_then(|jars| has_room(case).map(|()| jars)) {
            Ok(jars) => jars,
            Err(missing) => {
                say(&format!("{}: not run: {missing}", case.name()));
                not_run.push(case.name());
                continue;
            }
        };
        say(&format!("{} ...", case.name()));
        let (_, _, run) = SCENARIOS.iter().find(|(name, _, _)| *name == case.scenario).unwrap();
        let start = Instant::now();
        let mut ledger = Ledger::new(case);
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&Stage { jars, rounds }, &mut ledger)));
        if outcome.is_err() {
            ledger.broken();
        }
        ledger.save(start.elapsed());
        say(&format!("{}: {} in {} s", case.name(), ledger.verdict(), start.elapsed().as_secs()));
        let of_its_kind = if ledger.is_right() { &mut right } else { &mut wrong };
        of_its_kind.push(case.name());
        page();
    }
    // Also if nothing could run: from what ran before.
    page();
    for (what, names) in
        [("as predicted", &right), ("NOT AS PREDICTED", &wrong), ("not run, so nothing is known", &not_run)]
    {
        if !names.is_empty() {
            say(&format!("{what}: {}", names.join(", ")));
        }
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the brokers of a case would take messages: from 5.0.0 on, never on a disk that is more than nine tenths full.
fn has_room(case: &Case) -> Result<(), String> {
    let disk = rustix::fs::statvfs(env!("CARGO_TARGET_TMPDIR")).map_err(|e| e.to_string())?;
    let used = disk.f_blocks - disk.f_bfree;
    let percent = used * 100 / (used + disk.f_bavail).max(1);
    let full = percent >= 90 && case.releases.iter().any(|release| release.starts_with("5."));
    if full { Err(format!("{percent} % of the disk are used, and 5.x takes no messages above 90 %")) } else { Ok(()) }
}

/// A line for whoever waits.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "rehearsal: {line}");
}
