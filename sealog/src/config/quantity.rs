//! Sizes and durations as people write them.

/// `64MiB`, `500KiB`, `1024` (bytes).
pub fn size_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// `250ms`, `60s`, `5m`, `1h`. A unit is needed: a bare number would be guessed at.
pub fn duration_us(text: &str) -> Option<i64> {
    let (number, unit) = split(text)?;
    let factor: i64 = match unit {
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    i64::try_from(number).ok()?.checked_mul(factor)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, text[digits..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_written() {
        assert_eq!(size_bytes("64MiB"), Some(64 << 20));
        assert_eq!(size_bytes("12"), Some(12));
        assert_eq!(duration_us("60s"), Some(60_000_000));
        assert_eq!(duration_us("1 h"), Some(3_600_000_000));
        for bad in ["", "s", "5", "5y", "-5s", "99999999999999999999s"] {
            assert_eq!(duration_us(bad), None, "{bad}");
        }
    }
}
