"""A replica that takes over from its primary, and what becomes of all that was done just before."""

import itertools
import time

from deeds import DEEDS, DONE, UNDONE, Mixed, Scene
from mixed_load import Load, is_unavailable, lost_sessions
from postgresql import USER
from service import eventually
from trials import cluster_over, durable_postgresql

NODES = 3
#: Within what nodes know of a change by themselves, in seconds.
BOUND = 2


def try_fail_overs(trial):
    results = {}
    for name, is_synchronous in [("asynchronous", False), ("synchronous", True)]:
        with durable_postgresql() as primary, durable_postgresql(primary) as replica:
            results[name] = _fail_over(trial, primary, replica, is_synchronous)
    _tell(trial, results)


def _fail_over(trial, primary, replica, is_synchronous):
    """What became of each deed, as often as it was done: `DONE`, `UNDONE`, or in words what else."""
    name = primary.new_database()
    url = f"postgres://{USER}@127.0.0.1:{primary.port},127.0.0.1:{replica.port}/{name}"
    with cluster_over(url, algorithms="ES256,RS256") as cluster:
        nodes = cluster.nodes(NODES)
        prepared = [
            (deed, deed.prepare(Scene(cluster, nodes, number)))
            for deed in DEEDS for number in range(deed.times)]
        users = [cluster.add_user(f"refreshing-{number}") for number in range(4)]
        with Load(nodes, users=users, refreshes=None) as load:
            eventually(lambda: len(load.sessions) == len(users))
            eventually(lambda: replica.has_caught_up_with(primary))
            if is_synchronous:
                primary.wait_for_replica()
            else:
                replica.fall_behind()
            looks = [(deed, do()) for deed, do in prepared]
            done = len(load.answers)
            primary.stop("immediate")
            began = time.monotonic()
            replica.promote()
            eventually(lambda: all(node.get("/health/ready").status_code == 200 for node in nodes))
            ready = time.monotonic() - began
            time.sleep(BOUND)
        # One that saw nothing of the lag is to say the same as those that did.
        nodes.append(cluster.node())
        results = {}
        for deed, is_kept in looks:
            results.setdefault(deed.name, []).append(_outcome(is_kept, is_synchronous))
        ahead = [
            record for record in cluster.operator.json("audit", "list")
            if (record["event"], record["outcome"]) == ("refresh", "ahead")]
        kind = "synchronous" if is_synchronous else "asynchronous"
        print(
            f"{kind} replica: {len(users)} users refreshed {done} times before and {len(load.answers) - done} times "
            f"after, {len(load.failures)} requests got 503; ready {ready:.2f} s after the promotion began; "
            f"refreshes ahead of their row: {len(ahead)}")
        trial.promise("refreshes went on, with nothing but 503 and Retry-After between", [
            *[failure for failure in load.failures if not is_unavailable(failure)], *load.problems, *load.broken])
        trial.promise(
            f"each of {len(users)} sessions that was refreshed all the while goes on", lost_sessions(load, nodes))
        trial.promise("nodes were ready again within 10 s", [f"after {ready:.1f} s"] if ready > 10 else [])
        trial.promise("the audit log tells which refreshes were ahead, where there were some", [
            f"{len(ahead)} records"] if is_synchronous == bool(ahead) else [])
        print(flush=True)
        return results


def _outcome(is_kept, is_synchronous):
    try:
        return DONE if is_kept() else UNDONE
    except Mixed as error:
        return str(error)
    except AssertionError as error:
        return f"unexpected: {error}"


def _tell(trial, results):
    names = list(results)
    rows = []
    for deed in DEEDS:
        cells = [deed.name, deed.times]
        for name in names:
            outcomes = results[name][deed.name]
            lost, kept = outcomes.count(UNDONE), outcomes.count(DONE)
            cells += [lost, kept, len(outcomes) - lost - kept]
        rows.append([*cells, deed.seen])
    outcomes = itertools.chain(*[[f"{name}: lost", "kept", "neither"] for name in names])
    trial.table(["done in the lag", "done", *outcomes, "where it is lost"], *rows)
    for name in names:
        trial.promise(f"with the {name} replica it was as docs/operating.md says", [
            f"{deed.name}: {outcome}" for deed in DEEDS for outcome in results[name][deed.name]
            if outcome != (deed.documented if name == "asynchronous" else DONE)])
