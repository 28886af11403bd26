"""Users come from another system with the hashes that other programs made, log in, and leave again."""

import base64
import csv
import hashlib
import io
import json
import os
import pty
import re
import subprocess
import threading

import argon2
import bcrypt
import pytest
from service import FAILED, PATIENCE, UNAVAILABLE, USAGE, assert_error, at_once
from tokens import claims


def phc(data):
    return base64.b64encode(data).rstrip(b"=").decode()


def scrypt(password, log_n=10, r=8, p=1):
    salt = os.urandom(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, n=1 << log_n, r=r, p=p, dklen=32)
    return f"$scrypt$ln={log_n},r={r},p={p}${phc(salt)}${phc(digest)}"


def openssl_passwd(scheme):
    def make(password):
        made = subprocess.run(
            ["openssl", "passwd", scheme, "-stdin"], input=password.encode(), capture_output=True, check=True)
        return made.stdout.decode().strip()

    return make


#: What makes the hash of a password, by the program.
MAKERS = {
    "argon2-cffi": argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=2).hash,
    "hashlib.scrypt": scrypt,
    "bcrypt-2a": lambda password: bcrypt.hashpw(password.encode(), bcrypt.gensalt(4, b"2a")).decode(),
    "bcrypt-2b": lambda password: bcrypt.hashpw(password.encode(), bcrypt.gensalt(5)).decode(),
    "openssl-1": openssl_passwd("-1"),
    "openssl-5": openssl_passwd("-5"),
    "openssl-6": openssl_passwd("-6"),
}
#: Not ASCII, and longer than what some old schemes look at.
PASSWORDS = {maker: f"pässword of {maker} \N{SNOWMAN} with a long tail" for maker in MAKERS}


def users():
    """One user of each program, as a file has them."""
    return [
        {
            "username": f"user-of-{maker}".lower(), "password_hash": make(PASSWORDS[maker]),
            "claims": {"made_by": maker, "quotes": '"a", b'}, "scope": "read write", "disabled": maker == "openssl-1",
        }
        for maker, make in sorted(MAKERS.items())
    ]


def as_ndjson(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def as_csv(records):
    """As Python's own writer has it: with CRLF, and quotes where they are needed."""
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(records[0]))
    writer.writeheader()
    for record in records:
        writer.writerow(
            record | {"claims": json.dumps(record["claims"]), "disabled": json.dumps(record["disabled"])})
    return file.getvalue()


def from_csv(text):
    return [
        row | {"claims": json.loads(row["claims"]), "disabled": json.loads(row["disabled"])}
        for row in csv.DictReader(io.StringIO(text, newline=""))
    ]


def exported(installation, *arguments):
    return installation.run("users", "export", *arguments).stdout.decode()


@pytest.mark.parametrize("write", [as_ndjson, as_csv])
def test_users_come_log_in_leave_and_log_in_elsewhere(make_installation, tmp_path, write):
    records = users()
    file = tmp_path / "users"
    file.write_bytes(write(records).encode())
    first, second = make_installation(), make_installation()
    server = first.serve()
    completed = first.run("users", "import", str(file))
    assert completed.stdout.decode() == f"imported {len(records)} users\n"
    assert completed.stderr == ""
    assert [json.loads(line) for line in exported(first).splitlines()] == records
    assert from_csv(exported(first, "--format", "csv")) == records

    def logs_in(server, record):
        maker = record["claims"]["made_by"]
        body = {"username": record["username"], "password": PASSWORDS[maker]}
        assert_error(server.post("/auth/log-in", body | {"password": "another"}), 401, "invalid_grant")
        if record["disabled"]:
            assert_error(server.post("/auth/log-in", body), 401, "invalid_grant")
            return
        token = claims(server.log_in(record["username"], PASSWORDS[maker])["access_token"])
        assert token["made_by"] == maker
        assert token["scope"] == "read write"

    for record in records:
        logs_in(server, record)
    # Who has logged in has today's hash, and takes it along.
    after = [json.loads(line) for line in exported(first).splitlines()]
    for record, left in zip(records, after):
        assert left["password_hash"].startswith("$argon2id$v=19$m=1024,t=1,p=1$") != record["disabled"]
        assert left | {"password_hash": None} == record | {"password_hash": None}
    # From one straight into the other.
    assert second.run("users", "import", "/dev/stdin", input=exported(first)).stdout.decode().startswith("imported ")
    assert exported(second) == exported(first)
    server = second.serve()
    for record in records:
        logs_in(server, record)


def test_a_bad_line_imports_nothing_and_is_named(installation):
    records = users()
    # Those without a comma need no quotes in CSV.
    hashes = [record["password_hash"] for record in records if "," not in record["password_hash"]]
    installation.add_user("bert")
    before, audit = exported(installation), len(installation.json("audit", "list"))

    def refused(text, *words):
        (installation.folder / "users.csv").write_text(text)
        line = installation.refused(FAILED, "users", "import", "users.csv")
        for word in words:
            assert word in line
        assert "nothing was imported" in line
        assert not any(each in line for each in hashes)
        assert exported(installation) == before

    heading = "username,password_hash\n"
    refused(heading + f"anna,{hashes[0]}\n" * 2, "users.csv, line 3", "lines 2 and 3")
    refused(heading + f"anna,{hashes[0]}\nbert,{hashes[1]}\n", "users.csv, line 3", "bert")
    refused(heading + f"anna,{hashes[0]}\nÄNNE,{hashes[1]}x\n", "users.csv, line 3", "password_hash")
    refused(f"name,hash\nanna,{hashes[0]}\n", "users.csv, line 1", "username,password_hash")
    refused(f"{hashes[0]},anna\n", "users.csv, line 1")
    refused("username,password_hash,plan\n", "users.csv, line 1", "plan")
    refused(as_ndjson([records[0] | {"claims": {"sub": "root"}}]), "users.csv, line 1", "sub")
    refused(as_ndjson([records[0], records[1] | {"plan": "gold"}]), "users.csv, line 2", "plan")
    # The exports are recorded, the imports that weren't any aren't.
    events = [record["event"] for record in installation.json("audit", "list")[audit:]]
    assert set(events) == {"users_exported"}


def test_wrong_usage_and_missing_files_say_so(installation, tmp_path):
    assert "there is no database file" in installation.refused(UNAVAILABLE, "users", "export")
    installation.refused(USAGE, "users", "import")
    installation.refused(USAGE, "users", "export", "--format", "xml")
    assert "missing.csv" in installation.refused(FAILED, "users", "import", "missing.csv")
    assert str(tmp_path) in installation.refused(FAILED, "users", "import", str(tmp_path))


def test_the_audit_log_tells_of_transfers(installation):
    (installation.folder / "users.ndjson").write_text(as_ndjson(users()))
    installation.run("users", "import", "users.ndjson")
    text = exported(installation)
    records = installation.json("audit", "list")
    assert [record["event"] for record in records if record["event"].startswith("user")] == [
        "users_imported", "users_exported"]
    assert not any(json.loads(line)["password_hash"] in json.dumps(records) for line in text.splitlines())


def test_an_import_beside_a_running_server_disturbs_nobody(installation):
    server = installation.serve()
    installation.add_user("anna")
    digest = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    rows = "".join(f"user-{number},{digest}\n" for number in range(5000))
    (installation.folder / "users.csv").write_text("username,password_hash\n" + rows)
    at_once(
        lambda: installation.run("users", "import", "users.csv"),
        lambda: [server.log_in("anna") for _ in range(20)])
    server.log_in("user-4999", "secret")


def test_a_terminal_sees_how_far_it_has_got(installation):
    digest = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    rows = "".join(f"user-{number},{digest}\n" for number in range(3000))
    (installation.folder / "users.csv").write_text("username,password_hash\n" + rows)
    controller, terminal = pty.openpty()
    seen = bytearray()

    def watch():
        try:
            while chunk := os.read(controller, 4096):
                seen.extend(chunk)
        except OSError:  # the other side is closed
            pass

    process = installation.popen(
        "users", "import", "users.csv", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate(timeout=PATIENCE)
    watcher.join(PATIENCE)
    os.close(controller)
    assert process.returncode == 0
    assert output == b"imported 3000 users\n"
    text = seen.decode()
    assert re.search(r"checking \[#*\.*\] \d+%", text)
    assert re.search(r"storing \[#{30}\] 100%", text)
    # The line is gone at the end.
    assert text.rstrip("\r").endswith(" ") and text.endswith("\r")
