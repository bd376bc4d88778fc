//! What differs by broker release, as data: the timeline, one table of behaviours, `broker.conf`, and which release wrote
//! a store.
//!
//! Nothing on disk states a version, and hardly anything a broker does at start is the same in every release. All of it
//! is written down here once, so that no other module compares versions: ask [`Release::behaviour`] and match on the
//! rule that comes back.
//!
//! - [`Release`]: the releases, their dates and `MQVersion` ordinals.
//! - [`Behaviour`]: what a release does, each [`Fact`] with its [`Evidence`].
//! - [`conf`]: `broker.conf` as a release reads it: [`conf::BrokerConf`], [`conf::Resolved`].
//! - [`marks`]: [`marks::ReleaseBounds`], which release wrote a store, as bounds with evidence.
//! - [`features`]: what a release puts into a store that others do not know, and what those make of it.
//! - [`notes`]: what changes around the store from one release to another.
//!
//! ```
//! use mqstore_core::release::{Release, rules::WrongLength};
//!
//! let release: Release = "4.3.2".parse()?;
//! let rule = release.behaviour().wrong_length;
//! assert_eq!(rule.value, WrongLength::HidesLater);
//! assert_eq!(rule.evidence.to_string(), "seen on 3.5.8, 4.3.2, 4.4.0");
//! # Ok::<(), mqstore_core::release::UnknownRelease>(())
//! ```

use std::fmt;
use std::str::FromStr;

pub mod conf;
pub mod features;
pub mod marks;
pub mod notes;
pub mod rules;
mod table;
mod timeline;

pub use table::{Behaviour, Property, PropertyRow};
pub use timeline::{Basis, Release};

/// How a statement about a broker is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Observed on brokers of exactly these releases; for those between them it is inferred.
    Seen(&'static [Release]),
    /// Read in the broker's source.
    Source,
    /// Concluded, never observed.
    Derived,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seen(releases) => {
                f.write_str("seen on ")?;
                for (i, release) in releases.iter().enumerate() {
                    write!(f, "{}{release}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::Source => f.write_str("by reading the source"),
            Self::Derived => f.write_str("derived, never observed"),
        }
    }
}

/// One property of one release, with the range of releases that share it and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact<T> {
    /// What the release does.
    pub value: T,
    /// First release that does so.
    pub since: Release,
    /// Last release that does so, [`Release::NEWEST`] if none known does otherwise.
    pub until: Release,
    /// How the range is known.
    pub evidence: Evidence,
}

impl<T> Fact<T> {
    /// Whether it was observed on a broker of exactly this release, not only on a neighbour or in source.
    pub fn was_seen_on(&self, release: Release) -> bool {
        matches!(self.evidence, Evidence::Seen(releases) if releases.contains(&release))
    }
}

/// A text that names no release of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no known release, expected one of {} to {}, as 4.3.2", Release::OLDEST, Release::NEWEST)]
pub struct UnknownRelease {
    /// The text.
    pub text: String,
}

/// The release that stands for a version: itself, or its nearest known neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The release of the timeline.
    pub release: Release,
    /// Whether the version asked for is that release; `false`: a neighbour, to be said to the user.
    pub exact: bool,
    asked: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exact {
            write!(f, "{}", self.release)
        } else {
            write!(f, "{} is not a known release, taken as {}", self.asked, self.release)
        }
    }
}

impl Release {
    /// What this release does, from the one table.
    pub fn behaviour(self) -> Behaviour {
        Behaviour::of(self)
    }

    /// The release that a version text names, or the nearest known one: the next lower patch of the same line, else the
    /// next higher one, else the release before it. `None`: no version, or older than [`Release::OLDEST`], or of a major
    /// version that the table does not reach.
    ///
    /// A leading `v` and a suffix such as `-incubating` are passed over.
    ///
    /// ```
    /// use mqstore_core::release::Release;
    ///
    /// let found = Release::find("3.5.9").expect("a 3.5 release");
    /// assert_eq!((found.release, found.exact), (Release::V3_5_8, false));
    /// assert_eq!(found.to_string(), "3.5.9 is not a known release, taken as 3.5.8");
    /// assert!(Release::find("2.0.1").is_none());
    /// ```
    pub fn find(text: &str) -> Option<Found> {
        let text = text.trim();
        let version = parse_version(text)?;
        let found = |release, exact| Some(Found { release, exact, asked: text.to_owned() });
        if let Some(release) = Self::ALL.into_iter().find(|r| r.version() == version) {
            return found(release, true);
        }
        let (major, minor, _) = version;
        let same_line = |r: &Self| r.version().0 == major && r.version().1 == minor;
        // Of what came before the first row the table knows nothing.
        let lower = Self::ALL.into_iter().rfind(|r| r.version() < version)?;
        let higher = Self::ALL.into_iter().find(|r| r.version() > version);
        let nearest = Some(lower)
            .filter(same_line)
            .or(higher.filter(same_line))
            .or(Some(lower).filter(|r| r.version().0 == major))?;
        found(nearest, false)
    }
}

fn parse_version(text: &str) -> Option<(u8, u8, u8)> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let text = text.split_once('-').map_or(text, |(version, _)| version);
    let mut parts = text.split('.').map(|p| p.parse::<u8>().ok());
    let version = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(version)
}

impl FromStr for Release {
    type Err = UnknownRelease;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::find(text)
            .filter(|found| found.exact)
            .map(|found| found.release)
            .ok_or_else(|| UnknownRelease { text: text.to_owned() })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl serde::Serialize for Release {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests;
