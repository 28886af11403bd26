"""PostgreSQL servers of the tests' own, PgBouncer before them, and nodes over them: on loopback, gone afterwards."""

import contextlib
import itertools
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from service import PATIENCE, Installation, assert_error, eventually

USER = "tester"
#: What a URL in tests without TLS has for a password; the server trusts everybody on this machine.
URL_PASSWORD = "drowssap-of-the-database"

#: What every node is told, but for where the others are.
NODE = {"keys": "database", "issuer": "https://id.example", "algorithms": "ES256"}


def programs():
    """The folder of the server's programs, which isn't on the path everywhere."""
    try:
        found = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        found = ""
    if (pathlib.Path(found) / "initdb").exists():
        return pathlib.Path(found)
    (*_, newest) = sorted(
        pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return newest.parent


#: How a server's programs are run: root may not.
AS_SERVER = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def folder_of_server():
    folder = pathlib.Path(tempfile.mkdtemp())
    if os.getuid() == 0:
        shutil.chown(folder, AS_SERVER["user"], AS_SERVER["group"])
    return folder


class PostgreSQL:
    """A server. One with a primary is its streaming replica, for which nobody waits until `wait_for_replica`.

    With `fsync`, what it has acknowledged outlives the machine, too; most tests don't wait for that.
    """

    NAMES = itertools.count(1)

    def __init__(self, primary=None, fsync=False):
        self.programs = programs()
        self.folder = folder_of_server()
        self.data = self.folder / "data"
        self.port = free_port()
        if primary:
            self._run(
                "pg_basebackup", "-d", primary.url("postgres"), "-D", str(self.data), "-R", "-X", "stream",
                "-c", "fast")
        else:
            self._run(
                "initdb", "-D", str(self.data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self._configure(
            listen_addresses="'127.0.0.1'", port=self.port, unix_socket_directories=f"'{self.folder}'",
            max_connections=300, fsync="on" if fsync else "off", wal_level="replica",
            wal_retrieve_retry_interval="'100ms'")
        self.start()

    def _configure(self, **settings):
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        with open(self.data / "postgresql.conf", "a") as file:
            file.write(lines)

    def _run(self, program, *arguments):
        completed = subprocess.run(
            [self.programs / program, *arguments], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, timeout=PATIENCE, **AS_SERVER)
        assert completed.returncode == 0, completed.stderr

    def _control(self, *arguments):
        # The server keeps what it is given as standard output; it has to be a file.
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self.folder / "log"), "-w", "-s", *arguments)

    def start(self):
        self._control("start")

    def stop(self, mode="fast"):
        self._control("stop", "-m", mode)

    def restart(self, mode="fast"):
        self._control("restart", "-m", mode)

    def wait_for_replica(self):
        """From now on, no commit is acknowledged before a replica has it on its disk."""
        self.query("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.query("SELECT pg_reload_conf()")
        eventually(lambda: self.query("SELECT sync_state FROM pg_stat_replication") == ["sync"])

    def fall_behind(self):
        """A replica hears no more of its primary."""
        self.query("ALTER SYSTEM SET primary_conninfo = ''")
        self.query("SELECT pg_reload_conf()")
        eventually(lambda: self.query("SELECT count(*) FROM pg_stat_wal_receiver") == ["0"])

    def has_caught_up_with(self, primary):
        position = primary.query("SELECT pg_current_wal_lsn()")[0]
        return self.query(f"SELECT pg_last_wal_replay_lsn() >= '{position}'") == ["t"]

    def promote(self):
        self._control("promote")

    def close(self):
        if (self.data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder)

    def url(self, database, password=None):
        user = f"{USER}:{password}" if password else USER
        return f"postgres://{user}@127.0.0.1:{self.port}/{database}"

    def new_database(self):
        """The name of an empty database."""
        name = f"test{next(self.NAMES)}"
        self.query(f"CREATE DATABASE {name}")
        return name

    def query(self, sql, database="postgres"):
        """The rows of an answer, as lines."""
        completed = subprocess.run(
            [self.programs / "psql", "-X", "-d", self.url(database), "-v", "ON_ERROR_STOP=1", "-Atc", sql],
            capture_output=True, text=True, timeout=PATIENCE)
        assert completed.returncode == 0, completed.stderr
        return completed.stdout.splitlines()

    @property
    def postmaster(self):
        """The process that the others are children of."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    @contextlib.contextmanager
    def frozen(self, database):
        """Holds up every process that works for a database: its connections are there, and say nothing."""
        pids = [
            int(pid) for pid in
            self.query(f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()")]
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield pids
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


class PgBouncer:
    """PgBouncer in transaction mode before a server, with the settings that it has by default."""

    def __init__(self, server):
        self.folder = folder_of_server()
        self.port = free_port()
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={server.port}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {self.folder}/users\npool_mode = transaction\n")
        (self.folder / "users").write_text(f'"{USER}" ""\n')
        self.log_file = self.folder / "log"
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen(
                [self._program(), configuration], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                **AS_SERVER)
        eventually(self._listens, within=5)

    @staticmethod
    def _program():
        return shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")

    def _listens(self):
        """PgBouncer listens."""
        assert self.process.poll() is None, self.log_file.read_text()
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
            return True

    def url(self, database):
        return f"postgres://{USER}@127.0.0.1:{self.port}/{database}"

    def close(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        shutil.rmtree(self.folder)


# MARK: Nodes


class Cluster:
    """Nodes that have nothing in common but the database and the master secret."""

    def __init__(self, folder, url, **settings):
        self.folder = folder
        self.secret = folder / "master.secret"
        self.secret.touch(mode=0o600)
        self.secret.write_text(secrets.token_hex(32) + "\n")
        self.settings = NODE | {"database": url, "master_secret_file": str(self.secret)} | settings
        self.installations = []
        #: For the commands, from a folder that no node is in.
        self.operator = self.installation()

    def installation(self, **settings):
        folder = self.folder / f"node-{len(self.installations)}"
        folder.mkdir()
        self.installations.append(Installation(folder, **(self.settings | settings)))
        return self.installations[-1]

    def node(self, **settings):
        return self.installation(**settings).serve()

    def nodes(self, count=2, **settings):
        return [self.node(**settings) for _ in range(count)]

    def add_user(self, name="anna"):
        self.operator.add_user(name)
        return name

    def close(self):
        for installation in self.installations:
            installation.close()


def assert_unavailable(response):
    """Checks that the service says that the database is away, and when to come again."""
    assert_error(response, 503, "temporarily_unavailable")
    assert int(response.headers["Retry-After"]) >= 1


def delay(probe, within=2, every=0.005):
    """How long it takes until the answer is true, in seconds."""
    began = time.monotonic()
    eventually(probe, within=within, every=every)
    return time.monotonic() - began
