"""The table of scripts/load: what each row comes to, and the bars."""

import statistics

import processes

#: The figures of a row: their headings, and how they are written.
COLUMNS = {
    "rate": ("requests/s", ",.0f"), "p50": ("p50 ms", ".2f"), "p99": ("p99 ms", ".2f"), "ratio": ("ratio", ".2f"),
    "cpu": ("CPU ms", ".3f"), "baseline_cpu": ("baseline's", ".3f"), "database_cpu": ("PostgreSQL's", ".3f"),
    "wrk_cpu": ("wrk's", ".3f"), "resident": ("MiB", ".0f"),
}


def is_met(figure, value, limit):
    """A ratio has to be as large, all else as small."""
    return value >= limit if figure == "ratio" else value <= limit


class Row:
    """What was measured under a name. A bar is a limit of a figure."""

    def __init__(self, label, bars, **figures):
        self.label, self.bars, self.figures = label, bars, figures
        #: Whether something else kept the machine busy.
        self.is_disturbed = False

    @property
    def missed(self):
        return [figure for figure, limit in self.bars.items() if not is_met(figure, self.figures[figure], limit)]

    def cells(self):
        yield self.label
        for figure, (_, form) in COLUMNS.items():
            yield format(self.figures[figure], form) if figure in self.figures else ""
        yield ", ".join(
            f"{COLUMNS[figure][0]} {limit:g} {'**missed**' if figure in self.missed else 'met'}"
            for figure, limit in self.bars.items())


class LoadRow(Row):
    """A load that is put on the service by turns, and, where there is a baseline, on that."""

    def __init__(self, label, bars, load, baseline=None):
        super().__init__(label, bars)
        self.load, self.baseline = load, baseline
        self.rounds = []
        self.resident = None

    def warm_up(self, seconds):
        self._turns(seconds, first=0)

    def _turns(self, seconds, first):
        loads = [self.load, self.baseline] if self.baseline else [self.load]
        # The one that comes first changes, so that what grows or fades in time favours neither.
        turns = [load.turn(seconds) for load in (loads[::-1] if first else loads)]
        return turns[::-1] if first else turns

    def measure(self, seconds):
        """Another round; gives it in words."""
        self.rounds.append(self._turns(seconds, first=len(self.rounds) % 2))
        self.resident = processes.resident(self.load.server.process.pid)
        ours, *its = self.rounds[-1]
        compared = f", {ours.rate / its[0].rate:.2f} of the baseline" if its else ""
        return f"{ours.rate:,.0f} requests/s, {ours.cpu:.3f} ms of CPU{compared}"

    def finish(self):
        """Takes the medians of the rounds."""
        own = [ours for ours, *_ in self.rounds]
        median = {name: statistics.median(column) for name, column in zip(own[0]._fields, zip(*own))}
        self.figures = {name: median[name] for name in ["rate", "p50", "p99", "cpu", "wrk_cpu"]}
        self.figures["resident"] = self.resident
        if self.load.postmaster:
            self.figures["database_cpu"] = median["database_cpu"]
        if self.baseline:
            self.figures["ratio"] = statistics.median(ours.rate / its.rate for ours, its in self.rounds)
            self.figures["baseline_cpu"] = statistics.median(its.cpu for _, its in self.rounds)
        self.is_disturbed = median["others"] > 0.1


def show(rows):
    """Prints the table, as Markdown that can be read as it is."""
    lines = [["", *(heading for heading, _ in COLUMNS.values()), "bars"], *(list(row.cells()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]

    def aligned(cells):
        return [
            cell.ljust(width) if place in (0, len(cells) - 1) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths))]

    rule = ["-" * width if place in (0, len(widths) - 1) else "-" * (width - 1) + ":" for place, width in
            enumerate(widths)]
    first, *rest = map(aligned, lines)
    for cells in [first, rule, *rest]:
        print(f"| {' | '.join(cells)} |")
