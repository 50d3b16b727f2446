"""One execution environment of a function: a process, its Runtime API, its credentials.

AWS behaviour: Lambda Developer Guide, "Lambda execution environment lifecycle" and "Defined runtime
environment variables". An environment serves one event at a time and is reused while it lives.
"""

import json
import os
import queue
import signal
import subprocess
import threading
import time
import uuid

from .logs import LogShipper
from .runtime_api import RuntimeApi

_INHERITED = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH")


def exit_error(invocation, message):
    return {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {invocation.request_id} Error: {message}"}


class Instance:
    def __init__(self, host, function):
        self.host = host
        self.function = function
        self.session = host.mint(function)
        self.current = None
        self.last = None
        self.alive = True
        self.ready = threading.Event()
        self.stream = f"{time.strftime('%Y/%m/%d')}/[$LATEST]{uuid.uuid4().hex}"
        self.early_logs = []
        self.init_error = None
        self._inbox = queue.Queue()
        self.api = RuntimeApi(self)
        self.shipper = LogShipper(host.lab, function, self.stream)
        self.process = subprocess.Popen(
            function.command,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        threading.Thread(target=self._read_output, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    def _environment(self):
        function = self.function
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {
            **inherited,
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": os.path.dirname(os.path.abspath(function.command[0])),
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.api.port}",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
            "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self.stream,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_EXECUTION_ENV": "AWS_Lambda_provided.al2023",
            "_HANDLER": "bootstrap",
            "AWS_REGION": function.region,
            "AWS_DEFAULT_REGION": function.region,
            "AWS_ACCESS_KEY_ID": self.session.access_key,
            "AWS_SECRET_ACCESS_KEY": self.session.secret,
            "AWS_SESSION_TOKEN": self.session.token,
            "AWS_ENDPOINT_URL": self.host.lab.world.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            **function.environment,
        }

    def _read_output(self):
        for line in iter(self.process.stdout.readline, b""):
            text = line.decode("utf-8", "replace").rstrip("\n")
            owner = self.current or self.last
            (owner.logs if owner else self.early_logs).append(text)
            self.shipper.line(text)
        self.shipper.close()

    def _watch(self):
        code = self.process.wait()
        self.alive = False
        self.ready.set()
        self._inbox.put(None)
        self.api.close()
        current = self.current
        if current is not None:
            reason = f"signal: {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
            current.finish("crashed", error=exit_error(current, f"Runtime exited with error: {reason}"))
        self.host.forget(self)

    # --- called by the Runtime API ---

    def next_event(self):
        """Block until there is work; None when the environment is being thrown away."""
        self.ready.set()
        return self._inbox.get()

    def respond(self, request_id, body):
        self._complete(request_id, "ok", response=_parsed(body))

    def fail(self, request_id, body):
        self._complete(request_id, "error", error=_parsed(body))

    def fail_init(self, body):
        self.init_error = _parsed(body)
        self.kill()

    def _complete(self, request_id, status, **outcome):
        current = self.current
        if current is not None and current.request_id == request_id:
            self.last = current
            self.current = None
            current.finish(status, **outcome)

    # --- called by the host ---

    def assign(self, invocation):
        invocation.instance = self
        invocation.deadline_ms = int((time.time() + self.function.timeout) * 1000)
        self.current = invocation
        self.host.lab.faults.begin(invocation)
        if not self.alive:
            invocation.finish("crashed", error=exit_error(invocation, "Runtime exited"))
        self._inbox.put(invocation)

    def kill(self):
        """SIGKILL to the whole process group, and wait until it is gone."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def _parsed(body):
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
