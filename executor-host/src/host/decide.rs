//! The host's decisions about a job, without running anything: pure.

use codecrafter_shared::job::Encoding;
use codecrafter_shared::job::{Captured, Outcome, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN, Verdict};
use codecrafter_shared::language::AnnouncedLanguage;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use crate::queue::{DELIVERIES_MAX, Delivery};

/// The largest outcome that still fits into a request with everything around it.
pub(super) const OUTCOME_BYTES_MAX: usize = limits::LINK_BODY_BYTES_MAX - 64 * 1024;

/// The outcome of a delivery that must not be run, if it must not.
pub(super) fn refuse(
    delivery: &Delivery,
    offer: Option<&[AnnouncedLanguage]>,
    now: Timestamp,
) -> Option<Outcome> {
    let job = &delivery.job;
    let ours = |message: String| Some(Outcome::without_run(Verdict::InternalError, message));
    if delivery.count > DELIVERIES_MAX {
        return Some(host_failed(DELIVERIES_MAX));
    }
    if !(PROTOCOL_VERSION_MIN..=PROTOCOL_VERSION).contains(&job.schema) {
        return ours(format!(
            "The executor does not understand jobs of version {}.",
            job.schema
        ));
    }
    if job.deadline < now {
        let message = "No executor was free before the deadline.";
        return Some(Outcome::without_run(Verdict::Expired, message));
    }
    // While it is not known what the host can run, the sandbox says so itself.
    if offer.is_some_and(|known| known.iter().all(|language| language.id != job.language)) {
        return ours(format!(
            "The executor cannot run the language `{}`.",
            job.language
        ));
    }
    None
}

/// The outcome of a job that the host failed to run.
pub(super) fn host_failed(tries: u32) -> Outcome {
    let times = if tries == 1 {
        "once".into()
    } else {
        format!("{tries} times")
    };
    let message = format!("The executor failed, not the program; it was tried {times}.");
    Outcome::without_run(Verdict::InternalError, message)
}

/// `outcome`, with as much cut from the middle of every long output as it takes to be at most
/// `bytes_max` as JSON. Output full of control characters grows sixfold there.
pub(super) fn fit(mut outcome: Outcome, bytes_max: usize) -> Outcome {
    // Of either side of the middle.
    let mut keep = limits::OUTPUT_BYTES.end().next_multiple_of(4) as usize;
    while keep > 0 && encoded_bytes(&outcome) > bytes_max {
        keep /= 2;
        for run in outcome.compile.iter_mut().chain(&mut outcome.runs) {
            cut(&mut run.stdout, keep);
            cut(&mut run.stderr, keep);
        }
    }
    outcome
}

fn encoded_bytes(outcome: &Outcome) -> usize {
    serde_json::to_vec(outcome).map_or(usize::MAX, |body| body.len())
}

/// Keeps at most `keep` characters of the beginning, and as many of the end.
fn cut(captured: &mut Captured, keep: usize) {
    // What is whole has its end in `data`.
    let end = captured.tail.as_deref().unwrap_or(&captured.data);
    if captured.data.len().max(end.len()) <= keep
        || (captured.tail.is_none() && captured.data.len() <= 2 * keep)
    {
        return;
    }
    let from = end.len().saturating_sub(keep);
    let (to, from) = match captured.encoding {
        Encoding::Utf8 => (
            captured.data.floor_char_boundary(keep),
            end.ceil_char_boundary(from),
        ),
        // Four characters carry three bytes.
        Encoding::Base64 => (keep - keep % 4, from.next_multiple_of(4)),
    };
    captured.tail = Some(end[from..].to_owned());
    captured.data.truncate(to);
    captured.truncated = true;
}

#[cfg(test)]
mod tests {
    use codecrafter_shared::job::{RunOutcome, Usage};

    use super::*;

    fn run(stdout: Vec<u8>) -> RunOutcome {
        let total = stdout.len() as u64;
        RunOutcome {
            verdict: Verdict::Accepted,
            exit_code: Some(0),
            signal: None,
            stdout: Captured::new(stdout, total),
            stderr: Captured::default(),
            usage: Usage::default(),
        }
    }

    fn outcome(runs: Vec<RunOutcome>) -> Outcome {
        Outcome {
            verdict: Verdict::Accepted,
            message: None,
            compile: None,
            runs,
        }
    }

    #[test]
    fn an_outcome_that_fits_stays_as_it_is() {
        let small = outcome(vec![run(b"hello".to_vec())]);
        assert_eq!(fit(small.clone(), 10_000), small);
    }

    #[test]
    fn an_outcome_that_is_too_large_loses_the_middle_of_its_longest_outputs() {
        let large = outcome(vec![
            run(vec![1; 200_000]),
            run("é".repeat(100_001).into_bytes()),
            run(vec![0xff; 100_001]),
            run(b"short".to_vec()),
        ]);
        let fitted = fit(large, 100_000);
        assert!(encoded_bytes(&fitted) <= 100_000);
        assert!(
            encoded_bytes(&fitted) > 25_000,
            "no more is cut than needed"
        );
        for cut in &fitted.runs[..3] {
            assert!(cut.stdout.truncated);
        }
        let [_, text, bytes, _] = &fitted.runs[..] else {
            panic!("{} runs", fitted.runs.len())
        };
        assert!(text.stdout.data.starts_with('é') && text.stdout.data.ends_with('é'));
        assert!(text.stdout.tail.as_ref().unwrap().ends_with('é'));
        let tail = bytes.stdout.tail.as_ref().unwrap();
        assert_eq!(
            (bytes.stdout.data.len() % 4, tail.len() % 4),
            (0, 0),
            "still base64"
        );
        assert_eq!(fitted.runs[3], run(b"short".to_vec()));
    }

    #[test]
    fn an_output_that_was_cut_already_is_cut_on_both_sides_of_its_gap() {
        let mut cut_once = run(Vec::new());
        let (head, tail) = (vec![b'a'; 80_000], vec![b'b'; 80_000]);
        cut_once.stdout = Captured::head_and_tail(head, tail, 1 << 20);
        let fitted = fit(outcome(vec![cut_once]), 90_000);
        let stdout = &fitted.runs[0].stdout;
        assert_eq!(stdout.data, "a".repeat(stdout.data.len()));
        assert_eq!(stdout.tail, Some("b".repeat(stdout.data.len())));
        assert!(stdout.data.len() > 20_000 && stdout.truncated);
    }
}
