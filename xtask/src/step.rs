//! A plan of steps and its execution: steps overlap where their lanes allow, each says when it
//! starts and ends, long ones say what they are at, and a failure shows the end of its log.
//!
//! Everything here goes to standard error: standard output belongs to the command's result.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::report::{Missing, Report};
use crate::work::Work;

/// How often a long step says what it is at.
const NEWS: Duration = Duration::from_secs(20);

/// Lines of a failed step's log that are shown.
const TAIL_LINES: usize = 40;

/// What a step mostly waits for. Of the first two kinds one step runs at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Every core: cargo, which fills the machine by itself, and suites, which a busy machine
    /// would only make slower.
    Processor,
    /// The package manager, which locks its database.
    Packages,
    /// The network or a service.
    Network,
}

/// What a step does.
type Job<'a> = Box<dyn FnOnce(&Work) -> Result<Report> + Send + 'a>;

/// One step of a plan.
pub struct Step<'a> {
    name: &'static str,
    lane: Lane,
    needs: Vec<&'static str>,
    missing: Vec<Missing>,
    job: Job<'a>,
}

impl<'a> Step<'a> {
    /// A step that needs no other.
    pub fn new(
        name: &'static str,
        lane: Lane,
        job: impl FnOnce(&Work) -> Result<Report> + Send + 'a,
    ) -> Self {
        Self {
            name,
            lane,
            needs: Vec::new(),
            missing: Vec::new(),
            job: Box::new(job),
        }
    }

    /// Says which steps must have succeeded before; those that the plan does not have are taken
    /// as done long ago.
    pub fn after(mut self, needs: &[&'static str]) -> Self {
        self.needs.extend(needs);
        self
    }

    /// Says what the step will install.
    pub fn installs(mut self, missing: impl IntoIterator<Item = Missing>) -> Self {
        self.missing.extend(missing);
        self
    }
}

/// How a step of a finished plan went.
#[derive(Debug)]
pub struct Finished {
    /// The step's name.
    pub name: &'static str,
    /// When it began, from the beginning of the plan.
    pub began: Duration,
    /// How long it took; zero if it did not run.
    pub took: Duration,
    /// The step whose end let it begin: the last one that it needed, or that held its lane. None
    /// for what began at once.
    pub waited_for: Option<&'static str>,
    /// What it reported, or why it failed or was not run.
    pub result: Result<Report>,
}

impl Finished {
    /// Whether the step ran and no case of it failed.
    pub fn is_good(&self) -> bool {
        self.result.as_ref().is_ok_and(|report| report.failed == 0)
    }
}

/// Steps, in the order in which those of one lane run.
#[derive(Default)]
pub struct Plan<'a> {
    steps: Vec<Step<'a>>,
}

impl<'a> Plan<'a> {
    /// Adds a step.
    pub fn push(&mut self, step: Step<'a>) {
        self.steps.push(step);
    }

    /// Adds a step that may have nothing to do.
    pub fn extend(&mut self, step: impl IntoIterator<Item = Step<'a>>) {
        self.steps.extend(step);
    }

    /// Adds the steps of another plan, after those that there are.
    pub fn append(&mut self, other: Self) {
        self.steps.extend(other.steps);
    }

    /// Keeps the named steps and all that they need.
    pub fn keep(&mut self, names: &[&str]) {
        let mut kept: HashSet<&str> = names.iter().copied().collect();
        // A step may be declared before what it needs, so repeat until nothing is added.
        loop {
            let before = kept.len();
            let needed: Vec<&str> = self
                .steps
                .iter()
                .filter(|step| kept.contains(step.name))
                .flat_map(|step| step.needs.iter().copied())
                .collect();
            kept.extend(needed);
            if kept.len() == before {
                break;
            }
        }
        self.steps.retain(|step| kept.contains(step.name));
    }

    /// Says what will be installed. What only a person can install is an error that lists the
    /// commands, before anything is begun.
    pub fn announce(&self) -> Result<()> {
        let missing: Vec<&Missing> = self.steps.iter().flat_map(|step| &step.missing).collect();
        let installable: Vec<_> = missing.iter().filter(|m| m.by_hand.is_none()).collect();
        if !installable.is_empty() {
            let total: u32 = installable.iter().map(|m| m.megabytes).sum();
            eprintln!("To be installed, about {total} MB in all:");
            for Missing {
                what,
                place,
                megabytes,
                ..
            } in installable
            {
                eprintln!("  {megabytes:>5} MB  {what}, in {place}");
            }
        }
        let by_hand: Vec<String> = missing
            .iter()
            .filter_map(|m| Some(format!("  {}:\n    {}", m.what, m.by_hand.as_ref()?)))
            .collect();
        if !by_hand.is_empty() {
            bail!("please install first:\n{}", by_hand.join("\n"));
        }
        Ok(())
    }

    /// Runs every step whose needs succeeded, and gives all steps in the order of the plan.
    pub fn run(self, logs: &Path) -> Vec<Finished> {
        let order: Vec<&'static str> = self.steps.iter().map(|step| step.name).collect();
        let mut waiting = self.steps;
        let mut running: Vec<Running> = Vec::new();
        let begun = Instant::now();
        let mut last_end = None;
        let mut finished: Vec<Finished> = Vec::new();
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel::<(&'static str, Result<Report>)>();
            loop {
                while let Some(index) = next_step(&waiting, &running, &finished) {
                    let step = waiting.remove(index);
                    if let Some(need) = failed_need(&step, &finished) {
                        let result = Err(anyhow::anyhow!("not run, because \"{need}\" failed"));
                        finished.push(not_run(step.name, result));
                        continue;
                    }
                    let work = match Work::begin(logs, step.name) {
                        Ok(work) => work,
                        Err(why) => {
                            finished.push(not_run(step.name, Err(why)));
                            continue;
                        }
                    };
                    say(&format!("start  {}", step.name));
                    running.push(Running {
                        name: step.name,
                        lane: step.lane,
                        began: begun.elapsed(),
                        waited_for: last_end,
                        work: work.clone(),
                    });
                    let sender = sender.clone();
                    scope.spawn(move || {
                        let result = (step.job)(&work);
                        // The receiver lives until every step has reported.
                        let _ = sender.send((step.name, result));
                    });
                }
                if running.is_empty() {
                    break;
                }
                match receiver.recv_timeout(NEWS) {
                    Ok((name, result)) => {
                        if let Some(at) = running.iter().position(|step| step.name == name) {
                            let took = begun.elapsed().saturating_sub(running[at].began);
                            finished.push(running.remove(at).end(took, result));
                            last_end = Some(name);
                        }
                    }
                    Err(_) => {
                        for step in &running {
                            let took = begun.elapsed().saturating_sub(step.began);
                            let at = step.work.tail(1);
                            say(&format!("       {}, {} s: {at}", step.name, took.as_secs()));
                        }
                    }
                }
            }
        });
        finished.extend(waiting.into_iter().map(|step| {
            let result = Err(anyhow::anyhow!("its needs go in a circle"));
            not_run(step.name, result)
        }));
        finished.sort_by_key(|step| order.iter().position(|name| *name == step.name));
        finished
    }
}

/// The first step that can be decided now: its needs have ended and its lane is free.
fn next_step(waiting: &[Step<'_>], running: &[Running], finished: &[Finished]) -> Option<usize> {
    waiting.iter().position(|step| {
        let failed = failed_need(step, finished).is_some();
        let ready = !step.needs.iter().any(|need| {
            waiting.iter().any(|other| other.name == *need)
                || running.iter().any(|other| other.name == *need)
        });
        let free =
            step.lane == Lane::Network || !running.iter().any(|other| other.lane == step.lane);
        failed || (ready && free)
    })
}

fn failed_need(step: &Step<'_>, finished: &[Finished]) -> Option<&'static str> {
    finished
        .iter()
        .find(|other| step.needs.contains(&other.name) && !other.is_good())
        .map(|other| other.name)
}

/// A step that runs.
struct Running {
    name: &'static str,
    lane: Lane,
    began: Duration,
    waited_for: Option<&'static str>,
    work: Work,
}

impl Running {
    /// Says how the step ended; of one that failed, also the end of its log.
    fn end(self, took: Duration, result: Result<Report>) -> Finished {
        let bad = say_end(self.name, took, &result);
        if bad {
            eprintln!("--- the end of {} ---", self.work.log().display());
            eprintln!("{}", self.work.tail(TAIL_LINES));
            eprintln!("---");
        }
        Finished {
            name: self.name,
            began: self.began,
            took,
            waited_for: self.waited_for,
            result,
        }
    }
}

fn not_run(name: &'static str, result: Result<Report>) -> Finished {
    say_end(name, Duration::ZERO, &result);
    Finished {
        name,
        began: Duration::ZERO,
        took: Duration::ZERO,
        waited_for: None,
        result,
    }
}

/// True if the end was a bad one.
fn say_end(name: &str, took: Duration, result: &Result<Report>) -> bool {
    let (bad, note) = match result {
        Ok(report) => (report.failed > 0, report.note.clone()),
        Err(why) => (true, format!("{why:#}")),
    };
    let word = if bad { "FAILED" } else { "done  " };
    say(&format!("{word} {name} ({:.1} s)", took.as_secs_f32()));
    for line in note.lines() {
        eprintln!("             {line}");
    }
    bad
}

/// Prints a line of progress with the seconds since the command began.
pub fn say(line: &str) {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let seconds = BEGUN.get_or_init(Instant::now).elapsed().as_secs_f32();
    eprintln!("[{seconds:>7.1} s] {line}");
}

/// An error if a step of a finished plan failed, naming each.
pub fn all_good(finished: &[Finished]) -> Result<()> {
    let bad: Vec<&str> = finished
        .iter()
        .filter(|step| !step.is_good())
        .map(|step| step.name)
        .collect();
    if !bad.is_empty() {
        bail!("failed: {}", bad.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Runs a plan of steps, each a name, its needs and whether it succeeds; gives the order in
    /// which they ran and the names of those that were good.
    fn run(
        steps: &[(&'static str, &[&'static str], bool)],
    ) -> (Vec<&'static str>, Vec<&'static str>) {
        let ran = Mutex::new(Vec::new());
        let mut plan = Plan::default();
        for &(name, needs, succeeds) in steps {
            let ran = &ran;
            let job = move |_: &Work| {
                ran.lock().expect("no test thread panics").push(name);
                if succeeds {
                    Report::done()
                } else {
                    bail!("as asked")
                }
            };
            plan.push(Step::new(name, Lane::Processor, job).after(needs));
        }
        let logs = std::env::temp_dir().join(format!("xtask-steps-{}", std::process::id()));
        let good = plan
            .run(&logs)
            .iter()
            .filter(|step| step.is_good())
            .map(|step| step.name)
            .collect();
        (ran.into_inner().expect("no test thread panics"), good)
    }

    #[test]
    fn a_step_waits_for_what_it_needs_wherever_that_is_declared() {
        let (ran, _) = run(&[
            ("last", &["middle"], true),
            ("middle", &["first"], true),
            ("first", &[], true),
        ]);
        assert_eq!(ran, ["first", "middle", "last"]);
    }

    #[test]
    fn what_needs_a_failed_step_does_not_run_and_the_rest_does() {
        let (ran, good) = run(&[
            ("bad", &[], false),
            ("after", &["bad"], true),
            ("later", &["after"], true),
            ("other", &[], true),
        ]);
        assert_eq!(ran, ["bad", "other"]);
        assert_eq!(good, ["other"]);
    }

    #[test]
    fn a_step_names_what_it_waited_for_be_it_a_need_or_its_lane() {
        let mut plan = Plan::default();
        let done = |_: &Work| Report::done();
        plan.push(Step::new("first", Lane::Processor, done));
        plan.push(Step::new("lane", Lane::Processor, done));
        plan.push(Step::new("need", Lane::Network, done).after(&["lane"]));
        let logs = std::env::temp_dir().join(format!("xtask-waits-{}", std::process::id()));
        let waits: Vec<_> = plan.run(&logs).iter().map(|step| step.waited_for).collect();
        assert_eq!(waits, [None, Some("first"), Some("lane")]);
    }

    #[test]
    fn a_need_that_the_plan_does_not_have_is_taken_as_done() {
        let (ran, _) = run(&[("only", &["long ago"], true)]);
        assert_eq!(ran, ["only"]);
    }

    #[test]
    fn keeping_a_step_keeps_all_that_it_needs() {
        let mut plan = Plan::default();
        for (name, needs) in [
            ("a", vec!["b"]),
            ("b", vec!["c"]),
            ("c", vec![]),
            ("d", vec!["c"]),
        ] {
            plan.push(Step::new(name, Lane::Network, |_| Report::done()).after(&needs));
        }
        plan.keep(&["a"]);
        let names: Vec<_> = plan.steps.iter().map(|step| step.name).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn what_only_a_person_can_install_is_said_before_anything_runs() {
        let mut plan = Plan::default();
        plan.push(
            Step::new("engine", Lane::Network, |_| Report::done())
                .installs([Missing::by_hand("Docker", "sudo apt-get install docker.io")]),
        );
        let said = plan.announce().map_err(|why| why.to_string());
        assert!(said.is_err_and(|why| why.contains("sudo apt-get install docker.io")));
    }
}
