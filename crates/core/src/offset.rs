//! Two positions, two types: a byte in the whole commit log, and the number of a unit in one consume queue.
//!
//! Both are integers that look alike in a log line, and mixing them up is the classic mistake of RocketMQ tooling.
//! Fields *as stored* in a file stay `i64`, as Java wrote them; these types are positions that were found to be real.

use std::fmt;

macro_rules! position {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The plain number.
            #[inline]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The distance from `earlier` to here; 0 when `earlier` is not earlier.
            #[inline]
            pub const fn since(self, earlier: Self) -> u64 {
                self.0.saturating_sub(earlier.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<u64> for $name {
            fn from(value: u64) -> Self {
                Self(value)
            }
        }

        impl std::ops::Add<u64> for $name {
            type Output = Self;
            fn add(self, bytes: u64) -> Self {
                Self(self.0.saturating_add(bytes))
            }
        }
    };
}

position! {
    /// Byte position in the whole commit log (`phyOffset`, `physicOffset`).
    PhysicalOffset
}
position! {
    /// Number of a unit in one consume queue (`queueOffset`, `cqOffset`): a count, not bytes.
    QueueOffset
}
