"""The example microservices in other languages: what they accept and refuse, through a rotation and a log-out."""

import collections
import itertools
import json
import pathlib
import re
import sys
import threading
import time

import pytest
import requests
import tokens
from examples_attacks import forgeries, misuses
from examples_issuer import Issuer, Key
from examples_services import EXAMPLES, FOLDER, Process, Processes, free_port
from service import PROJECT, QUICK_ROTATION, Installation, at_once, eventually

AUDIENCE = "https://api.example"
REFETCH_SECONDS = 2
STATUS_TTL = 1
NUMBERS = itertools.count(1)

LANGUAGES = list(EXAMPLES)
READERS = [name for name, example in EXAMPLES.items() if example.reads_status_lists]
PYTHON = sys.executable

in_every_language = pytest.mark.parametrize("language", LANGUAGES, indirect=True)
that_reads_status_lists = pytest.mark.parametrize("language", READERS, indirect=True)
that_reads_none = pytest.mark.parametrize(
    "language", [name for name in LANGUAGES if name not in READERS], indirect=True)


@pytest.fixture
def language(request):
    example = EXAMPLES[request.param]
    if example.missing:
        pytest.skip(f"{', '.join(example.missing)} isn't here: install {' '.join(example.packages)}")
    return request.param


@pytest.fixture
def running(language, processes):
    """An example in front of the service."""
    return processes[language]


@pytest.fixture
def strict(language, strict_processes):
    """An example in front of an issuer that signs whatever it is asked to."""
    return strict_processes[language]


# MARK: In front of the service


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    installation = Installation(
        tmp_path_factory.mktemp("service"), status_ttl=f"{STATUS_TTL}s", **QUICK_ROTATION)
    for name in ["anna", "bert"]:
        installation.add_user(name, "--claim", 'plan="gold"', "--scope", "read")
    yield installation.serve()
    installation.close()


@pytest.fixture(scope="module")
def processes(tmp_path_factory, server):
    processes = Processes(tmp_path_factory.mktemp("examples"), ISSUER=server.url, REFETCH_SECONDS="1")
    yield processes
    processes.close()


@in_every_language
def test_a_good_token_is_answered_with_its_claims(running, server, language):
    token = server.log_in("anna")["access_token"]
    for scheme in ["Bearer", "bearer", "BEARER"]:
        response = running.get(f"{scheme} {token}")
        assert response.status_code == 200, response.text
        claims = response.json()
        if EXAMPLES[language].reads_status_lists:
            assert claims == tokens.claims(token)
        else:
            assert claims.items() <= tokens.claims(token).items() and claims["sub"]


@in_every_language
@pytest.mark.parametrize("authorization", [None, "Bearer", "Basic YW5uYTphbm5h"])
def test_without_a_token_the_challenge_names_the_scheme_only(running, authorization):
    response = running.get(authorization)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")


@in_every_language
def test_a_token_in_the_query_is_none(running, server):
    token = server.log_in("anna")["access_token"]
    assert running.get(path=f"/me?access_token={token}").status_code in [401, 404]


@in_every_language
def test_a_tampered_token_is_refused_and_the_next_good_one_accepted(running, server):
    token = server.log_in("anna")["access_token"]
    for how, spoilt in tokens.tampered(token).items():
        assert not running.accepts(spoilt), how
    assert running.accepts(token)


Rotation = collections.namedtuple("Rotation", "kids asked refused")


@pytest.fixture(scope="module")
def rotation(server, processes):
    """A rotation and its takeover, during which every example is asked about old and new tokens without a pause."""
    signed = [server.log_in("anna")["access_token"]]
    asked, refused = collections.Counter(), collections.defaultdict(list)
    stop = threading.Event()

    def watch(name, process):
        def run():
            with requests.Session() as session:
                session.trust_env = False
                while not stop.is_set():
                    for token in {signed[0], signed[len(signed) // 2], signed[-1]}:
                        response = session.get(
                            process.url + "/me", headers={"Authorization": f"Bearer {token}"}, timeout=30)
                        asked[name] += 1
                        if response.status_code != 200:
                            refused[name].append((tokens.kid(token), response.status_code))
                    time.sleep(0.01)

        return threading.Thread(target=run)

    watchers = [watch(name, process) for name, process in processes.running.items()]
    for watcher in watchers:
        watcher.start()
    rotated = server.installation.json("keys", "rotate")
    second = next(key["kid"] for key in rotated if key["state"] == "pending" and key["algorithm"] == "ES256")
    until = None
    while until is None or time.monotonic() < until:
        signed.append(server.log_in("anna")["access_token"])
        if until is None and tokens.kid(signed[-1]) == second:
            until = time.monotonic() + 2
        time.sleep(0.1)
    stop.set()
    for watcher in watchers:
        watcher.join()
    return Rotation([tokens.kid(token) for token in signed], asked, refused)


@in_every_language
def test_no_token_is_refused_while_a_key_takes_over(rotation, running, language):
    assert len(set(rotation.kids)) == 2 and rotation.kids == sorted(rotation.kids, key=rotation.kids.index)
    assert rotation.asked[language] > 50
    assert rotation.refused[language] == []


LogOut = collections.namedtuple("LogOut", "refused_after")


@pytest.fixture(scope="module")
def log_out(server, processes):
    """How long after the answer to a log-out each example still accepted the token; None: until the end."""
    token = server.log_in("bert")["access_token"]
    for name, process in processes.running.items():
        assert process.accepts(token), name
    assert server.post("/auth/log-out", token=token).status_code == 204
    ended_at = time.monotonic()
    refused_after = dict.fromkeys(processes.running)
    while time.monotonic() < ended_at + STATUS_TTL + 3:
        for name, process in processes.running.items():
            if refused_after[name] is None and not process.accepts(token):
                refused_after[name] = time.monotonic() - ended_at
        time.sleep(0.05)
    return LogOut(refused_after)


@that_reads_status_lists
def test_a_token_is_refused_soon_after_its_session_has_ended(log_out, running, server, language):
    assert log_out.refused_after[language] is not None
    assert log_out.refused_after[language] < STATUS_TTL + 2
    assert running.accepts(server.log_in("bert")["access_token"])


@that_reads_none
def test_the_gateway_accepts_a_token_until_it_expires(log_out, running, language):
    """As its page says."""
    assert log_out.refused_after[language] is None


@pytest.fixture(scope="module")
def revocation(server, processes, rotation, log_out):
    """A key that is revoked after the tests before have seen it sign; the answer of each example to its last token, once
    one by the replacement has been accepted."""
    token = server.log_in("anna")["access_token"]
    for name, process in processes.running.items():
        assert process.accepts(token), name
    server.installation.run("keys", "revoke", tokens.kid(token), "--reason", "a test")
    eventually(lambda: tokens.kid(server.log_in("anna")["access_token"]) != tokens.kid(token), within=5)
    successor = server.log_in("anna")["access_token"]
    for name, process in processes.running.items():
        eventually(lambda: process.accepts(successor), within=5)
    time.sleep(1)
    return {name: process.accepts(token) for name, process in processes.running.items()}


@in_every_language
def test_a_revoked_key_is_forgotten_once_its_replacement_signs(revocation, running, language):
    """Before that, it is known for as long as the JWKS is kept."""
    assert revocation[language] is False


@pytest.fixture(scope="module")
def examinations(server, processes, revocation):
    """What the doctor says of each example."""

    def examine(process):
        return server.installation.run(
            "doctor", process.url + "/me", "--issuer", server.url, "--format", "json", check=False)

    names = list(processes.running)
    return dict(zip(names, at_once(*[lambda name=name: examine(processes[name]) for name in names])))


@in_every_language
def test_the_doctor_finds_nothing(examinations, running, language):
    completed = examinations[language]
    records = json.loads(completed.stdout)
    assert len(records) > 400
    assert [record for record in records if record["outcome"] not in ["accepted", "refused", "tolerated"]] == []
    assert completed.returncode == 0, completed.stderr


# MARK: In front of an issuer that signs anything


@pytest.fixture(scope="module")
def issuer():
    issuer = Issuer(AUDIENCE)
    yield issuer
    issuer.close()


@pytest.fixture(scope="module")
def strict_processes(tmp_path_factory, issuer):
    processes = Processes(
        tmp_path_factory.mktemp("strict"), ISSUER=issuer.url, AUDIENCE=AUDIENCE, REFETCH_SECONDS=str(REFETCH_SECONDS))
    yield processes
    processes.close()


@in_every_language
def test_both_algorithms_and_several_audiences_are_accepted(strict, issuer):
    assert strict.accepts(issuer.token())
    assert strict.accepts(issuer.token(key=issuer.rs256))
    assert strict.accepts(issuer.token(aud=["https://other.example", AUDIENCE]))


@in_every_language
def test_a_long_token_is_accepted_and_a_longer_one_refused(strict, issuer):
    assert strict.accepts(issuer.token(roles="r" * 11_000))
    response = strict.get(f"Bearer {issuer.token(roles='r' * 13_000)}")
    assert response.status_code in [400, 401]


@in_every_language
def test_what_the_issuer_did_not_sign_is_refused(strict, issuer):
    assert accepted(strict, forgeries(issuer)) == []
    assert issuer.requests["/strangers.json"] == 0
    assert strict.accepts(issuer.token())


@in_every_language
def test_what_was_signed_for_something_else_is_refused(strict, issuer):
    assert accepted(strict, misuses(issuer)) == []
    assert strict.accepts(issuer.token())


def accepted(process, spoilt):
    """The names of the tokens that an example takes. One that is no token at all, or too long, may be a bad request."""
    names = []
    for name, token in spoilt.items():
        response = process.get(f"Bearer {token}")
        if response.status_code == 200:
            names.append(name)
        elif response.status_code != 400:
            assert response.status_code == 401, f"{name}: {response.status_code}"
            assert response.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"'), name
    return sorted(names)


@in_every_language
def test_a_megabyte_is_refused(strict, issuer):
    try:
        assert 400 <= strict.get("Bearer " + "x" * 1_000_000).status_code < 500
    except requests.RequestException:
        pass  # it hung up before it had read everything
    assert strict.accepts(issuer.token())


@that_reads_status_lists
def test_a_clock_may_be_half_a_minute_off(strict, issuer):
    now = int(time.time())
    assert strict.accepts(issuer.token(exp=now - 20))
    assert strict.accepts(issuer.token(iat=now + 20, nbf=now + 20))


@that_reads_none
def test_the_gateway_forgets_a_token_that_expires(strict, issuer):
    """It would remember for five minutes that a token was good."""
    token = issuer.token(exp=int(time.time()) + 2)
    assert strict.accepts(token)
    eventually(lambda: not strict.accepts(token), within=4)


@that_reads_status_lists
def test_a_claim_in_capitals_is_another_claim(strict, issuer):
    """encoding/json takes one for the other."""
    assert not strict.accepts(issuer.token(aud="https://other.example", Aud=AUDIENCE))
    assert not strict.accepts(issuer.token(exp=int(time.time()) - 60, EXP=int(time.time()) + 600))


@that_reads_status_lists
def test_forged_kids_make_at_most_one_request_in_a_while(strict, issuer):
    strict.accepts(issuer.token())
    before, began_at = issuer.jwks_requests, time.monotonic()
    spoilt = issuer.token(header={"kid": "unknown"})
    refusals = at_once(*[lambda: [strict.accepts(spoilt) for _ in range(15)]] * 4)
    assert not any(itertools.chain(*refusals))
    passed = time.monotonic() - began_at
    assert issuer.jwks_requests - before <= 1 + passed / REFETCH_SECONDS


@pytest.mark.parametrize("language", ["python", "go", "ruby"], indirect=True)
def test_forged_kids_make_no_more_requests_while_the_issuer_is_away(strict, issuer):
    """In Node they do: jose counts from the last answer."""
    strict.accepts(issuer.token())
    issuer.is_away = True
    try:
        before, began_at = issuer.jwks_requests, time.monotonic()
        spoilt = issuer.token(header={"kid": "unknown"})
        eventually(lambda: not strict.accepts(spoilt) and issuer.jwks_requests > before, within=REFETCH_SECONDS + 1)
        assert not any(strict.accepts(spoilt) for _ in range(20))
        assert issuer.jwks_requests - before <= 1 + (time.monotonic() - began_at) / REFETCH_SECONDS
    finally:
        issuer.is_away = False
    eventually(lambda: strict.accepts(issuer.token()), within=STATUS_TTL + 1)


@that_reads_status_lists
def test_a_token_is_refused_once_no_list_is_fresh(strict, issuer):
    token = issuer.token()
    assert strict.accepts(token)
    issuer.is_away = True
    try:
        eventually(lambda: not strict.accepts(token), within=STATUS_TTL + 1)
    finally:
        issuer.is_away = False
    assert strict.accepts(token)


@in_every_language
def test_a_key_that_signs_at_once_is_found(strict, issuer):
    """Long before the max-age of the JWKS is over."""
    key = Key("ES256")
    issuer.published.insert(0, key)
    eventually(lambda: strict.accepts(issuer.token(key=key)), within=REFETCH_SECONDS + 1)
    assert strict.accepts(issuer.token())


# MARK: Status lists


@that_reads_status_lists
def test_only_the_token_whose_bit_is_set_is_refused(strict, issuer):
    issuer.ended = {5, 8, 1023}
    eventually(lambda: not strict.accepts(issuer.token(index=5)), within=STATUS_TTL + 2)
    taken = [index for index in [0, 4, 5, 6, 7, 8, 9, 13, 1022, 1023] if strict.accepts(issuer.token(index=index))]
    assert taken == [0, 4, 6, 7, 9, 13, 1022]
    issuer.ended = set()
    eventually(lambda: strict.accepts(issuer.token(index=5)), within=STATUS_TTL + 2)


STRANGE_LISTS = {
    "one that isn't there": None,
    "one that a stranger signed": lambda issuer, uri: issuer.status_list(uri, key=Stranger(issuer)),
    "one for another place": lambda issuer, uri: issuer.status_list(issuer.url + "/status-lists/0"),
    "one of another type": lambda issuer, uri: issuer.status_list(uri, typ="JWT"),
    "an access token": lambda issuer, uri: issuer.token(sub=uri),
    "one that has expired": lambda issuer, uri: issuer.status_list(uri, exp=int(time.time()) - 40),
    "one without an expiry": lambda issuer, uri: issuer.status_list(uri, exp=0),
    "one of two bits each": lambda issuer, uri: issuer.status_list(uri, status_list={"bits": 2, "lst": "eNrbuRgAAhcBXQ"}),
    "one that isn't compressed": lambda issuer, uri: issuer.status_list(uri, status_list={"bits": 1, "lst": "AAAA"}),
    "one that is too short": lambda issuer, uri: issuer.status_list(
        uri, ttl=0, status_list={"bits": 1, "lst": "eJwDAAAAAAE"}),
    "no list at all": lambda issuer, uri: "<html>",
}


class Stranger:
    """A key with the kid of another."""

    def __init__(self, issuer):
        self.algorithm, self.kid, self.signature = "ES256", issuer.es256.kid, issuer.stranger.signature


@that_reads_status_lists
@pytest.mark.parametrize("how", STRANGE_LISTS)
def test_without_a_list_a_token_is_refused(strict, issuer, how):
    name = f"strange-{next(NUMBERS)}"
    if make := STRANGE_LISTS[how]:
        issuer.strange_lists[name] = lambda uri: make(issuer, uri)
    assert not strict.accepts(issuer.token(list=name))
    issuer.strange_lists[name] = issuer.status_list
    assert strict.accepts(issuer.token(list=name)), "a list that could be had again isn't"


@that_reads_status_lists
def test_a_status_that_names_no_list_of_the_issuer_is_refused(strict, issuer):
    here = f"{issuer.url}/status-lists/0"
    for status in [
        None, {}, {"status_list": {}}, {"status_list": {"uri": here}}, {"status_list": {"idx": 0}},
        {"status_list": {"uri": "https://other.example/status-lists/0", "idx": 0}},
        {"status_list": {"uri": issuer.url + "/strangers.json", "idx": 0}},
        {"status_list": {"uri": here, "idx": -1}}, {"status_list": {"uri": here, "idx": 1024}},
        {"status_list": {"uri": here, "idx": "0"}},
    ]:
        assert not strict.accepts(issuer.token(status=status)), status
    assert strict.accepts(issuer.token())


@that_reads_status_lists
def test_a_list_is_asked_for_once_in_its_ttl(strict, issuer):
    name = f"slow-{next(NUMBERS)}"
    issuer.strange_lists[name] = lambda uri: issuer.status_list(uri, ttl=60)
    token = issuer.token(list=name)
    assert all(itertools.chain(*at_once(*[lambda: [strict.accepts(token) for _ in range(3)]] * 4)))
    assert issuer.requests[f"/status-lists/{name}"] == 1


# MARK: Verifiers that are wrong


@pytest.mark.parametrize("flaw", ["none", "jku", "aud"])
def test_a_broken_target_is_wrong_in_one_way_only(issuer, tmp_path, flaw):
    script = pathlib.Path(__file__).with_name("broken_targets.py")
    process = Process([PYTHON, str(script), flaw, str(free_port()), issuer.url], tmp_path / "log", AUDIENCE=AUDIENCE)
    try:
        process.wait_until_listening()
        assert process.accepts(issuer.token())
        found = accepted(process, forgeries(issuer) | misuses(issuer))
    finally:
        process.close()
    assert found == sorted(
        {
            "none": [f"alg {spelling!r}" for spelling in ["none", "None", "NONE", "nOnE"]],
            "jku": ["its own jku"],
            "aud": [
                "another audience", "the issuer as audience", "an audience that begins alike", "other audiences",
                "no audience", "an empty list of audiences"],
        }[flaw])


# MARK: The page


@pytest.mark.parametrize(
    "fence, path",
    [
        ("python", "python/main.py"), ("go", "go/main.go"), ("js", "node/main.js"), ("ruby", "ruby/main.rb"),
        ("apache", "apache/apache.conf"),
    ])
def test_the_page_shows_lines_of_the_examples(fence, path):
    page = (PROJECT / "docs" / "verifying-in-other-languages.md").read_text()
    shown = "\n".join(re.findall(rf"^```{fence}\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)).splitlines()
    lines = {line.strip() for line in (FOLDER / path).read_text().splitlines()}
    assert shown
    assert [line for line in shown if line.strip() not in lines] == []
