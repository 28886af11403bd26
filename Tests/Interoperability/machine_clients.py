"""Fixtures of the tests of machine clients: a server whose endings are known soon, and a client of each test's own."""

import pytest
from oauth import Client
from service import Installation

STATUS_TTL = 2
#: From an ending to the refusal by whoever keeps a status list for as long as it may.
BAR = STATUS_TTL + 2


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("service"), status_ttl=f"{STATUS_TTL}s")
    yield installation.serve()
    installation.close()


@pytest.fixture
def installation(shared_server):
    return shared_server.installation


@pytest.fixture
def client(request, installation):
    return Client(installation, request.node.name, "--scope", "read")
