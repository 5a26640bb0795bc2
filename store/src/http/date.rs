//! HTTP's dates: `Sat, 21 Nov 2026 09:30:00 GMT`.

use schemas::Micros;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// None if it is no date, or in one of the two spellings that nobody may write any more.
pub(super) fn parse(text: &str) -> Option<Micros> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    (words.next() == Some("GMT")).then_some(())?;
    Micros::parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_servers_write_it() {
        assert_eq!(parse("Sat, 21 Nov 2026 09:30:00 GMT"), Some(Micros(1_795_253_400_000_000)));
        for bad in [
            "",
            "Saturday, 21-Nov-26 09:30:00 GMT",
            "Sat Nov 21 09:30:00 2026",
            "Sat, 21 Nov 2026 09:30:00 CET",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
