"""Two tabs that share one refresh token aren't logged out; a thief and the owner of a stolen one are, both."""

import random
import threading
import time

import pytest
import requests
import tokens
from service import PATIENCE, answered
from status_lists import me_accepts, says_ended

ROUNDS = 1000
#: How many of the answers never arrive.
LOST = 0.05


class Tab:
    """One of the clients: what it keeps, it keeps in a jar that all tabs share."""

    def __init__(self, server, jar, seed):
        self.url = server.url + "/auth/refresh"
        self.jar = jar
        self.random = random.Random(seed)
        self.session = requests.Session()
        self.session.trust_env = False
        self.lost = 0

    def refresh(self):
        time.sleep(self.random.uniform(0, 0.003))
        body = {"refresh_token": self.jar["refresh_token"]}
        time.sleep(self.random.uniform(0, 0.003))
        pair = answered(self.session.post(self.url, json=body, timeout=PATIENCE))
        if self.random.random() < LOST:
            self.lost += 1
        else:
            self.jar.update(pair)


def test_two_tabs_that_refresh_a_thousand_times_stay_logged_in(make_installation):
    installation = make_installation(refresh_grace="30s", algorithms="ES256")
    server = installation.serve()
    installation.add_user("anna")
    jar = dict(server.log_in("anna"))
    first = dict(jar)
    tabs = [Tab(server, jar, seed) for seed in [1, 2]]
    barrier = threading.Barrier(len(tabs))
    problems = []

    def run(tab):
        try:
            for _ in range(ROUNDS):
                barrier.wait(PATIENCE)
                tab.refresh()
        except Exception as error:  # told below
            problems.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(tab,)) for tab in tabs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for tab in tabs:
        tab.session.close()
    assert not problems, problems
    assert all(ROUNDS * LOST / 2 < tab.lost < ROUNDS * LOST * 2 for tab in tabs)

    [(generation,)] = installation.query("SELECT generation FROM sessions")
    assert ROUNDS * 0.9 < generation <= 2 * ROUNDS + 1
    assert me_accepts(server, jar["access_token"]) and me_accepts(server, first["access_token"])
    assert not says_ended(server, jar["access_token"])
    server.refresh(jar["refresh_token"])


# MARK: The thief


@pytest.fixture(params=["0s", "1s"])
def grace(request):
    return request.param


@pytest.fixture
def server(make_installation, grace):
    installation = make_installation(refresh_grace=grace, algorithms="ES256", status_ttl="1s")
    installation.add_user("anna")
    return installation.serve()


def test_a_stolen_token_used_outside_the_grace_ends_the_session_for_both(server, grace):
    """Which of the two the thief is, nobody can tell: whoever comes late ends it for whoever came first."""
    bystander = server.log_in("anna")
    stolen = server.log_in("anna")
    first_to_come = server.refresh(stolen["refresh_token"])
    time.sleep(1.2 if grace == "1s" else 0)
    assert me_accepts(server, first_to_come["access_token"])

    assert server.refuses(stolen["refresh_token"])
    assert server.refuses(first_to_come["refresh_token"])
    for pair in [stolen, first_to_come]:
        assert not me_accepts(server, pair["access_token"])
        assert says_ended(server, pair["access_token"])
    assert me_accepts(server, bystander["access_token"])
    server.refresh(bystander["refresh_token"])


def test_the_audit_log_tells_of_a_stolen_token(server, grace):
    stolen = server.log_in("anna")
    server.refresh(stolen["refresh_token"])
    time.sleep(1.2 if grace == "1s" else 0)
    assert server.refuses(stolen["refresh_token"])
    claims = tokens.claims(stolen["access_token"])
    records = [
        record for record in server.installation.json("audit", "list")
        if record["session"] == claims["sid"] and record["event"] == "refresh"]
    assert [record["outcome"] for record in records] == ["reused"]
    assert (records[0]["subject"], records[0]["address"]) == (claims["sub"], "127.0.0.1")


def test_an_older_token_is_reuse_within_the_grace_too(make_installation):
    """The grace forgives the answer that was lost, and not the one before it."""
    installation = make_installation(refresh_grace="30s", algorithms="ES256")
    server = installation.serve()
    installation.add_user("anna")
    stolen = server.log_in("anna")
    owner = server.refresh(server.refresh(stolen["refresh_token"])["refresh_token"])
    assert server.refuses(stolen["refresh_token"])
    assert server.refuses(owner["refresh_token"])
    assert not me_accepts(server, owner["access_token"])
