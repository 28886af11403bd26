"""The program under test: a folder that it works in, its commands, and its running server."""

import contextlib
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import threading
import time

import requests

PROJECT = pathlib.Path(__file__).resolve().parents[2]
VECTORS = PROJECT / "Tests" / "Vectors"
BINARY = str((PROJECT / os.environ.get("TOKEN_SERVICE_BINARY", ".build/debug/token-service")).resolve())

#: Passwords are checked in no time where they aren't the point.
CHEAP_PASSWORDS = {"password-memory": "1MiB", "password-iterations": "1"}
#: As many log-ins fail from this one address as a test likes.
MANY_FAILURES = {"log-in-rate": "1000/s"}
#: A key signs 3 s after it was published.
QUICK_ROTATION = {"jwks-max-age": "1s", "clock-leeway": "1s", "publish-ahead": "3s"}

FAILED, USAGE, UNAVAILABLE, BAD_CONFIGURATION = 1, 64, 69, 78

PASSWORD = "correct horse battery staple"
#: How long anything that ought to happen may take on a busy machine, in seconds.
PATIENCE = 30


def environment(settings):
    """The environment of this run without settings of its own, and with these."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TOKEN_SERVICE_")}
    for name, value in settings.items():
        variables["TOKEN_SERVICE_" + name.upper().replace("-", "_")] = value
    return variables


def eventually(probe, within=PATIENCE, every=0.05):
    """Asks until the answer is true, and gives it; fails after a while."""
    deadline = time.monotonic() + within
    while True:
        if answer := probe():
            return answer
        assert time.monotonic() < deadline, f"not within {within} s: {probe.__doc__ or probe}"
        time.sleep(every)


def at_once(*actions):
    """Runs actions in threads that start together, and gives their results in order."""
    results = [None] * len(actions)
    barrier = threading.Barrier(len(actions))

    def run(index):
        barrier.wait()
        try:
            results[index] = actions[index]()
        except Exception as error:  # handed to the caller below
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


class Installation:
    """A folder with a service's files. Settings go to its processes through the environment."""

    def __init__(self, folder, **settings):
        self.folder = pathlib.Path(folder)
        named = {name.replace("_", "-"): value for name, value in settings.items()}
        self.settings = CHEAP_PASSWORDS | MANY_FAILURES | named
        self.servers = []

    @property
    def keys(self):
        return self.folder / "keys"

    @property
    def master_secret(self):
        return self.folder / "master.secret"

    def run(self, *arguments, input=None, settings=None, check=True, timeout=60, **options):
        """Runs a command; with `check` it has to succeed."""
        if isinstance(input, str):
            input = input.encode()
        completed = subprocess.run(
            [BINARY, *arguments], cwd=self.folder, env=environment(self.settings | (settings or {})),
            input=b"" if input is None else input, capture_output=True, timeout=timeout,
            **options)
        completed.stderr = completed.stderr.decode()
        if check:
            assert completed.returncode == 0, f"{arguments} ended with {completed.returncode}: {completed.stderr}"
        return completed

    def json(self, *arguments, **options):
        """What a command prints as JSON, and prints nothing besides."""
        return json.loads(self.run(*arguments, "--format", "json", **options).stdout)

    def refused(self, status, *arguments, **options):
        """Runs a command that has to end with a status and nothing on standard output; gives its one line."""
        completed = self.run(*arguments, check=False, timeout=20, **options)
        assert completed.returncode == status, f"{arguments} ended with {completed.returncode}: {completed.stderr}"
        assert completed.stdout == b""
        lines = completed.stderr.splitlines()
        if status == USAGE and lines[-1].startswith("  See "):
            # The argument parser adds how a command is used.
            return completed.stderr
        errors = [line for line in lines if not line.startswith(("warning: ", "{"))]
        assert len(errors) == 1, f"not one line: {completed.stderr}"
        assert errors[0].startswith("error: ")
        return errors[0]

    def popen(self, *arguments, settings=None, **options):
        return subprocess.Popen(
            [BINARY, *arguments], cwd=self.folder, env=environment(self.settings | (settings or {})), **options)

    def serve(self, *flags, settings=None):
        """Starts a server and waits until it listens."""
        server = Server(self, flags, settings or {})
        self.servers.append(server)
        server.wait_until_listening()
        return server

    def add_user(self, name, *arguments, password=PASSWORD):
        return self.json("users", "add", name, "--password-stdin", *arguments, input=password + "\n")

    def listed_keys(self):
        """`keys list`, which has to find nothing damaged."""
        completed = self.run("keys", "list", "--format", "json")
        assert completed.stderr == ""
        return json.loads(completed.stdout)

    def state(self, kid):
        return next(key["state"] for key in self.listed_keys() if key["kid"] == kid)

    def snapshot(self):
        """The names, modes and contents of all files."""
        return {
            str(path.relative_to(self.folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
            for path in sorted(self.folder.rglob("*"))
        }

    def query(self, sql, *parameters):
        """Asks the database as it is on the disk."""
        with contextlib.closing(sqlite3.connect(self.folder / "token-service.sqlite")) as connection:
            return connection.execute(sql, parameters).fetchall()

    def close(self):
        for server in self.servers:
            server.kill()


class Server:
    """A running `serve`."""

    def __init__(self, installation, flags, settings):
        self.installation = installation
        self.log_file = installation.folder / f"server-{len(installation.servers)}.log"
        self.output = []
        self.url = None
        self.ready = threading.Event()
        with open(self.log_file, "wb") as log:
            self.process = installation.popen(
                "serve", "--listen", "127.0.0.1:0", *flags, settings=settings, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.output.append(line.rstrip("\n"))
            if match := re.fullmatch(r"listening on (\S+)", self.output[-1]):
                self.url = match[1]
                self.ready.set()
        self.ready.set()

    def wait_until_listening(self):
        self.ready.wait(PATIENCE)
        assert self.url, f"the server didn't start: {self.log}"

    @property
    def log(self):
        return self.log_file.read_text()

    def stop(self):
        """Asks the server to end, and gives its exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return status

    def kill(self):
        """Ends the server in the middle of whatever it does."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)

    # MARK: Requests

    def request(self, method, path, token=None, headers=None, **options):
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, self.url + path, headers=headers, timeout=PATIENCE, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, **({} if body is None else {"json": body}), **options)

    def log_in(self, name, password=PASSWORD, **more):
        """The answer to a log-in, which has to succeed."""
        return answered(self.post("/auth/log-in", {"username": name, "password": password, **more}))

    def refresh(self, refresh_token):
        """The answer to a refresh, which has to succeed."""
        return answered(self.post("/auth/refresh", {"refresh_token": refresh_token}))

    def refuses(self, refresh_token):
        """Whether a refresh token is refused, as it has to be refused."""
        response = self.post("/auth/refresh", {"refresh_token": refresh_token})
        if response.status_code == 401:
            assert_error(response, 401, "invalid_grant")
        return response.status_code == 401

    def jwks(self):
        return answered(self.get("/.well-known/jwks.json"))

    def published_kids(self):
        return {key["kid"] for key in self.jwks()["keys"]}


def answered(response):
    """The body of an answer with status 200."""
    assert response.status_code == 200, f"{response.request.path_url}: {response.status_code} {response.text}"
    assert response.headers["Content-Type"] == "application/json"
    return response.json()


def assert_error(response, status, code):
    """Checks that an answer is an error in OAuth's form."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == code
    assert body["error_description"]
