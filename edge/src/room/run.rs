//! The run that the room shows: one attempt at a time (X6), from the reports of an executor to
//! frames for the clients that asked for them. The output so far is kept for those who come
//! later; it is not stored with the document, as the whole of it comes with the execution's result.

use std::collections::VecDeque;

use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Event, Report};
use codecrafter_shared::relay::AppFrame;
use serde::{Deserialize, Serialize};

/// Bytes of output that are kept for those who come later.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// Attempts that are remembered as over, so that their late reports are known as such.
const OVER_MAX: usize = 32;

/// What the room shows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct LiveRun {
    shown: Option<Shown>,
    over: VecDeque<AttemptId>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Shown {
    attempt: AttemptId,
    /// The number of the last report that was taken.
    seq: u32,
    started: Option<AppFrame>,
    stage: Option<AppFrame>,
    output: VecDeque<AppFrame>,
    output_bytes: usize,
    finished: Option<AppFrame>,
}

impl LiveRun {
    /// The frame that a report makes, or `None` if it is to be ignored: it was seen before, or it
    /// is of an attempt that another one has taken the place of.
    pub(super) fn report(&mut self, report: &Report) -> Option<AppFrame> {
        let attempt = report.attempt_id;
        if self.over.contains(&attempt) {
            return None;
        }
        match &mut self.shown {
            Some(shown) if shown.attempt == attempt => {
                if report.seq <= shown.seq {
                    return None;
                }
                shown.seq = report.seq;
            }
            // Only a start takes the place of another attempt. In a room that shows none, which
            // may have slept since the start, any report begins.
            Some(_) if report.event != Event::Started => return None,
            shown => {
                if let Some(previous) = shown.replace(Shown::new(attempt, report.seq)) {
                    self.over.push_back(previous.attempt);
                    if self.over.len() > OVER_MAX {
                        self.over.pop_front();
                    }
                }
            }
        }
        let frame = frame(report);
        if let Some(shown) = &mut self.shown {
            shown.keep(&frame);
        }
        Some(frame)
    }

    /// What somebody who comes now is to see: the start, the stage, the last of the output, and
    /// the end if there was one.
    pub(super) fn so_far(&self) -> impl Iterator<Item = &AppFrame> {
        self.shown.iter().flat_map(|shown| {
            let start = shown.started.iter().chain(&shown.stage);
            start.chain(&shown.output).chain(&shown.finished)
        })
    }
}

impl Shown {
    const fn new(attempt: AttemptId, seq: u32) -> Self {
        let (started, stage, finished) = (None, None, None);
        let output = VecDeque::new();
        Self {
            attempt,
            seq,
            started,
            stage,
            output,
            output_bytes: 0,
            finished,
        }
    }

    fn keep(&mut self, frame: &AppFrame) {
        let kept = frame.clone();
        match frame {
            AppFrame::RunStarted { .. } => self.started = Some(kept),
            AppFrame::RunStage { .. } => self.stage = Some(kept),
            AppFrame::RunFinished { .. } => self.finished = Some(kept),
            AppFrame::RunOutput { .. } => {
                self.output_bytes = self.output_bytes.saturating_add(text_bytes(frame));
                self.output.push_back(kept);
                // The last one stays, however long it is: it was sent to the others as well.
                while self.output_bytes > OUTPUT_BYTES_MAX && self.output.len() > 1 {
                    let dropped = self.output.pop_front();
                    let bytes = dropped.as_ref().map_or(0, text_bytes);
                    self.output_bytes = self.output_bytes.saturating_sub(bytes);
                }
            }
            _ => {}
        }
    }
}

fn text_bytes(frame: &AppFrame) -> usize {
    match frame {
        AppFrame::RunOutput { text, .. } => text.len(),
        _ => 0,
    }
}

fn frame(report: &Report) -> AppFrame {
    let (execution_id, attempt_id) = (report.execution_id, report.attempt_id);
    match &report.event {
        Event::Started => AppFrame::RunStarted {
            execution_id,
            attempt_id,
            language: None,
            at: report.at,
        },
        Event::Stage { stage } => AppFrame::RunStage {
            execution_id,
            attempt_id,
            stage: *stage,
        },
        Event::Output { stream, text } => AppFrame::RunOutput {
            execution_id,
            attempt_id,
            seq: report.seq,
            stream: *stream,
            text: text.clone(),
        },
        Event::Finished { outcome } => {
            let run = outcome.deciding_run();
            AppFrame::RunFinished {
                execution_id,
                attempt_id,
                verdict: outcome.verdict,
                exit_code: run.and_then(|run| run.exit_code),
                cpu_ms: run.map(|run| run.usage.cpu_ms),
                wall_ms: run.map(|run| run.usage.wall_ms),
                peak_bytes: run.map(|run| run.usage.peak_bytes),
            }
        }
    }
}
