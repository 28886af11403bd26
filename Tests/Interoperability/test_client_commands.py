"""The commands for machine clients: what they print and refuse, and rotations of secrets and keys."""

import base64
import contextlib
import datetime
import hashlib
import json
import re
import sqlite3
import time

import pytest
import tokens
from machine_clients import BAR, client, installation, shared_server  # noqa: F401 (fixtures)
from oauth import (
    TOKEN, Client, KeyClient, ask, assert_unauthenticated, introspection, is_accepted, new_key, revoke, token, written)
from service import FAILED, USAGE, at_once, eventually
from status_lists import CachingVerifier, me_accepts, says_ended

FIELDS = {
    "client_id", "name", "authentication", "scope", "audiences", "algorithm", "access_token_lifetime", "may",
    "created_at", "last_rotated_at", "rotating",
}


def listed(client):
    (record,) = [each for each in client.installation.json("clients", "list") if each["client_id"] == client.id]
    return record


# MARK: clients add and list


def test_a_client_is_printed_with_its_secret_once_and_listed_without(installation):
    before = datetime.datetime.now(datetime.timezone.utc)
    client = Client(
        installation, "Orders, of the shop", "--scope", "read", "--scope", "write", "--audience", "https://a.example",
        "--audience", "b", "--may", "introspect", "--may", "exchange", "--algorithm", "RS256",
        "--access-token-lifetime", "5m")
    assert set(client.record) == FIELDS | {"client_secret"}
    expected = {
        "name": "Orders, of the shop", "authentication": "client_secret", "scope": "read write",
        "audiences": ["https://a.example", "b"], "algorithm": "RS256", "access_token_lifetime": 300,
        "last_rotated_at": None, "rotating": False}
    assert client.record.items() >= expected.items()
    assert set(client.record["may"]) == {"introspect", "exchange"}
    created = datetime.datetime.fromisoformat(client.record["created_at"])
    assert client.record["created_at"].endswith("Z") and abs(created - before).total_seconds() < 30
    assert len(tokens.decode(client.secret)) >= 32
    assert listed(client) == {name: value for name, value in client.record.items() if name != "client_secret"}


def test_a_client_with_nothing_said_and_one_with_a_key(installation, client):
    bare = Client(installation, "bare").record
    assert bare["scope"] == "" and bare["algorithm"] is bare["access_token_lifetime"] is None and bare["may"] == []
    keyed = KeyClient(installation, "keyed")
    assert set(keyed.record) == FIELDS
    assert keyed.record["authentication"] == "private_key_jwt"
    assert listed(keyed) == keyed.record


def test_tables_name_every_client_and_no_secret(installation, client):
    text = installation.run("clients", "list").stdout.decode()
    for record in installation.json("clients", "list"):
        assert len([line for line in text.splitlines() if record["client_id"] in line]) == 1
    assert client.secret not in text
    shown = installation.run("clients", "add", "shown as text").stdout.decode()
    (added,) = [each for each in installation.json("clients", "list") if each["name"] == "shown as text"]
    assert added["client_id"] in shown and re.search(r"client_secret\W+[\w-]{43}", shown)


def test_a_folder_without_clients_lists_none(make_installation):
    other = make_installation(algorithms="ES256")
    other.add_user("anna")
    assert other.json("clients", "list") == []


def test_a_name_that_is_taken_is_refused(installation, client):
    line = installation.refused(FAILED, "clients", "add", client.name)
    assert client.name in line


def test_a_key_file_that_isn_t_there_is_named(installation):
    completed = installation.run("clients", "add", "x", "--public-key", "none.pem", check=False)
    assert completed.returncode in [FAILED, USAGE] and "none.pem" in completed.stderr


#: RSA of 1024 bits.
SHORT_KEY = """-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDezpxIZZUipDC7/J6kdK2IqHAG
1xkMAo8gOT8+xIgE1c1b2YBVKhWsE7fc/svI1tUWuF0qcBzMuKjefllNmqI8K5Q9
ghiwQYLD88m9cvsgUFeBAFZpgbnmCToMrLa5PSBPm4ak6KOW3gtEQYAgD0hlUGQL
A1QpqnzbNHMd7PLq7wIDAQAB
-----END PUBLIC KEY-----
"""

BAD_ARGUMENTS = {
    "no name": [], "an empty name": [""], "an unknown algorithm": ["x", "--algorithm", "HS256"],
    "an algorithm in another spelling": ["x", "--algorithm", "rs256"], "alg none": ["x", "--algorithm", "none"],
    "an algorithm that isn't configured": ["x", "--algorithm", "ES384"], "a bad scope": ["x", "--scope", 'a"b'],
    "an unknown permission": ["x", "--may", "everything"],
    "a lifetime over the setting": ["x", "--access-token-lifetime", "11m"],
    "no lifetime": ["x", "--access-token-lifetime", "0s"],
    "a lifetime without unit": ["x", "--access-token-lifetime", "5"],
    "a private key": ["x", "--public-key", "private.pem"],
    "a private JWK": ["x", "--public-key", "private.jwk"], "a short key": ["x", "--public-key", "short.pem"],
    "a symmetric key": ["x", "--public-key", "symmetric.jwk"], "no key": ["x", "--public-key", "text"],
}


@pytest.fixture(scope="module")
def bad_files(shared_server):
    folder = shared_server.installation.folder
    written(new_key("ES256"), folder / "private.pem", private=True)
    written(new_key("ES256"), folder / "private.jwk", form="jwk", private=True)
    (folder / "symmetric.jwk").write_text(json.dumps({"kty": "oct", "k": "A" * 43}))
    (folder / "short.pem").write_text(SHORT_KEY)
    (folder / "text").write_text("no key")


@pytest.mark.parametrize("how", BAD_ARGUMENTS)
def test_bad_arguments_are_64_and_add_nothing(installation, bad_files, how):
    before = installation.query("SELECT * FROM clients")
    completed = installation.run("clients", "add", *BAD_ARGUMENTS[how], check=False)
    assert (completed.returncode, completed.stdout) == (USAGE, b""), completed.stderr
    assert installation.query("SELECT * FROM clients") == before


def test_an_algorithm_has_to_be_one_of_the_setting(make_installation):
    other = make_installation(algorithms="ES256")
    line = other.refused(USAGE, "clients", "add", "x", "--algorithm", "RS256")
    assert "RS256" in line


def test_commands_on_a_client_that_isn_t_there_say_so(installation):
    for arguments in [["remove"], ["rotate-secret"], ["rotate-secret", "--finish"]]:
        assert "nobody" in installation.refused(FAILED, "clients", *arguments, "nobody")


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_client_is_known_by_its_id_and_by_its_name(shared_server, client, by):
    client.installation.run("clients", "remove", getattr(client, by))
    eventually(lambda: not is_accepted(shared_server, client), within=2)
    assert client.id not in {each["client_id"] for each in client.installation.json("clients", "list")}


def test_an_id_that_starts_with_a_hyphen_can_be_pasted(make_installation):
    other = make_installation(algorithms="ES256")
    client = Client(other, "hyphen")
    id = "-" + client.id[1:]
    with contextlib.closing(sqlite3.connect(other.folder / "token-service.sqlite")) as connection, connection:
        connection.execute("UPDATE clients SET id = ?", [id])
    assert other.json("clients", "rotate-secret", id)["client_id"] == id
    other.run("clients", "remove", id)
    assert other.json("clients", "list") == []


# MARK: Secrets


def test_a_secret_is_in_no_file_and_in_no_log(make_installation):
    installation = make_installation(algorithms="ES256", log_level="trace")
    server = installation.serve()
    client = Client(installation, "client", "--may", "introspect", "--scope", "read")
    key = KeyClient(installation, "key")
    secrets = [client.secret]
    assertion = key.fields(server)
    issued = [token(server, client), token(server, None, **assertion)]
    ask(server, TOKEN, grant_type="client_credentials", client_id=client.id, client_secret=client.secret, scope="x")
    ask(server, f"{TOKEN}?client_secret={client.secret}", grant_type="client_credentials")
    ask(server, TOKEN, grant_type=client.secret, client_id=client.secret)
    for _ in range(2):
        client.rotate()
        secrets.append(client.secret)
    eventually(lambda: is_accepted(server, client), within=2)
    introspection(server, client, issued[0])
    revoke(server, client, issued[0])
    client.rotate("--immediately")
    secrets.append(client.secret)
    installation.run("clients", "remove", key.id)
    shown = installation.run("audit", "list").stdout + installation.run("clients", "list").stdout
    assert server.stop() == 0

    kept = b"".join(content for _, content in installation.snapshot().values() if content) + shown
    for secret in [*secrets, assertion["client_assertion"].split(".")[1], *[each.split(".")[1] for each in issued]]:
        text, raw = secret.encode(), tokens.decode(secret)
        for form in [text, base64.b64encode(text), raw, base64.b64encode(raw), raw.hex().encode()]:
            assert form.rstrip(b"=") not in kept, f"{secret[:8]}… is somewhere"
    (row,) = installation.query("SELECT * FROM clients")
    assert hashlib.sha256(secrets[-1].encode()).digest() in row


def test_two_secrets_are_valid_and_a_third_drops_the_oldest(shared_server, client):
    def accepted(*secrets):
        return [is_accepted(shared_server, client_with(client, secret)) for secret in secrets]

    first = client.secret
    printed = client.installation.json("clients", "rotate-secret", client.id)
    assert set(printed) >= {"client_id", "client_secret"} and printed["client_id"] == client.id
    second = printed["client_secret"]
    assert listed(client)["rotating"] is True and listed(client)["last_rotated_at"].endswith("Z")
    eventually(lambda: accepted(first, second) == [True, True], within=2)
    third = client.installation.json("clients", "rotate-secret", client.name)["client_secret"]
    eventually(lambda: accepted(first, second, third) == [False, True, True], within=2)
    client.installation.run("clients", "rotate-secret", client.id, "--finish")
    eventually(lambda: accepted(first, second, third) == [False, False, True], within=2)
    assert listed(client)["rotating"] is False
    client.installation.run("clients", "rotate-secret", client.id, "--finish", check=False)
    time.sleep(1.5)
    assert accepted(first, second, third) == [False, False, True]


def client_with(client, secret):
    """The client as it is to whom knows another secret of it."""
    other = object.__new__(Client)
    other.id, other.secret = client.id, secret
    return other


def test_a_finished_rotation_makes_no_secret_and_a_rotation_ends_no_token(shared_server, client):
    text = token(shared_server, client)
    client.rotate()
    printed = client.installation.json("clients", "rotate-secret", client.id, "--finish")
    assert "client_secret" not in printed
    time.sleep(1.5)
    assert me_accepts(shared_server, text) and not says_ended(shared_server, text)
    assert is_accepted(shared_server, client)


def test_an_immediate_rotation_drops_all_others_and_ends_the_tokens_that_are_out(shared_server, client):
    secrets = [client.rotate(), client.secret]
    eventually(lambda: is_accepted(shared_server, client), within=2)
    text = token(shared_server, client)
    verifier = CachingVerifier(shared_server)
    assert not verifier.refuses(text)
    client.rotate("--immediately")
    began = time.monotonic()
    eventually(lambda: is_accepted(shared_server, client), within=2)
    eventually(
        lambda: not any(is_accepted(shared_server, client_with(client, secret)) for secret in secrets), within=2)
    eventually(lambda: not me_accepts(shared_server, text), within=2)
    eventually(lambda: verifier.refuses(text), within=began + BAR - time.monotonic())
    assert me_accepts(shared_server, token(shared_server, client))
    assert listed(client)["rotating"] is False


@pytest.mark.parametrize("has_tokens_out", [True, False])
def test_a_secret_that_leaked_gets_no_token_that_outlives_its_end(shared_server, client, has_tokens_out):
    """A server may take the old secret for 2 s more; what it gives for it then is ended as well."""
    if has_tokens_out:
        token(shared_server, client)
    leaked = client_with(client, client.secret)
    # The server knows the client as it was.
    at_once(lambda: client.rotate("--immediately"), lambda: introspection(shared_server, leaked, "x"))
    texts, until = [], time.monotonic() + 2
    while (response := ask(shared_server, TOKEN, leaked, grant_type="client_credentials")).status_code == 200:
        texts.append(response.json()["access_token"])
        assert time.monotonic() < until
    assert_unauthenticated(response)
    eventually(lambda: not any(me_accepts(shared_server, text) for text in texts[:1] + texts[-1:]), within=2)
    eventually(lambda: all(says_ended(shared_server, text) for text in texts[:1] + texts[-1:]), within=BAR)
    assert is_accepted(shared_server, client)


def test_two_rotations_at_once_leave_two_secrets(shared_server, client):
    rotate = lambda: client.installation.json("clients", "rotate-secret", client.id)["client_secret"]
    secrets = [client.secret, *at_once(rotate, rotate)]
    time.sleep(1.5)
    assert [is_accepted(shared_server, client_with(client, secret)) for secret in secrets] == [False, True, True]


def test_a_client_s_key_is_replaced_by_its_next(shared_server, installation):
    client = KeyClient(installation, "rotated-key", algorithm="EdDSA")
    assert is_accepted(shared_server, client)
    old, client.key = client.key, new_key("ES256")
    file = written(client.key, installation.folder / "next.pem")
    printed = installation.json("clients", "rotate-secret", client.id, "--public-key", file)
    assert printed == listed(client) and printed["rotating"] is True

    def accepted():
        fields = [
            client.fields(shared_server, key=old, algorithm="EdDSA"), client.fields(shared_server, algorithm="ES256")]
        return [is_accepted(shared_server, None, **each) for each in fields]

    eventually(lambda: accepted() == [True, True], within=2)
    installation.run("clients", "rotate-secret", client.id, "--finish")
    eventually(lambda: accepted() == [False, True], within=2)


def test_a_secret_is_no_key_and_a_key_no_secret(installation, client):
    keyed = KeyClient(installation, "no-secret")
    file = written(new_key("ES256"), installation.folder / "another.pem")
    installation.refused(USAGE, "clients", "rotate-secret", keyed.id)
    installation.refused(USAGE, "clients", "rotate-secret", client.id, "--public-key", file)
    installation.refused(USAGE, "clients", "rotate-secret", client.id, "--finish", "--immediately")
