# Looks for what it leaves itself, everywhere that something of a program could stay.
import fcntl, os, socket, stat, struct, subprocess, time

PLACES = ['/work', '/tmp', '/dev/shm', '/dev/mqueue', '/var/tmp', '/run', '/run/lock', '/var/lock', '/var/spool/cron', '/home', '/']
OWN = {'main.py'}
found = []
for place in PLACES[:4]:
    found += [name for name in os.listdir(place) if name not in OWN]
found += [path for path in ['/etc/ld.so.preload', '/var/spool/cron/crontabs/nobody'] if os.path.exists(path)]
found += os.listxattr('/work')
if os.umask(0o022) != 0o022 or os.nice(0) != 0: found.append('a setting')
if stat.S_IMODE(os.stat('/work').st_mode) != 0o755: found.append('rights')
def sockets(): return len(open('/proc/net/unix').readlines()) - 1
# A program is started over a socket that its starter closes when it is given the processor again.
for _ in range(500):
    if sockets(): time.sleep(0.01)
if sockets(): found.append('a socket')
GETFLAGS, SETFLAGS, NODUMP, NOATIME = 0x80086601, 0x40086602, 0x40, 0x80
work = os.open('/work', os.O_RDONLY)
def flags():
    try: return struct.unpack('l', fcntl.ioctl(work, GETFLAGS, bytes(8)))[0]
    except OSError: return 0
if flags(): found.append('flags')
print(found)

for place in PLACES:
    for name in ['x', '.bashrc', '.profile', 'sitecustomize.py', 'usercustomize.py', 'libc.so.6', '.pythonrc']:
        try: open(f'{place}/{name}', 'w').write('raise SystemExit(9)')
        except OSError: pass
os.makedirs('/work/__pycache__')
open('/work/__pycache__/main.cpython-313.pyc', 'wb').write(b'x')
open('/work/main.py', 'w').write('raise SystemExit(9)')
os.makedirs('/work/.local/lib/python3.13/site-packages')
open('/work/.local/lib/python3.13/site-packages/usercustomize.py', 'w').write('raise SystemExit(9)')
os.environ['LD_PRELOAD'] = '/work/libc.so.6'
subprocess.run(['crontab', '-'], input=b'* * * * * true') if os.path.exists('/usr/bin/crontab') else None
try: os.setxattr('/work', 'user.mark', b'x')
except OSError: pass
try: fcntl.ioctl(work, SETFLAGS, struct.pack('l', flags() | NODUMP | NOATIME))
except OSError: pass
if os.fork() == 0:
    os.setsid()
    local = socket.socket(socket.AF_UNIX)
    local.bind('\0left')
    while True: pass
os.umask(0)
os.nice(5)
os.chmod('/work', 0o1777)
print('left')
