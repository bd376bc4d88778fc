//! The releases in order, with dates and ordinals.

/// What the statements about a release rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Its broker was run.
    Seen,
    /// Its source was read, or that of both neighbours.
    Source,
    /// Known from release notes, issues and single files only (5.3.4 and later, where not seen).
    Post,
}

macro_rules! timeline {
    ($( $variant:ident $name:literal $version:tt $date:expr, $ordinal:literal, $basis:ident; )+) => {
        /// A broker release. The order is that of the version numbers: 4.9.8 comes before 5.0.0, although it was published
        /// later.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Release {
            $( #[doc = concat!("RocketMQ ", $name, ".")] $variant, )+
        }

        impl Release {
            /// Every release of the timeline, oldest first.
            pub const ALL: [Release; [$( $ordinal, )+].len()] = [$( Release::$variant, )+];

            /// The release as text: `4.3.2`.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// Day it was published, as `yyyy-mm-dd` (5.5.0: `yyyy-mm`); `None` where no source gives one.
            pub const fn date(self) -> Option<&'static str> {
                match self { $( Self::$variant => $date, )+ }
            }

            /// Ordinal of the `MQVersion` constant that its broker sends to name servers. Not on disk.
            /// See [`Release::ordinal_note`] for those that are no plain reading.
            pub const fn ordinal(self) -> u16 {
                match self { $( Self::$variant => $ordinal, )+ }
            }

            /// What the statements about it rest on.
            pub const fn basis(self) -> Basis {
                match self { $( Self::$variant => Basis::$basis, )+ }
            }

            pub(super) const fn version(self) -> (u8, u8, u8) {
                match self { $( Self::$variant => $version, )+ }
            }
        }
    };
}

timeline! {
    V3_2_6 "3.2.6" (3, 2, 6) Some("2015-03-27"), 79, Seen;
    V3_3_1 "3.3.1" (3, 3, 1) Some("2015-05-25"), 87, Source;
    V3_4_1 "3.4.1" (3, 4, 1) Some("2015-05-25"), 105, Source;
    V3_4_6 "3.4.6" (3, 4, 6) None, 115, Source;
    V3_5_5 "3.5.5" (3, 5, 5) Some("2016-07-16"), 131, Source;
    V3_5_8 "3.5.8" (3, 5, 8) Some("2016-09-10"), 137, Seen;
    V4_0_0 "4.0.0" (4, 0, 0) Some("2017-02-07"), 212, Source;
    V4_1_0 "4.1.0" (4, 1, 0) Some("2017-06-08"), 232, Source;
    V4_2_0 "4.2.0" (4, 2, 0) Some("2017-12-13"), 252, Source;
    V4_3_0 "4.3.0" (4, 3, 0) Some("2018-07-26"), 273, Source;
    V4_3_1 "4.3.1" (4, 3, 1) Some("2018-08-29"), 275, Source;
    V4_3_2 "4.3.2" (4, 3, 2) Some("2018-11-05"), 277, Seen;
    V4_4_0 "4.4.0" (4, 4, 0) Some("2019-01-17"), 293, Seen;
    V4_5_0 "4.5.0" (4, 5, 0) Some("2019-03-29"), 313, Source;
    V4_5_1 "4.5.1" (4, 5, 1) Some("2019-05-21"), 315, Source;
    V4_5_2 "4.5.2" (4, 5, 2) Some("2019-08-01"), 317, Seen;
    V4_6_0 "4.6.0" (4, 6, 0) Some("2019-11-19"), 333, Source;
    V4_6_1 "4.6.1" (4, 6, 1) Some("2020-01-20"), 335, Source;
    V4_7_0 "4.7.0" (4, 7, 0) Some("2020-03-05"), 353, Source;
    V4_7_1 "4.7.1" (4, 7, 1) Some("2020-06-24"), 355, Source;
    V4_8_0 "4.8.0" (4, 8, 0) Some("2020-12-08"), 373, Source;
    V4_9_0 "4.9.0" (4, 9, 0) Some("2021-06-10"), 393, Source;
    V4_9_1 "4.9.1" (4, 9, 1) Some("2021-08-16"), 395, Source;
    V4_9_2 "4.9.2" (4, 9, 2) Some("2021-10-22"), 397, Seen;
    V4_9_3 "4.9.3" (4, 9, 3) Some("2022-02-22"), 399, Source;
    V4_9_4 "4.9.4" (4, 9, 4) Some("2022-06-20"), 401, Source;
    V4_9_5 "4.9.5" (4, 9, 5) Some("2023-03-27"), 403, Source;
    V4_9_6 "4.9.6" (4, 9, 6) Some("2023-05-17"), 405, Source;
    V4_9_7 "4.9.7" (4, 9, 7) Some("2023-06-12"), 407, Seen;
    V4_9_8 "4.9.8" (4, 9, 8) Some("2024-02-22"), 409, Source;
    V5_0_0 "5.0.0" (5, 0, 0) Some("2022-09-19"), 413, Seen;
    V5_1_0 "5.1.0" (5, 1, 0) Some("2023-02-16"), 433, Source;
    V5_1_1 "5.1.1" (5, 1, 1) Some("2023-05-15"), 435, Source;
    V5_1_2 "5.1.2" (5, 1, 2) Some("2023-06-12"), 437, Source;
    V5_1_3 "5.1.3" (5, 1, 3) Some("2023-06-24"), 439, Source;
    V5_1_4 "5.1.4" (5, 1, 4) Some("2023-09-21"), 441, Seen;
    V5_2_0 "5.2.0" (5, 2, 0) Some("2024-02-11"), 453, Seen;
    V5_3_0 "5.3.0" (5, 3, 0) Some("2024-07-08"), 473, Source;
    V5_3_1 "5.3.1" (5, 3, 1) Some("2024-09-25"), 475, Seen;
    V5_3_2 "5.3.2" (5, 3, 2) Some("2025-03-08"), 477, Seen;
    V5_3_3 "5.3.3" (5, 3, 3) Some("2025-05-07"), 479, Seen;
    V5_3_4 "5.3.4" (5, 3, 4) Some("2025-11-26"), 481, Post;
    V5_4_0 "5.4.0" (5, 4, 0) Some("2025-12-24"), 493, Seen;
    V5_5_0 "5.5.0" (5, 5, 0) Some("2026-04"), 513, Seen;
    V5_5_1 "5.5.1" (5, 5, 1) Some("2026-08-20"), 515, Post;
}

impl Release {
    /// The oldest release of the timeline.
    pub const OLDEST: Self = Self::V3_2_6;
    /// The newest release of the timeline.
    pub const NEWEST: Self = Self::V5_5_1;

    /// Whether the source of this release was not at hand, so that what was not seen on its broker is known from release
    /// notes, single files and the development branch before it (5.3.4 and later).
    pub const fn is_provisional(self) -> bool {
        matches!(self, Self::V5_3_4 | Self::V5_4_0 | Self::V5_5_0 | Self::V5_5_1)
    }

    /// Whether mqstore promises to know this release's formats: 3.2.6 to 5.5.0.
    pub fn is_covered(self) -> bool {
        self <= Self::V5_5_0
    }

    /// Why [`Release::ordinal`] is not simply the constant of that name, if it is not.
    pub const fn ordinal_note(self) -> Option<&'static str> {
        match self {
            Self::V3_2_6 => Some("the commit of the release still says SNAPSHOT, 78"),
            Self::V3_3_1 => Some("86 as SNAPSHOT, 87 as release: which one was shipped is not known"),
            Self::V3_4_6 => Some("derived: each patch release counts two"),
            Self::V4_0_0 | Self::V4_1_0 | Self::V4_2_0 => Some("the SNAPSHOT constant was shipped"),
            _ => None,
        }
    }

    /// The release just before it, `None` for the oldest.
    pub fn previous(self) -> Option<Self> {
        Self::ALL.into_iter().rfind(|r| *r < self)
    }
}
