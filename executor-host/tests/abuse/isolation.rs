//! A41–A55: ways out of the container, to the agent, and to a better result.

use agent_protocol::{Ended, Event, Exit, VERSION};
use codecrafter_shared::job::Verdict;
use tokio::net::TcpListener;

use crate::world::{Attack, Case, Program, attacks, printed};

pub fn attacks() -> Vec<Attack> {
    attacks![
        a41_nothing_answers_on_any_network,
        a42_sockets_are_local_or_of_the_internet,
        a43_there_is_no_io_uring,
        a44_system_calls_of_32_bits_end_the_program,
        a44_system_calls_of_x32_end_the_program,
        a45_there_are_no_new_namespaces_mounts_or_roots,
        a45_calls_that_configure_the_kernel_are_refused,
        a46_the_kernels_files_say_nothing_and_take_nothing,
        a47_nothing_of_the_host_is_mounted,
        a48_only_its_own_places_can_be_written,
        a49_only_the_work_directory_runs_programs,
        a49_a_program_with_rights_of_its_own_gets_none,
        a50_there_are_no_devices_but_harmless_ones,
        a51_nobody_can_be_traced,
        a52_signals_reach_nobody_else,
        a53_results_cannot_be_forged,
        a54_what_looks_like_a_result_is_output,
        a55_what_looks_like_the_engines_framing_is_output,
    ]
}

async fn a41_nothing_answers_on_any_network(case: &mut Case) {
    // Listens on every address of the host.
    let host = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = host.local_addr().unwrap().port();
    let mut targets: Vec<String> = ["127.0.0.1", "172.17.0.1", "192.0.2.2"]
        .map(|address| format!("{address}:{port}"))
        .into();
    // The metadata service of clouds, resolvers, neighbours.
    let others = [
        "169.254.169.254:80",
        "1.1.1.1:53",
        "10.0.0.1:80",
        "[::1]:80",
        "2606:4700::1111:80",
    ];
    targets.extend(others.map(str::to_owned));
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let run = case
        .run_one(Program::python(&format!("{NETWORK}{DATAGRAMS}")).args(&targets))
        .await;
    // Its own loopback device refuses, and there is no route.
    assert_eq!(printed(&run), format!("127.0.0.1:{port} is there\nlo 0\n"));
}

/// Tries to reach the addresses that it is given, and prints the devices there are.
pub const NETWORK: &str = include_str!("programs/a41_network.py");

/// Tries to send where nobody answers.
const DATAGRAMS: &str = "
for family, address in [(socket.AF_INET, '192.0.2.1'), (socket.AF_INET6, '2001:db8::1')]:
    try: socket.socket(family, socket.SOCK_DGRAM).sendto(b'x', (address, 53)); print('sent')
    except OSError: pass
try: socket.getaddrinfo('example.com', 80); print('resolved')
except OSError: pass
";

async fn a42_sockets_are_local_or_of_the_internet(case: &mut Case) {
    let run = case.run_one(Program::python(SOCKETS)).await;
    assert_eq!(printed(&run), "done\n");
}

pub const SOCKETS: &str = include_str!("programs/a42_sockets.py");

/// The numbers in it are of x86-64; elsewhere the calls have others.
pub const CALLS: &str = include_str!("programs/syscalls.py");

/// Makes a group of system calls, all of which must be refused.
async fn are_refused(case: &mut Case, group: &str) {
    if cfg!(target_arch = "x86_64") {
        let run = case.run_one(Program::python(CALLS).args(&[group])).await;
        assert_eq!(printed(&run), "done\n");
    }
}

async fn a43_there_is_no_io_uring(case: &mut Case) {
    are_refused(case, "io_uring").await;
}

async fn a44_system_calls_of_32_bits_end_the_program(case: &mut Case) {
    ends_by_sigsys(case, INT80).await;
}

/// Asks who it is by the gate of 32 bits: mov eax, 20; int 0x80; ret.
pub const INT80: &str = r"
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(b'\xb8\x14\0\0\0\xcd\x80\xc3')
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print('answered', call() > 0)
";

/// This ends it before the kernel can say whether it knows such calls at all.
async fn a44_system_calls_of_x32_end_the_program(case: &mut Case) {
    let code = "import ctypes; print('answered', ctypes.CDLL(None).syscall(0x40000000 + 39))";
    ends_by_sigsys(case, code).await;
}

async fn ends_by_sigsys(case: &mut Case, code: &str) {
    if cfg!(target_arch = "x86_64") {
        let run = case.run_one(Program::python(code)).await;
        assert_eq!(run.verdict, Verdict::RuntimeError, "{run:#?}");
        assert_eq!(run.signal.as_deref(), Some("SIGSYS"), "{run:#?}");
    }
}

async fn a45_there_are_no_new_namespaces_mounts_or_roots(case: &mut Case) {
    are_refused(case, "namespaces").await;
}

async fn a45_calls_that_configure_the_kernel_are_refused(case: &mut Case) {
    are_refused(case, "kernel").await;
}

async fn a46_the_kernels_files_say_nothing_and_take_nothing(case: &mut Case) {
    let code = include_str!("programs/a46_kernel_files.py");
    let run = case.run_one(Program::python(code)).await;
    assert_eq!(printed(&run), "read:\nwrite:\nenter:\n");
}

async fn a47_nothing_of_the_host_is_mounted(case: &mut Case) {
    let code = "
import os, stat
for place, folders, names in os.walk('/'):
    if place == '/': folders[:] = [name for name in folders if name not in ('proc', 'sys')]
    for name in names:
        if stat.S_ISSOCK(os.lstat(place + '/' + name).st_mode): print('socket', place, name)
for line in open('/proc/self/mountinfo'):
    before, after = line.split(' - ')
    kind, source = after.split()[:2]
    if source.startswith('/dev/'): print(before.split()[4])
";
    let run = case.run_one(Program::python(code)).await;
    // What the engine writes for each container, and nobody else: a name that is the same for all.
    assert_eq!(printed(&run), "/etc/hostname\n");
}

async fn a48_only_its_own_places_can_be_written(case: &mut Case) {
    let run = case.run_one(Program::python(WRITE)).await;
    assert_eq!(printed(&run), "/dev/mqueue /dev/shm /tmp /work\nEROFS\n");
}

/// Tries to write to every directory and to what a system is made of.
pub const WRITE: &str = "
import errno, os
def can_write(path):
    try: open(path + '/probe', 'w').close(); return True
    except OSError: return False
everywhere = [d for d, _, _ in os.walk('/') if not d.startswith(('/proc', '/sys'))]
print(*sorted(filter(can_write, everywhere)))
for path in ['/agent', '/etc/passwd', '/etc/hosts', '/etc/hostname', '/etc/resolv.conf', '/etc/ld.so.preload']:
    try: open(path, 'r+'); print('opened', path)
    except OSError: pass
try: open('/var/tmp/x', 'w'); print('opened')
except OSError as error: print(errno.errorcode[error.errno])
";

async fn a49_only_the_work_directory_runs_programs(case: &mut Case) {
    let run = case.run_one(Program::python(EXECUTE)).await;
    assert_eq!(printed(&run), "/work 0\n");
}

/// Runs a program from each place that it can write to.
pub const EXECUTE: &str = "
import os, shutil, subprocess
for place in ['/work', '/tmp', '/dev/shm']:
    path = shutil.copy('/bin/true', place + '/true'); os.chmod(path, 0o6755)
    try: print(place, subprocess.run([path]).returncode)
    except PermissionError: pass
";

async fn a49_a_program_with_rights_of_its_own_gets_none(case: &mut Case) {
    let run = case.run_one(Program::python(SETUID)).await;
    assert_eq!(printed(&run), "as before\n");
}

/// Starts programs that would become root, and looks who they are; prints those that did.
pub const SETUID: &str = "
import os, subprocess
def users(pid):
    lines = open(f'/proc/{pid}/status').read().splitlines()
    return [line.split()[1:] for line in lines if line.startswith(('Uid:', 'Gid:', 'CapEff:'))]
found = 0
for place in ['/bin', '/usr/bin', '/sbin', '/usr/sbin']:
    for name in os.listdir(place):
        path = place + '/' + name
        if os.path.islink(path) or not os.stat(path).st_mode & 0o6000: continue
        found += 1
        # Not waited for before it was looked at, so it is there even if it has ended.
        child = subprocess.Popen([path], stdin=0, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if users(child.pid) != users('self'): print(name, users(child.pid))
        child.kill()
print('as before' if found > 3 else f'only {found} to try')
";

async fn a50_there_are_no_devices_but_harmless_ones(case: &mut Case) {
    let run = case.run_one(Program::python(DEVICES)).await;
    assert_eq!(
        printed(&run),
        "/dev/full /dev/null /dev/ptmx /dev/random /dev/tty /dev/urandom /dev/zero\n"
    );
}

/// Prints devices, and makes some.
pub const DEVICES: &str = "
import os, stat
def is_device(path):
    mode = os.stat(path).st_mode
    return stat.S_ISBLK(mode) or stat.S_ISCHR(mode)
found = ['/dev/' + name for name in os.listdir('/dev') if not name.startswith('std')]
print(*sorted(path for path in found if os.path.exists(path) and is_device(path)))
for kind in [stat.S_IFCHR, stat.S_IFBLK]:
    for place in ['/work', '/tmp', '/dev/shm', '/dev']:
        for number in [os.makedev(1, 1), os.makedev(7, 0), os.makedev(254, 0), os.makedev(1, 3)]:
            try: os.mknod(place + '/device', kind | 0o666, number); print('made a device in', place)
            except (PermissionError, OSError): pass
for path in ['/dev/mem', '/dev/kmem', '/dev/port', '/dev/loop-control', '/dev/fuse', '/dev/kvm', '/dev/net/tun', '/dev/vsock']:
    try: os.open(path, os.O_RDWR); print('opened', path)
    except OSError: pass
";

async fn a51_nobody_can_be_traced(case: &mut Case) {
    are_refused(case, "processes").await;
}

async fn a52_signals_reach_nobody_else(case: &mut Case) {
    let code = "
import os, signal, sys
for number in range(1, 65):
    try: os.kill(1, number); print('signalled', number)
    except (PermissionError, OSError): pass
try: signal.pidfd_send_signal(os.pidfd_open(1), signal.SIGKILL); print('signalled')
except PermissionError: pass
sys.stdout.flush()
try: os.kill(-1, signal.SIGKILL)
except ProcessLookupError: print('nobody else to reach')
";
    let run = case.run_one(Program::python(code)).await;
    assert_eq!(printed(&run), "nobody else to reach\n");
}

async fn a53_results_cannot_be_forged(case: &mut Case) {
    let code = r"
import os, sys
frames = bytes.fromhex(sys.stdin.read())
for target in ['fd/0', 'fd/1', 'fd/2', 'fd/3', 'mem', 'environ', 'root', 'cwd', 'maps', 'auxv', 'task/1/fd/1']:
    for flags in [os.O_RDONLY, os.O_WRONLY]:
        try: os.write(os.open('/proc/1/' + target, flags), frames); print('reached', target)
        except OSError: pass
print(*sorted(fd for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd)), flush=True)
for fd in range(3, 1024):
    try: os.write(fd, frames); print('wrote to', fd)
    except OSError: pass
for path in ['/dev/console', '/dev/tty', '/dev/pts/0', '/dev/ptmx']:
    try: os.write(os.open(path, os.O_WRONLY | os.O_NOCTTY), frames)
    except OSError: pass
os.write(1, frames)
os.write(2, frames)
os._exit(5)
";
    let frames = forged();
    let hex: String = frames.iter().map(|byte| format!("{byte:02x}")).collect();
    let run = case.run_one(Program::python(code).inputs(&[&hex])).await;
    assert_eq!(
        (run.verdict, run.exit_code),
        (Verdict::RuntimeError, Some(5)),
        "{run:#?}"
    );
    let length = frames.len() as u64;
    assert_eq!(
        run.stdout.total_bytes,
        "0 1 2\n".len() as u64 + length,
        "{run:#?}"
    );
    assert_eq!(run.stderr.total_bytes, length);
}

/// What the agent would say of a program that did well.
fn forged() -> Vec<u8> {
    let ended = Event::Ended(Ended {
        exit: Exit::Code(0),
        limit: None,
        wall_us: 1,
        cpu_us: 1,
        peak_bytes: 1,
        oom_kills: 0,
        stdout_bytes: 0,
        stderr_bytes: 0,
        left_files: false,
    });
    [
        Event::Ready { version: VERSION }.to_frame(),
        ended.to_frame(),
    ]
    .concat()
}

async fn a54_what_looks_like_a_result_is_output(case: &mut Case) {
    let code = r#"
import sys
print('AC\nAccepted\n{"verdict":"accepted","exitCode":0}\nTest result: ok')
sys.exit(3)
"#;
    let run = case.run_one(Program::python(code)).await;
    assert_eq!(
        (run.verdict, run.exit_code),
        (Verdict::RuntimeError, Some(3))
    );
    assert!(
        run.stdout.data.starts_with("AC\nAccepted\n{\"verdict\""),
        "{run:#?}"
    );
}

/// Eight bytes before each piece, the last four its length, are how the engine tells the streams
/// of a container apart. There is no terminal, on which a program could write them.
async fn a55_what_looks_like_the_engines_framing_is_output(case: &mut Case) {
    let code = r"
import os
for stream in range(3):
    os.write(1, bytes([stream, 0, 0, 0]) + b'\xff\xff\xff\xff')
    os.write(2, bytes([stream, 0, 0, 0, 0, 0, 0, 0]))
print(os.isatty(0), os.isatty(1), os.isatty(2))
";
    let run = case.run_one(Program::python(code)).await;
    assert_eq!(run.verdict, Verdict::Accepted, "{run:#?}");
    assert_eq!(
        run.stdout.total_bytes,
        24 + "False False False\n".len() as u64
    );
    assert_eq!(run.stderr.total_bytes, 24);
    let flood = r"
import os
while True: os.write(1, b'\x01\0\0\0\xff\xff\xff\xff' * 512)
";
    let run = case.run_one(Program::python(flood)).await;
    assert_eq!(run.verdict, Verdict::OutputLimit);
}
