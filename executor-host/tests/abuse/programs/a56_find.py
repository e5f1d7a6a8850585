# Looks for what a56_hold.py holds, and prints what it finds.
import ctypes, fcntl, os, socket

libc = ctypes.CDLL(None, use_errno=True)
lock = open('/usr/share/codecrafter/hello.py')
lock.read()
try: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError: print('the lock')
for family, address in [(socket.AF_UNIX, '\0channel'), (socket.AF_INET, ('127.0.0.1', 4711))]:
    try: socket.socket(family).connect(address); print('a socket', address)
    except OSError: pass
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.sendto(b'x', ('127.0.0.1', 4711))
for path in ['/dev/shm/channel', '/tmp/channel']:
    if os.path.exists(path): print(path)
open('/tmp/other', 'w').close()
for name in 'shmget', 'msgget', 'semget':
    if getattr(libc, name)(4711, 0, 0) >= 0: print(name)
for path, header in ('unix', 1), ('tcp', 1), ('packet', 1):
    lines = open('/proc/net/' + path).read().splitlines()[header:]
    if any('channel' in line or ':1267 ' in line for line in lines): print(path)
if len([name for name in os.listdir('/proc') if name.isdigit()]) != 2: print('a process')
