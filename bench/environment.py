"""One execution environment under measurement: the process, its Runtime API, and the clocks read around it.

It lives outside the lab's process, so that the lab's work does not delay the Runtime API's answers.
"""

import json
import os
import queue
import signal
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass, field

from lab.runtime_api import RuntimeApi

_PATIENCE_SECONDS = 90
_TIMEOUT_MS = 60_000
# CPUCLOCK_SCHED of a whole process, as clock_getcpuclockid(3) composes it: nanoseconds, ended threads included.
_PROCESS_CLOCK = 2


@dataclass
class _Arn:
    arn: str


@dataclass
class Event:
    payload: dict
    function: _Arn
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    deadline_ms: int = field(default_factory=lambda: int(time.time() * 1000) + _TIMEOUT_MS)
    done: threading.Event = field(default_factory=threading.Event)
    handed_over: float = 0
    answered: float = 0
    answer: object = None
    error: object = None


class Failed(Exception):
    """The function did not do what is being measured."""


class Environment:
    def __init__(self, subject, credentials, variables):
        self.subject = subject
        self.output = []
        self._function = _Arn(f"arn:aws:lambda:{variables['AWS_REGION']}:000000000000:function:{subject.key}")
        self._aws_port = int(variables["AWS_ENDPOINT_URL"].rpartition(":")[2])
        self._inbox = queue.Queue()
        self._asked = threading.Semaphore(0)
        self._current = None
        self.api = RuntimeApi(self)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": str(subject.folder),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.api.port}",
            "AWS_LAMBDA_FUNCTION_NAME": subject.key,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
            "AWS_EC2_METADATA_DISABLED": "true",
            **variables,
        }
        started = time.monotonic()
        self.process = subprocess.Popen(
            subject.command,
            env=environment,
            cwd=subject.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._clock = (~self.process.pid << 3) | _PROCESS_CLOCK
        threading.Thread(target=self._read_output, daemon=True).start()
        self._wait_until_it_asks()
        self.init_ms = (self._asked_at - started) * 1000
        self.init_cpu_ms = self.cpu_ms

    def _read_output(self):
        for line in self.process.stdout:
            self.output.append(line.decode("utf-8", "replace"))

    def _wait_until_it_asks(self):
        """Until the process asks for an event: everything it was doing is then done."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._asked.acquire(timeout=0.2):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{self.subject.name} does not ask for events:\n{''.join(self.output[-30:])}")
        self.cpu_ms = self._cpu_at_asking

    def invoke(self, payload):
        """Hand over an event; what is returned was measured until its answer."""
        before = self.cpu_ms
        event = Event(payload, self._function)
        self._current = event
        event.handed_over = time.monotonic()
        self._inbox.put(event)
        if not event.done.wait(_PATIENCE_SECONDS):
            raise Failed(f"{self.subject.name} does not answer:\n{''.join(self.output[-30:])}")
        self._wait_until_it_asks()
        if event.error is not None:
            raise Failed(f"{self.subject.name}: {event.error}\n{''.join(self.output[-30:])}")
        return event, (event.answered - event.handed_over) * 1000, self.cpu_ms - before

    def peak_mb(self):
        """The most memory it ever had resident; of this program alone, which ru_maxrss is not."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        raise Failed("the kernel does not say VmHWM")

    def connections(self):
        """How many connections to AWS it holds open."""
        with open(f"/proc/{self.process.pid}/net/tcp", encoding="ascii") as table:
            rows = [line.split() for line in table.readlines()[1:]]
        # Remote address as hexadecimal address:port, and the socket's inode.
        inodes = {row[9] for row in rows if int(row[2].rpartition(":")[2], 16) == self._aws_port}
        folder = f"/proc/{self.process.pid}/fd"
        held = [os.readlink(f"{folder}/{name}") for name in os.listdir(folder)]
        return sum(link.startswith("socket:[") and link[8:-1] in inodes for link in held)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._inbox.put(None)
        self.api.close()

    # --- called by the Runtime API ---

    def next_event(self):
        self._asked_at = time.monotonic()
        self._cpu_at_asking = time.clock_gettime_ns(self._clock) / 1e6
        self._asked.release()
        return self._inbox.get()

    def respond(self, _, body):
        self._finish(answer=json.loads(body))

    def fail(self, _, body):
        self._finish(error=body.decode("utf-8", "replace"))

    def fail_init(self, body):
        self.output.append(body.decode("utf-8", "replace"))
        self.process.kill()

    def _finish(self, answer=None, error=None):
        event, self._current = self._current, None
        event.answered = time.monotonic()
        event.answer, event.error = answer, error
        event.done.set()
