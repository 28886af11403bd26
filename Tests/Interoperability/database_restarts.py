"""PostgreSQL that is restarted under load."""

import time

import requests
from mixed_load import COMMAND, CREDENTIALS, JWKS, LOG_IN, LOG_OUT, REFRESH, REVOCATION, Load, is_unavailable
from oauth import REVOKE, TOKEN, Client, ask
from service import PASSWORD, PATIENCE, at_once
from trials import cluster_over, counts, durable_postgresql, wait_until_endings_are_known

NODES = 3
#: How soon after the return of the server everything is to be answered well, in seconds.
BAR = 5
#: How long the server is away where it isn't just restarted, in seconds.
AWAY = 3
#: How long there is load before, between and after, in seconds.
PAUSE = 5

RESTARTS = {"fast, started at once": ("fast", 0), f"immediate, started {AWAY} s later": ("immediate", AWAY)}


def try_database_restarts(trial):
    with durable_postgresql() as postgresql, cluster_over(
            postgresql.url(postgresql.new_database())) as cluster:
        nodes = cluster.nodes(NODES)
        cluster.add_user()
        client = Client(cluster.operator, "first", "--scope", "read", "--may", "revoke")
        recoveries = {}
        with Load.mixed(cluster, nodes) as load:
            for name, (mode, away) in RESTARTS.items():
                time.sleep(PAUSE)
                probes = {(kind, node): probe for node in nodes for kind, probe in _probes(node, client).items()}
                postgresql.stop(mode)
                time.sleep(away)
                postgresql.start()
                recoveries[name] = _recovery(probes)
            time.sleep(PAUSE)
        wait_until_endings_are_known(load)
        _tell(trial, load, nodes, recoveries)
        trial.promise_that_nothing_was_lost(load, nodes)


def _probes(node, client):
    """A request of each kind to a node, as a function that makes it, and the status of a good answer."""
    refreshing, leaving, revoked = [node.log_in("anna")["refresh_token"] for _ in range(3)]
    return {
        LOG_IN: (200, lambda: node.post("/auth/log-in", {"username": "anna", "password": PASSWORD})),
        REFRESH: (200, lambda: node.post("/auth/refresh", {"refresh_token": refreshing})),
        LOG_OUT: (204, lambda: node.post("/auth/log-out", {"refresh_token": leaving})),
        REVOCATION: (200, lambda: ask(node, REVOKE, client, token=revoked)),
        CREDENTIALS: (200, lambda: ask(node, TOKEN, client, grant_type="client_credentials")),
        JWKS: (200, lambda: node.get("/.well-known/jwks.json")),
    }


def _recovery(probes):
    """How long after now each request was answered well, in seconds; each is made again and again until it is."""
    began = time.monotonic()

    def time_of(good, probe):
        while time.monotonic() < began + PATIENCE:
            try:
                if probe().status_code == good:
                    return time.monotonic() - began
            except requests.RequestException:
                pass
            time.sleep(0.02)
        return PATIENCE

    times = at_once(*[lambda each=each: time_of(*each) for each in probes.values()])
    return dict(zip(probes, times))


def _tell(trial, load, nodes, recoveries):
    print(f"PostgreSQL was stopped {len(recoveries)} times under load of {NODES} nodes\n")
    trial.table(*counts(load))
    print("From pg_ctl's return to the first good answer, in seconds:\n")
    for name, times in recoveries.items():
        kinds = dict.fromkeys(kind for kind, _ in times)
        trial.table(
            [name, *[f"node {number + 1}" for number in range(NODES)]],
            *[[kind, *[f"{times[kind, node]:.2f}" for node in nodes]] for kind in kinds])
    answered = [failure for failure in load.failures if failure.kind != COMMAND]
    print(f"The slowest answer came after {load.longest:.2f} s.\n")
    trial.promise(
        f"all of {len(answered)} failed requests were 503 temporarily_unavailable with Retry-After",
        [failure for failure in answered if not is_unavailable(failure)])
    trial.promise(
        "commands, too, said just that the database can't be reached",
        [failure for failure in load.failures if failure.kind == COMMAND and not is_unavailable(failure)])
    trial.promise("no connection to a node broke", load.broken)
    trial.promise(f"everything was answered well {BAR} s after each return", [
        f"{kind} at {node.url}: {seconds:.2f} s"
        for times in recoveries.values() for (kind, node), seconds in times.items() if seconds > BAR])
    trial.promise("every node lived on", [node.url for node in nodes if node.process.poll() is not None])
