"""Nodes behind nginx that are killed one after another under load."""

import collections
import contextlib
import time

from mixed_load import BOUND, KINDS, REFRESH, Load, Witness
from nginx import Nginx, address
from trials import cluster_over, counts, durable_postgresql, wait_until_endings_are_known

NODES = 3
#: A node is killed so often, in seconds, and started again so much later.
EVERY, AWAY = 10, 3
#: nginx writes down the time by milliseconds, and when it has written.
PRECISION = 0.01

#: From just before a node was killed until it listened again.
Death = collections.namedtuple("Death", "node began ended")


def try_node_kills(trial, seconds):
    with durable_postgresql() as postgresql, cluster_over(
            postgresql.url(postgresql.new_database()), trusted_proxies="127.0.0.1") as cluster:
        nodes = cluster.nodes(NODES)
        with contextlib.closing(Nginx(nodes)) as nginx:
            load = Load.mixed(cluster, [nginx])
            with Witness(load, nodes) as witness:
                with load:
                    deaths = list(_kill(nodes, seconds))
                wait_until_endings_are_known(load)
            _tell(trial, load, witness, nginx.requests, deaths, seconds)
        trial.promise_that_nothing_was_lost(load, nodes)


def _kill(nodes, seconds):
    """Kills nodes in turn, and starts each again where it listened, until the time is over."""
    began = time.monotonic()

    def wait_for(second):
        time.sleep(max(0, began + second - time.monotonic()))

    for number, second in enumerate(range(EVERY // 2, seconds - EVERY // 2 + 1, EVERY)):
        wait_for(second)
        node = nodes[number % len(nodes)]
        killed_at = time.time()
        node.kill()
        time.sleep(AWAY)
        nodes[number % len(nodes)] = node.installation.serve("--listen", address(node))
        yield Death(address(node), killed_at, time.time())
    wait_for(seconds)


def _tell(trial, load, witness, requests, deaths, seconds):
    lost = _lost_answers(load, requests)
    print(f"{seconds} s, {NODES} nodes behind nginx, {len(deaths)} times kill -9, {AWAY} s later started again\n")
    heading, *rows = counts(load)
    trial.table([*heading, "had reached a node"], *[[*row, lost[row[0]]] for row in rows])
    gone_on = [request for request in requests if len(request.attempts) > 1]
    print(
        f"{sum(lost.values())} requests had reached the node that was killed; "
        f"{len(gone_on)} others nginx sent to another node by itself\n")

    # A refresh that is repeated could be taken for a stolen token that is used again.
    trial.promise(
        f"each of {load.repeated[REFRESH]} refreshes that were repeated was answered well, and none punished",
        [failure for failure in load.failures if failure.kind == REFRESH and failure.status < 500])
    trial.promise("nothing failed but with nginx's 502", [
        *[failure for failure in load.failures if failure.status != 502], *load.broken])
    trial.promise("nginx had an answer for each failed request, and no other", _unexplained(load, requests))
    trial.promise("every 502 was of a node that was dead", _of_the_living(requests, deaths))
    trial.promise("no POST that a node had begun on was sent again by nginx", [
        request for request in gone_on
        if request.method == "POST" and any(attempt.sent for attempt in request.attempts[:-1])])
    trial.promise(
        f"{BOUND} s after each ending, every living node refused its token ({witness.looked} looks)", witness.late)


def _lost_answers(load, requests):
    """How many failed requests of each kind a node had got hold of, who may have done what they asked for."""
    reached = {request.id for request in requests if request.attempts and request.attempts[-1].sent}
    counted = collections.Counter({kind: 0 for kind in KINDS})
    counted.update(failure.kind for failure in load.failures if failure.id in reached)
    return counted


def _unexplained(load, requests):
    failed = {failure.id for failure in load.failures if failure.id}
    logged = {request.id for request in requests if request.status >= 400}
    return sorted(failed ^ logged)


def _of_the_living(requests, deaths):
    """What nginx couldn't ask of a node that lived all the while, or of no node in particular."""

    def is_explained(request, attempt):
        return any(
            death.node == attempt.node and request.ended > death.began - PRECISION
            and request.began < death.ended + PRECISION for death in deaths)

    return [
        request for request in requests for attempt in request.attempts
        if attempt.status not in range(200, 300) and not is_explained(request, attempt)]
