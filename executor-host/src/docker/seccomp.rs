//! The system calls that a container may make, as the profile that the engine takes.
//!
//! A list of what is allowed; everything else fails with EPERM, so a call that a future kernel
//! adds is closed until somebody opens it. Compared with the engine's own profile these are
//! closed too: `io_uring` (its requests pass no filter), sockets of every family but local and
//! internet ones (AF_VSOCK reaches the machine's hypervisor and ignores network namespaces), what a
//! terminal can be told to do to others, `ptrace` and its kin, keyrings (shared beyond the container), `userfaultfd`, and opening by
//! handle.

use serde_json::{Value, json};

/// The profile for an engine on this architecture, by Go's name for it, as JSON text.
///
/// System calls of any other architecture (32-bit calls on a 64-bit machine) end the process.
/// `None` for an architecture that has not been thought about.
pub fn profile(architecture: &str) -> Option<String> {
    let name = match architecture {
        "amd64" => "SCMP_ARCH_X86_64",
        "arm64" => "SCMP_ARCH_AARCH64",
        _ => return None,
    };
    let mut calls = vec![
        allow(FILES),
        allow(MEMORY),
        allow(PROCESSES),
        allow(SIGNALS),
        allow(TIME),
        allow(WAITING),
        allow(IDENTITY),
        allow(IPC),
        allow(NETWORK),
        // Local, internet v4 and v6; whatever the first argument selects beyond them is closed.
        allow_if("socket", 0, AF_UNIX),
        allow_if("socket", 0, AF_INET),
        allow_if("socket", 0, AF_INET6),
        allow_if("socketpair", 0, AF_UNIX),
        // Threads and processes, but no new namespace.
        json!({
            "names": ["clone"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{
                "index": 0, "value": CLONE_NAMESPACES, "valueTwo": 0,
                "op": "SCMP_CMP_MASKED_EQ",
            }],
        }),
        // Named pipes, and no device.
        fifo("mknod", 1),
        fifo("mknodat", 2),
        // Its flags are behind a pointer, where no filter sees them. ENOSYS sends every C
        // library back to `clone`.
        json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS }),
        allow_if("personality", 0, PER_LINUX),
        allow_if("personality", 0, ADDR_NO_RANDOMIZE),
        allow_if("personality", 0, PER_QUERY),
    ];
    calls.extend(ioctl());
    let profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": [name],
        "syscalls": calls,
    });
    Some(profile.to_string())
}

/// Allows the calls of one of the lists below.
fn allow(list: &str) -> Value {
    let names: Vec<_> = list.split_whitespace().collect();
    json!({ "names": names, "action": "SCMP_ACT_ALLOW" })
}

/// Allows a call whose argument at `index` is `value`.
fn allow_if(name: &str, index: u32, value: u64) -> Value {
    json!({
        "names": [name],
        "action": "SCMP_ACT_ALLOW",
        "args": [{ "index": index, "value": value, "op": "SCMP_CMP_EQ" }],
    })
}

/// Allows a call whose argument at `index` is the mode of a named pipe.
fn fifo(name: &str, index: u32) -> Value {
    json!({
        "names": [name],
        "action": "SCMP_ACT_ALLOW",
        "args": [{
            "index": index, "value": S_IFMT, "valueTwo": S_IFIFO, "op": "SCMP_CMP_MASKED_EQ",
        }],
    })
}

/// Commands to a terminal that no program needs: typing in its place, for whoever reads it next;
/// selecting text, and taking the messages, of the machine's console; and putting another line
/// discipline on it, which are drivers of old hardware, and loaded for whoever asks.
const IOCTL_CLOSED: &[u32] = &[TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD];
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
const TIOCCONS: u32 = 0x541d;
const TIOCSETD: u32 = 0x5423;

/// Every command but those. The kernel reads 32 bits of a command, so the filter must not read
/// more, and of 32 bits it can only compare some with a value.
fn ioctl() -> Vec<Value> {
    let allow = |(mask, value): (u32, u32)| {
        json!({
            "names": ["ioctl"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{
                "index": 1, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ",
            }],
        })
    };
    all_but(IOCTL_CLOSED).into_iter().map(allow).collect()
}

/// Masks, and values below them, that match every number but these: all numbers are halved by
/// their next bit for as long as one of these is among them.
fn all_but(closed: &[u32]) -> Vec<(u32, u32)> {
    let mut open = Vec::new();
    let mut parts = vec![(0, 0)];
    while let Some((mask, value)) = parts.pop() {
        if closed.iter().all(|number| number & mask != value) {
            open.push((mask, value));
        } else if mask != u32::MAX {
            // The highest bit that is not decided.
            let bit = 1 << (u32::BITS - 1 - mask.count_ones());
            parts.extend([(mask | bit, value), (mask | bit, value | bit)]);
        }
    }
    open
}

const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const S_IFMT: u64 = 0o170_000;
const S_IFIFO: u64 = 0o010_000;
const ENOSYS: u64 = 38;
const PER_LINUX: u64 = 0;
const ADDR_NO_RANDOMIZE: u64 = 0x0004_0000;
const PER_QUERY: u64 = 0xffff_ffff;
/// CLONE_NEWCGROUP, NEWIPC, NEWNET, NEWNS, NEWPID, NEWUSER and NEWUTS.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;

/// Files and directories by name and by descriptor. Nothing here passes permissions, mounts or
/// the read-only root; `mount`, `pivot_root`, `chroot` and opening by handle are absent, and
/// `ioctl` has rules of its own.
const FILES: &str = "
    access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat
    faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl
    fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync
    ftruncate futimesat getcwd getdents getdents64 getxattr inotify_add_watch inotify_init
    inotify_init1 inotify_rm_watch lchown lgetxattr link linkat listxattr llistxattr
    lremovexattr lseek lsetxattr lstat mkdir mkdirat newfstatat open openat openat2 pipe
    pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink
    readlinkat readv removexattr rename renameat renameat2 rmdir sendfile setxattr splice
    stat statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate umask
    unlink unlinkat utime utimensat utimes vmsplice write writev
";

/// The process's own memory. `process_vm_*`, `userfaultfd` and `move_pages` are absent.
const MEMORY: &str = "
    brk cachestat get_mempolicy madvise map_shadow_stack mbind membarrier memfd_create
    mincore mlock mlock2 mlockall mmap mprotect mremap mseal msync munlock munlockall munmap
    pkey_alloc pkey_free pkey_mprotect remap_file_pages set_mempolicy
";

/// Processes and threads. `ptrace`, `setns`, `unshare`, `kcmp` and `pidfd_getfd` are absent.
const PROCESSES: &str = "
    arch_prctl execve execveat exit exit_group fork futex futex_requeue futex_wait
    futex_waitv futex_wake get_robust_list getcpu getpgid getpgrp getpid getppid getpriority
    getrlimit getrusage getsid gettid ioprio_get ioprio_set pidfd_open pidfd_send_signal
    prctl prlimit64 rseq sched_get_priority_max sched_get_priority_min sched_getaffinity
    sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity
    sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list
    set_tid_address setpgid setpriority setrlimit setsid times vfork wait4 waitid
";

/// Signals, alarms and timers.
const SIGNALS: &str = "
    alarm getitimer kill pause restart_syscall rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo setitimer
    sigaltstack signalfd signalfd4 tgkill timer_create timer_delete timer_getoverrun
    timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime tkill
";

/// Reading the clock and sleeping. Setting the clock is absent.
const TIME: &str = "
    clock_getres clock_gettime clock_nanosleep gettimeofday nanosleep time
";

/// Waiting for descriptors. `io_uring_*` and the older `io_*` are absent.
const WAITING: &str = "
    epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd
    eventfd2 poll ppoll pselect6 select
";

/// Who a process is, and facts of the machine. The agent needs the setters to become the
/// program's user; for a program, who has no capability, they do nothing.
const IDENTITY: &str = "
    capget capset getegid geteuid getgid getgroups getrandom getresgid getresuid getuid
    setfsgid setfsuid setgid setgroups setregid setresgid setresuid setreuid setuid sysinfo
    uname landlock_add_rule landlock_create_ruleset landlock_restrict_self
";

/// System V and POSIX messages, semaphores and shared memory, of the container's own namespace.
const IPC: &str = "
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget
    msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget
";

/// What can be done with a socket once there is one; which there may be is decided above.
const NETWORK: &str = "
    accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg
    recvmsg sendmmsg sendmsg sendto setsockopt shutdown
";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(architecture: &str) -> Value {
        serde_json::from_str(&profile(architecture).unwrap()).unwrap()
    }

    /// Every rule that names the call.
    fn rules(profile: &Value, call: &str) -> Vec<Value> {
        let rules = profile["syscalls"].as_array().unwrap().iter();
        rules
            .filter(|rule| rule["names"].as_array().unwrap().iter().any(|n| n == call))
            .cloned()
            .collect()
    }

    #[test]
    fn what_is_not_listed_is_refused_and_only_one_architecture_is_spoken() {
        for (architecture, name) in [
            ("amd64", "SCMP_ARCH_X86_64"),
            ("arm64", "SCMP_ARCH_AARCH64"),
        ] {
            let profile = parsed(architecture);
            assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
            assert_eq!(profile["architectures"], json!([name]));
        }
        assert_eq!(profile("mips"), None);
    }

    #[test]
    fn nothing_that_reaches_beyond_the_container_is_listed() {
        let profile = parsed("amd64");
        let closed = "
            io_uring_setup io_uring_enter io_uring_register io_setup ptrace
            process_vm_readv process_vm_writev pidfd_getfd kcmp keyctl add_key
            request_key userfaultfd bpf perf_event_open mount umount2 fsopen
            move_mount open_tree pivot_root chroot setns unshare name_to_handle_at
            open_by_handle_at fanotify_init init_module finit_module
            kexec_load reboot swapon iopl ioperm clock_settime settimeofday adjtimex
            sethostname syslog acct quotactl lookup_dcookie move_pages migrate_pages
            vhangup modify_ldt
        ";
        for call in closed.split_whitespace() {
            assert_eq!(rules(&profile, call), Vec::<Value>::new(), "{call}");
        }
    }

    #[test]
    fn a_socket_is_local_or_of_the_internet() {
        let families: Vec<_> = rules(&parsed("amd64"), "socket")
            .iter()
            .map(|rule| {
                (
                    rule["args"][0]["index"].clone(),
                    rule["args"][0]["value"].clone(),
                    rule["args"][0]["op"].clone(),
                )
            })
            .collect();
        assert_eq!(
            families,
            [1, 2, 10].map(|family| (json!(0), json!(family), json!("SCMP_CMP_EQ")))
        );
        assert_eq!(rules(&parsed("amd64"), "socketpair").len(), 1);
    }

    #[test]
    fn a_node_is_a_named_pipe() {
        for (call, index) in [("mknod", 1), ("mknodat", 2)] {
            let [rule] = &rules(&parsed("amd64"), call)[..] else {
                panic!("one rule for {call}")
            };
            let condition = &rule["args"][0];
            assert_eq!(
                (&condition["index"], &condition["op"]),
                (&json!(index), &json!("SCMP_CMP_MASKED_EQ"))
            );
            assert_eq!(
                (&condition["value"], &condition["valueTwo"]),
                (&json!(0xf000), &json!(0x1000))
            );
        }
    }

    #[test]
    fn every_command_to_a_device_is_open_but_those_that_are_closed() {
        let rules = rules(&parsed("amd64"), "ioctl");
        assert!(rules.len() < 60, "{}", rules.len());
        let is_open = |command: u32| {
            rules.iter().any(|rule| {
                let condition = &rule["args"][0];
                assert_eq!(condition["index"], 1);
                assert_eq!(condition["op"], "SCMP_CMP_MASKED_EQ");
                let number = |name: &str| u32::try_from(condition[name].as_u64().unwrap()).unwrap();
                command & number("value") == number("valueTwo")
            })
        };
        let others = (0..32).map(|bit| 1_u32 << bit).chain([0, u32::MAX]);
        let near = (0x5000..0x5800)
            .chain(others.flat_map(|other| IOCTL_CLOSED.iter().map(move |closed| closed ^ other)));
        for command in near.chain(IOCTL_CLOSED.iter().copied()) {
            assert_eq!(
                is_open(command),
                !IOCTL_CLOSED.contains(&command),
                "{command:#x}"
            );
        }
    }

    #[test]
    fn no_new_namespace_by_clone_and_no_clone3() {
        let profile = parsed("amd64");
        let [clone] = &rules(&profile, "clone")[..] else {
            panic!("one rule for clone")
        };
        assert_eq!(clone["args"][0]["op"], "SCMP_CMP_MASKED_EQ");
        assert_eq!(clone["args"][0]["value"], 0x7e02_0000_u64);
        assert_eq!(clone["args"][0]["valueTwo"], 0);
        let [clone3] = &rules(&profile, "clone3")[..] else {
            panic!("one rule for clone3")
        };
        assert_eq!(
            (&clone3["action"], &clone3["errnoRet"]),
            (&json!("SCMP_ACT_ERRNO"), &json!(38))
        );
    }
}
