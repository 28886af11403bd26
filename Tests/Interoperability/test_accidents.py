"""Keys that are missing or come back, a clock that is wrong: one line says what to do."""

import contextlib
import sqlite3
import time

import pytest
import tokens
from service import BAD_CONFIGURATION, eventually

SERVE = ["serve", "--listen", "127.0.0.1:0"]


# MARK: Keys that are missing


@pytest.fixture
def es256_served(make_installation):
    """An installation whose server has run."""
    installation = make_installation(algorithms="ES256", issuer="https://issuer.example")
    assert installation.serve().stop() == 0
    return installation


READING_COMMANDS = [
    "keys list", "keys rotate --dry-run", "keys revoke KID --reason test", "keys export KID", "keys prune",
    "keys reencrypt", "keys migrate --to elsewhere", "token verify",
]


@pytest.mark.parametrize("command", READING_COMMANDS)
def test_a_command_over_a_key_folder_that_isn_t_there_names_it_and_makes_nothing(es256_served, command):
    before = es256_served.snapshot()
    arguments = ["A" * 43 if each == "KID" else each for each in command.split()]
    line = es256_served.refused(BAD_CONFIGURATION, *arguments, "--keys", "kyes", input=b"a.b.c")
    assert "setting keys" in line and "kyes" in line
    assert es256_served.snapshot() == before


@pytest.mark.parametrize("is_empty", [True, False])
@pytest.mark.parametrize("lost", ["keys", "keys and secret"])
def test_a_start_without_the_keys_of_before_is_refused_and_makes_nothing(es256_served, is_empty, lost):
    installation = es256_served
    (key,) = installation.listed_keys()
    installation.keys.rename(installation.folder / "away")
    if is_empty:
        installation.keys.mkdir()
    if lost != "keys":
        installation.master_secret.rename(installation.folder / "secret")

    def names():
        return {name for name in installation.snapshot() if ".sqlite-" not in name}

    before = names()
    line = installation.refused(BAD_CONFIGURATION, *SERVE)
    assert key["kid"] in line and "folder keys" in line and "keys rotate --immediately" in line
    assert names() == before

    # The way back.
    if lost == "keys":
        assert installation.serve("--keys", "away").published_kids() == {key["kid"]}
        return
    # The way on.
    (made,) = installation.json("keys", "rotate", "--immediately")
    server = installation.serve()
    installation.add_user("anna")
    assert tokens.kid(server.log_in("anna")["access_token"]) == made["kid"]
    assert server.published_kids() == {made["kid"]}


def test_keys_that_were_not_migrated_to_the_database_are_missed(es256_served):
    line = es256_served.refused(BAD_CONFIGURATION, *SERVE, "--keys", "database")
    assert "no key in the database" in line and "set keys" in line


# MARK: Keys that come back


@pytest.mark.parametrize("is_running", [True, False])
def test_a_revoked_key_that_is_put_back_stays_revoked(es256_served, is_running):
    installation = es256_served
    (key,) = installation.listed_keys()
    file = installation.keys / f"{key['kid']}.pem"
    copy = file.read_bytes()
    server = installation.serve() if is_running else None
    installation.run("keys", "revoke", "--reason", "test", "--", key["kid"])
    if server:
        eventually(lambda: key["kid"] not in server.published_kids(), within=2)
    file.write_bytes(copy)
    assert installation.state(key["kid"]) != "revoked"
    server = server or installation.serve()
    eventually(lambda: installation.state(key["kid"]) == "revoked", within=2)
    assert key["kid"] not in server.published_kids()
    (line,) = [line for line in server.log.splitlines() if "put back" in line]
    assert key["kid"] in line and "warning" in line


# MARK: The clock


def test_a_clock_that_is_behind_is_warned_about_in_one_line(installation):
    assert "clock" not in installation.serve().log
    installation.close()
    later = int((time.time() + 7200) * 1e6)
    with contextlib.closing(sqlite3.connect(installation.folder / "token-service.sqlite")) as connection:
        connection.execute("UPDATE audit SET time = ?", [later])
        connection.commit()
    (line,) = [line for line in installation.serve().log.splitlines() if "clock" in line]
    assert "timedatectl" in line and "warning" in line
