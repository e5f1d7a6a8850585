//! The engine.

use super::runc::{numbers, runc};
use super::size;
use crate::doctor::facts::{Engine, Socket, SocketState, Wants};
use crate::doctor::{Check, Finding};

/// With less than this on the engine's disk there is no room for another language.
const DISK_WEAK: u64 = 5 << 30;
/// With less than this containers may not start.
const DISK_BROKEN: u64 = 1 << 30;

/// The engine that this version was tested with.
const TESTED_API: (u64, u64) = (1, 41);

pub fn socket(socket: &Socket) -> Check {
    let path = socket.path.display();
    let restart = "see whether it runs: `systemctl status docker`, `journalctl -u docker`";
    let result = match &socket.state {
        SocketState::Answers => Finding::ok(format!("{path} answers")),
        SocketState::Missing => Finding::broken(
            format!("there is no {path}"),
            "install Docker Engine and start it (`systemctl enable --now docker`), or name its \
             socket by --docker-socket",
        ),
        SocketState::NoSocket => Finding::broken(
            format!("{path} is no socket"),
            "name the engine's socket by --docker-socket",
        ),
        SocketState::Forbidden => Finding::broken(
            format!("this user may not use {path}"),
            "add the user to the group that the socket belongs to (`usermod -aG docker USER`, \
             then sign in anew), and know that this makes it as good as root",
        ),
        SocketState::Deserted => Finding::broken(
            format!("nobody listens at {path}: the engine has ended and left it behind"),
            "start the engine: `systemctl restart docker`",
        ),
        SocketState::Silent => Finding::broken(
            format!("the engine at {path} takes requests and does not answer them"),
            restart,
        ),
        SocketState::Strange(how) => Finding::broken(
            format!("{path} does not answer as an engine does: {how}"),
            restart,
        ),
    };
    Check::new("engine.socket", "engine", result)
}

pub fn engine(engine: &Engine, wants: &Wants) -> Vec<Check> {
    vec![
        Check::new("engine.version", "engine's version", version(engine)),
        Check::new("engine.architecture", "architecture", architecture(engine)),
        Check::new("engine.runtime", "runtime", runtime(engine, wants)),
        Check::new("engine.runc", "runc", runc(engine.runc.as_deref(), wants)),
        Check::new("engine.seccomp", "system call filter", seccomp(engine)),
        Check::new("engine.access", "AppArmor or SELinux", access(engine)),
        Check::new("engine.users", "users of containers", users(engine)),
        limit(
            "limit.memory",
            "limit on memory",
            engine.limits_memory,
            || {
                Finding::broken(
                    "the engine cannot limit memory: one program can take all there is",
                    "enable the memory controller of cgroups (on a Raspberry Pi \
                 `cgroup_enable=memory` on the kernel's command line), then restart the engine",
                )
            },
        ),
        limit("limit.swap", "limit on swap", engine.limits_swap, || {
            Finding::weak(
                "the engine cannot limit swap: a program may use swap beyond its memory limit",
                "put `swapaccount=1` on the kernel's command line, or switch swap off",
            )
        }),
        limit(
            "limit.processes",
            "limit on processes",
            engine.limits_processes,
            || {
                Finding::broken(
                    "the engine cannot limit processes: one program can stop the machine by forking",
                    "enable the pids controller of cgroups, then restart the engine",
                )
            },
        ),
        limit("limit.cpu", "limit on CPU time", engine.limits_cpu, || {
            Finding::broken(
                "the engine cannot limit CPU time: one program can take all cores",
                "use a kernel with CONFIG_CFS_BANDWIDTH",
            )
        }),
        Check::new("engine.warnings", "engine's warnings", warnings(engine)),
        Check::new("engine.disk", "engine's disk", disk(engine)),
    ]
}

fn version(engine: &Engine) -> Finding {
    let version = engine.version.as_deref().unwrap_or("unknown");
    let told = format!("{version}, API {}", engine.api);
    match numbers(&engine.api)[..] {
        [major, minor, ..] if (major, minor) < TESTED_API => Finding::weak(
            format!("{told}: older than what is tested, Docker Engine 20.10"),
            "install a current Docker Engine",
        ),
        _ => Finding::ok(told),
    }
}

fn architecture(engine: &Engine) -> Finding {
    let name = &engine.architecture;
    if engine.has_profile {
        return Finding::ok(name);
    }
    Finding::broken(
        format!("there is no system call filter for {name:?}, and no container without one"),
        "use a machine with x86-64 or arm64",
    )
}

fn runtime(engine: &Engine, wants: &Wants) -> Finding {
    let Some(wanted) = &wants.runtime else {
        return Finding::ok("the engine's own default");
    };
    if engine.runtimes.contains(wanted) {
        return Finding::ok(wanted);
    }
    let mut known = engine.runtimes.clone();
    known.sort();
    Finding::broken(
        format!(
            "the engine does not know the runtime {wanted:?}; it knows {}",
            known.join(", ")
        ),
        "add it to `runtimes` in /etc/docker/daemon.json and restart the engine, or choose \
         another by --docker-runtime",
    )
}

fn has(engine: &Engine, option: &str) -> bool {
    engine.security.iter().any(|known| known == option)
}

fn seccomp(engine: &Engine) -> Finding {
    if has(engine, "seccomp") {
        return Finding::ok("on");
    }
    Finding::broken(
        "the engine has no seccomp: programs could make every system call",
        "use a kernel with CONFIG_SECCOMP_FILTER and an engine built with seccomp",
    )
}

fn access(engine: &Engine) -> Finding {
    let found = ["apparmor", "selinux"]
        .into_iter()
        .find(|option| has(engine, option));
    match found {
        Some(found) => Finding::ok(found),
        None => Finding::weak(
            "neither: one wall less around a program that has got out of its container",
            "enable AppArmor (Debian, Ubuntu) or SELinux (Fedora, RHEL) and restart the engine",
        ),
    }
}

fn users(engine: &Engine) -> Finding {
    let found = ["rootless", "userns"]
        .into_iter()
        .find(|option| has(engine, option));
    match found {
        Some("rootless") => Finding::ok("the engine is rootless"),
        Some(_) => Finding::ok("mapped to others outside (userns-remap)"),
        None => Finding::weak(
            "root in a container is root outside, for a program that gets so far",
            "set `\"userns-remap\": \"default\"` in /etc/docker/daemon.json on an engine that is \
             for this alone, or run the engine rootless",
        ),
    }
}

fn limit(
    id: &'static str,
    what: &'static str,
    can: Option<bool>,
    cannot: impl Fn() -> Finding,
) -> Check {
    let result = match can {
        Some(false) => cannot(),
        Some(true) => Finding::ok("supported"),
        None => Finding::weak(
            "the engine does not say whether it can",
            "look at `docker info`",
        ),
    };
    Check::new(id, what, result)
}

/// What `docker info` warns of and no other check has said.
fn warnings(engine: &Engine) -> Finding {
    const SAID: [&str; 4] = ["memory limit", "swap limit", "pids limit", "cpu cfs quota"];
    let is_new = |warning: &&String| {
        let warning = warning.to_lowercase();
        !SAID.iter().any(|said| warning.contains(said))
    };
    let new = engine.warnings.iter().filter(is_new);
    let new: Vec<_> = new
        .map(|warning| warning.trim_start_matches("WARNING: "))
        .collect();
    if new.is_empty() {
        return Finding::ok("none besides");
    }
    Finding::weak(
        new.join("; "),
        "look at `docker info`; not all of them matter to jobs",
    )
}

fn disk(engine: &Engine) -> Finding {
    let Some(root) = &engine.root else {
        return Finding::weak(
            "the engine does not say where it is",
            "look at `docker info`",
        );
    };
    let place = root.display();
    let mend = "remove what nobody needs (`docker system df` shows it), or give it more room";
    match engine.root_free {
        None => Finding::weak(
            format!("{place} cannot be seen from here, nor how full it is"),
            "run doctor on the machine that the engine runs on",
        ),
        Some(free) if free < DISK_BROKEN => Finding::broken(
            format!(
                "{} are free in {place}: containers may not start",
                size(free)
            ),
            mend,
        ),
        Some(free) if free < DISK_WEAK => Finding::weak(
            format!(
                "{} are free in {place}: too little for another language",
                size(free)
            ),
            mend,
        ),
        Some(free) => Finding::ok(format!("{} are free in {place}", size(free))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An engine that is as it should be.
    fn sound() -> Engine {
        Engine {
            version: Some("28.5.1".into()),
            api: "1.51".into(),
            architecture: "amd64".into(),
            has_profile: true,
            runc: Some("1.3.3".into()),
            runtimes: vec!["runc".into(), "io.containerd.runc.v2".into()],
            security: ["apparmor", "seccomp", "userns"]
                .map(str::to_owned)
                .to_vec(),
            limits_memory: Some(true),
            limits_swap: Some(true),
            limits_processes: Some(true),
            limits_cpu: Some(true),
            warnings: Vec::new(),
            root: Some("/var/lib/docker".into()),
            root_free: Some(20 << 30),
        }
    }

    fn wants() -> Wants {
        Wants {
            slots: 4,
            runtime: None,
        }
    }

    /// What is not well with this engine: id and word of each.
    fn ill(engine: &Engine, wants: &Wants) -> Vec<(&'static str, &'static str)> {
        let checks = super::engine(engine, wants);
        let ill = checks.iter().map(|check| (check.id, check.result.word()));
        ill.filter(|(_, word)| *word != "ok").collect()
    }

    #[test]
    fn a_sound_engine_has_nothing_to_mend() {
        assert_eq!(ill(&sound(), &wants()), []);
    }

    #[test]
    fn each_fault_of_an_engine_is_found_by_its_own_check() {
        type Change = fn(&mut Engine);
        let cases: [(Change, &str, &str); 14] = [
            (
                |engine| engine.api = "1.40".into(),
                "engine.version",
                "weak",
            ),
            (
                |engine| engine.has_profile = false,
                "engine.architecture",
                "broken",
            ),
            (|engine| engine.runc = None, "engine.runc", "weak"),
            (
                |engine| engine.runc = Some("main".into()),
                "engine.runc",
                "weak",
            ),
            (
                |engine| drop(engine.security.remove(1)),
                "engine.seccomp",
                "broken",
            ),
            (
                |engine| drop(engine.security.remove(0)),
                "engine.access",
                "weak",
            ),
            (
                |engine| drop(engine.security.remove(2)),
                "engine.users",
                "weak",
            ),
            (
                |engine| engine.limits_memory = Some(false),
                "limit.memory",
                "broken",
            ),
            (
                |engine| engine.limits_swap = Some(false),
                "limit.swap",
                "weak",
            ),
            (
                |engine| engine.limits_processes = Some(false),
                "limit.processes",
                "broken",
            ),
            (|engine| engine.limits_cpu = None, "limit.cpu", "weak"),
            (
                |engine| engine.root_free = Some((5 << 30) - 1),
                "engine.disk",
                "weak",
            ),
            (
                |engine| engine.root_free = Some((1 << 30) - 1),
                "engine.disk",
                "broken",
            ),
            (|engine| engine.root_free = None, "engine.disk", "weak"),
        ];
        for (change, id, word) in cases {
            let mut engine = sound();
            change(&mut engine);
            assert_eq!(ill(&engine, &wants()), [(id, word)]);
        }
    }

    #[test]
    fn a_runtime_has_to_be_one_that_the_engine_knows() {
        let wants = Wants {
            runtime: Some("runsc".into()),
            ..wants()
        };
        assert_eq!(ill(&sound(), &wants), [("engine.runtime", "broken")]);
        let mut engine = sound();
        engine.runtimes.push("runsc".into());
        assert_eq!(ill(&engine, &wants), []);
    }

    #[test]
    fn what_a_check_of_its_own_has_said_is_not_said_again() {
        let warned = |warning: &str| {
            let engine = Engine {
                warnings: vec![warning.into()],
                ..sound()
            };
            ill(&engine, &wants())
        };
        assert_eq!(warned("WARNING: No swap limit support"), []);
        let other = warned("WARNING: bridge-nf-call-iptables is disabled");
        assert_eq!(other, [("engine.warnings", "weak")]);
    }

    #[test]
    fn every_state_of_the_socket_is_told_apart_and_has_a_way_out() {
        let states = [
            SocketState::Missing,
            SocketState::NoSocket,
            SocketState::Forbidden,
            SocketState::Deserted,
            SocketState::Silent,
            SocketState::Strange("418".into()),
        ];
        let mut told = std::collections::HashSet::new();
        for state in states {
            let path = "/run/x.sock".into();
            match socket(&Socket { path, state }).result {
                Finding::Broken { why, mend } => {
                    assert!(why.contains("/run/x.sock") && !mend.is_empty(), "{why}");
                    assert!(told.insert(why));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
