"""What trials of a service have in common: how they tell what they counted, and which promises were broken."""

import collections
import contextlib
import pathlib
import tempfile
import time

from mixed_load import BOUND, KINDS, lost_sessions, undone_endings
from postgresql import Cluster, PostgreSQL
from service import eventually


class Trial:
    """Prints tables and promises, and knows whether one was broken."""

    #: So many of what broke a promise are shown.
    SHOWN = 10

    def __init__(self):
        self.is_broken = False

    @staticmethod
    def table(*rows):
        """Prints rows below a heading, as wide as they have to be: words to the left, numbers to the right."""
        rows = [[str(cell) for cell in row] for row in rows]
        columns = list(zip(*rows))
        widths = [max(map(len, column)) for column in columns]
        are_words = [number == 0 or not column[-1][:1].isdigit() for number, column in enumerate(columns)]
        for row in rows:
            cells = [
                cell.ljust(width) if is_words else cell.rjust(width)
                for cell, width, is_words in zip(row, widths, are_words)]
            print("  ".join(cells).rstrip())
        print(flush=True)

    def promise(self, text, broken_by):
        """Says that a promise was kept, or what broke it."""
        self.is_broken = self.is_broken or bool(broken_by)
        print(f"broken: {text}: {len(broken_by)} times" if broken_by else f"kept:   {text}", flush=True)
        for each, times in collections.Counter(map(str, broken_by)).most_common(self.SHOWN):
            print(f"        {each}" + (f" ({times} times)" if times > 1 else ""))

    def promise_that_nothing_was_lost(self, load, nodes):
        """Checks all that a load was answered, which was the last thing that happened to the service."""
        kept = [session for session in load.sessions if session.fate is None]
        self.promise(f"each of {len(kept)} sessions that nobody ended goes on", lost_sessions(load, nodes))
        self.promise(
            f"each of {len(load.ended)} acknowledged endings is so at every node, by refresh token, /auth/me and bit",
            undone_endings(load, nodes))
        self.promise("every request was answered well in the end", load.problems)


def counts(load):
    """A table with a row for each kind of request: how often it went well, failed, and went well when repeated."""
    yield "", "answered", "failed", "broke off", "repeated well"
    for kind in KINDS:
        answered = len([each for each in load.answers if each.kind == kind])
        failed = len([each for each in load.failures if each.kind == kind])
        broken = len([each for each in load.broken if each[1] == kind])
        if answered or failed or broken:
            yield kind, answered, failed, broken, load.repeated[kind]


@contextlib.contextmanager
def durable_postgresql(primary=None):
    """A server of which what was acknowledged has to outlive everything."""
    with contextlib.closing(PostgreSQL(primary, fsync=True)) as postgresql:
        yield postgresql


@contextlib.contextmanager
def cluster_over(url, **settings):
    """Nodes to be made over a database, in a folder of their own; gone afterwards."""
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(
            Cluster(pathlib.Path(folder), url, **settings)) as cluster:
        yield cluster


def wait_until_endings_are_known(load):
    """Waits as long as nodes may take to hear of the last of them."""
    last = max((ended.at for ended in load.ended), default=0)
    eventually(lambda: time.time() > last + BOUND)
