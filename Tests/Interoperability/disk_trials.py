"""What clients are answered while the service can't write: a full disk, and a key folder that is read-only."""

import collections
import contextlib
import functools
import itertools
import json
import pathlib
import tempfile
import time

import oauth
import requests
from background import Background
from callers import Caller
from disks import disk
from service import FAILED, PASSWORD, UNAVAILABLE, Installation, eventually

LOG_IN, REFRESH, CREDENTIALS = "log-in", "refresh", "client credentials"
JWKS, ME = "JWKS", "/auth/me"
KINDS = [LOG_IN, REFRESH, CREDENTIALS, JWKS, ME]

#: The phases of a trial and how long each takes, in seconds.
BEFORE, DURING, AFTER = "before", "meanwhile", "after"
SECONDS = {BEFORE: 3, DURING: 12, AFTER: 4}
USERS = 4
#: A pause between two requests of a client, in seconds.
PAUSE = 0.01

Answer = collections.namedtuple("Answer", "at kind status code retry_after lifetime")


class Clients(Background):
    """Users who log in and refresh, a machine, and one who reads; each repeats what failed."""

    def __init__(self, server, machine):
        self.server, self.machine = server, machine
        self.answers, self.problems = [], []
        #: The refresh token that each session was answered last.
        self.sessions = {}
        self.numbers = itertools.count()
        self.access_token = server.log_in("user-0")["access_token"]
        # Every other one keeps the first session.
        users = [
            functools.partial(self._live, f"user-{number}", 10 if number % 2 else None) for number in range(USERS)]
        super().__init__(*[functools.partial(self._run, each) for each in [*users, self._work, self._read]])

    def _run(self, work):
        with contextlib.closing(Caller(self.server)) as caller:
            while not self.is_over.is_set():
                try:
                    work(caller)
                except Exception as error:  # told at the end
                    self.problems.append(f"{type(error).__name__}: {error}")
                self.is_over.wait(PAUSE)

    def _live(self, user, refreshes, caller):
        """One session, refreshed so often or until the end."""
        pair = self._ask(caller, LOG_IN, "POST", "/auth/log-in", body={"username": user, "password": PASSWORD})
        if not pair:
            return
        number = next(self.numbers)
        self.sessions[number] = pair["refresh_token"]
        for _ in itertools.count() if refreshes is None else range(refreshes):
            if self.is_over.wait(PAUSE):
                return
            body = {"refresh_token": self.sessions[number]}
            if pair := self._ask(caller, REFRESH, "POST", "/auth/refresh", body=body):
                self.sessions[number] = pair["refresh_token"]

    def _work(self, caller):
        header = requests.Request("GET", "http://a", auth=self.machine.basic).prepare().headers["Authorization"]
        self._ask(
            caller, CREDENTIALS, "POST", oauth.TOKEN, form={"grant_type": "client_credentials"},
            headers={"Authorization": header})

    def _read(self, caller):
        self._ask(caller, JWKS, "GET", "/.well-known/jwks.json")
        self._ask(caller, ME, "GET", "/auth/me", headers={"Authorization": f"Bearer {self.access_token}"})

    def _ask(self, caller, kind, method, path, **options):
        """The body of a good answer."""
        response, content = caller.ask(method, path, **options)
        body = json.loads(content) if content else {}
        self.answers.append(Answer(
            time.monotonic(), kind, response.status, body.get("error"), response.getheader("Retry-After"),
            body.get("expires_in")))
        return body if response.status == 200 else None

    # MARK: What came of it

    def between(self, begin, end, kind=None):
        return [each for each in self.answers if begin <= each.at < end and kind in (None, each.kind)]

    def lost(self):
        """The sessions that don't go on with what they were answered last, in words."""
        lost = []
        for token in self.sessions.values():
            response = self.server.post("/auth/refresh", {"refresh_token": token})
            if response.status_code != 200:
                lost.append(f"a session is answered {response.status_code} {response.text}")
        return lost


def _described(answers):
    """How often there was which answer, in words."""
    counted = collections.Counter(
        f"{each.status}" + (f" {each.code}" if each.code else "")
        + (f" (Retry-After {each.retry_after})" if each.retry_after else "") for each in answers)
    return ", ".join(f"{text}: {number:,}" for text, number in counted.most_common()) or "nothing"


def _tell(trial, clients, instants):
    """A table of what was answered in each phase; the instants are the phases' begins, and the end."""
    rows = [("", *SECONDS)]
    for kind in KINDS:
        rows.append((kind, *[
            _described(clients.between(begin, end, kind)) for begin, end in itertools.pairwise(instants)]))
    trial.table(*rows)


def _promise_good_answers(trial, clients, instants):
    """What holds for both trials."""
    everything = clients.between(instants[0], instants[-1])
    wrong = [
        f"{each.kind}: {each.status} {each.code}, Retry-After {each.retry_after}" for each in everything
        if each.status != 200 and (each.status != 503 or each.retry_after is None)]
    trial.promise("each answer was a good one, or 503 with Retry-After", wrong)
    trial.promise("no connection broke", clients.problems)
    reading = [each for each in everything if each.kind in (JWKS, ME)]
    trial.promise(
        f"JWKS and /auth/me went on: {len(reading):,} requests", [
            f"{each.kind}: {each.status}" for each in reading if each.status != 200])
    after = clients.between(instants[-1] - SECONDS[AFTER] / 2, instants[-1])
    trial.promise(
        "everything goes well again, without a restart",
        [f"{each.kind}: {each.status}" for each in after if each.status != 200]
        + [f"{kind}: no answer" for kind in KINDS if not any(each.kind == kind for each in after)])


def _recovery(clients, freed):
    """Within how many seconds each kind that failed went well again, in words."""
    times = []
    for kind in [LOG_IN, REFRESH, CREDENTIALS]:
        good = [each.at for each in clients.answers if each.kind == kind and each.at > freed and each.status == 200]
        times.append(f"{kind} {good[0] - freed:.2f} s" if good else f"{kind} never")
    return ", ".join(times)


def _prepared(folder, **settings):
    """An installation with its users and its machine, and the running server."""
    installation = Installation(folder, **settings)
    server = installation.serve()
    for number in range(USERS):
        installation.add_user(f"user-{number}")
    return installation, server, oauth.Client(installation, "machine", "--scope", "read")


def _command(trial, installation, *arguments, fails=(FAILED, UNAVAILABLE), **options):
    """Runs a command that can't be done, and tells its line."""
    completed = installation.run(*arguments, check=False, timeout=30, **options)
    lines = [
        line for line in completed.stderr.splitlines() if not line.startswith(("warning: ", "{"))]
    print(f"{' '.join(arguments)}: exit status {completed.returncode}: {' / '.join(lines)}")
    wrong = []
    if completed.returncode not in fails:
        wrong.append(f"exit status {completed.returncode}")
    if len(lines) != 1 or not lines[0].startswith("error: "):
        wrong.append(f"{len(lines)} lines")
    trial.promise(f"{' '.join(arguments[:2])} says in one line what is wrong", wrong)


def try_full_disk(trial):
    """Database, keys, master secret and log are on a disk that gets full."""
    print("== a full disk\n")
    with disk(16) as full, contextlib.closing(Closing()) as closing:
        installation, server, machine = _prepared(full.folder)
        closing.take(installation)
        before = server.log_in("user-1")
        with Clients(server, machine) as clients:
            instants = [time.monotonic()]
            time.sleep(SECONDS[BEFORE])
            full.fill()
            instants.append(time.monotonic())
            while time.monotonic() < instants[-1] + SECONDS[DURING]:
                full.fill()
                time.sleep(0.1)
            _command(trial, installation, "users", "add", "late", "--password-stdin", input=PASSWORD)
            _command(trial, installation, "keys", "rotate")
            _start(trial, installation, "with the disk full")
            print()
            full.free()
            freed = time.monotonic()
            instants.append(freed)
            time.sleep(SECONDS[AFTER])
            instants.append(time.monotonic())
        _tell(trial, clients, instants)
        print(f"well again after: {_recovery(clients, freed)}")
        failed = [each for each in clients.between(*instants[1:3]) if each.status == 503]
        trial.promise("the disk was full", [] if failed else ["nothing failed"])
        _promise_good_answers(trial, clients, instants)
        clients.sessions["before"] = before["refresh_token"]
        trial.promise(f"each of {len(clients.sessions):,} acknowledged sessions goes on", clients.lost())
        trial.promise("the server lives", [] if server.process.poll() is None else [server.process.poll()])
        installation.run("keys", "rotate")
        trial.promise("no damaged key", [] if installation.listed_keys() else ["none at all"])
        trial.promise("it stops with 0", [status] if (status := server.stop()) else [])
        again = installation.serve()
        clients.server = again
        trial.promise("each session goes on after a restart, too", clients.lost())
        print()


def try_read_only_keys(trial):
    """The key folder is on a disk that is read-only for longer than the keys' records allow."""
    print("== a read-only key folder\n")
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Closing()) as closing:
        keys = pathlib.Path(folder) / "keys"
        keys.mkdir(mode=0o700)
        with disk(1, keys) as small:
            installation, server, machine = _prepared(folder, access_token_lifetime="1m")
            closing.take(installation)
            kids = server.published_kids()
            with Clients(server, machine) as clients:
                instants = [time.monotonic()]
                time.sleep(SECONDS[BEFORE])
                small.read_only(True)
                instants.append(time.monotonic())
                _command(trial, installation, "keys", "rotate", "--immediately")
                trial.promise("the keys are as they were", [] if server.published_kids() == kids else ["they aren't"])
                time.sleep(SECONDS[DURING])
                _start(trial, installation, "with the folder read-only")
                stopped = _wait_for_the_last_signature(clients, instants[-1])
                small.read_only(False)
                freed = time.monotonic()
                instants.append(freed)
                # The server looks for it by itself.
                with contextlib.suppress(AssertionError):
                    eventually(lambda: clients.answers[-1].at > freed and all(
                        any(each.kind == kind and each.status == 200 for each in clients.between(freed, freed + 999))
                        for kind in KINDS), within=90)
                time.sleep(SECONDS[AFTER])
                instants.append(time.monotonic())
            print()
            _tell(trial, clients, instants)
            lifetimes = [each.lifetime for each in clients.between(*instants[1:3]) if each.lifetime is not None]
            print(
                f"tokens were signed with lifetimes of {max(lifetimes)} s down to {min(lifetimes)} s, and "
                + (f"after {stopped:.0f} s none any more" if stopped else "all the time")
                + f"; well again after: {_recovery(clients, freed)}")
            _promise_good_answers(trial, clients, instants)
            installation.run("keys", "rotate", "--immediately")
            trial.promise("each of %d acknowledged sessions goes on" % len(clients.sessions), clients.lost())
            trial.promise("the server lives", [] if server.process.poll() is None else [server.process.poll()])
            trial.promise("it stops with 0", [status] if (status := server.stop()) else [])
    with tempfile.TemporaryDirectory() as folder, disk(1, _made(pathlib.Path(folder) / "keys")) as small:
        small.read_only(True)
        print("\na first start with an empty read-only folder:")
        _command(
            trial, Installation(folder), "serve", "--listen", "127.0.0.1:0", fails=(FAILED, UNAVAILABLE, 78))
    print()


def _made(folder):
    folder.mkdir(mode=0o700)
    return folder


def _start(trial, installation, when):
    """Starts another server over the same files, and tells whether it serves or why not."""
    try:
        another = installation.serve()
    except AssertionError:
        lines = [each for each in installation.servers[-1].log.splitlines() if each.startswith("error: ")]
        print(f"a start {when}: {' / '.join(lines)}")
        trial.promise("a start that fails says in one line why", [] if len(lines) == 1 else [f"{len(lines)} lines"])
        return
    log_in = another.post("/auth/log-in", {"username": "user-0", "password": PASSWORD})
    lifetime = f", and its token {log_in.json()['expires_in']} s" if log_in.status_code == 200 else ""
    print(
        f"a start {when}: it serves; the JWKS is answered {another.get('/.well-known/jwks.json').status_code}, "
        f"a log-in {log_in.status_code}{lifetime}")
    trial.promise("it stops with 0", [status] if (status := another.stop()) else [])


def _wait_for_the_last_signature(clients, since):
    """After how many seconds a log-in was refused first; `None` where it never was."""
    deadline = since + 150
    while time.monotonic() < deadline:
        refused = [each.at for each in list(clients.answers) if each.at > since and each.status == 503]
        if refused:
            time.sleep(3)
            return refused[0] - since
        time.sleep(0.2)
    return None


class Closing:
    """Closes what it was given."""

    def __init__(self):
        self.installation = None

    def take(self, installation):
        self.installation = installation

    def close(self):
        if self.installation:
            self.installation.close()
