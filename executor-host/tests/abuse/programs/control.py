import os, resource, time

for place in ['/work', '/tmp', '/dev/shm', '/dev/mqueue']:
    print(f'{place}: ' + ' '.join(sorted(os.listdir(place))))
print('/proc:', sum(name.isdigit() for name in os.listdir('/proc')))

def lines(path):
    return len(open(path).readlines())
print('System V:', *[lines(f'/proc/sysvipc/{kind}') - 1 for kind in ['shm', 'sem', 'msg']])
# A program is started over a socket that its starter closes when it is given the processor again.
for _ in range(500):
    if lines('/proc/net/unix') > 1: time.sleep(0.01)
print('sockets:', lines('/proc/net/unix') - 1)
# Those of open files name no process, and are seen from everywhere.
print('locks:', sum('OFDLCK' not in line for line in open('/proc/locks')))
print('variables:', *sorted(os.environ))
print(os.getcwd(), oct(os.umask(0)), os.nice(0), resource.getrlimit(resource.RLIMIT_CORE)[0],
      resource.getrlimit(resource.RLIMIT_NOFILE)[0])
