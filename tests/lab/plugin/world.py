"""What one lab process knows beyond moto: its account, its sessions, its records."""

import threading
import time
import uuid
from datetime import datetime, timezone

from ..organization import RESPONDER

ACCOUNT = RESPONDER
REGION = "eu-west-1"
PARTITION = "aws"


def now():
    return datetime.now(timezone.utc)


def iso(instant):
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


class Log:
    """An append-only list of records numbered from 1."""

    def __init__(self):
        self._records = []
        self._by_request = {}
        self._lock = threading.Lock()

    def append(self, **fields):
        with self._lock:
            record = {"n": len(self._records) + 1, "at": time.time(), **fields}
            self._records.append(record)
            self._by_request.setdefault(fields.get("request_id"), []).append(record)
            return record

    def __len__(self):
        return len(self._records)

    def since(self, n=0, request_id=None):
        """The records after the one of that number; of them only those of a request, if one is named."""
        with self._lock:
            if request_id is None:
                return self._records[n:]
            return [record for record in self._by_request.get(request_id, ()) if record["n"] > n]


# Services whose operations run one at a time: on AWS each of their writes is atomic.
_ATOMIC = ("s3", "iam", "sts", "dynamodb", "securityhub", "ec2", "autoscaling", "elasticloadbalancing")


class World:
    def __init__(self):
        self.account = ACCOUNT
        self.region = REGION
        self.admin_key = "AKIALABADMIN" + "0" * 8
        self.admin_secret = uuid.uuid4().hex
        self.endpoint = ""
        self.calls = Log()
        self.invocations = Log()
        self.notifications = Log()
        self.deliveries = Log()
        self._locks = {name: threading.RLock() for name in _ATOMIC}
        # EC2 looks through the instance profiles of IAM, which must not change meanwhile.
        self._locks["ec2"] = self._locks["iam"]

    def lock_of(self, service):
        return self._locks.get(service)
