"""The function host: what Lambda does around a handler.

AWS behaviour: Lambda Developer Guide, "Asynchronous invocation" (two more tries on error with the
same request id, then the on-failure destination) and "Lambda execution environment lifecycle": an
environment (`instance`) has its own session of the function's role, is reused while it lives, and is
thrown away when it crashes or runs out of time.
"""

import json
import threading
import time
import uuid
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from .client import client_for
from .instance import Instance
from .plugin import access
from .plugin.faults import InFlight
from .plugin.operation import Operation
from .plugin.services.sts import mint_role_session

_INIT_SECONDS = 10
_MOST_INSTANCES = 25


@dataclass
class Function:
    name: str
    command: list
    role_arn: str
    environment: dict = field(default_factory=dict)
    timeout: float = 60.0
    memory: int = 256
    max_retry_attempts: int = 2
    retry_delays_ms: list = field(default_factory=lambda: [200, 400])
    """Lambda waits one and two minutes; tests do not."""
    on_failure_arn: str = ""
    log_group: str = ""
    account: str = ""
    region: str = ""

    @property
    def arn(self):
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}"

    def __post_init__(self):
        self.log_group = self.log_group or f"/aws/lambda/{self.name}"


@dataclass
class Invocation:
    """One attempt to run an event."""

    function: Function
    request_id: str
    payload: object
    attempt: int = 1
    event_id: str = ""
    instance: object = None
    cold: bool = False
    status: str = ""
    response: object = None
    error: object = None
    logs: list = field(default_factory=list)
    doomed: bool = False
    """A fault has ordered the crash: nothing more of this attempt is carried out."""
    calls: InFlight = field(default_factory=InFlight)
    requests: list = field(default_factory=list)
    """What it asked of AWS, in the order it arrived: (operation, subject)."""
    deadline_ms: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    def finish(self, status, response=None, error=None):
        """The first outcome counts."""
        if not self.done.is_set():
            self.status, self.response, self.error = status, response, error
            self.done.set()


class FunctionHost:
    def __init__(self, lab):
        self.lab = lab
        self.functions = {}
        self._idle = {}
        self._instances = set()
        self._by_key = {}
        self._clients = {}
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(max_workers=64, thread_name_prefix="functions")

    def register(self, **settings):
        world = self.lab.world
        function = Function(**{"account": world.account, "region": world.region, **settings})
        self.stop(function.name)
        self.functions[function.name] = function
        with self._changed:
            self._clients = {key: client for key, client in self._clients.items() if key[0] != function.name}
        return function

    def mint(self, function):
        """Assume the function's role as the Lambda service does; its trust policy must let it."""
        service = access.service_principal("lambda.amazonaws.com", function.account)
        operation = Operation("sts", "AssumeRole", "query", function.region)
        return mint_role_session(
            self.lab, service, function.role_arn, function.name, context=service.context, operation=operation
        )

    def client(self, function, service, region):
        """A client with the function's role, for what Lambda does in its name. Kept, since making one takes long."""
        key = (function.name, service, region)
        client = self._clients.get(key)
        if client is None:
            client = client_for(self.lab.world.endpoint, service, region, self.mint(function))
            with self._changed:
                client = self._clients.setdefault(key, client)
        return client

    def invocation_of(self, access_key):
        """The invocation on whose behalf a call with this key is made, if it is a function's."""
        instance = self._by_key.get(access_key)
        return (instance.current or instance.last) if instance else None

    def extend(self, access_key, child):
        """If the key is a function's, calls with the key of a role it assumed are the function's too."""
        with self._changed:
            if access_key in self._by_key:
                self._by_key[child] = self._by_key[access_key]

    # --- invoking ---

    def invoke(self, name, payload, request_id=None, attempt=1, event_id=""):
        """Run an event to its end and record it."""
        function = self.functions[_bare(name)]
        invocation = Invocation(function, request_id or str(uuid.uuid4()), payload, attempt, event_id)
        try:
            instance, invocation.cold = self._take(function)
        except Exception as error:
            stated = error.args[0] if isinstance(error, InitFailed) else None
            invocation.finish("error", error=stated or {"errorType": "Runtime.InitError", "errorMessage": str(error)})
            return self._record(invocation)
        if invocation.cold:
            invocation.logs.extend(instance.early_logs)
        instance.assign(invocation)
        if not invocation.done.wait(function.timeout):
            message = f"RequestId: {invocation.request_id} Error: Task timed out after {function.timeout:.2f} seconds"
            invocation.finish("timeout", error={"errorType": "Sandbox.Timedout", "errorMessage": message})
            instance.kill()
        if invocation.status in ("ok", "error"):
            self._give_back(instance)
        return self._record(invocation)

    def invoke_async(self, name, payload, event_id="", request_id=None):
        """Accept an event; unknown functions are refused at once, as Lambda does."""
        function = self.functions[_bare(name)]
        request_id = request_id or str(uuid.uuid4())
        self._pool.submit(self._run_with_retries, function, payload, request_id, event_id)
        return request_id

    def _run_with_retries(self, function, payload, request_id, event_id):
        for attempt in range(1, function.max_retry_attempts + 2):
            invocation = self.invoke(function.name, payload, request_id, attempt, event_id)
            if invocation.status == "ok":
                return
            if attempt <= function.max_retry_attempts:
                delays = function.retry_delays_ms or [0]
                time.sleep(delays[min(attempt, len(delays)) - 1] / 1000)
        if function.on_failure_arn:
            self._send_to_destination(function, invocation, attempt)

    def _send_to_destination(self, function, invocation, attempts):
        """Lambda delivers failures with the function role's own permissions."""
        payload = invocation.payload
        body = json.dumps(
            {
                "version": "1.0",
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
                "requestContext": {
                    "requestId": invocation.request_id,
                    "functionArn": f"{function.arn}:$LATEST",
                    "condition": "RetriesExhausted",
                    "approximateInvokeCount": attempts,
                },
                "requestPayload": payload.decode("utf-8", "replace") if isinstance(payload, bytes) else payload,
                "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
                "responsePayload": invocation.error,
            }
        )
        arn = function.on_failure_arn
        service, region, account, name = arn.split(":")[2:6]
        try:
            client = self.client(function, service, region)
            if service == "sqs":
                client.send_message(QueueUrl=f"{self.lab.world.endpoint}/{account}/{name}", MessageBody=body)
            else:
                client.publish(TopicArn=arn, Message=body)
            status, error = "delivered", None
        except Exception as failure:
            status, error = "failed", str(failure)
        self.lab.world.deliveries.append(
            event_id=invocation.event_id, rule=None, target=arn, status=status, attempts=1, error=error,
            request_id=invocation.request_id,
        )  # fmt: skip

    def _record(self, invocation):
        self.lab.world.invocations.append(
            function=invocation.function.name,
            request_id=invocation.request_id,
            attempt=invocation.attempt,
            event_id=invocation.event_id,
            status=invocation.status,
            response=invocation.response,
            error=invocation.error,
            cold=invocation.cold,
            requests=list(invocation.requests),
            deadline_ms=invocation.deadline_ms,
            # The list itself, not a copy: the last lines may still be in the pipe.
            logs=invocation.logs,
        )
        return invocation

    # --- environments ---

    def _take(self, function):
        """An idle environment, or a new one; waits when too many are busy."""
        with self._changed:
            while True:
                idle = self._idle.setdefault(function.name, deque())
                while idle:
                    instance = idle.pop()
                    if instance.alive:
                        return instance, False
                if sum(i.function.name == function.name for i in self._instances) < _MOST_INSTANCES:
                    break
                self._changed.wait(1)
            placeholder = _Starting(function)
            self._instances.add(placeholder)
        try:
            instance = Instance(self, function)
        finally:
            with self._changed:
                self._instances.discard(placeholder)
        with self._changed:
            self._instances.add(instance)
            self._by_key[instance.session.access_key] = instance
        ready = instance.ready.wait(_INIT_SECONDS)
        if not ready or not instance.alive:
            instance.kill()
            last_words = " | ".join(instance.early_logs[-5:])
            message = f"Error: Runtime exited during initialisation: {last_words}"
            raise InitFailed(instance.init_error or {"errorType": "Runtime.ExitError", "errorMessage": message})
        return instance, True

    def _give_back(self, instance):
        with self._changed:
            if instance.alive and instance.function is self.functions.get(instance.function.name):
                self._idle.setdefault(instance.function.name, deque()).append(instance)
            self._changed.notify_all()

    def forget(self, instance):
        with self._changed:
            self._instances.discard(instance)
            self._changed.notify_all()

    def stop(self, name=None):
        """Throw away the environments of one function, or of all."""
        with self._changed:
            doomed = [i for i in self._instances if isinstance(i, Instance) and name in (None, i.function.name)]
        for instance in doomed:
            instance.kill()


@dataclass(eq=False)
class _Starting:
    function: Function


class InitFailed(Exception):
    """The environment did not reach its first `next`; the argument is the error object."""


def _bare(name):
    """The function's name out of a name, an ARN or a qualified one."""
    if name.startswith("arn:"):
        name = name.split(":function:")[-1]
    return name.split(":")[0]
