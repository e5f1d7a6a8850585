//! The order of versions, as runtimes print them: `Python 3.13.1` is newer than `Python 3.9.2`.
//! Pure.

use std::cmp::Ordering;

/// Whether `a` is newer (`Less`, so that it sorts first) or older than `b`: by their numbers, one
/// after the other, and by their text where those are the same.
pub fn newest_first(a: &str, b: &str) -> Ordering {
    numbers(b).cmp(numbers(a)).then_with(|| b.cmp(a))
}

/// The numbers in a text. One that does not fit is as large as can be.
fn numbers(text: &str) -> impl Iterator<Item = u64> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let mut versions = vec!["3.9", "3.13.1", "3.13", "3.100", "10.0"];
        versions.sort_by(|a, b| newest_first(a, b));
        assert_eq!(versions, ["10.0", "3.100", "3.13.1", "3.13", "3.9"]);
        let mut printed = vec!["go1.9 linux/amd64", "go1.19 linux/amd64"];
        printed.sort_by(|a, b| newest_first(a, b));
        assert_eq!(printed, ["go1.19 linux/amd64", "go1.9 linux/amd64"]);
        let huge = "99999999999999999999999999";
        assert_eq!(newest_first(huge, "1"), Ordering::Less);
        assert_eq!(newest_first("", ""), Ordering::Equal);
    }
}
