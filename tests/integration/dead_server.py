#!/usr/bin/env python3
"""Servers on loopback that answer nothing of use.

usage: dead_server.py HOW...

Prints a port for each HOW, one a line, and stays until it is killed:
  full    no connection is made: the packets for it are dropped
  silent  connections are taken, and requests; nothing comes back
  reset   connections are reset
  busy    503, and to come again after half a minute
"""
import socket
import struct
import sys
import threading
import time

BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 30\r\nConnection: close\r\n\r\n"
kept = []


def full(server):
    """A queue of connections that nobody takes is soon full; then packets are dropped."""
    for _ in range(4):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(server.getsockname())
        kept.append(s)


def serve(server, how):
    while True:
        c, _ = server.accept()
        if how == "silent":
            kept.append(c)
            continue
        if how == "busy":
            c.recv(65536)
            c.sendall(BUSY)
        else:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()


for how in sys.argv[1:]:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0 if how == "full" else 64)
    kept.append(server)
    if how == "full":
        full(server)
    else:
        threading.Thread(target=serve, args=(server, how), daemon=True).start()
    print(server.getsockname()[1], flush=True)
time.sleep(3600)
