"""Many slow connections at once, and how others fare meanwhile."""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import processes
from callers import Visitor, Visitors, percentile
from certificates import Certificate, address
from service import PASSWORD, PATIENCE, Installation, eventually

#: How long the slow ones have, in seconds: longer than any deadline of the server's.
LONGEST = 100
#: A normal client's pause between two requests.
PAUSE = 0.05
VISITORS = 4


def try_slow_clients(trial, count):
    for transport in ["plain", "tls"]:
        with tempfile.TemporaryDirectory() as folder, contextlib.closing(Installation(folder)) as installation:
            if transport == "tls":
                installation.settings |= Certificate("slow").write(installation.folder)
            for number in range(VISITORS):
                installation.add_user(f"user-{number}")
            _try(trial, installation.serve(), transport, count)


def _try(trial, server, transport, count):
    pid = server.process.pid
    print(f"== {count:,} slow connections, {'over TLS' if transport == 'tls' else 'in the clear'}\n")
    quiet = _visit(server, lambda: time.sleep(5))
    # The one of /health and those of the visitors are over in a moment.
    time.sleep(1)
    memory, files = processes.resident(pid), processes.open_files(pid)
    seen = {}
    busy = _visit(server, lambda: seen.update(_slow_clients(server, transport, count)))
    # What they took isn't all given back to the kernel. It has to be there for others, so that it comes to rest.
    resident = [processes.resident(pid)]
    for _ in range(2):
        _slow_clients(server, transport, count)
        resident.append(processes.resident(pid))
    trial.table(
        ("", "connections", "cut", "after s, first", "median", "last"),
        *[_row(kind, times) for kind, times in seen["times"].items()])
    for name, visitors in [("before", quiet), ("meanwhile", busy)]:
        times = visitors.all_of("times")
        print(
            f"{VISITORS} normal clients {name}: {len(times):,} requests, {_failed(visitors)} failed, "
            f"p50 {percentile(times, 0.5):.1f} ms, p99 {percentile(times, 0.99):.1f} ms, "
            f"longest {1000 * max(times):.0f} ms")
    with contextlib.suppress(AssertionError):
        eventually(lambda: processes.open_files(pid) <= files + 5, within=15)
    print(
        f"memory: {memory:.1f} MiB before, {seen['resident']:.1f} with all connected, "
        f"{resident[0]:.1f} after; after as many again {resident[1]:.1f}, and again {resident[2]:.1f}\n"
        f"open files: {files} before, {seen['files']} with all connected, {processes.open_files(pid)} after\n")
    left = {kind: sum(each is None for each in times) for kind, times in seen["times"].items()}
    trial.promise("every slow connection was cut", [f"{n} left: {kind}" for kind, n in left.items() if n])
    trial.promise(
        "normal clients got the right answer each time",
        busy.all_of("problems") + busy.all_of("cut") + ["a connection wasn't taken"] * busy.sum_of("turned_away"))
    trial.promise(
        "the third time needs at most a fifth more memory than the second",
        [f"{resident[2]:.0f} MiB"] if resident[2] > 1.2 * resident[1] else [])
    trial.promise(
        "the open files are as before",
        [f"{processes.open_files(pid)}"] if processes.open_files(pid) > files + 5 else [])
    trial.promise("the server lives", [] if server.process.poll() is None else [server.process.poll()])
    trial.promise("it stops with 0", [status] if (status := server.stop()) else [])
    print()


def _visit(server, body):
    """Visitors while something is done."""
    visitors = Visitors([
        Visitor(server, f"user-{number}", PASSWORD, pause=PAUSE) for number in range(VISITORS)])
    with visitors:
        body()
    for each in visitors.all:
        each.close()
    return visitors


def _failed(visitors):
    return len(visitors.all_of("problems")) + len(visitors.all_of("cut")) + visitors.sum_of("turned_away")


def _slow_clients(server, transport, count):
    """What comes of so many, who are a process of their own."""
    host, port = address(server)
    program = pathlib.Path(__file__).with_name("slow_clients.py")
    child = subprocess.Popen(
        [sys.executable, program, host, str(port), transport, str(count), str(LONGEST)], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True)
    try:
        child.stdout.readline()
        seen = {
            "resident": processes.resident(server.process.pid), "files": processes.open_files(server.process.pid)}
        seen["times"] = json.loads(child.stdout.readline())
        child.wait(PATIENCE)
        return seen
    finally:
        child.kill()
        child.wait()


def _row(kind, times):
    cut = sorted(each for each in times if each is not None)
    return kind, f"{len(times):,}", f"{len(cut):,}", *[
        f"{each:.1f}" for each in ([cut[0], cut[len(cut) // 2], cut[-1]] if cut else [])]
