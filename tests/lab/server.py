"""Assembling and serving the lab."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

# moto reads these when it is imported.
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
os.environ["MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS"] = "false"
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
for _name in ("INITIAL_NO_AUTH_ACTION_COUNT", "MOTO_ACCOUNT_ID"):
    os.environ.pop(_name, None)

from .moto_pin import check_moto, remember_what_never_changes  # noqa: E402

check_moto()
remember_what_never_changes()

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: E402

from .admin import Admin  # noqa: E402
from .client import client_for  # noqa: E402
from .functions import FunctionHost  # noqa: E402
from .plugin import services  # noqa: E402, F401
from .plugin.answers import Answers  # noqa: E402
from .plugin.bus import Bus  # noqa: E402
from .plugin.faults import Faults  # noqa: E402
from .plugin.gateway import Gateway  # noqa: E402
from .plugin.network import Network  # noqa: E402
from .plugin.principals import Directory  # noqa: E402
from .plugin.services.bedrock import invoke_with_bearer, is_bearer  # noqa: E402
from .plugin.services.guardduty import Detections  # noqa: E402
from .plugin.services.securityhub import Hub  # noqa: E402
from .plugin.services.securityhub_actions import Actions  # noqa: E402
from .plugin.sessions import Sessions  # noqa: E402
from .plugin.snapshots import Snapshots  # noqa: E402
from .plugin.trail import Trail  # noqa: E402
from .plugin.world import Log, World  # noqa: E402
from .wire import Server  # noqa: E402


class LocalAws:
    """All parts of the lab, each reachable from the others through this object."""

    def __init__(self):
        self.world = World()
        self.sessions = Sessions()
        self.trail = Trail()
        self.directory = Directory(self.world, self.sessions)
        self.faults = Faults()
        self.network = Network()
        self.hub = Hub()
        self.actions = Actions()
        self.answers = Answers(self)
        self.detections = Detections()
        self.bus = Bus(self)
        self.snapshots = Snapshots(self)
        self.functions = FunctionHost(self)
        self.gateway = Gateway(self, DomainDispatcherApplication(create_backend_app))
        self.admin = Admin(self)

    def __call__(self, request):
        if self.answers.wants(request):
            return self.answers(request)
        if self.admin.wants(request):
            return self.admin(request)
        if is_bearer(request):
            return invoke_with_bearer(self.gateway, request)
        return self.gateway(request)


def serve(port, ready_file, with_stdin=False):
    lab = LocalAws()
    server = Server(lab, port)
    lab.world.endpoint = server.endpoint
    server.start()
    _warm(lab)
    ready = {
        "endpoint": server.endpoint,
        "admin": {"key": lab.world.admin_key, "secret": lab.world.admin_secret},
        "account": lab.world.account,
        "region": lab.world.region,
    }
    if ready_file:
        # Written aside and renamed, so that whoever waits for the file never reads half of it.
        aside = Path(f"{ready_file}.partial")
        aside.write_text(json.dumps(ready))
        aside.rename(ready_file)
    print(json.dumps(ready), flush=True)
    _wait_for_the_end(with_stdin)
    lab.functions.stop()


# One read of every service a responder calls: moto imports a service and its model when first asked, which
# takes up to a quarter of a second and would look like slowness of whoever asks first.
_FIRST_READS = (
    ("sts", "get_caller_identity"), ("iam", "list_users"), ("s3", "list_buckets"), ("securityhub", "get_findings"),
    ("guardduty", "list_detectors"), ("events", "list_rules"), ("sns", "list_topics"), ("sqs", "list_queues"),
    ("ec2", "describe_security_groups"), ("autoscaling", "describe_auto_scaling_instances"),
    ("elbv2", "describe_target_groups"), ("elb", "describe_load_balancers"),
    ("logs", "describe_log_groups"), ("kms", "list_keys"), ("cloudtrail", "lookup_events"),
    ("scheduler", "list_schedules"), ("lambda", "list_functions"),
)  # fmt: skip


def _warm(lab):
    world = lab.world
    for service, operation in _FIRST_READS:
        client = client_for(world.endpoint, service, world.region, (world.admin_key, world.admin_secret))
        getattr(client, operation)()
    world.calls = Log()
    lab.trail = Trail()


def _wait_for_the_end(with_stdin):
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    if with_stdin:
        threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    ended.wait()
