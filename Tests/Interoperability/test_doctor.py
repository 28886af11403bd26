"""`token-service doctor` examines endpoints: good ones, and some that are broken on purpose."""

import json
import pathlib
import sys

import pytest
import requests
import tokens
from examples_services import Process, free_port
from service import FAILED, PROJECT, QUICK_ROTATION, USAGE, Installation, answered, eventually

BROKEN = pathlib.Path(__file__).with_name("broken_targets.py")
MICROSERVICE = PROJECT / ".build" / "debug" / "ExampleMicroservice"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("service"))
    yield installation.serve()
    installation.close()


@pytest.fixture
def target(tmp_path):
    """Starts an endpoint in a process of its own."""
    started = []

    def start(*command, **environment):
        started.append(Process([str(each) for each in command], tmp_path / f"target-{len(started)}.log", **environment))
        started[-1].wait_until_listening()
        return started[-1].url + "/me"

    yield start
    for process in started:
        process.close()


def examine(server, url, *options, status=0):
    """What the doctor prints, by the names of the attacks."""
    completed = server.installation.run(
        "doctor", url, "--issuer", server.url, "--format", "json", *options, check=False, timeout=180)
    assert completed.returncode == status, completed.stderr
    assert completed.stderr.startswith("sends ") and url in completed.stderr
    return json.loads(completed.stdout)


def got_in(findings):
    return {finding["attack"] for finding in findings if finding["outcome"] == "got_in"}


def test_the_services_own_endpoint_refuses_every_attack_and_answers_afterwards(server):
    findings = examine(server, server.url + "/auth/me")
    assert {finding["algorithm"] for finding in findings} == {"ES256", "RS256"}
    assert len(findings) > 400
    assert {finding["outcome"] for finding in findings if finding["attack"] == "valid"} == {"accepted"}
    assert {finding["outcome"] for finding in findings if finding["attack"] not in ("valid", "kid-absent")} == {"refused"}
    server.installation.add_user("anna")
    answered(server.get("/auth/me", token=server.log_in("anna")["access_token"]))


def test_the_swift_example_refuses_every_attack(server, target):
    url = target(MICROSERVICE, PORT=str(free_port()), ISSUER=server.url)
    assert got_in(examine(server, url)) == set()


@pytest.mark.parametrize(
    "flaw, attack", [("none", "alg-none"), ("jku", "jku-header"), ("aud", "aud-other")])
def test_a_broken_endpoint_is_found_out_by_its_flaw(server, target, flaw, attack):
    port = str(free_port())
    url = target(sys.executable, BROKEN, flaw, port, server.url)
    found = got_in(examine(server, url, status=FAILED))
    assert attack in found
    assert all(flaw in name for name in found), found


def test_an_endpoint_that_refuses_the_valid_token_can_not_be_examined(server, target):
    url = target(MICROSERVICE, PORT=str(free_port()), ISSUER=server.url, AUDIENCE="https://elsewhere.example")
    completed = server.installation.run("doctor", url, "--issuer", server.url, check=False)
    assert (completed.returncode, completed.stdout) == (FAILED, b"")
    line = completed.stderr.splitlines()[-1]
    assert line.startswith("error: ") and "--audience" in line
    examine(server, url, "--audience", "https://elsewhere.example")


def test_another_machine_is_attacked_only_after_a_yes(server):
    completed = server.installation.run("doctor", "https://api.example/me", check=False)
    assert completed.returncode == USAGE and "--yes" in completed.stderr
    assert completed.stdout == b""


@pytest.mark.parametrize("url", ["api.example/me", "ftp://127.0.0.1/", "", "http://"])
def test_what_is_no_url_is_refused(server, url):
    assert url in server.installation.refused(USAGE, "doctor", url)


def test_the_swift_example_goes_through_a_rotation_a_log_out_and_a_revocation(make_installation, target):
    installation = make_installation(status_ttl="1s", **QUICK_ROTATION)
    server = installation.serve()
    installation.add_user("anna", "--scope", "read")
    url = target(MICROSERVICE, PORT=str(free_port()), ISSUER=server.url)
    def status(token):
        return requests.get(url, headers={"Authorization": f"bearer {token}"}, timeout=30).status_code

    pair = server.log_in("anna")
    old = pair["access_token"]
    assert status(old) == 200
    installation.run("keys", "rotate")

    def rotated():
        token = server.log_in("anna")["access_token"]
        assert status(token) == 200 and status(old) == 200
        return tokens.kid(token) != tokens.kid(old)

    eventually(rotated)
    assert server.post("/auth/log-out", {"refresh_token": pair["refresh_token"]}).status_code == 204
    eventually(lambda: status(old) == 401, within=3)

    signed = server.log_in("anna")["access_token"]
    assert status(signed) == 200
    installation.run("keys", "revoke", tokens.kid(signed), "--reason", "leaked")
    eventually(lambda: tokens.kid(server.log_in("anna")["access_token"]) != tokens.kid(signed))
    # The library keeps a key set for ten seconds at least, and looks for an unknown key once in that time.
    eventually(lambda: status(signed) == 401, within=13)
    eventually(lambda: status(server.log_in("anna")["access_token"]) == 200, within=13)


def test_the_swift_example_asks_for_a_scope(server, target):
    installation = server.installation
    installation.add_user("reader", "--scope", "read")
    installation.add_user("writer", "--scope", "write")
    url = target(MICROSERVICE, PORT=str(free_port()), ISSUER=server.url).replace("/me", "/premium")

    def ask(name):
        token = server.log_in(name)["access_token"]
        return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    assert ask("reader").status_code == 200
    refused = ask("writer")
    assert refused.status_code == 403 and refused.json()["error"] == "insufficient_scope"
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    assert 'scope="read"' in refused.headers["WWW-Authenticate"]
    assert requests.get(url, timeout=30).headers["WWW-Authenticate"] == "Bearer"
