# Searches all that it can read for the inputs of other runs.
import os, sys

needle = '-'.join(['needle', 'of', 'another', 'run']).encode()
own = sys.stdin.read()
found = []
for top in ['/work', '/tmp', '/dev/shm', '/dev/mqueue', '/run', '/var', '/proc/1', '/proc/self']:
    for place, folders, names in os.walk(top):
        if place.count('/') > 6: folders.clear()
        for name in names:
            path = place + '/' + name
            # What it knows itself does not count, and some of the kernel's files have no end.
            if path.startswith('/proc/self') and name in ('mem', 'pagemap', 'kmsg', 'clear_refs'): continue
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                if needle in os.read(fd, 1 << 20): found.append(path)
                os.close(fd)
            except OSError: pass
print(*found or ['nothing'])
