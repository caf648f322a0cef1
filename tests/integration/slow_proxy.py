#!/usr/bin/env python3
"""A TCP proxy between a client and a registry on loopback that is slow, or cuts a transfer.

usage: slow_proxy.py PORT LOG [--rate BYTES] [--cut BYTES] [--cut-upload BYTES] [--stall BYTES]

Prints its own port. --rate: bytes a second and connection. --cut: the first connection that
carries so many bytes from the server is closed there; --cut-upload: the same for bytes to the
server. --stall: a connection that has carried so many bytes one way moves none after them. LOG gets a
line for each request and for each range asked for, one for the cut, and one for each stall.
"""
import argparse
import re
import socket
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
parser.add_argument("log")
parser.add_argument("--rate", type=int)
parser.add_argument("--cut", type=int)
parser.add_argument("--cut-upload", type=int)
parser.add_argument("--stall", type=int)
args = parser.parse_args()
lock = threading.Lock()


def note(line):
    with lock, open(args.log, "a") as f:
        f.write(line + "\n")


def may_cut():
    with lock:
        mine, args.cut = args.cut, None
    return mine is not None


def may_cut_upload():
    with lock:
        mine, args.cut_upload = args.cut_upload, None
    return mine is not None


def stall(sent):
    if args.stall and sent > args.stall:
        note("stalled")
        threading.Event().wait()


def hang_up(*sockets):
    """Not only shut down: who goes on sending is to be told at once."""
    for s in sockets:
        quietly(s.shutdown, socket.SHUT_RDWR)
        s.close()


def upstream(client, server):
    sent, cut = 0, args.cut_upload
    while data := client.recv(65536):
        for m in re.finditer(rb"(?im)^(GET|HEAD|POST|PATCH|PUT|range:) (\S+)", data):
            note(b" ".join(m.groups()).decode(errors="replace"))
        sent += len(data)
        if cut and sent > cut and may_cut_upload():
            note("cut upload")
            hang_up(client, server)
            return
        server.sendall(data)
        stall(sent)
        if args.rate:
            time.sleep(len(data) / args.rate)
    server.shutdown(socket.SHUT_WR)


def downstream(client, server):
    sent, cut = 0, args.cut
    while data := server.recv(8192):
        if cut and sent + len(data) > cut and may_cut():
            note("cut")
            client.sendall(data[:cut - sent])
            break
        client.sendall(data)
        sent += len(data)
        stall(sent)
        if args.rate:
            time.sleep(len(data) / args.rate)
    hang_up(client, server)


def quietly(fn, *more):
    try:
        fn(*more)
    except OSError:
        pass


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    client, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", args.port))
    for fn in (upstream, downstream):
        threading.Thread(target=quietly, args=(fn, client, server), daemon=True).start()
