"""The HTTP/1.1 front of the lab: raw request bytes in, response bytes out.

SigV4 covers the request target and the body exactly as sent, so this server keeps both; a WSGI
server would already have decoded them. Connections are kept alive as AWS keeps them.
"""

import contextlib
import http.server
import socket
import socketserver
import struct
import threading
import traceback
from dataclasses import dataclass, field


@dataclass
class Request:
    method: str
    target: str
    headers: dict
    """Header values by lower-case name."""
    body: bytes
    peer: str = "127.0.0.1"

    @property
    def path(self):
        return self.target.split("?", 1)[0]

    @property
    def query(self):
        return self.target.split("?", 1)[1] if "?" in self.target else ""

    def header(self, name, default=""):
        return self.headers.get(name, default)


@dataclass
class Response:
    status: int
    headers: list = field(default_factory=list)
    body: bytes = b""


class Dropped(Exception):
    """The connection ends without an answer."""


class Reset(Dropped):
    """It ends with a TCP reset, as when a peer or a load balancer goes away in the middle."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave as two writes; without this every answer waits for a delayed ACK.
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle_any(self):
        try:
            request = Request(
                method=self.command,
                target=self.path,
                headers=self._headers(),
                body=self._body(),
                peer=self.client_address[0],
            )
            response = self.server.application(request)
        except Reset:
            self.close_connection = True
            self._reset()
            return
        except Dropped:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        except Exception:
            # A bug of the lab: say so where the log is read, and answer rather than hang up.
            traceback.print_exc()
            response = Response(500, [("Content-Type", "text/plain")], traceback.format_exc().encode())
        self._answer(response)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = handle_any

    def _reset(self):
        """Close at once, with nothing lingering; closed the usual way a FIN would go out first."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.socket(fileno=self.connection.detach()).close()

    def handle_expect_100(self):
        """Tell a client that waits with its body to send it, now rather than with the answer."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def _headers(self):
        headers = {}
        for name, value in self.headers.items():
            name = name.lower()
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        return headers

    def _body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunked_body()
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(length) if length else b""

    def _chunked_body(self):
        parts = []
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            if size == 0:
                break
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _answer(self, response):
        self.send_response_only(response.status)
        sent = set()
        for name, value in response.headers:
            if name.lower() in ("connection", "transfer-encoding", "content-length"):
                if name.lower() != "content-length" or self.command != "HEAD":
                    continue
            sent.add(name.lower())
            self.send_header(name, value)
        if "content-length" not in sent:
            self.send_header("Content-Length", str(len(response.body)))
        if "date" not in sent:
            self.send_header("Date", self.date_time_string())
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        self.wfile.flush()

    def log_message(self, *_):
        """The call record is the log."""


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, application, port=0):
        super().__init__(("127.0.0.1", port), _Handler)
        self.application = application
        self.stopped = False

    def server_bind(self):
        # HTTPServer.server_bind resolves the host's name, which may ask a DNS server.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        """A client that goes away (killed functions do) is no error of ours."""

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}"

    def start(self):
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        return thread

    def _accept(self):
        """Without `serve_forever`, which wakes up many times a second in each of hundreds of servers."""
        while not self.stopped:
            # A client that goes away before it is let in is none; so is one that `stop` wakes us with.
            with contextlib.suppress(OSError):
                self.process_request(*self.socket.accept())

    def stop(self):
        """No more connections: whoever waits for one gets up."""
        self.stopped = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.server_close()
