# Asks for a socket of every family there could be, and prints those that are to be had.
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
LOCAL, INTERNET, INTERNET6, VSOCK = 1, 2, 10, 40
for family in range(64):
    for kind in range(1, 7):
        fd = libc.socket(family, kind, 0)
        error = errno.errorcode[ctypes.get_errno()] if fd == -1 else None
        if family in (LOCAL, INTERNET, INTERNET6):
            # A raw one would need a right of its own.
            if fd != -1 and kind not in (1, 2, 5) and family != LOCAL: print(family, kind, 'opened')
        elif error != 'EPERM':
            print('vsock' if family == VSOCK else family, error or 'opened')
            break
for family in (INTERNET, 16, VSOCK):
    pair = (ctypes.c_int * 2)()
    if libc.socketpair(family, 1, 0, pair) == 0: print('a pair of', family)
for protocol in (1, 6, 255):
    if libc.socket(INTERNET, 3, protocol) != -1: print('raw', protocol)
print('done')
