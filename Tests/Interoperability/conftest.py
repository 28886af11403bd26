"""Fixtures: each test or module works in a folder of its own and ends what it started."""

import collections
import itertools
import os
import threading
import time

import pytest
import tokens
from service import BINARY, PASSWORD, QUICK_ROTATION, Installation
from verifiers import PyJWT

# The servers are on this machine; no proxy is between.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

NUMBERS = itertools.count(1)


def pytest_sessionstart(session):
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"{BINARY} isn't there: build it with swift build --product token-service", returncode=2)


@pytest.fixture
def make_installation(tmp_path_factory):
    """Makes installations, and ends their servers after the test."""
    made = []

    def make(**settings):
        made.append(Installation(tmp_path_factory.mktemp("service"), **settings))
        return made[-1]

    yield make
    for installation in made:
        installation.close()


@pytest.fixture
def installation(make_installation):
    return make_installation()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """A server for all tests of a module that leave nothing behind but users of their own."""
    installation = Installation(tmp_path_factory.mktemp("service"))
    yield installation.serve()
    installation.close()


@pytest.fixture
def new_user(shared_server):
    """Makes users of the shared server that no other test has."""

    def make(*arguments, password=PASSWORD):
        name = f"user-{next(NUMBERS)}-a"
        shared_server.installation.add_user(name, *arguments, password=password)
        return name

    return make


@pytest.fixture
def user(new_user):
    return new_user()


class OldToken:
    """A token of the shortest lifetime, a minute, whose key was replaced just after. A thread watches it age, until its
    key has left the JWKS."""

    Seen = collections.namedtuple("Seen", "since until is_published fresh kept")

    def __init__(self, installation):
        self.server = installation.serve()
        installation.add_user("anna")
        self.token = self.server.log_in("anna")["access_token"]
        self.kept = PyJWT(self.server.url, keep_for=600)
        installation.run("keys", "rotate", "--immediately")
        self.seen = []
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    @property
    def is_over(self):
        return not self.thread.is_alive()

    def _watch(self):
        deadline = time.monotonic() + 80
        while time.monotonic() < deadline:
            since = time.time()
            is_published = tokens.kid(self.token) in self.server.published_kids()
            fresh, kept = (self._verdict(each) for each in [PyJWT(self.server.url), self.kept])
            self.seen.append(self.Seen(since, time.time(), is_published, fresh, kept))
            if not is_published:
                return
            time.sleep(1)

    def _verdict(self, verifier):
        try:
            verifier.verify(self.token, self.server.url)
        except Exception as error:
            return type(error).__name__
        return "good"


@pytest.fixture(scope="session", autouse=True)
def old_token(request, tmp_path_factory):
    """Begins with the first test, so that nobody has to wait for a minute; where nobody asks for it, it isn't there."""
    if not any(item.path.name == "test_verifiers.py" for item in request.session.items):
        yield None
        return
    installation = Installation(
        tmp_path_factory.mktemp("old"), algorithms="ES256", access_token_lifetime="1m", **QUICK_ROTATION)
    yield OldToken(installation)
    installation.close()
