# Prints every file of the kernel's that can be written, and every one of these that says something.
import os
def try_read(path):
    try: return os.read(os.open(path, os.O_RDONLY), 1)
    except OSError: return b''
def can_write(path):
    try: os.close(os.open(path, os.O_WRONLY)); return True
    except OSError: return False
secret = ['kcore', 'kmsg', 'keys', 'timer_list', 'sched_debug', 'latency_stats', 'kpageflags', 'kpagecount',
          'vmallocinfo', 'acpi/event', 'scsi/scsi', '1/environ', '1/mem', '1/maps', '1/auxv',
          '1/stack', '1/syscall', '1/io', '1/pagemap']
print('read:', *[path for path in secret if try_read('/proc/' + path)])
switches = ['/proc/sysrq-trigger', '/proc/kmsg', '/proc/mtrr', '/proc/1/mem', '/proc/1/oom_score_adj']
for top in ['/proc/sys', '/proc/irq', '/proc/bus', '/proc/fs', '/sys/fs', '/sys/kernel', '/sys/module', '/sys/power', '/sys/devices/system']:
    for place, _, names in os.walk(top): switches += [place + '/' + name for name in names]
print('write:', *filter(can_write, switches))
def can_enter(path):
    try: os.readlink(path); os.listdir(path); return True
    except OSError: return False
print('enter:', *[name for name in ['fd', 'root', 'cwd', 'exe', 'map_files', 'ns'] if can_enter('/proc/1/' + name)])
def write(path, text):
    try: os.write(os.open(path, os.O_WRONLY), text); print('wrote', path)
    except OSError: pass
write('/proc/self/oom_score_adj', b'-1000')
write('/proc/self/uid_map', b'0 0 1')
write('/proc/self/gid_map', b'0 0 1')
