# Tries to reach each address:port that it is given, and prints what answers.
import socket, sys
for target in sys.argv[1:]:
    host, port = target.rsplit(':', 1)
    try: socket.create_connection((host, int(port)), timeout=10)
    except ConnectionRefusedError: print(target, 'is there')
    except OSError: continue
    else: print(target, 'answers')
devices = [line.split(':')[0].strip() for line in open('/proc/net/dev') if ':' in line]
print(*devices, len(open('/proc/net/route').readlines()) - 1)
