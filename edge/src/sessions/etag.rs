//! Conditional requests (RFC 9110 §13): what a client says it has, beside what there is. Pure.

use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName};

/// A strong `ETag` of that tag.
#[must_use]
pub fn etag(tag: &str) -> String {
    format!("\"{tag}\"")
}

/// Whether the client has what `tag` names: then it need not be sent.
#[must_use]
pub fn has(headers: &HeaderMap, tag: &str) -> bool {
    let listed = entries(headers, IF_NONE_MATCH);
    // Compared weakly, as what a proxy on the way has made weak is still the same text.
    let mut listed = listed.map(|entry| entry.strip_prefix("W/").unwrap_or(entry));
    listed.any(|entry| entry == "*" || unquoted(entry) == Some(tag))
}

/// The tags that the client expects, by `If-Match`; `None` if it expects nothing in particular.
/// What is not a strong tag is none that anything could have.
#[must_use]
pub fn expected(headers: &HeaderMap) -> Option<Vec<String>> {
    if !headers.contains_key(IF_MATCH) || entries(headers, IF_MATCH).any(|entry| entry == "*") {
        return None;
    }
    let tags = entries(headers, IF_MATCH).filter_map(unquoted);
    Some(tags.map(str::to_owned).collect())
}

/// Our tags have no commas in them, so those of others may be divided.
fn entries(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn unquoted(entry: &str) -> Option<&str> {
    entry.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, http::HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_client_that_has_the_text_is_not_sent_it() {
        let has = |values: &[&'static str]| has(&headers(IF_NONE_MATCH, values), "abc");
        assert!(has(&["\"abc\""]) && has(&["W/\"abc\""]) && has(&["*"]));
        assert!(has(&["\"x\", \"abc\""]) && has(&["\"x\"", "\"abc\""]));
        assert!(!has(&[]) && !has(&["\"x\""]) && !has(&["abc"]) && !has(&["\"ABC\""]));
    }

    #[test]
    fn what_is_expected_is_a_list_of_strong_tags() {
        let expected = |values: &[&'static str]| expected(&headers(IF_MATCH, values));
        assert_eq!(expected(&[]), None);
        assert_eq!(expected(&["*"]), None);
        assert_eq!(
            expected(&["\"a\" , \"b\"", "\"c\""]),
            Some(vec!["a".into(), "b".into(), "c".into()])
        );
        assert_eq!(expected(&["W/\"a\""]), Some(vec![]), "weak");
        assert_eq!(expected(&["nonsense"]), Some(vec![]));
    }
}
