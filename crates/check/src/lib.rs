//! Opinions about a store: findings and the report that collects them.
//!
//! - [`finding`]: one [`Finding`], with its stable id, severity and place; its JSON is the form that every command
//!   prints (`verify`, `diff`, `boot`, `preflight`, `backup verify`).
//! - [`report`]: a [`Report`] collects findings, says what was covered and what was skipped, and from both gives the
//!   [`Outcome`] that a command exits with.

pub mod finding;
pub mod report;

pub use finding::{Finding, Location, Severity, Suggestion};
pub use report::{Amount, Counts, Coverage, Outcome, Report, Skipped};
