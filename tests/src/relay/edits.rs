//! Edits as updates of Yjs (encoding V1): recorded ones from a file, typed ones made here, and how
//! far an update brings somebody's history. Servers may merge updates, so what a reader has got is
//! told by that and not by the number of frames.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

/// How far one client's history has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Where its last struct ends.
    pub clock: u64,
    /// How many units it has deleted.
    pub deleted: u64,
}

impl Progress {
    /// Whether everything up to `other` is in it.
    #[must_use]
    pub fn has(&self, other: &Self) -> bool {
        self.clock >= other.clock && self.deleted >= other.deleted
    }

    /// Goes on by an update: to the end of `client`'s structs, and by all that is deleted.
    ///
    /// # Errors
    /// If it is no update of a text.
    pub fn advance(&mut self, client: u64, update: &[u8]) -> Result<()> {
        let mut reader = Reader(update);
        for _ in 0..reader.number()? {
            let structs = reader.number()?;
            let writer = reader.number()?;
            let mut clock = reader.number()?;
            for _ in 0..structs {
                clock += reader.length_of_struct()?;
            }
            if writer == client {
                self.clock = self.clock.max(clock);
            }
        }
        for _ in 0..reader.number()? {
            reader.number()?;
            for _ in 0..reader.number()? {
                reader.number()?;
                self.deleted += reader.number()?;
            }
        }
        ensure!(reader.0.is_empty(), "bytes behind an update");
        Ok(())
    }
}

/// One writer's edits, in order.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The writer.
    pub client: u64,
    /// Each edit as an update, with how far the writer has come with it.
    pub edits: Vec<(Vec<u8>, Progress)>,
}

impl Recorded {
    /// From a file of `client`, then length and bytes of each update, all numbers as varints.
    ///
    /// # Errors
    /// If it cannot be read, or is of another form.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let mut reader = Reader(&bytes);
        let client = reader.number()?;
        let mut recorded = Self {
            client,
            ..Self::default()
        };
        let mut progress = Progress::default();
        while !reader.0.is_empty() {
            let update = reader.bytes()?;
            progress.advance(client, update)?;
            recorded.edits.push((update.to_vec(), progress));
        }
        Ok(recorded)
    }
}

/// The client and clock of the letter at the end of each document that is made for benchmarks
/// (`tests/bench/relay/inputs.mjs`).
pub const LAST_LETTER: (u64, u64) = (9, 0);

/// The update of `client` typing one letter behind the `clock` that it has typed before; the first
/// one behind the letter `behind`, or at the beginning of an empty document.
#[must_use]
pub fn letter(client: u64, clock: u64, behind: Option<(u64, u64)>) -> Vec<u8> {
    let mut update = vec![1, 1];
    write_number(&mut update, client);
    write_number(&mut update, clock);
    let own = clock.checked_sub(1).map(|before| (client, before));
    if let Some((client, clock)) = own.or(behind) {
        update.push(0x84);
        write_number(&mut update, client);
        write_number(&mut update, clock);
    } else {
        update.extend(b"\x04\x01\x07content");
    }
    update.extend(b"\x01x\x00");
    update
}

/// Appends a varint of lib0.
pub fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// What is left to read of lib0's encoding.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// A byte.
    ///
    /// # Errors
    /// At the end.
    pub fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().context("cut off")?;
        self.0 = rest;
        Ok(*first)
    }

    /// A varint.
    ///
    /// # Errors
    /// At the end, and beyond 63 bits.
    pub fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        bail!("a number that is too long")
    }

    /// Bytes with their length before them.
    ///
    /// # Errors
    /// At the end.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.number()?)?;
        let (bytes, rest) = self.0.split_at_checked(length).context("cut off")?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Reads a struct of a text; gives how many clocks it takes.
    fn length_of_struct(&mut self) -> Result<u64> {
        let info = self.byte()?;
        let kind = info & 0x1f;
        if kind != 0 && kind != 10 {
            for origin in [0x80, 0x40] {
                if info & origin != 0 {
                    self.number()?;
                    self.number()?;
                }
            }
            if info & 0xc0 == 0 {
                if self.number()? == 1 {
                    self.bytes()?;
                } else {
                    self.number()?;
                    self.number()?;
                }
                if info & 0x20 != 0 {
                    self.bytes()?;
                }
            }
        }
        match kind {
            // Collected, deleted, left out.
            0 | 1 | 10 => self.number(),
            4 => {
                let text = std::str::from_utf8(self.bytes()?)?;
                Ok(text.encode_utf16().count() as u64)
            }
            other => bail!("a struct of the kind {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_clocks_and_deletions() {
        let mut progress = Progress::default();
        for clock in 0..300 {
            progress
                .advance(77_777, &letter(77_777, clock, None))
                .unwrap();
        }
        progress.advance(8, &letter(9, 0, None)).unwrap();
        progress.advance(77_777, &[0, 1, 9, 2, 0, 1, 5, 3]).unwrap();
        let wanted = Progress {
            clock: 300,
            deleted: 4,
        };
        assert_eq!(progress, wanted);
        assert!(progress.advance(1, &[0, 0, 0]).is_err());
    }
}
