//! What a program is, and what it is given in spite of the walls. What it tries against them:
//! `tests/abuse`.

use crate::world::{World, job, only_run, printed};

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_program_has_no_rights_and_no_way_to_any() {
    let world = World::new("rights").await;
    let code = "
for line in open('/proc/self/status'):
    name, value = line.split(':')
    if name in 'Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp'.split():
        print(name, *value.split())
import grp, os, pwd
print(os.getuid() > 65536, os.getuid() == os.getgid())
print(*pwd.getpwuid(os.getuid())[:1], pwd.getpwuid(os.getuid()).pw_dir, grp.getgrgid(os.getgid()).gr_name)
print(os.getsid(0) == os.getpid(), os.umask(0) == 0o022)
";
    let expected = "\
Groups
CapInh 0000000000000000
CapPrm 0000000000000000
CapEff 0000000000000000
CapBnd 0000000000000000
CapAmb 0000000000000000
NoNewPrivs 1
Seccomp 2
True True
sandbox /work sandbox
True True
";
    assert_eq!(printed(&world.python(code).await), expected);
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
