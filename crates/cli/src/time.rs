//! Moments: milliseconds in the store, RFC 3339 for people, both on the command line.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;

/// Milliseconds since the epoch, shown as RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(Timestamp);

impl Moment {
    /// `None` for a number that is no time of this era, as damaged bytes give.
    pub(crate) fn from_ms(ms: i64) -> Option<Self> {
        Timestamp::from_millisecond(ms).ok().map(Self)
    }

    /// The same, and `None` for 0, which in the store's marks means "never".
    pub(crate) fn from_mark(ms: i64) -> Option<Self> {
        if ms == 0 { None } else { Self::from_ms(ms) }
    }

    pub(crate) fn now() -> Self {
        Self(Timestamp::now())
    }

    pub(crate) fn from_system(time: SystemTime) -> Option<Self> {
        Timestamp::try_from(time).ok().map(Self)
    }

    /// Milliseconds since the epoch.
    pub(crate) fn as_ms(self) -> i64 {
        self.0.as_millisecond()
    }

    /// For file names: `20261123T213913Z`.
    pub(crate) fn compact(self) -> String {
        self.0.strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    /// Without fraction: `2026-11-23 21:39:13 UTC`.
    pub(crate) fn short(self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl serde::Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads `--since` and `--until`: RFC 3339 with an offset, or milliseconds since the epoch.
pub(crate) fn parse_ms(text: &str) -> Result<i64, String> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    let moment: Timestamp = text
        .parse()
        .map_err(|_| "expected RFC 3339 with an offset, as 2026-11-23T21:39:13Z, or milliseconds".to_owned())?;
    Ok(moment.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_name_the_same_moment() {
        assert_eq!(parse_ms("1795469953487"), Ok(1_795_469_953_487));
        assert_eq!(parse_ms("2026-11-23T21:39:13.487Z"), Ok(1_795_469_953_487));
        assert_eq!(parse_ms("2026-11-23T22:39:13.487+01:00"), Ok(1_795_469_953_487));
        assert!(parse_ms("yesterday").is_err() && parse_ms("2026-11-23").is_err());
    }

    #[test]
    fn milliseconds_are_always_three_digits() {
        assert_eq!(Moment::from_ms(1_795_469_953_400).unwrap().to_string(), "2026-11-23T21:39:13.400Z");
        assert!(Moment::from_ms(i64::MAX).is_none() && Moment::from_mark(0).is_none());
    }
}
