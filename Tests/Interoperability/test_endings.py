"""What ends a session still holds after kill -9 and a restart; and the list of one's own sessions."""

import contextlib
import datetime
import sqlite3
import threading
import time

import pytest
import requests
import tokens
from endings import END_STRANGERS_TOO, END_THE_OTHER_TOO, WAYS, Ended
from service import FAILED, PASSWORD, PATIENCE, USAGE, Installation, answered, assert_error, at_once, eventually
from status_lists import me_accepts, reference, says_ended

# MARK: kill -9


@pytest.fixture(scope="module")
def mortal(tmp_path_factory):
    """An installation whose server is killed again and again; its tokens are as good for the next one."""
    installation = Installation(
        tmp_path_factory.mktemp("mortal"), issuer="https://id.example", algorithms="ES256", status_ttl="1s")
    installation.serve()
    installation.add_user("stranger")
    yield installation
    installation.close()


@pytest.mark.parametrize("way", WAYS)
def test_an_ending_that_was_answered_outlives_kill_9(mortal, way):
    for number in range(2):
        server = mortal.servers[-1]
        name = f"user-{number}-{list(WAYS).index(way)}"
        mortal.add_user(name)
        strange = server.log_in("stranger")
        ended = Ended.log_in(server, name)
        WAYS[way](ended)
        server.kill()

        server = mortal.serve()
        assert not me_accepts(server, ended.access_token)
        assert says_ended(server, ended.access_token)
        assert server.refuses(ended.pair["refresh_token"])
        if way in END_THE_OTHER_TOO:
            assert not me_accepts(server, ended.other["access_token"])
            assert server.refuses(ended.other["refresh_token"])
        else:
            assert me_accepts(server, ended.other["access_token"])
        if way not in END_STRANGERS_TOO:
            assert me_accepts(server, strange["access_token"])
            server.refresh(strange["refresh_token"])


def test_a_kill_in_the_middle_of_endings_leaves_of_each_all_or_nothing(mortal):
    """The refresh and the bit go together: where the one is refused, so is the other."""
    for number in range(5):
        server = mortal.servers[-1]
        mortal.add_user(f"halfway-{number}")
        pairs = [server.log_in(f"halfway-{number}") for _ in range(12)]
        reached = threading.Event()

        def log_out():
            with contextlib.suppress(requests.RequestException):
                for count, pair in enumerate(pairs):
                    if count == 2 * number:
                        reached.set()
                    server.post("/auth/log-out", token=pair["access_token"])

        def kill():
            reached.wait(PATIENCE)
            time.sleep(number / 1000)
            server.kill()

        at_once(log_out, kill)
        server = mortal.serve()
        for pair in pairs:
            is_ended = says_ended(server, pair["access_token"])
            assert me_accepts(server, pair["access_token"]) != is_ended
            assert server.refuses(pair["refresh_token"]) == is_ended


def test_everybody_s_sessions_end_at_once(make_installation):
    """`sessions revoke --all` beside a server that goes on logging in: what was answered before it is ended."""
    installation = make_installation(algorithms="ES256")
    server = installation.serve()
    names = [f"user-{number}" for number in range(5)]
    for name in names:
        installation.add_user(name)
    pairs = [server.log_in(name) for name in names * 4]
    at_once(
        lambda: installation.run("sessions", "revoke", "--all"),
        *[lambda name=name: server.log_in(name) for name in names])
    eventually(lambda: not any(me_accepts(server, pair["access_token"]) for pair in pairs), within=2)
    assert all(server.refuses(pair["refresh_token"]) for pair in pairs)
    server.refresh(server.log_in(names[0])["refresh_token"])


# MARK: A store from an older copy


def test_a_session_that_is_ahead_of_a_restored_store_goes_on_and_is_told(make_installation):
    """And who logs in after that was seen gets no bit that somebody has whose session was lost."""
    installation = make_installation(issuer="https://id.example", algorithms="ES256", refresh_grace="0s")
    database, copy = installation.folder / "token-service.sqlite", installation.folder / "copy.sqlite"
    installation.add_user("anna")
    server = installation.serve()
    pair = server.log_in("anna")
    assert server.stop() == 0
    with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)

    server = installation.serve()
    for _ in range(3):
        pair = server.refresh(pair["refresh_token"])
    lost = [server.log_in("anna") for _ in range(5)]
    assert server.stop() == 0
    for suffix in ["-wal", "-shm"]:
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    copy.rename(database)

    server = installation.serve()
    pair = server.refresh(pair["refresh_token"])
    assert me_accepts(server, pair["access_token"])
    server.refresh(pair["refresh_token"])
    ahead = [record for record in installation.json("audit", "list") if record["event"].startswith("refresh")]
    assert [(record["session"], record["outcome"]) for record in ahead] == [(sid(pair), "ahead")]
    later = {reference(server.log_in("anna")["access_token"]) for _ in range(5)}
    assert not later & {reference(each["access_token"]) for each in lost}
    assert all(server.refuses(each["refresh_token"]) for each in lost)


# MARK: `sessions`


FIELDS = {"id", "user", "created_at", "last_used_at", "expires_at", "address", "user_agent"}


def instant(text):
    assert text.endswith("Z")
    return datetime.datetime.fromisoformat(text)


def sid(pair):
    return tokens.claims(pair["access_token"])["sid"]


def own_sessions(server, pair):
    return answered(server.get("/auth/sessions", token=pair["access_token"]))


def delete(server, id, pair):
    return server.request("DELETE", f"/auth/sessions/{id}", token=pair["access_token"])


def test_a_user_sees_the_own_sessions_and_which_is_this_one(shared_server, new_user):
    name = new_user()
    shared_server.log_in(new_user())
    pairs = [shared_server.log_in(name) for _ in range(3)]
    sessions = own_sessions(shared_server, pairs[1])
    assert {session["id"] for session in sessions} == {sid(pair) for pair in pairs}
    assert [session["id"] for session in sessions if session["current"] is True] == [sid(pairs[1])]
    assert all(session["current"] in [True, False] for session in sessions)


def test_a_session_is_described(shared_server, new_user):
    name = new_user()
    headers = {"User-Agent": "A browser/1.0 (of a test)"}
    pair = answered(shared_server.post("/auth/log-in", {"username": name, "password": PASSWORD}, headers=headers))
    (session,) = own_sessions(shared_server, pair)
    assert set(session) == FIELDS | {"current"}
    assert (session["id"], session["user"]) == (sid(pair), name)
    assert (session["address"], session["user_agent"]) == ("127.0.0.1", "A browser/1.0 (of a test)")
    created, used, expires = (instant(session[name]) for name in ["created_at", "last_used_at", "expires_at"])
    now = datetime.datetime.now(datetime.timezone.utc)
    assert created <= used <= now < expires <= created + datetime.timedelta(days=30)
    assert now - created < datetime.timedelta(seconds=30)


def test_a_refresh_is_a_use_of_a_session(shared_server, user):
    pair = shared_server.log_in(user)
    (before,) = own_sessions(shared_server, pair)
    (after,) = own_sessions(shared_server, shared_server.refresh(pair["refresh_token"]))
    assert instant(after["last_used_at"]) > instant(before["last_used_at"])
    assert after["created_at"] == before["created_at"]


@pytest.mark.parametrize("agent", ["", "x" * 4000, "\u00e9 \u00ff", "a\tb", "<script>alert(1)</script>"])
def test_any_user_agent_can_be_listed(shared_server, user, agent):
    headers = {"User-Agent": agent.encode("latin-1")}
    pair = answered(shared_server.post("/auth/log-in", {"username": user, "password": PASSWORD}, headers=headers))
    (session,) = own_sessions(shared_server, pair)
    assert session["user_agent"] is None or len(session["user_agent"]) <= 4000


def test_an_ended_session_is_listed_no_more(shared_server, user):
    gone, stays = shared_server.log_in(user), shared_server.log_in(user)
    assert delete(shared_server, sid(gone), stays).status_code == 204
    assert [session["id"] for session in own_sessions(shared_server, stays)] == [sid(stays)]


def test_a_session_is_ended_by_its_id_also_the_second_time(shared_server, user):
    gone, stays = shared_server.log_in(user), shared_server.log_in(user)
    for _ in range(2):
        response = delete(shared_server, sid(gone), stays)
        assert (response.status_code, response.content) == (204, b"")
    assert shared_server.refuses(gone["refresh_token"])
    shared_server.refresh(stays["refresh_token"])


@pytest.mark.parametrize("id", ["none", "A" * 22, "x" * 3000, "%00", "..%2f..", "'%20OR%201=1"])
def test_a_session_that_nobody_has_is_404(shared_server, user, id):
    pair = shared_server.log_in(user)
    assert_error(delete(shared_server, id, pair), 404, "not_found")
    shared_server.refresh(pair["refresh_token"])


def test_another_user_s_session_is_404_and_stays(shared_server, new_user):
    mine, strange = shared_server.log_in(new_user()), shared_server.log_in(new_user())
    response = delete(shared_server, sid(strange), mine)
    assert_error(response, 404, "not_found")
    assert response.content == delete(shared_server, "A" * len(sid(strange)), mine).content
    assert me_accepts(shared_server, strange["access_token"])
    shared_server.refresh(strange["refresh_token"])


def test_an_ended_session_s_token_lists_and_ends_nothing(shared_server, user):
    ended, living = shared_server.log_in(user), shared_server.log_in(user)
    assert shared_server.post("/auth/log-out", token=ended["access_token"]).status_code == 204
    assert_error(shared_server.get("/auth/sessions", token=ended["access_token"]), 401, "invalid_token")
    assert_error(delete(shared_server, sid(living), ended), 401, "invalid_token")
    change = {"current": PASSWORD, "new": "from the other side"}
    assert_error(shared_server.post("/auth/password", change, token=ended["access_token"]), 401, "invalid_token")
    shared_server.refresh(living["refresh_token"])
    shared_server.log_in(user)


@pytest.mark.parametrize("method, path", [("GET", "/auth/sessions"), ("DELETE", "/auth/sessions/none")])
def test_nobody_has_no_sessions(shared_server, method, path):
    response = shared_server.request(method, path)
    assert_error(response, 401, "invalid_token")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_an_operator_sees_all_sessions_or_one_user_s(shared_server, new_user):
    installation = shared_server.installation
    one, another = new_user(), new_user()
    pairs = {name: shared_server.log_in(name) for name in [one, another]}
    listed = {session["id"]: session for session in installation.json("sessions", "list")}
    for name, pair in pairs.items():
        assert listed[sid(pair)]["user"] == name
        assert set(listed[sid(pair)]) == FIELDS
    (session,) = installation.json("sessions", "list", "--user", one)
    assert session == listed[sid(pairs[one])]
    (own,) = own_sessions(shared_server, pairs[one])
    assert own == session | {"current": True}


def test_a_table_of_sessions_has_a_line_for_each(shared_server, new_user):
    name = new_user()
    pairs = [shared_server.log_in(name) for _ in range(3)]
    text = shared_server.installation.run("sessions", "list", "--user", name).stdout.decode()
    for pair in pairs:
        assert len([line for line in text.splitlines() if sid(pair) in line]) == 1


def test_an_operator_sees_ended_sessions_no_more(shared_server, new_user):
    name = new_user()
    pair = shared_server.log_in(name)
    shared_server.installation.run("sessions", "revoke", "--", sid(pair))
    assert shared_server.installation.json("sessions", "list", "--user", name) == []


@pytest.mark.parametrize("arguments", [[], ["--all", "--user", "anna"], ["--all", "id"], ["--user", "anna", "id"]])
def test_an_operator_has_to_say_whose_session_ends(installation, arguments):
    installation.refused(USAGE, "sessions", "revoke", *arguments)


@pytest.mark.parametrize(
    "arguments", [["revoke", "none"], ["revoke", "--user", "nobody"], ["list", "--user", "nobody"]])
def test_an_operator_is_told_that_there_is_no_such_session_or_user(installation, arguments):
    installation.add_user("anna")
    line = installation.refused(FAILED, "sessions", *arguments)
    assert arguments[-1] in line


def test_an_operator_is_told_that_a_session_has_ended_already(shared_server, user):
    pair = shared_server.log_in(user)
    shared_server.installation.run("sessions", "revoke", "--", sid(pair))
    assert sid(pair) in shared_server.installation.refused(FAILED, "sessions", "revoke", "--", sid(pair))
