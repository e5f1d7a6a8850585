//! Whether a program's output is the one that was expected. Pure.
//!
//! Lines are compared without white space at their ends, and without empty lines at the end of
//! all: what nobody sees is no mistake. Everything else counts, byte by byte.

/// Compares an output with the expected one as it comes, and keeps neither twice.
#[derive(Debug)]
pub struct Answer {
    /// What has to come yet, without what does not count.
    rest: std::vec::IntoIter<u8>,
    visible: Visible,
    differs: bool,
}

impl Answer {
    /// Nothing has come yet.
    pub fn expected(text: &str) -> Self {
        let (mut visible, mut counts) = (Visible::default(), Vec::with_capacity(text.len()));
        visible.push(text.as_bytes(), |byte| counts.push(byte));
        Self {
            rest: counts.into_iter(),
            visible: Visible::default(),
            differs: false,
        }
    }

    /// More of the output.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.differs {
            return;
        }
        let Self {
            rest,
            visible,
            differs,
        } = self;
        visible.push(bytes, |byte| *differs |= rest.next() != Some(byte));
    }

    /// Whether all of it was the expected.
    pub fn is_right(&self) -> bool {
        !self.differs && self.rest.as_slice().is_empty()
    }
}

/// White space that counts only if something comes after it.
#[derive(Debug, Default)]
struct Visible {
    newlines: usize,
    /// Since the last newline.
    blanks: Vec<u8>,
}

impl Visible {
    /// Gives the bytes that count, of these and of the white space before them.
    fn push(&mut self, bytes: &[u8], mut give: impl FnMut(u8)) {
        for &byte in bytes {
            match byte {
                b'\n' => {
                    self.newlines += 1;
                    self.blanks.clear();
                }
                b' ' | b'\t' | b'\r' => self.blanks.push(byte),
                _ => {
                    (0..std::mem::take(&mut self.newlines)).for_each(|_| give(b'\n'));
                    self.blanks.drain(..).for_each(&mut give);
                    give(byte);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_right(expected: &str, output: &str) -> bool {
        let whole = {
            let mut answer = Answer::expected(expected);
            answer.push(output.as_bytes());
            answer.is_right()
        };
        let mut answer = Answer::expected(expected);
        output.bytes().for_each(|byte| answer.push(&[byte]));
        assert_eq!(answer.is_right(), whole, "however it is cut");
        whole
    }

    #[test]
    fn what_nobody_sees_is_no_mistake() {
        for output in ["1 2\n3", "1 2\n3\n", "1 2 \t\n3\r\n\n \n", "1 2\r\n3   "] {
            assert!(is_right("1 2\n3\n", output), "{output:?}");
        }
        assert!(is_right("", "") && is_right("\n \n", "") && is_right("", "\n"));
    }

    #[test]
    fn everything_else_counts() {
        for output in [
            "",
            "1 2",
            "1  2\n3",
            " 1 2\n3",
            "1 2\n\n3",
            "1 2\n3\n4",
            "12\n3",
            "1 2 3",
        ] {
            assert!(!is_right("1 2\n3\n", output), "{output:?}");
        }
        assert!(!is_right("a", "A") && !is_right("", "x"));
    }
}
