//! The walls: what a program tries in order to get out, to be heard elsewhere, or to lie about
//! itself, and what comes of it.

use codecrafter_shared::job::Verdict;

use crate::world::{World, job, only_run, printed};

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_program_has_no_rights_and_no_way_to_any() {
    let world = World::new("rights").await;
    let code = "
for line in open('/proc/self/status'):
    name, value = line.split(':')
    if name in 'Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp'.split():
        print(name, *value.split())
import os
print(os.getsid(0) == os.getpid(), os.umask(0) == 0o022)
";
    let expected = "\
Uid 65534 65534 65534 65534
Gid 65534 65534 65534 65534
Groups
CapInh 0000000000000000
CapPrm 0000000000000000
CapEff 0000000000000000
CapBnd 0000000000000000
CapAmb 0000000000000000
NoNewPrivs 1
Seccomp 2
True True
";
    assert_eq!(printed(&world.python(code).await), expected);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_program_sees_only_its_own_streams_and_environment() {
    let world = World::new("fds").await;
    let code = "
import os
fds = os.listdir('/proc/self/fd')
print(sorted(fd for fd in fds if os.path.exists('/proc/self/fd/' + fd)))
print(sorted(os.environ.items()))
print(os.getcwd(), os.uname().nodename)
";
    let expected = "\
['0', '1', '2']
[('HOME', '/work'), ('LANG', 'C.UTF-8'), \
('PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'), \
('PYTHONDONTWRITEBYTECODE', '1'), ('PYTHONUNBUFFERED', '1')]
/work sandbox
";
    assert_eq!(printed(&world.python(code).await), expected);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_program_cannot_reach_the_agent_or_speak_in_its_place() {
    let world = World::new("forge").await;
    // A whole frame that says: exited with code 0. First by the agent's own streams, then by
    // every descriptor there could be, then on the program's output, where it is only bytes.
    let code = r"
import os, signal
ended = b'\x2f\0\0\0\x03\x01\0\0\0\0\0' + bytes(40)
for target in ['fd/0', 'fd/1', 'fd/2', 'mem', 'environ', 'root', 'cwd', 'maps', 'auxv']:
    for flags in [os.O_RDONLY, os.O_WRONLY]:
        try:
            os.write(os.open('/proc/1/' + target, flags), ended)
            print('reached', target)
        except OSError: pass
for fd in range(3, 1024):
    try: os.write(fd, ended); print('wrote to', fd)
    except OSError: pass
for number in range(1, 65):
    try: os.kill(1, number); print('signalled', number)
    except PermissionError: pass
    except OSError: pass
os.write(1, ended)
os._exit(5)
";
    let run = world.python(code).await;
    assert_eq!(
        (run.verdict, run.exit_code),
        (Verdict::RuntimeError, Some(5)),
        "{run:#?}"
    );
    assert_eq!(run.stdout.total_bytes, 51);
    assert!(
        run.stdout.data.starts_with("/\0\0\0\u{3}"),
        "{:?}",
        run.stdout
    );
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_program_that_kills_everything_it_can_kills_only_itself() {
    let world = World::new("kill").await;
    let run = world
        .python("import os, signal; os.kill(-1, signal.SIGKILL); print('on')")
        .await;
    // The call does not reach its caller, and there is nobody else to reach.
    assert!(
        run.verdict == Verdict::RuntimeError || run.stdout.data == "on\n",
        "{run:#?}"
    );
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn there_is_no_network_of_any_kind() {
    let world = World::new("network").await;
    let code = "
import socket
for target in ['1.1.1.1', '169.254.169.254', '172.17.0.1', '10.0.0.1']:
    try: socket.create_connection((target, 80), timeout=5); print('reached', target)
    except OSError: pass
try: socket.create_connection(('2606:4700::1111', 80), timeout=5); print('reached v6')
except OSError: pass
try: socket.getaddrinfo('example.com', 80); print('resolved')
except OSError: pass
print(open('/proc/net/dev').read().count(':'))
for family in ['AF_VSOCK', 'AF_NETLINK', 'AF_ALG', 'AF_PACKET', 'AF_BLUETOOTH']:
    try: socket.socket(getattr(socket, family), socket.SOCK_RAW if family == 'AF_PACKET' else socket.SOCK_SEQPACKET if family == 'AF_ALG' else socket.SOCK_STREAM); print(family, 'opened')
    except PermissionError: pass
    except OSError as error: print(family, error)
try: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); print('raw socket')
except PermissionError: pass
a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))
";
    assert_eq!(printed(&world.python(code).await), "1\nb'x'\n");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn nothing_but_its_own_places_can_be_written() {
    let world = World::new("read-only").await;
    let code = "
import os
def can_write(path):
    try: open(path + '/probe', 'w').close(); return True
    except OSError: return False
everywhere = [d for d, _, _ in os.walk('/') if not d.startswith(('/proc/', '/sys/'))]
print(sorted(filter(can_write, everywhere)))
for path in ['/proc/sysrq-trigger', '/proc/sys/kernel/core_pattern', '/proc/self/oom_score_adj_',
             '/sys/fs/cgroup/cgroup.procs', '/agent', '/etc/passwd', '/etc/hosts', '/dev/mem']:
    try: open(path, 'r+'); print('opened', path)
    except OSError: pass
for kind in [0o20666, 0o60666]:
    try: os.mknod('/work/device', kind, os.makedev(1, 3)); print('made a device')
    except PermissionError: pass
mounts = [line.split()[4] for line in open('/proc/self/mountinfo')]
print([path for path in mounts if 'sock' in path or path.startswith(('/host', '/mnt', '/var'))])
";
    assert_eq!(
        printed(&world.python(code).await),
        "['/dev/mqueue', '/dev/shm', '/tmp', '/work']\n[]\n"
    );
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn only_the_work_directory_runs_programs() {
    let world = World::new("noexec").await;
    let code = "
import os, shutil, subprocess
for place in ['/work', '/tmp', '/dev/shm']:
    path = shutil.copy('/bin/true', place + '/true'); os.chmod(path, 0o6755)
    try: print(place, subprocess.run([path]).returncode)
    except PermissionError: pass
";
    assert_eq!(printed(&world.python(code).await), "/work 0\n");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn system_calls_that_reach_beyond_the_container_are_refused() {
    let world = World::new("syscalls").await;
    // Numbers of x86-64; elsewhere the calls have others.
    let code = "
import ctypes, errno, os, platform
if platform.machine() != 'x86_64': raise SystemExit(print('refused'))
libc = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUSER = 0x20000, 0x10000000
calls = {
    'ptrace': (101, 0), 'mount': (165, 0, 0, 0, 0, 0), 'umount2': (166, b'/work', 2),
    'pivot_root': (155, b'/', b'/'), 'chroot': (161, b'/work'), 'setns': (308, 0, 0),
    'unshare': (272, NEWUSER), 'clone': (56, NEWUSER | 17, 0, 0, 0, 0), 'bpf': (321, 0, 0, 0),
    'io_uring_setup': (425, 1, 0), 'io_setup': (206, 1, 0), 'keyctl': (250, 0),
    'add_key': (248, 0, 0, 0, 0, 0), 'request_key': (249, 0, 0, 0, 0),
    'userfaultfd': (323, 0), 'perf_event_open': (298, 0, 0, 0, 0, 0),
    'process_vm_readv': (310, 1, 0, 0, 0, 0, 0), 'process_vm_writev': (311, 1, 0, 0, 0, 0, 0),
    'pidfd_getfd': (438, 0, 0, 0), 'kcmp': (312, 1, 1, 0, 0, 0),
    'name_to_handle_at': (303, -100, b'/', 0, 0, 0), 'open_by_handle_at': (304, 0, 0, 0),
    'fanotify_init': (300, 0, 0), 'init_module': (175, 0, 0, 0), 'kexec_load': (246, 0, 0, 0, 0),
    'personality': (135, 0x0400000), 'syslog': (103, 0, 0, 0), 'fsopen': (430, 0, 0),
    'open_tree': (428, -100, b'/', 0), 'modify_ldt': (154, 0, 0, 0), 'acct': (163, 0),
    'clock_settime': (227, 0, 0), 'swapon': (167, 0, 0), 'reboot': (169, 0, 0, 0, 0),
}
for name, (number, *arguments) in calls.items():
    result = libc.syscall(number, *arguments)
    if result == 0 and name == 'clone': os._exit(0)
    if result != -1 or ctypes.get_errno() != errno.EPERM:
        print(name, result, errno.errorcode.get(ctypes.get_errno()))
if libc.syscall(435, 0, 0) != -1 or ctypes.get_errno() != errno.ENOSYS: print('clone3')
print('refused')
";
    assert_eq!(printed(&world.python(code).await), "refused\n");
}

#[tokio::test]
#[cfg(target_arch = "x86_64")]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_system_call_of_another_architecture_ends_the_program() {
    let world = World::new("int80").await;
    // mov eax, 20 (getpid of i386); int 0x80; ret
    let code = r"
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(b'\xb8\x14\0\0\0\xcd\x80\xc3')
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print('answered', call())
";
    let run = world.python(code).await;
    assert_eq!(
        (run.verdict, run.signal.as_deref()),
        (Verdict::RuntimeError, Some("SIGSYS")),
        "{run:#?}"
    );
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn what_ordinary_programs_need_is_there() {
    let world = World::new("ordinary").await;
    let code = "
import asyncio, concurrent.futures, multiprocessing, os, socket, sqlite3, ssl, subprocess, tempfile
import threading, fcntl
print(subprocess.run(['echo', 'sub'], capture_output=True, text=True).stdout.strip())
with concurrent.futures.ThreadPoolExecutor(4) as pool: print(sum(pool.map(int, '1234')))
if __name__ == '__main__':
    with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))
async def main(): await asyncio.sleep(0); return (await asyncio.to_thread(lambda: 'async'))
print(asyncio.run(main()))
db = sqlite3.connect('data.db'); db.execute('create table t(x)'); db.commit(); print('sqlite')
with tempfile.TemporaryFile() as f: fcntl.flock(f, fcntl.LOCK_EX); print('file')
os.mkfifo('pipe'); print('fifo')
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname()); print('loopback')
";
    let run = only_run(world.run(&job(code)).await);
    assert_eq!(
        printed(&run),
        "sub\n10\n[1, 2]\nasync\nsqlite\nfile\nfifo\nloopback\n"
    );
}
