//! Strings of JSON as text. What stands in the original as it is, is borrowed; the rest is written with `Ink`.

use memchr::memchr;

/// Memory for the texts of one event that are not in its original: taken piece by piece, never given back.
pub(super) struct Ink<'a> {
    rest: &'a mut [u8],
}

/// There was not enough ink. Whoever lent it lends more and begins the event again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfInk;

/// A text, and whether it is exactly what the original says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    pub text: &'a str,
    /// False where half of a surrogate pair stood alone, which is no character: U+FFFD stands there now.
    pub exact: bool,
}

impl<'a> Ink<'a> {
    pub fn new(memory: &'a mut [u8]) -> Ink<'a> {
        Ink { rest: memory }
    }

    /// The parts as one text.
    pub fn join(&mut self, parts: &[&str]) -> Result<&'a str, OutOfInk> {
        self.write(|out| {
            let mut end = 0;
            for part in parts {
                out.get_mut(end..end + part.len())?.copy_from_slice(part.as_bytes());
                end += part.len();
            }
            Some(end)
        })
    }

    /// The text of a JSON string that the parser has found valid, quotes included.
    pub fn text(&mut self, string: &'a str) -> Result<Text<'a>, OutOfInk> {
        let inner = inside_quotes(string);
        let Some(first) = memchr(b'\\', inner.as_bytes()) else {
            return Ok(Text { text: inner, exact: true });
        };
        let mut exact = true;
        let text = self.write(|out| unescape(inner.as_bytes(), first, out, &mut exact))?;
        Ok(Text { text, exact })
    }

    fn write(&mut self, put: impl FnOnce(&mut [u8]) -> Option<usize>) -> Result<&'a str, OutOfInk> {
        let length = put(self.rest).ok_or(OutOfInk)?;
        let (written, rest) = std::mem::take(&mut self.rest).split_at_mut(length);
        self.rest = rest;
        // Only whole characters are ever written.
        Ok(std::str::from_utf8(written).unwrap_or_default())
    }
}

/// A JSON string without its quotes.
pub(super) fn inside_quotes(string: &str) -> &str {
    string.strip_prefix('"').and_then(|s| s.strip_suffix('"')).unwrap_or(string)
}

/// Writes what the escapes stand for; `first` is where the first one is. None if `out` is too short.
fn unescape(inner: &[u8], first: usize, out: &mut [u8], exact: &mut bool) -> Option<usize> {
    let (mut at, mut end, mut next) = (0, 0, Some(first));
    while let Some(escape) = next {
        end = put(out, end, &inner[at..escape])?;
        let (character, length) = escaped(&inner[escape..], exact);
        end = put(out, end, character.encode_utf8(&mut [0; 4]).as_bytes())?;
        at = escape + length;
        next = inner.get(at..).and_then(|rest| memchr(b'\\', rest)).map(|more| at + more);
    }
    put(out, end, inner.get(at..).unwrap_or_default())
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> Option<usize> {
    out.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
    Some(at + bytes.len())
}

/// The character that the escape at the start of `rest` stands for, and how long the escape is.
fn escaped(rest: &[u8], exact: &mut bool) -> (char, usize) {
    let simple = match rest.get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return unicode(rest, exact),
        Some(other) => char::from(*other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (simple, 2)
}

fn unicode(rest: &[u8], exact: &mut bool) -> (char, usize) {
    let unit = |at: usize| {
        let digits = rest.get(at..at + 6).filter(|e| e.starts_with(b"\\u"))?;
        digits[2..].iter().try_fold(0, |n, d| Some(n << 4 | char::from(*d).to_digit(16)?))
    };
    let Some(high) = unit(0) else { return (char::REPLACEMENT_CHARACTER, rest.len()) };
    if let Some(character) = char::from_u32(high) {
        return (character, 6);
    }
    match unit(6) {
        Some(low @ 0xdc00..=0xdfff) if high < 0xdc00 => {
            let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
        }
        _ => {
            *exact = false;
            (char::REPLACEMENT_CHARACTER, 6)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_a_surrogate_pair_becomes_a_replacement_character() {
        for (string, text) in [(r#""a\ud800b""#, "a\u{fffd}b"), (r#""\udc00\ud83d""#, "\u{fffd}\u{fffd}")] {
            let mut memory = [0; 64];
            assert_eq!(Ink::new(&mut memory).text(string).unwrap(), Text { text, exact: false });
        }
    }

    #[test]
    fn too_little_ink_is_said() {
        assert_eq!(Ink::new(&mut [0; 3]).join(&["ab", "cd"]), Err(OutOfInk));
        assert_eq!(Ink::new(&mut [0; 1]).text(r#""\n\n""#), Err(OutOfInk));
    }

    proptest! {
        #[test]
        fn text_is_what_serde_json_reads(text: String, ascii: bool) {
            let mut string = serde_json::to_string(&text).unwrap();
            if ascii {
                string = escape_all(&string);
            }
            let mut memory = vec![0; string.len()];
            let read = Ink::new(&mut memory).text(&string).unwrap();
            prop_assert_eq!(read, Text { text: &text, exact: true });
        }
    }

    /// Every character beyond ASCII as its \u escapes.
    fn escape_all(string: &str) -> String {
        let mut units = [0; 2];
        string.chars().fold(String::new(), |mut out, c| {
            if c.is_ascii() {
                out.push(c);
            } else {
                c.encode_utf16(&mut units).iter().for_each(|u| out.push_str(&format!("\\u{u:04X}")));
            }
            out
        })
    }
}
