//! A room shows one run at a time, to the clients that asked for our frames.

use codecrafter_shared::id::{AttemptId, ExecutionId};
use codecrafter_shared::job::{
    Captured, Event, Outcome, OutputFiles, Report, RunOutcome, Stage, Stream, Usage, Verdict,
};
use codecrafter_shared::relay::AppFrame;
use codecrafter_shared::role::Role;

use super::support::{START, World, session};
use crate::room::Input;

fn report(attempt: u8, seq: u32, event: Event) -> Report {
    Report {
        execution_id: ExecutionId::at(START, [attempt / 10; 10]),
        session_id: Some(session(1)),
        report_token: String::new(),
        attempt_id: AttemptId::random([attempt; 16]),
        seq,
        at: START,
        event,
        traceparent: None,
    }
}

fn output(text: &str) -> Event {
    Event::Output {
        stream: Stream::Stdout,
        text: text.into(),
    }
}

fn finished(verdict: Verdict) -> Event {
    let run = |verdict, exit_code| RunOutcome {
        verdict,
        exit_code: Some(exit_code),
        signal: None,
        stdout: Captured::default(),
        stderr: Captured::default(),
        files: OutputFiles::default(),
        usage: Usage {
            cpu_ms: 3,
            wall_ms: 4,
            peak_bytes: 5,
            ..Usage::default()
        },
        also: Vec::new(),
        cached: false,
    };
    let runs = vec![
        run(Verdict::Accepted, 0),
        run(verdict, 9),
        run(Verdict::Accepted, 0),
    ];
    Event::Finished {
        outcome: Box::new(Outcome {
            verdict,
            message: None,
            compile: None,
            runs,
        }),
    }
}

fn texts(frames: &[AppFrame]) -> String {
    let text = |frame: &AppFrame| match frame {
        AppFrame::RunOutput { text, .. } => Some(text.clone()),
        _ => None,
    };
    frames.iter().filter_map(text).collect()
}

#[test]
fn reports_become_frames_for_app_clients_only() {
    let mut world = World::new();
    let (app, stock) = (
        world.connect_app(1, Role::Owner),
        world.connect(2, Role::Viewer),
    );
    world.take(app);
    world.take(stock);
    let events = [
        Event::Started,
        Event::Stage { stage: Stage::Run },
        output("hi\n"),
        finished(Verdict::RuntimeError),
    ];
    for (seq, event) in (0..).zip(events) {
        world.give(Input::Report(&report(1, seq, event)));
    }
    let frames = world.app_frames(app);
    assert!(matches!(frames[0], AppFrame::RunStarted { .. }));
    assert!(matches!(
        frames[1],
        AppFrame::RunStage {
            stage: Stage::Run,
            ..
        }
    ));
    assert!(matches!(&frames[2], AppFrame::RunOutput { seq: 2, text, .. } if text == "hi\n"));
    let AppFrame::RunFinished {
        verdict,
        exit_code,
        cpu_ms,
        ..
    } = &frames[3]
    else {
        panic!()
    };
    let decided = (Verdict::RuntimeError, Some(9), Some(3));
    assert_eq!(
        (*verdict, *exit_code, *cpu_ms),
        decided,
        "of the run that gave the verdict"
    );
    assert!(world.take(stock).is_empty());
}

#[test]
fn a_report_that_comes_twice_is_shown_once() {
    let mut world = World::new();
    let app = world.connect_app(1, Role::Owner);
    for (seq, event) in [
        (0, Event::Started),
        (1, output("a")),
        (1, output("a")),
        (0, Event::Started),
    ] {
        world.give(Input::Report(&report(1, seq, event)));
    }
    assert_eq!(texts(&world.app_frames(app)), "a");
}

#[test]
fn a_late_report_of_an_earlier_attempt_is_ignored() {
    let mut world = World::new();
    let app = world.connect_app(1, Role::Owner);
    world.give(Input::Report(&report(1, 0, Event::Started)));
    world.give(Input::Report(&report(1, 1, output("old"))));
    world.give(Input::Report(&report(2, 0, Event::Started)));
    world.take(app);
    world.give(Input::Report(&report(1, 2, output("late"))));
    world.give(Input::Report(&report(1, 3, finished(Verdict::Accepted))));
    world.give(Input::Report(&report(1, 0, Event::Started)));
    assert!(world.take(app).is_empty());
    world.give(Input::Report(&report(2, 1, output("new"))));
    assert_eq!(texts(&world.app_frames(app)), "new");
}

#[test]
fn who_comes_during_a_run_sees_the_last_of_its_output() {
    let mut world = World::new();
    world.give(Input::Report(&report(1, 0, Event::Started)));
    world.give(Input::Report(&report(
        1,
        1,
        Event::Stage {
            stage: Stage::Compile,
        },
    )));
    world.give(Input::Report(&report(
        1,
        2,
        Event::Stage { stage: Stage::Run },
    )));
    let block = "x".repeat(1000);
    for seq in 3..103 {
        world.give(Input::Report(&report(1, seq, output(&block))));
    }
    world.give(Input::Report(&report(1, 103, output("the end"))));
    let app = world.connect_app(1, Role::Viewer);
    let frames = world.app_frames(app);
    assert!(matches!(frames[0], AppFrame::Welcome { .. }));
    assert!(matches!(frames[1], AppFrame::RunStarted { .. }));
    assert!(matches!(
        frames[2],
        AppFrame::RunStage {
            stage: Stage::Run,
            ..
        }
    ));
    let text = texts(&frames);
    assert!(text.ends_with("the end"));
    assert!(
        (60 * 1024..=64 * 1024).contains(&text.len()),
        "{} bytes",
        text.len()
    );
}

#[test]
fn a_room_that_slept_during_a_run_shows_the_rest() {
    let mut world = World::new();
    let app = world.connect_app(1, Role::Owner);
    world.give(Input::Report(&report(1, 0, Event::Started)));
    world.sleep();
    world.take(app);
    world.give(Input::Report(&report(1, 5, output("rest"))));
    assert_eq!(texts(&world.app_frames(app)), "rest");
}
