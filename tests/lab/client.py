"""Driving the lab from tests, the demo and the host itself.

`Lab` starts the process, waits for its ready file and ends it; the rest of its methods are the
lab's admin endpoints and boto3 clients that point at it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import boto3
from botocore.config import Config
from botocore.session import Session as CoreSession

from .organization import RESPONDER

ACCOUNT = RESPONDER
REGION = "eu-west-1"
_READY_SECONDS = 60
_TESTS = Path(__file__).resolve().parent.parent

# boto3 sessions are not safe to create clients from in parallel.
_creating = threading.Lock()
_core = CoreSession()


def client_for(endpoint, service, region, credentials, retries=1):
    """A client with few retries: a refusal should be seen, not waited for.

    `credentials` is a lab session, a (key, secret[, token]) tuple, an STS Credentials structure, or
    the AccessKey structure of IAM.
    """
    key, secret, token = _triple(credentials)
    config = Config(
        retries={"total_max_attempts": retries, "mode": "standard"},
        connect_timeout=5,
        read_timeout=70,
        max_pool_connections=50,
        s3={"addressing_style": "path"},
        ignore_configured_endpoint_urls=True,
    )
    with _creating:
        return _core.create_client(
            service,
            region_name=region,
            endpoint_url=endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=config,
        )


def _triple(credentials):
    if isinstance(credentials, dict):
        if "access_key" in credentials:
            return credentials["access_key"], credentials["secret"], credentials.get("token")
        if "key" in credentials:
            return credentials["key"], credentials["secret"], credentials.get("token")
        return credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials.get("SessionToken")
    if isinstance(credentials, (tuple, list)):
        return (*credentials, None)[:3]
    return credentials.access_key, credentials.secret, credentials.token


class LabDidNotStart(Exception):
    pass


class Lab:
    """One running lab. Use it as a context manager, or call `stop` when done."""

    def __init__(self, account=ACCOUNT, region=REGION, environment=None):
        self.account = account
        self.region = region
        self._directory = tempfile.TemporaryDirectory(prefix="lab-")
        self._process = None
        self._clients = {}
        self.endpoint = ""
        self.admin = {}
        self._environment = environment or {}

    # --- life -----------------------------------------------------------------------------------

    def start(self):
        ready_file = Path(self._directory.name, "ready.json")
        self.log_file = Path(self._directory.name, "lab.log")
        environment = {**os.environ, **self._environment, "PYTHONPATH": str(_TESTS)}
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lab", "serve", "--ready-file", str(ready_file), "--until-stdin-closes"],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not ready_file.exists():
            if self._process.poll() is not None:
                raise LabDidNotStart(self.log_file.read_text())
            if time.monotonic() > deadline:
                self.stop()
                raise LabDidNotStart(f"not ready after {_READY_SECONDS} s")
            time.sleep(0.02)
        ready = json.loads(ready_file.read_text())
        self.endpoint, self.admin = ready["endpoint"], ready["admin"]
        return self

    def stop(self):
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._directory.cleanup()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @classmethod
    def attach(cls, endpoint, admin):
        """A lab somebody else started (the demo)."""
        lab = cls()
        lab.endpoint, lab.admin = endpoint, admin
        return lab

    def in_account(self, account):
        """The same lab, as the administrator of another account."""
        lab = type(self).attach(self.endpoint, self.admin)
        lab.account, lab.region = account, self.region
        return lab

    # --- AWS clients --------------------------------------------------------------------------------

    def client(self, service, credentials=None, region=None, retries=1):
        """A boto3 client; as the admin unless credentials are given."""
        credentials = credentials or (self.admin["key"], self.admin["secret"])
        key = (service, _triple(credentials), region or self.region, retries)
        if key not in self._clients:
            made = client_for(self.endpoint, service, region or self.region, credentials, retries)
            # Only the admin key may choose; any other key is of the account it was made in.
            made.meta.events.register("before-call", self._choose_account)
            self._clients[key] = made
        return self._clients[key]

    def _choose_account(self, params, **_):
        params["headers"]["x-moto-account-id"] = self.account

    def boto_session(self, credentials):
        key, secret, token = _triple(credentials)
        return boto3.Session(key, secret, token, region_name=self.region)

    def session_token(self, credentials, seconds=43200):
        """Credentials of sts:GetSessionToken, minted with a user's own key."""
        return self.client("sts", credentials).get_session_token(DurationSeconds=seconds)["Credentials"]

    def federation_token(self, credentials, name, policy=None):
        arguments = {"Policy": json.dumps(policy)} if policy else {}
        return self.client("sts", credentials).get_federation_token(Name=name, **arguments)["Credentials"]

    def assume_role(self, credentials, role_arn, session_name, **arguments):
        sts = self.client("sts", credentials)
        return sts.assume_role(RoleArn=role_arn, RoleSessionName=session_name, **arguments)["Credentials"]

    # --- admin endpoints ----------------------------------------------------------------------------

    def request(self, method, path, body=None, headers=None):
        """One plain HTTP request to the lab; (status, headers, parsed body). A body of bytes is sent as it is."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.endpoint + path, data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.headers, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            text = error.read()
            try:
                return error.code, error.headers, json.loads(text or b"null")
            except ValueError:
                return error.code, error.headers, text.decode("utf-8", "replace")

    def _ask(self, method, path, body=None):
        status, _, answer = self.request(method, path, body)
        if status >= 400:
            raise LabRefused(status, answer)
        return answer

    def _records(self, record, since, matching):
        return self._ask("GET", f"/lab/{record}?{urlencode({'since': since, **matching})}")

    def calls(self, since=0, **matching):
        """The call record, optionally only the records with these fields."""
        return self._records("calls", since, matching)

    def mark(self):
        """A number to give to `calls(since=...)` later."""
        return self.marks()["calls"]

    def marks(self):
        """Such numbers for every record, by its name."""
        return self._ask("GET", "/lab/marks")

    def invocations(self, since=0, **matching):
        return self._records("invocations", since, matching)

    def notifications(self, since=0, **matching):
        return self._records("notifications", since, matching)

    def deliveries(self, since=0, **matching):
        return self._records("deliveries", since, matching)

    def register_function(self, **settings):
        return self._ask("POST", "/lab/functions", settings)

    def functions(self):
        return self._ask("GET", "/lab/functions")

    def invoke(self, name, payload):
        """Invoke a function and wait; (body, function error or None)."""
        _, headers, body = self.request("POST", f"/2015-03-31/functions/{name}/invocations", payload)
        return body, headers.get("X-Amz-Function-Error")

    def invoke_async(self, name, payload, request_id=None):
        """Hand an event to a function; its request id. Given one, as Lambda's own duplicate of an event has it.

        Bytes reach the function as they are, whatever they hold. Only the lab does that: Lambda itself refuses a body
        that is no JSON, so this shows what the function does where nobody looked before it.
        """
        path = f"/2015-03-31/functions/{name}/invocations"
        headers = {"X-Amz-Invocation-Type": "Event", **({"X-Lab-Request-Id": request_id} if request_id else {})}
        if isinstance(payload, bytes):
            headers["X-Lab-Raw-Event"] = "true"
        status, headers, body = self.request("POST", path, payload, headers)
        if status != 202:
            raise LabRefused(status, body)
        return headers["x-amzn-RequestId"]

    def fault(self, function, at_call, kind, **options):
        """Order a fault; options are scope, times, action, resource, request_id, code, status (see `faults`)."""
        body = {"function": function, "at_call": at_call, "kind": kind, **options}
        return self._ask("POST", "/lab/faults", body)

    def faults(self, **matching):
        return self._ask("GET", f"/lab/faults?{urlencode(matching)}")

    def clear_faults(self):
        return self._ask("DELETE", "/lab/faults")

    def round_trip(self, milliseconds):
        """Let every request take this long from now on; `trips` then says when each was sent and answered."""
        return self._ask("POST", "/lab/network", {"round_trip_ms": milliseconds})

    def trips(self, **matching):
        return self._records("network", 0, matching)

    def mint_session(self, role_arn, session_name, instance_arn=None, issued_at=None):
        """A role session as a service would mint it; `issued_at` makes an older one."""
        body = {"role_arn": role_arn, "session_name": session_name}
        body.update({k: v for k, v in (("instance_arn", instance_arn), ("issued_at", issued_at)) if v})
        return self._ask("POST", "/lab/sessions", body)["Credentials"]

    def sign_in(self, user, password, account=None, **extra):
        """Console sign-in; raises LabRefused when the user has no (such) password."""
        body = {"account": account or self.account, "user": user, "password": password, **extra}
        return self._ask("POST", "/lab/signin", body)["Credentials"]

    def set_ids(self, **body):
        """Make a user's or role's unique id, or a user's key id, the one an event names."""
        return self._ask("POST", "/lab/ids", {"account": self.account, **body})["id"]

    def set_date(self, what, at, **body):
        """When something of a `user` or `role` was made, enabled or used (see `plugin/dates.py`).

        `at` is a datetime or text; `id` picks one of several, `service` and `region` belong to a use.
        """
        body = {"account": self.account, "what": what, "at": at if isinstance(at, str) else at.isoformat(), **body}
        return self._ask("POST", "/lab/dates", body)["dated"]

    def set_instance(self, instance, **body):
        """What no API call makes of an instance: `root_device_type="instance-store"`, and its `lifecycle_state` in an
        Auto Scaling group."""
        return self._ask("POST", "/lab/instances", self._here({"instance": instance, **body}))

    def set_interface(self, interface, requester_managed=True):
        """Make an interface one that another AWS service manages."""
        body = {"interface": interface, "requester_managed": requester_managed}
        return self._ask("POST", "/lab/interfaces", self._here(body))

    def set_snapshots(self, **settings):
        """How snapshots come about from now on: `delay_ms`, `hold`, `fail_next`, `fail_message`, `blocks`, `page`."""
        return self._ask("POST", "/lab/snapshots", settings)

    def snapshot_settings(self):
        """The settings, and under `pending` what is not finished yet."""
        return self._ask("GET", "/lab/snapshots")

    def release_snapshots(self, ids=None, fail=""):
        """Let pending snapshots end now, all or these; `fail` is why they fail."""
        return self._ask("POST", "/lab/snapshots/release", {"ids": ids, "fail": fail})["released"]

    def schedules(self, prefix=""):
        """The schedules whose names begin so, soonest first."""
        return self._ask("GET", f"/lab/schedules?{urlencode({'prefix': prefix})}")

    def fire_schedules(self, until=None, prefix=""):
        """Have Scheduler deliver, in order, what is due by `until` (a datetime or text; everything, without it); what
        became of each, with the request id of its invocation. Those that are delivered once are gone then."""
        until = until.isoformat() if hasattr(until, "isoformat") else until
        return self._ask("POST", "/lab/schedules/fire", {"until": until, "prefix": prefix})["fired"]

    def _here(self, body):
        return {"account": self.account, "region": self.region, **body}

    def seed_trail(self, event, account=None, region="us-east-1"):
        """A CloudTrail record (what `CloudTrailEvent` holds) of a call this lab has not seen; its event id."""
        body = {"account": account or self.account, "region": region, "event": event}
        return self._ask("POST", "/lab/cloudtrail", body)["id"]

    def limit_lookups(self, requests=None, seconds=1.0, page=None):
        """Refuse more LookupEvents than this in that time, per account and Region, and list no more events on a page;
        None lifts the limit."""
        return self._ask("POST", "/lab/cloudtrail/limit", {"requests": requests, "seconds": seconds, "page": page})

    def seed_finding(self, finding, account=None, region=None):
        """A GuardDuty finding at its source: the detector of its own account."""
        account = account or finding.get("accountId") or self.account
        body = {"account": account, "region": region or self.region, "finding": finding}
        return self._ask("POST", "/lab/guardduty/findings", body)

    def put_event(self, event):
        """PutEvents for an EventBridge envelope, as the AWS service that would send it; the event id."""
        entry = {
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Detail": json.dumps(event["detail"]),
            "Resources": event.get("resources", []),
        }
        answer = self.client("events", region=event.get("region") or self.region).put_events(Entries=[entry])
        (result,) = answer["Entries"]
        if "ErrorCode" in result:
            raise LabRefused(400, result)
        return result["EventId"]

    def deliver_event(self, event):
        """Hand over a complete envelope as it is: same id and time, as a repeated delivery has."""
        return self._ask("POST", "/lab/events", event)["EventId"]

    def press(self, action, findings, region=None):
        """A person selects findings (ASFF) in Security Hub and chooses a custom action, by id or ARN; the ids of the
        events, one for each finding. Refused if there is no such action, or more than 20 findings."""
        body = {**self._here({"action": action, "findings": list(findings)}), **({"region": region} if region else {})}
        return self._ask("POST", "/lab/press", body)["EventIds"]

    def expect_answer(self):
        """A pre-signed `url` where a custom resource's function can answer, and its `id` for `answers`."""
        return self._ask("POST", "/lab/answers")

    def answers(self, place):
        """What was answered there so far."""
        return self._ask("GET", f"/lab/answers?{urlencode({'id': place})}")

    def refuse_answers(self, times):
        """Let the next PUTs of answers fail."""
        return self._ask("POST", "/lab/answers/refuse", {"times": times})

    def bedrock(self, api_key, model="amazon.titan-text-express-v1"):
        """A model call with a Bedrock API key; (status, body)."""
        headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        status, _, body = self.request("POST", f"/model/{model}/invoke", {"inputText": "hello"}, headers)
        return status, body

    @staticmethod
    def wait_for(predicate, deadline=10.0, interval=0.02):
        """Poll until the predicate answers something true, and return it; fail at the deadline."""
        until = time.monotonic() + deadline
        while True:
            answer = predicate()
            if answer:
                return answer
            if time.monotonic() > until:
                raise AssertionError(f"not within {deadline} s: {getattr(predicate, '__name__', predicate)}")
            time.sleep(interval)


class LabRefused(Exception):
    """An admin endpoint said no."""

    def __init__(self, status, answer):
        super().__init__(f"{status}: {answer}")
        self.status = status
        self.answer = answer

