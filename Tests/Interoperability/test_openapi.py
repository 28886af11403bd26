"""The OpenAPI document: that it is valid, true of what the server answers, and shown by the page."""

import base64
import contextlib
import hashlib
import html.parser
import json
import pathlib
import re
import sqlite3
import subprocess
import sys
import time

import pytest
import schemathesis
import tokens
from oauth import TOKEN, Client, token
from openapi_spec_validator import validate
from schemathesis.specs.openapi.checks import (
    content_type_conformance, response_headers_conformance, response_schema_conformance, status_code_conformance)
from service import PASSWORD, Installation, answered, environment

APP = "https://app.example"
FOLDER = pathlib.Path(__file__).parent
SCHEMATHESIS = [sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", FOLDER / "schemathesis.toml"]


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    installation = Installation(
        tmp_path_factory.mktemp("service"), algorithms="ES256,RS256,EdDSA", cors_origins=APP)
    yield installation.serve()
    installation.close()


@pytest.fixture(scope="module")
def document(shared_server):
    return answered(shared_server.get("/openapi.json"))


def test_the_document_is_valid(shared_server, document):
    validate(document)
    assert document["openapi"].startswith("3.1.")
    assert document["servers"] == [{"url": shared_server.url}]


# MARK: What schemathesis makes up


@pytest.fixture(scope="module")
def given(shared_server):
    """Who openapi_hooks.py may be, and what it can't make up."""
    installation = shared_server.installation
    for name in ["lasting", "passing"]:
        installation.add_user(name, "--scope", "read", "--claim", 'plan="gold"')
    audiences = ["https://one.example", "orders"]
    client = Client(
        installation, "client", "--scope", "read", *[f"--audience={audience}" for audience in audiences],
        *[f"--may={what}" for what in ["introspect", "revoke", "exchange"]])
    uri = tokens.claims(token(shared_server, client))["status"]["status_list"]["uri"]
    return {
        "url": shared_server.url, "origin": APP, "password": PASSWORD, "client": client.basic, "audiences": audiences,
        "status_list": uri.rpartition("/")[2]}


@pytest.mark.parametrize("run", ["bearer", "basic"])
def test_every_answer_is_as_documented(shared_server, document, given, run, tmp_path):
    answers, file = tmp_path / "answers", tmp_path / "openapi.json"
    # From its URL it would leave out the operation that answers with the document.
    file.write_text(json.dumps(document))
    completed = subprocess.run(
        [*SCHEMATHESIS, "run", file, "--url", shared_server.url], cwd=tmp_path, capture_output=True, text=True,
        timeout=90, env=environment({}) | {
            "SCHEMATHESIS_HOOKS": "openapi_hooks", "PYTHONPATH": str(FOLDER),
            "OPENAPI_TEST": json.dumps(given | {"run": run, "answers": str(answers)})})
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "a request failed" not in shared_server.log
    # And it got through: each operation gave every answer that isn't an error.
    good = {
        f"{operation['operationId']} {status}" for path in document["paths"].values() for operation in path.values()
        for status in operation["responses"] if status < "400"}
    assert good <= set(answers.read_text().splitlines())


# MARK: What it doesn't


CONFORMANCE = [
    content_type_conformance, response_headers_conformance, response_schema_conformance, status_code_conformance]


@pytest.fixture(scope="module")
def assert_documented(document):
    schema = schemathesis.openapi.from_dict(document)

    def check(response, status):
        assert response.status_code == status, response.text
        operation = schema[response.request.path_url][response.request.method]
        operation.Case().validate_response(response, checks=CONFORMANCE)

    return check


def test_a_body_that_is_too_large_or_of_another_type(shared_server, document, user, assert_documented):
    bearer = shared_server.log_in(user)["access_token"]
    paths = [path for path, methods in document["paths"].items() if "requestBody" in methods.get("post", {})]
    assert len(paths) == 8
    for path in paths:
        for body, status in [(b"x" * 70_000, 413), (b"x", 415)]:
            headers = {"Content-Type": "text/plain"}
            assert_documented(shared_server.request("POST", path, bearer, headers, data=body), status)


def test_a_body_that_doesn_t_arrive(shared_server, assert_documented):
    def dawdle():
        yield b"grant_type="
        time.sleep(16)

    assert_documented(shared_server.request("POST", TOKEN, data=dawdle()), 408)


def test_too_many_attempts(make_installation, assert_documented):
    server = make_installation(algorithms="ES256", log_in_rate="1/h").serve()
    body = {"username": "nobody", "password": "x"}
    for status in [401, 429]:
        assert_documented(server.post("/auth/log-in", body), status)


def test_a_database_that_is_away(make_installation, assert_documented):
    installation = make_installation(algorithms="ES256")
    installation.add_user("anna")
    server = installation.serve()
    with contextlib.closing(sqlite3.connect(installation.folder / "token-service.sqlite")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        response = server.post("/auth/log-in", {"username": "anna", "password": PASSWORD})
        connection.rollback()
    assert_documented(response, 503)


# MARK: The page


class Page(html.parser.HTMLParser):
    """A page's text by element, and what it refers to."""

    def __init__(self, text):
        super().__init__()
        self.text, self.tags, self.ids, self.references = {}, set(), set(), []
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.add(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.add(value)
            elif name not in ["lang", "charset", "name", "content"]:
                self.references.append((tag, name, value))

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.text.setdefault(self.open[-1] if self.open else "", []).append(data)


def test_the_page_shows_every_operation_and_loads_nothing(shared_server, document):
    response = shared_server.get("/docs")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    page = Page(response.text)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert f"{method.upper()} {path}" in page.text["code"]
            assert operation["operationId"] in page.ids
    # It has no element but those of text, and refers to itself and the document only.
    assert page.tags <= {
        "html", "head", "meta", "title", "style", "body", "nav", "section", "ul", "li", "h1", "h2", "h3", "p", "a",
        "code", "pre", "table", "tr", "th", "td", "br"}
    for tag, name, value in page.references:
        assert (tag, name) == ("a", "href")
        assert value == "openapi.json" or value.removeprefix("#") in page.ids
    (style,) = page.text["style"]
    assert not re.search(r"url|@|\\|expression", style)
    # Nor would the browser load anything.
    policy = response.headers["Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")
