//! Reading Avro's binary encoding strictly: one spelling only, and never beyond the bytes that are there.

use crate::Malformed;

/// Bytes being read. Every length is held against what is left before anything is taken or allocated.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    format: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    /// Reads `bytes`; errors will name `format`.
    pub fn new(format: &'static str, bytes: &'a [u8]) -> Input<'a> {
        Input { format, bytes, at: 0 }
    }

    /// How many bytes were read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// An error at this place.
    pub fn malformed(&self, what: impl Into<String>) -> Malformed {
        Malformed::new(self.format, self.at, what)
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let Some(part) = self.rest().get(..count) else {
            return Err(self.malformed(format!("{count} bytes wanted, {} left", self.rest().len())));
        };
        self.at += count;
        Ok(part)
    }

    /// The next bytes, as many as the array holds.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A long in its shortest spelling.
    #[inline]
    pub fn long(&mut self) -> Result<i64, Malformed> {
        let (start, mut value) = (self.at, 0u64);
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.bytes.get(self.at).copied() else {
                return Err(self.malformed("ends inside a number"));
            };
            self.at += 1;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(Malformed::new(self.format, start, "a number is padded"));
                }
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(Malformed::new(self.format, start, "a number is over 64 bits"))
    }

    /// A long that counts something: not negative.
    #[inline]
    pub fn count(&mut self) -> Result<u64, Malformed> {
        let start = self.at;
        u64::try_from(self.long()?).map_err(|_| Malformed::new(self.format, start, "a count is negative"))
    }

    /// Bytes behind their length.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.count()?;
        self.take(usize::try_from(length).map_err(|_| self.malformed("a length is absurd"))?)
    }

    /// A string.
    #[inline]
    pub fn str(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed("a string is not UTF-8"))
    }

    /// A boolean.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, Malformed> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(self.malformed("a boolean is neither 0 nor 1")),
        }
    }

    /// A union of null and something.
    #[inline]
    pub fn opt<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        match self.long()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(self.malformed("a union has no such branch")),
        }
    }

    /// An array in one positive block. At most as many items as bytes are left, and none without bytes of its own, so
    /// a false count costs nothing.
    #[inline]
    pub fn array_of(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let count = self.long()?;
        if count == 0 {
            return Ok(());
        }
        if count < 0 || count as u64 > self.rest().len() as u64 {
            return Err(self.malformed("an array is not one positive block"));
        }
        for _ in 0..count {
            let before = self.at;
            item(self)?;
            if self.at == before {
                return Err(self.malformed("an array of items without bytes"));
            }
        }
        match self.long()? {
            0 => Ok(()),
            _ => Err(self.malformed("an array stands in several blocks")),
        }
    }

    /// Nothing may be left.
    pub fn end(&self) -> Result<(), Malformed> {
        match self.rest().len() {
            0 => Ok(()),
            more => Err(self.malformed(format!("{more} bytes behind the end"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avro::put_long;

    fn long(bytes: &[u8]) -> Result<i64, String> {
        let mut input = Input::new("number", bytes);
        let value = input.long().map_err(|e| e.what)?;
        input.end().map_err(|e| e.what)?;
        Ok(value)
    }

    #[test]
    fn a_number_has_one_spelling() {
        for value in [0, -1, 1, 63, -64, 64, 8_191, -8_192, 8_192, i64::MAX - 1, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_long(&mut bytes, value);
            assert_eq!(long(&bytes), Ok(value));
            assert_eq!(long(&bytes[..bytes.len() - 1]), Err("ends inside a number".to_owned()));
            if let Some(last) = bytes.last_mut() {
                *last |= 0x80;
            }
            bytes.push(0);
            assert!(long(&bytes).is_err(), "{value} padded");
        }
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused() {
        let tenth = |byte: u8| long(&[&[0xff; 9][..], &[byte]].concat());
        assert_eq!(tenth(1), Ok(i64::MIN));
        assert_eq!(tenth(0), Err("a number is padded".to_owned()));
        for byte in [2, 0x7f, 0x80, 0x81, 0xff] {
            assert_eq!(tenth(byte), Err("a number is over 64 bits".to_owned()), "{byte:#x}");
        }
    }
}
