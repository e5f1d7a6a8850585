//! What is kept of a stream that a program wrote.

use serde::{Deserialize, Serialize};

/// What was kept of a stream: all of it, or its first and its last bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Captured {
    /// The bytes from the beginning, written as `encoding` says.
    pub data: String,
    /// The bytes up to the end, likewise, if something between was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<String>,
    /// UTF-8 if they are, else base64.
    pub encoding: Encoding,
    /// Bytes that were seen, kept or not.
    pub total_bytes: u64,
    /// Whether not all of them were kept.
    pub truncated: bool,
}

impl Captured {
    /// `kept`, the first of `total_bytes` that were seen.
    #[must_use]
    pub fn new(kept: Vec<u8>, total_bytes: u64) -> Self {
        Self::written(kept, None, total_bytes)
    }

    /// The first and the last of `total_bytes` that were seen. The two may meet: then they are
    /// one. Where they do not, and are text but for a character that was cut in two, they end
    /// and begin at whole characters.
    #[must_use]
    pub fn head_and_tail(mut head: Vec<u8>, mut tail: Vec<u8>, total_bytes: u64) -> Self {
        let kept = head.len().saturating_add(tail.len());
        if bytes(kept) >= total_bytes {
            head.append(&mut tail);
            return Self::written(head, None, total_bytes);
        }
        let (first, last) = (without_cut_end(&head), whole_characters(&tail));
        if std::str::from_utf8(first).is_ok() && std::str::from_utf8(last).is_ok() {
            (head, tail) = (first.to_vec(), last.to_vec());
        }
        Self::written(head, Some(tail), total_bytes)
    }

    fn written(head: Vec<u8>, tail: Option<Vec<u8>>, total_bytes: u64) -> Self {
        use base64::Engine as _;
        let base64 = |bytes: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(bytes);
        let text = |bytes: &Vec<u8>| std::str::from_utf8(bytes).ok().map(str::to_owned);
        let truncated = tail.is_some() || bytes(head.len()) < total_bytes;
        let as_text = match (text(&head), tail.as_ref().map(text)) {
            (Some(data), None) => Some((data, None)),
            (Some(data), Some(Some(tail))) => Some((data, Some(tail))),
            _ => None,
        };
        let ((data, tail), encoding) = match as_text {
            Some(text) => (text, Encoding::Utf8),
            None => ((base64(&head), tail.as_ref().map(base64)), Encoding::Base64),
        };
        Self {
            data,
            tail,
            encoding,
            total_bytes,
            truncated,
        }
    }
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// `bytes` without the beginning of a character at their end.
fn without_cut_end(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        // Without a length, more bytes could have made it valid.
        Err(error) if error.error_len().is_none() => {
            bytes.get(..error.valid_up_to()).unwrap_or(bytes)
        }
        _ => bytes,
    }
}

/// `bytes` without the parts of characters at either end.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    let continues = |byte: &&u8| (0x80..0xc0).contains(*byte);
    // A character has at most three bytes after its first.
    let cut = bytes.iter().take(3).take_while(continues).count();
    without_cut_end(bytes.get(cut..).unwrap_or(bytes))
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As they are.
    #[default]
    Utf8,
    /// RFC 4648 §4, with padding.
    Base64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_is_not_utf8_is_kept_byte_for_byte() {
        let captured = Captured::new(vec![0xff, 0x00, b'a'], 3);
        assert_eq!(captured.encoding, Encoding::Base64);
        assert_eq!(captured.data, "/wBh");
        assert!(!captured.truncated);
        assert!(Captured::new(b"ab".to_vec(), 3).truncated);
    }

    #[test]
    fn a_head_and_a_tail_that_meet_are_one() {
        let captured = Captured::head_and_tail("aé".as_bytes()[..2].to_vec(), vec![0xa9], 3);
        assert_eq!(captured, Captured::new("aé".into(), 3));
        assert_eq!((captured.tail, captured.truncated), (None, false));
        let json = serde_json::to_value(Captured::new(b"a".to_vec(), 1)).unwrap();
        assert!(json.get("tail").is_none(), "{json}");
        assert_eq!(serde_json::from_value::<Captured>(json).unwrap().tail, None);
    }

    #[test]
    fn text_is_cut_at_whole_characters_on_both_sides_of_the_gap() {
        let crabs = "🦀🦀".as_bytes();
        for (head, tail) in [(5, 3), (6, 2), (7, 1), (4, 4)] {
            let tail = crabs[8 - tail..].to_vec();
            let captured = Captured::head_and_tail(crabs[..head].to_vec(), tail, 100);
            assert_eq!(
                (captured.encoding, captured.data.as_str()),
                (Encoding::Utf8, "🦀")
            );
            assert!(captured.truncated);
            assert!(matches!(captured.tail.as_deref(), Some("" | "🦀")));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_byte_for_byte_on_both_sides() {
        let captured = Captured::head_and_tail(b"ok".to_vec(), vec![b'a', 0xff], 9);
        assert_eq!(captured.encoding, Encoding::Base64);
        assert_eq!(
            (captured.data.as_str(), captured.tail.as_deref()),
            ("b2s=", Some("Yf8="))
        );
    }
}
