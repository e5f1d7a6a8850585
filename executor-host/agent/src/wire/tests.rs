use super::*;
use crate::{
    Ended, Event, Exec, Exit, LeftOut, Limit, Limits, Order, Stream, TerminalSize, Wanted,
};

fn orders() -> Vec<Order> {
    vec![
        Order::File {
            path: "a/b.py".into(),
            content: vec![0, 1, 255],
        },
        Order::Exec(Exec {
            argv: vec!["python3".into(), String::new(), "ä".into()],
            env: vec![("A".into(), "b=c".into())],
            stdin: b"in\n".to_vec(),
            keeps_input: true,
            terminal: Some(TerminalSize {
                columns: 80,
                rows: 25,
            }),
            tells_files: true,
            limits: Limits {
                cpu_ms: 1,
                wall_ms: 2,
                output_bytes: 3,
            },
        }),
        Order::Save,
        Order::Restore,
        Order::Pack { most: 7 },
        Order::Unpack {
            bytes: vec![1, 2],
            last: true,
        },
        Order::Reset { user: 1 << 30 },
        Order::Exec(Exec::default()),
        Order::Input { bytes: vec![4] },
        Order::CloseInput,
        Order::Signal { number: -1 },
        Order::Resize(TerminalSize {
            columns: 1,
            rows: u16::MAX,
        }),
        Order::Collect(Wanted {
            endings: vec!["png".into(), "csv".into()],
            files: 1,
            bytes_each: 2,
            bytes_all: 3,
            named: 4,
        }),
    ]
}

fn events() -> Vec<Event> {
    let ended = Ended {
        exit: Exit::Code(-1),
        limit: None,
        wall_us: 1,
        cpu_us: u64::MAX,
        peak_bytes: 3,
        oom_kills: 4,
        stdout_bytes: 5,
        stderr_bytes: 6,
        left_files: true,
    };
    vec![
        Event::Ready {
            version: crate::VERSION,
        },
        Event::Output {
            stream: Stream::Stdout,
            bytes: vec![],
        },
        Event::Output {
            stream: Stream::Stderr,
            bytes: vec![1, 0, 0, 0],
        },
        Event::Ended(ended.clone()),
        Event::Ended(Ended {
            exit: Exit::Signal(9),
            limit: Some(Limit::Cpu),
            ..ended.clone()
        }),
        Event::Ended(Ended {
            exit: Exit::NotStarted(2),
            limit: Some(Limit::Wall),
            ..ended.clone()
        }),
        Event::Ended(Ended {
            limit: Some(Limit::Output),
            ..ended
        }),
        Event::Failed {
            reason: "no".into(),
        },
        Event::Packed {
            bytes: vec![3],
            last: false,
        },
        Event::Unpacked,
        Event::Clean,
        Event::File {
            name: "plot.png".into(),
            bytes: vec![5],
            last: true,
        },
        Event::LeftOut {
            name: vec![255, 0],
            why: LeftOut::Name,
        },
        Event::LeftOut {
            name: vec![],
            why: LeftOut::Unreadable,
        },
        Event::Collected { left_out: 2 },
    ]
}

#[test]
fn every_order_and_event_comes_back_as_it_was_however_the_stream_is_cut() {
    let stream: Vec<u8> = orders().iter().flat_map(Order::to_frame).collect();
    for step in [1, 2, 5, stream.len()] {
        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        for bytes in stream.chunks(step) {
            frames.push(bytes);
            while let Some(body) = frames.next_body().unwrap() {
                seen.push(Order::from_body(body).unwrap());
            }
        }
        assert_eq!(seen, orders(), "cut every {step} bytes");
    }
    for event in events() {
        let mut frames = Frames::default();
        frames.push(&event.to_frame());
        assert_eq!(
            Event::from_body(frames.next_body().unwrap().unwrap()),
            Ok(event)
        );
    }
}

#[test]
fn a_frame_that_claims_too_much_is_refused_before_it_is_buffered() {
    let mut frames = Frames::default();
    frames.push(&u32::MAX.to_le_bytes());
    assert_eq!(
        frames.next_body(),
        Err(WireError::TooLong(u32::MAX as usize))
    );
}

#[test]
fn a_body_cut_short_or_with_bytes_left_over_is_malformed() {
    let bodies = orders()
        .iter()
        .map(|o| o.to_frame()[4..].to_vec())
        .collect::<Vec<_>>();
    for body in bodies {
        for cut in 0..body.len() {
            assert_eq!(Order::from_body(&body[..cut]), Err(WireError::Malformed));
        }
        let longer = [&body[..], &[0]].concat();
        assert_eq!(Order::from_body(&longer), Err(WireError::Malformed));
    }
    for event in events() {
        let body = event.to_frame()[4..].to_vec();
        for cut in 0..body.len() {
            assert_eq!(Event::from_body(&body[..cut]), Err(WireError::Malformed));
        }
    }
    assert_eq!(Order::from_body(&[99]), Err(WireError::Malformed));
    assert_eq!(Event::from_body(&[99]), Err(WireError::Malformed));
}
