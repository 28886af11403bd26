"""Keys that rotate while nodes sign and verifiers verify."""

import collections
import contextlib
import datetime
import functools
import queue
import time

import requests
import tokens
from background import Background
from nginx import Nginx
from oauth import TOKEN, Client, issuer
from service import PATIENCE, QUICK_ROTATION, eventually
from trials import cluster_over, durable_postgresql
from verifiers import Joserfc, PyJWT

NODES = 3
#: As long as jwks-max-age of QUICK_ROTATION lets them keep the JWKS, in seconds.
MAXIMUM_AGE = 1
#: Within what each node has to have heard of a rotation, in seconds.
BOUND = 2
#: How far a clock that is read twice by different programs may be apart, in seconds.
PRECISION = 0.002

#: A token, and when it was signed at the earliest and at the latest, by the machine's clock.
Signed = collections.namedtuple("Signed", "node kid earliest latest token")
#: A token that a verifier refused, and why.
Refusal = collections.namedtuple("Refusal", "at verifier signed reason")


class Signing(Background):
    """Tokens that each node is asked for without a pause, and what verifiers say to each of them at once."""

    def __init__(self, nodes, client, url):
        self.nodes, self.client = nodes, client
        self.signed, self.refusals, self.verified = [], [], collections.Counter()
        self.problems = []
        self.verifiers = [verifier(url, keep_for=MAXIMUM_AGE) for verifier in [PyJWT, Joserfc]]
        self.queues = [queue.Queue(100) for _ in self.verifiers]
        super().__init__(
            *[functools.partial(self._run, self._sign, node) for node in nodes],
            *[functools.partial(self._run, self._verify, *each) for each in zip(self.verifiers, self.queues)])

    def _run(self, work, *arguments):
        try:
            work(*arguments)
        except Exception as error:  # told at the end
            self.problems.append(error)

    def _sign(self, node):
        with requests.Session() as http:
            http.trust_env = False
            while not self.is_over.is_set():
                earliest = time.time()
                response = http.post(
                    node.url + TOKEN, data={"grant_type": "client_credentials"}, auth=self.client.basic,
                    timeout=PATIENCE)
                latest = time.time()
                assert response.status_code == 200, response.text
                token = response.json()["access_token"]
                signed = Signed(self.nodes.index(node), tokens.kid(token), earliest, latest, token)
                self.signed.append(signed)
                for each in self.queues:
                    each.put(signed, timeout=PATIENCE)

    def _verify(self, verifier, tokens_signed):
        name = type(verifier).__name__
        while not (self.is_over.is_set() and tokens_signed.empty()):
            with contextlib.suppress(queue.Empty):
                signed = tokens_signed.get(timeout=0.1)
                try:
                    verifier.verify(signed.token, issuer(signed_by := self.nodes[signed.node]))
                    self.verified[name] += 1
                except Exception as error:  # whatever the library raises, it is a refusal
                    self.refusals.append(Refusal(time.time(), name, signed, f"{signed_by.url}: {error}"))

    def all_sign_with(self, kid):
        """Every node signs with a key."""
        last = {each.node: each.kid for each in self.signed[-100 * len(self.nodes):]}
        return set(last.values()) == {kid} and len(last) == len(self.nodes)


class Switch:
    """What the tokens say about how the nodes went over from one key to the next."""

    def __init__(self, signed, old, new):
        nodes = {each.node for each in signed}
        self.last = {node: [each for each in signed if (each.node, each.kid) == (node, old)][-1] for node in nodes}
        self.first = {node: [each for each in signed if (each.node, each.kid) == (node, new)][0] for node in nodes}

    @property
    def overlap(self):
        """How long one node signed with the new key and another still with the old one, in seconds: that long for sure,
        and at the most, since when within a request its token was signed isn't known."""
        pairs = [
            (last, first) for node, last in self.last.items() for other, first in self.first.items() if node != other]
        return (
            max(0, *[last.earliest - first.latest for last, first in pairs]),
            max(0, *[last.latest - first.earliest for last, first in pairs]))

    def too_early(self, instant):
        """How long before an instant the new key signed for sure, in seconds."""
        return max(0, *[instant - first.latest for first in self.first.values()])

    def too_late(self, instant):
        """How long after an instant the old key signed for sure, in seconds."""
        return max(0, *[last.earliest - instant for last in self.last.values()])

    @property
    def over_at(self):
        """When the last node signed with the new key, at the latest."""
        return max(first.latest for first in self.first.values())


def try_key_switches(trial, rotations=6):
    with durable_postgresql() as postgresql, cluster_over(
            postgresql.url(postgresql.new_database()), trusted_proxies="127.0.0.1", **QUICK_ROTATION) as cluster:
        nodes = cluster.nodes(NODES)
        client = Client(cluster.operator, "signing", "--scope", "read")
        # The verifiers fetch the JWKS from now this node and now that.
        with contextlib.closing(Nginx(nodes)) as nginx:
            signing = Signing(nodes, client, nginx.url)
            with signing:
                ordinary = [_rotate(cluster, signing) for _ in range(rotations)]
                surprises = signing.verifiers[1].surprises
                refused = list(signing.refusals)
                immediate = _rotate(cluster, signing, "--immediately")
        _tell_ordinary(trial, signing, ordinary, refused, surprises)
        _tell_immediate(trial, signing, *immediate)


def _rotate(cluster, signing, *flags):
    """The old kid and the new one, when the new one was to sign, and when the command began and ended."""
    time.sleep(MAXIMUM_AGE)
    old = signing.signed[-1].kid
    began = time.time()
    rotated = cluster.operator.json("keys", "rotate", *flags)
    ended = time.time()
    (new,) = [key for key in rotated if key["retires_at"] is None]
    eventually(lambda: signing.all_sign_with(new["kid"]))
    # Until everybody has to have fetched the JWKS again.
    time.sleep(MAXIMUM_AGE)
    return old, new["kid"], datetime.datetime.fromisoformat(new["activates_at"]).timestamp(), began, ended


def _milliseconds(seconds):
    return f"{seconds * 1000:.1f}"


def _tell_ordinary(trial, signing, rotations, refused, surprises):
    print(
        f"{len(signing.signed)} tokens of {NODES} nodes, verified by "
        + ", ".join(f"{name} {count} times" for name, count in signing.verified.items())
        + f", which keep the JWKS for {MAXIMUM_AGE} s\n")
    switches = [(Switch(signing.signed, old, new), instant) for old, new, instant, *_ in rotations]
    rows = [
        [number, *switch.overlap, switch.too_early(instant), switch.too_late(instant)]
        for number, (switch, instant) in enumerate(switches, 1)]
    rows.append(["maximum", *[max(row[column] for row in rows) for column in range(1, 5)]])
    trial.table(
        ["keys rotate, in ms", "two keys at once for", "at most", "new key too early by", "old key too late by"],
        *[[name, *map(_milliseconds, times)] for name, *times in rows])
    trial.promise(f"no token was refused through {len(rotations)} rotations", refused)
    trial.promise("each key was known to a verifier before it signed", ["unknown"] * surprises)
    bounds = {"signed before its time": 3, "signed after its time": 4, "overlapped with the next": 1}
    for what, column in bounds.items():
        trial.promise(f"no key {what}", [
            f"rotation {row[0]}: by {_milliseconds(row[column])} ms" for row in rows[:-1] if row[column] > PRECISION])
    trial.promise("every node and verifier worked to the end", signing.problems)


def _tell_immediate(trial, signing, old, new, _, began, ended):
    switch = Switch(signing.signed, old, new)
    refusals = [each for each in signing.refusals if each.at > began]
    print()
    trial.table(
        ["keys rotate --immediately, in ms", ""],
        ["the command took", _milliseconds(ended - began)],
        ["from its end until every node signed with the new key", _milliseconds(max(0, switch.over_at - ended))],
        ["two keys at once for", _milliseconds(switch.overlap[0])],
        ["at most", _milliseconds(switch.overlap[1])],
        ["from its end to the last refusal", _milliseconds(max([0, *[each.at - ended for each in refusals]]))])
    counted = collections.Counter(each.verifier for each in refusals)
    print("Tokens refused: " + (", ".join(f"{count} by {name}" for name, count in counted.items()) or "none") + "\n")
    trial.promise(f"every node signed with the new key within {BOUND} s", [
        f"after {switch.over_at - ended:.2f} s"] if switch.over_at - ended > BOUND else [])
    trial.promise(
        "no token of the new key was refused longer than a verifier keeps the JWKS and a node may not know of it",
        [each for each in refusals if each.at > ended + BOUND + MAXIMUM_AGE or each.signed.kid != new])
