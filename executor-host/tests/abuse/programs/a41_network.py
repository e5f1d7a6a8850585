# Tries to reach each address:port that it is given, and prints what answers.
import socket, sys
for target in sys.argv[1:]:
    host, port = target.rsplit(':', 1)
    try: socket.create_connection((host, int(port)), timeout=2)
    except ConnectionRefusedError: print(target, 'is there')
    except OSError: continue
    else: print(target, 'answers')
for family in socket.AF_INET, socket.AF_INET6:
    s = socket.socket(family, socket.SOCK_DGRAM)
    try: s.sendto(b'x', ('192.0.2.1' if family == socket.AF_INET else '2001:db8::1', 53))
    except OSError: pass
    else: print('sent a datagram')
try: socket.getaddrinfo('example.com', 80); print('resolved')
except OSError: pass
devices = [line.split(':')[0].strip() for line in open('/proc/net/dev') if ':' in line]
print(*devices, len(open('/proc/net/route').readlines()) - 1)
