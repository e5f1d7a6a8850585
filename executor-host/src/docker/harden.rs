//! Every setting of a sandbox container, from one pure function.
//!
//! Nothing in here comes from a job but numbers. Devices, mounts, volumes, ports and sysctls are
//! never set.

use std::collections::HashMap;

use agent_protocol::{USERS_DIR, WORK_DIR};
use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
    ResourcesUlimits,
};

/// The label that says which executor-host a container belongs to.
pub const LABEL_HOST: &str = "codecrafter.executor.host";
/// The label with the container's language.
pub const LABEL_LANGUAGE: &str = "codecrafter.executor.language";
/// The label with the container's job; absent on one that was started ahead of any.
pub const LABEL_JOB: &str = "codecrafter.executor.job";

/// Size of the work directory. Its pages count against the memory limit.
pub const WORK_BYTES: u64 = 64 << 20;
/// Size of `/tmp`; likewise.
pub const TMP_BYTES: u64 = 32 << 20;
/// Size of `/dev/shm`; likewise.
pub const SHM_BYTES: u64 = 16 << 20;
/// Files and directories in the work directory.
pub const WORK_INODES: u32 = 8192;
/// Files and directories in each of `/tmp` and `/dev/shm`.
pub const TMP_INODES: u32 = 4096;
/// Open descriptors of one process.
pub const OPEN_FILES: i64 = 1024;

/// What the kernel tells of the whole machine, hidden from programs. The engine's own list in its
/// newest form, as setting one replaces it, and the locks: those that belong to an open file are
/// shown to every container, which two programs could use to talk.
const MASKED_PATHS: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/locks",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Badness that the kernel adds when it must choose whom to kill for memory: sooner a container
/// than the machine's own services. Programs raise theirs to 1000, so the agent is not the first.
const OOM_SCORE_ADJ: i64 = 500;

/// What a container is made of.
#[derive(Debug, Clone)]
pub struct Spec<'a> {
    /// The image's id, so that a tag that moves cannot change what runs.
    pub image: &'a str,
    /// The executor-host.
    pub instance: &'a str,
    /// The language's id.
    pub language: &'a str,
    /// The job's id, if the container is made for one.
    pub job: Option<&'a str>,
    /// What it may use.
    pub budget: Budget,
    /// How many jobs it may serve.
    pub isolation: Isolation,
    /// The user, and the group of the same number, that programs run as, or the first of them. Of
    /// no other container, because there is much that the kernel counts by user.
    pub user: u32,
    /// Share of the machine's CPU time, in billionths of a core.
    pub nano_cpus: i64,
    /// The text of the system call profile.
    pub seccomp: &'a str,
    /// The cgroup above all sandbox containers, if there is to be one.
    pub cgroup_parent: Option<&'a str>,
    /// The engine's runtime, such as `runsc`, if it is not to be the default.
    pub runtime: Option<&'a str>,
}

/// How jobs are kept from each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Isolation {
    /// A container serves one job.
    #[default]
    Fresh,
    /// A container serves one job after another, each under a user of its own, and is proven to
    /// hold nothing of the first before it gets the second. Many times as fast for small jobs.
    /// What stays visible are numbers that only grow, such as the next process id.
    Reuse,
}

/// What everything in a container may use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Memory, files in it included.
    pub memory_bytes: u64,
    /// Processes and threads of the program; the agent's own comes on top.
    pub processes: u32,
}

impl Budget {
    /// As the engine counts it.
    pub fn memory(self) -> i64 {
        i64::try_from(self.memory_bytes).unwrap_or(i64::MAX)
    }

    /// As the engine counts it.
    pub fn pids(self) -> i64 {
        i64::from(self.processes) + 1
    }
}

/// The whole of what the engine is asked for.
pub fn container(spec: &Spec<'_>) -> ContainerCreateBody {
    let some = |text: &str| Some(text.to_owned());
    let strings = |list: &[&str]| Some(list.iter().map(|item| (*item).to_owned()).collect());
    let mut labels = HashMap::from([
        (LABEL_HOST.to_owned(), spec.instance.to_owned()),
        (LABEL_LANGUAGE.to_owned(), spec.language.to_owned()),
    ]);
    labels.extend(spec.job.map(|job| (LABEL_JOB.to_owned(), job.to_owned())));

    ContainerCreateBody {
        image: some(spec.image),
        labels: Some(labels),
        // The same for all, as a name of its own would only tell programs something.
        hostname: some("sandbox"),
        // Root without the rights of root: it needs to become the program's user. See `cap_add`.
        user: some("0:0"),
        working_dir: some("/"),
        env: Some(Vec::new()),
        // The agent's channel. No terminal: on one, output could look like the engine's framing.
        tty: Some(false),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        // The agent's input ends with our connection, so a container does not outlive its host.
        stdin_once: Some(true),
        network_disabled: Some(true),
        host_config: Some(HostConfig {
            privileged: Some(false),
            cap_drop: strings(&["ALL"]),
            // For the agent: to become the program's user, to take from it the rest of what it
            // could ever have, and to end it. Programs have none of them.
            cap_add: strings(match spec.isolation {
                Isolation::Fresh => &["SETUID", "SETGID", "SETPCAP", "KILL"],
                // And to hand the work directory from one user to the next.
                Isolation::Reuse => &["SETUID", "SETGID", "SETPCAP", "KILL", "CHOWN"],
            }),
            security_opt: Some(vec![
                "no-new-privileges".to_owned(),
                format!("seccomp={}", spec.seccomp),
            ]),
            readonly_rootfs: Some(true),
            masked_paths: strings(MASKED_PATHS),
            tmpfs: Some(HashMap::from([
                (
                    WORK_DIR.to_owned(),
                    format!(
                        "rw,exec,nosuid,nodev,size={WORK_BYTES},nr_inodes={WORK_INODES},\
                         mode=0755,uid={user},gid={user}",
                        user = spec.user
                    ),
                ),
                ("/tmp".to_owned(), scratch(TMP_BYTES)),
                ("/dev/shm".to_owned(), scratch(SHM_BYTES)),
                // The agent's, for programs to read.
                (
                    USERS_DIR.to_owned(),
                    "rw,noexec,nosuid,nodev,size=64k,nr_inodes=4,mode=0755".to_owned(),
                ),
            ])),
            // A namespace of its own, without the engine's `/dev/shm`, which has no limit on files.
            ipc_mode: some("none"),
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
            network_mode: some("none"),
            memory: Some(spec.budget.memory()),
            // The same as `memory`: no swap.
            memory_swap: Some(spec.budget.memory()),
            oom_kill_disable: Some(false),
            oom_score_adj: Some(OOM_SCORE_ADJ),
            pids_limit: Some(spec.budget.pids()),
            nano_cpus: Some(spec.nano_cpus),
            // No `nproc`, which counts a user's processes on the whole machine, and no `as`, which
            // breaks every runtime that reserves more than it uses.
            ulimits: Some(vec![
                ulimit("core", 0),
                ulimit("nofile", OPEN_FILES),
                ulimit("fsize", WORK_BYTES as i64),
            ]),
            cgroup_parent: spec.cgroup_parent.map(str::to_owned),
            runtime: spec.runtime.map(str::to_owned),
            // Output goes to us and not to the machine's disk as well.
            log_config: Some(HostConfigLogConfig {
                typ: some("none"),
                config: None,
            }),
            // The agent is the first process and reaps.
            init: Some(false),
            // We remove, because we want to know the end first.
            auto_remove: Some(false),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Options of a small file system that everyone may write to and nobody may run from.
fn scratch(bytes: u64) -> String {
    format!("rw,noexec,nosuid,nodev,size={bytes},nr_inodes={TMP_INODES},mode=1777")
}

fn ulimit(name: &str, value: i64) -> ResourcesUlimits {
    ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(value),
        hard: Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec<'a>() -> Spec<'a> {
        Spec {
            image: "sha256:1",
            instance: "h",
            language: "python",
            job: Some("j"),
            budget: Budget {
                memory_bytes: 128 << 20,
                processes: 64,
            },
            isolation: Isolation::Fresh,
            user: 70_000,
            nano_cpus: 1_000_000_000,
            seccomp: "{}",
            cgroup_parent: None,
            runtime: None,
        }
    }

    /// The whole request, so that a setting that is added, changed or lost is seen here.
    #[test]
    fn a_container_is_hardened_in_every_field() {
        let sent = serde_json::to_value(container(&spec())).unwrap();
        let expected = json!({
            "Image": "sha256:1",
            "Labels": {
                "codecrafter.executor.host": "h",
                "codecrafter.executor.language": "python",
                "codecrafter.executor.job": "j",
            },
            "Hostname": "sandbox",
            "User": "0:0",
            "WorkingDir": "/",
            "Env": [],
            "Tty": false,
            "AttachStdin": true,
            "AttachStdout": true,
            "AttachStderr": true,
            "OpenStdin": true,
            "StdinOnce": true,
            "NetworkDisabled": true,
            "HostConfig": {
                "Privileged": false,
                "CapDrop": ["ALL"],
                "CapAdd": ["SETUID", "SETGID", "SETPCAP", "KILL"],
                "SecurityOpt": ["no-new-privileges", "seccomp={}"],
                "ReadonlyRootfs": true,
                "MaskedPaths": [
                    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
                    "/proc/latency_stats", "/proc/locks", "/proc/sched_debug", "/proc/scsi",
                    "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
                    "/sys/firmware",
                ],
                "Tmpfs": {
                    "/work": "rw,exec,nosuid,nodev,size=67108864,nr_inodes=8192,mode=0755,uid=70000,gid=70000",
                    "/run/codecrafter": "rw,noexec,nosuid,nodev,size=64k,nr_inodes=4,mode=0755",
                    "/tmp": "rw,noexec,nosuid,nodev,size=33554432,nr_inodes=4096,mode=1777",
                    "/dev/shm": "rw,noexec,nosuid,nodev,size=16777216,nr_inodes=4096,mode=1777",
                },
                "IpcMode": "none",
                "CgroupnsMode": "private",
                "NetworkMode": "none",
                "Memory": 134_217_728,
                "MemorySwap": 134_217_728,
                "OomKillDisable": false,
                "OomScoreAdj": 500,
                "PidsLimit": 65,
                "NanoCpus": 1_000_000_000,
                "Ulimits": [
                    { "Name": "core", "Soft": 0, "Hard": 0 },
                    { "Name": "nofile", "Soft": 1024, "Hard": 1024 },
                    { "Name": "fsize", "Soft": 67_108_864, "Hard": 67_108_864 },
                ],
                "LogConfig": { "Type": "none" },
                "Init": false,
                "AutoRemove": false,
            },
        });
        assert_eq!(sent, expected);
    }

    #[test]
    fn a_container_for_several_jobs_differs_in_one_right_of_the_agent() {
        let mut fresh = container(&spec());
        let reuse = container(&Spec {
            isolation: Isolation::Reuse,
            ..spec()
        });
        let host = fresh.host_config.as_mut().unwrap();
        host.cap_add.as_mut().unwrap().push("CHOWN".to_owned());
        assert_eq!(reuse, fresh);
    }

    #[test]
    fn a_container_started_ahead_of_any_job_carries_none() {
        let body = container(&Spec {
            job: None,
            runtime: Some("runsc"),
            ..spec()
        });
        assert!(!body.labels.unwrap().contains_key(LABEL_JOB));
        assert_eq!(body.host_config.unwrap().runtime.as_deref(), Some("runsc"));
    }
}
