//! What is never shown: text that hides itself, and secrets that lie in files of their own.

use std::fmt;
use std::path::{Path, PathBuf};

use codecrafter_shared::keys;

use super::ConfigError;

/// A larger file is not one of a secret.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Text that is not shown.
#[derive(Clone)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

pub(super) fn secret_text(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret(text.to_owned()))
}

/// The secret that was given as text or as the file that it lies in; `None` if neither was, or an
/// empty text. `name` is the environment variable of the text; the file's ends in `_FILE`.
pub(super) fn given(
    name: &str,
    text: Option<&Secret>,
    file: Option<&Path>,
) -> Result<Option<String>, ConfigError> {
    let text = text.filter(|text| !text.0.is_empty());
    match (text, file) {
        (Some(_), Some(_)) => Err(ConfigError(format!(
            "{name} and {name}_FILE are both given; give one of them"
        ))),
        (Some(text), None) => Ok(Some(text.0.clone())),
        (None, Some(file)) => read(&format!("{name}_FILE"), file).map(Some),
        (None, None) => Ok(None),
    }
}

/// The text of a secret's file, without the line break that editors put at its end.
fn read(name: &str, file: &Path) -> Result<String, ConfigError> {
    let wrong = |why: &dyn fmt::Display| ConfigError(format!("{name}: {}: {why}", file.display()));
    let size = std::fs::metadata(file)
        .map_err(|error| wrong(&error))?
        .len();
    if size > FILE_BYTES_MAX {
        return Err(wrong(&"it is too large for the file of a secret"));
    }
    let bytes = std::fs::read(file).map_err(|error| wrong(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong(&"it is no text"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(wrong(&"it is empty"));
    }
    Ok(text.to_owned())
}

/// The deployment's secret from the environment variable CODECRAFTER_SECRET, or from the file that
/// CODECRAFTER_SECRET_FILE names.
///
/// # Errors
///
/// When it is not there or too short.
pub fn secret() -> Result<Vec<u8>, ConfigError> {
    const NAME: &str = "CODECRAFTER_SECRET";
    let text = std::env::var_os(NAME).unwrap_or_default();
    let file = std::env::var_os(format!("{NAME}_FILE")).filter(|file| !file.is_empty());
    let secret = match file.map(PathBuf::from) {
        None => text.into_encoded_bytes(),
        Some(_) if !text.is_empty() => {
            let both = format!("{NAME} and {NAME}_FILE are both given; give one of them");
            return Err(ConfigError(both));
        }
        Some(file) => read(&format!("{NAME}_FILE"), &file)?.into_bytes(),
    };
    match secret.len() {
        0 => Err(ConfigError(format!(
            "set {NAME} to the deployment's secret, or {NAME}_FILE to the file that it is in"
        ))),
        length if length < keys::SECRET_BYTES_MIN => Err(ConfigError(format!(
            "{NAME} has {length} bytes; it needs at least {}",
            keys::SECRET_BYTES_MIN
        ))),
        _ => Ok(secret),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_its_files_text_without_the_line_break() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("secret");
        for (content, secret) in [("hunter2\n", "hunter2"), ("two words\r\n", "two words")] {
            std::fs::write(&file, content).unwrap();
            let read = given("X", None, Some(&file)).unwrap();
            assert_eq!(read.as_deref(), Some(secret));
        }
        let text = Secret("hunter2".into());
        let both = given("X", Some(&text), Some(&file))
            .unwrap_err()
            .to_string();
        assert!(
            both.contains("X and X_FILE") && !both.contains("hunter2"),
            "{both}"
        );
        let empty = Secret(String::new());
        assert!(given("X", Some(&empty), Some(&file)).unwrap().is_some());
        assert_eq!(given("X", Some(&empty), None).unwrap(), None);
    }

    #[test]
    fn a_file_that_holds_no_secret_is_named_and_not_shown() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("secret");
        let refused = |content: Option<&[u8]>| {
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            given("X", None, Some(&file)).unwrap_err().to_string()
        };
        assert!(refused(None).contains("No such file"));
        assert!(refused(Some(b"\n")).contains("empty"));
        let bytes = refused(Some(b"hunter2\xff"));
        assert!(
            bytes.contains("no text") && bytes.contains("X_FILE"),
            "{bytes}"
        );
        assert!(!bytes.contains("hunter2"));
    }
}
