//! Which files of a program come back, and how the agent's account of them becomes the outcome's.
//! Pure. The agent holds to what is wanted; all of it is checked again, so that memory here stays
//! bounded and names stay safe whatever comes out of a container.

use agent_protocol::{LeftOut, Wanted};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codecrafter_shared::job::files::is_file_name;
use codecrafter_shared::job::{LeftOutReason, MediaType, OutputFile, OutputFiles};
use codecrafter_shared::limits;

/// Characters that are shown of the name of a file that is left out.
const NAME_CHARS_SHOWN: usize = 60;

/// What may still come back with the outcome of a job.
#[derive(Debug, Clone)]
pub struct Allowance {
    files: u32,
    bytes: u32,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            files: limits::OUTPUT_FILES_MAX as u32,
            bytes: limits::OUTPUT_FILES_BYTES_MAX,
        }
    }
}

impl Allowance {
    /// What is wanted of the files of the next run.
    pub fn wanted(&self) -> Wanted {
        let endings = MediaType::ENDINGS.iter();
        Wanted {
            endings: endings.map(|(ending, _)| (*ending).to_owned()).collect(),
            files: self.files,
            bytes_each: limits::OUTPUT_FILE_BYTES_MAX,
            bytes_all: self.bytes,
            named: limits::OUTPUT_FILES_NAMED_MAX as u32,
        }
    }

    /// These come back.
    pub fn spend(&mut self, given: &OutputFiles) {
        self.files = self.files.saturating_sub(given.files.len() as u32);
        let bytes = given.files.iter().map(|file| file.bytes).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// What is said when the files could not be looked at.
pub fn unreadable() -> OutputFiles {
    let mut files = OutputFiles::default();
    files.leave_out("*".to_owned(), LeftOutReason::Unreadable);
    files
}

/// The agent's account so far.
#[derive(Debug)]
pub struct Collecting {
    wanted: Wanted,
    /// The file that is coming.
    open: Option<(String, Vec<u8>)>,
    /// Bytes of all that have come.
    bytes: u64,
    files: OutputFiles,
}

impl Collecting {
    /// Nothing has come yet of what is `wanted`.
    pub fn new(wanted: &Wanted) -> Self {
        Self {
            wanted: wanted.clone(),
            open: None,
            bytes: 0,
            files: OutputFiles::default(),
        }
    }

    /// A piece of a file has come.
    ///
    /// # Errors
    /// It is not what was wanted.
    pub fn file(&mut self, name: String, piece: &[u8], last: bool) -> Result<(), &'static str> {
        let (open, mut content) = self.open.take().unwrap_or((name.clone(), Vec::new()));
        content.extend_from_slice(piece);
        self.bytes += piece.len() as u64;
        let is_new = !self.files.files.iter().any(|file| file.name == name);
        let is_wanted = open == name
            && is_new
            && is_file_name(&name)
            && MediaType::of_name(&name).is_some()
            && (self.files.files.len() as u64) < u64::from(self.wanted.files)
            && content.len() as u64 <= u64::from(self.wanted.bytes_each)
            && self.bytes <= u64::from(self.wanted.bytes_all);
        if !is_wanted {
            return Err("the agent gives a file that nobody wanted");
        }
        if last {
            self.files.files.push(OutputFile {
                name,
                bytes: content.len() as u32,
                data: STANDARD.encode(content),
            });
        } else {
            self.open = Some((name, content));
        }
        Ok(())
    }

    /// A file does not come.
    ///
    /// # Errors
    /// More are named than was asked for.
    pub fn left_out(&mut self, name: &[u8], why: LeftOut) -> Result<(), &'static str> {
        let reason = match why {
            LeftOut::NotAFile => LeftOutReason::NotAFile,
            LeftOut::Name => LeftOutReason::Name,
            LeftOut::Ending => LeftOutReason::Type,
            LeftOut::TooLarge => LeftOutReason::TooLarge,
            LeftOut::TooMany => LeftOutReason::TooMany,
            LeftOut::TooMuch => LeftOutReason::TooMuch,
            LeftOut::Unreadable => LeftOutReason::Unreadable,
        };
        if self.files.left_out.len() as u64 >= u64::from(self.wanted.named) {
            return Err("the agent names more files than it was asked for");
        }
        self.files.leave_out(shown(name), reason);
        Ok(())
    }

    /// That was all; `left_out` counts those that were not named, too.
    pub fn end(mut self, left_out: u32) -> OutputFiles {
        self.files.left_out_count = left_out;
        self.files
    }
}

/// A name for people, who see what is no text as `\u{fffd}`.
fn shown(name: &[u8]) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let name = String::from_utf8_lossy(name);
    let mut shown: String = name.chars().map(plain).take(NAME_CHARS_SHOWN).collect();
    if name.chars().nth(NAME_CHARS_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collecting(files: u32) -> Collecting {
        let wanted = Wanted {
            files,
            bytes_each: 4,
            bytes_all: 6,
            ..Allowance::default().wanted()
        };
        Collecting::new(&wanted)
    }

    #[test]
    fn pieces_become_files() {
        let mut collecting = collecting(3);
        collecting.file("a.txt".into(), b"ab", false).unwrap();
        collecting.file("a.txt".into(), b"cd", true).unwrap();
        collecting.file("b.csv".into(), b"", true).unwrap();
        collecting.left_out(b"c\n\xff.png", LeftOut::Name).unwrap();
        let files = collecting.end(7);
        let file = |name: &str, bytes, data: &str| OutputFile {
            name: name.into(),
            bytes,
            data: data.into(),
        };
        assert_eq!(
            files.files,
            [file("a.txt", 4, "YWJjZA=="), file("b.csv", 0, "")]
        );
        assert_eq!(files.left_out[0].name, "c\u{fffd}\u{fffd}.png");
        assert_eq!(files.left_out_count, 7);
        let mut allowance = Allowance::default();
        allowance.spend(&files);
        let (files, bytes) = (
            limits::OUTPUT_FILES_MAX as u32,
            limits::OUTPUT_FILES_BYTES_MAX,
        );
        assert_eq!(allowance.wanted().files, files - 2);
        assert_eq!(allowance.wanted().bytes_all, bytes - 4);
    }

    #[test]
    fn what_was_not_wanted_is_refused_whatever_the_agent_says() {
        for name in ["../a.txt", ".a.txt", "a.html", "a b.txt", ""] {
            assert!(
                collecting(1).file(name.into(), b"", true).is_err(),
                "{name:?}"
            );
        }
        assert!(collecting(1).file("a.txt".into(), b"12345", true).is_err());
        assert!(collecting(0).file("a.txt".into(), b"", true).is_err());
        let mut twice = collecting(2);
        twice.file("a.txt".into(), b"1234", true).unwrap();
        assert!(twice.file("a.txt".into(), b"", true).is_err());
        assert!(
            twice.file("b.txt".into(), b"123", true).is_err(),
            "all together"
        );
        let mut mixed = collecting(2);
        mixed.file("a.txt".into(), b"1", false).unwrap();
        assert!(mixed.file("b.txt".into(), b"1", true).is_err());
        let mut named = collecting(2);
        for _ in 0..limits::OUTPUT_FILES_NAMED_MAX {
            named.left_out(b"x", LeftOut::TooMany).unwrap();
        }
        assert!(named.left_out(b"x", LeftOut::TooMany).is_err());
    }

    #[test]
    fn a_long_name_is_cut_and_the_agents_rule_of_names_is_ours() {
        let long = shown("ä".repeat(200).as_bytes());
        assert_eq!(long.chars().count(), NAME_CHARS_SHOWN + 1);
        let long = "a".repeat(limits::OUTPUT_FILE_NAME_BYTES_MAX);
        let longer = format!("{long}a");
        for name in [
            "plot.png", "-", "a/b", ".a", "", "a b", "ä", "a\n", &long, &longer,
        ] {
            assert_eq!(
                is_file_name(name),
                agent_protocol::is_file_name(name),
                "{name:?}"
            );
        }
    }
}
