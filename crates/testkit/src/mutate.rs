//! Random damage to bytes in memory.

use crate::builder::Random;

/// Numbers that readers tend to get wrong as a length, a count or an offset.
const ODD: [u64; 12] = [
    0,
    1,
    2,
    0x7F,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
    0xFFFF_FFFF_FFFF_FFFF,
];

/// `bytes` with one to four things wrong; the same `seed` does the same again.
///
/// Meant for property tests: draw `seed in any::<u64>()` and shrinking finds the smallest seed that fails. Bits are
/// flipped, numbers of 1 to 8 bytes overwritten with limits, runs zeroed, repeated, swapped, cut out or put in, and
/// the end cut off.
pub fn mutate(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut out = bytes.to_vec();
    for _ in 0..=random.below(4) {
        once(&mut out, &mut random);
    }
    out
}

fn once(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    let run = random.below(64) + 1;
    let end = (at + run).min(bytes.len());
    match random.below(9) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        2 | 3 => {
            let number = ODD.get(random.below(ODD.len())).copied().unwrap_or_default().to_be_bytes();
            let width = 1 << random.below(4);
            let tail = number.get(8 - width..).unwrap_or_default();
            bytes.iter_mut().skip(at).zip(tail).for_each(|(byte, new)| *byte = *new);
        }
        4 => bytes.iter_mut().skip(at).take(run).for_each(|byte| *byte = 0),
        5 => {
            let piece: Vec<u8> = bytes.get(at..end).unwrap_or_default().to_vec();
            bytes.splice(at..at, piece);
        }
        6 => {
            bytes.drain(at..end);
        }
        7 => bytes.truncate(at),
        _ => {
            let other = random.below(bytes.len());
            if at < bytes.len() {
                bytes.swap(at, other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::mutate;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_seeds_differ() {
        let bytes: Vec<u8> = (0..=255).collect();
        let results: Vec<_> = (0..200).map(|seed| mutate(&bytes, seed)).collect();
        assert_eq!(results, (0..200).map(|seed| mutate(&bytes, seed)).collect::<Vec<_>>());
        let changed = results.iter().filter(|result| **result != bytes).count();
        assert!(changed > 190, "{changed} of 200 seeds change anything");
        assert!(results.iter().any(|result| result.len() > bytes.len()));
        assert!(results.iter().any(|result| result.len() < bytes.len()));
    }

    #[test]
    fn nothing_and_a_single_byte_can_be_mutated() {
        assert!((0..500).all(|seed| mutate(&[], seed).is_empty()));
        assert!((0..500).any(|seed| mutate(&[7], seed) != [7]));
    }
}
