//! The timer wheel and its log, 5.0.0 and later: `timerwheel` and `timerlog/<20 digits>`.
//!
//! Written by `TimerWheel` and `TimerLog` for `TimerMessageStore`. A timed message waits in the commit log, in
//! `rmq_sys_wheel_timer`; the wheel has a slot for every second, and the log the units of each slot as a chain from the
//! last one back to the first.
//!
//! ```text
//!     slot    0               8               16              24      28      32
//!             +---------------+---------------+---------------+-------+-------+
//!             | second        | first         | last          | num   | magic |
//!             |               | position      | position      |       |       |
//!             +---------------+---------------+---------------+-------+-------+
//!     unit    0       4               12      16              24      28              36      40      44              52
//!             +-------+---------------+-------+---------------+-------+---------------+-------+-------+---------------+
//!             | size  | previous      | magic | write         | delay | physical      | size  | topic | reserved      |
//!             |       | position      |       | time          |       | offset        |       | hash  |               |
//!             +-------+---------------+-------+---------------+-------+---------------+-------+-------+---------------+
//!     blank   0       4               12      16
//!             +-------+---------------+-------+
//!             | rest  | 0             | magic | bytes without meaning up to the end of the file
//!             +-------+---------------+-------+
//! ```
//!
//! | field | bytes | meaning |
//! |---|---|---|
//! | second | 8 | the slot's time in seconds since the epoch (`timerPrecisionMs` 1000) |
//! | first, last position | 8 + 8 | positions in the timer log of the ends of the chain; -1 none |
//! | num | 4 | +1 for each unit, -1 for each delete unit: not the length of the chain |
//! | size | 4 | of the unit: 52 |
//! | previous position | 8 | in the timer log, of the previous unit of the slot; -1 none |
//! | magic | 4 | [`TimerMagic`] |
//! | write time | 8 | when the unit was enqueued, milliseconds since the epoch, whole seconds |
//! | delay | 4 | the slot's time minus write time, milliseconds |
//! | physical offset, size | 8 + 4 | of the message in the commit log |
//! | topic hash | 4 | hash of the topic that the message is for |
//!
//! Quirks:
//! - Second s has slot `s % slots`, with 2 × 7 × 86400 slots. A slot counts only for the second that it names: what is
//!   left of an earlier turn of the wheel means nothing.
//! - A message due later than the wheel reaches is *rolled*: its slot is a stop on the way, after which it is put into
//!   `rmq_sys_wheel_timer` again. When it is really due is the message's `TIMER_OUT_MS`.
//! - The wheel is copied to disk byte by byte every second, so in a store that was in use it may be older than the log,
//!   and torn. The broker scans the log again at start.

use crate::bytes::{Reader, i32_at, i64_at, is_zero};
use crate::error::{FormatError, FormatErrorKind};
use crate::format::commitlog::BLANK_MAGIC_CODE;

/// Length of a slot in bytes (`Slot.SIZE`).
pub const TIMER_SLOT_LENGTH: usize = 8 + 8 + 8 + 4 + 4;
/// Length of a unit of the log in bytes (`TimerLog.UNIT_SIZE`).
pub const TIMER_UNIT_LENGTH: usize = 4 + 8 + 4 + 8 + 4 + 8 + 4 + 4 + 8;
/// Length of a blank without what follows it.
pub const TIMER_BLANK_LENGTH: usize = 4 + 8 + 4;
/// Slots of the wheel of every release: two weeks of seconds (`timerWheelSlots`, not configurable).
pub const TIMER_SLOTS: u64 = 2 * 7 * 86_400;
/// Length of the file `timerwheel` in bytes.
pub const TIMER_WHEEL_LENGTH: u64 = TIMER_SLOTS * TIMER_SLOT_LENGTH as u64;

const _: () = assert!(TIMER_SLOT_LENGTH == 32 && TIMER_UNIT_LENGTH == 52 && TIMER_WHEEL_LENGTH == 38_707_200);

/// One slot of the wheel, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerSlot {
    /// The second that the slot stands for, since the epoch.
    pub second: i64,
    /// Position in the timer log of the oldest unit of its chain, -1 for none.
    pub first_position: i64,
    /// Position in the timer log of the newest unit of its chain, -1 for none.
    pub last_position: i64,
    /// Units less two times the delete units.
    pub num: i32,
    /// 0 in all releases.
    pub magic: i32,
}

impl TimerSlot {
    /// Reads the slot at the start of `bytes`.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            second: i64_at(bytes, 0)?,
            first_position: i64_at(bytes, 8)?,
            last_position: i64_at(bytes, 16)?,
            num: i32_at(bytes, 24)?,
            magic: i32_at(bytes, 28)?,
        })
    }

    /// The slot's time in milliseconds since the epoch. Saturates.
    pub fn time_ms(&self) -> i64 {
        self.second.saturating_mul(1000)
    }
}

/// The slots of the wheel.
#[derive(Debug, Clone, Copy)]
pub struct TimerWheel<'a> {
    bytes: &'a [u8],
}

impl<'a> TimerWheel<'a> {
    /// Reads `bytes` as slots; a remainder of fewer than 32 bytes is none. A broker refuses to start if the length is
    /// not [`TIMER_WHEEL_LENGTH`], unless it is 0.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Number of slots, used or not.
    pub fn capacity(&self) -> u64 {
        (self.bytes.len() / TIMER_SLOT_LENGTH) as u64
    }

    /// Slot `n`, used or not.
    pub fn get(&self, n: u64) -> Option<TimerSlot> {
        let at = usize::try_from(n).ok()?.checked_mul(TIMER_SLOT_LENGTH)?;
        TimerSlot::read(self.bytes.get(at..)?)
    }

    /// The slot of a second since the epoch, if it stands for that second at present.
    pub fn slot_of(&self, second: i64) -> Option<TimerSlot> {
        let slots = i64::try_from(self.capacity()).ok().filter(|slots| *slots > 0)?;
        let slot = self.get(second.rem_euclid(slots).cast_unsigned())?;
        (slot.second == second).then_some(slot)
    }

    /// The slots that are not all zero, with their numbers.
    pub fn used(&self) -> impl Iterator<Item = (u64, TimerSlot)> + use<'a> {
        /// Slots skipped at a time: nearly all of a wheel is zero.
        const RUN: usize = 1024 * TIMER_SLOT_LENGTH;
        let runs = self.bytes.chunks(RUN).zip(0u64..).filter(|(run, _)| !is_zero(run));
        runs.flat_map(|(run, number)| {
            let (slots, _) = run.as_chunks::<TIMER_SLOT_LENGTH>();
            let first = number * (RUN / TIMER_SLOT_LENGTH) as u64;
            let used = slots.iter().zip(first..).filter(|(slot, _)| !is_zero(*slot));
            used.filter_map(|(slot, n)| Some((n, TimerSlot::read(slot)?)))
        })
    }
}

/// What a unit is, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerMagic(pub i32);

impl TimerMagic {
    const DEFAULT: i32 = 1;
    const ROLL: i32 = 2;
    const DELETE: i32 = 4;

    /// Whether the slot is a stop on the way of a message that is due later.
    pub fn is_roll(self) -> bool {
        self.0 & Self::ROLL != 0
    }

    /// Whether the unit cancels a message of the slot instead of delivering one.
    pub fn is_delete(self) -> bool {
        self.0 & Self::DELETE != 0
    }

    /// Whether the default bit is set and no bit that no release sets.
    pub fn is_known(self) -> bool {
        self.0 & Self::DEFAULT != 0 && self.0 & !(Self::DEFAULT | Self::ROLL | Self::DELETE) == 0
    }
}

/// One unit of the timer log, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimerUnit {
    /// Position of the previous unit of the slot in the timer log, -1 for none.
    pub previous_position: i64,
    /// What the unit is.
    pub magic: TimerMagic,
    /// When it was enqueued, milliseconds since the epoch.
    pub write_time: i64,
    /// The slot's time minus `write_time` in milliseconds.
    pub delay: i32,
    /// Physical offset of the message.
    pub physical_offset: i64,
    /// Total size of the message in bytes.
    pub size: i32,
    /// Hash of the topic that the message is for.
    pub topic_hash: i32,
}

impl TimerUnit {
    /// The time of its slot in milliseconds since the epoch. Saturates.
    pub fn slot_time(&self) -> i64 {
        self.write_time.saturating_add(i64::from(self.delay))
    }
}

/// What follows what in a file of the timer log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerEntry {
    /// A unit.
    Unit(TimerUnit),
    /// The filler that closes a file.
    Blank {
        /// Its length as stored: the rest of the file.
        size: i32,
    },
}

impl TimerEntry {
    /// Reads the entry at the start of `bytes`, which lies at `position` in the log. `None`: nothing was written here
    /// (size 0, or no bytes).
    pub fn read(bytes: &[u8], position: u64) -> Result<Option<Self>, FormatError> {
        let mut reader = Reader::new(bytes, position);
        if bytes.is_empty() {
            return Ok(None);
        }
        let size = reader.i32("timer unit size")?;
        if size == 0 {
            return Ok(None);
        }
        let previous_position = reader.i64("timer previous position")?;
        let magic = reader.i32("timer magic")?;
        let bad = |field, found, expected| {
            Err(FormatError::new(position, FormatErrorKind::BadValue { field, found: i64::from(found), expected }))
        };
        if magic == BLANK_MAGIC_CODE {
            if usize::try_from(size).is_ok_and(|size| size >= TIMER_BLANK_LENGTH && size <= bytes.len()) {
                return Ok(Some(Self::Blank { size }));
            }
            return bad("timer blank size", size, "16 up to the rest of the file");
        }
        if usize::try_from(size) != Ok(TIMER_UNIT_LENGTH) {
            return bad("timer unit size", size, "52");
        }
        let magic = TimerMagic(magic);
        if !magic.is_known() {
            return bad("timer magic", magic.0, "1, 3, 5 or 7");
        }
        let unit = TimerUnit {
            previous_position,
            magic,
            write_time: reader.i64("timer write time")?,
            delay: reader.i32("timer delay")?,
            physical_offset: reader.i64("timer physical offset")?,
            size: reader.i32("timer message size")?,
            topic_hash: reader.i32("timer topic hash")?,
        };
        reader.i64("timer reserved")?;
        Ok(Some(Self::Unit(unit)))
    }

    /// Length of the entry in bytes.
    pub fn length(&self) -> usize {
        match self {
            Self::Unit(_) => TIMER_UNIT_LENGTH,
            Self::Blank { size } => usize::try_from(*size).unwrap_or(0),
        }
    }
}

/// The entries of one file with their positions in the log. Ends behind a blank, behind the first error, and where
/// nothing was written.
#[derive(Debug, Clone)]
pub struct TimerEntries<'a> {
    rest: &'a [u8],
    position: u64,
}

impl<'a> TimerEntries<'a> {
    /// The entries of a file whose first byte lies at `file_from_offset` in the log.
    pub fn new(bytes: &'a [u8], file_from_offset: u64) -> Self {
        Self { rest: bytes, position: file_from_offset }
    }

    /// Where the next entry stands, or would.
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl Iterator for TimerEntries<'_> {
    type Item = Result<(u64, TimerEntry), FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = TimerEntry::read(self.rest, self.position).transpose()?;
        let position = self.position;
        match &entry {
            Ok(entry) => {
                let blank = matches!(entry, TimerEntry::Blank { .. });
                self.position = position.saturating_add(entry.length() as u64);
                self.rest = if blank { &[] } else { self.rest.get(entry.length()..).unwrap_or_default() };
            }
            Err(_) => self.rest = &[],
        }
        Some(entry.map(|entry| (position, entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(magic: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 52];
        bytes.extend([0xFF; 8]);
        bytes.extend([0, 0, 0, magic, 0, 0, 1, 0x8B, 0xCF, 0xE5, 0x68, 0, 0, 0, 0x17, 0x70]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0x87, 0x9A, 0, 0, 1, 0x86, 0x94, 0x28, 0xAA, 1]);
        bytes.extend([0; 8]);
        bytes
    }

    #[test]
    fn units_are_read_up_to_the_blank() {
        let mut bytes = [unit(1), unit(5)].concat();
        bytes.extend([0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0xCB, 0xD4, 0x31, 0x94, 9, 9, 9, 9]);
        let entries: Vec<_> = TimerEntries::new(&bytes, 1000).collect::<Result<_, _>>().unwrap();
        let TimerEntry::Unit(first) = entries[0].1 else { panic!("{entries:?}") };
        assert_eq!((first.previous_position, first.delay, first.physical_offset, first.size), (-1, 6000, 34714, 390));
        assert_eq!(first.slot_time(), 1_700_000_006_000);
        assert!(matches!(entries[1], (1052, TimerEntry::Unit(unit)) if unit.magic.is_delete()));
        assert_eq!(entries[2..], [(1104, TimerEntry::Blank { size: 20 })]);
    }

    #[test]
    fn a_torn_unit_an_odd_size_and_an_odd_magic_are_errors_and_zeros_are_none() {
        assert_eq!(TimerEntries::new(&[0; 64], 0).count(), 0);
        for length in 1..52 {
            assert!(TimerEntries::new(&unit(1)[..length], 0).next().unwrap().is_err(), "{length}");
        }
        let error = TimerEntries::new(&unit(2), 52).next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "timer magic is 2, expected 1, 3, 5 or 7 at offset 52");
        let mut wide = unit(1);
        wide[3] = 53;
        assert!(TimerEntries::new(&wide, 0).next().unwrap().is_err());
    }

    #[test]
    fn a_slot_counts_only_for_the_second_it_names() {
        let mut bytes = vec![0; 10 * 32];
        bytes[7 * 32..][..28]
            .copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 27, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 52, 0, 0, 0, 2]);
        let wheel = TimerWheel::new(&bytes);
        let slot = TimerSlot { second: 27, first_position: 0, last_position: 52, num: 2, magic: 0 };
        assert_eq!(wheel.slot_of(27), Some(slot));
        assert_eq!(wheel.slot_of(17), None);
        assert_eq!(wheel.used().collect::<Vec<_>>(), [(7, slot)]);
        assert_eq!(wheel.slot_of(-3), None);
    }
}
