"""The tokens of machine clients: how they are signed and verified, how they end, and what the audit log says."""

import contextlib
import json
import sqlite3
import time

import pytest
import tokens
from machine_clients import BAR, STATUS_TTL, client, installation, shared_server  # noqa: F401 (fixtures)
from oauth import (
    ENDPOINTS, LEAST, TOKEN, Client, KeyClient, ask, assert_refused, assert_unauthenticated, introspection, is_accepted,
    revoke, token, token_response)
from service import FAILED, QUICK_ROTATION, at_once, eventually
from status_lists import CachingVerifier, me_accepts, reference, says_ended
from verifiers import Joserfc, PyJWT


# MARK: Tokens


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
@pytest.mark.parametrize("verifier", [PyJWT, Joserfc])
def test_a_client_has_its_own_algorithm_next_to_the_others(shared_server, installation, algorithm, verifier):
    client = Client(
        installation, f"{algorithm}-{verifier.__name__}", "--algorithm", algorithm, "--scope", "a", "--scope", "b")
    text = token(shared_server, client, scope="b")
    header = tokens.header(text)
    assert (header["alg"], header["typ"]) == (algorithm, "at+jwt")
    assert set(header) == {"alg", "kid", "typ"}
    claims = verifier(shared_server.url).verify(text, shared_server.url)
    assert set(claims) == {"iss", "sub", "aud", "client_id", "iat", "exp", "jti", "scope", "status"}
    assert claims["sub"] == claims["client_id"] == client.id
    assert me_accepts(shared_server, text)


def test_a_client_s_lifetime_is_its_own(shared_server, installation):
    brief = Client(installation, "lives-briefly", "--access-token-lifetime", "90s")
    plain = Client(installation, "lives-as-long-as-others")
    for client, lifetime in [(brief, 90), (plain, 600)]:
        body = token_response(shared_server, client)
        claims = tokens.claims(body["access_token"])
        assert body["expires_in"] == claims["exp"] - claims["iat"] == lifetime


def test_a_setting_that_came_down_bounds_every_client(make_installation):
    installation = make_installation(algorithms="ES256")
    client = Client(installation, "client", "--access-token-lifetime", "9m")
    server = installation.serve(settings={"access-token-lifetime": "1m"})
    assert token_response(server, client)["expires_in"] == 60


def test_without_a_key_of_a_client_s_algorithm_it_gets_503_and_others_their_tokens(make_installation):
    installation = make_installation(**QUICK_ROTATION)
    clients = {name: Client(installation, name, "--algorithm", name) for name in ["ES256", "RS256"]}
    installation.serve().kill()
    server = installation.serve(settings={"algorithms": "ES256"})

    def refused():
        """Once the key has retired."""
        response = ask(server, TOKEN, clients["RS256"], grant_type="client_credentials")
        if response.status_code != 200:
            assert_refused(response, 503, "temporarily_unavailable")
            assert int(response.headers["Retry-After"]) > 0
        return response.status_code != 200

    eventually(refused, within=15, every=0.5)
    token(server, clients["ES256"])


def test_an_added_client_is_known_at_once_to_every_server(make_installation):
    installation = make_installation(algorithms="ES256", issuer="https://id.example")
    servers = [installation.serve(), installation.serve()]
    for number in range(3):
        client = Client(installation, f"client-{number}")
        asked = [lambda server=server: reference(token(server, client)) for server in servers * 4]
        assert len(set(at_once(*asked))) == 1, "one client has one bit"


def test_a_page_of_a_known_origin_may_ask(make_installation):
    installation = make_installation(algorithms="ES256", cors_origins="https://app.example")
    server, client = installation.serve(), Client(installation, "client")
    for path in ENDPOINTS:
        for origin, allowed in [("https://app.example", "https://app.example"), ("https://evil.example", None)]:
            preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            response = server.request("OPTIONS", path, headers=preflight)
            assert (response.status_code, response.headers["Vary"]) == (204, "Origin")
            assert response.headers.get("Access-Control-Allow-Origin") == allowed
            for caller in [client, None]:
                response = ask(server, path, caller, headers={"Origin": origin}, **LEAST[path])
                assert response.status_code == (200 if caller else 401)
                assert response.headers.get("Access-Control-Allow-Origin") == allowed


def test_a_locked_database_is_503(make_installation):
    installation = make_installation(algorithms="ES256")
    server, client = installation.serve(), KeyClient(installation, "key")
    with contextlib.closing(sqlite3.connect(installation.folder / "token-service.sqlite")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        response = ask(server, TOKEN, client, grant_type="client_credentials")
        assert_refused(response, 503, "temporarily_unavailable")
        assert int(response.headers["Retry-After"]) > 0
        connection.rollback()
    assert is_accepted(server, client)


# MARK: How they end


def test_a_revoked_token_takes_the_others_with_it_and_a_new_one_works_at_once(shared_server, client):
    for _ in range(3):
        texts = [token(shared_server, client) for _ in range(3)]
        assert len({reference(text) for text in texts}) == 1
        revoke(shared_server, client, texts[1])
        assert not any(me_accepts(shared_server, text) for text in texts)
        fresh = token(shared_server, client)
        assert reference(fresh) != reference(texts[0])
        assert me_accepts(shared_server, fresh)
        # What has ended already ends nothing more.
        revoke(shared_server, client, texts[0])
        assert me_accepts(shared_server, fresh)
        eventually(lambda: all(says_ended(shared_server, text) for text in texts), within=BAR)
        assert not says_ended(shared_server, fresh)


def test_revocations_at_once_leave_a_client_that_goes_on(shared_server, client):
    texts = [token(shared_server, client) for _ in range(4)]
    at_once(*[lambda text=text: revoke(shared_server, client, text) for text in texts])
    assert not any(me_accepts(shared_server, text) for text in texts)
    assert me_accepts(shared_server, token(shared_server, client))


def test_whoever_may_revoke_ends_any_client_s_tokens(shared_server, installation, client):
    mighty = Client(installation, "mighty", "--may", "revoke", "--may", "introspect")
    text = token(shared_server, client)
    revoke(shared_server, mighty, text)
    assert not me_accepts(shared_server, text)
    assert introspection(shared_server, mighty, text) == {"active": False}
    assert me_accepts(shared_server, token(shared_server, client))


def test_a_removed_client_s_tokens_are_refused_by_who_reads_status_lists(shared_server, installation, client):
    texts = [token(shared_server, client) for _ in range(2)]
    auditor = Client(installation, "stays", "--may", "introspect")
    stranger = token(shared_server, auditor)
    verifier = CachingVerifier(shared_server)
    assert not any(verifier.refuses(text) for text in [*texts, stranger])
    installation.run("clients", "remove", client.id)
    began = time.monotonic()
    for text in texts:
        assert introspection(shared_server, auditor, text) == {"active": False}
    eventually(lambda: all(verifier.refuses(text) for text in texts), within=BAR)
    assert time.monotonic() - began <= BAR
    eventually(lambda: not is_accepted(shared_server, client), within=began + 2 - time.monotonic())
    assert not any(me_accepts(shared_server, text) for text in texts)
    assert not verifier.refuses(stranger) and me_accepts(shared_server, stranger)
    installation.refused(FAILED, "clients", "remove", client.id)


def test_a_client_that_is_removed_while_it_asks_gets_no_token_that_outlives_it(shared_server, client):
    def ask_on():
        texts = []
        while (response := ask(shared_server, TOKEN, client, grant_type="client_credentials")).status_code == 200:
            texts.append(response.json()["access_token"])
        assert_unauthenticated(response)
        return texts

    texts, *_ = at_once(ask_on, lambda: client.installation.run("clients", "remove", client.id))
    assert texts
    eventually(lambda: not any(me_accepts(shared_server, text) for text in [texts[0], texts[-1]]), within=2)
    assert len({reference(text) for text in texts}) == 1
    eventually(lambda: says_ended(shared_server, texts[-1]), within=BAR)


def test_a_client_added_anew_under_the_name_has_nothing_of_the_old(shared_server, client):
    text = token(shared_server, client)
    client.installation.run("clients", "remove", client.name)
    successor = Client(client.installation, client.name)
    assert successor.id != client.id and successor.secret != client.secret
    assert reference(token(shared_server, successor)) != reference(text)
    eventually(lambda: not me_accepts(shared_server, text), within=2)
    assert me_accepts(shared_server, token(shared_server, successor))


ENDINGS = {
    "a revocation": lambda server, client, text: revoke(server, client, text),
    "clients remove": lambda server, client, text: client.installation.run("clients", "remove", client.id),
    "an immediate rotation": lambda server, client, text: client.rotate("--immediately"),
}


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_an_ending_that_was_answered_is_lost_by_no_kill_nor_without_a_server(make_installation, end):
    installation = make_installation(algorithms="ES256", issuer="https://id.example", status_ttl=f"{STATUS_TTL}s")
    clients = {how: Client(installation, how) for how in ENDINGS}
    living = Client(installation, "living")
    server = installation.serve()
    texts = {how: token(server, client) for how, client in clients.items()}
    good = token(server, living)
    if end == "stop":
        # Then the commands run without a server.
        revoke(server, clients["a revocation"], texts["a revocation"])
        assert server.stop() == 0
    for how, client in clients.items():
        if end == "kill" or how != "a revocation":
            ENDINGS[how](server, client, texts[how])
    server.kill()
    server = installation.serve()
    for how, text in texts.items():
        assert not me_accepts(server, text) and says_ended(server, text), how
    assert me_accepts(server, good) and reference(token(server, living)) == reference(good)
    for how in ["a revocation", "an immediate rotation"]:
        assert me_accepts(server, token(server, clients[how]))
    assert_unauthenticated(ask(server, TOKEN, clients["clients remove"], grant_type="client_credentials"))


def test_another_server_refuses_within_2_s_what_one_ended(make_installation):
    installation = make_installation(algorithms="ES256", issuer="https://id.example")
    first, second = installation.serve(), installation.serve()
    client = Client(installation, "client", "--may", "introspect")
    texts = [token(server, client) for server in [first, second]]
    revoke(first, client, texts[1])
    for text in texts:
        # Introspection asks the database.
        assert introspection(second, client, text) == {"active": False}
    eventually(lambda: not any(me_accepts(second, text) for text in texts), within=2)
    eventually(lambda: me_accepts(second, token(second, client)), within=2)


def test_the_sessions_of_users_end_without_those_of_clients(shared_server, installation, client, user):
    text, pair = token(shared_server, client), shared_server.log_in(user)
    installation.run("sessions", "revoke", "--all")
    eventually(lambda: not me_accepts(shared_server, pair["access_token"]), within=2)
    assert me_accepts(shared_server, text)


# MARK: The audit log


def test_every_change_of_a_client_is_in_the_audit_log(shared_server, installation):
    client = Client(installation, "audited", "--scope", "read")
    client.rotate()
    installation.run("clients", "rotate-secret", client.id, "--finish")
    eventually(lambda: is_accepted(shared_server, client), within=2)
    revoke(shared_server, client, token(shared_server, client))
    client.rotate("--immediately")
    installation.run("clients", "remove", client.id)
    records = [record for record in installation.json("audit", "list") if record["subject"] == client.id]
    assert [record["event"] for record in records] == [
        "client_added", *["client_credential_rotated"] * 2, "client_tokens_revoked", "client_credential_rotated",
        "client_removed"]
    for record in records:
        by_itself = record["event"] == "client_tokens_revoked"
        assert (record["actor"] == client.id) if by_itself else record["actor"].startswith("operator:")
        assert record["address"] == ("127.0.0.1" if by_itself else None)
        assert record["session"] is None
    assert client.secret not in json.dumps(records)
