//! Frames: how an [`Order`](super::Order) or an [`Event`](super::Event) becomes bytes and comes
//! back.
//!
//! A frame is the length of its body (four bytes, little-endian), then the body: one byte that
//! says which variant, then its fields in order. Numbers are little-endian, byte strings and
//! lists carry their length first. Nothing is trusted: a body that is too long, too short, or
//! has bytes left over is an error.

mod codec;
mod event;
mod order;
#[cfg(test)]
mod tests;

use std::fmt;

use self::codec::LENGTH_BYTES;

/// Longest body of a frame. Holds any file and any standard input that an execution may have.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most bytes of output that one [`Event::Output`](super::Event::Output) carries.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024;

/// Most bytes of a work directory that one [`Order::Unpack`](super::Order::Unpack) or
/// [`Event::Packed`](super::Event::Packed) carries.
pub const PIECE_BYTES_MAX: usize = 256 * 1024;

/// Why bytes are no frame. The other side does not speak this protocol, or the stream broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireError {
    /// The body claims to be longer than [`BODY_BYTES_MAX`].
    TooLong(usize),
    /// The body does not hold what its variant says.
    Malformed,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "a frame of {bytes} bytes is too long"),
            Self::Malformed => f.write_str("a frame does not hold what its first byte says"),
        }
    }
}

impl std::error::Error for WireError {}

/// Takes bytes as they arrive and gives whole bodies of frames.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    /// Where the next frame starts.
    start: usize,
}

impl Frames {
    /// More bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next body, or `None` while it is not whole.
    ///
    /// # Errors
    /// [`WireError::TooLong`]; the stream is of no use from then on.
    pub fn next_body(&mut self) -> Result<Option<&[u8]>, WireError> {
        let rest = &self.buffer[self.start..];
        let Some(length) = rest.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > BODY_BYTES_MAX {
            return Err(WireError::TooLong(length));
        }
        if rest.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        let body = self.start + LENGTH_BYTES;
        self.start = body + length;
        Ok(Some(&self.buffer[body..self.start]))
    }
}
