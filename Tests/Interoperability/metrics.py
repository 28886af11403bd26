"""What a server says at /metrics, read as Prometheus' text format has it."""

import re

from service import eventually

SAMPLE = re.compile(r'(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Metrics:
    """The document of one moment."""

    def __init__(self, server, **options):
        response = server.get("/metrics", **options)
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        self.text = response.text
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", self.text, re.M))
        self.help = dict(re.findall(r"^# HELP (\S+) (.+)$", self.text, re.M))
        self.samples = dict(self._sample(line) for line in self.text.splitlines() if not line.startswith("#"))

    @staticmethod
    def _sample(line):
        match = SAMPLE.fullmatch(line)
        assert match, f"not a sample: {line}"
        return (match["name"], frozenset(LABEL.findall(match["labels"] or ""))), float(match["value"])

    def __getitem__(self, name):
        """The sum of all samples of a name."""
        return self.sum(name)

    def sum(self, name, **labels):
        """The sum of the samples of a name that have these labels; 0 where there are none."""
        return sum(
            value for (each, found), value in self.samples.items() if each == name and labels.items() <= set(found))

    def series(self):
        return set(self.samples)

    @property
    def names(self):
        """What a query may ask for."""
        suffixes = {"histogram": ["_bucket", "_sum", "_count"]}
        return {name + suffix for name, type in self.types.items() for suffix in suffixes.get(type, [""])}


class Counted:
    """What a server counts from now on: the difference of two documents."""

    def __init__(self, server):
        self.server, self.before = server, Metrics(server)

    def now(self, name, *labels):
        """By how much a name has grown: by the values of these labels, where it has, or without any as one number."""
        now, grown = Metrics(self.server), {}
        for (each, found), value in now.samples.items():
            if each == name and (more := value - self.before.samples.get((each, found), 0)):
                key = tuple(dict(found)[label] for label in labels)
                key = key[0] if len(key) == 1 else key
                grown[key] = grown.get(key, 0) + more
        return grown if labels else grown.get((), 0)

    def becomes(self, expected, name, *labels):
        """Waits until a name has grown by this: a request is counted when it was answered."""
        grown = None

        def is_so():
            nonlocal grown
            grown = self.now(name, *labels)
            return grown == expected

        try:
            eventually(is_so, within=5)
        except AssertionError:
            raise AssertionError(f"{name} grew by {grown}, not {expected}") from None
