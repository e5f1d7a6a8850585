//! Files that a program leaves in its working directory and that come back with its result, such
//! as a plot. What is in them is the program's: nobody here looks into it.

use serde::{Deserialize, Serialize};

use crate::limits;

/// A kind of file that comes back, by the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum MediaType {
    /// `.png`
    #[serde(rename = "image/png")]
    Png,
    /// `.jpg` and `.jpeg`
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// `.gif`
    #[serde(rename = "image/gif")]
    Gif,
    /// `.webp`
    #[serde(rename = "image/webp")]
    WebP,
    /// `.svg`; may carry scripts, so it is shown as an image and never as a document.
    #[serde(rename = "image/svg+xml")]
    Svg,
    /// `.pdf`
    #[serde(rename = "application/pdf")]
    Pdf,
    /// `.csv`
    #[serde(rename = "text/csv")]
    Csv,
    /// `.txt`
    #[serde(rename = "text/plain")]
    Text,
    /// `.json`
    #[serde(rename = "application/json")]
    Json,
}

impl MediaType {
    /// The endings of names, in lower case, and what they stand for. No others come back.
    pub const ENDINGS: &[(&str, Self)] = &[
        ("png", Self::Png),
        ("jpg", Self::Jpeg),
        ("jpeg", Self::Jpeg),
        ("gif", Self::Gif),
        ("webp", Self::WebP),
        ("svg", Self::Svg),
        ("pdf", Self::Pdf),
        ("csv", Self::Csv),
        ("txt", Self::Text),
        ("json", Self::Json),
    ];

    /// What a file of that name is; `None` if it does not come back.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (stem, ending) = name.rsplit_once('.')?;
        let known = |(known, _): &&(&str, Self)| ending.eq_ignore_ascii_case(known);
        let (_, kind) = Self::ENDINGS.iter().find(known)?;
        (!stem.is_empty()).then_some(*kind)
    }

    /// Its name in `Content-Type`; text is said to be UTF-8.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
            Self::Svg => "image/svg+xml",
            Self::Pdf => "application/pdf",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// Whether a file of that name may come back, whatever its ending: of `[A-Za-z0-9._-]`, not
/// beginning with `.`, at most [`limits::OUTPUT_FILE_NAME_BYTES_MAX`] bytes. So it is safe in a
/// path, a URL and a header as it is.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty()
        && !name.starts_with('.')
        && name.len() <= limits::OUTPUT_FILE_NAME_BYTES_MAX
        && name.bytes().all(is_plain)
}

/// What of a program's files comes back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputFiles {
    /// At most [`limits::OUTPUT_FILES_MAX`], sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<OutputFile>,
    /// What else the program left, and why it does not come back: at most
    /// [`limits::OUTPUT_FILES_NAMED_MAX`] of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<FileLeftOut>,
    /// How many files that were in all, named or not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out_count: u32,
}

impl OutputFiles {
    /// Whether the program left nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.left_out_count == 0
    }

    /// Counts a file that does not come back, and names it while there is room.
    pub fn leave_out(&mut self, name: String, reason: LeftOutReason) {
        self.left_out_count = self.left_out_count.saturating_add(1);
        if self.left_out.len() < limits::OUTPUT_FILES_NAMED_MAX {
            self.left_out.push(FileLeftOut { name, reason });
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A file that comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputFile {
    /// See [`is_file_name`]; [`MediaType::of_name`] says what it is.
    pub name: String,
    /// Its length; at most [`limits::OUTPUT_FILE_BYTES_MAX`].
    pub bytes: u32,
    /// What is in it, in base64 (RFC 4648 §4, with padding); empty where it is kept elsewhere.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data: String,
}

/// A file that does not come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FileLeftOut {
    /// Its name for showing: cut, and without what is no text.
    pub name: String,
    /// Why.
    pub reason: LeftOutReason,
}

/// Why a file does not come back. Where several hold, the first of this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LeftOutReason {
    /// It is a link, of either kind, a pipe, a socket or the like.
    NotAFile,
    /// Its name has other characters than `A-Z a-z 0-9 . _ -`, is too long, or begins with `.`.
    Name,
    /// Its name has none of the endings.
    Type,
    /// It is longer than a file may be.
    TooLarge,
    /// As many as may come back do already.
    TooMany,
    /// It would make all together longer than they may be.
    TooMuch,
    /// It could not be read.
    Unreadable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_the_ending_of_its_name_says() {
        for (name, kind) in [
            ("plot.png", Some(MediaType::Png)),
            ("a.b.JPEG", Some(MediaType::Jpeg)),
            ("table.csv", Some(MediaType::Csv)),
            ("page.html", None),
            ("png", None),
            (".png", None),
            ("plot.png.", None),
            ("", None),
        ] {
            assert_eq!(MediaType::of_name(name), kind, "{name}");
        }
        for (ending, kind) in MediaType::ENDINGS {
            let name = serde_json::to_value(kind).unwrap();
            let named = name.as_str().unwrap();
            assert!(kind.content_type().starts_with(named), "{ending}");
        }
    }

    #[test]
    fn a_name_is_safe_in_a_path_a_url_and_a_header() {
        for good in ["plot.png", "a-b_c.1.txt", "-", "A"] {
            assert!(is_file_name(good), "{good}");
        }
        let long = "a".repeat(limits::OUTPUT_FILE_NAME_BYTES_MAX + 1);
        for bad in [
            "", ".", "..", ".a", "a/b", "a b", "a\nb", "a\"", "ä", "a%2f", &long,
        ] {
            assert!(!is_file_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_is_left_out_is_counted_beyond_what_is_named() {
        let mut files = OutputFiles::default();
        assert!(files.is_empty());
        for number in 0..100 {
            files.leave_out(number.to_string(), LeftOutReason::TooMany);
        }
        assert_eq!(files.left_out_count, 100);
        assert_eq!(files.left_out.len(), limits::OUTPUT_FILES_NAMED_MAX);
        let empty = serde_json::to_string(&OutputFiles::default()).unwrap();
        assert_eq!(empty, "{}");
    }
}
