//! One message of each kind, with every field that it can have.

use std::collections::BTreeMap;

use codecrafter_shared::interaction::{Input, Inputs, Interactive, Signal, TerminalSize};
use codecrafter_shared::job::{
    Acknowledge, Acknowledged, Captured, Control, ControlAction, Enrol, Enrolled, Event,
    FileLeftOut, Job, Lease, LeaseRequest, Leases, LeftOutReason, LinkClaims, Outcome, OutputFile,
    OutputFiles, Report, Reports, ReportsTaken, RunLimits, RunOutcome, RunSpec, SourceFile, Stage,
    Stream, Usage, UsageSource, Verdict,
};
use codecrafter_shared::language::AnnouncedLanguage;
use codecrafter_shared::time::Timestamp;
use codecrafter_shared::trace::TraceParent;
use executor_host::crew::Announcement;
use serde::Serialize;
use serde_json::Value;

/// The number of an id, in an id's form.
fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(number: u8) -> T {
    let text = format!("018f0000-0000-7000-8000-0000000000{number:02x}");
    text.parse().unwrap()
}

fn at() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_123)
}

fn languages() -> Vec<AnnouncedLanguage> {
    vec![AnnouncedLanguage {
        id: "python".into(),
        version: "Python 3.11.2".into(),
        end_of_life: Some("2027-10-31".into()),
    }]
}

fn job() -> Job {
    Job {
        schema: 1,
        execution_id: id(1),
        session_id: Some(id(2)),
        tenant: "school".into(),
        language: "python".into(),
        code: "print(input())\n".into(),
        files: vec![SourceFile {
            path: "data/words.txt".into(),
            content: "one\ntwo\n".into(),
        }],
        runs: vec![RunSpec {
            stdin: "in\n".into(),
            args: vec!["-v".into()],
            expected: Some("in\n".into()),
        }],
        limits: RunLimits::default(),
        interactive: Some(Interactive {
            terminal: Some(TerminalSize {
                columns: 80,
                rows: 24,
            }),
        }),
        report_token: "report.token".into(),
        deadline: at(),
        traceparent: TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .ok(),
    }
}

fn run() -> RunOutcome {
    RunOutcome {
        verdict: Verdict::WrongAnswer,
        also: vec![Verdict::RuntimeError],
        exit_code: Some(3),
        signal: Some("SIGSEGV".into()),
        stdout: Captured::head_and_tail(b"head".to_vec(), b"tail".to_vec(), 100),
        stderr: Captured::new(vec![0xff], 1),
        files: OutputFiles {
            files: vec![OutputFile {
                name: "plot.png".into(),
                bytes: 3,
                data: "cG5n".into(),
            }],
            left_out: vec![FileLeftOut {
                name: "big.csv".into(),
                reason: LeftOutReason::TooLarge,
            }],
            left_out_count: 1,
        },
        usage: Usage {
            cpu_ms: 5,
            wall_ms: 6,
            peak_bytes: 7,
            source: UsageSource::Cgroup,
        },
        cached: true,
    }
}

fn outcome() -> Outcome {
    Outcome {
        verdict: Verdict::WrongAnswer,
        message: Some("it differs".into()),
        compile: Some(run()),
        runs: vec![run()],
    }
}

fn report(seq: u32, event: Event) -> Report {
    Report {
        execution_id: id(1),
        session_id: Some(id(2)),
        report_token: "report.token".into(),
        attempt_id: id(3),
        seq,
        at: at(),
        traceparent: matches!(event, Event::Finished { .. })
            .then_some(job().traceparent)
            .flatten(),
        event,
    }
}

fn finished() -> Event {
    Event::Finished {
        outcome: Box::new(outcome()),
    }
}

fn control(number: u8, action: ControlAction) -> Control {
    Control {
        id: id(number),
        execution_id: id(1),
        action,
    }
}

fn controls() -> Vec<Control> {
    let inputs = vec![
        Input::Text { text: "x\n".into() },
        Input::Signal {
            signal: Signal::Interrupt,
        },
        Input::Resize(TerminalSize {
            columns: 100,
            rows: 30,
        }),
        Input::End,
    ];
    let typed = ControlAction::Input(Inputs { after: 4, inputs });
    vec![control(6, ControlAction::Cancel), control(7, typed)]
}

/// One of each kind, by its name.
pub fn all() -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut say = |kind: &str, message: &dyn erased::Message| {
        all.insert(kind.to_owned(), message.value());
    };
    say(
        "enrol",
        &Enrol {
            name: "lab 3".into(),
            public_key: "cHVibGlj".into(),
        },
    );
    say("enrolled", &Enrolled { executor_id: id(4) });
    say(
        "linkClaims",
        &LinkClaims {
            path: "/internal/leases".into(),
            body: "hash".into(),
        },
    );
    say(
        "leaseRequest",
        &LeaseRequest {
            protocol: 1,
            protocol_min: 1,
            slots: 2,
            capacity: 4,
            version: "0.1.0".into(),
            controls_taken: vec![id(6)],
            languages: languages(),
            interactive: true,
            wait_ms: 20_000,
        },
    );
    let lease = Lease {
        id: id(5),
        expires_at: at(),
        job: job(),
    };
    say(
        "leases",
        &Leases {
            protocol: 1,
            leases: vec![lease],
            controls: controls(),
        },
    );
    say(
        "acknowledge",
        &Acknowledge {
            leases: vec![id(5)],
        },
    );
    say(
        "acknowledged",
        &Acknowledged {
            leases: vec![id(5)],
        },
    );
    let output = |stream, text: &str| Event::Output {
        stream,
        text: text.into(),
    };
    let events = [
        Event::Started,
        Event::Stage {
            stage: Stage::Compile,
        },
        output(Stream::Stderr, "warning"),
        Event::Stage { stage: Stage::Run },
        output(Stream::Stdout, "in"),
        finished(),
    ];
    let reports = (0..).zip(events).map(|(seq, event)| report(seq, event));
    say(
        "reports",
        &Reports {
            reports: reports.collect(),
        },
    );
    say(
        "reportsTaken",
        &ReportsTaken {
            duplicates: 1,
            refused: 2,
        },
    );
    say("job", &job());
    say("result", &report(5, finished()));
    say("control", &controls()[1]);
    say(
        "announcement",
        &Announcement {
            worker: "lab-4".into(),
            slots: 8,
            languages: Some(languages()),
        },
    );
    all
}

/// What can be said, whatever its type.
mod erased {
    use super::{Serialize, Value};

    pub trait Message {
        fn value(&self) -> Value;
    }

    impl<T: Serialize> Message for T {
        fn value(&self) -> Value {
            serde_json::to_value(self).unwrap()
        }
    }
}
