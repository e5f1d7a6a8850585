//! The tag of a document's text, for `ETag` and `If-Match`: equal texts have equal tags, whatever
//! edits have led to them, and different ones do not (short of a collision of SHA-256).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codecrafter_shared::api::SessionContent;
use sha2::{Digest as _, Sha256};

/// The tag, without the quotes of the header: 43 letters, digits, `-` and `_`.
#[must_use]
pub fn tag(content: &SessionContent) -> String {
    let SessionContent { content, files } = content;
    let mut hash = Sha256::new();
    let files = files.iter().flat_map(|file| [&file.path, &file.content]);
    for text in std::iter::once(content).chain(files) {
        // With its length before it, so that no text can run over into the next.
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(text);
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use codecrafter_shared::job::SourceFile;

    use super::*;

    fn of(content: &str, files: &[(&str, &str)]) -> String {
        let files = files.iter().map(|(path, content)| SourceFile {
            path: (*path).into(),
            content: (*content).into(),
        });
        tag(&SessionContent {
            content: content.into(),
            files: files.collect(),
        })
    }

    #[test]
    fn equal_texts_have_equal_tags_and_others_do_not() {
        assert_eq!(of("a", &[("b", "c")]), of("a", &[("b", "c")]));
        let different = [
            of("", &[]),
            of("a", &[]),
            of("a", &[("b", "c")]),
            of("a", &[("b", "")]),
            of("a", &[("bc", "")]),
            of("ab", &[("", "c")]),
            of("", &[("a", "bc")]),
        ];
        for (index, one) in different.iter().enumerate() {
            assert_eq!(one.len(), 43);
            assert!(
                different.iter().skip(index + 1).all(|other| one != other),
                "{index}"
            );
        }
    }
}
