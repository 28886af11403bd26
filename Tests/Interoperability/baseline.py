"""The server of Benchmarks/ that answers what the service answers with no work behind it, or none but a signature."""

import json
import subprocess
import sys

import tokens
from service import PATIENCE, PROJECT

BUILD = "swift build -c release --package-path Benchmarks --scratch-path .build-benchmarks --product baseline"
BINARY = PROJECT / ".build-benchmarks" / "release" / "baseline"

#: What a server adds to each answer by itself.
ADDED = {"connection", "content-length", "date"}


class Baseline:
    """A server whose routes are told before it starts, by the loads of the service that they are compared with."""

    def __init__(self):
        self.routes = {"ready": [], "signed": []}
        self.pairs = []
        self.url = self.process = None

    def ready(self, load):
        """The same request as a load's, to a route that answers what the service has answered it."""
        answer = load.answer()
        return self._add("ready", load, answer, status=answer.status_code, body=answer.text)

    def signed(self, load):
        """The same request as a load's, to a route that answers the service's JSON with a token of the same claims,
        which it signs each time."""
        answer = load.answer()
        token = answer.json()["access_token"]
        before, after = answer.text.split(token)
        return self._add(
            "signed", load, answer, algorithm=tokens.header(token)["alg"], before=before, after=after,
            claims=tokens.decode(token.split(".")[1]).decode())

    def _add(self, kind, load, answer, **route):
        path = f"/{kind}/{len(self.pairs)}"
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in ADDED}
        self.routes[kind].append({"path": path, "headers": headers} | route)
        self.pairs.append((load, load.at(self, path)))
        return self.pairs[-1][1]

    def start(self, folder):
        """Starts it, waits until it listens, and checks that it answers as the service does."""
        if not BINARY.exists():
            sys.exit(f"error: the baseline isn't there: {BUILD}")
        file = folder / "baseline.json"
        file.write_text(json.dumps(self.routes))
        self.process = subprocess.Popen(
            [BINARY, file], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), f"the baseline didn't start: {line}"
        self.url = line.split()[-1]
        for ours, its in self.pairs:
            assert _essence(its.answer()) == _essence(ours.answer()), f"the baseline answers {ours.path} otherwise"

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process.stdout.close()


def _essence(answer):
    """What two answers have to have in common: tokens are as long, but not the same."""
    headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() != "date"}
    same = answer.content if "access_token" not in answer.text else len(answer.content)
    return answer.status_code, headers, same
