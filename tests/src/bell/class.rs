//! What a class hands in. The same in every run; no I/O.

use std::time::Duration;

use codecrafter_shared::api::CreateExecution;

/// Of a hundred submissions so many are equal to an earlier one.
const EQUAL_PERCENT: u64 = 20;

/// Of a hundred submissions so many are of each program.
const SHARES: [u64; 3] = [70, 20, 10];

/// Language, main file, and what it writes.
pub(super) const PROGRAMS: [(&str, &str, &str); 3] = [
    (
        "python",
        "numbers = [7, 3, 9, 1]\nfor number in sorted(numbers):\n    print(number)\n",
        SORTED,
    ),
    (
        "cpp",
        "#include <algorithm>\n#include <iostream>\n#include <vector>\n\nint main() {\n    std::vector<int> numbers{7, 3, 9, 1};\n    std::sort(numbers.begin(), numbers.end());\n    for (int number : numbers) std::cout << number << '\\n';\n}\n",
        SORTED,
    ),
    (
        "java",
        "import java.util.Arrays;\n\npublic class Main {\n    public static void main(String[] args) {\n        int[] numbers = {7, 3, 9, 1};\n        Arrays.sort(numbers);\n        for (int number : numbers) System.out.println(number);\n    }\n}\n",
        SORTED,
    ),
];

const SORTED: &str = "1\n3\n7\n9\n";

/// What somebody hands in.
pub(super) struct Submission {
    /// So long after the bell.
    pub(super) after: Duration,
    pub(super) request: CreateExecution,
}

/// What is handed in within `window`, in order. Each is as likely to come at one moment as at
/// another.
pub(super) fn submissions(count: usize, window: Duration) -> Vec<Submission> {
    let mut chance = Chance(2026);
    let mut afters: Vec<_> = (0..count)
        .map(|_| window.mul_f64(chance.below(1 << 20) as f64 / f64::from(1 << 20)))
        .collect();
    afters.sort_unstable();
    let mut all = Vec::<Submission>::with_capacity(count);
    for (number, after) in afters.into_iter().enumerate() {
        let earlier = all.get(chance.below(number.max(1) as u64) as usize);
        let request = match earlier {
            Some(earlier) if chance.below(100) < EQUAL_PERCENT => earlier.request.clone(),
            _ => someones(number, chance.below(100)),
        };
        all.push(Submission { after, request });
    }
    all
}

/// Another program than everybody else's.
fn someones(number: usize, mut percent: u64) -> CreateExecution {
    let mut programs = SHARES.into_iter().zip(PROGRAMS);
    let (_, (language, code, expected)) = programs
        .find(|(share, _)| {
            let is_it = percent < *share;
            percent = percent.saturating_sub(*share);
            is_it
        })
        .unwrap_or((0, PROGRAMS[0]));
    let comment = if language == "python" { "#" } else { "//" };
    let code = format!("{comment} by number {number}\n{code}");
    request(language, code, expected)
}

/// A submission: what it has to write is known, so it is judged.
pub(super) fn request(language: &str, code: String, expected: &str) -> CreateExecution {
    CreateExecution {
        language: Some(language.to_owned()),
        code: Some(code),
        expected_output: Some(expected.to_owned()),
        ..CreateExecution::default()
    }
}

/// What somebody runs who hands nothing in: nobody judges it, somebody waits for it.
pub(super) fn work() -> CreateExecution {
    CreateExecution {
        language: Some("python".to_owned()),
        code: Some("print(\"hi\")\n".to_owned()),
        ..CreateExecution::default()
    }
}

/// Numbers as if by chance (Steele and others' `SplitMix64`).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_hands_in_500_programs_within_a_minute_a_fifth_of_them_equal() {
        let all = submissions(500, Duration::from_mins(1));
        assert_eq!(all.len(), 500);
        assert!(all.is_sorted_by_key(|submission| submission.after));
        assert!(all.iter().all(|it| it.after < Duration::from_mins(1)));
        let of = |language: &str| {
            let is_it = |it: &&Submission| it.request.language.as_deref() == Some(language);
            all.iter().filter(is_it).count()
        };
        let (python, cpp, java) = (of("python"), of("cpp"), of("java"));
        assert_eq!(python + cpp + java, 500);
        assert!((310..=390).contains(&python), "{python} in Python");
        assert!((70..=130).contains(&cpp), "{cpp} in C++");
        assert!((30..=70).contains(&java), "{java} in Java");
        let different: std::collections::BTreeSet<_> =
            all.iter().map(|it| it.request.code.clone()).collect();
        assert!(
            (370..=430).contains(&different.len()),
            "{}",
            different.len()
        );
    }
}
