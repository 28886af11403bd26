"""A soak: mixed load over TLS at half of the maximum; what becomes of memory, files and errors. See scripts/soak."""

import argparse
import base64
import collections
import contextlib
import re
import signal
import statistics
import sys
import tempfile
import threading
import time

import script  # noqa: F401
import oauth
import processes
import service
import status_lists
import tokens
import urllib3
import wrk
from callers import Visitor, Visitors, percentile
from certificates import Certificate, shown_serial
from trials import Trial

USERS = 50
CONNECTIONS = 32
#: Sessions whose access tokens wrk shows at /auth/me.
READERS = 20
#: How long an access token lives, and when the readers get others, in seconds. An ended session is remembered as long
#: as its tokens live, in memory, too, and so is a verified token: that has to come to rest within the first half.
LIFETIME, RENEWAL = 60, 20
#: How often it is looked at the process and, every so many looks, at /metrics.
EVERY, EVERY_METRICS = 2, 15
#: How long the maximum is looked for, in seconds.
TURN = 10
#: Visitors during the hold, each with a pause between two requests, and those at the end, without.
WATCHING, PAUSE, LEAVING = 4, 0.1, 24

Sample = collections.namedtuple("Sample", "at resident files threads")


class Watch:
    """Looks at a process and its metrics again and again, in a thread."""

    def __init__(self, server):
        self.server, self.pid = server, server.process.pid
        self.samples, self.failures, self.largest = [], [], {}
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.is_over.is_set():
            try:
                self.samples.append(Sample(
                    time.monotonic(), processes.resident(self.pid), processes.open_files(self.pid),
                    processes.threads(self.pid)))
                if len(self.samples) % EVERY_METRICS == 0:
                    for name, value in metrics(self.server).items():
                        self.largest[name] = max(self.largest.get(name, 0), value)
            except Exception as error:  # told at the end
                self.failures.append(error)
            self.is_over.wait(EVERY)

    def stop(self):
        self.is_over.set()
        self.thread.join()


class Readers:
    """Sessions that go on, and whose access tokens are in a file, renewed in a thread before they expire."""

    def __init__(self, server, file):
        self.server, self.file = server, file
        self.pairs = [server.post("/auth/log-in", {
            "username": f"user-{number}", "password": service.PASSWORD}, verify=False).json()
            for number in range(READERS)]
        self.failures = []
        self._write()
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _write(self):
        another = self.file.with_suffix(".new")
        another.write_text("".join(each["access_token"] + "\n" for each in self.pairs))
        another.replace(self.file)

    def _run(self):
        while not self.is_over.wait(RENEWAL):
            try:
                self.pairs = [
                    service.answered(self.server.post(
                        "/auth/refresh", {"refresh_token": each["refresh_token"]}, verify=False))
                    for each in self.pairs]
                self._write()
            except Exception as error:  # told at the end
                self.failures.append(error)

    def stop(self):
        self.is_over.set()
        self.thread.join()


def slope(samples):
    """By how many MiB memory grows in an hour, by least squares."""
    line = statistics.linear_regression([each.at for each in samples], [each.resident for each in samples])
    return 3600 * line.slope


def metrics(server):
    """Each series of /metrics and its value."""
    text = server.get("/metrics", verify=False).text
    return {name: float(value) for name, value in re.findall(r"^([^#\s]\S*) (\S+)$", text, re.M)}


def requests_by_kind(before, after):
    """How many requests were answered between two looks at the metrics, by method, route and status."""
    counted = collections.Counter()
    for name, value in after.items():
        labels = re.fullmatch(
            r'http_server_request_duration_seconds_count\{http_request_method="([^"]*)",http_route="([^"]*)",'
            r'http_response_status_code="([^"]*)"\}', name)
        if labels and value > before.get(name, 0):
            counted[labels.groups()] = int(value - before.get(name, 0))
    return counted


class Soak(Trial):
    """The whole of it."""

    def __init__(self, installation, options):
        super().__init__()
        self.installation, self.options = installation, options
        self.certificate = Certificate("before")
        installation.settings |= self.certificate.write(installation.folder) | {
            "access-token-lifetime": f"{LIFETIME}s"}
        self.server = installation.serve()
        for number in range(USERS):
            installation.add_user(f"user-{number}")
        self.client = oauth.Client(installation, "machine", "--scope", "read")
        self.list_path = status_lists.reference(self._log_in("user-0"))[0].removeprefix(self.server.url)
        self.readers = Readers(self.server, installation.folder / "readers")

    def _log_in(self, name):
        with contextlib.closing(Visitor(self.server, name, service.PASSWORD)) as visitor:
            return visitor.expect(
                200, "POST", "/auth/log-in", body={"username": name, "password": service.PASSWORD})["access_token"]

    # MARK: Load

    def drive(self, seconds, pause):
        """wrk at work with everything, each connection waiting for so many milliseconds before a request."""
        basic = base64.b64encode(f"{self.client.id}:{self.client.secret}".encode()).decode()
        arguments = [str(self.readers.file), basic, self.list_path, str(pause), str(USERS), service.PASSWORD]
        return wrk.Run(
            self.server.url, script="mixed.lua", arguments=arguments, connections=CONNECTIONS, seconds=int(seconds))

    def calm_pause(self, rate):
        """The pause that makes a rate: tried, and corrected by what came of it."""
        pause = 1000 * CONNECTIONS / rate
        for _ in range(2):
            result = self.drive(5, pause).result()
            pause = max(0, pause + 1000 * CONNECTIONS * (1 / rate - 1 / result.requests_per_second))
        return pause

    # MARK: The parts

    def find_maximum(self):
        self.drive(3, 0).result()
        result = wrk.without_errors(self.drive(TURN, 0).result())
        print(
            f"the most that {CONNECTIONS} connections get: {result.requests_per_second:,.0f} requests a second "
            f"(p99 {result.p99:.1f} ms)", flush=True)
        return result.requests_per_second

    def hold(self, rate):
        """Half of the maximum, with a new certificate and new keys in the middle."""
        pause, seconds = self.calm_pause(rate), 60 * self.options.minutes
        before, processors, used = metrics(self.server), processes.Processors(), processes.cpu(self.server.process.pid)
        load = self.drive(seconds, pause)
        visitors = [
            Visitor(self.server, f"user-{number}", service.PASSWORD, pause=PAUSE) for number in range(WATCHING)]
        began = time.monotonic()
        with Visitors(visitors) as watching:
            time.sleep(min(5, seconds / 10))
            watch = Watch(self.server)
            time.sleep(began + seconds / 2 - time.monotonic())
            self.change()
            result = load.result()
        took = time.monotonic() - began
        watch.stop()
        after, shares = metrics(self.server), processors.shares
        used = processes.cpu(self.server.process.pid) - used
        self.tell_requests(result, watching, requests_by_kind(before, after), rate)
        self.tell_process(watch)
        print(
            f"processors: {shares.busy:.0%} busy, the server {used / took / 2:.0%} of both, "
            f"wrk {result.cpu / took / 2:.0%}\n", flush=True)

    def change(self):
        """Another certificate, and keys that sign at once."""
        later = Certificate("later")
        later.write(self.installation.folder)
        service.eventually(lambda: shown_serial(self.server) == later.serial, within=10)
        before = tokens.header(self._log_in("user-0"))["kid"]
        self.installation.run("keys", "rotate", "--immediately")
        service.eventually(lambda: tokens.header(self._log_in("user-0"))["kid"] != before, within=10)
        print("in the middle: the certificate was replaced and is shown; the keys were rotated and sign", flush=True)

    def tell_requests(self, result, watching, counted, rate):
        print(
            f"\nheld for {result.seconds:,.0f} s: {result.requests:,} requests by wrk, "
            f"{result.requests_per_second:,.0f} a second, {result.requests_per_second / rate / 2:.0%} of the maximum; "
            f"p50 {result.p50:.1f} ms, p99 {result.p99:.1f} ms\n")
        rows = [(method, route, status, f"{count:,}") for (method, route, status), count in sorted(counted.items())]
        self.table(("method", "route", "status", "requests"), *rows)
        # The visitors ask with tokens that are used up, and are to be refused.
        refused = sum(n for v in watching.all for (_, _, status), n in v.statuses.items() if status == 401)
        wrong = sum(n for (_, _, status), n in counted.items() if int(status) >= 400) - refused
        self.promise(
            f"no error among {sum(counted.values()):,} requests, by the server's count",
            [f"{wrong} answers of 400 and above"] if wrong else [])
        self.promise("no error by wrk's count", [f"{n} of {kind}" for kind, n in result.errors.items() if n])
        times = watching.all_of("times")
        self.promise(
            f"{WATCHING} visitors got the right answer to each of {len(times):,} requests "
            f"(p50 {percentile(times, 0.5):.1f} ms, p99 {percentile(times, 0.99):.1f} ms), none was cut",
            watching.all_of("problems") + watching.all_of("cut"))

    def tell_process(self, watch):
        samples = watch.samples
        half = [each for each in samples if each.at >= (samples[0].at + samples[-1].at) / 2]
        whole, second = slope(samples), slope(half)
        resident = [each.resident for each in samples]
        print(
            f"memory: {resident[0]:.1f} MiB at first, {resident[-1]:.1f} at last, {min(resident):.1f} to "
            f"{max(resident):.1f}; {whole:+.1f} MiB an hour over the whole, {second:+.1f} over the second half "
            f"({len(samples)} looks)")
        for name in ["files", "threads"]:
            values = [getattr(each, name) for each in samples]
            print(f"open {name}: {min(values)} to {max(values)}, {values[0]} at first, {values[-1]} at last")
        live, ended = [
            watch.largest.get(f"token_service_{name}", 0) for name in ["sessions_live", "status_list_places_ended"]]
        print(f"sessions alive: {live:,.0f} at the most; ended, with tokens that may live: {ended:,.0f} at the most")
        self.promise("every look at the process and /metrics", watch.failures)
        self.promise(
            f"memory grows by {self.options.bound:g} MiB an hour at the most, in the second half",
            [f"{second:+.1f}"] if second > self.options.bound else [])
        files = [each.files for each in samples]
        quarter = max(1, len(files) // 4)
        more = max(files[-quarter:]) - max(files[:quarter])
        # A watch of a new connection or two.
        self.promise("no more open files at the end than at the beginning", [f"{more} more"] if more > 4 else [])

    def leave(self):
        """SIGTERM under load."""
        self.readers.stop()
        self.promise("the readers' sessions went on", self.readers.failures)
        leaving = [
            Visitor(self.server, f"user-{number}", service.PASSWORD) for number in range(LEAVING)]
        visitors = Visitors(leaving)
        with visitors:
            # wrk is there for the load: it doesn't tell a refused connection from one that was cut.
            noise = self.drive(8, self.pause_at_the_end)
            time.sleep(4)
            asked = sum(len(each.times) for each in leaving)
            began = time.monotonic()
            self.server.process.send_signal(signal.SIGTERM)
            status = self.server.process.wait(60)
            took = time.monotonic() - began
            visitors.join(10)
            noise.process.wait(60)
        cut, told = visitors.all_of("cut"), visitors.sum_of("told")
        print(
            f"SIGTERM after {asked:,} requests on {LEAVING} kept connections, and wrk's {CONNECTIONS}: exit status "
            f"{status} after {took:.2f} s; {told} connections were told so by their last answer; "
            f"{visitors.sum_of('turned_away')} new ones found nobody")
        self.promise("no request on a kept connection was cut", cut)
        self.promise("each kept connection was told that it closes", [f"{told} of {LEAVING}"] if told < LEAVING else [])
        self.promise("each answer was the right one", visitors.all_of("problems"))
        self.promise("the exit status is 0", [status] if status else [])
        self.check_sessions(leaving)

    def check_sessions(self, leaving):
        """Whether each session goes on at the next start."""
        self.server = self.installation.serve(settings={"issuer": self.server.url})
        lost, kept = [], 0
        for each in leaving:
            if each.refresh_token:
                response = self.server.post("/auth/refresh", {"refresh_token": each.refresh_token}, verify=False)
                kept += response.status_code == 200
                if response.status_code != 200:
                    lost.append(f"{each.name}: {response.status_code}")
        self.promise(f"{kept} sessions that were under way go on after a restart", lost)

    def run(self):
        maximum = self.find_maximum()
        self.pause_at_the_end = 1000 * CONNECTIONS / (maximum / 2)
        self.hold(maximum / 2)
        self.leave()
        errors = [line for line in self.server_logs() if '"level":"error"' in line or '"level":"critical"' in line]
        self.promise("no error in the log", errors)

    def server_logs(self):
        return [line for server in self.installation.servers for line in server.log.splitlines()]


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/soak", description="Holds the service at half of what it can do, and looks for what grows.")
    parser.add_argument("minutes", nargs="?", type=float, default=15, help="how long (default: 15)")
    parser.add_argument(
        "--bound", type=float, default=32, metavar="MIB",
        help="by how much memory may grow in an hour, measured over the second half (default: 32)")
    options = parser.parse_args()
    # The certificates are the soak's own.
    urllib3.disable_warnings()
    if options.minutes < 0.5:
        parser.error("at least half a minute")
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.closing(service.Installation(folder)) as installation:
            soak = Soak(installation, options)
            soak.run()
    return 1 if soak.is_broken else 0


if __name__ == "__main__":
    sys.exit(main())
