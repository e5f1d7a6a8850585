//! What this host counts and times, in the form that Prometheus reads. `docs/operations.md` has the
//! table of names.
//!
//! Names follow Prometheus' conventions: the unit at the end, `_total` behind what only grows,
//! seconds and not milliseconds. Labels are few and of few values, the language and the verdict, so
//! that a host has some hundreds of series at most, whatever jobs do.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use codecrafter_shared::job::{Job, ReportsTaken, Stage, Verdict};
use codecrafter_shared::language;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::clock;
use crate::queue::Depth;
use crate::sandbox::FaultScope;

/// More languages than this of an operator's own have no series each.
const OWN_MAX: usize = 64;

const PREFIX: &str = "codecrafter_executor";

/// Seconds: from what a warm container takes to what the longest program may.
const WORK: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 40.0,
];
/// Seconds: from a free host to the hour after which a job is given up.
const WAIT: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfJob {
    language: String,
    verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLanguage {
    language: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfScope {
    scope: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

type Times = Family<OfLanguage, Histogram, fn() -> Histogram>;

/// The counters of one process. Clones are the same counters.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    jobs: Family<OfJob, Counter>,
    given_back: Counter,
    wait: Histogram,
    dispatch: Times,
    compile: Times,
    run: Times,
    publish: Histogram,
    slots: Gauge,
    slots_in_use: Gauge,
    containers_ready: Family<OfLanguage, Gauge>,
    languages: Family<OfLanguage, Gauge>,
    faults: Family<OfScope, Counter>,
    leases: Counter,
    posted: Counter,
    duplicates: Counter,
    refused: Counter,
    queue_jobs: Family<OfState, Gauge>,
    queue_results: Gauge,
    dead_letters: Gauge,
    queue_counted: Gauge,
    ready: Gauge,
    /// What an operator's own table has beside the known languages.
    own: Mutex<BTreeSet<String>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let times = || Times::new_with_constructor(|| Histogram::new(WORK));
        let mut registry = Registry::with_prefix(PREFIX);
        let version = [("version", env!("CARGO_PKG_VERSION"))].to_vec();
        registry.register("build", "The version of executor-host", Info::new(version));
        let mut shared = Shared {
            jobs: Family::default(),
            given_back: Counter::default(),
            wait: Histogram::new(WAIT),
            dispatch: times(),
            compile: times(),
            run: times(),
            publish: Histogram::new(WORK),
            slots: Gauge::default(),
            slots_in_use: Gauge::default(),
            containers_ready: Family::default(),
            languages: Family::default(),
            faults: Family::default(),
            leases: Counter::default(),
            posted: Counter::default(),
            duplicates: Counter::default(),
            refused: Counter::default(),
            queue_jobs: Family::default(),
            queue_results: Gauge::default(),
            dead_letters: Gauge::default(),
            queue_counted: Gauge::default(),
            ready: Gauge::default(),
            own: Mutex::default(),
            registry,
        };
        shared.register();
        // What never happened is told as 0, so that its first time is seen as a change.
        for scope in [FaultScope::Engine, FaultScope::Language] {
            drop(shared.faults.get_or_create(&of_scope(scope)));
        }
        let shared = Arc::new(shared);
        Self { shared }
    }
}

impl Shared {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("jobs", "Jobs that came to a result", self.jobs.clone());
        registry.register(
            "jobs_given_back",
            "Jobs that were given back to the queue",
            self.given_back.clone(),
        );
        for (name, help, times) in [
            (
                "queue_wait",
                "From the request for an execution until this host took its job",
                &self.wait,
            ),
            (
                "publish",
                "From the end of a job until its result is kept",
                &self.publish,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, times.clone());
        }
        for (name, help, times) in [
            (
                "dispatch",
                "From taking a job until its container works on it",
                &self.dispatch,
            ),
            ("compile", "Compiling", &self.compile),
            ("run", "All runs of a program", &self.run),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, times.clone());
        }
        registry.register("slots", "Jobs that can run at a time", self.slots.clone());
        registry.register(
            "slots_in_use",
            "Slots that a job is in",
            self.slots_in_use.clone(),
        );
        registry.register(
            "containers_ready",
            "Containers that wait for a job",
            self.containers_ready.clone(),
        );
        registry.register(
            "language_offered",
            "1 for each language that can be run",
            self.languages.clone(),
        );
        registry.register(
            "host_faults",
            "Jobs that failed for the host's reason, by what else that concerns",
            self.faults.clone(),
        );
        registry.register(
            "leases",
            "Jobs that the edge handed out",
            self.leases.clone(),
        );
        registry.register(
            "reports_posted",
            "Reports that the edge has answered",
            self.posted.clone(),
        );
        registry.register(
            "reports_duplicate",
            "Results of which the edge had another already",
            self.duplicates.clone(),
        );
        registry.register(
            "reports_refused",
            "Reports that the edge has refused",
            self.refused.clone(),
        );
        registry.register(
            "queue_jobs",
            "Jobs in the queue, as far as this host can know",
            self.queue_jobs.clone(),
        );
        registry.register(
            "queue_results",
            "Results that the edge has not taken yet",
            self.queue_results.clone(),
        );
        registry.register(
            "dead_letters",
            "Messages that were put aside for an operator",
            self.dead_letters.clone(),
        );
        registry.register(
            "queue_counted",
            "1 if the queue could be counted just now",
            self.queue_counted.clone(),
        );
        registry.register("ready", "1 while /ready answers 200", self.ready.clone());
    }
}

const fn of_scope(scope: FaultScope) -> OfScope {
    let scope = match scope {
        FaultScope::Engine => "engine",
        FaultScope::Language => "language",
    };
    OfScope { scope }
}

impl Metrics {
    /// A language as a label; all that nobody knows are one.
    fn label(&self, id: &str) -> OfLanguage {
        let is_known = language::known(id).is_some() || self.own().contains(id);
        let language = if is_known { id } else { "other" };
        OfLanguage {
            language: language.to_owned(),
        }
    }

    fn own(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.shared
            .own
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything, in the text format of OpenMetrics 1.0, which Prometheus reads as its own.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut text, &self.shared.registry);
        text
    }

    /// This host can run so many jobs at a time.
    pub fn slots(&self, slots: u32) {
        self.shared.slots.set(slots.into());
    }

    /// A job is in a slot, until what this returns is dropped.
    #[must_use]
    pub fn slot_in_use(&self) -> SlotInUse {
        self.shared.slots_in_use.inc();
        SlotInUse(self.clone())
    }

    /// The job was taken, for the first time.
    pub fn taken(&self, job: &Job) {
        // By two clocks, the edge's and this host's: no less than nothing.
        let Some(asked) = job.execution_id.made_at() else {
            return;
        };
        let waited = clock::now().since(asked).max(0);
        self.shared.wait.observe(waited as f64 / 1000.0);
    }

    /// The sandbox is given the job now.
    #[must_use]
    pub fn attempt(&self, job: &Job) -> Stopwatch {
        Stopwatch {
            metrics: self.clone(),
            language: self.label(&job.language),
            stage: None,
            since: Instant::now(),
        }
    }

    /// The job came to this result.
    pub fn ended(&self, job: &Job, verdict: Verdict) {
        let OfLanguage { language } = self.label(&job.language);
        let verdict = verdict.as_str();
        self.shared
            .jobs
            .get_or_create(&OfJob { language, verdict })
            .inc();
    }

    /// The result is kept, so long after it was known.
    pub fn published(&self, after: Duration) {
        self.shared.publish.observe(after.as_secs_f64());
    }

    /// A job was given back.
    pub fn given_back(&self) {
        self.shared.given_back.inc();
    }

    /// The host failed a job.
    pub fn fault(&self, scope: FaultScope) {
        self.shared.faults.get_or_create(&of_scope(scope)).inc();
    }

    /// So many jobs of the edge are in the queue now.
    pub fn leased(&self, jobs: usize) {
        self.shared.leases.inc_by(jobs as u64);
    }

    /// The edge has answered so many reports.
    pub fn posted(&self, reports: usize, taken: &ReportsTaken) {
        self.shared.posted.inc_by(reports as u64);
        self.shared.duplicates.inc_by(taken.duplicates.into());
        self.shared.refused.inc_by(taken.refused.into());
    }

    /// What can be run at the moment.
    pub fn offered<'a>(&self, languages: impl Iterator<Item = &'a str>) {
        let offered = &self.shared.languages;
        offered.clear();
        for language in languages {
            let mut own = self.own();
            if language::known(language).is_none() && own.len() < OWN_MAX {
                own.insert(language.to_owned());
            }
            drop(own);
            offered.get_or_create(&self.label(language)).set(1);
            self.may_give_up(language);
        }
    }

    /// Jobs in this language may end because of hosts. Told as 0 until one does, because Prometheus
    /// takes what begins with 1 for no change, and nobody would be alerted.
    pub fn may_give_up(&self, language: &str) {
        let OfLanguage { language } = self.label(language);
        let verdict = Verdict::InternalError.as_str();
        let jobs = &self.shared.jobs;
        drop(jobs.get_or_create(&OfJob { language, verdict }));
    }

    /// How many containers wait, of each language that has any.
    pub fn containers_ready(&self, ready: &[(String, usize)]) {
        let gauge = &self.shared.containers_ready;
        gauge.clear();
        for (language, count) in ready {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            gauge.get_or_create(&self.label(language)).inc_by(count);
        }
    }

    /// What is in the queue. While it cannot be counted, what was counted last stays, and it is told
    /// that it is old.
    pub fn queue(&self, depth: Option<Depth>) {
        let shared = &self.shared;
        shared.queue_counted.set(depth.is_some().into());
        let Some(depth) = depth else { return };
        for (state, jobs) in [("ready", depth.ready), ("running", depth.running)] {
            let gauge = shared.queue_jobs.get_or_create(&OfState { state });
            gauge.set(jobs.into());
        }
        shared.queue_results.set(depth.results.into());
        shared.dead_letters.set(depth.parked.into());
    }

    /// Whether jobs can be taken and brought to their end.
    pub fn ready(&self, is_ready: bool) {
        self.shared.ready.set(is_ready.into());
    }
}

/// A slot that a job is in.
pub struct SlotInUse(Metrics);

impl Drop for SlotInUse {
    fn drop(&mut self) {
        self.0.shared.slots_in_use.dec();
    }
}

/// Times the stages of one attempt.
pub struct Stopwatch {
    metrics: Metrics,
    language: OfLanguage,
    /// `None` until there is a container.
    stage: Option<Stage>,
    since: Instant,
}

impl Stopwatch {
    /// A stage begins, and with it the one before ends.
    pub fn stage(&mut self, stage: Stage) {
        self.lap();
        (self.stage, self.since) = (Some(stage), Instant::now());
    }

    /// The attempt has come to its end. One that never had a container counts for nothing.
    pub fn ended(self) {
        if self.stage.is_some() {
            self.lap();
        }
    }

    fn lap(&self) {
        let times = match self.stage {
            None => &self.metrics.shared.dispatch,
            Some(Stage::Compile) => &self.metrics.shared.compile,
            Some(Stage::Run) => &self.metrics.shared.run,
        };
        let seconds = self.since.elapsed().as_secs_f64();
        times.get_or_create(&self.language).observe(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::contract::job;

    #[test]
    fn what_nobody_knows_makes_no_series_of_its_own() {
        let metrics = Metrics::default();
        metrics.offered(["python", "forth"].into_iter());
        for language in ["cobol", "x\" 1\n", "python", "forth"] {
            let language = language.into();
            let job = Job { language, ..job(1) };
            metrics.ended(&job, Verdict::Accepted);
        }
        let text = metrics.text();
        let counted = |language: &str| {
            format!(
                "codecrafter_executor_jobs_total{{language=\"{language}\",verdict=\"accepted\"}}"
            )
        };
        assert!(
            text.contains(&format!("{} 2\n", counted("other"))),
            "{text}"
        );
        for language in ["python", "forth"] {
            let counted = counted(language);
            assert!(text.contains(&format!("{counted} 1\n")), "{text}");
        }
        assert!(!text.contains("cobol"), "{text}");
    }

    #[test]
    fn a_queue_that_cannot_be_counted_is_not_told_as_empty() {
        let metrics = Metrics::default();
        let says = |name: &str, value: u32| {
            let line = format!("codecrafter_executor_{name} {value}\n");
            assert!(metrics.text().contains(&line), "{line}: {}", metrics.text());
        };
        metrics.queue(Some(Depth {
            parked: 2,
            ..Depth::default()
        }));
        says("dead_letters", 2);
        says("queue_counted", 1);
        metrics.queue(None);
        says("dead_letters", 2);
        says("queue_counted", 0);
    }

    #[test]
    fn an_attempt_that_had_no_container_is_not_timed() {
        let metrics = Metrics::default();
        metrics.attempt(&job(1)).ended();
        assert!(!metrics.text().contains("dispatch_seconds_count"));
        let mut attempt = metrics.attempt(&job(1));
        attempt.stage(Stage::Compile);
        attempt.stage(Stage::Run);
        attempt.ended();
        let text = metrics.text();
        for stage in ["dispatch", "compile", "run"] {
            let line = format!("codecrafter_executor_{stage}_seconds_count{{language=");
            let mut lines = text.lines().filter(|found| found.starts_with(&line));
            assert!(lines.next().unwrap().ends_with(" 1"), "{text}");
        }
    }
}
