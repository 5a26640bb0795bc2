//! The numbers and the hash that every format uses, each in a type of its own so that two cannot be swapped.

use std::fmt;

use sha2::{Digest, Sha256};

/// A place in a chain: 0 is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The place after this one.
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

const DAY_US: i64 = 86_400_000_000;

impl Micros {
    /// The largest time a format may hold: the end of the year 9999.
    pub const MAX: Micros = Micros(253_402_300_799_999_999);

    /// Days since 1970-01-01, UTC.
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY_US)
    }

    /// The UTC date as `2026-11-21`.
    pub fn date(self) -> String {
        let (year, month, day) = civil(self.day());
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// RFC 3339 in UTC with microseconds: `2026-11-21T09:30:00.000001Z`.
    pub fn rfc3339(self) -> String {
        let in_day = self.0.rem_euclid(DAY_US);
        let (seconds, micros) = (in_day / 1_000_000, in_day % 1_000_000);
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        format!("{}T{hours:02}:{minutes:02}:{:02}.{micros:06}Z", self.date(), seconds % 60)
    }

    /// Reads RFC 3339 (any offset, up to nine decimals, cut to microseconds) or a bare date. Years 1 to 9999.
    pub fn parse_rfc3339(text: &str) -> Option<Micros> {
        let b = text.as_bytes();
        let digits = |from: usize, to: usize| -> Option<i64> {
            let part = b.get(from..to)?;
            part.iter()
                .all(u8::is_ascii_digit)
                .then(|| part.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
        };
        let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
        if b[4] != b'-' || b[7] != b'-' || year == 0 || !(1..=12).contains(&month) {
            return None;
        }
        let days = days_from_civil(year, month, day);
        if civil(days) != (year, month, day) {
            return None;
        }
        if b.len() == 10 {
            return Some(Micros(days * DAY_US));
        }
        let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
        if !matches!(b[10], b'T' | b't' | b' ')
            || b[13] != b':'
            || b[16] != b':'
            || hour > 23
            || minute > 59
            || second > 60
        {
            return None;
        }
        let mut at = 19;
        let mut micros = 0;
        if b.get(at) == Some(&b'.') {
            let start = at + 1;
            at = start + b[start..].iter().take_while(|d| d.is_ascii_digit()).count();
            if at == start || at - start > 9 {
                return None;
            }
            for i in 0..6 {
                micros = micros * 10 + if start + i < at { i64::from(b[start + i] - b'0') } else { 0 };
            }
        }
        let offset_minutes = match b.get(at)? {
            b'Z' | b'z' if b.len() == at + 1 => 0,
            sign @ (b'+' | b'-') if b.len() == at + 6 && b[at + 3] == b':' => {
                let (h, m) = (digits(at + 1, at + 3)?, digits(at + 4, at + 6)?);
                if h > 23 || m > 59 {
                    return None;
                }
                (h * 60 + m) * if *sign == b'-' { -1 } else { 1 }
            }
            _ => return None,
        };
        let seconds = days * 86_400 + hour * 3600 + (minute - offset_minutes) * 60 + second;
        Some(Micros(seconds * 1_000_000 + micros))
    }
}

/// Year, month and day of a day number, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// A SHA-256.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// SHA-256 over the parts, one behind the other.
    pub fn of(parts: &[&[u8]]) -> Hash {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Hash(hasher.finalize().into())
    }

    /// The bytes as a slice.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Hash> {
        Some(Hash(bytes.try_into().ok()?))
    }

    /// Takes exactly 64 lower-case hex digits.
    pub fn from_hex(text: &str) -> Option<Hash> {
        Hash::from_slice(&unhex(text)?)
    }
}

/// A SHA-256 over bytes that come in parts.
#[derive(Clone, Debug, Default)]
pub struct Hashing(Sha256);

impl Hashing {
    /// Takes the next part.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The hash over all parts.
    pub fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        out.push(DIGITS[usize::from(b >> 4)] as char);
        out.push(DIGITS[usize::from(b & 15)] as char);
    }
    out
}

/// The bytes of lower-case hex; nothing else is taken.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_and_read_back() {
        for (text, us) in [
            ("1970-01-01T00:00:00.000000Z", 0),
            ("2026-11-21T09:30:00.000001Z", 1_795_253_400_000_001),
            ("2024-02-29T23:59:59.999999Z", 1_709_251_199_999_999),
            ("1969-12-31T23:59:59.000000Z", -1_000_000),
        ] {
            assert_eq!(Micros(us).rfc3339(), text);
            assert_eq!(Micros::parse_rfc3339(text), Some(Micros(us)));
        }
    }

    #[test]
    fn offsets_and_decimals_are_understood() {
        let at = |t| Micros::parse_rfc3339(t).map(Micros::rfc3339);
        assert_eq!(at("2026-11-21T10:30:00+01:00").as_deref(), Some("2026-11-21T09:30:00.000000Z"));
        assert_eq!(at("2026-11-21 09:30:00.1234567Z").as_deref(), Some("2026-11-21T09:30:00.123456Z"));
        for bad in [
            "",
            "2026-02-30",
            "2026-11-21T09:30:00",
            "2026-11-21T24:00:00Z",
            "2026-11-21T09:30:00.Z",
            "é026-11-21",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }

    #[test]
    fn hex_takes_only_its_own_spelling() {
        assert_eq!(unhex(&hex(&[0, 15, 255])), Some(vec![0, 15, 255]));
        assert_eq!(unhex("FF"), None);
        assert_eq!(unhex("0"), None);
    }
}
