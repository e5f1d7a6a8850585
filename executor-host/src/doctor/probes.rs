//! Programs that try the walls out, each in a container of its own, through the same sandbox as
//! jobs. They are written for `/bin/sh`, so that one image of any language will do.

use std::fs;
use std::time::{Duration, Instant};

use codecrafter_shared::job::{Outcome, RunLimits, RunOutcome, RunSpec, Stream, Verdict};
use codecrafter_shared::language::LanguageRow;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::facts::{Ended, Image, Inside, Killed, Probed, Ran};
use super::rules::KILL_MAX;
use crate::docker::{DockerSandbox, DockerSettings};
use crate::one_run;
use crate::sandbox::{HostFault, Progress, Sandbox};

/// CPU time of the program that computes for ever, in milliseconds.
pub(super) const CPU_MS: u32 = 500;

/// Memory of every probe, before the language's floor.
const MEMORY_BYTES: u64 = 64 << 20;
/// A probe that has not ended by then has broken through its limits.
const PROBE_MAX: Duration = Duration::from_secs(60);
/// Time for a process that was killed to leave the machine's process table.
const GONE_MAX: Duration = Duration::from_secs(10);
/// Time for one that was started to be seen there, where its process can be seen at all.
const SEEN_MAX: Duration = Duration::from_secs(2);
const GONE_EVERY: Duration = Duration::from_millis(20);
/// How often it is tried to kill a program in time.
const KILL_TRIES: u32 = 3;

/// Doubles a text until it does not fit any more.
const TAKE_MEMORY: &str = "text=0123456789abcdef\nwhile :; do text=$text$text; done\n";
const COMPUTE: &str = "while :; do :; done\n";
/// Says that it is there, and then does nothing for longer than anybody waits.
const SLEEP: &str = "echo asleep\nexec sleep ";
/// By what a shell can do itself, because an image may hold no more.
const LOOK_AROUND: &str = "
show() { while read -r line; do echo \"$1 $line\"; done < \"$2\"; }
show route /proc/net/route
[ -r /proc/net/ipv6_route ] && show route6 /proc/net/ipv6_route
show mount /proc/mounts
for place in / /etc /usr /var /dev /proc /sys /sys/fs/cgroup; do
    (: > \"$place/codecrafter-probe\") 2>/dev/null && echo \"written $place\"
done
exit 0
";

/// Asks every image for its version, then runs the probes in one of them. What `stop` cuts off is
/// missing.
pub(super) async fn all(
    settings: DockerSettings,
    images: &[Image],
    stop: &CancellationToken,
) -> Probed {
    let mut probed = Probed {
        languages: Err("stopped".into()),
        image: None,
        memory: None,
        cpu: None,
        kill: None,
        inside: None,
    };
    let is_here = |row: &&LanguageRow| {
        let mut images = images.iter();
        images.any(|image| image.language == row.id && image.is_here == Ok(true))
    };
    let here: Vec<_> = settings.languages.iter().filter(is_here).cloned().collect();
    if here.is_empty() {
        return probed;
    }
    let asking = DockerSettings {
        languages: here.clone(),
        instance: format!("{}-images", settings.instance),
        ..settings.clone()
    };
    probed.languages = with(asking, async |sandbox| {
        let answered = stop.run_until_cancelled(sandbox.all_languages()).await;
        let answered = answered.ok_or_else(|| "stopped".to_owned())?;
        let answered = answered.map_err(|fault| fault.to_string())?;
        Ok(answered.into_iter().map(|language| language.id).collect())
    })
    .await;

    let Ok(working) = &probed.languages else {
        return probed;
    };
    let working = here.iter().filter(|row| working.contains(&row.id));
    // The less memory a language needs, the sooner the probe of it is over.
    let Some(row) = working.min_by_key(|row| row.memory_floor_bytes) else {
        return probed;
    };
    probed.image = Some(row.image.clone());
    let row = shell(row);
    let settings = DockerSettings {
        languages: vec![row.clone()],
        ..settings
    };
    let run = with(settings, async |sandbox| {
        let probe = Probe {
            sandbox,
            row: &row,
            stop,
        };
        probed.memory = probe
            .limited(TAKE_MEMORY, RunLimits::default().cpu_ms)
            .await;
        probed.cpu = probe.limited(COMPUTE, CPU_MS).await;
        probed.kill = probe.killed_at_best().await;
        probed.inside = probe.inside().await;
        Ok(())
    });
    if let Err(why) = run.await {
        probed.memory = Some(Err(why.clone()));
        probed.cpu = Some(Err(why));
    }
    probed
}

/// A language whose programs are scripts of the image's shell.
fn shell(row: &LanguageRow) -> LanguageRow {
    let script = "probe.sh";
    LanguageRow {
        main_file: script.into(),
        compile: None,
        run: ["/bin/sh", script].map(str::to_owned).to_vec(),
        env: Default::default(),
        files: Default::default(),
        sources: Vec::new(),
        out_of_memory: Vec::new(),
        ..row.clone()
    }
}

/// Does `work` with a sandbox of its own, of which nothing is left after it.
async fn with<T>(
    settings: DockerSettings,
    work: impl AsyncFnOnce(&DockerSandbox) -> Result<T, String>,
) -> Result<T, String> {
    let sandbox = DockerSandbox::connect(settings).await;
    let sandbox = sandbox.map_err(|fault| fault.to_string())?;
    let done = work(&sandbox).await;
    sandbox.close().await;
    let _ = sandbox.sweep().await;
    done
}

struct Probe<'a> {
    sandbox: &'a DockerSandbox,
    row: &'a LanguageRow,
    stop: &'a CancellationToken,
}

impl Probe<'_> {
    async fn run(
        &self,
        script: &str,
        cpu_ms: u32,
        progress: mpsc::Sender<Progress>,
        cancel: CancellationToken,
    ) -> Result<Outcome, String> {
        let limits = RunLimits {
            cpu_ms,
            memory_bytes: MEMORY_BYTES,
            ..RunLimits::default()
        };
        let job = one_run::job(&self.row.id, script.to_owned(), RunSpec::default(), limits);
        let ended = timeout(PROBE_MAX, self.sandbox.run(&job, progress, cancel)).await;
        let ended = ended.map_err(|_| format!("it did not end within {PROBE_MAX:?}"))?;
        ended.map_err(|fault: HostFault| fault.to_string())
    }

    /// How a program ends that keeps to no limit; `None` if nobody waits for that any more.
    async fn limited(&self, script: &str, cpu_ms: u32) -> Option<Ran> {
        let (progress, _) = mpsc::channel(1);
        let cancel = self.stop.child_token();
        let ended = self.run(script, cpu_ms, progress, cancel).await;
        let ended = ended.and_then(|outcome| only_run(&outcome).map(ended_of));
        (!self.stop.is_cancelled()).then_some(ended)
    }

    /// [`Self::killed`], again if it was late and nothing worse: this machine may have had something
    /// else to do just then, and an engine that is slow is so each time.
    async fn killed_at_best(&self) -> Option<Result<Killed, String>> {
        let mut killed = self.killed().await?;
        for _ in 1..KILL_TRIES {
            let is_late = killed
                .as_ref()
                .is_ok_and(|killed| killed.after > KILL_MAX && killed.survived != Some(true));
            if !is_late {
                break;
            }
            killed = self.killed().await?;
        }
        Some(killed)
    }

    /// How long a program lives after it was cancelled.
    async fn killed(&self) -> Option<Result<Killed, String>> {
        // So that its process can be told from any other on this machine.
        let seconds = format!("{}.{}", 3_600, std::process::id());
        let (progress, mut told) = mpsc::channel(16);
        let cancel = self.stop.child_token();
        let asleep = async {
            while let Some(message) = told.recv().await {
                if matches!(message, Progress::Output(Stream::Stdout, _)) {
                    break;
                }
            }
            // The shell says so just before it becomes the sleeper.
            let seen = waited(|| is_running(&seconds), true, SEEN_MAX).await;
            cancel.cancel();
            (Instant::now(), seen)
        };
        let script = format!("{SLEEP}{seconds}\n");
        let cpu_ms = RunLimits::default().cpu_ms;
        let run = self.run(&script, cpu_ms, progress, cancel.clone());
        let run = async { (run.await, Instant::now()) };
        let ((ended, at), (cancelled, seen)) = tokio::join!(run, asleep);
        if self.stop.is_cancelled() {
            return None;
        }
        let survived = match seen {
            true => Some(!waited(|| is_running(&seconds), false, GONE_MAX).await),
            false => None,
        };
        Some(ended.map(|outcome| Killed {
            verdict: outcome.verdict,
            after: at.saturating_duration_since(cancelled),
            survived,
        }))
    }

    /// What a program sees.
    async fn inside(&self) -> Option<Result<Inside, String>> {
        let (progress, _) = mpsc::channel(1);
        let cancel = self.stop.child_token();
        let cpu_ms = RunLimits::default().cpu_ms;
        let ended = self.run(LOOK_AROUND, cpu_ms, progress, cancel).await;
        let seen = ended.and_then(|outcome| {
            let run = only_run(&outcome)?;
            match run.verdict {
                Verdict::Accepted => inside(&run.stdout.data),
                other => Err(format!("{}: {}", other.as_str(), run.stderr.data.trim())),
            }
        });
        (!self.stop.is_cancelled()).then_some(seen)
    }
}

/// Whether `is_so` comes to be `wanted` within `most`.
async fn waited(is_so: impl Fn() -> bool, wanted: bool, most: Duration) -> bool {
    let began = Instant::now();
    while is_so() != wanted {
        if began.elapsed() > most {
            return false;
        }
        sleep(GONE_EVERY).await;
    }
    true
}

fn only_run(outcome: &Outcome) -> Result<&RunOutcome, String> {
    let message = || outcome.message.clone().unwrap_or_default();
    let run = outcome.runs.first();
    run.ok_or_else(|| format!("{}: {}", outcome.verdict.as_str(), message()))
}

fn ended_of(run: &RunOutcome) -> Ended {
    Ended {
        verdict: run.verdict,
        cpu_ms: run.usage.cpu_ms,
        wall_ms: run.usage.wall_ms,
        source: run.usage.source,
    }
}

/// Whether a process on this machine, in whatever container, was started with this argument.
fn is_running(argument: &str) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| {
        line.split(|byte| *byte == 0)
            .any(|part| part == argument.as_bytes())
    })
}

/// Reads what [`LOOK_AROUND`] has written.
fn inside(shown: &str) -> Result<Inside, String> {
    let lines = |word: &'static str| {
        let lines = shown.lines().filter_map(|line| line.split_once(' '));
        lines.filter_map(move |(first, rest)| (first == word).then_some(rest.trim()))
    };
    let mut mounts = lines("mount").map(|line| line.split(' ').collect::<Vec<_>>());
    let root = mounts.find(|mount| mount.get(1) == Some(&"/"));
    let root = root.and_then(|mount| mount.get(3).copied());
    // Below a line of headings: interface and target first.
    let routes = lines("route").skip(1).filter_map(|line| {
        let mut parts = line.split_whitespace();
        Some(format!(
            "{} by {}",
            parts.nth(1)?,
            line.split_whitespace().next()?
        ))
    });
    let beyond = lines("route6").filter_map(|line| {
        let mut parts = line.split_whitespace();
        let (target, interface) = (parts.next()?, parts.last()?);
        (interface != "lo").then(|| format!("{target} by {interface}"))
    });
    Ok(Inside {
        root: root
            .ok_or("it does not see how its root is mounted")?
            .to_owned(),
        routes: routes.chain(beyond).collect(),
        written: lines("written").map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_mounts_and_files_are_read_from_what_a_program_shows() {
        let closed = "route Iface Destination Gateway\n\
                      route6 fe80 40 00 00 0000 ffffffff 00000001 00000000 00200200 lo\n\
                      mount overlay / overlay ro,relatime,lowerdir=x 0 0\n\
                      mount tmpfs /tmp tmpfs rw,nosuid 0 0\n";
        let sealed = inside(closed).unwrap();
        assert_eq!(sealed.root, "ro,relatime,lowerdir=x");
        assert!(
            sealed.routes.is_empty() && sealed.written.is_empty(),
            "{sealed:?}"
        );
        let open =
            format!("{closed}route eth0 00000000 0100A8C0\nroute6 fe80 40 00 eth0\nwritten /etc\n");
        let open = inside(&open).unwrap();
        assert_eq!(open.routes, ["00000000 by eth0", "fe80 by eth0"]);
        assert_eq!(open.written, ["/etc"]);
        assert!(inside("").is_err());
    }
}
