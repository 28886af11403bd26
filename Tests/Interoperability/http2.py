"""A client of HTTP/2 that does what a test says, and nothing by itself."""

import h2.config
import h2.connection
import h2.events
from h2.connection import ConnectionInputs, ConnectionState, H2ConnectionStateMachine
from certificates import connect

from service import PATIENCE

# The library takes a GOAWAY for the end. It is the announcement of it: the streams that are there go on (RFC 9113
# section 6.8).
H2ConnectionStateMachine._transitions[ConnectionState.CLIENT_OPEN, ConnectionInputs.RECV_GOAWAY] = (
    None, ConnectionState.CLIENT_OPEN)


class HTTP2:
    """A connection. `answers` has the status of each stream that was answered whole, `reset` those that were reset."""

    def __init__(self, server):
        self.server = server
        self.socket = connect(server, protocols=["h2"])
        assert self.socket.selected_alpn_protocol() == "h2"
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.statuses, self.answers, self.reset = {}, {}, set()
        self.is_over = self.said_goodbye = False
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def ask(self, method, path, body=None, fields=(), ends=True):
        """Begins a request, and gives its stream; without `ends` the body goes on."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(
            stream,
            [(":method", method), (":path", path), (":scheme", "https"), (":authority", "a"), *fields],
            end_stream=ends and body is None)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=ends)
        self.flush()
        return stream

    def read(self, until, within=PATIENCE):
        """Takes what comes until something is so, or the connection is over; gives whether it is so."""
        self.socket.settimeout(within)
        while not until() and not self.is_over:
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                return False
            except OSError:
                data = b""
            if not data:
                self.is_over = True
                break
            for event in self.h2.receive_data(data):
                self._take(event)
            self.flush()
        return bool(until())

    def _take(self, event):
        if isinstance(event, h2.events.ResponseReceived):
            self.statuses[event.stream_id] = int(dict(event.headers)[":status"])
        elif isinstance(event, h2.events.StreamEnded):
            self.answers[event.stream_id] = self.statuses[event.stream_id]
        elif isinstance(event, h2.events.StreamReset):
            self.reset.add(event.stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.said_goodbye = True

    def close(self):
        self.socket.close()
