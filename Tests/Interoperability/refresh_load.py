"""Nodes over a PostgreSQL with many sessions, driven by wrk to refresh them, and where the time goes."""

import collections
import contextlib
import math
import os
import statistics
import subprocess
import tempfile
import time

import processes
import wrk
from many_sessions import ManySessions
from postgresql import Cluster, PostgreSQL
from refreshable_sessions import RefreshableSessions
from service import eventually

#: How long each load runs before it is measured, in seconds.
WARM_UP = 2


@contextlib.contextmanager
def production_server(settings):
    """A server that keeps what it acknowledged and times its flushes, with settings of PostgreSQL's besides."""
    server = PostgreSQL(fsync=True)
    try:
        for name, value in ({"track_wal_io_timing": "on"} | settings).items():
            server.query(f"ALTER SYSTEM SET {name} = '{value}'")
        server.restart()
        yield server
    finally:
        server.close()


def flushes_of_the_disk(folder, seconds=1):
    """How often a block can be put on the disk in a second, one after another."""
    block = bytes(8192)
    with tempfile.TemporaryFile(dir=folder) as file:
        began, count = time.monotonic(), 0
        while time.monotonic() < began + seconds:
            os.pwrite(file.fileno(), block, 0)
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.monotonic() - began)


class RefreshableDatabase(RefreshableSessions):
    """A database with many sessions, and what nodes over it need."""

    def __init__(self, server, folder, sessions, users):
        self.server = server
        self.name = server.new_database()
        self.cluster = Cluster(folder, server.url(self.name))
        super().__init__(ManySessions(sessions, users), self.cluster.secret.read_text())
        with contextlib.closing(self.cluster) as cluster:
            user = cluster.add_user()
            self.compare_tokens(cluster.node(), user)
        self.many.store_in_postgresql(server, self.name)

    def query(self, sql):
        return self.server.query(sql, self.name)

    def rows(self, sql):
        return [line.split("|") for line in self.query(sql)]


class ConnectionWatch:
    """Looks every 0.1 s at what the nodes' connections to a database do."""

    #: What each of them may do, and how PostgreSQL tells it.
    STATES = {
        "unused": "state = 'idle'",
        "node's turn": "state <> 'idle' AND wait_event = 'ClientRead'",
        "running": "state = 'active' AND wait_event IS NULL",
        "flushing": "wait_event IN ('WALSync', 'WALWrite')",
        "row lock": "wait_event_type = 'Lock'",
        "other wait": "state = 'active' AND wait_event_type <> 'Lock'"
                      " AND wait_event NOT IN ('ClientRead', 'WALSync', 'WALWrite')",
    }

    def __init__(self, database):
        counts = ", ".join(f"COUNT(*) FILTER (WHERE {condition})" for condition in self.STATES.values())
        self.process = subprocess.Popen(
            [database.server.programs / "psql", "-X", "-At", "-d", database.server.url(database.name)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # All but those that listen for announcements.
        self.process.stdin.write(
            f"SELECT {counts} FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'token-service' AND query NOT LIKE 'LISTEN%' \\watch 0.1\n")
        self.process.stdin.close()

    def averages(self):
        """How many connections did each on average; ends the watch."""
        self.process.terminate()
        with self.process:
            output = self.process.stdout.read()
        # Each answer has the time above it.
        samples = [line.split("|") for line in output.splitlines() if line.count("|") == len(self.STATES) - 1]
        return [statistics.mean(map(int, column)) for column in zip(*samples)]


class Counters(collections.namedtuple("Counters", "commits flushes flush_time wal images updates hot_updates")):
    """What PostgreSQL counted; the time in milliseconds, the WAL in KiB, and in it the images of whole pages."""

    @classmethod
    def read(cls, database):
        """Once the nodes have gone: connections tell what they did when they end, at the latest."""
        eventually(lambda: database.query(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'token-service'") == ["0"])
        (line,) = database.query(
            "SELECT xact_commit, wal_sync, wal_sync_time, wal_bytes / 1024, wal_fpi, n_tup_upd, n_tup_hot_upd"
            " FROM pg_stat_wal, pg_stat_database, pg_stat_user_tables"
            " WHERE datname = current_database() AND relname = 'sessions'")
        return cls(*map(float, line.split("|")))

    def since(self, before):
        return Counters(*(now - then for now, then in zip(self, before)))


class Measurement(collections.namedtuple(
        "Measurement",
        "rate p50 p99 nodes_cpu postgresql_cpu wrk_cpu busy others waiting commits flushes group flush_time wal images"
        " hot states")):
    """What a load comes to.

    - rate: refreshes a second
    - p50, p99: of the slowest node, in milliseconds
    - nodes_cpu, postgresql_cpu, wrk_cpu: milliseconds for each refresh
    - busy, others, waiting: the shares of the processors' time in which they worked for this, worked for others, and
      had nothing to do but wait for the disk
    - commits, flushes: a second
    - group, flush_time: how many commits a flush is for, and how many milliseconds it takes
    - wal, images: KiB, and whole pages in it, for each refresh
    - hot: the share of updates that touched no index
    - states: how many connections did what, as in `ConnectionWatch`
    """

    @classmethod
    def median(cls, measurements):
        *columns, states = zip(*measurements)
        return cls(*map(statistics.median, columns), [statistics.median(each) for each in zip(*states)])


class Costs:
    """What the nodes, PostgreSQL and the machine do from now until `end`."""

    def __init__(self, database, nodes):
        self.nodes = [node.process.pid for node in nodes]
        self.postmaster = database.server.postmaster
        self.watch = ConnectionWatch(database)
        self.processors = processes.Processors()
        self.before = self._cpu()

    def _cpu(self):
        return sum(map(processes.cpu, self.nodes)), processes.cpu_of_family(self.postmaster)

    def end(self):
        #: CPU time in seconds.
        self.nodes_cpu, self.postgresql_cpu = (now - then for now, then in zip(self._cpu(), self.before))
        self.shares = self.processors.shares
        self.states = self.watch.averages()


def measure(database, nodes=1, connections=60, seconds=10, **settings):
    """What fresh nodes do for clients with so many connections in all, each client at one node."""
    before, generations = Counters.read(database), database.generations()
    with contextlib.closing(database.cluster) as cluster:
        running = cluster.nodes(nodes, **settings)

        def load(seconds):
            # New ones each time: what was under way at the end of another load would be answered without a write.
            queues = _queues(database, nodes, connections)
            costs = Costs(database, running)
            runs = [
                wrk.Run(
                    node.url + "/auth/refresh", script="refresh.lua", arguments=[queue],
                    connections=connections // nodes, seconds=seconds)
                for node, queue in zip(running, queues)]
            results = [run.result() for run in runs]
            costs.end()
            return [wrk.without_errors(result) for result in results], costs

        (warm_up, _), (results, costs) = load(WARM_UP), load(seconds)
        for node in running:
            assert node.stop() == 0, node.log
    counted = Counters.read(database).since(before)

    advanced, answered = database.generations() - generations, sum(each.answered for each in warm_up + results)
    # When a load ends there may be one under way on each connection.
    assert 0 <= advanced - answered <= 2 * connections, f"{answered} answers took sessions {advanced} steps ahead"

    refreshes, rate = sum(each.answered for each in results), sum(each.requests_per_second for each in results)
    used = [costs.nodes_cpu, costs.postgresql_cpu, sum(each.cpu for each in results)]
    busy = sum(used) / costs.shares.seconds
    # With fsync off there are none.
    flushes = counted.flushes or math.nan
    # What PostgreSQL counted is of both loads; connections tell it at their end at the latest.
    return Measurement(
        rate, max(each.p50 for each in results), max(each.p99 for each in results),
        *(1000 * each / refreshes for each in used),
        busy, max(costs.shares.busy - busy, 0), costs.shares.waiting,
        counted.commits / advanced * rate, counted.flushes / advanced * rate,
        counted.commits / flushes, counted.flush_time / flushes,
        counted.wal / advanced, counted.images / advanced, counted.hot_updates / counted.updates, costs.states)


def _queues(database, nodes, connections):
    """Files of refresh tokens, one for each node, of 100,000 sessions in all where there are so many."""
    chosen = database.refresh_tokens(100_000)
    assert len(chosen) >= 2 * connections, "a refresh token for each connection, and as many in the queue"
    files = [database.cluster.folder / f"refresh-tokens-{number}" for number in range(nodes)]
    for number, file in enumerate(files):
        file.write_text("".join(token + "\n" for token in chosen[number::nodes]))
    return files
