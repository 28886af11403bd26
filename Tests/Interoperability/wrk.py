"""Load by wrk, which has to be installed: one thread that keeps a number of connections busy."""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys

FOLDER = pathlib.Path(__file__).resolve().parent

#: How long an answer may take, in seconds: slow ones are to be measured, not counted as errors.
PATIENCE = 30


class Result(collections.namedtuple("Result", "requests seconds p50 p99 errors cpu")):
    """What came of a run: the latencies in milliseconds, the errors by their kind, wrk's own CPU time in seconds.

    wrk corrects the latencies for the requests that a slow answer kept it from sending.
    """

    @property
    def requests_per_second(self):
        return self.requests / self.seconds

    @property
    def answered(self):
        """How many requests were answered well."""
        return self.requests - self.errors["status"]


class Run:
    """wrk at work."""

    def __init__(self, url, script="wrk_report.lua", arguments=(), connections=64, seconds=10):
        """A script is a file of this folder's that begins with `require "wrk_report"`; it is given the arguments."""
        program = shutil.which("wrk") or sys.exit("error: wrk isn't there: run scripts/setup --measurements")
        command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={PATIENCE}s", "-s", FOLDER / script]
        # `require` finds the others in this folder.
        self.process = subprocess.Popen(
            [*command, url, *(["--", *arguments] if arguments else [])],
            env=os.environ | {"LUA_PATH": str(FOLDER / "?.lua")}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

    def result(self):
        """Waits for the end."""
        output = self.process.stdout.read()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.stdout.close()
        self.process.returncode = os.waitstatus_to_exitcode(status)
        assert self.process.returncode == 0, f"wrk ended with {self.process.returncode}: {output}"
        return Result(**json.loads(output.splitlines()[-1]), cpu=usage.ru_utime + usage.ru_stime)


def drive(url, **options):
    """What comes of a run, as of `Run`; an error is a failure."""
    return without_errors(Run(url, **options).result())


def without_errors(result):
    assert not any(result.errors.values()), f"{result.errors} in {result.requests} requests"
    assert result.requests, "not a single answer"
    return result
