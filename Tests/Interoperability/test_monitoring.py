"""What Prometheus and Grafana are given in Packaging/monitoring: by promtool, and against what a server says."""

import collections
import contextlib
import json
import re
import shutil
import subprocess

import pytest
import yaml
from certificates import Certificate
from metrics import LABEL, Metrics
from oauth import Client
from postgresql import Cluster, PostgreSQL
from service import PASSWORD, PROJECT, answered, eventually

MONITORING = PROJECT / "Packaging" / "monitoring"
DOCUMENTATION = PROJECT / "docs" / "monitoring.md"
HELP = PROJECT / "Sources/TokenService/Observability/Metrics/MetricsDocument.swift"

ALERTS = [
    rule for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
TESTS = yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

#: What stands in the dashboard's expressions for what Grafana puts there.
VARIABLES = {"$job": ".*", "$instance": ".*", "$__rate_interval": "5m"}

#: Words of PromQL that aren't names.
WORDS = {"and", "or", "unless", "offset", "bool", "by", "without", "on", "ignoring", "group_left", "group_right"}
#: What Prometheus itself adds to each sample, or reads of it.
ADDED_METRICS, ADDED_LABELS = {"up"}, {"job", "instance", "le"}


def promtool(*arguments, input=None, check=True):
    """Runs promtool, which has to find nothing to complain about; gives what it says."""
    program = shutil.which("promtool") or shutil.which("promtool", path=PROJECT / ".build-tools")
    assert program, "promtool isn't there: run scripts/setup --tests"
    completed = subprocess.run(
        [program, *map(str, arguments)], cwd=MONITORING, input=input, capture_output=True, text=True, timeout=120)
    said = completed.stdout + completed.stderr
    if check:
        assert completed.returncode == 0, said
    return said


class Seen:
    """What a node over PostgreSQL that serves HTTPS says at /metrics, before and after its database is gone."""

    def __init__(self, folder):
        database = PostgreSQL()
        try:
            cluster = Cluster(folder, database.url(database.new_database()), algorithms="ES256,RS256")
            with contextlib.closing(cluster):
                installation = cluster.installation()
                installation.settings |= Certificate("node").write(installation.folder)
                self.options = {"verify": str(installation.folder / "tls.pem")}
                self.server = installation.serve()
                cluster.add_user("anna")
                self._use(cluster.operator)
                self.documents = [Metrics(self.server, **self.options)]
                database.stop("immediate")
                eventually(self._tells_of_errors)
        finally:
            database.close()

    def _post(self, path, body, **options):
        return self.server.post(path, body, **self.options, **options)

    def _use(self, operator):
        client = Client(operator, "client", "--scope", "read")
        pair = answered(self._post("/auth/log-in", {"username": "anna", "password": PASSWORD}))
        for _ in range(2):
            answered(self._post("/auth/refresh", {"refresh_token": pair["refresh_token"]}))
        self._post("/auth/log-in", {"username": "anna", "password": "wrong"})
        answered(self.server.get("/auth/me", token=pair["access_token"], **self.options))
        answered(self.server.get("/.well-known/jwks.json", **self.options))
        answered(self._post(
            "/oauth2/token", None, data={"grant_type": "client_credentials"}, auth=client.basic))
        self._post("/auth/log-out", None, token=pair["access_token"])
        operator.run("keys", "rotate")
        eventually(lambda: Metrics(self.server, **self.options).sum("token_service_keys", state="pending") == 2)

    def _tells_of_errors(self):
        """The database's errors are counted."""
        self._post("/auth/log-in", {"username": "anna", "password": PASSWORD})
        metrics = Metrics(self.server, **self.options)
        self.documents.append(metrics)
        return "token_service_database_errors_total" in metrics.types

    @property
    def types(self):
        return set().union(*[each.types for each in self.documents])

    @property
    def names(self):
        return set().union(*[each.names for each in self.documents])

    @property
    def labels(self):
        return {label for each in self.documents for _, labels in each.series() for label, _ in labels}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    return Seen(tmp_path_factory.mktemp("cluster"))


# MARK: Expressions


def dashboard_expressions():
    """The expressions of the dashboard, as Grafana would send them, by panel."""
    found = []
    for panel in PANELS:
        for target in panel["targets"]:
            text = target["expr"]
            for variable, value in VARIABLES.items():
                text = text.replace(variable, value)
            found.append((f"{panel['title']} {target['refId']}", text))
    return found


EXPRESSIONS = dashboard_expressions() + [(rule["alert"], rule["expr"]) for rule in ALERTS]

Asked = collections.namedtuple("Asked", "metrics labels")


def asked(expression):
    """The metrics and labels that an expression names."""
    text = re.sub(r'"[^"]*"', '""', expression)
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", text))
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text)
    for clause in re.findall(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", text):
        labels |= set(re.findall(r"\w+", clause))
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    names = set(re.findall(r"(?<![\w.])[a-zA-Z_:][\w:]*\b(?!\s*\()", text))
    return Asked(names - WORDS, labels)


def test_an_expression_is_read():
    """The test's own reader."""
    assert asked('sum by (a, b) (rate(x_total{c="y(z", d=~"e"}[5m])) / on (f) up > 0.5 and time() - g_1 offset 5m') == (
        {"x_total", "up", "g_1"}, {"a", "b", "c", "d", "f"})


@pytest.mark.parametrize("where, expression", EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_an_expression_asks_for_what_there_is(seen, where, expression):
    metrics, labels = asked(expression)
    assert metrics and metrics <= seen.names | ADDED_METRICS
    assert labels <= seen.labels | ADDED_LABELS


def test_every_expression_of_the_dashboard_is_promql(tmp_path):
    rules = [
        {"record": f"panel:expression_{index}:x", "expr": expression}
        for index, (_, expression) in enumerate(dashboard_expressions())]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)


# MARK: Prometheus


def test_promtool_finds_nothing_amiss_with_the_metrics(seen):
    for metrics in seen.documents:
        assert promtool("check", "metrics", input=metrics.text) == ""


def test_promtool_finds_nothing_amiss_with_the_rules_and_the_configuration():
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", "--lint-fatal", "alerts.yml")
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")


def test_the_alerts_fire_when_they_should_and_only_then():
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def firing():
    """When which alert fires in the tests of the alerts."""
    return [
        (test, question["eval_time"], re.search(r'alertname="(\w+)"', sample["labels"])[1])
        for test in TESTS for question in test["promql_expr_test"] for sample in question["exp_samples"]]


def test_every_alert_has_a_test_in_which_it_fires():
    assert {name for _, _, name in firing()} == {rule["alert"] for rule in ALERTS}


def test_what_an_alert_says_reads_well(tmp_path):
    """promtool shows what came that wasn't expected, with the templates filled in."""
    tests = [
        {"interval": test["interval"], "input_series": test["input_series"],
         "alert_rule_test": [{"eval_time": at, "alertname": name, "exp_alerts": []}]}
        for test, at, name in firing()]
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump(
        {"rule_files": [str(MONITORING / "alerts.yml")], "evaluation_interval": "1m", "tests": tests}))
    said = promtool("test", "rules", file, check=False)
    told = [dict(LABEL.findall(re.sub(r'", ', '",', each))) for each in re.findall(r"Annotations:\{(.*)\}", said)]
    assert len(told) >= len(ALERTS)
    for annotations in told:
        assert set(annotations) == {"summary", "description"}
        for text in annotations.values():
            assert not re.search(r"[{}]|error (?:expanding|executing)|NaN|no value|^ | $|  ", text), text


def is_section(document, name):
    """Whether a document has a heading, a paragraph or a row of a table of this name."""
    name = re.escape(name)
    return re.search(rf"^#+ {name}$|^\*\*{name}\.\*\*|^\| `{name}` \|", document, re.M)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule):
    assert rule["labels"] in [{"severity": severity} for severity in ["critical", "warning", "info"]]
    description = rule["annotations"]["description"]
    places = re.findall(r'((?:"[^"]+"(?:,? and |, )?)+) in (docs/[\w-]+\.md)', description)
    sections = [(name, file) for names, file in places for name in re.findall(r'"([^"]+)"', names)]
    assert description.count("docs/") == len({file for _, file in sections})
    for name, file in sections:
        assert is_section((PROJECT / file).read_text(), name), f"{file} has no section {name}"


# MARK: Grafana


def test_each_panel_of_the_dashboard_has_a_place_of_its_own():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y) for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_dashboard_asks_the_data_source_and_the_nodes_that_are_chosen():
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "job", "instance"]
    for panel in PANELS:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            selectors = re.findall(r"\{(.*?)\}", target["expr"])
            assert selectors
            assert all(each.startswith('job=~"$job", instance=~"$instance"') for each in selectors), panel["title"]


def test_the_legends_of_the_dashboard_name_labels_that_are_there():
    for panel in PANELS:
        for target in panel["targets"]:
            labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert labels <= asked(target["expr"]).labels, panel["title"]


# MARK: Documentation


def documented():
    """The metrics in the tables of the documentation, and their labels."""
    text = DOCUMENTATION.read_text().split("\n## Metrics\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.M)
    return {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}


def test_every_metric_is_explained_and_documented(seen):
    """A metric that is nowhere to be seen is a leftover, or wants a case above."""
    explained = set(re.findall(r'^        "(\w+)":', HELP.read_text(), re.M))
    assert len(explained) > 30
    assert explained == seen.types == set(documented())
    for metrics in seen.documents:
        assert set(metrics.help) == set(metrics.types)


def test_the_labels_of_each_metric_are_documented(seen):
    found = {}
    for metrics in seen.documents:
        for name, type in metrics.types.items():
            for (each, labels) in metrics.series():
                if each in ({name + "_count"} if type == "histogram" else {name}):
                    found.setdefault(name, set()).update(label for label, _ in labels)
    assert found == documented()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_is_documented(rule):
    assert f"`{rule['alert']}`" in DOCUMENTATION.read_text()
