"""The program as a process: settings, exit statuses, signals, logs, and the commands besides `keys`."""

import base64
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import pytest
import requests
import tokens
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from service import (
    BAD_CONFIGURATION, FAILED, PASSWORD, PATIENCE, UNAVAILABLE, USAGE, VECTORS, answered, assert_error, at_once,
    eventually)

SERVE = ["serve", "--listen", "127.0.0.1:0"]


# MARK: Usage


COMMANDS = [
    "", "serve", "keys", "keys list", "keys rotate", "keys revoke", "keys import", "keys export", "keys prune",
    "keys reencrypt", "users", "users add", "users list", "users show", "users set-password", "users set-claims",
    "users disable", "users enable", "users remove", "token", "token inspect", "token verify", "jws", "jws verify",
    "config", "config show",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_tells_how_it_is_used(installation, command):
    completed = installation.run(*command.split(), "--help")
    assert b"USAGE: " + f"token-service {command}".strip().encode() in completed.stdout
    assert completed.stderr == ""
    assert list(installation.folder.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "nonsense", "keys nonsense", "serve --nonsense", "serve more", "keys list --format xml",
        "keys rotate --algorithm",
        "users add", "users show", "users set-claims anna", "users set-claims anna --claim plan",
        "users add anna --claim plan=gold --password-stdin", "users add anna --scope a\"b --password-stdin",
        "users add anna --claim =1 --password-stdin", "users add anna --claim a=1 --claim a=2 --password-stdin",
        "users add anna", "users add anna --password secret", "jws verify", "jws verify --jwk a --jwks b",
    ])
def test_wrong_usage_is_64_and_makes_nothing(installation, command):
    installation.refused(USAGE, *command.split(" "))
    assert list(installation.folder.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "keys list", "keys rotate --dry-run", "keys export " + "A" * 43, "token verify", "token inspect", "config show",
        "jws verify --jwk none", "users list", "users show anna", "users disable anna",
    ])
def test_a_command_that_only_reads_makes_nothing_in_a_folder_without_a_service(installation, command):
    installation.run(*command.split(), check=False)
    assert [path.name for path in installation.folder.iterdir()] == []


# MARK: Settings


BAD_SETTINGS = [
    ("listen", "nonsense"), ("listen", "127.0.0.1"), ("listen", "127.0.0.1:65536"), ("listen", ":8080"),
    ("listen", "0.0.0.0:0"), ("listen", "[::]:0"), ("issuer", "nonsense"), ("issuer", "ftp://issuer.example"),
    ("issuer", "https://issuer.example/?a=b"), ("issuer", "https://issuer.example/#a"), ("issuer", "https://"),
    ("database", "mysql://db"), ("database", "sqlite:"), ("database", "token-service.sqlite"),
    ("algorithms", ""), ("algorithms", "none"), ("algorithms", "HS256"), ("algorithms", "es256"),
    ("algorithms", "ES256,ES256"), ("algorithms", "ES256,"), ("rsa-bits", "2047"), ("rsa-bits", "4097"),
    ("rsa-bits", "many"), ("rotate-every", "59m"), ("rotate-every", "-1d"), ("rotate-every", "1w"),
    ("publish-ahead", "5m"), ("publish-ahead", "5m59s"), ("publish-ahead", "1"), ("publish-ahead", "1.5h"),
    ("jwks-max-age", "5"), ("jwks-max-age", "five"), ("access-token-lifetime", "59s"),
    ("access-token-lifetime", "61m"), ("access-token-lifetime", "0"), ("access-token-lifetime", "10 m"),
    ("refresh-token-lifetime", "long"), ("refresh-token-idle-lifetime", "9999999999999999999d"),
    ("refresh-grace", "301s"), ("refresh-grace", "-1s"), ("clock-leeway", "x"), ("password-memory", "19"),
    ("password-memory", "1KiB"), ("password-memory", "2GiB"), ("password-iterations", "0"),
    ("password-iterations", "65"), ("password-concurrency", "0"), ("allow-plain-http", "maybe"),
    ("log-level", "loud"), ("log-format", "xml"),
]


@pytest.mark.parametrize("name, value", BAD_SETTINGS)
def test_a_bad_setting_stops_the_start_by_its_name_and_makes_nothing(installation, name, value):
    settings = {} if name == "listen" else {"listen": "127.0.0.1:0"}
    line = installation.refused(BAD_CONFIGURATION, "serve", settings=settings | {name: value})
    assert name in line
    assert list(installation.folder.iterdir()) == []


@pytest.mark.parametrize(
    "name, value", [("access-token-lifetime", "2h"), ("publish-ahead", "1m"), ("log-level", "loud")])
def test_a_bad_setting_is_named_from_a_flag_and_from_the_file_as_well(installation, name, value):
    assert name in installation.refused(BAD_CONFIGURATION, *SERVE, f"--{name}", value)
    (installation.folder / "settings.yaml").write_text(f"{name}: {value}\n")
    for command in [SERVE, ["keys", "list"], ["users", "list"]]:
        assert name in installation.refused(BAD_CONFIGURATION, *command, "--config", "settings.yaml")
    assert [path.name for path in installation.folder.iterdir()] == ["settings.yaml"]


def test_a_longer_jwks_max_age_asks_for_a_longer_publish_ahead(installation):
    line = installation.refused(BAD_CONFIGURATION, *SERVE, settings={"jwks-max-age": "1h"})
    assert "publish-ahead" in line and "jwks-max-age" in line


def test_the_longest_jwks_max_age_ever_promised_counts(installation):
    """Verifiers may still hold what was published under the old setting."""
    assert installation.serve(settings={"jwks-max-age": "50m"}).stop() == 0
    line = installation.refused(BAD_CONFIGURATION, *SERVE, settings={"jwks-max-age": "1m", "publish-ahead": "10m"})
    assert "publish-ahead" in line
    installation.serve(settings={"jwks-max-age": "1m"})


@pytest.mark.parametrize(
    "text, named",
    [
        ("isuer: https://a.example\n", "isuer"), ("access_token_lifetime: 5m\n", "access_token_lifetime"),
        ("listen: {host: a}\n", "listen"), ("a: [\n", "settings.yaml"), ("- listen\n", "settings.yaml"),
        ("listen\n", "settings.yaml"), ("issuer: https://a.example\nissuer: https://b.example\n", "settings.yaml"),
        ("\t\n:", "settings.yaml"), (None, "settings.yaml"),
    ])
def test_a_bad_config_file_is_78_and_says_what_is_wrong(installation, text, named):
    if text is not None:
        (installation.folder / "settings.yaml").write_text(text)
    for command in [SERVE, ["config", "show"]]:
        completed = installation.run(*command, "--config", "settings.yaml", check=False, timeout=10)
        assert (completed.returncode, completed.stdout) == (BAD_CONFIGURATION, b"")
        assert completed.stderr.startswith("error: ") and named in completed.stderr


def shown(installation, *arguments, **options):
    """What `config show` says, by setting."""
    settings = installation.json("config", "show", *arguments, **options)
    assert [set(each) for each in settings] == [{"setting", "value", "from"}] * len(settings)
    return {each["setting"]: (each["value"], each["from"]) for each in settings}


@pytest.mark.parametrize("text", [
    "issuer: https://a.example\ndatabase: DATABASE\nissuer: https://b.example\n", "database: DATABASE\n  x: [\n",
    "database: [DATABASE\n", "database: 'DATABASE\n", "database: {url: DATABASE}\n", "DATABASE\n",
    "\tdatabase: DATABASE\n", "database: DATABASE\nno-such-setting: 1\n", "database: *DATABASE\n", "? [DATABASE]\n: 1\n",
], ids=range(10))
def test_what_a_bad_config_file_holds_isn_t_shown(installation, text):
    text = text.replace("DATABASE", "postgres://token:s3cret@db.example/token")
    (installation.folder / "settings.yaml").write_text(text)
    completed = installation.run("serve", "--config", "settings.yaml", check=False)
    assert completed.returncode == BAD_CONFIGURATION
    assert "s3cret" not in completed.stderr


def test_the_defaults_are_those_of_the_documentation(installation):
    installation.settings = {}
    assert shown(installation) == {
        name: (value, "default")
        for name, value in {
            "listen": "127.0.0.1:8080", "issuer": None, "audience": None, "keys": "keys",
            "database": "sqlite:token-service.sqlite", "database-listen": None, "database-connections": "8",
            "database-prepared-statements": "on", "master-secret-file": "master.secret",
            "algorithms": "ES256,RS256", "rsa-bits": "2048", "rotate-every": "30d", "publish-ahead": "1h",
            "jwks-max-age": "5m", "access-token-lifetime": "10m", "refresh-token-lifetime": "30d",
            "refresh-token-idle-lifetime": "14d", "refresh-grace": "30s", "status-ttl": "10s", "clock-leeway": "30s",
            "password-memory": "19MiB", "password-iterations": "2", "password-concurrency": None,
            "log-in-rate": "10/m", "trusted-proxies": None, "cors-origins": None, "audit-retention": "365d",
            "tls-certificate": None, "tls-key": None, "allow-plain-http": "off", "max-connections": "10000",
            "max-requests": "1000", "shutdown-timeout": "30s", "metrics": "on", "log-level": "info",
            "log-format": None,
        }.items()
    }


def test_a_flag_goes_before_the_environment_the_file_and_the_default(installation):
    file = installation.folder / "settings.yaml"
    flag, config = ["--keys", "by-flag"], ["--config", "settings.yaml"]
    variable = {"keys": "by-environment"}
    file.write_text("# nothing but this\n")
    assert shown(installation, *config)["keys"] == ("keys", "default")
    file.write_text("keys: by-file\n")
    assert shown(installation, *config)["keys"] == ("by-file", "settings.yaml")
    assert shown(installation, *config, settings=variable)["keys"] == ("by-environment", "environment")
    assert shown(installation, *config, *flag, settings=variable)["keys"] == ("by-flag", "flag")
    assert shown(installation, *flag)["keys"] == ("by-flag", "flag")


def test_the_same_order_holds_for_a_server(installation):
    (installation.folder / "settings.yaml").write_text(
        "audience: by-file\nissuer: https://file.example\nrsa-bits: 2048\n")
    server = installation.serve(
        "--config", "settings.yaml", "--access-token-lifetime", "2m",
        settings={"audience": "by-environment", "access-token-lifetime": "3m"})
    installation.add_user("anna")
    claims = tokens.claims(server.log_in("anna")["access_token"])
    assert (claims["iss"], claims["aud"]) == ("https://file.example", "by-environment")
    assert claims["exp"] - claims["iat"] == 120
    metadata = answered(server.get("/.well-known/openid-configuration"))
    assert metadata["issuer"] == "https://file.example"
    assert metadata["jwks_uri"] == "https://file.example/.well-known/jwks.json"


def test_values_of_the_file_may_be_written_as_yaml_has_them(installation):
    (installation.folder / "settings.yaml").write_text(
        "algorithms: [RS256, ES256]\nrsa-bits: 3072\nallow-plain-http: on\npassword-iterations: 3\n"
        "issuer: \"https://a.example\"\nrotate-every: 0\n")
    settings = shown(installation, "--config", "settings.yaml", settings={"password-memory": "2MiB"})
    assert settings["algorithms"][0].replace(" ", "") == "RS256,ES256"
    assert settings["rsa-bits"][0] == "3072"
    installation.settings = {}
    server = installation.serve("--config", "settings.yaml")
    (modulus,) = [key["n"] for key in server.jwks()["keys"] if key["kty"] == "RSA"]
    assert len(tokens.decode(modulus)) == 384


def test_plain_http_on_another_address_has_to_be_allowed(installation):
    assert "allow-plain-http" in installation.refused(BAD_CONFIGURATION, "serve", settings={"listen": "0.0.0.0:0"})
    for value in ["on", "true"]:
        server = installation.serve("--listen", "0.0.0.0:0", "--allow-plain-http", value)
        port = server.url.rsplit(":", 1)[1]
        assert requests.get(f"http://127.0.0.1:{port}/health/live", timeout=30).status_code == 200
        server.kill()


def test_an_option_as_long_as_an_id_is_still_an_option(installation):
    assert installation.serve("--password-concurrency", "1").stop() == 0


@pytest.mark.parametrize("address", ["localhost:0", "[::1]:0"])
def test_other_names_of_this_machine_are_listened_on(installation, address):
    if address.startswith("["):
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("this machine has no IPv6")
    server = installation.serve("--listen", address)
    assert server.url.startswith("http://" + address.rsplit(":", 1)[0] + ":")
    assert server.get("/health/ready").status_code == 200


def test_an_unknown_variable_is_warned_about_and_does_nothing_else(installation):
    """A Kubernetes Service called token-service sets TOKEN_SERVICE_PORT and more."""
    settings = {
        "PORT": "tcp://10.0.0.1:80", "SERVICE_HOST": "10.0.0.1", "PORT_80_TCP": "tcp://10.0.0.1:80", "ISUER": "x"}
    shown_settings = installation.run("config", "show", settings=settings)
    for name in settings:
        assert f"TOKEN_SERVICE_{name}" in shown_settings.stderr
    server = installation.serve(settings=settings)
    assert server.url.startswith("http://127.0.0.1:")
    assert "TOKEN_SERVICE_ISUER" in server.log


# MARK: Starting and stopping


def test_the_first_start_says_what_it_makes(installation):
    server = installation.serve()
    for kid in server.published_kids():
        assert kid in server.log
    assert "master.secret" in server.log
    assert server.output == [f"listening on {server.url}"]
    assert server.stop() == 0
    again = installation.serve()
    assert "made" not in again.log


def test_a_port_in_use_is_one_clear_line(installation):
    installation.serve().kill()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        completed = installation.run("serve", "--listen", address, check=False)
    assert completed.returncode == FAILED
    assert completed.stdout == b""
    (line,) = completed.stderr.splitlines()
    assert line.startswith("error: ") and address in line and "in use" in line


@pytest.mark.parametrize("database", ["sqlite:none/token-service.sqlite", "sqlite:folder", "sqlite:text"])
@pytest.mark.parametrize("command", [SERVE, ["users", "list"]])
def test_a_database_that_can_t_be_used_is_69(installation, command, database):
    (installation.folder / "folder").mkdir()
    (installation.folder / "text").write_text("not a database, but long enough to be told from one\n" * 100)
    line = installation.refused(UNAVAILABLE, *command, "--database", database)
    assert database.removeprefix("sqlite:") in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_database_that_can_t_be_written_is_69(installation):
    installation.run("users", "list")
    (installation.folder / "token-service.sqlite").chmod(0o400)
    installation.refused(UNAVAILABLE, *SERVE)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(installation):
    installation.add_user("anna")
    with contextlib.closing(sqlite3.connect(installation.folder / "token-service.sqlite")) as connection:
        connection.execute("INSERT INTO schema_migrations (version, name) VALUES (99, 'from the future')")
        connection.commit()
        before = "\n".join(connection.iterdump())
    for command in [SERVE, ["users", "list"], ["users", "disable", "anna"]]:
        assert "newer version" in installation.refused(FAILED, *command)
    with contextlib.closing(sqlite3.connect(installation.folder / "token-service.sqlite")) as connection:
        assert "\n".join(connection.iterdump()) == before


def test_a_second_start_keeps_keys_and_sessions(make_installation):
    installation = make_installation(issuer="https://issuer.example")
    server = installation.serve()
    installation.add_user("anna", "--claim", "premium=true")
    pair = server.log_in("anna")
    keys = server.jwks()
    assert server.stop() == 0
    server = installation.serve()
    assert server.jwks() == keys
    answered(server.get("/auth/me", token=pair["access_token"]))
    assert tokens.claims(server.refresh(pair["refresh_token"])["access_token"])["premium"] is True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_server_at_once(installation, number):
    server = installation.serve()
    # A connection that is kept open without a request holds nothing up.
    with requests.Session() as session:
        session.get(server.url + "/health/live", timeout=30)
        server.process.send_signal(number)
        assert server.process.wait(5) == 0
    assert "error" not in server.log


def test_sigterm_under_load_answers_what_was_asked_and_exits_0(make_installation):
    """Each connection is told by an answer that it closes, whenever the signal comes, and what was acknowledged holds
    after the restart."""
    installation = make_installation(issuer="https://issuer.example", refresh_grace="5m")
    server = installation.serve()
    for number in range(6):
        installation.add_user(f"user-{number}")
    pairs = {number: server.log_in(f"user-{number}") for number in range(6)}
    answers, problems = [], []

    def work(number):
        connection = http.client.HTTPConnection(*server.url.removeprefix("http://").split(":"), timeout=PATIENCE)
        try:
            while True:
                body = json.dumps({"refresh_token": pairs[number]["refresh_token"]})
                connection.request("POST", "/auth/refresh", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                pairs[number] = json.loads(response.read())
                answers.append(response.status)
                if response.getheader("Connection") == "close":
                    return
        except Exception as error:  # looked at below
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    for thread in threads:
        thread.join()
    assert problems == []
    assert set(answers) == {200} and len(answers) > 20
    server = installation.serve()
    for pair in pairs.values():
        server.refresh(pair["refresh_token"])


def test_sigterm_waits_for_slow_log_ins(make_installation):
    installation = make_installation(password_memory="64MiB", password_iterations="4", password_concurrency="2")
    server = installation.serve()
    installation.add_user("anna")

    def stop():
        # All have to be in by then, on a busy machine, too.
        time.sleep(0.4)
        server.process.send_signal(signal.SIGTERM)
        return server.process.wait(PATIENCE)

    status, *answers = at_once(stop, *[lambda: server.log_in("anna")] * 6)
    assert status == 0
    assert all(answer["refresh_token"] for answer in answers)


# MARK: kill -9


def test_what_was_acknowledged_right_before_a_kill_stays(make_installation):
    """A log-in, a log-out, a password change and a refresh that was used up, each followed at once by kill -9."""
    installation = make_installation(issuer="https://issuer.example", algorithms="ES256", refresh_grace="0s")
    password = PASSWORD
    server = installation.serve()
    installation.add_user("anna")
    for number in range(5):
        pair = server.log_in("anna", password)
        server.kill()
        server = installation.serve()
        pair = server.refresh(pair["refresh_token"])

        server.post("/auth/log-out", token=pair["access_token"])
        server.kill()
        server = installation.serve()
        assert server.refuses(pair["refresh_token"])

        other, mine = server.log_in("anna", password), server.log_in("anna", password)
        old, password = password, f"password {number}"
        change = {"current": old, "new": password}
        assert server.post("/auth/password", change, token=mine["access_token"]).status_code == 204
        server.kill()
        server = installation.serve()
        assert server.refuses(other["refresh_token"])
        assert_error(server.post("/auth/log-in", {"username": "anna", "password": old}), 401, "invalid_grant")

        next_pair = server.refresh(mine["refresh_token"])
        server.kill()
        server = installation.serve()
        assert server.refuses(mine["refresh_token"]), "a used token works again"
        assert server.refuses(next_pair["refresh_token"])


# MARK: Secrets


@pytest.mark.parametrize("format", ["json", "text"])
def test_no_log_holds_a_password_a_token_or_a_key(make_installation, tmp_path, format):
    installation = make_installation(log_level="trace", log_format=format, algorithms="ES256", refresh_grace="0s")
    server = installation.serve()
    secrets = {PASSWORD, "wrong-pass-1", "new-pass-2", "set-pass-3", "query-pass-4", "pass-phrase-5", "json-pass-6"}
    said = []

    def command(*arguments, **options):
        completed = installation.run(*arguments, check=False, **options)
        said.append(completed.stderr)
        return completed

    command("users", "add", "anna", "--password-stdin", input=PASSWORD)
    command("users", "add", "bert", "--password-stdin", input="set-pass-3")
    pairs = [server.log_in("anna")]
    pairs.append(server.refresh(pairs[0]["refresh_token"]))
    assert server.refuses(pairs[0]["refresh_token"])
    pairs.append(server.log_in("anna"))
    token = pairs[-1]["access_token"]
    server.post("/auth/log-in", {"username": "anna", "password": "wrong-pass-1"})
    server.post("/auth/log-in", {"username": "wrong-pass-1", "password": "anna"})
    server.post("/auth/password", {"current": PASSWORD, "new": "new-pass-2"}, token=token)
    server.post("/auth/password", {"current": "wrong-pass-1", "new": "new-pass-2"}, token=token)
    server.get(f"/auth/me?access_token={token}&password=query-pass-4", token=tokens.changed(token.split(".")[2]))
    server.get(f"/auth/none/{token}")
    for type, body in [("application/json", '{"password":"json-pass-6"'), ("text/plain", "password=json-pass-6&%")]:
        server.request("POST", "/auth/log-in", data=body, headers={"Content-Type": type})
    server.request("TRACE", "/auth/me", token=token)
    server.post("/auth/refresh", {"refresh_token": tokens.changed(pairs[-1]["refresh_token"])})
    for text in [token, tokens.tampered(token)["another claim"], pairs[-1]["refresh_token"]]:
        command("token", "verify", input=text)
        command("token", "verify", "--jwks", server.url + "/.well-known/jwks.json", "--issuer", server.url, input=text)
    server.post("/auth/log-out-everywhere", {"refresh_token": pairs[-1]["refresh_token"]})
    key = ec.generate_private_key(ec.SECP256R1())
    private = ECKey.import_key(key).as_dict(private=True)
    (tmp_path / "key").write_text(json.dumps(private))
    (tmp_path / "phrase").write_text("pass-phrase-5")
    command("keys", "import", str(tmp_path / "key"))
    command("keys", "import", str(tmp_path / "phrase"), "--passphrase-file", str(tmp_path / "phrase"))
    command("keys", "rotate", "--immediately")
    eventually(lambda: len(server.published_kids()) == 3)
    command("keys", "revoke", "--reason", "test", "--", private["kid"] if "kid" in private else tokens.kid(token))
    (installation.keys / "broken.pem").write_text((tmp_path / "key").read_text())
    eventually(lambda: "broken.pem" in server.log)
    assert server.stop() == 0

    secrets |= {part for pair in pairs for part in [pair["refresh_token"], *pair["access_token"].split(".")[1:]]}
    secrets |= {private["d"], installation.master_secret.read_text().strip()}
    for file in installation.keys.glob("*.pem"):
        secrets |= {line for line in file.read_text().splitlines() if re.fullmatch(r"[A-Za-z0-9+/=]{30,}", line)}
    secrets |= {row[0] for row in installation.query("SELECT password_hash FROM users")}
    everything = server.log + "\n".join(server.output) + "\n".join(said)
    assert len(server.log) > 200
    for secret in secrets:
        assert len(secret) >= 10
        assert secret not in everything, f"{secret[:16]}… is in a log"
        assert base64.b64encode(secret.encode()).decode().rstrip("=") not in everything


def test_log_lines_of_a_request_name_its_trace(installation):
    """The caller's, where it sends one (W3C Trace Context); otherwise one of the request's own."""
    server = installation.serve()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for traceparent in [f"00-{trace}-00f067aa0ba902b7-01", "00-junk", None]:
        headers = {"traceparent": traceparent} if traceparent else {}
        server.post("/auth/log-in", {"username": "nobody", "password": "wrong"}, headers=headers)
    lines = [json.loads(line) for line in server.log.splitlines()]
    first, *others = [line["trace_id"] for line in lines if line.get("event") == "log_in"]
    assert first == trace
    assert len({first, *others}) == 3 and all(re.fullmatch("[0-9a-f]{32}", each) for each in others)
    # What no request asked for has none.
    assert all("trace_id" not in line for line in lines if line.get("event") == "key_made")


def test_a_log_line_is_one_json_object(installation):
    server = installation.serve()
    installation.add_user("anna")
    server.log_in("anna")
    assert server.stop() == 0
    lines = server.log.splitlines()
    assert lines
    for line in lines:
        record = json.loads(line)
        assert {"time", "level", "message"} <= set(record)
        assert record["time"].endswith("Z")


# MARK: jws verify


SIGNED_VECTORS = ["RFC7515-A.2", "RFC7515-A.3", "RFC7520-4.1", "RFC7520-4.2", "RFC7520-4.3", "RFC8037-A"]


@pytest.fixture
def verify_jws(installation, tmp_path):
    """Runs `jws verify` with a JWK or a JWK Set where there is nothing but that, and settings that are of no use."""
    installation.settings = {"issuer": "nonsense", "log-level": "loud"}

    def verify(token, *, jwk=None, jwks=None):
        file = tmp_path / "key.json"
        file.write_text(json.dumps(jwk if jwks is None else jwks))
        option = "--jwk" if jwks is None else "--jwks"
        completed = installation.run("jws", "verify", option, str(file), input=token, check=False)
        assert list(installation.folder.iterdir()) == []
        if completed.returncode == FAILED:
            assert completed.stdout == b""
            assert completed.stderr.startswith("error: ") and completed.stderr.count("\n") == 1
            return None
        assert (completed.returncode, completed.stderr) == (0, "")
        return completed.stdout

    return verify


@pytest.mark.parametrize("name", SIGNED_VECTORS)
def test_a_published_vector_is_valid_byte_for_byte_and_nothing_near_it(verify_jws, name):
    vector = json.loads((VECTORS / f"{name}.json").read_text())
    key, token = vector["jwk"], vector["token"]
    public = {name: value for name, value in key.items() if name not in ["d", "p", "q", "dp", "dq", "qi"]}
    payload = vector["payload"].encode()
    assert tokens.decode(token.split(".")[1]) == payload
    for input in [token, token + "\n", token + "\r\n"]:
        assert verify_jws(input, jwk=public) == payload
    assert verify_jws(token, jwk=key) == payload

    other = ECKey.generate_key("P-256", {"kid": "other"}).as_dict(private=False)
    kid = tokens.header(token).get("kid")
    in_set = public | ({"kid": kid} if kid else {})
    assert verify_jws(token, jwks={"keys": [in_set]}) == payload
    if kid:
        assert verify_jws(token, jwks={"keys": [other, in_set]}) == payload
    assert verify_jws(token, jwks={"keys": [other]}) is None
    assert verify_jws(token, jwks={"keys": []}) is None
    assert verify_jws(token, jwk=other) is None

    first, body, signature = token.split(".")
    spoilt = [
        f"{tokens.changed(first)}.{body}.{signature}", f"{first}.{tokens.changed(body)}.{signature}",
        f"{first}.{body}.{tokens.changed(signature)}", f"{first}.{body}.", f"{first}.{body}", f"{first}..{signature}",
        f"{token}.", f"{token}=", f" {token}", f"{token} ", f"{token}\n\n", f"{token}\n{token}", "", ".", "..", "...",
        f"{first}.{body}\n.{signature}", f"{first}.{body}.{signature[:-4]}",
    ]
    for each in spoilt:
        assert verify_jws(each, jwk=public) is None, each


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize(
    "algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"])
@pytest.mark.parametrize(
    "payload", [b"", bytes(range(256)), b"a\n", b"x" * 1_000_000], ids=["none", "any", "line", "long"])
def test_what_another_library_signed_is_printed_byte_for_byte(verify_jws, algorithm, payload):
    key = key_for(algorithm)
    token = jws.serialize_compact({"alg": algorithm}, payload, key, algorithms=[algorithm])
    assert verify_jws(token, jwk=key.as_dict(private=False)) == payload


KEYS = {}


def key_for(algorithm):
    """A key of the kind, made once."""
    kind = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}.get(algorithm, "RSA")
    if kind not in KEYS:
        generate = {"RSA": lambda: RSAKey.generate_key(2048), "Ed25519": lambda: OKPKey.generate_key("Ed25519")}
        KEYS[kind] = generate.get(kind, lambda: ECKey.generate_key(kind))()
    return KEYS[kind]


@pytest.mark.parametrize(
    "header, members",
    [
        ({"crit": ["exp"], "exp": 1}, {}), ({"b64": False, "crit": ["b64"]}, {}), ({"crit": []}, {}),
        ({}, {"use": "enc"}), ({}, {"key_ops": ["sign"]}), ({}, {"alg": "ES384"}), ({"kid": "a"}, {"kid": "b"}),
    ])
def test_a_header_or_a_key_that_says_otherwise_is_refused(verify_jws, header, members):
    key = key_for("ES256")
    token = signed_by_hand({"alg": "ES256"} | header, b"payload", key)
    plain = signed_by_hand({"alg": "ES256"}, b"payload", key)
    public = key.as_dict(private=False)
    assert verify_jws(plain, jwk=public) == b"payload"
    if header.get("kid"):
        assert verify_jws(token, jwks={"keys": [public | members]}) is None
    else:
        assert verify_jws(token, jwk=public | members) is None


def signed_by_hand(header, payload, key):
    """Signs what a library would refuse to."""
    content = f"{tokens.encode(json.dumps(header).encode())}.{tokens.encode(payload)}"
    r, s = decode_dss_signature(key.private_key.sign(content.encode(), ec.ECDSA(hashes.SHA256())))
    return content + "." + tokens.encode(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def test_a_symmetric_key_verifies_nothing(verify_jws):
    key = OctKey.import_key("k" * 32)
    token = jws.serialize_compact({"alg": "HS256"}, b"payload", key, algorithms=["HS256"])
    assert verify_jws(token, jwk=key.as_dict(private=True)) is None


def test_a_key_file_that_can_t_be_read_is_one_line(installation, tmp_path):
    (tmp_path / "bad").write_text("hello")
    for file in [tmp_path / "none", tmp_path / "bad", tmp_path]:
        for option in ["--jwk", "--jwks"]:
            installation.refused(FAILED, "jws", "verify", option, str(file), input="a.b.c")


# MARK: token


@pytest.fixture(scope="module")
def signed_in(shared_server):
    shared_server.installation.add_user("token-user", "--claim", "premium=true")
    return shared_server, shared_server.log_in("token-user")["access_token"]


def test_inspecting_a_token_shows_what_it_says(signed_in, installation):
    _, token = signed_in
    for text in [token, token + "\n"]:
        shown_token = installation.json("token", "inspect", input=text)
        assert shown_token == {"header": tokens.header(token), "claims": tokens.claims(token)}
    completed = installation.run("token", "inspect", input=tokens.tampered(token)["another claim"])
    assert "not verified" in completed.stderr
    for text in ["", "hello", "a.b.c", token[:-200], "x" * 20_000]:
        installation.refused(FAILED, "token", "inspect", input=text)


def test_verifying_a_token_as_a_microservice_would(signed_in, installation):
    """With the URL of the JWKS it needs nothing of the service's own."""
    server, token = signed_in
    arguments = ["token", "verify", "--jwks", server.url + "/.well-known/jwks.json"]
    completed = installation.run(*arguments, "--issuer", server.url, input=token)
    assert json.loads(completed.stdout) == tokens.claims(token)
    assert completed.stderr == ""
    for spoilt in tokens.tampered(token).values():
        installation.refused(FAILED, *arguments, "--issuer", server.url, input=spoilt)
    installation.refused(FAILED, *arguments, "--issuer", "https://other.example", input=token)
    installation.refused(FAILED, *arguments, "--issuer", server.url, "--audience", "another", input=token)
    assert list(installation.folder.iterdir()) == []


def test_verifying_a_token_with_the_service_s_own_keys(signed_in):
    server, token = signed_in
    arguments = ["token", "verify", "--issuer", server.url]
    completed = server.installation.run(*arguments, input=token)
    assert json.loads(completed.stdout) == tokens.claims(token)
    server.installation.refused(FAILED, *arguments, input=tokens.tampered(token)["another claim"])
    server.installation.refused(FAILED, "token", "verify", input=token)


@pytest.mark.parametrize(
    "url, named",
    [
        ("nonsense", "nonsense"), ("http://issuer.example/jwks", "https"),
        ("http://127.0.0.1:1/jwks", "127.0.0.1:1/jwks"), ("URL/none", "404"), ("URL/health/live", "keys"),
    ])
def test_a_jwks_that_can_t_be_had_is_one_line(signed_in, installation, url, named):
    server, token = signed_in
    completed = installation.run("token", "verify", "--jwks", url.replace("URL", server.url), input=token, check=False)
    assert completed.returncode in [FAILED, UNAVAILABLE]
    assert completed.stdout == b""
    (line,) = completed.stderr.splitlines()
    assert line.startswith("error: ") and named in line


def test_a_token_of_a_revoked_key_is_refused(make_installation):
    installation = make_installation(issuer="https://issuer.example", algorithms="ES256")
    server = installation.serve()
    installation.add_user("anna")
    token = server.log_in("anna")["access_token"]
    assert json.loads(installation.run("token", "verify", input=token).stdout)["iss"] == "https://issuer.example"
    installation.run("keys", "revoke", "--reason", "test", "--", tokens.kid(token))
    installation.refused(FAILED, "token", "verify", input=token)


# MARK: users


def test_users_are_added_shown_changed_and_removed(installation):
    added = installation.add_user(
        "Anna", "--claim", 'plan="gold"', "--claim", "premium=true", "--claim", 'roles=["a", "b"]',
        "--scope", "read", "--scope", "write", "--scope", "read")
    assert set(added) == {"id", "username", "claims", "scope", "created_at", "disabled_at"}
    assert added["username"] == "anna"
    assert added["claims"] == {"plan": "gold", "premium": True, "roles": ["a", "b"]}
    assert (added["scope"], added["disabled_at"]) == ("read write", None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", added["created_at"])
    assert re.fullmatch(r"[A-Za-z0-9_-]{22,}", added["id"])
    assert installation.json("users", "show", "ANNA") == added
    bert = installation.add_user("bert")
    assert installation.json("users", "list") == [added, bert]

    changed = installation.json(
        "users", "set-claims", "anna", "--claim", "premium=null", "--claim", "n=1.5", "--remove", "plan")
    assert changed["claims"] == {"premium": None, "roles": ["a", "b"], "n": 1.5}
    assert installation.json("users", "show", "anna") == changed
    installation.run("users", "disable", "anna")
    disabled_at = installation.json("users", "show", "anna")["disabled_at"]
    assert disabled_at
    installation.run("users", "disable", "anna")
    assert installation.json("users", "show", "anna")["disabled_at"] == disabled_at
    installation.run("users", "enable", "anna")
    assert installation.json("users", "show", "anna")["disabled_at"] is None
    installation.run("users", "remove", "anna")
    assert installation.json("users", "list") == [bert]
    assert "password" not in json.dumps([added, changed]) and "argon2" not in json.dumps([added, changed])


def test_a_user_who_isn_t_there_or_is_there_already_is_one_line(installation):
    installation.add_user("anna")
    for name in ["anna", "ANNA"]:
        installation.refused(FAILED, "users", "add", name, "--password-stdin", input="another")
    for command in ["show", "disable", "enable", "remove"]:
        assert "bert" in installation.refused(FAILED, "users", command, "bert")
    installation.refused(FAILED, "users", "set-password", "bert", "--password-stdin", input="another")
    installation.refused(FAILED, "users", "set-claims", "bert", "--claim", "a=1")
    assert [user["username"] for user in installation.json("users", "list")] == ["anna"]


@pytest.mark.parametrize("password", ["", "\n", "a\n\n", "a\tb", "x" * 1025, b"\xff\xfe"])
def test_a_password_that_can_t_be_one_is_refused(installation, password):
    installation.refused(USAGE, "users", "add", "anna", "--password-stdin", input=password)
    installation.add_user("bert")
    assert [user["username"] for user in installation.json("users", "list")] == ["bert"]


@pytest.mark.parametrize("line_end", ["", "\n", "\r\n"])
def test_one_line_end_is_dropped_from_a_piped_password(shared_server, line_end):
    name = f"piped-{len(line_end)}"
    shared_server.installation.run("users", "add", name, "--password-stdin", input=" päss word " + line_end)
    shared_server.log_in(name, " päss word ")


@pytest.mark.parametrize("name", ["", " ", "two words", "a\tb", "x" * 1025])
def test_a_name_that_can_t_be_one_is_refused(installation, name):
    installation.refused(USAGE, "users", "add", "--password-stdin", "--", name, input=PASSWORD)


def argon2id(password, memory=1024, iterations=1, lanes=1):
    """As another library writes it; the memory in KiB."""
    return Argon2id(
        salt=os.urandom(16), length=32, iterations=iterations, lanes=lanes, memory_cost=memory
    ).derive_phc_encoded(password.encode())


def test_a_hash_of_another_library_logs_in_and_is_made_anew_at_todays_cost(make_installation):
    installation = make_installation(password_memory="4MiB", password_iterations="2")
    server = installation.serve()
    weak, strong = argon2id("weak one"), argon2id("strong one", memory=8192, iterations=3, lanes=2)
    for name, text in [("weak", weak), ("strong", strong)]:
        installation.run("users", "add", name, "--password-hash", text)

    def stored(name):
        return installation.query("SELECT password_hash FROM users WHERE name = ?", name)[0][0]

    for name in ["weak", "strong"]:
        body = {"username": name, "password": "another"}
        assert_error(server.post("/auth/log-in", body), 401, "invalid_grant")
    assert (stored("weak"), stored("strong")) == (weak, strong)
    pair = server.log_in("weak", "weak one")
    server.log_in("strong", "strong one")
    # A stronger one, too: the time of a refusal would tell for ever that there is such a user.
    for name in ["weak", "strong"]:
        assert stored(name).startswith("$argon2id$v=19$m=4096,t=2,p=1$")
    # It is the same password, so the session goes on.
    server.refresh(pair["refresh_token"])
    server.log_in("weak", "weak one")


@pytest.mark.parametrize(
    "text",
    [
        "", "secret", "$argon2i$v=19$m=1024,t=1,p=1$c2FsdHNhbHQ$" + "A" * 43, "$argon2id$v=19$m=1024,t=1,p=1$$",
        "$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=1024,t=999999999,p=1$c2FsdHNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=1024,t=1,p=1$not base 64!$" + "A" * 43,
        "$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHQ$" + "!" * 43, "$2b$10$" + "a" * 53,
    ])
def test_a_hash_that_isn_t_taken_is_refused(installation, text):
    installation.refused(USAGE, "users", "add", "anna", "--password-hash", text)
    installation.add_user("bert")
    assert [user["username"] for user in installation.json("users", "list")] == ["bert"]


def test_claims_have_to_leave_room_in_a_token(installation):
    installation.add_user("anna")
    large = json.dumps("x" * 3000)
    installation.run("users", "set-claims", "anna", "--claim", f"a={large}")
    installation.refused(USAGE, "users", "set-claims", "anna", "--claim", f"b={large}")
    assert set(installation.json("users", "show", "anna")["claims"]) == {"a"}


def test_changes_at_once_lose_nothing(installation):
    """Commands beside each other and a running server: each is done or says that it wasn't."""
    server = installation.serve()
    names = [f"user-{number}" for number in range(8)]
    at_once(*[lambda name=name: installation.add_user(name) for name in names])
    assert [user["username"] for user in installation.json("users", "list")] == names
    at_once(*[lambda name=name: server.log_in(name) for name in names])
    done = at_once(*[
        lambda number=number: installation.run("users", "set-claims", "user-0", "--claim", f"c{number}=1", check=False)
        for number in range(6)
    ])
    claims = installation.json("users", "show", "user-0")["claims"]
    assert {f"c{number}" for number, each in enumerate(done) if each.returncode == 0} == set(claims)


def test_a_table_for_people_is_the_default(installation):
    installation.add_user("anna", "--claim", 'plan="gold"')
    table = installation.run("users", "list").stdout.decode()
    head, row = table.splitlines()
    assert "username" in head and "anna" in row and '{"plan":"gold"}' in row


def test_a_reader_that_goes_away_is_no_crash(installation):
    for number in range(3):
        installation.add_user(f"user-{number}")
    process = installation.popen("users", "list", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(PATIENCE) in [0, FAILED]
    assert b"Fatal" not in process.stderr.read()
    process.stderr.close()
