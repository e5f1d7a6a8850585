//! Images, and what containers did.

use std::time::Duration;

use codecrafter_shared::job::{UsageSource, Verdict};

use crate::doctor::facts::{Ended, Image, Inside, Killed, Probed, Ran};
use crate::doctor::probes::CPU_MS;
use crate::doctor::{Check, Finding};

/// A program that is still there so long after it was cancelled has got away.
pub const KILL_MAX: Duration = Duration::from_secs(1);
/// How much more CPU time than allowed a program may get until it is ended, in milliseconds.
const CPU_SLACK_MS: u64 = 1_000;

/// `working` are the languages whose images answered, if they were asked.
pub fn images(images: &[Image], working: Option<&Result<Vec<String>, String>>) -> Vec<Check> {
    let mut checks = vec![Check::new("images", "images", here(images))];
    let any_here = images.iter().any(|image| image.is_here == Ok(true));
    if let Some(working) = working.filter(|_| any_here) {
        checks.push(Check::new(
            "languages",
            "languages",
            answering(images, working),
        ));
    }
    checks
}

fn here(images: &[Image]) -> Finding {
    let mend = "build them in a clone by `cargo xtask images` and carry them over (docs/executor.md, \
                Languages)";
    if let Some((image, why)) = images
        .iter()
        .find_map(|image| Some((&image.name, image.is_here.as_ref().err()?)))
    {
        return Finding::broken(
            format!("{image} cannot be looked up: {why}"),
            "see what the engine logs: `journalctl -u docker`",
        );
    }
    let missing: Vec<_> = images
        .iter()
        .filter(|image| image.is_here == Ok(false))
        .map(|image| image.name.as_str())
        .collect();
    if missing.is_empty() {
        return Finding::ok(format!("all {} are here", images.len()));
    }
    if missing.len() == images.len() {
        return Finding::broken("there is none: nothing can be run", mend);
    }
    Finding::weak(format!("not here: {}", missing.join(", ")), mend)
}

fn answering(images: &[Image], working: &Result<Vec<String>, String>) -> Finding {
    let working = match working {
        Ok(working) => working,
        Err(why) => {
            return Finding::broken(
                format!("no container can be started: {why}"),
                "see what the engine logs: `journalctl -u docker`",
            );
        }
    };
    let dumb: Vec<_> = images
        .iter()
        .filter(|image| image.is_here == Ok(true) && !working.contains(&image.language))
        .map(|image| format!("{} ({})", image.language, image.name))
        .collect();
    if dumb.is_empty() {
        return Finding::ok(working.join(" "));
    }
    Finding::broken(
        format!("these images do not work: {}", dumb.join(", ")),
        "the lines above say why; build them anew by `cargo xtask images`",
    )
}

/// What the programs of the probes did. Nothing if none could be run.
pub fn probes(probed: &Probed) -> Vec<Check> {
    let Some(image) = &probed.image else {
        return Vec::new();
    };
    let mut checks = Vec::new();
    let mut check = |id, what, result: Option<Finding>| {
        checks.extend(result.map(|result| Check::new(id, what, result)));
    };
    let all_failed = [&probed.memory, &probed.cpu]
        .into_iter()
        .all(|ran| matches!(ran, Some(Err(_))));
    if let (true, Some(Err(why))) = (all_failed, &probed.memory) {
        let mend = "build the image anew by `cargo xtask images`, and see what the engine logs";
        let failed = Finding::broken(format!("nothing can be run in {image}: {why}"), mend);
        check("probe", "a program", Some(failed));
        return checks;
    }
    check(
        "probe.memory",
        "a program without end of memory",
        probed.memory.as_ref().map(memory),
    );
    check(
        "probe.cpu",
        "a program that computes for ever",
        probed.cpu.as_ref().map(cpu),
    );
    check(
        "probe.kill",
        "a program that is cancelled",
        probed.kill.as_ref().map(kill),
    );
    let inside = probed.inside.as_ref();
    check("probe.network", "network of a program", inside.map(network));
    check("probe.root", "disk of a program", inside.map(root));
    check(
        "probe.counters",
        "who measures",
        probed.cpu.as_ref().and_then(counters),
    );
    checks
}

fn failed(why: &str) -> Finding {
    Finding::broken(
        format!("it could not be run: {why}"),
        "see what the engine logs: `journalctl -u docker`",
    )
}

fn ended(ran: &Ended) -> String {
    let Ended {
        verdict,
        cpu_ms,
        wall_ms,
        ..
    } = ran;
    let verdict = verdict.as_str().replace('_', " ");
    format!("{verdict} after {cpu_ms} ms of CPU time and {wall_ms} ms")
}

fn memory(ran: &Ran) -> Finding {
    match ran {
        Err(why) => failed(why),
        Ok(ran) if ran.verdict == Verdict::MemoryLimit => Finding::ok(ended(ran)),
        Ok(ran) => Finding::broken(
            format!("it was not ended for its memory: {}", ended(ran)),
            "do not run strangers' programs here until the memory controller of cgroups works",
        ),
    }
}

fn cpu(ran: &Ran) -> Finding {
    match ran {
        Err(why) => failed(why),
        Ok(ran)
            if ran.verdict == Verdict::TimeLimit
                && ran.cpu_ms <= u64::from(CPU_MS) + CPU_SLACK_MS =>
        {
            Finding::ok(ended(ran))
        }
        Ok(ran) => Finding::broken(
            format!(
                "it was not ended after {CPU_MS} ms of CPU time: {}",
                ended(ran)
            ),
            "do not run strangers' programs here until CPU time is measured: see `cgroups` above",
        ),
    }
}

fn kill(ran: &Result<Killed, String>) -> Finding {
    let ran = match ran {
        Err(why) => return failed(why),
        Ok(ran) => ran,
    };
    let after = ran.after.as_millis();
    let mend = "do not run strangers' programs here; restart the engine, and see what it logs";
    match ran {
        Killed {
            survived: Some(true),
            ..
        } => Finding::broken("its process is still there", mend),
        Killed { verdict, .. } if *verdict != Verdict::Cancelled => {
            let verdict = verdict.as_str().replace('_', " ");
            Finding::broken(format!("it ended as {verdict}"), mend)
        }
        Killed { after: late, .. } if *late > KILL_MAX => Finding::weak(
            format!("it was dead after {after} ms"),
            "the engine is slow: see what else runs on this machine, and whether `cgroup.kill` \
             can be used",
        ),
        _ => Finding::ok(format!("it was dead after {after} ms")),
    }
}

fn network(inside: &Result<Inside, String>) -> Finding {
    match inside {
        Err(why) => failed(why),
        Ok(inside) if inside.routes.is_empty() => Finding::ok("none"),
        Ok(inside) => Finding::broken(
            format!("there are routes to {}", inside.routes.join(", ")),
            "do not run strangers' programs here; look for what changes containers on this engine",
        ),
    }
}

fn root(inside: &Result<Inside, String>) -> Finding {
    let inside = match inside {
        Err(why) => return failed(why),
        Ok(inside) => inside,
    };
    let mend = "do not run strangers' programs here; look for what changes containers on this \
                engine";
    if !inside.root.split(',').any(|option| option == "ro") {
        return Finding::broken(format!("it is mounted {:?}", inside.root), mend);
    }
    if !inside.written.is_empty() {
        let written = inside.written.join(", ");
        return Finding::broken(format!("it could write to {written}"), mend);
    }
    Finding::ok("read-only")
}

fn counters(ran: &Ran) -> Option<Finding> {
    Some(match ran.as_ref().ok()?.source {
        UsageSource::Cgroup => Finding::ok("the kernel, for all processes of a container"),
        UsageSource::Rusage => Finding::weak(
            "the agent in the container: what processes used that nobody waited for is missed",
            "run executor-host on the machine itself, or give its container /sys/fs/cgroup and \
             the machine's process ids (`--pid host`)",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(language: &str, is_here: Result<bool, String>) -> Image {
        Image {
            language: language.into(),
            name: format!("codecrafter/{language}:dev"),
            is_here,
        }
    }

    fn words(checks: &[Check]) -> Vec<(&'static str, &'static str)> {
        let words = checks.iter().map(|check| (check.id, check.result.word()));
        words.filter(|(_, word)| *word != "ok").collect()
    }

    #[test]
    fn images_that_are_missing_are_weak_and_none_or_dumb_ones_are_broken() {
        let both = [image("c", Ok(true)), image("go", Ok(true))];
        let one = [image("c", Ok(true)), image("go", Ok(false))];
        let none = [image("c", Ok(false)), image("go", Ok(false))];
        let strange = [image("c", Ok(true)), image("go", Err("500".into()))];
        let answers = |ids: &[&str]| Ok(ids.iter().map(|id| (*id).to_owned()).collect());
        let found = |these: &[Image], working| words(&images(these, Some(&working)));
        assert_eq!(found(&both, answers(&["c", "go"])), []);
        assert_eq!(found(&one, answers(&["c"])), [("images", "weak")]);
        assert_eq!(found(&none, answers(&[])), [("images", "broken")]);
        assert_eq!(found(&strange, answers(&["c"])), [("images", "broken")]);
        assert_eq!(found(&both, answers(&["c"])), [("languages", "broken")]);
        assert_eq!(found(&both, Err("no".into())), [("languages", "broken")]);
        assert_eq!(words(&images(&both, None)), []);
    }

    fn sound() -> Probed {
        let ended = |verdict| Ended {
            verdict,
            cpu_ms: u64::from(CPU_MS) + 20,
            wall_ms: u64::from(CPU_MS) + 40,
            source: UsageSource::Cgroup,
        };
        Probed {
            languages: Ok(Vec::new()),
            image: Some("codecrafter/c:dev".into()),
            memory: Some(Ok(ended(Verdict::MemoryLimit))),
            cpu: Some(Ok(ended(Verdict::TimeLimit))),
            kill: Some(Ok(Killed {
                verdict: Verdict::Cancelled,
                after: Duration::from_millis(9),
                survived: Some(false),
            })),
            inside: Some(Ok(Inside {
                routes: Vec::new(),
                root: "ro,relatime".into(),
                written: Vec::new(),
            })),
        }
    }

    #[test]
    fn every_wall_that_does_not_hold_is_found_by_its_own_check() {
        type Change = fn(&mut Probed);
        fn ended(ran: &mut Option<Ran>) -> &mut Ended {
            ran.as_mut().unwrap().as_mut().unwrap()
        }
        fn killed(probed: &mut Probed) -> &mut Killed {
            probed.kill.as_mut().unwrap().as_mut().unwrap()
        }
        fn inside(probed: &mut Probed) -> &mut Inside {
            probed.inside.as_mut().unwrap().as_mut().unwrap()
        }
        let cases: [(Change, &str, &str); 11] = [
            (
                |of| ended(&mut of.memory).verdict = Verdict::TimeLimit,
                "probe.memory",
                "broken",
            ),
            (
                |of| of.memory = Some(Err("x".into())),
                "probe.memory",
                "broken",
            ),
            (
                |of| ended(&mut of.cpu).verdict = Verdict::Accepted,
                "probe.cpu",
                "broken",
            ),
            (
                |of| ended(&mut of.cpu).cpu_ms = 9_000,
                "probe.cpu",
                "broken",
            ),
            (
                |of| ended(&mut of.cpu).source = UsageSource::Rusage,
                "probe.counters",
                "weak",
            ),
            (
                |of| killed(of).survived = Some(true),
                "probe.kill",
                "broken",
            ),
            (
                |of| killed(of).verdict = Verdict::TimeLimit,
                "probe.kill",
                "broken",
            ),
            (
                |of| killed(of).after = Duration::from_millis(1_001),
                "probe.kill",
                "weak",
            ),
            (
                |of| inside(of).routes.push("0.0.0.0".into()),
                "probe.network",
                "broken",
            ),
            (
                |of| inside(of).root = "rw,relatime".into(),
                "probe.root",
                "broken",
            ),
            (
                |of| inside(of).written.push("/etc".into()),
                "probe.root",
                "broken",
            ),
        ];
        assert_eq!(words(&probes(&sound())), []);
        for (change, id, word) in cases {
            let mut probed = sound();
            change(&mut probed);
            assert_eq!(words(&probes(&probed)), [(id, word)]);
        }
    }

    #[test]
    fn a_container_that_cannot_be_started_is_told_once() {
        let why = || Err::<Ended, _>("no such runtime".to_owned());
        let probed = Probed {
            memory: Some(why()),
            cpu: Some(why()),
            kill: Some(Err("no such runtime".into())),
            inside: Some(Err("no such runtime".into())),
            ..sound()
        };
        assert_eq!(words(&probes(&probed)), [("probe", "broken")]);
        let image = None;
        assert_eq!(probes(&Probed { image, ..probed }), []);
    }
}
