"""Clients that take their time: a process that keeps many slow connections to a server until it cuts them.

    python slow_clients.py HOST PORT plain|tls COUNT SECONDS

Prints a line of JSON once all are connected, and one at the end: for each kind, after how many seconds the server
closed its side of each connection; None where it didn't within the time. Needs Linux: that is seen in /proc/net/tcp,
because a client that reads nothing isn't told.
"""

import json
import socket
import ssl
import sys
import time

from certificates import context

HEAD = b"POST /auth/log-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
#: Asks for more than the buffers between two sockets take.
QUESTIONS = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 150
#: The start of what TLS begins with: a handshake record of 512 bytes.
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

DRIPPING_HANDSHAKE, DRIPPING_HEAD = "a dripping handshake", "a dripping head"
DRIPPING_BODY, READING_NOTHING = "a dripping body", "reads no answer"
KINDS = {
    "plain": [DRIPPING_HEAD, DRIPPING_BODY, READING_NOTHING],
    "tls": [DRIPPING_HEAD, DRIPPING_BODY, READING_NOTHING, DRIPPING_HANDSHAKE, DRIPPING_BODY, READING_NOTHING],
}
#: What a kind begins with, and what it sends every second.
STARTS = {
    DRIPPING_HANDSHAKE: (HELLO, b"\0"), DRIPPING_HEAD: (HEAD + b"X-Slow: ", b"x"),
    DRIPPING_BODY: (HEAD + b"Content-Length: 1000\r\n\r\n{", b" "), READING_NOTHING: (QUESTIONS, b""),
}
#: How often it is looked at the server's sockets, in seconds.
EVERY = 0.5


class SlowClient:
    """One connection."""

    def __init__(self, address, kind, tls):
        self.kind, self.cut_after = kind, None
        #: Whether the server had it once; before that it waits in the kernel's queue.
        self.was_taken = False
        self.socket = socket.socket()
        self.socket.settimeout(30)
        if kind == READING_NOTHING:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(address)
        self.port = self.socket.getsockname()[1]
        self.began = time.monotonic()
        if tls and kind != DRIPPING_HANDSHAKE:
            self.socket = tls.wrap_socket(self.socket, server_hostname=address[0])
            self.began = time.monotonic()
        self.socket.setblocking(False)
        self._send(STARTS[kind][0])

    def drip(self):
        if STARTS[self.kind][1]:
            self._send(STARTS[self.kind][1])

    def _send(self, data):
        """Sends what there is room for; whether the connection is still there is looked up elsewhere."""
        try:
            self.socket.send(data)
        except (OSError, ssl.SSLError):
            pass


def held_by_server(port):
    """The ports of the clients whose connections a server on this machine has open."""
    server = f":{port:04X}"
    held = set()
    with open("/proc/net/tcp") as file:
        for line in file:
            fields = line.split()
            # What is closed but not sent yet belongs to nobody: its inode is 0.
            if fields[1].endswith(server) and fields[3] in ("01", "08") and fields[9] != "0":
                held.add(int(fields[2].rsplit(":", 1)[1], 16))
    return held


def look(clients, port):
    """Looks which connections the server has, and tells those that it has no more when they were cut."""
    held, now = held_by_server(port), time.monotonic()
    for each in clients:
        if each.cut_after is None:
            each.was_taken = each.was_taken or each.port in held
            if each.was_taken and each.port not in held:
                each.cut_after = now - each.began
    return len(held)


def main():
    host, port, transport, count, seconds = sys.argv[1:]
    port, tls = int(port), context() if transport == "tls" else None
    kinds = KINDS[transport]
    clients, looked = [], 0
    for number in range(int(count)):
        clients.append(SlowClient((host, port), kinds[number % len(kinds)], tls))
        # All handshakes may take longer than the first is given.
        if time.monotonic() - looked >= EVERY:
            look(clients, port)
            looked = time.monotonic()
    print(json.dumps({"connected": len(clients), "held": look(clients, port)}), flush=True)
    deadline, dripped = time.monotonic() + int(seconds), 0
    while (open_ones := [each for each in clients if each.cut_after is None]) and time.monotonic() < deadline:
        look(clients, port)
        if time.monotonic() - dripped >= 1:
            for each in open_ones:
                each.drip()
            dripped = time.monotonic()
        time.sleep(EVERY)
    times = {kind: [each.cut_after for each in clients if each.kind == kind] for kind in dict.fromkeys(kinds)}
    print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
