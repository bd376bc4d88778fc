//! Amounts as people write them: `16MiB`, `90s`.

/// Bytes: a number, or one with a binary unit from `KiB` to `TiB`.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    const UNITS: &[(&str, u32)] = &[("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("B", 0), ("", 0)];
    scaled(text, UNITS.iter().map(|(unit, shift)| (*unit, 1_u64 << shift)))
        .ok_or_else(|| "expected bytes, or a number with a binary unit as 16MiB".to_owned())
}

/// Milliseconds: a number with one of `ms`, `s`, `m`, `h`, `d`.
pub(crate) fn parse_duration_ms(text: &str) -> Result<u64, String> {
    const UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    scaled(text, UNITS.iter().copied())
        .ok_or_else(|| "expected a number with a unit: 500ms, 5s, 10m, 2h or 30d".to_owned())
}

/// The first unit that the text ends in decides, so longer ones come first.
fn scaled<'a>(text: &str, mut units: impl Iterator<Item = (&'a str, u64)>) -> Option<u64> {
    let (number, scale) = units.find_map(|(unit, scale)| {
        let number = text.strip_suffix(unit)?;
        number.ends_with(|c: char| c.is_ascii_digit()).then_some((number, scale))
    })?;
    number.parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_or_have_a_binary_unit() {
        for (text, bytes) in [("0", 0), ("512B", 512), ("64KiB", 65_536), ("16MiB", 16 << 20), ("2GiB", 2 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "MiB", "1.5MiB", "16MB", "16 MiB", "-1", "99999999999TiB"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_need_their_unit() {
        for (text, ms) in
            [("500ms", 500), ("5s", 5000), ("10m", 600_000), ("2h", 7_200_000), ("30d", 2_592_000_000), ("0s", 0)]
        {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        }
        for wrong in ["", "5", "s", "5w", "1.5s", "-1s"] {
            assert!(parse_duration_ms(wrong).is_err(), "{wrong}");
        }
    }
}
