"""Clients with connections that they keep, who know for each request whether it was answered, refused or cut."""

import collections
import http.client
import json
import threading
import time
from urllib.parse import urlencode

from certificates import address, context
from service import PATIENCE

#: An idle connection may be closed after so many seconds by a server that stops.
MAY_BE_CLOSED = 1


class Wrong(Exception):
    """An answer that isn't the one that has to come."""


class Caller:
    """One connection to a server, opened again where an answer said that it closes."""

    def __init__(self, server):
        self.server = server
        self.connection, self.answered_at = None, None
        self.times, self.statuses = [], collections.Counter()
        #: Requests on a kept connection that got no answer, though none before had said that it closes.
        self.cut = []
        #: Connections that were told by their last answer that they close, and new ones that weren't taken.
        self.told, self.turned_away = 0, 0

    def _open(self):
        if self.server.url.startswith("https:"):
            return http.client.HTTPSConnection(*address(self.server), timeout=PATIENCE, context=context())
        return http.client.HTTPConnection(*address(self.server), timeout=PATIENCE)

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = self.answered_at = None

    def ask(self, method, path, body=None, form=None, headers=None):
        """The answer and its body. Where there is none, raises OSError and says in `cut` whether that was wrong."""
        headers, data = dict(headers or {}), None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body), "application/json"
        elif form is not None:
            data, headers["Content-Type"] = urlencode(form), "application/x-www-form-urlencoded"
        began = time.monotonic()
        was_kept = self.answered_at is not None
        may_be_closed = was_kept and began - self.answered_at > MAY_BE_CLOSED - 0.1
        try:
            self.connection = self.connection or self._open()
            self.connection.request(method, path, data, headers)
            response = self.connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if was_kept and not may_be_closed:
                self.cut.append(f"{method} {path}: {type(error).__name__} {error}")
            else:
                self.turned_away += 1
            raise ConnectionError(str(error)) from error
        self.answered_at = time.monotonic()
        self.times.append(self.answered_at - began)
        self.statuses[method, path, response.status] += 1
        if response.getheader("Connection") == "close":
            self.told += 1
            self.close()
        return response, content

    def expect(self, status, method, path, **options):
        """The JSON of an answer that has to have a status."""
        response, content = self.ask(method, path, **options)
        if response.status != status:
            raise Wrong(f"{method} {path}: {response.status} instead of {status}: {content[:200]}")
        return json.loads(content) if content and status == 200 and content[:1] in b"{[" else content


class Visitor(Caller):
    """One who logs in, looks, refreshes and logs out, again and again, and checks each answer."""

    REFRESHES = 5

    def __init__(self, server, name, password, pause=0):
        super().__init__(server)
        self.name, self.password, self.pause = name, password, pause
        self.problems = []
        #: The refresh token that was answered last, while the session goes on.
        self.refresh_token = None
        self.is_over = threading.Event()

    def live(self):
        """Visits until it is over, or the server is gone."""
        while not self.is_over.is_set():
            try:
                self._visit()
            except ConnectionError:
                if not self.connection and self.told:
                    return
                self.is_over.wait(0.2)
            except Exception as error:  # told at the end
                self.problems.append(error)
                self.is_over.wait(0.2)
                self.refresh_token = None

    def _rest(self):
        return self.is_over.wait(self.pause) if self.pause else self.is_over.is_set()

    def _visit(self):
        if not self.refresh_token:
            self._keep(self.expect(
                200, "POST", "/auth/log-in", body={"username": self.name, "password": self.password}))
        tag = None
        for _ in range(self.REFRESHES):
            if self._rest():
                return
            self._keep(self.expect(200, "POST", "/auth/refresh", body={"refresh_token": self.refresh_token}))
            if self._rest():
                return
            self.expect(200, "GET", "/auth/me", headers={"Authorization": f"Bearer {self.access_token}"})
            if self._rest():
                return
            response, _ = self.ask("GET", "/.well-known/jwks.json", headers={"If-None-Match": tag} if tag else {})
            if response.status not in (200, 304):
                raise Wrong(f"the JWKS: {response.status}")
            tag = response.headers["ETag"]
        token, self.refresh_token = self.refresh_token, None
        self.expect(204, "POST", "/auth/log-out", body={"refresh_token": token})
        self.expect(401, "POST", "/auth/refresh", body={"refresh_token": token})

    def _keep(self, pair):
        self.access_token, self.refresh_token = pair["access_token"], pair["refresh_token"]


class Visitors:
    """Visitors in threads of their own, as long as a `with` lasts."""

    def __init__(self, visitors):
        self.all = visitors
        self.threads = [threading.Thread(target=each.live, daemon=True) for each in visitors]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for each in self.all:
            each.is_over.set()
        self.join(2 * PATIENCE)

    def join(self, within):
        deadline = time.monotonic() + within
        for thread in self.threads:
            thread.join(max(0, deadline - time.monotonic()))

    def all_of(self, name):
        """What all of them have in a list."""
        return [each for visitor in self.all for each in getattr(visitor, name)]

    def sum_of(self, name):
        return sum(getattr(each, name) for each in self.all)


def percentile(times, share):
    """In milliseconds."""
    return 1000 * sorted(times)[min(len(times) - 1, int(share * len(times)))] if times else float("nan")
