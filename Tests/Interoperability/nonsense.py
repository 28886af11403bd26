"""Requests that nobody should send, thousands of them, and what they are answered."""

import collections
import concurrent.futures
import contextlib
import os
import random
import re
import socket
import struct
import tempfile
import threading
import time

import processes
import requests
from certificates import Certificate, address, context
from service import PASSWORD, Installation, eventually

#: How long an answer may take, in seconds: shorter than the server waits for the rest of a request.
PATIENCE = 8
SENDERS = 12
LIMIT = 64 * 1024
KIB = 1024

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
SMUGGLED = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def request(line, *fields, body=b""):
    return line + b" HTTP/1.1\r\n" + HOST + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def post(body, *fields, path=b"/auth/log-in", length=None):
    """A POST of JSON with a Content-Length, which may be wrong."""
    length = str(len(body)).encode() if length is None else length
    return request(b"POST " + path, b"Content-Type: application/json", b"Content-Length: " + length, *fields, body=body)


def chunked(body, *fields, coding=b"chunked"):
    return request(
        b"POST /auth/log-in", b"Content-Type: application/json", b"Transfer-Encoding: " + coding, *fields, body=body)


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def frame(kind, flags=0, stream=0, payload=b""):
    """A frame of HTTP/2 (RFC 9113 section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4
#: GET / of https, and an authority of one letter, by HPACK's static table.
GET_ROOT = b"\x82\x87\x84\x41\x01a"


def reset_streams(count):
    """Streams that are opened and reset at once: the attack named rapid reset."""
    return b"".join(
        frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, GET_ROOT)
        + frame(RESET, 0, 2 * number + 1, b"\0\0\0\x08") for number in range(count))


def noise(size=400):
    return random.randbytes(random.randint(1, size))


def one_of(*choices):
    return random.choice(choices)


class Kind:
    """A kind of nonsense: what makes one, and how it is sent."""

    def __init__(self, name, make, refused=True, status=None, answers=1, tls=None, end=False, reset=False):
        """
        - refused: a 2xx is wrong; so are more answers than those, and with a status any other one
        - tls: "raw" for bytes to the port of TLS, else the protocol that is spoken in TLS
        - end: the client sends no more; reset: it goes away by a RST
        """
        self.name, self.make, self.refused, self.status, self.answers = name, make, refused, status, answers
        self.tls, self.end, self.reset = tls, end, reset


def head_kinds():
    yield Kind("an unknown method", lambda: request(one_of(b"FOO", b"GETT", b"get", b"PROPFIND") + b" /auth/log-in"))
    yield Kind("control characters in the method", lambda: request(one_of(b"G\x01T", b"G\x00ET", b"\x7f") + b" /"))
    yield Kind("a method of 50 KiB", lambda: request(b"A" * 50 * KIB + b" /"))
    yield Kind("a field of 40 KiB", lambda: request(b"GET /health/live", b"X: " + b"a" * 40 * KIB))
    yield Kind("a field of 4 MiB", lambda: request(b"GET /health/live", b"X: " + b"a" * 4096 * KIB))
    yield Kind("1,000 fields", lambda: request(b"GET /health/live", *[b"X-%d: a" % n for n in range(1_000)]))
    yield Kind("a target of 40 KiB", lambda: request(b"GET /" + b"a" * 40 * KIB))
    yield Kind("a target with NUL, spaces, controls", lambda: request(
        b"GET /" + one_of(b"\0", b"a b", b"\x01", b"\x7f", b"\xff\xfe")))
    yield Kind("a target that climbs or is no path", lambda: request(b"GET " + one_of(
        b"/../../etc/passwd", b"/%2e%2e/%2e%2e/keys", b"/status-lists/../../keys", b"/status-lists/%00", b"*", b"",
        b"http://[", b"//", b"/status-lists/" + b"9" * 400)))
    yield Kind("CONNECT and TRACE", lambda: request(one_of(b"CONNECT a:1", b"TRACE /auth/me")))
    yield Kind("no version, or another one", lambda: b"GET / " + one_of(
        b"\r\n\r\n", b"HTTP/0.9\r\n\r\n", b"HTTP/3.7\r\n\r\n", b"HTTP/1.1x\r\n\r\n", b"HTTP/-1.1\r\n\r\n"), end=True)
    yield Kind("no Host, or two", lambda: one_of(
        b"GET /auth/me HTTP/1.1\r\n\r\n", request(b"GET /auth/me", b"Host: another")), status=400)
    yield Kind("NUL or control in a field", lambda: request(
        b"GET /auth/me", one_of(b"X: a\0b", b"X\0: a", b"X: \x01", b"X\x7f: a", b": a", b"X")))
    yield Kind("bytes over 127 in a field", lambda: request(b"GET /auth/me", b"X: \xff\xfe\xc3"))
    yield Kind("a folded field, a space before the colon", lambda: request(
        b"GET /auth/me", one_of(b"X: a\r\n b", b"X : a", b" X: a")))
    yield Kind("line ends of CR or LF alone", lambda: one_of(
        b"GET /auth/me HTTP/1.1\rHost: a\r\r", b"GET /auth/me HTTP/1.1\nHost: a\n\n",
        b"GET /auth/me HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n"), end=True)
    yield Kind("a bearer token of 30 KiB or of nonsense", lambda: request(b"GET /auth/me", b"Authorization: " + one_of(
        b"Bearer " + b"a" * 30 * KIB, b"Bearer ..", b"Bearer e30.e30.", b"Bearer \xff", b"Basic \xff", b"Bearer")))
    yield Kind("cookies of 30 KiB", lambda: request(b"GET /auth/me", b"Cookie: " + b"access_token=a; " * 1_900))
    yield Kind("an upgrade to h2c or WebSocket", lambda: request(
        b"GET /auth/me", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + one_of(b"h2c", b"websocket"),
        b"HTTP2-Settings: AAMAAABkAAQAAP__"))


def length_kinds():
    yield Kind("two Content-Length", lambda: post(
        b"{}" + SMUGGLED, b"Content-Length: " + one_of(b"2", b"0", b"3")), status=400)
    yield Kind("Content-Length and Transfer-Encoding", lambda: one_of(
        post(b"0\r\n\r\n" + SMUGGLED, b"Transfer-Encoding: chunked"),
        chunked(b"0\r\n\r\n" + SMUGGLED, b"Content-Length: 4")))
    yield Kind("Transfer-Encoding that isn't chunked", lambda: chunked(
        b"0\r\n\r\n" + SMUGGLED, coding=one_of(
            b"xchunked", b"identity", b"gzip", b"chunked, gzip", b"\x0bchunked", b"chunked\x00", b"chunked, chunked")))
    yield Kind("a Content-Length that is no number", lambda: post(
        b"{}", length=one_of(b"-1", b"0x2", b"+2", b"2, 2", b"1e3", b"2a", b"\xff", b"")))
    # Once for the length, once more for the rest, which doesn't come.
    yield Kind("a Content-Length beyond 64 bits", lambda: post(
        b"{}", length=one_of(b"18446744073709551615", b"99999999999999999999999", b"9223372036854775808")), answers=2)
    yield Kind("a bad chunk size", lambda: chunked(one_of(
        b"ZZ\r\n{}\r\n0\r\n\r\n", b"-2\r\n{}\r\n", b"0x2\r\n{}\r\n0\r\n\r\n", b" 2\r\n{}\r\n0\r\n\r\n", b"\r\n{}\r\n")))
    yield Kind("a chunk size beyond 64 bits", lambda: chunked(b"FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n"))
    yield Kind("a chunk without its line end", lambda: chunked(b"2\r\n{}XX0\r\n\r\n"))
    yield Kind("a chunk extension of 100 KiB", lambda: chunked(b"2;" + b"a" * 100 * KIB + b"\r\n{}\r\n0\r\n\r\n"))
    yield Kind("trailers of 100 KiB", lambda: chunked(
        chunk(b"{}") + b"0\r\n" + b"X: a\r\n" * 17_000 + b"\r\n"))
    yield Kind("a body of 64 KiB and a byte", lambda: post(b" " * (LIMIT + 1)), status=413)
    yield Kind("a body of 4 MiB", lambda: post(b" " * 64 * LIMIT), status=413)
    yield Kind("a chunked body of 4 MiB", lambda: chunked(chunk(b" " * LIMIT) * 64 + b"0\r\n\r\n"), status=413)
    yield Kind("Expect: nonsense", lambda: post(b"{}", b"Expect: " + one_of(b"100-continue", b"200-ok", b"")))


def body_kinds():
    yield Kind("a body that isn't UTF-8", lambda: post(one_of(
        b'{"username":"\xff\xfe","password":"\xc3\x28"}', b'\xff\xfe{\0}\0', b'{"username":"\xed\xa0\x80"}', noise())))
    yield Kind("NUL in JSON", lambda: post(one_of(
        b'{"username":"\\u0000","password":"\\u0000"}', b'{"username":"a\0","password":"b"}', b"\0" * 100)))
    yield Kind("JSON 60,000 deep", lambda: post(one_of(
        b"[" * 60_000, b'{"a":' * 12_000, b"[" * 30_000 + b"]" * 30_000)))
    yield Kind("JSON that is no object, or twice the same", lambda: post(one_of(
        b"null", b"[]", b'"a"', b"1e999999", b"{}", b"", b'{"username":1,"password":[]}',
        b'{"a":' + b"9" * 50_000 + b"}", b'{"username":"a","username":"b"}',
        b'{"username":"\\ud800","password":"\\udfff"}')))
    yield Kind("a refresh token of nonsense", lambda: post(one_of(
        b'{"refresh_token":""}', b'{"refresh_token":"' + b"A" * 60_000 + b'"}', b'{"refresh_token":"\\ud83d"}',
        b'{"refresh_token":"' + b"AQ" + b"A" * 96 + b'"}'), path=b"/auth/refresh"))
    yield Kind("a form of nonsense", lambda: request(
        b"POST /oauth2/token", b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: 33",
        body=one_of(b"grant_type=%zz&a=%&&&=&==&%00=%ff", b"grant_type=a&grant_type=b&%%%%%%%", b"=" * 33)))
    yield Kind("a wrong type of content", lambda: request(
        b"POST /auth/log-in", b"Content-Type: " + one_of(b"text/xml", b"\xff", b"", b"a/" + b"b" * 20_000),
        b"Content-Length: 2", body=b"{}"), status=415)


def connection_kinds():
    whole = request(b"GET /.well-known/jwks.json")
    yield Kind("a whole request, then half-closed", lambda: whole, refused=False, status=200, end=True)
    yield Kind("half-closed within the head", lambda: whole[:random.randint(1, len(whole) - 3)], end=True)
    yield Kind("half-closed within the body", lambda: post(b"{}", length=b"100"), end=True)
    yield Kind("reset within the body", lambda: post(b"{}", length=b"100"), reset=True)
    yield Kind("the preface of HTTP/2 in the clear", lambda: PREFACE + frame(SETTINGS) + noise())
    yield Kind("random bytes", lambda: noise(4_000), end=True)
    yield Kind("TLS in the clear", lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise(), end=True)


def tls_kinds():
    yield Kind("HTTP in the clear to the port of TLS", lambda: request(b"GET /health/live"), tls="raw", end=True)
    yield Kind("random bytes to the port of TLS", lambda: noise(4_000), tls="raw", end=True)
    yield Kind(
        "a handshake that is cut off", lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + noise(), tls="raw", end=True)
    yield Kind(
        "a record of 64 KiB in a handshake", lambda: b"\x16\x03\x01\xff\xff" + noise(70_000), tls="raw", end=True)
    yield Kind("no preface after h2", lambda: one_of(request(b"GET /health/live"), noise()), tls="h2", end=True)
    yield Kind("frames of nonsense in HTTP/2", lambda: PREFACE + frame(SETTINGS) + b"".join(
        frame(random.randrange(256), random.randrange(256), random.randrange(8), noise()) for _ in range(20)),
        tls="h2", end=True)
    yield Kind(
        "a frame of 16 MiB in HTTP/2", lambda: PREFACE + frame(SETTINGS) + b"\xff\xff\xff\0\0\0\0\0\x01" + noise(),
        tls="h2", end=True)
    yield Kind("bad HPACK in HTTP/2", lambda: PREFACE + frame(SETTINGS) + frame(
        HEADERS, END_STREAM | END_HEADERS, 1,
        one_of(b"\xff\xff\xff\xff\xff\xff\x0f", b"\x80", b"\x40\x7f\xff\xff", b"")), tls="h2", end=True)
    yield Kind("HTTP/2 heads without end", lambda: PREFACE + frame(SETTINGS) + frame(HEADERS, 0, 1, GET_ROOT)
               + frame(CONTINUATION, 0, 1, b"\x40\x01a\x7f\x80\x7f" + b"b" * 255) * 500, tls="h2", end=True)
    yield Kind("1,000 HTTP/2 streams reset at once", lambda: PREFACE + frame(SETTINGS) + reset_streams(1_000),
               tls="h2", end=True)
    yield Kind("floods of PING and SETTINGS in HTTP/2", lambda: PREFACE + frame(SETTINGS) * 1_000
               + frame(PING, 0, 0, b"12345678") * 1_000, tls="h2", end=True)


KINDS = [*head_kinds(), *length_kinds(), *body_kinds(), *connection_kinds(), *tls_kinds()]


def outcome(kind, servers):
    """Sends one, and says in words what came back, and in how many answers."""
    connection = socket.create_connection(address(servers[bool(kind.tls)]), timeout=PATIENCE)
    if kind.tls not in (None, "raw"):
        connection = context(protocols=[kind.tls]).wrap_socket(connection, server_hostname="127.0.0.1")
    with contextlib.closing(connection):
        # A server that closes before it has read all may be right, and its answer be lost on the way.
        with contextlib.suppress(OSError):
            connection.sendall(kind.make())
        if kind.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return "gone before", 0
        return _answer(kind, connection)


def _answer(kind, connection):
    received, has_ended = b"", False
    try:
        if kind.end and kind.tls != "h2":
            connection.shutdown(socket.SHUT_WR)
            has_ended = True
        while data := connection.recv(65_536):
            received += data
            if not has_ended:
                # An answer to anything behind this comes all the same.
                _end(connection)
                has_ended = True
        how = "closed"
    except TimeoutError:
        how = f"open for {PATIENCE} s"
    except OSError:
        how = "closed"
    if kind.tls == "h2":
        return _http2_answer(received, how)
    statuses = re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)
    if statuses:
        return " ".join(each.decode() for each in statuses), len(statuses)
    return ("TLS alert" if received[:1] == b"\x15" else how), 0


def _end(connection):
    """Says that nothing more comes; TLS has no way to that leaves the other direction as it is."""
    socket.socket.shutdown(connection, socket.SHUT_WR)


def _http2_answer(received, how):
    """Whether the server said good-bye (GOAWAY), and why."""
    while len(received) >= 9:
        length, kind = int.from_bytes(received[:3], "big"), received[3]
        if kind == 7:
            return f"GOAWAY {int.from_bytes(received[13:17], 'big')}", 0
        received = received[9 + length:]
    return how, 0


class Nonsense:
    """So many of each kind, mixed."""

    def __init__(self, servers, count):
        self.servers = servers
        self.answers = {kind: collections.Counter() for kind in KINDS}
        self.wrong, self.lock = [], threading.Lock()
        order = [KINDS[number % len(KINDS)] for number in range(count)]
        random.shuffle(order)
        with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
            list(pool.map(self._send, order))

    def _send(self, kind):
        try:
            text, answers = outcome(kind, self.servers)
        except OSError as error:
            text, answers = f"not sent: {type(error).__name__}", 0
        first = text.split()[0]
        problem = None
        if re.search(r"\b5\d\d\b", text) and answers:
            problem = f"{kind.name}: answered {text}"
        elif answers > kind.answers or kind.refused and answers and first.startswith("2"):
            problem = f"{kind.name}: taken for a request: {text}"
        elif kind.status and (answers or not kind.refused) and first != str(kind.status):
            problem = f"{kind.name}: {text} instead of {kind.status}"
        elif "open" in text or "not sent" in text:
            problem = f"{kind.name}: {text}"
        with self.lock:
            self.answers[kind][text] += 1
            if problem:
                self.wrong.append(problem)


def try_nonsense(trial, count):
    random.seed(os.environ.get("SEED", "nonsense"))
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Installation(folder)) as installation:
        plain = installation.serve()
        tls = installation.serve(settings=Certificate("nonsense").write(installation.folder))
        _try(trial, installation, {False: plain, True: tls}, count)


def _try(trial, installation, servers, count):
    installation.add_user("anna")
    plain = servers[False]
    pair = plain.log_in("anna")
    pids = [each.process.pid for each in servers.values()]
    before = [(processes.resident(pid), processes.open_files(pid)) for pid in pids]
    print(f"== {count:,} oversize and malformed requests\n")
    began = time.monotonic()
    nonsense = Nonsense(servers, count)
    took = time.monotonic() - began
    trial.table(("", "sent", "answers"), *[
        (kind.name, sum(answers.values()), ", ".join(f"{text}: {n}" for text, n in answers.most_common()))
        for kind, answers in nonsense.answers.items()])
    with contextlib.suppress(AssertionError):
        eventually(lambda: all(
            processes.open_files(pid) <= files + 5 for pid, (_, files) in zip(pids, before)), within=100, every=1)
    print(f"{took:.0f} s, {SENDERS} at a time")
    more = []
    for name, pid, (memory, files) in zip(["in the clear", "over TLS"], pids, before):
        now = processes.open_files(pid)
        print(
            f"the server {name}: {memory:.1f} MiB before, {processes.resident(pid):.1f} after; "
            f"{files} open files before, {now} after")
        if now > files + 5:
            more.append(f"{now} instead of {files}")
    print()
    trial.promise("no 5xx, nothing was taken for a request that isn't one, nothing stays open", nonsense.wrong)
    trial.promise("the open files are as before", more)
    trial.promise(
        "both servers live", [each.process.poll() for each in servers.values() if each.process.poll() is not None])
    trial.promise("a session from before goes on", _ended(plain, pair))
    logged = [
        line for each in installation.servers for line in each.log.splitlines()
        if '"level":"error"' in line or '"level":"critical"' in line or "Fatal" in line]
    trial.promise("no error in the log", logged)
    print()


def _ended(server, pair):
    try:
        server.refresh(pair["refresh_token"])
        return []
    except (AssertionError, requests.RequestException) as error:
        return [error]
