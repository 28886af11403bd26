"""The first import of each script that measures: goes on in the Python of the interoperability tests, with the release
build, or where there is none with the debug build, unless TOKEN_SERVICE_BINARY names another."""

import os
import pathlib
import sys

PROJECT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = PROJECT / ".build-python" / "bin" / "python"

if pathlib.Path(sys.prefix) != PROJECT / ".build-python":
    if not PYTHON.exists():
        sys.exit("error: the Python packages aren't there: run scripts/setup --tests")
    os.execv(PYTHON, [str(PYTHON), *sys.argv])
if "TOKEN_SERVICE_BINARY" not in os.environ:
    builds = [PROJECT / ".build" / build / "token-service" for build in ["release", "debug"]]
    os.environ["TOKEN_SERVICE_BINARY"] = str(next((each for each in builds if each.exists()), builds[0]))
