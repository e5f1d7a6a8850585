//! The one name that a request keeps from the click to the container and back: W3C Trace Context
//! (level 1, `traceparent`). It says nothing about who asked or for what.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which trace something belongs to, and which span of it is the parent: version 00, as
/// `00-<32 hexadecimal digits>-<16>-<2>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent {
    trace: u128,
    span: u64,
    flags: u8,
}

/// The name of the header, of HTTP and elsewhere.
pub const TRACEPARENT: &str = "traceparent";

/// The text is no trace parent that this version understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATraceParent;

impl fmt::Display for NotATraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a trace parent is 00-<32 hexadecimal digits>-<16>-<2>, in lower case")
    }
}

impl std::error::Error for NotATraceParent {}

impl TraceParent {
    /// The trace `trace`, of which `span` is the parent. Neither may be 0; the lowest bit is set
    /// then. Sampled: whoever has somewhere to send spans to sends them.
    #[must_use]
    pub const fn new(trace: u128, span: u64) -> Self {
        Self {
            trace: if trace == 0 { 1 } else { trace },
            span: if span == 0 { 1 } else { span },
            flags: 1,
        }
    }

    /// The same trace, with `span` as the parent.
    #[must_use]
    pub const fn with_parent(self, span: u64) -> Self {
        Self {
            flags: self.flags,
            ..Self::new(self.trace, span)
        }
    }

    /// Reads a header. Versions to come may have more fields, and count as far as they are known.
    ///
    /// # Errors
    /// [`NotATraceParent`]; whoever gets one begins a trace of its own.
    pub fn parse(text: &str) -> Result<Self, NotATraceParent> {
        let mut fields = text.split('-');
        let mut field = |digits: usize| {
            let field = fields.next()?;
            let fits = field.len() == digits
                && field
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            fits.then_some(field)
        };
        let mut parsed = || {
            let version = field(2)?;
            let trace = u128::from_str_radix(field(32)?, 16).ok()?;
            let span = u64::from_str_radix(field(16)?, 16).ok()?;
            let flags = u8::from_str_radix(field(2)?, 16).ok()?;
            let is_known = version != "ff" && trace != 0 && span != 0;
            is_known.then_some((version, Self { trace, span, flags }))
        };
        let (version, parent) = parsed().ok_or(NotATraceParent)?;
        if version == "00" && fields.next().is_some() {
            return Err(NotATraceParent);
        }
        Ok(parent)
    }

    /// The trace's id, as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The parent's id, as 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// Whether its spans are wanted.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace, self.span, self.flags
        )
    }
}

impl TryFrom<String> for TraceParent {
    type Error = NotATraceParent;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<TraceParent> for String {
    fn from(parent: TraceParent) -> Self {
        parent.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_THE_STANDARD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_written_as_it_was_read() {
        let parent = TraceParent::parse(OF_THE_STANDARD).unwrap();
        assert_eq!(parent.to_string(), OF_THE_STANDARD);
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span_id(), "00f067aa0ba902b7");
        assert!(parent.is_sampled());
        let child = parent.with_parent(7);
        assert_eq!(child.trace_id(), parent.trace_id());
        assert_eq!(child.span_id(), "0000000000000007");
    }

    #[test]
    fn what_is_none_is_refused_and_a_later_version_read_as_far_as_it_is_known() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(wrong), Err(NotATraceParent), "{wrong}");
        }
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert!(TraceParent::parse(later).is_ok());
    }
}
