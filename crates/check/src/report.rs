//! What a run of checks has to say: findings, what was covered, what was not.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::finding::{Finding, Severity};

/// Findings of one id that a report keeps by default; the rest is only counted.
const DEFAULT_CAP: u64 = 100;

/// Findings per severity, those over the cap included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Findings of severity [`Severity::Error`].
    pub error: u64,
    /// Findings of severity [`Severity::Warning`].
    pub warning: u64,
    /// Findings of severity [`Severity::Info`].
    pub info: u64,
}

impl Counts {
    fn of(&mut self, severity: Severity) -> &mut u64 {
        match severity {
            Severity::Error => &mut self.error,
            Severity::Warning => &mut self.warning,
            Severity::Info => &mut self.info,
        }
    }

    /// Findings of severity `limit` or worse.
    pub fn at_least(self, limit: Severity) -> u64 {
        match limit {
            Severity::Error => self.error,
            Severity::Warning => self.error + self.warning,
            Severity::Info => self.error + self.warning + self.info,
        }
    }
}

/// So much of so much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// What was looked at.
    pub seen: u64,
    /// What there is.
    pub total: u64,
}

/// Something that was not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The file, pass or check.
    pub what: String,
    /// The reason.
    pub why: String,
    /// Whether the user asked for it (`--skip`); then it does not spoil the verdict.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
}

/// How much of the target a run has looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Files.
    pub files: Amount,
    /// Bytes.
    pub bytes: Amount,
    /// Records read, where the run reads records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// What was not looked at.
    pub skipped: Vec<Skipped>,
    /// Depth of the checks, in the command's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<&'static str>,
    /// The store is truly new: nothing to see is all there is, and nothing seen is then clean.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub new_store: bool,
    /// The run was stopped from outside before it was through.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
}

/// What a run comes to; the numbers are the exit codes of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything asked for was looked at, and nothing at or above the limit was found.
    Clean,
    /// Something at or above the limit was found; this wins over [`Outcome::NoVerdict`].
    Found,
    /// Something was skipped or nothing was seen, and nothing worse was proven.
    NoVerdict,
}

impl Outcome {
    /// The exit code: 0, 1 or 3.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Found => 1,
            Self::NoVerdict => 3,
        }
    }
}

/// The result of a run of checks. It keeps a bounded number of findings of each id and counts them all.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    findings: Vec<Finding>,
    counts: Counts,
    suppressed: BTreeMap<&'static str, u64>,
    /// What was looked at and what was not.
    pub coverage: Coverage,
    #[serde(skip)]
    kept: BTreeMap<&'static str, u64>,
    #[serde(skip)]
    cap: u64,
}

impl Default for Report {
    fn default() -> Self {
        Self::with_cap(DEFAULT_CAP)
    }
}

impl Report {
    /// An empty report that keeps up to 100 findings of each id.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty report that keeps up to `cap` findings of each id.
    pub fn with_cap(cap: u64) -> Self {
        Self {
            findings: Vec::new(),
            counts: Counts::default(),
            suppressed: BTreeMap::new(),
            coverage: Coverage::default(),
            kept: BTreeMap::new(),
            cap,
        }
    }

    /// Adds a finding and gives it back; over the cap of its id it is only counted, and `None` is given back.
    pub fn push(&mut self, finding: Finding) -> Option<&Finding> {
        *self.counts.of(finding.severity) += 1;
        let kept = self.kept.entry(finding.id).or_default();
        if *kept < self.cap {
            *kept += 1;
            self.findings.push(finding);
            self.findings.last()
        } else {
            *self.suppressed.entry(finding.id).or_default() += 1;
            None
        }
    }

    /// Takes out the findings kept; the others stay counted.
    pub(crate) fn take_findings(&mut self) -> Vec<Finding> {
        self.kept.clear();
        for finding in &self.findings {
            *self.counts.of(finding.severity) -= 1;
        }
        std::mem::take(&mut self.findings)
    }

    /// Counts what `part` counts of findings over the cap; those it keeps must have been taken out.
    pub(crate) fn count_further(&mut self, part: &Self) {
        self.counts.error += part.counts.error;
        self.counts.warning += part.counts.warning;
        self.counts.info += part.counts.info;
        for (id, count) in &part.suppressed {
            *self.suppressed.entry(id).or_default() += count;
        }
    }

    /// Says that something could not be looked at; the run can then no longer be clean.
    pub fn skip(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.coverage.skipped.push(Skipped { what: what.into(), why: why.into(), asked: false });
    }

    /// Says that something was left out because the user asked for that.
    pub fn skip_as_asked(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.coverage.skipped.push(Skipped { what: what.into(), why: why.into(), asked: true });
    }

    /// The findings kept, in the order in which they were added.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// All findings by severity, those not kept included.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Per id, the number of findings over the cap.
    pub fn suppressed(&self) -> &BTreeMap<&'static str, u64> {
        &self.suppressed
    }

    /// What the run comes to, when findings from `fail_on` upwards count: proven damage wins over no verdict, and a
    /// run that saw no file or no record is never clean unless the store is truly new.
    pub fn outcome(&self, fail_on: Severity) -> Outcome {
        let nothing_seen = self.coverage.files.seen == 0 || self.coverage.records == Some(0);
        let incomplete = self.coverage.skipped.iter().any(|skipped| !skipped.asked)
            || self.coverage.files.seen < self.coverage.files.total
            || (nothing_seen && !self.coverage.new_store);
        if self.counts.at_least(fail_on) > 0 {
            Outcome::Found
        } else if incomplete {
            Outcome::NoVerdict
        } else {
            Outcome::Clean
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Location;

    fn seen_everything() -> Report {
        let mut report = Report::new();
        report.coverage.files = Amount { seen: 2, total: 2 };
        report.coverage.records = Some(5);
        report
    }

    #[test]
    fn damage_wins_over_what_was_skipped_and_both_over_clean() {
        let mut report = seen_everything();
        assert_eq!(report.outcome(Severity::Error), Outcome::Clean);
        report.skip_as_asked("index", "--skip index");
        assert_eq!(report.outcome(Severity::Error), Outcome::Clean);
        report.skip("commitlog/00000000000000000000", "permission denied");
        assert_eq!(report.outcome(Severity::Error), Outcome::NoVerdict);
        report.push(Finding::warning("queue.gap", Location::queue("T", 0), "units 3 to 5 are blank"));
        assert_eq!(report.outcome(Severity::Error), Outcome::NoVerdict);
        assert_eq!(report.outcome(Severity::Warning), Outcome::Found);
        assert_eq!(Outcome::Found.exit_code(), 1);
    }

    #[test]
    fn a_run_that_saw_nothing_is_clean_only_on_a_new_store() {
        assert_eq!(Report::new().outcome(Severity::Error), Outcome::NoVerdict);
        let mut report = seen_everything();
        report.coverage.records = Some(0);
        assert_eq!(report.outcome(Severity::Error), Outcome::NoVerdict);
        report.coverage.new_store = true;
        assert_eq!(report.outcome(Severity::Error), Outcome::Clean);
        report.coverage.files.total = 3;
        assert_eq!(report.outcome(Severity::Error), Outcome::NoVerdict, "one file was not reached");
    }

    #[test]
    fn findings_over_the_cap_are_counted_but_not_kept() {
        let mut report = Report::with_cap(2);
        for offset in 0..5 {
            report.push(Finding::error("queue.gap", Location::path("q").at(offset), "gap"));
        }
        report.push(Finding::info("store.note", Location::default(), "note"));
        assert_eq!(report.findings().len(), 3);
        assert_eq!(report.counts(), Counts { error: 5, warning: 0, info: 1 });
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["suppressed"], serde_json::json!({"queue.gap": 3}));
        assert_eq!(json["coverage"]["files"], serde_json::json!({"seen": 0, "total": 0}));
    }

    #[test]
    fn a_report_in_parts_says_what_one_says() {
        let found = |n: u64| {
            let at = Location::path("q").at(n);
            if n.is_multiple_of(3) {
                Finding::warning("queue.gap", at, "gap")
            } else {
                Finding::error("queue.order", at, "order")
            }
        };
        let mut whole = Report::with_cap(4);
        (0..30).for_each(|n| drop(whole.push(found(n)).cloned()));
        let mut joined = Report::with_cap(4);
        for range in [0..5, 5..25, 25..25, 25..30] {
            let mut part = Report::with_cap(4);
            range.for_each(|n| drop(part.push(found(n)).cloned()));
            part.take_findings().into_iter().for_each(|found| drop(joined.push(found).cloned()));
            joined.count_further(&part);
        }
        assert_eq!(serde_json::to_value(&joined).unwrap(), serde_json::to_value(&whole).unwrap());
    }
}
