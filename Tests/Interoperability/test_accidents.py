"""What goes wrong around the service: disks that are full or can't be written, keys that are missing or come back, a clock
that is wrong. Each is one line that says what to do, and is over when its cause is."""

import contextlib
import os
import sqlite3
import subprocess
import time

import disks
import pytest
import tokens
from service import BAD_CONFIGURATION, FAILED, UNAVAILABLE, answered, assert_error, eventually

SERVE = ["serve", "--listen", "127.0.0.1:0"]


@pytest.fixture
def disk(installation):
    """A disk of 2 MiB."""
    folder = installation.folder / "disk"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(disks.disk(2, folder))
        except subprocess.CalledProcessError:
            pytest.skip("only who may mount can make a small disk")
        yield made
        installation.close()


# MARK: Disks


@pytest.mark.parametrize("setting", ["database", "keys", "master-secret-file"])
def test_a_start_on_a_full_disk_is_one_line_and_is_finished_when_there_is_room(installation, disk, setting):
    name = {"database": "sqlite:disk/db.sqlite", "keys": "disk/keys", "master-secret-file": "disk/secret"}[setting]
    installation.settings[setting] = name
    disk.fill()
    line = installation.refused(UNAVAILABLE if setting == "database" else FAILED, *SERVE)
    assert "disk/" in line and ("no space is left" if setting == "database" else "make room") in line
    disk.free()
    installation.add_user("anna")
    server = installation.serve()
    answered(server.get("/auth/me", token=server.log_in("anna")["access_token"]))
    assert sorted(key["state"] for key in installation.listed_keys()) == ["active", "active"]


@pytest.mark.parametrize("free", [8, 16, 40])
def test_a_disk_that_fills_while_the_database_is_made_is_told(installation, disk, free):
    installation.settings["database"] = "sqlite:disk/db.sqlite"
    disk.fill()
    os.truncate(disk.filler, disk.filler.stat().st_size - free * 1024)
    line = installation.refused(UNAVAILABLE, *SERVE)
    assert "disk is full" in line or "disk full" in line
    disk.free()
    installation.serve()


def test_while_the_keys_disk_is_full_the_log_says_so_once_and_tokens_get_shorter(installation, disk):
    installation.settings |= {"keys": "disk/keys", "access-token-lifetime": "1m", "algorithms": "ES256"}
    server = installation.serve()
    installation.add_user("anna")

    def errors():
        return [line for line in server.log.splitlines() if "can't write the keys' records" in line]

    for round in [1, 2]:
        disk.fill()
        # The record is raised every few seconds; without, the last token covers less and less.
        eventually(lambda: server.log_in("anna")["expires_in"] < 56, every=0.5)
        assert len(errors()) == round and "make room" in errors()[-1]
        assert server.get("/health/ready").status_code == 200
        disk.free()
        eventually(lambda: server.log_in("anna")["expires_in"] == 60, within=5)
    assert len([line for line in server.log.splitlines() if '"error"' in line]) == 2


def test_while_the_database_s_disk_is_full_log_ins_are_503_and_nothing_answered_is_lost(installation, disk):
    installation.settings["database"] = "sqlite:disk/db.sqlite"
    server = installation.serve()
    installation.add_user("anna")
    pair = server.log_in("anna")
    disk.fill()

    def is_refused():
        response = server.post("/auth/log-in", {"username": "anna", "password": "correct horse battery staple"})
        if response.status_code != 503:
            answered(response)
            return False
        assert_error(response, 503, "temporarily_unavailable")
        return int(response.headers["Retry-After"]) > 0

    eventually(is_refused)
    assert "no space is left" in installation.refused(UNAVAILABLE, "users", "disable", "anna")
    answered(server.get("/auth/me", token=pair["access_token"]))
    for path in ["/health/ready", "/.well-known/jwks.json"]:
        assert server.get(path).status_code == 200
    disk.free()
    eventually(lambda: not is_refused(), within=2)
    server.refresh(pair["refresh_token"])


def test_a_key_folder_that_can_t_be_written_is_one_line(installation, disk):
    installation.settings["keys"] = "disk/keys"
    (disk.folder / "keys").mkdir(mode=0o700)
    disk.read_only(True)
    for command in [SERVE, ["keys", "rotate"]]:
        line = installation.refused(FAILED, *command)
        assert "disk/keys" in line and "can be written" in line
    disk.read_only(False)
    installation.serve().kill()
    disk.read_only(True)
    assert "disk/keys" in installation.refused(FAILED, *SERVE)
    assert len(installation.listed_keys()) == 2


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
    # What a timer does makes no keys in their place.
    assert "keys rotate --immediately" in installation.refused(BAD_CONFIGURATION, "keys", "rotate")
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
