//! Values that a field reads in a way of its own: times, outcomes, traces.

use schemas::Micros;
use schemas::event::Outcome;

use crate::dialect::Dialect;

/// A claimed time: RFC 3339 with an offset or Z, or a date, or a number since 1970 whose size says its unit:
/// seconds below 10^11 (the year 5138), then milliseconds, microseconds, nanoseconds, each up to a thousand times that.
pub(super) fn time(text: &str) -> Option<Micros> {
    Micros::parse_rfc3339(text).or_else(|| epoch(text)).filter(|at| (FIRST..=Micros::MAX).contains(at))
}

/// 0001-01-01T00:00:00Z.
const FIRST: Micros = Micros(-62_135_596_800_000_000);

/// A decimal number, read without a detour over floating point.
fn epoch(text: &str) -> Option<Micros> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(decimals) || whole.len() > 20 {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let unit_ns =
        [100_000_000_000, 100_000_000_000_000, 100_000_000_000_000_000, 100_000_000_000_000_000_000]
            .iter()
            .zip([1_000_000_000, 1_000_000, 1_000, 1])
            .find(|(below, _)| whole < **below)
            .map(|(_, unit_ns)| unit_ns)?;
    // Nine decimals of a second are nanoseconds; what is finer is cut, as in a time that is text.
    let nano_units = decimals.bytes().chain(std::iter::repeat(b'0')).take(9);
    let part = nano_units.fold(0i128, |n, digit| n * 10 + i128::from(digit - b'0'));
    let nanos = whole * unit_ns + part * unit_ns / 1_000_000_000;
    i64::try_from(sign * nanos / 1_000).ok().map(Micros)
}

/// How it ended: a word of the dialect, or a status of HTTP.
pub(super) fn outcome(dialect: &Dialect, text: &str) -> Option<Outcome> {
    dialect.outcome(text).or_else(|| match text.parse::<u16>().ok()? {
        401 | 403 => Some(Outcome::Denied),
        200..=399 => Some(Outcome::Success),
        400..=599 => Some(Outcome::Failure),
        _ => None,
    })
}

/// The trace of a W3C traceparent: `00-<32 hex>-<16 hex>-<2 hex>`, all lower case, neither id all zeros. Versions to come
/// may have more behind a further dash; `ff` is none.
pub(super) fn trace_of(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let id = |part: &str, length| hex(part, length) && part.bytes().any(|b| b != b'0');
    let version = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    (version && id(trace, 32) && id(span, 16) && hex(flags, 2)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_unit() {
        for text in [
            "2026-11-21T09:30:00.5Z",
            "2026-11-21T10:30:00.500+01:00",
            "1795253400.5",
            "1795253400500",
            "1795253400500000",
            "1795253400500000000",
            "1795253400500000.9",
        ] {
            assert_eq!(time(text), Some(Micros(1_795_253_400_500_000)), "{text}");
        }
        assert_eq!(time("-1.5"), Some(Micros(-1_500_000)));
        assert_eq!(time("0"), Some(Micros(0)));
        for text in
            ["", "yesterday", "1e9", "1.", ".5", "2026-11-21T09:30:00", "999999999999999999999", "--1"]
        {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn outcomes_are_words_and_statuses() {
        let of = |text| outcome(Dialect::json_1(), text);
        assert_eq!(of("Allowed"), Some(Outcome::Success));
        assert_eq!(of("false"), Some(Outcome::Failure));
        assert_eq!(
            [of("204"), of("403"), of("503"), of("42")],
            [Some(Outcome::Success), Some(Outcome::Denied), Some(Outcome::Failure), None]
        );
        assert_eq!(of("perhaps"), None);
    }

    #[test]
    fn a_trace_is_taken_out_of_its_traceparent() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for parent in [format!("00-{trace}-{span}-01"), format!("cc-{trace}-{span}-01-more-of-it")] {
            assert_eq!(trace_of(&parent), Some(trace), "{parent}");
        }
        for parent in [
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{trace}-{span}-1"),
            format!("00-xyz-{span}-01"),
            String::new(),
        ] {
            assert_eq!(trace_of(&parent), None, "{parent}");
        }
    }
}
