//! Controls of the cases: each takes one wall away and sees the attack succeed that it stops.
//!
//! Where another layer holds as well, taking one away changes nothing, which is seen here too, and
//! then both are taken away. One of the layers is the agent, so some of these start a program in
//! the agent's place ([`bare`]).

use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, RemoveContainerOptionsBuilder,
    StartContainerOptions,
};
use codecrafter_shared::job::{RunOutcome, Verdict};
use executor_host::sandbox::{Progress, Sandbox as _};
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::isolation::{CALLS, DEVICES, EXECUTE, INT80, NETWORK, SETUID, SOCKETS, WRITE};
use crate::output::is_logged;
use crate::resources::{DESCRIPTORS, FILL, HOARD, INODES, SPARSE, SWAPPED, THREADS};
use crate::terminal::{self, CONTROLS};
use crate::traces::{
    CORE, LOCKS_HELD, LOCKS_SEEN, WATCHES_HELD, WATCHES_SEEN, holding, while_it_holds,
};
use crate::world::{Mode, Program, World, only_run, printed};

/// A control.
pub type Control = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// What takes a wall away.
type Weaken = fn(&mut ContainerCreateBody);

/// Every control by its name.
pub fn controls() -> Vec<(&'static str, Control)> {
    macro_rules! controls {
        ($($name:ident),* $(,)?) => {
            vec![$((stringify!($name), || Box::pin($name()))),*]
        };
    }
    controls![
        a07_without_the_pids_limit_threads_are_not_counted,
        a08_without_the_memory_limit_memory_has_no_end,
        a12_in_the_hosts_ipc_namespace_shared_memory_stays,
        a14_without_the_swap_limit_a_program_may_swap,
        a16_without_sizes_files_fill_more_than_their_places,
        a16_without_the_file_size_limit_a_file_has_any_size,
        a17_without_the_inode_limits_files_have_no_number,
        a19_without_the_descriptor_limit_there_are_more,
        a20_with_a_log_driver_output_is_on_the_disk,
        a41_on_the_bridge_the_host_answers,
        a42_without_the_profile_there_are_sockets_of_other_families,
        a43_without_the_profile_there_is_io_uring,
        a44_without_the_profile_calls_of_32_bits_are_answered,
        a45_without_the_profile_there_are_user_namespaces,
        a48_without_the_read_only_root_a_program_writes_into_it,
        a49_without_noexec_programs_run_anywhere,
        a49_without_no_new_privileges_a_program_becomes_root,
        a50_without_dropped_capabilities_root_is_root,
        a51_without_the_profile_a_child_can_be_traced,
        a53_without_a_user_of_its_own_a_program_writes_into_the_agents_streams,
        a56_without_the_profile_there_are_keyrings,
        a56_without_the_mask_locks_are_a_channel,
        a56_with_one_user_for_all_what_the_kernel_counts_is_shared,
        a60_without_the_core_limit_there_are_cores,
        a72_without_the_profile_a_program_types_on_its_own_terminal,
    ]
}

/// A sandbox whose containers lack something.
async fn world(name: &str, weaken: Weaken) -> Arc<World> {
    World::new(Mode::Fresh, name, |settings| {
        settings.weakened = Some(weaken)
    })
    .await
}

impl World {
    async fn run_one(&self, program: Program) -> RunOutcome {
        only_run(self.run(&program.0).await)
    }

    /// Runs `second` while `first` waits behind its first words.
    async fn run_beside(&self, first: &str, second: &str) -> (RunOutcome, RunOutcome) {
        let (first, interaction, keys) = holding(first);
        let (sender, progress) = mpsc::channel(16);
        let never = CancellationToken::new();
        let first = self
            .sandbox
            .run_with(&first.0, Some(interaction), sender, never);
        let second = self.run_one(Program::python(second));
        let (first, second) = tokio::join!(first, while_it_holds(progress, keys, second));
        (only_run(first.unwrap()), second)
    }
}

fn host(body: &mut ContainerCreateBody) -> &mut HostConfig {
    body.host_config.as_mut().unwrap()
}

/// Changes the options of every file system in memory.
fn change_tmpfs(body: &mut ContainerCreateBody, change: fn(&str) -> Option<String>) {
    for options in host(body).tmpfs.as_mut().unwrap().values_mut() {
        let changed = options.split(',').filter_map(change);
        *options = changed.collect::<Vec<_>>().join(",");
    }
}

/// The user that programs of this container are, with its group.
fn owner_of_work(body: &mut ContainerCreateBody) -> String {
    let options = &host(body).tmpfs.as_ref().unwrap()["/work"];
    let user = options
        .split(',')
        .find_map(|option| option.strip_prefix("uid="));
    let user = user.unwrap();
    format!("{user}:{user}")
}

fn remove_ulimit(body: &mut ContainerCreateBody, name: &str) {
    let ulimits = host(body).ulimits.as_mut().unwrap();
    ulimits.retain(|ulimit| ulimit.name.as_deref() != Some(name));
}

fn without_profile(body: &mut ContainerCreateBody) {
    let options = host(body).security_opt.as_mut().unwrap();
    options.retain(|option| !option.starts_with("seccomp="));
    options.push("seccomp=unconfined".to_owned());
}

async fn a07_without_the_pids_limit_threads_are_not_counted() {
    let world = world("pids", |body| host(body).pids_limit = Some(-1)).await;
    let run = world.run_one(Program::python(THREADS).processes(20)).await;
    assert_eq!(printed(&run), "200\n");
}

async fn a08_without_the_memory_limit_memory_has_no_end() {
    let weaken: Weaken = |body| (host(body).memory, host(body).memory_swap) = (None, None);
    let world = world("memory", weaken).await;
    let run = world.run_one(Program::python(HOARD).memory_mib(64)).await;
    assert_eq!(printed(&run), "enough\n");
}

async fn a12_in_the_hosts_ipc_namespace_shared_memory_stays() {
    let weaken: Weaken = |body| host(body).ipc_mode = Some("host".to_owned());
    let world = world("ipc", weaken).await;
    let key = format!("{}", 0x4343_0000 + std::process::id());
    let leave = "
import ctypes, sys
print(ctypes.CDLL(None).shmget(int(sys.argv[1]), 4096, 0o1666) >= 0)
";
    let find = "
import ctypes, sys
libc = ctypes.CDLL(None)
segment = libc.shmget(int(sys.argv[1]), 0, 0)
print(segment >= 0, libc.shmctl(segment, 0, None))
";
    let run = world.run_one(Program::python(leave).args(&[&key])).await;
    assert_eq!(printed(&run), "True\n");
    let run = world.run_one(Program::python(find).args(&[&key])).await;
    // Only whoever made it removes it, and that was another user.
    let left = Command::new("ipcrm").args(["-M", &key]).status();
    assert_eq!(printed(&run), "True -1\n");
    assert!(left.unwrap().success());
}

/// How far it comes then depends on how much swap there is.
async fn a14_without_the_swap_limit_a_program_may_swap() {
    let world = world("swap", |body| host(body).memory_swap = Some(-1)).await;
    let run = world.run_one(Program::python(SWAPPED).memory_mib(64)).await;
    assert_eq!(run.stdout.data, "may swap\n");
}

/// A file ends at the size that one may have then; there is room for the next one.
async fn a16_without_sizes_files_fill_more_than_their_places() {
    let weaken: Weaken = |body| {
        change_tmpfs(body, |option| {
            (!option.starts_with("size=")).then(|| option.to_owned())
        });
    };
    let world = world("sizes", weaken).await;
    let run = world.run_one(Program::python(FILL).memory_mib(256)).await;
    assert_eq!(
        printed(&run),
        "/work 64 EFBIG\n/tmp 64 EFBIG\n/dev/shm 64 EFBIG\n"
    );
}

async fn a16_without_the_file_size_limit_a_file_has_any_size() {
    let world = world("fsize", |body| remove_ulimit(body, "fsize")).await;
    let run = world.run_one(Program::python(SPARSE)).await;
    assert_eq!(printed(&run), "1024\n");
}

async fn a17_without_the_inode_limits_files_have_no_number() {
    let weaken: Weaken = |body| {
        change_tmpfs(body, |option| {
            (!option.starts_with("nr_inodes=")).then(|| option.to_owned())
        });
    };
    let world = world("inodes", weaken).await;
    let run = world.run_one(Program::python(INODES)).await;
    let places = ["/work", "/tmp", "/dev/shm"];
    assert_eq!(
        printed(&run),
        places
            .map(|place| format!("{place} has no limit\n"))
            .concat()
    );
}

async fn a19_without_the_descriptor_limit_there_are_more() {
    let world = world("nofile", |body| remove_ulimit(body, "nofile")).await;
    let run = world.run_one(Program::python(DESCRIPTORS)).await;
    assert_eq!(printed(&run), "no limit\n");
}

async fn a20_with_a_log_driver_output_is_on_the_disk() {
    let weaken: Weaken = |body| {
        host(body).log_config.as_mut().unwrap().typ = Some("json-file".to_owned());
    };
    let world = world("log", weaken).await;
    assert!(is_logged(&world).await);
}

async fn a41_on_the_bridge_the_host_answers() {
    let weaken: Weaken = |body| {
        body.network_disabled = None;
        host(body).network_mode = Some("bridge".to_owned());
    };
    let world = world("network", weaken).await;
    let bridge = world.docker.inspect_network("bridge", None).await.unwrap();
    let configs = bridge.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let gateway = configs.into_iter().find_map(|config| config.gateway);
    let gateway = gateway.expect("the bridge has an address");
    let listener = TcpListener::bind((gateway.as_str(), 0)).await.unwrap();
    // Nobody else is asked for: this container could reach them.
    let target = listener.local_addr().unwrap().to_string();
    let run = world
        .run_one(Program::python(NETWORK).args(&[&target]))
        .await;
    let said = printed(&run);
    assert!(said.contains(&format!("{target} answers\n")), "{said}");
    assert!(said.contains("eth0"), "{said}");
}

/// Makes a group of system calls without a profile, and sees that this is not refused.
async fn is_called(name: &str, group: &str, wanted: &str) {
    let world = world(name, without_profile).await;
    let Program(job) = Program::python(CALLS).args(&[group]);
    let (sender, mut progress) = mpsc::channel(16);
    let cancel = CancellationToken::new();
    let run = world.sandbox.run(&job, sender, cancel.clone());
    let listen = async {
        let mut said = String::new();
        while let Some(told) = progress.recv().await {
            if let Progress::Output(_, bytes) = told {
                said += &String::from_utf8_lossy(&bytes);
            }
            // What it does to itself by these is its own affair, and may take for ever.
            if said.contains(wanted) {
                cancel.cancel();
            }
        }
        said
    };
    let (ended, said) = tokio::join!(run, listen);
    assert!(said.contains(wanted), "{said}: {ended:#?}");
}

async fn a42_without_the_profile_there_are_sockets_of_other_families() {
    let world = world("families", without_profile).await;
    let run = world.run_one(Program::python(SOCKETS)).await;
    let said = printed(&run);
    // Of the kernel's own: it may have been built without one or the other.
    assert!(
        said.contains("\nvsock ") && said.contains("\n16 "),
        "{said}"
    );
}

async fn a43_without_the_profile_there_is_io_uring() {
    is_called("io-uring", "io_uring", "io_uring_setup succeeds\n").await;
}

async fn a44_without_the_profile_calls_of_32_bits_are_answered() {
    let world = world("int80", without_profile).await;
    let run = world.run_one(Program::python(INT80)).await;
    assert_eq!(printed(&run), "answered True\n");
}

async fn a45_without_the_profile_there_are_user_namespaces() {
    is_called("namespaces", "namespaces", "unshare user succeeds\n").await;
}

async fn a51_without_the_profile_a_child_can_be_traced() {
    is_called("ptrace", "processes", "ptrace child succeeds\n").await;
}

async fn a56_without_the_profile_there_are_keyrings() {
    is_called("keyrings", "keyrings", "add_key succeeds\n").await;
}

async fn a48_without_the_read_only_root_a_program_writes_into_it() {
    let world = world("root", |body| host(body).readonly_rootfs = Some(false)).await;
    let run = world.run_one(Program::python(WRITE)).await;
    let said = printed(&run);
    assert!(
        said.contains(" /var/tmp") && said.ends_with("opened\n"),
        "{said}"
    );
}

async fn a49_without_noexec_programs_run_anywhere() {
    let weaken: Weaken = |body| {
        change_tmpfs(body, |option| {
            Some(if option == "noexec" { "exec" } else { option }.to_owned())
        });
    };
    let world = world("noexec", weaken).await;
    let run = world.run_one(Program::python(EXECUTE)).await;
    assert_eq!(printed(&run), "/work 0\n/tmp 0\n/dev/shm 0\n");
}

fn without_no_new_privileges(body: &mut ContainerCreateBody) {
    let options = host(body).security_opt.as_mut().unwrap();
    options.retain(|option| option != "no-new-privileges");
}

async fn a49_without_no_new_privileges_a_program_becomes_root() {
    // The agent takes them from each program as well,
    let world = world("privileges", without_no_new_privileges).await;
    assert_eq!(
        printed(&world.run_one(Program::python(SETUID)).await),
        "as before\n"
    );
    // and the engine from the agent.
    let user = |body: &mut ContainerCreateBody| body.user = Some("65534:65534".to_owned());
    assert_eq!(bare(SETUID, user).await, "as before\n");
    let both: Weaken = |body| {
        body.user = Some("65534:65534".to_owned());
        without_no_new_privileges(body);
    };
    let said = bare(SETUID, both).await;
    assert!(said.contains("['65534', '0', '0', '0']"), "{said}");
}

/// Programs have no capability in any case, as the agent drops them all; this is about the agent.
async fn a50_without_dropped_capabilities_root_is_root() {
    let weaken: Weaken = |body| (host(body).cap_drop, host(body).cap_add) = (None, None);
    let world = world("capabilities", weaken).await;
    let run = world.run_one(Program::python(DEVICES)).await;
    assert!(!printed(&run).contains("made"), "{run:#?}");
    let code = "
import os
try: os.chown(os.open('/tmp/x', os.O_CREAT), 1, 1); print('gave a file away')
except PermissionError: print('refused')
";
    assert_eq!(bare(code, |_| {}).await, "refused\n");
    assert_eq!(bare(code, weaken).await, "gave a file away\n");
}

/// Either of two things keeps a program out: another user, and that the agent cannot be dumped.
async fn a53_without_a_user_of_its_own_a_program_writes_into_the_agents_streams() {
    let code = "
import ctypes, os, sys
def child(split, undumpable):
    libc = ctypes.CDLL(None)
    libc.prctl(4, 0 if undumpable else 1, 0, 0, 0)
    if os.fork() == 0:
        if split: os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
        libc.prctl(4, 1, 0, 0, 0)
        try: os.close(os.open('/proc/1/fd/1', os.O_WRONLY)); text = b'reached'
        except OSError: text = b'refused'
        os.write(1, text + b' ')
        os._exit(0)
    os.wait()
for split in 0, 1:
    for undumpable in 0, 1: child(split, undumpable)
";
    // As root, without the right to look into others that root usually has.
    let said = bare(code, |_| {}).await;
    assert_eq!(said, "reached refused refused refused ");
}

async fn a56_without_the_mask_locks_are_a_channel() {
    let world = world("locks", |body| host(body).masked_paths = None).await;
    let (held, seen) = world.run_beside(LOCKS_HELD, LOCKS_SEEN).await;
    assert_eq!((printed(&held), printed(&seen)), ("held\n", "seen\n"));
}

async fn a56_with_one_user_for_all_what_the_kernel_counts_is_shared() {
    let weaken: Weaken = |body| {
        change_tmpfs(body, |option| {
            let id = ["uid=", "gid="]
                .into_iter()
                .find(|id| option.starts_with(id));
            Some(id.map_or_else(|| option.to_owned(), |id| format!("{id}65534")))
        });
    };
    let world = world("users", weaken).await;
    let (held, seen) = world.run_beside(WATCHES_HELD, WATCHES_SEEN).await;
    assert_eq!((printed(&held), printed(&seen)), ("held\n", "none left\n"));
}

async fn a60_without_the_core_limit_there_are_cores() {
    // The agent sets the same limit,
    let world = world("core", |body| remove_ulimit(body, "core")).await;
    assert_eq!(
        printed(&world.run_one(Program::python(CORE)).await),
        "refused\n['main.py']\n"
    );
    let work = |body: &mut ContainerCreateBody| {
        body.user = Some(owner_of_work(body));
        body.working_dir = Some("/work".to_owned());
    };
    assert_eq!(bare(CORE, work).await, "refused\n[]\n");
    // which is the only one then.
    let both: Weaken = |body| {
        body.user = Some(owner_of_work(body));
        body.working_dir = Some("/work".to_owned());
        remove_ulimit(body, "core");
    };
    let said = bare(CORE, both).await;
    assert!(said.starts_with("granted\n['core"), "{said}");
}

async fn a72_without_the_profile_a_program_types_on_its_own_terminal() {
    let world = world("terminal", without_profile).await;
    let run = terminal::run(&world, Program::python(CONTROLS), async |_| {}).await;
    // Nothing is heard of it any more once it has another line discipline.
    assert!(run.stdout.data.contains("xTIOCSTI done"), "{run:#?}");
}

/// What the engine was asked for last, and the right to ask next.
static ASKED_FOR: Mutex<Option<ContainerCreateBody>> = Mutex::new(None);
static NEXT: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Runs a program of Python in the agent's place, in a container that is made as all others are,
/// but for `weaken`; gives what it prints.
async fn bare(code: &str, weaken: Weaken) -> String {
    let remember: Weaken = |body| {
        *ASKED_FOR.lock().unwrap_or_else(PoisonError::into_inner) = Some(body.clone());
    };
    let world = world("bare", remember).await;
    let next = NEXT.lock().await;
    let run = world.run_one(Program::python("")).await;
    let asked_for = ASKED_FOR
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    drop(next);
    assert_eq!(run.verdict, Verdict::Accepted);
    let mut body = asked_for.unwrap();
    body.entrypoint = Some(["python3", "-u", "-c", code].map(str::to_owned).into());
    weaken(&mut body);

    let options = None::<CreateContainerOptions>;
    let id = world
        .docker
        .create_container(options, body)
        .await
        .unwrap()
        .id;
    let options = AttachContainerOptionsBuilder::new()
        .stream(true)
        .stdout(true)
        .stderr(true);
    let attached = world
        .docker
        .attach_container(&id, Some(options.build()))
        .await;
    let mut output = attached.unwrap().output;
    let options = None::<StartContainerOptions>;
    world.docker.start_container(&id, options).await.unwrap();
    let mut said = String::new();
    while let Some(Ok(LogOutput::StdOut { message } | LogOutput::StdErr { message })) =
        output.next().await
    {
        said += &String::from_utf8_lossy(&message);
    }
    let options = RemoveContainerOptionsBuilder::new().force(true).build();
    world
        .docker
        .remove_container(&id, Some(options))
        .await
        .unwrap();
    said
}
