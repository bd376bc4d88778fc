//! Opinions about a store: findings and the report that collects them.
//!
//! - [`boot`]: what a broker release would do to a store at its start.
//! - [`mod@preflight`]: may a broker go to another release, and can it come back.
//! - [`finding`]: one [`Finding`], with its stable id, severity and place; its JSON is the form that every command
//!   prints (`verify`, `diff`, `boot`, `preflight`, `backup verify`).
//! - [`report`]: a [`Report`] collects findings, says what was covered and what was skipped, and from both gives the
//!   [`Outcome`] that a command exits with.
//! - [`verify()`]: proof that a store is sound and that its files agree with each other; [`verify::ALL_CHECKS`] lists what
//!   it can find.
//! - [`mod@snapshot`]: all positions and digests of a store, to be compared on another machine.
//! - [`mod@diff`]: compares two stores or snapshots: master and slave, or before and after.

pub mod boot;
pub mod diff;
pub mod finding;
pub mod preflight;
pub mod report;
pub mod snapshot;
pub mod verify;

pub use finding::{Finding, Location, Severity, Suggestion};
pub use report::{Amount, Counts, Coverage, Outcome, Report, Skipped};
pub use verify::{VerifyError, VerifyOptions, verify};
