//! What the checklist holds. The names of the fields are the JSON of `preflight --format json`.

use mqstore_core::release::Release;
use serde::Serialize;

use crate::boot::{BootFlag, Messages};
use crate::finding::{Finding, Location, Severity, Suggestion};
use crate::report::Report;

/// What a line of the checklist came to, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not as things are.
    Fail,
    /// Could not be looked at.
    NotChecked,
    /// There is something to do, or to know.
    Warn,
    /// As it should be.
    Pass,
}

impl Status {
    /// The word for it in text: `NOT CHECKED`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fail => "FAIL",
            Self::NotChecked => "NOT CHECKED",
            Self::Warn => "WARN",
            Self::Pass => "PASS",
        }
    }

    const fn severity(self) -> Severity {
        match self {
            Self::Fail => Severity::Error,
            Self::Warn => Severity::Warning,
            Self::NotChecked | Self::Pass => Severity::Info,
        }
    }
}

/// One line of the checklist. Its JSON is that of a finding, and more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Line {
    /// Id, message, consequence, suggestion. Of severity error for [`Status::Fail`], warning for [`Status::Warn`].
    #[serde(flatten)]
    pub finding: Finding,
    /// What it came to.
    pub status: Status,
    /// What it rests on: files, lines of `broker.conf`, statements about releases with how they are known.
    pub evidence: Vec<String>,
    /// Nobody asked for it, so that it is not checked does not spoil the verdict.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl Line {
    pub(super) fn new(id: &'static str, status: Status, message: impl Into<String>) -> Self {
        let finding = Finding::new(id, status.severity(), Location::default(), message);
        Self { finding, status, evidence: Vec::new(), optional: false }
    }

    pub(super) fn pass(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Status::Pass, message)
    }

    pub(super) fn warn(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Status::Warn, message)
    }

    pub(super) fn fail(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Status::Fail, message)
    }

    pub(super) fn not_checked(id: &'static str, why: impl Into<String>) -> Self {
        Self::new(id, Status::NotChecked, why)
    }

    #[must_use]
    pub(super) fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    #[must_use]
    pub(super) fn evidence(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    #[must_use]
    pub(super) fn consequence(mut self, text: impl Into<String>) -> Self {
        self.finding = self.finding.consequence(text);
        self
    }

    #[must_use]
    pub(super) fn suggest(mut self, summary: impl Into<String>) -> Self {
        self.finding = self.finding.suggest(summary);
        self
    }

    #[must_use]
    pub(super) fn command(mut self, command: impl Into<String>) -> Self {
        let summary = String::new();
        let suggestion = self.finding.suggestion.unwrap_or(Suggestion { summary, command: None, destructive: false });
        self.finding.suggestion = Some(Suggestion { command: Some(command.into()), ..suggestion });
        self
    }

    /// The line's id.
    pub fn id(&self) -> &'static str {
        self.finding.id
    }
}

/// Where a feature stands that the release to go back to does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It is in the store already.
    OnDisk,
    /// The new configuration switches it on.
    Configured,
    /// Every start of the new release brings it.
    EachStart,
    /// It comes when something is used.
    IfUsed,
    /// Only a switch brings it, and the new configuration is not known.
    IfSwitchedOn,
    /// Only a switch brings it, and the new configuration leaves it off.
    Off,
}

impl Presence {
    /// Whether the way back has to reckon with it in any case.
    pub const fn is_certain(self) -> bool {
        matches!(self, Self::OnDisk | Self::Configured | Self::EachStart)
    }
}

/// What becomes of one feature on the way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FeatureBack {
    /// Its name in the table of releases: `ipv6_hosts`.
    pub feature: &'static str,
    /// `safe`, `degraded`, `loses_data` or `impossible`.
    pub effect: &'static str,
    /// Whether it is there, or how it gets there.
    pub presence: Presence,
    /// What the older release does with it.
    pub says: &'static str,
    /// How it gets in: the switch, or the use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gets_in: Option<String>,
    /// What was seen of it in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// What to do about it beforehand.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub advice: &'static str,
    /// How all this is known.
    pub evidence: String,
}

/// How to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Stop the new release, start the old one on the store as it was left.
    InPlace,
    /// The same, as long as certain things are not used.
    InPlaceUnlessUsed,
    /// Only by a complete backup from before, log included; what was stored since is gone.
    Restore,
    /// Not known: the start of the old release is not predicted.
    Unknown,
}

/// The way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WayBack {
    /// The release to go back to.
    pub release: Release,
    /// How.
    pub way: Way,
    /// What its start on the store as it is now comes to; absent if that is not predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<BootFlag>,
    /// The features that it does not know, the worst first.
    pub features: Vec<FeatureBack>,
    /// What becomes of messages stored after a backup if its queues are put back beside the newer log, started clean.
    pub older_queues_beside_newer_log: String,
}

/// A step of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlanStep {
    /// Its number, from 1.
    pub step: usize,
    /// What to do.
    pub what: String,
    /// The command, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Whether it changes or removes something that is there.
    pub destructive: bool,
}

/// The checklist.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Preflight {
    /// The release that runs now.
    pub from: Release,
    /// The release that is to run.
    pub to: Release,
    /// The worst of the lines: `not_checked` if nothing failed and something that matters could not be looked at.
    pub verdict: Status,
    /// The lines, the worst first. In JSON each is a finding.
    #[serde(rename = "findings")]
    pub lines: Vec<Line>,
    /// The way back.
    pub way_back: WayBack,
    /// What the start of the new release hides or cuts, if that is predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub losses: Option<PredictedLosses>,
    /// What to do, in this order.
    pub plan: Vec<PlanStep>,
    /// The lines by severity, and what was not looked at.
    #[serde(flatten, serialize_with = "summary")]
    pub report: Report,
}

/// Messages that the start of the new release hides, cuts, or delivers again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PredictedLosses {
    /// In the log, but no queue leads to them.
    pub hidden: Messages,
    /// Behind the new end of the log.
    pub cut: Messages,
    /// Delivered again.
    pub redelivered: Messages,
}

/// The report without its findings: they are the lines.
fn summary<S: serde::Serializer>(report: &Report, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeStruct as _;
    let mut summary = serializer.serialize_struct("Summary", 3)?;
    summary.serialize_field("counts", &report.counts())?;
    summary.serialize_field("suppressed", report.suppressed())?;
    summary.serialize_field("coverage", &report.coverage)?;
    summary.end()
}
