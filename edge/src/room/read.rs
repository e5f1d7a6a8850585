//! Reading lib0's encodings from bytes that a stranger wrote: no allocation, no recursion, no
//! trust. Stricter than lib0: an integer has one spelling only, so that two readers of the same
//! frame cannot disagree about it.

/// Bytes that are not of the protocol; the sentence is for logs and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {0}")]
pub struct Malformed(pub &'static str);

/// The largest integer that JavaScript carries without loss: 2^53 − 1.
pub(super) const INTEGER_MAX: u64 = (1 << 53) - 1;

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes that are left.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.rest.len()).unwrap_or(u64::MAX)
    }

    /// Fails unless everything was read.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed("bytes after the end"))
        }
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed("cut off"))?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn take(&mut self, count: u64) -> Result<&'a [u8], Malformed> {
        let taken = usize::try_from(count)
            .ok()
            .and_then(|count| self.rest.split_at_checked(count));
        let (taken, rest) = taken.ok_or(Malformed("cut off"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// What `later`, a copy that has read on, has read since.
    pub(super) fn up_to(mut self, later: &Self) -> Result<&'a [u8], Malformed> {
        self.take(self.len().saturating_sub(later.len()))
    }

    /// `varUint`: below 2^53 and of minimal length.
    pub(super) fn var_uint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..56).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(Malformed("an integer of more bytes than it needs"));
                }
                return if value <= INTEGER_MAX {
                    Ok(value)
                } else {
                    Err(Malformed("an integer out of range"))
                };
            }
        }
        Err(Malformed("an integer out of range"))
    }

    /// `varInt`: a sign and a magnitude below 2^53. The value itself is of no interest here.
    pub(super) fn skip_var_int(&mut self) -> Result<(), Malformed> {
        let first = self.byte()?;
        if first & 0x80 == 0 {
            return Ok(());
        }
        let mut magnitude = u64::from(first & 0x3f);
        for shift in (6..55).step_by(7) {
            let byte = self.byte()?;
            magnitude |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if byte != 0 && magnitude <= INTEGER_MAX {
                    Ok(())
                } else {
                    Err(Malformed("a signed integer out of range or too long"))
                };
            }
        }
        Err(Malformed("a signed integer out of range or too long"))
    }

    /// `varUint8Array`.
    pub(super) fn var_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.var_uint()?;
        self.take(length)
    }

    /// `varString`.
    pub(super) fn var_string(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.var_bytes()?).map_err(|_| Malformed("text that is not UTF-8"))
    }

    /// A count of entries that take at least `entry_bytes` each, so that a few bytes cannot
    /// announce millions.
    pub(super) fn count(&mut self, entry_bytes: u64) -> Result<u64, Malformed> {
        let count = self.var_uint()?;
        if count.saturating_mul(entry_bytes) <= self.len() {
            Ok(count)
        } else {
            Err(Malformed("a count beyond the bytes that are left"))
        }
    }
}

/// Appends a `varUint`.
pub(super) fn write_var_uint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or_default());
}

/// Appends a `varUint8Array`; for text this is a `varString`.
pub(super) fn write_var_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_var_uint(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

/// How deep a JSON text is nested, and how many separators it has: at most one more value than
/// that. Counts without parsing, so it is right for valid JSON and bounds what a parser does with
/// any other.
pub(super) fn json_extent(text: &str) -> (usize, u64) {
    let (mut depth, mut deepest, mut separators) = (0_usize, 0_usize, 0_u64);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                depth = depth.saturating_add(1);
                deepest = deepest.max(depth);
                separators = separators.saturating_add(1);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' | b':' => separators = separators.saturating_add(1),
            _ => {}
        }
    }
    (deepest, separators)
}

/// Whether a JSON text is nested at most so deep, and so may be parsed.
pub(super) fn within_depth(text: &str, depth_max: usize) -> bool {
    json_extent(text).0 <= depth_max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_has_one_spelling() {
        for value in [0, 1, 127, 128, 300, 1 << 31, INTEGER_MAX] {
            let mut bytes = Vec::new();
            write_var_uint(&mut bytes, value);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.var_uint(), Ok(value));
            assert_eq!(reader.end(), Ok(()));
        }
        let refused: [&[u8]; 5] = [
            &[0x80, 0x00],
            &[0xff, 0x00],
            &[0x80],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        ];
        for bytes in refused {
            assert!(Reader::new(bytes).var_uint().is_err(), "{bytes:x?}");
        }
    }

    #[test]
    fn a_signed_integer_is_skipped_whole_or_refused() {
        let taken: [&[u8]; 4] = [&[0x00], &[0x40], &[0x7f], &[0xbf, 0x01]];
        for bytes in taken {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.skip_var_int(), Ok(()), "{bytes:x?}");
            assert_eq!(reader.end(), Ok(()));
        }
        for bytes in [&[0x80_u8, 0x00][..], &[0xff; 9], &[0x80]] {
            assert!(Reader::new(bytes).skip_var_int().is_err(), "{bytes:x?}");
        }
    }

    #[test]
    fn a_count_beyond_the_bytes_is_refused() {
        assert!(Reader::new(&[0x80, 0x80, 0x40]).count(1).is_err());
        assert_eq!(Reader::new(&[2, 0, 0, 0, 0]).count(2), Ok(2));
    }

    #[test]
    fn json_is_measured_without_parsing() {
        assert_eq!(json_extent(r#"{"a":[1,{"b":"]]"}]}"#).0, 3);
        assert_eq!(json_extent(r#""\"[[[""#).0, 0);
        assert_eq!(json_extent(&"[".repeat(5000)).0, 5000);
        assert!(json_extent("[0,0,0]").1 >= 2);
    }
}
