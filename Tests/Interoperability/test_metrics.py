"""/metrics: what is counted, and that strangers can't make it grow."""

import pytest
import tokens
from endings import NEW_PASSWORD
from metrics import Counted, Metrics
from oauth import Client, exchanged, revoke, token
from refresh_tokens import RefreshTokens
from service import BAD_CONFIGURATION, PASSWORD, assert_error, at_once, eventually

ISSUED = "token_service_tokens_issued_total", "algorithm", "grant"
REFRESHES = "token_service_refreshes_total", "outcome"
ENDED = "token_service_sessions_ended_total", "cause"
AUDITED = "token_service_audit_events_total", "event", "outcome"
REQUESTS = (
    "http_server_request_duration_seconds_count", "http_request_method", "http_route", "http_response_status_code")


@pytest.fixture
def counted(shared_server):
    """What the shared server counts during a test."""
    return Counted(shared_server)


@pytest.fixture(scope="module")
def exchanger(shared_server):
    return Client(
        shared_server.installation, "exchanger", "--scope", "read", "--audience", "https://orders.example",
        "--may", "exchange", "--may", "revoke")


def wrong_log_in(server, name):
    assert_error(server.post("/auth/log-in", {"username": name, "password": "wrong"}), 401, "invalid_grant")


# MARK: Tokens and sessions


def test_tokens_are_counted_by_algorithm_and_grant(shared_server, new_user, exchanger, counted):
    pair = shared_server.log_in(new_user("--scope", "read"))
    for _ in range(2):
        pair = shared_server.refresh(pair["refresh_token"])
    token(shared_server, exchanger)
    exchanged(shared_server, exchanger, pair["access_token"])
    counted.becomes(
        {("ES256", "log-in"): 1, ("ES256", "refresh_token"): 2, ("ES256", "client_credentials"): 1,
         ("ES256", "token-exchange"): 1}, *ISSUED)
    counted.becomes({"ES256": 5}, "token_service_signing_duration_seconds_count", "algorithm")


def test_what_is_refused_issues_nothing(shared_server, user, counted):
    wrong_log_in(shared_server, user)
    assert shared_server.refuses("x")
    counted.becomes({("log_in", "refused"): 1}, *AUDITED)
    assert counted.now(*ISSUED) == {}


def test_a_refresh_token_is_counted_by_what_became_of_it(shared_server, user, counted):
    first = shared_server.log_in(user)["refresh_token"]
    second = shared_server.refresh(first)["refresh_token"]
    counted.becomes({"advanced": 1}, *REFRESHES)
    assert shared_server.refresh(first)["refresh_token"] == second
    counted.becomes({"advanced": 1, "repeated": 1}, *REFRESHES)
    shared_server.refresh(second)
    assert shared_server.refuses(first)
    counted.becomes({"advanced": 2, "repeated": 1, "reused": 1}, *REFRESHES)
    # Its session was ended; and one that nobody wrote.
    assert shared_server.refuses(second) and shared_server.refuses("made-up")
    counted.becomes({"advanced": 2, "repeated": 1, "reused": 1, "refused": 2}, *REFRESHES)
    assert counted.now(*ENDED) == {"reuse": 1}


def test_a_refresh_token_from_the_future_is_counted(shared_server, user, counted):
    secret = shared_server.installation.master_secret.read_text()
    shared_server.refresh(RefreshTokens(secret).successor(shared_server.log_in(user)["refresh_token"]))
    counted.becomes({"ahead": 1}, *REFRESHES)
    assert counted.now(*AUDITED) == {("log_in", "success"): 1, ("refresh", "ahead"): 1}


def test_ended_sessions_are_counted_by_cause(shared_server, new_user, exchanger, counted):
    name = new_user()
    pairs = [shared_server.log_in(name) for _ in range(7)]
    access = [pair["access_token"] for pair in pairs]

    def post(path, index, body=None):
        assert shared_server.post(path, body, token=access[index]).status_code == 204

    post("/auth/log-out", 0)
    # A session ends once.
    post("/auth/log-out", 0)
    counted.becomes({"log_out": 1}, *ENDED)
    sid = tokens.claims(access[1])["sid"]
    assert shared_server.request("DELETE", f"/auth/sessions/{sid}", token=access[2]).status_code == 204
    counted.becomes({"log_out": 1, "session_ended": 1}, *ENDED)
    revoke(shared_server, exchanger, access[2])
    counted.becomes({"log_out": 1, "session_ended": 1, "sessions_revoked": 1}, *ENDED)
    post("/auth/password", 3, {"current": PASSWORD, "new": NEW_PASSWORD})
    counted.becomes({"log_out": 1, "session_ended": 1, "sessions_revoked": 1, "password_changed": 3}, *ENDED)
    shared_server.log_in(name, NEW_PASSWORD)
    post("/auth/log-out-everywhere", 3)
    counted.becomes(
        {"log_out": 1, "session_ended": 1, "sessions_revoked": 1, "password_changed": 3, "log_out_everywhere": 2},
        *ENDED)


def test_ended_sessions_are_places_of_the_status_lists(shared_server, user):
    pair = shared_server.log_in(user)
    before = Metrics(shared_server)
    shared_server.post("/auth/log-out", token=pair["access_token"])
    after = Metrics(shared_server)
    assert after["token_service_status_lists"] == before["token_service_status_lists"] >= 1
    assert after["token_service_status_list_places"] == 131_072 * after["token_service_status_lists"]
    ended = "token_service_status_list_places_ended"
    assert after[ended] == before[ended] + 1


def test_sessions_that_go_on_are_counted_at_the_start(installation):
    server = installation.serve()
    installation.add_user("anna")
    pairs = [server.log_in("anna") for _ in range(3)]
    server.post("/auth/log-out", token=pairs[0]["access_token"])
    server.stop()
    server = installation.serve()
    eventually(lambda: Metrics(server)["token_service_sessions_live"] == 2, within=5)


def test_verified_tokens_are_counted_by_result(shared_server, user, counted):
    access = shared_server.log_in(user)["access_token"]
    for bearer in [access, access, access[:-8] + "AAAAAAAA"]:
        shared_server.get("/auth/me", token=bearer)
    counted.becomes({"accepted": 2, "rejected": 1}, "token_verifier_tokens_total", "result")


def test_log_ins_are_counted_by_outcome(shared_server, user, counted):
    shared_server.log_in(user)
    for _ in range(3):
        wrong_log_in(shared_server, user)
    wrong_log_in(shared_server, "nobody-of-this-name")
    counted.becomes({("log_in", "success"): 1, ("log_in", "refused"): 4}, *AUDITED)
    counted.becomes(5, "token_service_password_duration_seconds_count")


# MARK: Requests


def test_requests_are_counted_by_method_route_and_status(shared_server, user, counted):
    access = shared_server.log_in(user)["access_token"]
    wrong_log_in(shared_server, user)
    shared_server.get("/auth/log-in")
    shared_server.get("/auth/me", token=access)
    shared_server.get("/auth/me")
    tag = shared_server.get("/.well-known/jwks.json").headers["ETag"]
    shared_server.get("/.well-known/jwks.json", headers={"If-None-Match": tag})
    shared_server.request("HEAD", "/.well-known/jwks.json")
    for id in ["a", "b"]:
        shared_server.get(f"/status-lists/{id}")
    expected = {
        ("POST", "/auth/log-in", "200"): 1, ("POST", "/auth/log-in", "401"): 1, ("GET", "/auth/log-in", "405"): 1,
        ("GET", "/auth/me", "200"): 1, ("GET", "/auth/me", "401"): 1, ("GET", "/.well-known/jwks.json", "200"): 1,
        ("GET", "/.well-known/jwks.json", "304"): 1, ("HEAD", "/.well-known/jwks.json", "200"): 1,
        ("GET", "/status-lists/{id}", "404"): 2,
    }
    grown = counted.now(*REQUESTS)
    grown.pop(("GET", "/metrics", "200"))
    assert grown == expected


def test_a_stranger_makes_no_series(shared_server, user):
    shared_server.get("/made/up")
    shared_server.request("BREW", "/made/up")
    shared_server.request("BREW", "/auth/me")
    shared_server.get("/status-lists/none")
    wrong_log_in(shared_server, "nobody-of-this-name")
    Metrics(shared_server)
    before = Metrics(shared_server).series()
    for index in range(20):
        shared_server.get(f"/made/up/{index}?query={index}", headers={"User-Agent": f"agent-{index}"})
        shared_server.request(f"BREW{index}", "/made/up")
        shared_server.request(f"BREW{index}", "/auth/me")
        shared_server.get(f"/status-lists/{index}")
        wrong_log_in(shared_server, f"nobody-{index}")
        shared_server.get("/auth/me", token=f"made.up.{index}")
    new = {
        (name, dict(labels).get("http_route"), dict(labels).get("http_response_status_code"))
        for name, labels in Metrics(shared_server).series() - before}
    assert {each[1:] for each in new} <= {("/auth/me", "401")}


def test_the_buckets_of_a_histogram_add_up(shared_server, user):
    shared_server.log_in(user)
    metrics = Metrics(shared_server)
    name = "http_server_request_duration_seconds"
    labels = {"http_request_method": "POST", "http_route": "/auth/log-in", "http_response_status_code": "200"}
    buckets = [
        (float(dict(found)["le"]), value) for (each, found), value in metrics.samples.items()
        if each == name + "_bucket" and labels.items() <= set(found)]
    counts = [value for _, value in sorted(buckets)]
    assert counts == sorted(counts)
    assert counts[-1] == metrics.sum(name + "_count", **labels) > 0
    assert 0 < metrics.sum(name + "_sum", **labels) < 60 * counts[-1]


def test_a_request_that_asks_counts_itself(shared_server):
    metrics = Metrics(shared_server)
    assert metrics["http_server_active_requests"] >= 1
    assert metrics["token_service_connections"] >= 1
    assert metrics["token_service_connections_limit"] >= metrics["token_service_connections"]


# MARK: Keys


def test_keys_are_counted_by_state(make_installation):
    installation = make_installation(algorithms="ES256")
    server = installation.serve()
    (first,) = installation.listed_keys()

    def states():
        metrics = Metrics(server)
        every = ["pending", "active", "retired", "expired", "revoked"]
        return {
            state: value for state in every
            if (value := metrics.sum("token_service_keys", algorithm="ES256", state=state))}

    assert states() == {"active": 1}
    installation.run("keys", "rotate")
    eventually(lambda: states() == {"pending": 1, "active": 1})
    change = "token_service_key_change_seconds"
    assert 3500 < Metrics(server).sum(change, state="pending") <= 3600
    # Then the first one stops to sign.
    assert 3500 < Metrics(server).sum(change, state="active", kid=first["kid"]) <= 3600
    installation.run("keys", "rotate", "--immediately")
    eventually(lambda: states() == {"pending": 1, "active": 1, "retired": 1})
    assert 0 < Metrics(server).sum(change, state="retired", kid=first["kid"]) < 1000
    installation.run("keys", "revoke", first["kid"], "--reason", "test")
    eventually(lambda: states() == {"pending": 1, "active": 1, "revoked": 1})
    # Kids that are over leave no series behind.
    assert Metrics(server).sum(change, kid=first["kid"]) == 0


@pytest.mark.parametrize("every, due", [("30d", 30 * 86_400), ("2h", 7_200)])
def test_a_rotation_is_due_when_the_setting_says(make_installation, every, due):
    server = make_installation(rotate_every=every, algorithms="ES256,RS256").serve()
    metrics = Metrics(server)
    for algorithm in ["ES256", "RS256"]:
        # The first keys sign a little before they are made, for verifiers whose clock runs behind.
        age = metrics.sum("token_service_key_age_seconds", algorithm=algorithm)
        assert 0 <= age < 120
        left = metrics.sum("token_service_key_rotation_due_seconds", algorithm=algorithm)
        assert abs(left + age - due) <= 1


def test_no_rotation_is_due_without_the_automatic_one(make_installation):
    metrics = Metrics(make_installation(rotate_every="0").serve())
    assert "token_service_key_rotation_due_seconds" not in metrics.types
    assert "token_service_key_age_seconds" in metrics.types


# MARK: Overload


def test_passwords_that_find_no_room_are_counted(make_installation):
    installation = make_installation(
        password_concurrency="1", password_memory="64MiB", password_iterations="2", log_in_rate="10000/s")
    server = installation.serve()
    installation.add_user("anna")
    room = Metrics(server)["token_service_password_queue_limit"]
    assert room == 21
    body = {"username": "anna", "password": PASSWORD}
    answers = at_once(*[lambda: server.post("/auth/log-in", body).status_code] * 60)
    metrics = Metrics(server)
    refused = answers.count(503)
    assert set(answers) <= {200, 503} and refused > 0
    assert metrics["token_service_passwords_refused_total"] == refused
    assert metrics["token_service_password_duration_seconds_count"] == answers.count(200)
    eventually(lambda: Metrics(server)["token_service_password_queue"] == 0)


# MARK: The setting


def test_without_metrics_there_is_no_such_page(make_installation):
    server = make_installation(metrics="off").serve()
    assert_error(server.get("/metrics"), 404, "not_found")
    assert server.get("/health/ready").status_code == 200


def test_a_setting_that_is_neither_on_nor_off_is_refused(make_installation):
    assert "metrics" in make_installation(metrics="maybe").refused(BAD_CONFIGURATION, "serve")


def test_no_secret_is_in_the_metrics(shared_server, user):
    pair = shared_server.log_in(user)
    text = Metrics(shared_server).text
    secrets = [pair["access_token"], pair["refresh_token"], user, shared_server.installation.master_secret.read_text()]
    assert not [each for each in secrets if each.strip() in text]
