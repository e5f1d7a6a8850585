//! Several frames in one body: `(varUint length, bytes)*`, in both directions.

use super::super::read::{Malformed, Reader, write_var_bytes};

/// The frames of a body.
///
/// # Errors
/// If it ends within one.
pub fn split(body: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut reader = Reader::new(body);
    let mut frames = Vec::new();
    while reader.len() > 0 {
        frames.push(reader.var_bytes()?);
    }
    Ok(frames)
}

/// The body of some frames.
#[must_use]
pub fn joined(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::with_capacity(
        frames
            .iter()
            .map(|frame| frame.len().saturating_add(5))
            .sum(),
    );
    for frame in frames {
        write_var_bytes(&mut body, frame);
    }
    body
}
