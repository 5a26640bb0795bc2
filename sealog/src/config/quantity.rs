//! Sizes, durations and periods as people write them.

use std::time::Duration;

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

/// `7y` (of 365 days, as S3 counts them), `90d`, `12h`, `30m`, `60s`: how long something is kept.
pub fn period(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let unit_s = PERIODS_S.iter().find(|(short, ..)| *short == unit)?.2;
    number.checked_mul(unit_s).map(Duration::from_secs)
}

/// A period in words, in the largest unit that it is a whole number of: `7 years`.
#[cfg_attr(not(feature = "s3"), allow(dead_code))]
pub fn period_in_words(period: Duration) -> String {
    let seconds = period.as_secs();
    let unit = PERIODS_S.iter().find(|(.., unit_s)| seconds >= *unit_s && seconds.is_multiple_of(*unit_s));
    let (_, name, unit_s) = unit.unwrap_or(&PERIODS_S[4]);
    match seconds / unit_s {
        1 => format!("1 {name}"),
        many => format!("{many} {name}s"),
    }
}

const PERIODS_S: [(&str, &str, u64); 5] = [
    ("y", "year", 365 * 86_400),
    ("d", "day", 86_400),
    ("h", "hour", 3_600),
    ("m", "minute", 60),
    ("s", "second", 1),
];

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

    #[test]
    fn a_period_is_read_as_written_and_said_as_it_is() {
        for (text, seconds, words) in [
            ("7y", 7 * 365 * 86_400, "7 years"),
            ("1y", 365 * 86_400, "1 year"),
            ("90d", 90 * 86_400, "90 days"),
            ("36h", 36 * 3_600, "36 hours"),
            ("24h", 86_400, "1 day"),
            ("90s", 90, "90 seconds"),
            ("120s", 120, "2 minutes"),
            ("1s", 1, "1 second"),
        ] {
            assert_eq!(period(text), Some(Duration::from_secs(seconds)), "{text}");
            assert_eq!(period_in_words(Duration::from_secs(seconds)), words);
        }
        for bad in ["", "7", "250ms", "7 parsecs", "-1d", "99999999999999999999y"] {
            assert_eq!(period(bad), None, "{bad}");
        }
    }
}
