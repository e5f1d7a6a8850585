# Holds something of everything that another program could meet, and looks whether it does.
import ctypes, fcntl, os, socket

libc = ctypes.CDLL(None, use_errno=True)
SHARED = '/usr/share/codecrafter/hello.py'
watch = libc.inotify_init1(os.O_NONBLOCK)
libc.inotify_add_watch(watch, SHARED.encode(), 0xfff)
libc.inotify_add_watch(watch, b'/tmp', 0xfff)
lock = open(SHARED)
fcntl.flock(lock, fcntl.LOCK_EX)
local = socket.socket(socket.AF_UNIX)
local.bind('\0channel')
local.listen()
tcp = socket.create_server(('127.0.0.1', 4711))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(('127.0.0.1', 4711))
open('/dev/shm/channel', 'w').write('x')
os.mkfifo('/tmp/channel', 0o666)
memory = libc.shmget(4711, 4096, 0o1666)
queue = libc.msgget(4711, 0o1666)
semaphore = libc.semget(4711, 1, 0o1666)
assert min(memory, queue, semaphore) >= 0
os.read(watch, 65536)
print('held', flush=True)
input()
for s in local, tcp, udp:
    s.setblocking(False)
    try: print(s.recv(1) if s is udp else s.accept())
    except BlockingIOError: pass
try: print(os.read(watch, 65536))
except BlockingIOError: print('nothing happened')
