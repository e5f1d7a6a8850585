//! The exam bell: a class hands in within a minute what each has written, while others go on
//! working, and all wait in one queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use codecrafter_shared::job::Job;
use executor_host::docker::harden::Isolation;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::docker::Engine;
use crate::meter::Noise;
use crate::ours::{Ours, Run, Setup};
use crate::programs::{Languages, Program};
use crate::report::{Samples, Table, short};

const SUBMISSIONS: usize = 500;
const WINDOW: Duration = Duration::from_secs(60);

/// Of a hundred submissions so many are equal to an earlier one.
const EQUAL_PERCENT: u64 = 20;

/// How often somebody runs something meanwhile.
const INTERACTIVE_EVERY: Duration = Duration::from_secs(2);

/// Of a hundred submissions so many are in this language, which are these programs.
const MIX: [(u64, &str, &str); 3] = [
    (
        70,
        "python",
        "numbers = [7, 3, 9, 1]\nfor number in sorted(numbers):\n    print(number)\nprint(sum(numbers))\n",
    ),
    (
        20,
        "cpp",
        "#include <algorithm>\n#include <iostream>\n#include <vector>\n\nint main() {\n    std::vector<int> numbers{7, 3, 9, 1};\n    std::sort(numbers.begin(), numbers.end());\n    for (int number : numbers) std::cout << number << '\\n';\n}\n",
    ),
    (
        10,
        "java",
        "import java.util.Arrays;\n\npublic class Main {\n    public static void main(String[] args) {\n        int[] numbers = {7, 3, 9, 1};\n        Arrays.sort(numbers);\n        for (int number : numbers) System.out.println(number);\n    }\n}\n",
    ),
];

/// Lets the bell ring in both modes and prints what came of it.
pub async fn table(engine: &Engine, languages: &Languages, each: Duration) -> Result<()> {
    let noise = Noise::begin();
    let window = WINDOW.min(6 * each);
    let share = window.as_secs_f64() / WINDOW.as_secs_f64();
    let submissions = submissions(languages, (SUBMISSIONS as f64 * share) as usize, window)?;
    let slots = std::thread::available_parallelism().map_or(1, usize::from);
    println!("### The exam bell\n");
    println!(
        "{} submissions within {} s, {slots} at a time, first come, first served, through the \
         whole host.\n",
        submissions.len(),
        window.as_secs()
    );
    let table = Table::new(&[
        "isolation",
        "last verdict after s",
        "wait of a submission, p50 s",
        "p95 s",
        "interactive runs",
        "until the result, p50 s",
        "p95 s",
    ]);
    for (name, isolation) in [("fresh", Isolation::Fresh), ("reuse", Isolation::Reuse)] {
        let rows = MIX
            .iter()
            .map(|(_, id, _)| Ok(languages.program(id, "")?.row));
        let rows = rows.collect::<Result<_>>()?;
        let host = Ours::start(engine, Setup::new(name, rows, isolation)).await?;
        host.ready().await?;
        let host = Arc::new(host);
        let rung = ring(&host, &submissions, languages.hi()?).await?;
        Arc::into_inner(host)
            .ok_or("the host is still used")?
            .close()
            .await?;
        let seconds = |samples: &Samples, percent| short(samples.percentile(percent) / 1e3);
        table.row(&[
            format!("`{name}`"),
            short(rung.last.as_secs_f64()),
            seconds(&rung.waits, 50),
            seconds(&rung.waits, 95),
            rung.interactive.len().to_string(),
            seconds(&rung.interactive, 50),
            seconds(&rung.interactive, 95),
        ]);
    }
    println!("\n{}.\n", noise.end());
    Ok(())
}

/// What came of it.
struct Rung {
    /// From the bell on.
    last: Duration,
    /// Of each submission, until it is run.
    waits: Samples,
    /// Of each interactive run, until its result.
    interactive: Samples,
}

async fn ring(host: &Arc<Ours>, submissions: &[Submission], hi: Program) -> Result<Rung> {
    let (bell, over) = (Instant::now(), CancellationToken::new());
    let others = tokio::spawn(interactive(Arc::clone(host), hi, over.clone()));
    let mut running = JoinSet::new();
    for submission in submissions {
        let at = bell + submission.after;
        let (host, job) = (Arc::clone(host), submission.job());
        running.spawn(async move {
            tokio::time::sleep_until(at.into()).await;
            host.run(&job).await
        });
    }
    let mut waits = Samples::default();
    while let Some(run) = running.join_next().await {
        waits.push(run??.queue);
    }
    let last = bell.elapsed();
    over.cancel();
    let interactive = others.await??;
    Ok(Rung {
        last,
        waits,
        interactive,
    })
}

/// Somebody who runs something now and then, whether the run before has ended or not.
async fn interactive(
    host: Arc<Ours>,
    program: Program,
    over: CancellationToken,
) -> Result<Samples> {
    let mut runs = JoinSet::<Result<Run>>::new();
    let mut ticks = tokio::time::interval(INTERACTIVE_EVERY);
    while over.run_until_cancelled(ticks.tick()).await.is_some() {
        let (host, job) = (Arc::clone(&host), program.job());
        runs.spawn(async move { host.run(&job).await });
    }
    let mut samples = Samples::default();
    while let Some(run) = runs.join_next().await {
        samples.push(run??.total);
    }
    Ok(samples)
}

/// What somebody hands in.
struct Submission {
    /// So long after the bell.
    after: Duration,
    program: Program,
}

impl Submission {
    fn job(&self) -> Job {
        self.program.job()
    }
}

/// The same in every run of the benchmark. Each is as likely to come at one moment as at another.
fn submissions(languages: &Languages, count: usize, window: Duration) -> Result<Vec<Submission>> {
    let mut chance = Chance(2026);
    let mut afters: Vec<_> = (0..count)
        .map(|_| window.mul_f64(chance.below(1 << 20) as f64 / f64::from(1 << 20)))
        .collect();
    afters.sort_unstable();
    let mut all = Vec::<Submission>::with_capacity(count);
    for (number, after) in afters.into_iter().enumerate() {
        let earlier = all.get(chance.below(number.max(1) as u64) as usize);
        let program = match earlier {
            Some(earlier) if chance.below(100) < EQUAL_PERCENT => earlier.program.clone(),
            _ => someones(languages, number, chance.below(100))?,
        };
        all.push(Submission { after, program });
    }
    Ok(all)
}

fn someones(languages: &Languages, number: usize, mut percent: u64) -> Result<Program> {
    for (share, id, code) in MIX {
        if percent < share {
            let comment = if id == "python" { "#" } else { "//" };
            let code = format!("{comment} by number {number}\n{code}");
            return languages.program(id, code);
        }
        percent -= share;
    }
    Err("the shares of the mix are not a whole".into())
}

/// Numbers as if by chance (Steele and others' SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
