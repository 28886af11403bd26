"""What the program costs before anybody asks it anything: its size, its start, and its memory when idle."""

import contextlib
import http.client
import pathlib
import subprocess
import tempfile
import time
import urllib.parse

import processes

#: How long a server that has just started is left alone before its memory is looked at, in seconds.
REST = 1

MIB = 1024 * 1024


def start(installation):
    """A server, and how many milliseconds went by until it said that it is ready."""
    began = time.monotonic()
    server = installation.serve()
    address = urllib.parse.urlsplit(server.url)
    with contextlib.closing(http.client.HTTPConnection(address.hostname, address.port)) as connection:
        connection.request("GET", "/health/ready")
        status = connection.getresponse().status
    took = 1000 * (time.monotonic() - began)
    assert status == 200, f"not ready when it listens: {status}"
    return server, took


def starts(installation, count):
    """For each of so many starts: the milliseconds to ready, and the resident MiB a moment later."""
    for _ in range(count):
        server, took = start(installation)
        time.sleep(REST)
        resident = processes.resident(server.process.pid)
        assert server.stop() == 0, server.log
        yield took, resident


def description(program):
    """The size of a program, and whether the runtime of its language is in it, in words."""
    with tempfile.TemporaryDirectory() as folder:
        stripped = pathlib.Path(folder) / "stripped"
        subprocess.run(["strip", "-o", stripped, program], check=True)
        sizes = [pathlib.Path(each).stat().st_size / MIB for each in [program, stripped]]
    needed = subprocess.run(["readelf", "-d", program], check=True, capture_output=True, text=True).stdout
    libraries = [line.split("[")[1].rstrip("]") for line in needed.splitlines() if "(NEEDED)" in line]
    swift = [each for each in libraries if each.startswith(("libswift", "libFoundation", "lib_Foundation"))]
    runtime = f"needs {len(swift)} libraries of Swift's beside it" if swift else "has Swift's runtime in it"
    return f"the executable has {sizes[0]:.0f} MiB, {sizes[1]:.0f} MiB stripped, and {runtime}"
