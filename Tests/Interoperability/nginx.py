"""nginx before some nodes, as Debian's nginx-light has it: a process and a folder of the tests' own, on loopback."""

import collections
import contextlib
import os
import shutil
import socket
import subprocess
import urllib.parse

from postgresql import AS_SERVER, folder_of_server, free_port
from service import PATIENCE, eventually

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/errors warn;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    log_format requests '$msec|$request_time|$http_x_request_id|$request_method|$uri|$status|'
        '$upstream_addr|$upstream_status|$upstream_bytes_sent';
    access_log {folder}/requests requests;
    upstream nodes {{
{servers}
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://nodes;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $remote_addr;
            # As it is by default, which is what is right here, too: a request goes on to the next node where this one
            # can't be reached, or breaks off and the method is idempotent. A POST that a node has begun on isn't sent
            # again behind the client's back, who gets 502 and knows what may be repeated.
            proxy_next_upstream error timeout;
        }}
    }}
}}
"""

#: A request as nginx saw it, and each node that it was sent to. The times are those of the machine's clock.
Request = collections.namedtuple("Request", "began ended id method path status attempts")
#: `sent` is how many bytes of the request the node was sent: none where it couldn't be reached.
Attempt = collections.namedtuple("Attempt", "node status sent")


class Nginx:
    """Distributes requests to nodes in turn, and writes down which of them answered what."""

    def __init__(self, nodes):
        self.folder = folder_of_server()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        servers = "\n".join(f"        server {address(node)};" for node in nodes)
        configuration = self.folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(folder=self.folder, port=self.port, servers=servers))
        program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        self.process = subprocess.Popen(
            [program, "-p", self.folder, "-e", self.folder / "errors", "-c", configuration], cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **AS_SERVER)
        eventually(self._listens, within=5)

    def _listens(self):
        """nginx listens."""
        assert self.process.poll() is None, (self.folder / "errors").read_text()
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
            return True

    @property
    def requests(self):
        """What was asked so far."""
        return [_request(line) for line in (self.folder / "requests").read_text().splitlines()]

    def close(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        shutil.rmtree(self.folder)


def address(node):
    return urllib.parse.urlsplit(node.url).netloc


def _request(line):
    ended, took, id, method, path, status, *attempts = line.split("|")
    # Where nginx sent it to several nodes, each of the last three has a value for each.
    attempts = [Attempt(node, *map(_number, rest)) for node, *rest in zip(*[each.split(", ") for each in attempts])]
    return Request(float(ended) - float(took), float(ended), id, method, path, int(status), attempts)


def _number(text):
    return int(text) if text.isdigit() else 0
