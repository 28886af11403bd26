"""Load of every kind at once, by users and machine clients who remember what they were answered; and whether the
service remembers it, too."""

import collections
import dataclasses
import functools
import itertools
import random
import time
import uuid

import requests
import tokens
from background import Background
from oauth import REVOKE, TOKEN, Client
from service import FAILED, PASSWORD, PATIENCE, UNAVAILABLE
from status_lists import StatusList, reference

LOG_IN, REFRESH, LOG_OUT, LOG_OUT_EVERYWHERE = "log-in", "refresh", "log-out", "log-out everywhere"
REVOCATION, COMMAND = "POST /oauth2/revoke", "sessions revoke ID"
CREDENTIALS, JWKS = "client credentials", "JWKS"
KINDS = [LOG_IN, REFRESH, CREDENTIALS, JWKS, LOG_OUT, LOG_OUT_EVERYWHERE, REVOCATION, COMMAND]

#: What becomes of a session, by how often: most are kept, and what ends all sessions of a user is rare.
FATES = {None: 8, LOG_OUT: 3, REVOCATION: 3, COMMAND: 1, LOG_OUT_EVERYWHERE: 0.1}

#: Within what an ending has to be known everywhere, in seconds.
BOUND = 2

#: A good answer. The times are those of the machine's clock.
Answer = collections.namedtuple("Answer", "began ended kind")
#: Another one. `id` is the X-Request-Id that the request had, `attempt` how often it had been sent before.
Failure = collections.namedtuple("Failure", "began ended kind id attempt status code retry_after text")
#: Something that was ended: when that was acknowledged, and what is to be refused.
Ended = collections.namedtuple("Ended", "at how access_token refresh_token")


class Refused(Exception):
    """An answer that no repetition mends."""


@dataclasses.dataclass
class Session:
    """A session, with what it was answered last."""

    user: str
    pair: dict
    #: How it was to be ended, acknowledged or not.
    fate: str | None = None

    @property
    def refresh_token(self):
        return self.pair["refresh_token"]


class Load(Background):
    """Users who log in and refresh as fast as they can, each request at the next node, or at what stands before them.

    What failed is sent again to the next one, also after the load is over, until it was answered well. With a machine
    client (which may revoke) and an installation for the commands, sessions are ended in all ways, and machines and
    readers of the JWKS ask for theirs. Each user is one thread; where sessions end, let no two be of one name. Without
    a number of refreshes, a session is refreshed until the end.
    """

    def __init__(self, nodes, users=("anna",) * 4, refreshes=5, machine=None, operator=None):
        self.nodes, self.refreshes, self.machine, self.operator = nodes, refreshes, machine, operator
        self.sessions, self.ended = [], []
        self.answers, self.failures = [], []
        #: When a connection broke without an answer, and what then was answered well all the same, both by kind.
        self.broken, self.repeated = [], collections.Counter()
        self.problems = []
        self.turn = itertools.count()
        work = [functools.partial(self._live, user) for user in users]
        if machine:
            work += [self._work, self._read_keys]
        super().__init__(*[functools.partial(self._run, each) for each in work])

    @classmethod
    def mixed(cls, cluster, nodes, users=12):
        """Load of all kinds, by users and a machine that are added for it."""
        names = [cluster.add_user(f"user-{number}") for number in range(users)]
        machine = Client(cluster.operator, "load", "--scope", "read", "--may", "revoke")
        return cls(nodes, users=names, machine=machine, operator=cluster.operator)

    @property
    def longest(self):
        """How long the slowest answer took, in seconds."""
        return max(each.ended - each.began for each in [*self.answers, *self.failures])

    def _run(self, work):
        with requests.Session() as http:
            http.trust_env = False
            while not self.is_over.is_set():
                try:
                    work(http)
                except Refused:
                    continue
                except Exception as error:  # told by who looks at the load
                    self.problems.append(error)
                    return

    # MARK: What is asked

    def _live(self, user, http):
        """One session."""
        pair = self._ask(http, LOG_IN, "/auth/log-in", json={"username": user, "password": PASSWORD}).json()
        session = Session(user, pair)
        self.sessions.append(session)
        for _ in itertools.count() if self.refreshes is None else range(self.refreshes):
            if self.is_over.is_set():
                return
            body = {"refresh_token": session.refresh_token}
            session.pair = self._ask(http, REFRESH, "/auth/refresh", json=body).json()
        if self.machine:
            (fate,) = random.choices(list(FATES), FATES.values())
            self._end(http, session, fate)

    def _end(self, http, session, fate):
        if fate is None:
            return
        ending = [session]
        if fate == LOG_OUT_EVERYWHERE:
            ending = [each for each in self.sessions if each.user == session.user and each.fate is None]
        for each in ending:
            each.fate = fate
        if fate == COMMAND:
            self._command("sessions", "revoke", "--", tokens.claims(session.pair["access_token"])["sid"])
        elif fate == REVOCATION:
            self._ask(http, fate, REVOKE, data={"token": session.refresh_token}, auth=self.machine.basic)
        else:
            headers = {"Authorization": f"Bearer {session.pair['access_token']}"}
            self._ask(http, fate, f"/auth/{fate.replace(' ', '-')}", headers=headers, good=204)
        now = time.time()
        self.ended += [Ended(now, fate, each.pair["access_token"], each.refresh_token) for each in ending]

    def _work(self, http):
        """A machine that revokes a token now and then: that one and its others, and goes on with new ones."""
        for _ in range(50):
            body = {"grant_type": "client_credentials"}
            token = self._ask(http, CREDENTIALS, TOKEN, data=body, auth=self.machine.basic).json()["access_token"]
            time.sleep(0.01)
        self._ask(http, REVOCATION, REVOKE, data={"token": token}, auth=self.machine.basic)
        self.ended.append(Ended(time.time(), REVOCATION, token, None))

    def _read_keys(self, http):
        self._ask(http, JWKS, "/.well-known/jwks.json", method="GET")
        time.sleep(0.01)

    def _ask(self, http, kind, path, method="POST", good=200, headers=None, **options):
        """The answer, however many tries it takes."""
        began_at = time.monotonic()
        for attempt in itertools.count():
            if time.monotonic() > began_at + PATIENCE:
                raise AssertionError(f"{kind} wasn't answered well within {PATIENCE} s")
            node = self.nodes[next(self.turn) % len(self.nodes)]
            id = str(uuid.uuid4())
            began = time.time()
            try:
                response = http.request(
                    method, node.url + path, headers={"X-Request-Id": id} | (headers or {}), timeout=PATIENCE,
                    **options)
            except requests.ConnectionError:
                self.broken.append((began, kind))
                continue
            ended = time.time()
            if response.status_code == good:
                self.answers.append(Answer(began, ended, kind))
                self.repeated[kind] += attempt > 0
                return response
            self.failures.append(Failure(
                began, ended, kind, id, attempt, response.status_code, _code(response),
                response.headers.get("Retry-After"), response.text))
            if response.status_code < 500:
                raise Refused
            time.sleep(0.05)

    def _command(self, *arguments):
        """Runs a command until it is done, or says that a try before was."""
        for attempt in itertools.count():
            began = time.time()
            completed = self.operator.run(*arguments, check=False)
            if completed.returncode == 0 or attempt and completed.returncode == FAILED and "ended" in completed.stderr:
                self.answers.append(Answer(began, time.time(), COMMAND))
                self.repeated[COMMAND] += attempt > 0
                return
            unavailable = completed.returncode == UNAVAILABLE
            self.failures.append(Failure(
                began, time.time(), COMMAND, None, attempt, completed.returncode,
                "temporarily_unavailable" if unavailable else None, "1" if unavailable else None, completed.stderr))
            if not unavailable:
                raise Refused
            time.sleep(0.05)


def _code(response):
    try:
        return response.json()["error"]
    except ValueError:
        return None


def is_unavailable(failure):
    """Whether a failed request was told that the database is away, and when to come again; a command just the first."""
    if failure.kind == COMMAND:
        return failure.status == UNAVAILABLE
    return (failure.status, failure.code) == (503, "temporarily_unavailable") and int(failure.retry_after or 0) >= 1


# MARK: What became of it


class Witness(Background):
    """Looks at each thing that a load ended, at every node that lives, as soon as all have to know of it."""

    def __init__(self, load, nodes):
        self.load, self.nodes = load, nodes
        self.looked = 0
        self.late = []
        super().__init__(self._look)

    def _look(self):
        with requests.Session() as http:
            http.trust_env = False
            for number in itertools.count():
                while number >= len(self.load.ended):
                    if self.is_over.wait(0.05):
                        return
                ended = self.load.ended[number]
                if self.is_over.wait(max(0, ended.at + BOUND - time.time())):
                    return
                for node in list(self.nodes):
                    self._ask(http, node, ended)

    def _ask(self, http, node, ended):
        headers = {"Authorization": f"Bearer {ended.access_token}"}
        asked_at = time.time()
        try:
            status = http.get(node.url + "/auth/me", headers=headers, timeout=PATIENCE).status_code
        except requests.ConnectionError:
            return
        self.looked += 1
        if status != 401:
            self.late.append(
                f"{node.url} answers {status} to a token {asked_at - ended.at:.2f} s after its {ended.how}")


def lost_sessions(load, nodes):
    """The sessions that nobody ended and that don't go on with what they were answered last, in words."""
    living = [session for session in load.sessions if session.fate is None]
    lost = []
    for number, session in enumerate(living):
        response = nodes[number % len(nodes)].post("/auth/refresh", {"refresh_token": session.refresh_token})
        if response.status_code != 200:
            lost.append(f"a session of {session.user} is answered {response.status_code} {response.text}")
    return lost


def undone_endings(load, nodes):
    """What was acknowledged as ended and isn't so at a node, in words."""
    lists, undone = {}, []
    for ended in load.ended:
        uri, index = reference(ended.access_token)
        for node in nodes:
            if (node.url, uri) not in lists:
                lists[node.url, uri] = StatusList(node, uri)
            if not lists[node.url, uri].says_ended(index):
                undone.append(f"{node.url} hasn't set the bit of a token after its {ended.how}")
            if node.get("/auth/me", token=ended.access_token).status_code != 401:
                undone.append(f"{node.url} accepts an access token after its {ended.how}")
            if ended.refresh_token and not node.refuses(ended.refresh_token):
                undone.append(f"{node.url} refreshes a session after its {ended.how}")
    return undone
