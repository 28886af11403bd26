"""The audit log: who did what, and never with which secret."""

import base64
import contextlib
import datetime
import json
import sqlite3
import time

import pytest
import tokens
from service import BAD_CONFIGURATION, FAILED, PASSWORD, USAGE, Installation, answered, assert_error, eventually

FIELDS = {"time", "event", "actor", "subject", "session", "address", "outcome"}


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("service"), algorithms="ES256", refresh_grace="0s")
    yield installation.serve()
    installation.close()


def instant(text):
    assert text.endswith("Z")
    return datetime.datetime.fromisoformat(text)


def audit(server, *arguments):
    return server.installation.json("audit", "list", *arguments)


def user_id(server, name):
    return server.installation.json("users", "show", name)["id"]


@pytest.fixture
def since(shared_server):
    """Gives the records that a test has added."""
    before = len(audit(shared_server))

    def records(event=None):
        added = audit(shared_server)[before:]
        return [record for record in added if event is None or event in record["event"]]

    return records


# MARK: What is in it


def test_a_record_has_all_its_fields_and_no_more(shared_server, user):
    shared_server.log_in(user)
    records = audit(shared_server)
    assert records
    for record in records:
        assert set(record) == FIELDS
        assert record["event"] and record["outcome"]
        instant(record["time"])


def test_the_oldest_record_comes_first(shared_server, user):
    for _ in range(3):
        shared_server.log_in(user)
    times = [instant(record["time"]) for record in audit(shared_server)]
    assert times == sorted(times)


def test_a_log_in_says_who_from_where_and_into_which_session(shared_server, user, since):
    pair = shared_server.log_in(user)
    (record,) = since()
    claims = tokens.claims(pair["access_token"])
    assert (record["event"], record["outcome"]) == ("log_in", "success")
    assert (record["subject"], record["session"]) == (claims["sub"], claims["sid"])
    assert record["address"] == "127.0.0.1"
    assert abs(instant(record["time"]).timestamp() - claims["iat"]) < 5


def test_a_failed_log_in_says_whose(shared_server, user, since):
    body = {"username": user, "password": "wrong"}
    assert_error(shared_server.post("/auth/log-in", body), 401, "invalid_grant")
    (record,) = since()
    assert (record["event"], record["outcome"]) == ("log_in", "refused")
    assert record["subject"] == user_id(shared_server, user)
    assert (record["session"], record["address"]) == (None, "127.0.0.1")


def test_a_failed_log_in_of_nobody_keeps_no_name(shared_server, since):
    """What somebody types as a name now and then is the password."""
    body = {"username": "my-secret-typed-as-a-name", "password": "anna"}
    assert_error(shared_server.post("/auth/log-in", body), 401, "invalid_grant")
    (record,) = since()
    assert (record["event"], record["outcome"], record["subject"]) == ("log_in", "refused", None)
    assert "my-secret" not in json.dumps(record)


def test_a_log_in_that_was_one_too_many_is_told(make_installation):
    installation = make_installation(algorithms="ES256", log_in_rate="2/h")
    server = installation.serve()
    installation.add_user("anna")
    for status in [401, 401, 429]:
        assert server.post("/auth/log-in", {"username": "anna", "password": "x"}).status_code == status
    records = [record for record in audit(server) if record["event"] == "log_in"]
    assert len(records) >= 2 and all(record["outcome"] != "success" for record in records)


def test_a_reused_refresh_token_is_told(shared_server, user, since):
    pair = shared_server.log_in(user)
    shared_server.refresh(pair["refresh_token"])
    assert shared_server.refuses(pair["refresh_token"])
    claims = tokens.claims(pair["access_token"])
    (record,) = since("refresh")
    assert record["outcome"] == "reused"
    assert (record["subject"], record["session"]) == (claims["sub"], claims["sid"])
    assert record["address"] == "127.0.0.1"


def test_a_refused_refresh_of_an_ended_session_is_told(shared_server, user, since):
    pair = shared_server.log_in(user)
    assert shared_server.post("/auth/log-out", token=pair["access_token"]).status_code == 204
    assert shared_server.refuses(pair["refresh_token"])
    (record,) = since("refresh")
    assert record["outcome"] != "success"
    assert record["session"] == tokens.claims(pair["access_token"])["sid"]


@pytest.mark.parametrize("path", ["/auth/log-out", "/auth/log-out-everywhere"])
def test_a_log_out_is_told(shared_server, user, since, path):
    pair = shared_server.log_in(user)
    assert shared_server.post(path, token=pair["access_token"]).status_code == 204
    claims = tokens.claims(pair["access_token"])
    (record,) = [record for record in since() if record["event"] != "log_in"]
    assert record["event"] == path.removeprefix("/auth/").replace("-", "_")
    assert (record["outcome"], record["subject"], record["session"]) == ("success", claims["sub"], claims["sid"])
    assert record["actor"]


def test_a_changed_password_is_told(shared_server, user, since):
    pair = shared_server.log_in(user)
    for current, status in [("wrong", 401), (PASSWORD, 204)]:
        change = {"current": current, "new": "another one"}
        assert shared_server.post("/auth/password", change, token=pair["access_token"]).status_code == status
    records = since("password_changed")
    assert [record["outcome"] for record in records] == ["refused", "success"]
    assert {record["subject"] for record in records} == {tokens.claims(pair["access_token"])["sub"]}


def test_an_ended_session_is_told(shared_server, user, since):
    pair, other = shared_server.log_in(user), shared_server.log_in(user)
    id = tokens.claims(other["access_token"])["sid"]
    response = shared_server.request("DELETE", f"/auth/sessions/{id}", token=pair["access_token"])
    assert response.status_code == 204
    (record,) = [record for record in since() if record["event"] != "log_in"]
    assert record["event"] == "session_ended"
    assert (record["outcome"], record["session"]) == ("success", id)


COMMANDS = {
    "user_added": ["users", "add", "{new}", "--password-stdin"],
    "user_disabled": ["users", "disable", "{user}"],
    "user_enabled": ["users", "enable", "{user}"],
    "password_set": ["users", "set-password", "{user}", "--password-stdin"],
    "claims_set": ["users", "set-claims", "{user}", "--claim", "plan=\"gold\""],
    "sessions_revoked": ["sessions", "revoke", "--user", "{user}"],
    "user_removed": ["users", "remove", "{user}"],
}


@pytest.mark.parametrize("event", COMMANDS)
def test_what_an_operator_does_to_a_user_is_told(shared_server, user, since, event):
    installation = shared_server.installation
    id, new = user_id(shared_server, user), f"new-{user}"
    if event == "user_enabled":
        installation.run("users", "disable", user)
    if event == "sessions_revoked":
        shared_server.log_in(user)
    arguments = [argument.replace("{user}", user).replace("{new}", new) for argument in COMMANDS[event]]
    installation.run(*arguments, input="a password of the operator")
    (record,) = since(event)
    assert record["outcome"] == "success"
    assert record["subject"] == (user_id(shared_server, new) if event == "user_added" else id)
    assert record["actor"] and record["actor"] != record["subject"]
    assert record["address"] is None


def test_a_session_that_an_operator_ends_is_told(shared_server, user, since):
    claims = tokens.claims(shared_server.log_in(user)["access_token"])
    shared_server.installation.run("sessions", "revoke", "--", claims["sid"])
    (record,) = since("sessions_revoked")
    assert (record["session"], record["outcome"]) == (claims["sid"], "success")
    assert record["actor"] and record["actor"] != claims["sub"]


def test_everybody_s_end_is_told(shared_server, user, since):
    shared_server.log_in(user)
    shared_server.installation.run("sessions", "revoke", "--all")
    records = since("sessions_revoked")
    assert records and all(record["outcome"] == "success" for record in records)


def test_a_rotation_and_a_revocation_of_a_key_are_told(make_installation):
    installation = make_installation(algorithms="ES256")
    server = installation.serve()
    (old,) = server.published_kids()
    installation.run("keys", "rotate", "--immediately")
    installation.run("keys", "revoke", "--reason", "it was on a stick", "--", old)
    records = [record for record in audit(server) if record["event"].startswith("key")]
    for event in ["key_rotated", "key_revoked"]:
        assert [record for record in records if record["event"] == event and record["outcome"] == "success"], records
    assert old in {record["subject"] for record in records if record["event"] == "key_revoked"}
    assert all(record["actor"] for record in records)


def test_an_automatic_rotation_is_told(make_installation):
    """A second server whose setting asks for one more algorithm makes its key by itself."""
    installation = make_installation(algorithms="ES256", jwks_max_age="1s", clock_leeway="1s", publish_ahead="3s")
    installation.serve().stop()
    before = len(installation.json("audit", "list"))
    server = installation.serve(settings={"algorithms": "ES256,RS256"})
    eventually(lambda: len(server.published_kids()) == 2)
    (record,) = eventually(lambda: [
        record for record in installation.json("audit", "list")[before:] if record["event"].startswith("key")])
    assert record["subject"] in server.published_kids() and record["actor"] == "service"


def test_a_command_that_fails_or_only_looks_adds_nothing(shared_server, user, since):
    installation = shared_server.installation
    for arguments in [["users", "disable", "nobody-of-this-name"], ["sessions", "revoke", "none"]]:
        installation.refused(FAILED, *arguments)
    for arguments in [["users", "list"], ["sessions", "list"], ["keys", "list"], ["keys", "rotate", "--dry-run"]]:
        installation.run(*arguments)
    assert [record for record in since() if record["outcome"] == "success"] == []


def test_a_record_stays_when_its_user_is_removed(shared_server, user, since):
    claims = tokens.claims(shared_server.log_in(user)["access_token"])
    shared_server.installation.run("users", "remove", user)
    (record,) = since("log_in")
    assert (record["subject"], record["session"]) == (claims["sub"], claims["sid"])


def test_a_record_is_there_when_the_answer_is(make_installation):
    """kill -9 after the answer takes nothing back."""
    installation = make_installation(algorithms="ES256", refresh_grace="0s")
    installation.add_user("anna")
    for number in range(1, 4):
        server = installation.serve()
        pair = server.log_in("anna")
        server.refresh(pair["refresh_token"])
        assert server.refuses(pair["refresh_token"])
        server.kill()
        records = installation.json("audit", "list")
        assert len([record for record in records if record["event"] == "log_in"]) == number
        assert len([record for record in records if record["outcome"] == "reused"]) == number


# MARK: `audit list`


def test_the_list_can_begin_at_an_instant(shared_server, user):
    shared_server.log_in(user)
    time.sleep(0.01)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    pair = shared_server.log_in(user)
    (record,) = audit(shared_server, "--since", now)
    assert record["session"] == tokens.claims(pair["access_token"])["sid"]
    assert audit(shared_server, "--since", "2999-01-01T00:00:00Z") == []
    assert audit(shared_server, "--since", "2000-01-01T00:00:00Z") == audit(shared_server)


@pytest.mark.parametrize("time", ["yesterday", "2026-13-01T00:00:00Z", "", "1"])
def test_an_instant_that_is_none_is_64(shared_server, time):
    shared_server.installation.refused(USAGE, "audit", "list", "--since", time)


def test_a_table_has_a_line_for_each_record(shared_server, user):
    pair = shared_server.log_in(user)
    text = shared_server.installation.run("audit", "list").stdout.decode()
    (line,) = [line for line in text.splitlines() if tokens.claims(pair["access_token"])["sid"] in line]
    assert "log_in" in line and "127.0.0.1" in line


def test_a_table_tells_no_terminal_what_to_do(shared_server, user):
    """What a stranger sent is in it, if at all, without its control characters."""
    headers = {"User-Agent": b"\x1b]0;owned\x07", "X-Forwarded-For": b"\x1b[31m1.2.3.4"}
    for name in ["\u001b[2J", user]:
        shared_server.post("/auth/log-in", {"username": name, "password": "x"}, headers=headers)
    for command in [["audit", "list"], ["sessions", "list"]]:
        assert b"\x1b" not in shared_server.installation.run(*command).stdout


def test_a_log_with_nothing_to_show_is_an_empty_array(installation):
    installation.add_user("anna")
    assert installation.json("audit", "list", "--since", "2999-01-01T00:00:00Z") == []


def test_nothing_changes_the_log_from_outside(shared_server):
    help = shared_server.installation.run("audit", "--help").stdout.decode()
    assert "list" in help
    for word in ["delete", "remove", "clear", "prune"]:
        assert word not in help.lower()
        shared_server.installation.refused(USAGE, "audit", word)


@pytest.mark.parametrize("value", ["", "long", "-1d", "365", "1y"])
def test_a_retention_that_is_none_stops_the_start(installation, value):
    settings = {"listen": "127.0.0.1:0", "audit-retention": value}
    assert "audit-retention" in installation.refused(BAD_CONFIGURATION, "serve", settings=settings)


def test_a_record_past_the_retention_is_erased(make_installation):
    """An old record, made so in the database: no test waits for a day."""
    installation = make_installation(algorithms="ES256", audit_retention="30d")
    server = installation.serve()
    installation.add_user("anna")
    server.log_in("anna")
    assert server.stop() == 0
    age_by(installation, days=31)
    installation.serve()
    eventually(lambda: not [record for record in installation.json("audit", "list") if record["event"] == "log_in"])


def test_a_record_within_the_retention_is_kept(make_installation):
    installation = make_installation(algorithms="ES256", audit_retention="30d")
    server = installation.serve()
    installation.add_user("anna")
    server.log_in("anna")
    assert server.stop() == 0
    age_by(installation, days=29)
    server = installation.serve()
    server.log_in("anna")
    assert len([record for record in installation.json("audit", "list") if record["event"] == "log_in"]) == 2


def age_by(installation, days):
    """Makes every record of the audit log older; the log itself lets nobody do that."""
    with contextlib.closing(sqlite3.connect(installation.folder / "token-service.sqlite")) as connection:
        connection.execute("UPDATE audit SET time = time - ?", (days * 24 * 3600 * 1_000_000,))
        connection.commit()


# MARK: The server's log


def test_each_record_is_one_line_of_the_server_s_log(make_installation):
    installation = make_installation(algorithms="ES256", refresh_grace="0s", log_format="json")
    server = installation.serve()
    installation.add_user("anna")
    pair = server.log_in("anna")
    server.refresh(pair["refresh_token"])
    assert server.refuses(pair["refresh_token"])
    server.post("/auth/log-in", {"username": "anna", "password": "wrong"})
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log.splitlines()]
    events = [line.get("event") for line in lines]
    assert events.count("log_in") == 2
    (reuse,) = [line for line in lines if line.get("outcome") == "reused"]
    assert reuse["session"] == tokens.claims(pair["access_token"])["sid"]


# MARK: Secrets


def test_no_secret_is_in_the_log(make_installation):
    """Neither in what is shown, nor in the table, nor in the server's own log."""
    installation = make_installation(algorithms="ES256", refresh_grace="0s", log_level="trace")
    server = installation.serve()
    passwords = ["first-password", "second-password", "third-password", "wrong-password", "typed-as-a-name"]
    installation.add_user("anna", password=passwords[0])
    pairs = [server.log_in("anna", passwords[0])]
    pairs.append(server.refresh(pairs[0]["refresh_token"]))
    assert server.refuses(pairs[0]["refresh_token"])
    response = server.post(
        "/auth/log-in", {"username": "anna", "password": passwords[0], "delivery": "cookie"},
        headers={"Origin": server.url})
    answered(response)
    cookies = [line.split(";")[0].split("=", 1)[1] for line in response.raw.headers.getlist("Set-Cookie")]
    mine = server.log_in("anna", passwords[0])
    pairs.append(mine)
    change = {"current": passwords[0], "new": passwords[1]}
    assert server.post("/auth/password", change, token=mine["access_token"]).status_code == 204
    server.post("/auth/password", {"current": passwords[3], "new": "x"}, token=mine["access_token"])
    server.post("/auth/log-in", {"username": "anna", "password": passwords[3]})
    server.post("/auth/log-in", {"username": passwords[4], "password": "anna"})
    server.post("/auth/refresh", {"refresh_token": tokens.changed(mine["refresh_token"])})
    server.get(f"/auth/me?access_token={mine['access_token']}")
    server.request("DELETE", f"/auth/sessions/{mine['refresh_token']}", token=mine["access_token"])
    server.get(f"/status-lists/{mine['refresh_token']}")
    server.post("/auth/log-out", headers={"Cookie": f"refresh_token={mine['refresh_token']}"})
    installation.run("users", "set-password", "anna", "--password-stdin", input=passwords[2])
    installation.run("keys", "rotate", "--immediately")
    installation.run("sessions", "revoke", "--all")
    secrets = set(passwords) | set(cookies) | {installation.master_secret.read_text().strip()}
    secrets |= {part for pair in pairs for part in [pair["refresh_token"], *pair["access_token"].split(".")[1:]]}
    for token in [pair["refresh_token"] for pair in pairs]:
        # version, session id, generation and seed, then the MAC
        data = tokens.decode(token)
        secrets |= {tokens.encode(data[-48:-32]), data[-48:-32].hex(), tokens.encode(data[-32:]), data[-32:].hex()}
    secrets |= {row[0] for row in installation.query("SELECT password_hash FROM users")}
    assert server.stop() == 0

    table = installation.query("SELECT * FROM audit")
    assert len(table) > 8
    shown = installation.run("audit", "list").stdout.decode() + json.dumps(installation.json("audit", "list"))
    everything = shown + repr(table) + server.log
    for secret in secrets:
        assert secret not in everything, f"{secret[:12]}… is in a log"
        assert base64.b64encode(secret.encode()).decode().rstrip("=") not in everything
