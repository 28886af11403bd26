"""What processes cost, as Linux counts it: CPU time, memory and files, and what the machine's processors did meanwhile."""

import collections
import contextlib
import os
import pathlib

TICK = os.sysconf("SC_CLK_TCK")


def _statistics(pid):
    """What /proc/PID/stat says after the process's name."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu(pid):
    """The CPU time of a process so far, in seconds."""
    user, system = _statistics(pid)[11:13]
    return (int(user) + int(system)) / TICK


def cpu_of_family(pid):
    """The CPU time of a process, of its children and of those that have ended, in seconds.

    One that ends at this very moment may be missed.
    """
    total = sum(map(int, _statistics(pid)[11:15])) / TICK
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        # Others come and go meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if int(_statistics(process.name)[1]) == pid:
                total += cpu(process.name)
    return total


def resident(pid):
    """The resident memory of a process, in MiB."""
    line = next(line for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def threads(pid):
    """How many threads a process has."""
    line = next(line for line in open(f"/proc/{pid}/status") if line.startswith("Threads"))
    return int(line.split()[1])


def open_files(pid):
    """How many files, sockets among them, a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


class Processors:
    """The machine's processors, from now on."""

    #: Their time in seconds, all together, and the shares of it in which they worked, had nothing to do but wait for
    #: the disk, and were taken away by the machine below.
    Shares = collections.namedtuple("Shares", "seconds busy waiting stolen")

    def __init__(self):
        self.before = self._times()

    @staticmethod
    def _times():
        with open("/proc/stat") as file:
            # The two after these are counted in the first two already.
            return [int(time) for time in file.readline().split()[1:9]]

    @property
    def shares(self):
        spent = [now - before for now, before in zip(self._times(), self.before)]
        *_, idle, waiting, _, _, stolen = spent
        total = sum(spent) or 1
        return self.Shares(total / TICK, (total - idle - waiting - stolen) / total, waiting / total, stolen / total)
