"""The Lambda Runtime API of one execution environment.

AWS behaviour: Lambda Developer Guide, "Using the Lambda runtime API" (version 2018-06-01).
"""

import json
import re

from .wire import Dropped, Response, Server

_PREFIX = "/2018-06-01/runtime"
_ACCEPTED = Response(202, [("Content-Type", "application/json")], b'{"status":"OK"}')


class RuntimeApi:
    def __init__(self, instance):
        self.instance = instance
        self.server = Server(self._answer)
        self.port = self.server.server_port
        self.server.start()

    def close(self):
        self.server.stop()

    def _answer(self, request):
        path = request.path.removeprefix(_PREFIX)
        if request.method == "GET" and path == "/invocation/next":
            return self._next()
        if request.method == "POST" and path == "/init/error":
            self.instance.fail_init(request.body)
            return _ACCEPTED
        outcome = re.fullmatch(r"/invocation/([^/]+)/(response|error)", path)
        if request.method == "POST" and outcome:
            complete = self.instance.respond if outcome[2] == "response" else self.instance.fail
            complete(outcome[1], request.body)
            return _ACCEPTED
        return Response(404, [("Content-Type", "application/json")], b'{"errorMessage":"not found"}')

    def _next(self):
        invocation = self.instance.next_event()
        if invocation is None:
            raise Dropped
        headers = [
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(invocation.deadline_ms)),
            ("Lambda-Runtime-Invoked-Function-Arn", invocation.function.arn),
            ("Lambda-Runtime-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0"),
        ]
        payload = invocation.payload
        return Response(200, headers, payload if isinstance(payload, bytes) else json.dumps(payload).encode())
