"""Keys at rest and the commands that change them, with kills, damage, and what openssl and jose make."""

import datetime
import json
import random
import re
import secrets
import signal
import subprocess
import time

import jwt
import pytest
import tokens
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey, KeySet, RSAKey
from service import (
    BAD_CONFIGURATION, FAILED, PATIENCE, QUICK_ROTATION, USAGE, VECTORS, Installation, answered, at_once, eventually)

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def rfc3339(seconds):
    """The time so many seconds from now."""
    instant = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return instant.isoformat().replace("+00:00", "Z")


def instant(text):
    assert TIME.fullmatch(text)
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def signing_kid(server, name="anna"):
    return tokens.kid(server.log_in(name)["access_token"])


@pytest.fixture
def es256(make_installation):
    """An installation with ES256 only, where making a key costs nothing."""
    return make_installation(algorithms="ES256")


# MARK: kill -9


def test_200_rotations_killed_at_random_moments_lose_no_acknowledged_key(es256):
    """The moments span the whole run of the command; a server starts on what is left, logs in and signs."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    acknowledged, finished, killed = set(), 0, 0
    for number in range(200):
        began = time.monotonic()
        process = es256.popen(
            "keys", "rotate", "--format", "json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if number % 20 == 0:
            # The more keys, the longer it takes.
            process.wait(PATIENCE)
            span = 1.3 * (time.monotonic() - began)
        else:
            time.sleep(rng.uniform(0, span))
            process.kill()
        output, errors = process.communicate(timeout=PATIENCE)
        assert b"warning" not in errors and b"error" not in errors, f"seed {seed}"
        if output.endswith(b"\n"):
            acknowledged |= {key["kid"] for key in json.loads(output)}
        if process.returncode == 0:
            finished += 1
        else:
            assert process.returncode == -signal.SIGKILL
            killed += 1
    assert killed >= 20 and finished >= 20, f"the moments don't span the run: {killed} killed, {finished} finished"

    listed = es256.listed_keys()
    assert acknowledged <= {key["kid"] for key in listed}, f"seed {seed}"
    assert [key["state"] for key in listed].count("active") == 1
    server = es256.serve()
    es256.add_user("anna")
    pair = server.log_in("anna")
    assert tokens.kid(pair["access_token"]) in server.published_kids()
    assert acknowledged <= server.published_kids()
    answered(server.get("/auth/me", token=pair["access_token"]))
    assert "error" not in server.log
    assert [path.name for path in es256.keys.iterdir() if path.name.startswith(".unfinished")] == []


def test_a_first_start_killed_at_a_random_moment_is_finished_by_the_next(make_installation):
    """Thirty times, some of them killed again: both algorithms are active in the end, and sign at once."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    began = time.monotonic()
    make_installation().serve().kill()
    # Looking for primes takes now less, now more.
    span = min(1.0, 1.2 * (time.monotonic() - began))
    for attempt in range(30):
        installation = make_installation()
        for _ in range(rng.choice([1, 1, 2])):
            process = installation.popen(
                "serve", "--listen", "127.0.0.1:0", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0, span))
            process.kill()
            process.wait(PATIENCE)
        server = installation.serve()
        states = [(key["algorithm"], key["state"]) for key in installation.listed_keys()]
        message = f"seed {seed}, attempt {attempt}: {states}"
        assert sorted(states) == [("ES256", "active"), ("RS256", "active")], message
        installation.add_user("anna")
        token = server.log_in("anna")["access_token"]
        assert tokens.header(token)["alg"] == "ES256"
        answered(server.get("/auth/me", token=token))
        server.kill()


def test_a_killed_revocation_leaves_a_key_that_signs(es256):
    """The replacement is stored first, so there is an active key whatever the moment was; a revocation that was
    acknowledged stays."""
    rng = random.Random()
    es256.run("keys", "rotate")
    began = time.monotonic()
    es256.run("keys", "list")
    span = 2 * (time.monotonic() - began)
    for _ in range(20):
        (active,) = [key["kid"] for key in es256.listed_keys() if key["state"] == "active"]
        process = es256.popen(
            "keys", "revoke", "--reason", "test", "--", active, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, span))
        process.kill()
        status = process.wait(PATIENCE)
        assert [key["state"] for key in es256.listed_keys()].count("active") == 1
        if status == 0:
            assert es256.state(active) == "revoked"


# MARK: Rotation


def test_eight_rotations_at_once_are_well_ordered(installation):
    server = installation.serve()
    installation.add_user("anna")
    first = {key["algorithm"]: key["kid"] for key in installation.listed_keys()}
    processes = [
        installation.popen("keys", "rotate", "--format", "json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(8)]
    announced = {}
    for process in processes:
        output, errors = process.communicate(timeout=PATIENCE)
        assert (process.returncode, errors) == (0, b"")
        for key in json.loads(output):
            if key["state"] == "pending" and key["retires_at"] is None:
                announced[key["kid"]] = key["activates_at"]
    assert len(announced) == 16

    listed = installation.listed_keys()
    assert len(listed) == 18
    assert {kid: key["activates_at"] for key in listed if (kid := key["kid"]) in announced} == announced
    for algorithm in ["ES256", "RS256"]:
        reign = sorted(
            (key for key in listed if key["algorithm"] == algorithm), key=lambda key: instant(key["activates_at"]))
        assert len({key["activates_at"] for key in reign}) == 9
        assert (reign[0]["kid"], reign[0]["state"]) == (first[algorithm], "active")
        assert {key["state"] for key in reign[1:]} == {"pending"}
        for earlier, later in zip(reign, reign[1:]):
            assert earlier["retires_at"] == later["activates_at"]
        assert reign[-1]["retires_at"] is None
    eventually(lambda: server.published_kids() == {key["kid"] for key in listed}, within=2)
    assert signing_kid(server) == first["ES256"]


def test_rotation_prints_both_keys_and_when_each_changes(es256):
    es256.run("keys", "rotate")
    (old,) = es256.listed_keys()
    printed = {key["state"]: key for key in es256.json("keys", "rotate")}
    assert set(printed) == {"active", "pending"}
    assert printed["active"]["kid"] == old["kid"]
    assert printed["active"]["retires_at"] == printed["pending"]["activates_at"]
    ahead = instant(printed["pending"]["activates_at"]) - instant(printed["pending"]["created_at"])
    assert ahead == datetime.timedelta(hours=1)
    # 10 min of lifetime, 30 s of leeway.
    after = instant(printed["active"]["expires_at"]) - instant(printed["active"]["retires_at"])
    assert after == datetime.timedelta(minutes=10, seconds=30)
    assert set(printed["active"]) == {
        "kid", "algorithm", "state", "created_at", "activates_at", "retires_at", "expires_at", "revoked_at"}
    assert [key["kid"] for key in es256.listed_keys()] == [printed["pending"]["kid"], old["kid"]], "newest first"


def test_a_dry_run_prints_the_timeline_and_changes_nothing(installation):
    installation.run("keys", "rotate")
    before = installation.snapshot()
    imagined = installation.json("keys", "rotate", "--dry-run")
    assert installation.snapshot() == before
    real = installation.json("keys", "rotate")
    assert [key["kid"] is None for key in imagined] == [key["state"] == "pending" for key in imagined]

    def shape(keys):
        return sorted((key["algorithm"], key["state"], key["retires_at"] is None) for key in keys)

    assert shape(imagined) == shape(real)
    seconds = [
        abs((instant(one["activates_at"]) - instant(two["activates_at"])).total_seconds())
        for one, two in zip(sorted_by_algorithm(imagined), sorted_by_algorithm(real))]
    assert max(seconds) < 30


def sorted_by_algorithm(keys):
    return sorted((key for key in keys if key["state"] == "pending"), key=lambda key: key["algorithm"])


def test_rotating_immediately_signs_within_two_seconds_and_says_what_it_costs(installation):
    server = installation.serve()
    installation.add_user("anna")
    old = server.log_in("anna")["access_token"]
    rotated = installation.run("keys", "rotate", "--algorithm", "ES256", "--immediately", "--format", "json")
    assert "jwks-max-age" in rotated.stderr
    new = next(key["kid"] for key in json.loads(rotated.stdout) if key["state"] == "active")
    eventually(lambda: signing_kid(server) == new, within=2)
    assert {tokens.kid(old), new} <= server.published_kids()
    answered(server.get("/auth/me", token=old))


def test_rotating_an_algorithm_that_doesn_t_exist_or_isn_t_configured_is_refused(es256):
    es256.run("keys", "rotate")
    before = es256.snapshot()
    for name in ["ES257", "HS256", "none", "es256", ""]:
        es256.refused(USAGE, "keys", "rotate", "--algorithm", name)
    assert "algorithms" in es256.refused(FAILED, "keys", "rotate", "--algorithm", "RS256")
    assert es256.snapshot() == before


def test_two_servers_on_one_folder_agree(es256):
    es256.settings |= QUICK_ROTATION
    servers = [es256.serve(), es256.serve()]
    es256.add_user("anna")
    first = {signing_kid(server) for server in servers}
    assert len(first) == 1
    es256.run("keys", "rotate")
    eventually(lambda: {signing_kid(server) for server in servers} & first == set())
    assert len({signing_kid(server) for server in servers}) == 1
    assert servers[0].published_kids() == servers[1].published_kids()


def test_an_algorithm_added_later_starts_pending_and_a_removed_one_retires(make_installation):
    installation = make_installation(algorithms="ES256", issuer="https://issuer.example", **QUICK_ROTATION)
    server = installation.serve()
    installation.add_user("anna")
    old = server.log_in("anna")["access_token"]
    assert server.stop() == 0

    server = installation.serve(settings={"algorithms": "RS256"})
    assert tokens.header(server.log_in("anna")["access_token"])["alg"] == "ES256"
    listed = installation.json("keys", "list", settings={"algorithms": "RS256"})
    assert {key["algorithm"]: key["state"] for key in listed} == {"ES256": "active", "RS256": "pending"}
    eventually(lambda: tokens.header(server.log_in("anna")["access_token"])["alg"] == "RS256")
    assert tokens.kid(old) in server.published_kids()
    answered(server.get("/auth/me", token=old))


# MARK: Files


def test_openssl_opens_a_key_with_the_master_secret(installation):
    installation.serve().kill()
    kids = [key["kid"] for key in installation.listed_keys()]
    assert len(kids) == 2
    for kid in kids:
        subprocess.run(
            ["openssl", "pkey", "-in", f"keys/{kid}.pem", "-passin", "file:master.secret", "-noout"],
            cwd=installation.folder, check=True, timeout=30)
        wrong = subprocess.run(
            ["openssl", "pkey", "-in", f"keys/{kid}.pem", "-passin", "pass:" + "0" * 64, "-noout"],
            cwd=installation.folder, capture_output=True, timeout=30)
        assert wrong.returncode != 0
        assert "BEGIN ENCRYPTED PRIVATE KEY" in (installation.keys / f"{kid}.pem").read_text()


def test_nobody_else_reads_the_files_whatever_the_umask(installation):
    def modes():
        return {path.name: path.stat().st_mode & 0o777 for path in installation.folder.rglob("*")}

    installation.keys.mkdir(mode=0o755)
    installation.keys.chmod(0o755)
    (installation.keys / "README.md").write_text("a file that isn't a key")
    installation.run("users", "add", "anna", "--password-stdin", input="a password", umask=0)
    installation.run("keys", "rotate", umask=0)
    found = modes()
    assert found.pop("keys") == 0o700
    found.pop("README.md")
    assert "master.secret" in found and "token-service.sqlite" in found
    assert set(found.values()) == {0o600}, found
    assert len(re.findall(r"^[0-9a-f]{64}\n$", installation.master_secret.read_text())) == 1


def test_a_new_first_line_in_the_master_secret_opens_keys_and_refreshes_sessions(make_installation):
    """Until `keys reencrypt` the old line is needed second; after it the keys need it no more, and only sessions that
    weren't refreshed since are lost without it."""
    installation = make_installation(issuer="https://issuer.example")
    server = installation.serve()
    for name in ["anna", "bert"]:
        installation.add_user(name)
    before, idle = server.log_in("anna"), server.log_in("bert")
    assert server.stop() == 0
    old, new = installation.master_secret.read_text().strip(), secrets.token_hex(32)
    kids = {key["kid"] for key in installation.listed_keys()}

    installation.master_secret.write_text(f"{new}\n{old}\n")
    assert {key["kid"] for key in installation.listed_keys()} == kids
    server = installation.serve()
    assert server.published_kids() == kids
    answered(server.get("/auth/me", token=before["access_token"]))
    after = server.refresh(before["refresh_token"])
    assert server.stop() == 0

    # Without the old line nothing opens yet, and nothing is spoilt by trying.
    installation.master_secret.write_text(f"{new}\n")
    snapshot = installation.snapshot()
    assert "master-secret-file" in installation.refused(BAD_CONFIGURATION, "serve", "--listen", "127.0.0.1:0")
    assert {name: value for name, value in installation.snapshot().items() if name.startswith("keys/")} == {
        name: value for name, value in snapshot.items() if name.startswith("keys/")}

    installation.master_secret.write_text(f"{new}\n{old}\n")
    installation.run("keys", "reencrypt")
    installation.master_secret.write_text(f"{new}\n")
    server = installation.serve()
    assert server.published_kids() == kids
    for kid in kids:
        subprocess.run(
            ["openssl", "pkey", "-in", f"keys/{kid}.pem", "-passin", "file:master.secret", "-noout"],
            cwd=installation.folder, check=True, timeout=30)
    assert server.refuses(idle["refresh_token"])
    server.refresh(after["refresh_token"])
    assert tokens.kid(server.log_in("anna")["access_token"]) in kids


BAD_SECRETS = {
    "is missing": None, "is empty": "", "is an empty line": "\n", "is short": "0" * 31 + "\n",
    "has a short second line": "0" * 64 + "\nshort\n", "isn't text": "\xff\xfe" * 40, "is another one": "0" * 64 + "\n",
}


@pytest.mark.parametrize("what", BAD_SECRETS)
@pytest.mark.parametrize(
    "command", ["serve --listen 127.0.0.1:0", "keys rotate", "keys list", "keys export KID", "keys reencrypt"])
def test_a_master_secret_that_doesn_t_fit_stops_the_start_and_makes_nothing(es256, command, what):
    (key,) = es256.json("keys", "rotate")
    if BAD_SECRETS[what] is None:
        es256.master_secret.unlink()
    else:
        es256.master_secret.write_text(BAD_SECRETS[what], encoding="latin-1")
    before = es256.snapshot()
    arguments = [key["kid"] if each == "KID" else each for each in command.split()]
    if command.startswith("keys export"):
        arguments.insert(-1, "--")
    assert "master" in es256.refused(BAD_CONFIGURATION, *arguments)
    assert es256.snapshot() == before


DAMAGES = {
    "has half a record": lambda data: data[:200], "has half a private key": lambda data: data[:-100],
    "is empty": lambda data: b"",
    "has a changed record": lambda data: data.replace(b'"created_at":1', b'"created_at":2'),
    "isn't a key at all": lambda data: b"hello\n",
}


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("algorithm, other", [("ES256", "RS256"), ("RS256", "ES256")])
def test_a_damaged_key_file_is_named_and_the_others_sign(installation, algorithm, other, how):
    server = installation.serve()
    installation.add_user("anna")
    kids = {key["algorithm"]: key["kid"] for key in installation.listed_keys()}
    file = installation.keys / f"{kids[algorithm]}.pem"
    whole = file.read_bytes()
    file.write_bytes(DAMAGES[how](whole))
    assert file.read_bytes() != whole

    listed = installation.run("keys", "list", "--format", "json")
    assert file.name in listed.stderr
    assert kids[other] in {key["kid"] for key in json.loads(listed.stdout)}

    # The server that runs names it, too, and goes on.
    eventually(lambda: file.name in server.log, within=5)
    assert tokens.kid(server.log_in("anna")["access_token"]) in server.published_kids()
    server.kill()
    server = installation.serve()
    assert file.name in server.log
    token = server.log_in("anna")["access_token"]
    assert tokens.kid(token) == kids[other]
    answered(server.get("/auth/me", token=token))
    server.kill()

    # Once it is mended it is there again.
    file.write_bytes(whole)
    assert kids[algorithm] in {key["kid"] for key in installation.listed_keys()}


# MARK: Import


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


P256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]


def make_key_file(folder, form):
    """Makes a key as a team would have it; gives the file, its algorithm, and further arguments of the import."""
    if form == "PKCS#8 of P-256":
        openssl(folder, "genpkey", *P256, "-out", "key")
        return "ES256", []
    if form == "PKCS#8 of RSA":
        openssl(folder, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072", "-out", "key")
        return "RS256", []
    if form == "encrypted PKCS#8":
        (folder / "phrase").write_text("a pass phrase\n")
        openssl(folder, "genpkey", *P256, "-aes-256-cbc", "-pass", "file:phrase", "-out", "key")
        return "ES256", ["--passphrase-file", "phrase"]
    if form == "PKCS#1":
        openssl(folder, "genrsa", "-traditional", "-out", "key", "2048")
        return "RS256", []
    if form == "encrypted PKCS#1":
        (folder / "phrase").write_text("a pass phrase")
        openssl(folder, "genrsa", "-traditional", "-aes128", "-passout", "file:phrase", "-out", "key", "2048")
        return "RS256", ["--passphrase-file", "phrase"]
    if form == "SEC1":
        openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key")
        return "ES256", []
    if form == "SEC1 with its parameters":
        openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-out", "key")
        return "ES256", []
    algorithm = form.removeprefix("JWK of ")
    subprocess.run(
        ["jose", "jwk", "gen", "-i", json.dumps({"alg": algorithm}), "-o", "key"], cwd=folder, check=True, timeout=60)
    return algorithm, []


def thumbprint_of_key_file(folder, arguments):
    """As joserfc computes it."""
    text = (folder / "key").read_bytes()
    if text.lstrip().startswith(b"{"):
        return next(iter(KeySet.import_key_set({"keys": [json.loads(text)]}).keys)).thumbprint()
    password = (folder / "phrase").read_bytes().strip() if arguments else None
    block = re.search(b"-----BEGIN [A-Z ]*PRIVATE KEY-----.*", text, re.DOTALL)[0]
    key = serialization.load_pem_private_key(block, password)
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    kind = ECKey if isinstance(key, ec.EllipticCurvePrivateKey) else RSAKey
    return kind.import_key(pem).thumbprint()


FORMS = [
    "PKCS#8 of P-256", "PKCS#8 of RSA", "encrypted PKCS#8", "PKCS#1", "encrypted PKCS#1", "SEC1",
    "SEC1 with its parameters", "JWK of ES256", "JWK of RS256",
]


@pytest.fixture(scope="module")
def import_server(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("import"))
    yield installation.serve()
    installation.close()


@pytest.mark.parametrize("form", FORMS)
def test_imports_a_private_key(import_server, tmp_path, form):
    installation = import_server.installation
    algorithm, arguments = make_key_file(tmp_path, form)
    arguments = [str(tmp_path / each) if each == "phrase" else each for each in arguments]
    imported = installation.json("keys", "import", str(tmp_path / "key"), *arguments)
    (key,) = [key for key in imported if key["kid"] == thumbprint_of_key_file(tmp_path, arguments)]
    assert (key["algorithm"], key["state"]) == (algorithm, "pending")
    ahead = instant(key["activates_at"]) - instant(key["created_at"])
    assert abs(ahead - datetime.timedelta(hours=1)) < datetime.timedelta(seconds=1)
    eventually(lambda: key["kid"] in import_server.published_kids(), within=2)
    rested = (installation.keys / f"{key['kid']}.pem").read_text()
    assert "BEGIN ENCRYPTED PRIVATE KEY" in rested
    assert "already" in installation.refused(FAILED, "keys", "import", str(tmp_path / "key"), *arguments)


def test_an_imported_key_signs_when_its_time_has_come(make_installation, tmp_path):
    installation = make_installation(**QUICK_ROTATION)
    server = installation.serve()
    installation.add_user("anna")
    make_key_file(tmp_path, "SEC1")
    at = rfc3339(3.5)
    imported = installation.json("keys", "import", str(tmp_path / "key"), "--activate-at", at)
    kid = thumbprint_of_key_file(tmp_path, [])
    (key,) = [key for key in imported if key["kid"] == kid]
    assert abs(instant(key["activates_at"]) - instant(at)) < datetime.timedelta(milliseconds=1)
    assert signing_kid(server) != kid
    eventually(lambda: signing_kid(server) == kid, within=6)
    token = server.log_in("anna")["access_token"]
    assert jwt.decode(
        token, jwt.PyJWKClient(server.url + "/.well-known/jwks.json").get_signing_key_from_jwt(token),
        algorithms=["ES256"], audience=server.url)


@pytest.mark.parametrize(
    "at, status", [(60, FAILED), (-60, FAILED), ("tomorrow", USAGE), ("2026-13-01T00:00:00Z", USAGE)])
def test_an_instant_that_verifiers_may_miss_is_refused(import_server, tmp_path, at, status):
    """The default settings ask for jwks-max-age and twice the leeway: 6 minutes."""
    make_key_file(tmp_path, "SEC1")
    text = rfc3339(at) if isinstance(at, int) else at
    before = import_server.installation.listed_keys()
    line = import_server.installation.refused(status, "keys", "import", str(tmp_path / "key"), "--activate-at", text)
    assert "--activate-at" in line
    assert import_server.installation.listed_keys() == before


@pytest.mark.parametrize(
    "arguments, named",
    [([], "pass"), (["--passphrase-file", "wrong"], "pass"), (["--passphrase-file", "missing"], "missing")])
def test_an_encrypted_key_needs_its_pass_phrase(import_server, tmp_path, arguments, named):
    make_key_file(tmp_path, "encrypted PKCS#8")
    (tmp_path / "wrong").write_text("another one\n")
    arguments = [str(tmp_path / each) if each in ["wrong", "missing"] else each for each in arguments]
    line = import_server.installation.refused(FAILED, "keys", "import", str(tmp_path / "key"), *arguments)
    assert named in line.lower()


def write_refused_key(folder, what):
    file = folder / "key"
    if what == "RSA of 1024 bits":
        openssl(folder, "genrsa", "-out", "key", "1024")
    elif what == "RSA of 1024 bits as a JWK":
        pem = (VECTORS / "RefusedKeys" / "rsa-1024-private.pem").read_bytes()
        numbers = serialization.load_pem_private_key(pem, None).private_numbers()
        values = {
            "n": numbers.public_numbers.n, "e": numbers.public_numbers.e, "d": numbers.d, "p": numbers.p,
            "q": numbers.q, "dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
        members = {
            name: tokens.encode(value.to_bytes((value.bit_length() + 7) // 8, "big")) for name, value in values.items()}
        file.write_text(json.dumps({"kty": "RSA"} | members))
    elif what == "secp256k1":
        openssl(folder, "ecparam", "-name", "secp256k1", "-genkey", "-noout", "-out", "key")
    elif what == "P-384":
        openssl(folder, "ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "key")
    elif what == "Ed25519":
        openssl(folder, "genpkey", "-algorithm", "ED25519", "-out", "key")
    elif what == "a symmetric JWK":
        subprocess.run(["jose", "jwk", "gen", "-i", '{"alg":"HS256"}', "-o", "key"], cwd=folder, check=True)
    elif what == "a public key":
        make_key_file(folder, "SEC1")
        openssl(folder, "ec", "-in", "key", "-pubout", "-out", "key")
    elif what == "a JWK whose halves don't match":
        keys = [ECKey.generate_key("P-256").as_dict(private=True) for _ in range(2)]
        file.write_text(json.dumps(keys[0] | {"d": keys[1]["d"]}))
    elif what == "a JWK Set":
        file.write_text(json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=True)]}))
    elif what == "an empty file":
        file.write_text("")
    elif what == "a text":
        file.write_text("hello\n")
    elif what.endswith(".pem"):
        file.write_bytes((VECTORS / "RefusedKeys" / what).read_bytes())


@pytest.mark.parametrize(
    "what",
    [
        "RSA of 1024 bits", "RSA of 1024 bits as a JWK", "secp256k1", "P-384", "Ed25519", "a symmetric JWK",
        "a public key", "a JWK whose halves don't match", "a JWK Set", "an empty file", "a text", "no file",
        "rsa-exponent-3-private.pem", "p256-explicit-private.pem", "dsa-private.pem", "certificate.pem",
    ])
def test_a_key_that_isn_t_taken_is_refused_in_one_line(import_server, tmp_path, what):
    write_refused_key(tmp_path, what)
    before = import_server.installation.snapshot()
    import_server.installation.refused(FAILED, "keys", "import", str(tmp_path / "key"))
    assert {name for name in import_server.installation.snapshot() if "keys/" in name} == {
        name for name in before if "keys/" in name}


def test_a_key_that_was_once_revoked_is_refused_for_ever(es256, tmp_path):
    es256.run("keys", "rotate")
    make_key_file(tmp_path, "SEC1")
    kid = thumbprint_of_key_file(tmp_path, [])
    es256.run("keys", "import", str(tmp_path / "key"))
    es256.run("keys", "revoke", "--reason", "it was in a ticket", "--", kid)
    assert es256.state(kid) == "revoked"
    es256.run("keys", "prune")
    openssl(tmp_path, "pkey", "-in", "key", "-pubout", "-out", "public")
    for arguments in [["key"], ["public", "--verify-only", "--until", rfc3339(3600)]]:
        line = es256.refused(FAILED, "keys", "import", str(tmp_path / arguments[0]), *arguments[1:])
        assert "revoked" in line
    assert es256.state(kid) == "revoked"


# MARK: Keys of another system


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_public_key_of_another_system_is_published_until_its_tokens_have_expired(make_installation, tmp_path, form):
    installation = make_installation(**QUICK_ROTATION)
    server = installation.serve()
    private_key = ec.generate_private_key(ec.SECP256R1())
    public_pem = private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public = ECKey.import_key(public_pem).as_dict(private=False)
    file = tmp_path / "key"
    file.write_bytes(public_pem if form == "pem" else json.dumps(public).encode())
    token = jwt.encode({"sub": "anna"}, private_key, algorithm="ES256", headers={"kid": "legacy/1"})

    until = rfc3339(4)
    (record,) = installation.json(
        "keys", "import", str(file), "--verify-only", "--kid", "legacy/1", "--until", until)
    assert (record["kid"], record["algorithm"], record["activates_at"]) == ("legacy/1", "ES256", None)
    assert abs(instant(record["expires_at"]) - instant(until)) < datetime.timedelta(milliseconds=1)
    eventually(lambda: "legacy/1" in server.published_kids(), within=2)
    member = next(key for key in server.jwks()["keys"] if key["kid"] == "legacy/1")
    assert (member["x"], member["y"], member["alg"], member["use"]) == (public["x"], public["y"], "ES256", "sig")
    key = jwt.PyJWKClient(server.url + "/.well-known/jwks.json").get_signing_key_from_jwt(token)
    assert jwt.decode(token, key, algorithms=["ES256"]) == {"sub": "anna"}
    # It verifies signatures, but nobody else's token is a token of this service.
    assert server.get("/auth/me", token=token).status_code == 401

    eventually(lambda: "legacy/1" not in server.published_kids(), within=6)
    installation.run("keys", "prune")
    assert "legacy/1" not in {key["kid"] for key in installation.listed_keys()}


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["--verify-only"], USAGE), (["--verify-only", "--until", "soon"], USAGE),
        (["--verify-only", "--until", "2020-01-01T00:00:00Z"], FAILED), (["--kid", "legacy"], USAGE),
        (["--until", "2099-01-01T00:00:00Z"], USAGE),
        (["--verify-only", "--until", "2099-01-01T00:00:00Z", "--kid", ""], USAGE),
        (["--verify-only", "--until", "2099-01-01T00:00:00Z", "--activate-at", "2098-01-01T00:00:00Z"], USAGE),
    ])
def test_a_key_of_another_system_needs_its_end(import_server, tmp_path, arguments, status):
    write_refused_key(tmp_path, "a public key")
    before = import_server.installation.listed_keys()
    import_server.installation.refused(status, "keys", "import", str(tmp_path / "key"), *arguments)
    assert import_server.installation.listed_keys() == before


def test_a_kid_that_another_key_has_is_refused(es256, tmp_path):
    (own,) = es256.json("keys", "rotate")
    write_refused_key(tmp_path, "a public key")
    es256.refused(
        FAILED, "keys", "import", str(tmp_path / "key"), "--verify-only", "--until", rfc3339(60), f"--kid={own['kid']}")


# MARK: Revocation


def test_a_revoked_key_leaves_the_jwks_and_its_replacement_signs_within_two_seconds(installation):
    server = installation.serve()
    installation.add_user("anna")
    pair = server.log_in("anna")
    old = tokens.kid(pair["access_token"])
    revoked = installation.run("keys", "revoke", "--reason", "found in a log", "--format", "json", "--", old)
    began = time.monotonic()
    records = {key["kid"]: key for key in json.loads(revoked.stdout)}
    assert "jwks-max-age" in revoked.stderr
    assert records[old]["state"] == "revoked" and records[old]["revoked_at"]
    (new,) = [key["kid"] for key in records.values() if key["state"] == "active"]

    eventually(lambda: old not in server.published_kids() and new in server.published_kids(), within=2)
    again = server.log_in("anna")
    assert time.monotonic() - began < 2.5
    assert tokens.kid(again["access_token"]) == new
    answered(server.get("/auth/me", token=again["access_token"]))
    assert server.get("/auth/me", token=pair["access_token"]).status_code == 401
    # The session outlives the key.
    assert tokens.kid(server.refresh(pair["refresh_token"])["access_token"]) == new

    # Nothing brings it back.
    installation.run("keys", "rotate", "--immediately")
    installation.run("keys", "prune")
    assert server.stop() == 0
    server = installation.serve()
    assert old not in server.published_kids()
    assert installation.state(old) == "revoked"


def test_revoking_every_key_one_after_the_other_leaves_one_that_signs(es256):
    server = es256.serve()
    es256.add_user("anna")
    es256.run("keys", "rotate")
    for _ in range(4):
        for key in es256.listed_keys():
            if key["state"] in ["active", "pending", "retired"]:
                es256.run("keys", "revoke", "--reason", "all of them", "--", key["kid"])
    kept = {key["kid"] for key in es256.listed_keys() if key["state"] == "active"}
    assert len(kept) == 1
    eventually(lambda: {signing_kid(server)} == kept, within=2)


def test_a_revocation_needs_a_key_and_a_reason(es256):
    (key,) = es256.json("keys", "rotate")
    before = es256.snapshot()
    assert "keys list" in es256.refused(FAILED, "keys", "revoke", "A" * 43, "--reason", "test")
    es256.refused(USAGE, "keys", "revoke", "--", key["kid"])
    es256.refused(USAGE, "keys", "revoke", "--reason", "test")
    assert es256.snapshot() == before
    es256.run("keys", "revoke", "--reason", "test", "--", key["kid"])
    again = es256.run("keys", "revoke", "--reason", "test", "--format", "json", "--", key["kid"])
    assert [each["state"] for each in json.loads(again.stdout)] == ["revoked"]
    assert len(es256.listed_keys()) == 2


@pytest.mark.parametrize("start", ["-", "-h"])
def test_a_kid_that_starts_with_a_hyphen_can_be_pasted_like_any_other(es256, tmp_path, start):
    """One kid in 64 does: base64url has that letter. With an h after it, it looks like a call for help."""
    es256.run("keys", "rotate")
    while not (key := ECKey.generate_key("P-256")).thumbprint().startswith(start):
        pass
    (tmp_path / "key").write_text(json.dumps(key.as_dict(private=True)))
    es256.run("keys", "import", str(tmp_path / "key"))
    kid = key.thumbprint()
    assert json.loads(es256.run("keys", "export", kid).stdout)["kid"] == kid
    es256.run("keys", "revoke", kid, "--reason", "test")
    assert es256.state(kid) == "revoked"


# MARK: Export and prune


def test_an_export_is_the_member_of_the_jwks(shared_server):
    for member in shared_server.jwks()["keys"]:
        exported = shared_server.installation.run("keys", "export", "--", member["kid"]).stdout
        assert json.loads(exported) == member
        pem = shared_server.installation.run("keys", "export", "--format", "pem", "--", member["kid"]).stdout
        assert pem.startswith(b"-----BEGIN PUBLIC KEY-----\n")
        public = serialization.load_pem_public_key(pem).public_numbers()
        number = {name: int.from_bytes(tokens.decode(member[name]), "big") for name in "xyne" if name in member}
        assert {name: getattr(public, name) for name in number} == number
    shared_server.installation.refused(FAILED, "keys", "export", "A" * 43)
    shared_server.installation.refused(USAGE, "keys", "export", "A" * 43, "--format", "der")


def test_pruning_erases_what_can_t_sign_and_forgets_what_has_expired(make_installation, tmp_path):
    installation = make_installation(algorithms="ES256", **QUICK_ROTATION)
    server = installation.serve()
    installation.add_user("anna")
    first = server.log_in("anna")
    write_refused_key(tmp_path, "a public key")
    installation.run(
        "keys", "import", str(tmp_path / "key"), "--verify-only", "--kid", "legacy", "--until", rfc3339(1))
    installation.run("keys", "rotate", "--immediately")
    eventually(lambda: signing_kid(server) != tokens.kid(first["access_token"]), within=2)
    active = signing_kid(server)
    installation.run("keys", "revoke", "--reason", "test", "--", active)
    time.sleep(1.5)
    assert b"erased 2 private halves, forgot 1 keys" in installation.run("keys", "prune").stdout

    retired, revoked = tokens.kid(first["access_token"]), active
    for kid in [retired, revoked]:
        text = (installation.keys / f"{kid}.pem").read_text()
        assert "PRIVATE KEY" not in text and "BEGIN PUBLIC KEY" in text
    states = {key["kid"]: key["state"] for key in installation.listed_keys()}
    assert states.pop(retired) == "retired"
    assert states.pop(revoked) == "revoked"
    assert list(states.values()) == ["active"]
    # What was signed stays good.
    assert retired in server.published_kids()
    answered(server.get("/auth/me", token=first["access_token"]))
    assert b"erased 0 private halves, forgot 0 keys" in installation.run("keys", "prune").stdout


def test_commands_at_once_with_a_running_server_lose_nothing(es256):
    """Rotations, revocations, imports and prunings side by side: what each acknowledged is there in the end."""
    server = es256.serve()
    es256.add_user("anna")

    def rotate():
        return {key["kid"] for key in es256.json("keys", "rotate", "--immediately") if key["state"] == "active"}

    kids = set().union(*at_once(*[rotate] * 6, lambda: es256.run("keys", "prune") and set()))
    assert len(kids) == 6
    revoked = sorted(kids)[:3]
    at_once(*[
        lambda kid=kid: es256.run("keys", "revoke", "--reason", "test", "--", kid) for kid in revoked
    ], *[rotate] * 2)
    listed = {key["kid"]: key["state"] for key in es256.listed_keys()}
    assert kids <= set(listed)
    assert {listed[kid] for kid in revoked} == {"revoked"}
    assert list(listed.values()).count("active") == 1
    eventually(lambda: listed.get(signing_kid(server)) == "active", within=2)
