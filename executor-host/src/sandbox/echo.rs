//! A sandbox without walls that runs no program: it follows the job's text line by line. For
//! tests of everything around a sandbox.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::job::{
    Captured, Job, Outcome, OutputFiles, RunOutcome, Stage, Stream, Usage, Verdict,
};
use codecrafter_shared::language::AnnouncedLanguage;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{FaultScope, HostFault, Input, Interaction, Progress, Sandbox};

/// The language that [`Echo`] runs. It borrows the id of a known one.
pub const LANGUAGE: &str = "python";
/// What it says of the container that it does without.
pub const CONTAINER: &str = "no container";

/// Follows the lines of [`Job::code`]; before the first, the run's standard input is written to
/// standard output.
///
/// | line | effect |
/// |---|---|
/// | `fault N` | the host fails for the moment, up to the N-th start of this execution |
/// | `broken` | the host fails for good |
/// | `panic` | the sandbox panics |
/// | `wait` | goes on only when it is cancelled |
/// | `sleep MS` | goes on after MS milliseconds |
/// | `read` | waits for input and writes it to standard output; ends well where none can come |
/// | `bytes HEX` | writes these bytes to standard output, in one piece |
/// | `err TEXT` | writes the text and a newline to standard error |
/// | `exit CODE` | ends with that exit code |
/// | anything else | is written to standard output with a newline |
#[derive(Default)]
pub struct Echo {
    starts: Mutex<HashMap<ExecutionId, u32>>,
}

impl Echo {
    /// How often the execution was started.
    pub fn starts(&self, execution: ExecutionId) -> u32 {
        self.lock().get(&execution).copied().unwrap_or(0)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ExecutionId, u32>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Sandbox for Echo {
    async fn languages(&self) -> Result<Vec<AnnouncedLanguage>, HostFault> {
        Ok(vec![AnnouncedLanguage {
            id: LANGUAGE.into(),
            version: "echo 1".into(),
            end_of_life: None,
        }])
    }

    async fn run_with(
        &self,
        job: &Job,
        mut interaction: Option<Interaction>,
        progress: mpsc::Sender<Progress>,
        cancel: CancellationToken,
    ) -> Result<Outcome, HostFault> {
        let start = {
            let mut starts = self.lock();
            let count = starts.entry(job.execution_id).or_default();
            *count += 1;
            *count
        };
        let mut outcome = Outcome {
            verdict: Verdict::Accepted,
            message: None,
            compile: None,
            runs: Vec::new(),
        };
        let _ = progress.send(Progress::Container(CONTAINER.into())).await;
        for spec in &job.runs {
            let _ = progress.send(Progress::Stage(Stage::Run)).await;
            let mut run = Run {
                progress: &progress,
                interaction: &mut interaction,
                stdout: Vec::new(),
                stderr: Vec::new(),
            };
            run.write(Stream::Stdout, spec.stdin.as_bytes()).await;
            let (verdict, exit_code) = run.follow(job, start, &cancel).await?;
            outcome.verdict = verdict;
            outcome.runs.push(run.end(verdict, exit_code));
            if verdict != Verdict::Accepted {
                break;
            }
        }
        Ok(outcome)
    }
}

struct Run<'a> {
    progress: &'a mpsc::Sender<Progress>,
    interaction: &'a mut Option<Interaction>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Run<'_> {
    async fn follow(
        &mut self,
        job: &Job,
        start: u32,
        cancel: &CancellationToken,
    ) -> Result<(Verdict, Option<i32>), HostFault> {
        for line in job.code.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "fault" if start <= number(rest) => {
                    return Err(HostFault {
                        what: "told to fail".into(),
                        retry: true,
                        scope: FaultScope::Language,
                    });
                }
                "fault" => {}
                "broken" => {
                    return Err(HostFault {
                        what: "told to fail".into(),
                        retry: false,
                        scope: FaultScope::Language,
                    });
                }
                "panic" => panic!("told to panic"),
                "wait" => cancel.cancelled().await,
                "sleep" => {
                    let sleep = tokio::time::sleep(Duration::from_millis(number(rest).into()));
                    cancel.run_until_cancelled(sleep).await;
                }
                "read" => match cancel.run_until_cancelled(self.next_bytes()).await {
                    Some(Some(bytes)) => self.write(Stream::Stdout, &bytes).await,
                    Some(None) => break,
                    None => {}
                },
                "bytes" => self.write(Stream::Stdout, &bytes(rest)).await,
                "err" => {
                    self.write(Stream::Stderr, format!("{rest}\n").as_bytes())
                        .await
                }
                "exit" if number(rest) == 0 => break,
                "exit" => {
                    let code = i32::try_from(number(rest)).unwrap_or(i32::MAX);
                    return Ok((Verdict::RuntimeError, Some(code)));
                }
                _ => {
                    self.write(Stream::Stdout, format!("{line}\n").as_bytes())
                        .await
                }
            }
            if cancel.is_cancelled() {
                return Ok((Verdict::Cancelled, None));
            }
        }
        Ok((Verdict::Accepted, Some(0)))
    }

    /// What somebody types next; `None` where nobody does any more.
    async fn next_bytes(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.interaction.as_mut()?.input.recv().await? {
                Input::Bytes(bytes) => return Some(bytes),
                Input::End => return None,
                Input::Signal(_) | Input::Resize(_) => {}
            }
        }
    }

    async fn write(&mut self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match stream {
            Stream::Stdout => self.stdout.extend_from_slice(bytes),
            Stream::Stderr => self.stderr.extend_from_slice(bytes),
        }
        let _ = self
            .progress
            .send(Progress::Output(stream, bytes.to_vec()))
            .await;
    }

    fn end(self, verdict: Verdict, exit_code: Option<i32>) -> RunOutcome {
        let captured = |bytes: Vec<u8>| {
            let total = bytes.len() as u64;
            Captured::new(bytes, total)
        };
        RunOutcome {
            verdict,
            exit_code,
            signal: None,
            stdout: captured(self.stdout),
            stderr: captured(self.stderr),
            files: OutputFiles::default(),
            usage: Usage::default(),
            also: Vec::new(),
            cached: false,
        }
    }
}

fn number(text: &str) -> u32 {
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("`{text}` is no number"))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8))
        .collect()
}
