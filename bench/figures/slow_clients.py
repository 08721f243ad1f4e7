#!/usr/bin/env python3
"""Clients that read slowly: COUNT connections ask for one URL and take RATE bytes a second each, until standard input ends.
Prints "reading" when all have their first bytes, and at the end one JSON line with what arrived.

Usage: slow_clients.py URL COUNT RATE
"""
import json
import re
import select
import socket
import sys

TICK_S = 0.05
RECEIVE_BUFFER = 64 << 10  # a small one, so that a slow reader is slow for the server too


def connect(url, count):
    host, port, path = re.fullmatch(r"http://([\d.]+):(\d+)(/.*)", url).groups()
    sockets = []
    for _ in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        one.connect((host, int(port)))
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        one.setblocking(False)
        sockets.append(one)
    return sockets


def main(url, count, rate):
    sockets, per_tick = connect(url, count), int(rate * TICK_S)
    received, ended, announced = [0] * count, set(), False
    while not select.select([sys.stdin], [], [], TICK_S)[0]:
        for index, one in enumerate(sockets):
            if index in ended:
                continue
            try:
                got = len(one.recv(per_tick))
            except BlockingIOError:
                continue
            except OSError:
                got = 0
            received[index] += got
            if got == 0:
                ended.add(index)
        if not announced and all(received):
            announced = True
            print("reading", flush=True)
    print(json.dumps({"bytes": sum(received), "ended": len(ended)}), flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
