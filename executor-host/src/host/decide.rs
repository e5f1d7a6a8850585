//! The host's decisions about a job, without running anything: pure.

use std::time::Duration;

use codecrafter_shared::job::Encoding;
use codecrafter_shared::job::{Captured, Outcome, Verdict};
use codecrafter_shared::language::AnnouncedLanguage;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use crate::queue::{DELIVERIES_MAX, Delivery};
use crate::sandbox::HostFault;

/// The largest outcome that still fits into a request with everything around it.
pub(super) const OUTCOME_BYTES_MAX: usize = limits::LINK_BODY_BYTES_MAX - 64 * 1024;

/// What becomes of a delivery that must not be run, if it must not. `cancelled`: its owner has
/// ended it before it began. What only this host cannot run is given back for `retry_delay` at
/// first, like after a fault.
pub(super) fn refuse(
    delivery: &Delivery,
    offer: Option<&[AnnouncedLanguage]>,
    now: Timestamp,
    cancelled: bool,
    retry_delay: Duration,
) -> Option<Next> {
    let job = &delivery.job;
    let ours = |message: String| {
        let outcome = Outcome::without_run(Verdict::InternalError, message);
        let last = delivery.count >= DELIVERIES_MAX;
        // It was leased while whoever worked on the queue could run it, and they may be there yet.
        Some(if last {
            Next::Keep(outcome)
        } else {
            again(retry_delay, delivery.count)
        })
    };
    if cancelled {
        return Some(Next::Keep(cancelled_without_run()));
    }
    if delivery.count > delivery.count_max {
        return Some(Next::Keep(host_failed(Some(delivery.count_max))));
    }
    if job.deadline < now {
        let message = "No executor was free before the deadline.";
        let outcome = Outcome::without_run(Verdict::Expired, message);
        return Some(Next::Keep(outcome));
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

/// What follows from the end of a run.
#[derive(Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, looked at where it was made"
)]
pub(super) enum Next {
    /// This is the job's final result.
    Keep(Outcome),
    /// It has none, and the job is handed out again after this time.
    GiveBack(Duration),
}

/// What else is known when a run has ended.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The execution's owner has ended it.
    pub cancelled: bool,
    /// The host ends what runs on it, because it stops.
    pub host_ends: bool,
    /// How often the job was handed out; at least 1.
    pub count: u32,
    /// How long a job waits after its first host fault; doubled after the second.
    pub retry_delay: Duration,
}

/// A run that was cut off ends the job only if its owner wanted that; a host that stops has no
/// say in it. A program that came to its own end first keeps it, whoever asked for what.
pub(super) fn after_run(ended: Result<Outcome, HostFault>, facts: &Facts) -> Next {
    match ended {
        Ok(outcome) if outcome.verdict != Verdict::Cancelled || facts.cancelled => {
            Next::Keep(outcome)
        }
        Ok(_) if facts.host_ends => Next::GiveBack(Duration::ZERO),
        Ok(outcome) => Next::Keep(outcome),
        Err(_) if facts.cancelled => Next::Keep(cancelled_without_run()),
        Err(fault) if fault.retry && facts.count < DELIVERIES_MAX => {
            again(facts.retry_delay, facts.count)
        }
        Err(_) => Next::Keep(host_failed(Some(facts.count))),
    }
}

/// Handed out again, later each time.
fn again(retry_delay: Duration, count: u32) -> Next {
    Next::GiveBack(retry_delay * 2_u32.pow(count.saturating_sub(1)))
}

fn cancelled_without_run() -> Outcome {
    Outcome::without_run(Verdict::Cancelled, "The execution was cancelled.")
}

/// The outcome of a job that hosts failed to run, so many times if that is known.
pub(super) fn host_failed(tries: Option<u32>) -> Outcome {
    let times = match tries {
        Some(1) => "once".into(),
        Some(tries) => format!("{tries} times"),
        None => "as often as it may be".into(),
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
    use codecrafter_shared::job::{OutputFiles, RunOutcome, Usage};

    use super::*;
    use crate::sandbox::FaultScope;

    fn run(stdout: Vec<u8>) -> RunOutcome {
        let total = stdout.len() as u64;
        RunOutcome {
            verdict: Verdict::Accepted,
            exit_code: Some(0),
            signal: None,
            stdout: Captured::new(stdout, total),
            stderr: Captured::default(),
            files: OutputFiles::default(),
            usage: Usage::default(),
            also: Vec::new(),
            cached: false,
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

    const DELAY: Duration = Duration::from_secs(2);

    fn next(ended: Result<Verdict, bool>, cancelled: bool, host_ends: bool, count: u32) -> Next {
        let facts = Facts {
            cancelled,
            host_ends,
            count,
            retry_delay: DELAY,
        };
        let ended = match ended {
            Ok(verdict) => Ok(Outcome::without_run(verdict, "its own words")),
            Err(retry) => Err(HostFault {
                what: "the engine is away".into(),
                retry,
                scope: FaultScope::Engine,
            }),
        };
        after_run(ended, &facts)
    }

    fn kept(next: Next) -> (Verdict, String) {
        match next {
            Next::Keep(outcome) => (outcome.verdict, outcome.message.unwrap()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_that_was_cut_off_is_a_result_only_if_its_owner_wanted_it() {
        let own = (Verdict::Cancelled, "its own words".to_owned());
        assert_eq!(kept(next(Ok(Verdict::Cancelled), true, false, 1)), own);
        assert_eq!(kept(next(Ok(Verdict::Cancelled), true, true, 1)), own);
        let stopped = next(Ok(Verdict::Cancelled), false, true, 1);
        assert_eq!(stopped, Next::GiveBack(Duration::ZERO));
    }

    #[test]
    fn a_program_that_came_to_its_own_end_first_keeps_it() {
        for (cancelled, host_ends) in [(true, false), (false, true), (true, true)] {
            let (verdict, _) = kept(next(Ok(Verdict::Accepted), cancelled, host_ends, 1));
            assert_eq!(verdict, Verdict::Accepted);
        }
    }

    #[test]
    fn a_fault_of_the_host_is_tried_again_later_and_later_until_it_is_given_up() {
        assert_eq!(next(Err(true), false, false, 1), Next::GiveBack(DELAY));
        assert_eq!(next(Err(true), false, false, 2), Next::GiveBack(DELAY * 2));
        for given_up in [
            next(Err(true), false, false, DELIVERIES_MAX),
            next(Err(false), false, false, 1),
        ] {
            let (verdict, message) = kept(given_up);
            assert_eq!(verdict, Verdict::InternalError);
            assert!(!message.contains("engine"), "the cause is for the log");
        }
    }

    #[test]
    fn a_job_whose_end_was_asked_for_is_not_tried_again() {
        assert_eq!(kept(next(Err(true), true, false, 1)).0, Verdict::Cancelled);
    }

    struct NoHold;

    #[async_trait::async_trait]
    impl crate::queue::Hold for NoHold {
        async fn remove(self: Box<Self>) -> Result<(), crate::queue::QueueError> {
            Ok(())
        }
        async fn park(self: Box<Self>, _: &str) -> Result<(), crate::queue::QueueError> {
            Ok(())
        }
        async fn give_back(self: Box<Self>, _: Duration) -> Result<(), crate::queue::QueueError> {
            Ok(())
        }
    }

    #[test]
    fn what_only_this_host_cannot_run_is_left_to_others_before_it_is_given_up() {
        let job = crate::queue::contract::job(1);
        let (now, other) = (
            Timestamp::from_millis(0),
            AnnouncedLanguage {
                id: "cobol".into(),
                version: "85".into(),
                end_of_life: None,
            },
        );
        let refused = |count| {
            let delivery = Delivery::new(job.clone(), count, Box::new(NoHold));
            let offer = std::slice::from_ref(&other);
            refuse(&delivery, Some(offer), now, false, DELAY).unwrap()
        };
        assert_eq!(refused(1), Next::GiveBack(DELAY));
        assert_eq!(refused(DELIVERIES_MAX - 1), Next::GiveBack(DELAY * 2));
        let (verdict, message) = kept(refused(DELIVERIES_MAX));
        assert_eq!(verdict, Verdict::InternalError);
        assert!(message.contains(&job.language), "{message}");
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
