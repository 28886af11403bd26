"""The example microservices as running processes, and what each of them is expected to do."""

import glob
import os
import re
import shutil
import socket
import subprocess
import sys
import threading

import requests
from service import PATIENCE, PROJECT

FOLDER = PROJECT / "Examples"


class Example:
    """How to start one, by the names of its language and what has to be installed for it."""

    def __init__(self, name, packages, needs, command, environment=None, prepare=None, reads_status_lists=True):
        self.name, self.packages, self.needs, self.command = name, packages, needs, command
        self.environment, self.prepare, self.reads_status_lists = environment or {}, prepare, reads_status_lists

    @property
    def missing(self):
        """What isn't on this machine."""
        return [need for need in self.needs if not (shutil.which(need) or glob.glob(need))]

    def __repr__(self):
        return self.name


def build_go(folder):
    """Compiles with Debian's libraries, which are where Go looked before it had modules."""
    subprocess.run(
        ["go", "build", "-o", str(folder / "go-example"), "main.go"], cwd=FOLDER / "go", check=True, timeout=120,
        env=os.environ | {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""})


EXAMPLES = {
    example.name: example
    for example in [
        Example("python", [], [], [sys.executable, str(FOLDER / "python/main.py")]),
        Example(
            "go", ["golang-go", "golang-github-coreos-go-oidc-dev"],
            ["go", "/usr/share/gocode/src/github.com/coreos/go-oidc"], ["{folder}/go-example"], prepare=build_go),
        Example(
            "node", ["nodejs", "node-jose"], ["node", "/usr/share/nodejs/jose"],
            ["node", str(FOLDER / "node/main.js")], environment={"NODE_PATH": "/usr/share/nodejs"}),
        Example(
            "ruby", ["ruby", "ruby-jwt"], ["ruby", "/usr/share/rubygems-integration/all/specifications/jwt-*.gemspec"],
            ["ruby", str(FOLDER / "ruby/main.rb")]),
        Example(
            "apache", ["apache2-bin", "libapache2-mod-oauth2"],
            ["/usr/sbin/apache2", "/usr/lib/apache2/modules/mod_oauth2.so"], [str(FOLDER / "apache/run")],
            reads_status_lists=False),
    ]
}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A running microservice with `GET /me`."""

    def __init__(self, command, log_file, **environment):
        self.log_file = log_file
        self.lines = []
        self.is_ready = threading.Event()
        with open(log_file, "wb") as log:
            self.process = subprocess.Popen(
                command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.is_ready.set()
        self.is_ready.set()

    def wait_until_listening(self):
        self.is_ready.wait(PATIENCE)
        assert self.lines, f"it didn't start: {self.log_file.read_text()}"
        match = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)", self.lines[0])
        assert match, self.lines
        self.url = match[1]

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE)

    # MARK: Requests

    def get(self, authorization=None, path="/me"):
        with requests.Session() as session:
            session.trust_env = False
            headers = {"Authorization": authorization} if authorization else {}
            return session.get(self.url + path, headers=headers, timeout=PATIENCE)

    def accepts(self, token):
        """Whether a token is accepted; if not, the refusal has to be as RFC 6750 has it."""
        response = self.get(f"Bearer {token}")
        if response.status_code == 200:
            assert response.headers["Content-Type"].startswith("application/json")
            assert response.json()["sub"], response.text
            return True
        assert response.status_code == 401, f"{response.status_code} {response.text}"
        assert response.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
        return False


class Processes:
    """All examples that can run here, in front of one issuer."""

    def __init__(self, folder, **environment):
        self.running, self.failures = {}, {}
        for name, example in EXAMPLES.items():
            if example.missing:
                continue
            try:
                if example.prepare:
                    example.prepare(folder)
                self.running[name] = Process(
                    [part.format(folder=folder) for part in example.command], folder / f"{name}.log",
                    PORT=str(free_port()), **example.environment, **environment)
            except (OSError, subprocess.SubprocessError) as error:
                self.failures[name] = error
        for name, process in list(self.running.items()):
            try:
                process.wait_until_listening()
            except AssertionError as error:
                self.failures[name] = error
                self.running.pop(name).close()

    def __getitem__(self, name):
        assert name in self.running, self.failures[name]
        return self.running[name]

    def close(self):
        for process in self.running.values():
            process.close()
