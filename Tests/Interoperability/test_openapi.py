"""The OpenAPI document: that it is valid, that it is true of what the server answers, and that the page shows it."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import tokens
from oauth import Client, token
from openapi_spec_validator import validate
from service import PASSWORD, Installation, answered, environment

APP = "https://app.example"
FOLDER = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    installation = Installation(
        tmp_path_factory.mktemp("service"), algorithms="ES256,RS256,EdDSA", cors_origins=APP)
    yield installation.serve()
    installation.close()


@pytest.fixture(scope="module")
def document(shared_server):
    if override := os.environ.get("OPENAPI_DEV"):
        return json.load(open(override)) | {"servers": [{"url": shared_server.url}]}
    return answered(shared_server.get("/openapi.json"))


def operations(document):
    return {operation["operationId"]: operation for path in document["paths"].values() for operation in path.values()}


# MARK: The document


def test_the_document_is_valid(shared_server, document):
    validate(document)
    assert document["openapi"].startswith("3.1.")
    assert document["servers"] == [{"url": shared_server.url}]


# MARK: The server


@pytest.fixture(scope="module")
def given(shared_server, tmp_path_factory):
    """What openapi_hooks.py needs to know."""
    installation = shared_server.installation
    for name in ["lasting", "passing"]:
        installation.add_user(name, "--scope", "read", "--claim", "plan=[1]")
    audiences = ["https://one.example", "orders"]
    client = Client(
        installation, "client", "--scope", "read", *[f"--audience={audience}" for audience in audiences],
        *[f"--may={what}" for what in ["introspect", "revoke", "exchange"]])
    status = tokens.claims(token(shared_server, client))["status"]["status_list"]
    return {
        "url": shared_server.url, "origin": APP, "password": PASSWORD, "client": client.basic, "audiences": audiences,
        "status_list": status["uri"].rpartition("/")[2]}


@pytest.mark.parametrize("run", ["bearer", "basic"])
def test_every_answer_is_as_documented(shared_server, document, given, run, tmp_path):
    answers = tmp_path / "answers"
    location = shared_server.url + "/openapi.json"
    if os.environ.get("OPENAPI_DEV"):
        (tmp_path / "doc.json").write_text(json.dumps(document)); location = str(tmp_path / "doc.json")
    extra = ["--url", shared_server.url] if os.environ.get("OPENAPI_DEV") else []
    variables = {
        "SCHEMATHESIS_HOOKS": "openapi_hooks", "PYTHONPATH": str(FOLDER),
        "OPENAPI_TEST": json.dumps(given | {"run": run, "answers": str(answers)})}
    completed = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "--config-file", FOLDER / "schemathesis.toml", "run", location, *extra],
        cwd=tmp_path, env=environment({}) | variables, capture_output=True, text=True, timeout=90)
    print(completed.stdout)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "a request failed" not in shared_server.log
    # Nothing of it was idle: each operation had every good answer that it has.
    seen = set(answers.read_text().splitlines())
    good = {
        f"{name} {status}" for name, operation in operations(document).items() for status in operation["responses"]
        if status < "400"}
    assert good - seen == set()
