"""Loads that wrk puts on one server, by turns, and what each request costs whom."""

import collections
import time

import jwt
import processes
import requests
import tokens
import wrk
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from service import PATIENCE

#: How many sessions are refreshed before the first one comes again.
QUEUE = 100_000


class Turn(collections.namedtuple("Turn", "requests rate p50 p99 cpu database_cpu wrk_cpu others")):
    """What came of a turn.

    - requests: how many were answered
    - rate: requests a second
    - p50, p99: in milliseconds
    - cpu, database_cpu, wrk_cpu: milliseconds for each request: of the server, of its PostgreSQL, of wrk
    - others: the share of the processors' time that others took
    """


class Load:
    """What wrk asks of a server: a path of its, with a script and the script's arguments."""

    script = "wrk_report.lua"

    def __init__(self, server, path, connections, postmaster=None):
        """A postmaster is the process of the PostgreSQL that the server uses."""
        self.server, self.path, self.connections, self.postmaster = server, path, connections, postmaster

    def arguments(self):
        return []

    def turn(self, seconds):
        """Drives the server; any error is a failure."""
        arguments = self.arguments()
        processors, before = processes.Processors(), self._cpu()
        result = wrk.drive(
            self.server.url + self.path, script=self.script, arguments=arguments, connections=self.connections,
            seconds=seconds)
        used = [now - then for now, then in zip(self._cpu(), before)] + [result.cpu]
        shares = processors.shares
        self.check(result)
        return Turn(
            result.requests, result.requests_per_second, result.p50, result.p99,
            *(1000 * each / result.requests for each in used), max(0, shares.busy - sum(used) / shares.seconds))

    def _cpu(self):
        database = processes.cpu_of_family(self.postmaster) if self.postmaster else 0
        return processes.cpu(self.server.process.pid), database

    def check(self, result):
        """Looks whether the answers were right; wrk only counts those that are errors."""


class Again(Load):
    """The same request again and again."""

    script = "again.lua"

    def __init__(self, server, path, connections, method="GET", body="", headers=None, status=200):
        super().__init__(server, path, connections)
        self.method, self.body, self.headers, self.status = method, body, headers or {}, status

    def arguments(self):
        self.answer()
        return [self.method, self.body, *(f"{name}:{value}" for name, value in self.headers.items())]

    def check(self, result):
        self.answer()

    def answer(self):
        """The answer to one request, which has to have the status."""
        with requests.Session() as session:
            session.trust_env = False
            # What requests would send of its own, and wrk doesn't.
            session.headers.clear()
            response = session.request(
                self.method, self.server.url + self.path, data=self.body or None, headers=self.headers,
                timeout=PATIENCE)
        assert response.status_code == self.status, f"{self.path}: {response.status_code} {response.text}"
        return response

    def at(self, server, path):
        """The same request to another server."""
        return Again(server, path, self.connections, self.method, self.body, self.headers, self.status)


class FirstSeen(Load):
    """GET with an access token that the server hasn't seen before, or has forgotten since."""

    script = "bearers.lua"

    def __init__(self, server, path, connections, token, count):
        """The tokens say what one of the server's says, but for their `jti`, and are signed with its key."""
        super().__init__(server, path, connections)
        installation, header, claims = server.installation, tokens.header(token), tokens.claims(token)
        key = load_pem_private_key(
            (installation.keys / f"{header['kid']}.pem").read_bytes(),
            installation.master_secret.read_text().splitlines()[0].encode())
        self.file, self.count, self.sent = installation.folder / "access-tokens", count, 0
        with open(self.file, "w") as file:
            for number in range(count):
                claims["jti"] = f"{number:022}"
                file.write(jwt.encode(claims, key, header["alg"], header) + "\n")

    def arguments(self):
        return [str(self.file), str(self.sent)]

    def check(self, result):
        # Those that were under way at the end were sent as well.
        self.sent += result.requests + self.connections


class Refreshes(Load):
    """Refreshes of sessions chosen at random, each of which takes its session a step ahead."""

    script = "refresh.lua"

    def __init__(self, server, connections, sessions, postmaster=None):
        """The sessions are a `RefreshableSessions`."""
        super().__init__(server, "/auth/refresh", connections, postmaster)
        self.sessions = sessions
        self.file = server.installation.folder / "refresh-tokens"

    def arguments(self):
        # New ones each time: what was under way at the end of another turn would be answered without a write.
        chosen = self.sessions.refresh_tokens(QUEUE)
        assert len(chosen) >= 2 * self.connections, "a session for each connection, and as many in the queue"
        self.file.write_text("".join(token + "\n" for token in chosen))
        self.generations = self.sessions.generations()
        return [str(self.file)]

    def check(self, result):
        # Those that were under way at the end are written in a moment, and make the tokens stale that were read before.
        time.sleep(0.1)
        advanced = self.sessions.generations() - self.generations
        assert 0 <= advanced - result.answered <= self.connections, (
            f"{result.answered} answers took sessions {advanced} steps ahead")
