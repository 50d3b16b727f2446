"""The lab of a benchmark: the template deployed, HTTPS in front, and a new victim for every invocation."""

import json
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from lab import policies, seed, stage
from lab.client import Lab
from lab.template import deploy

from . import subjects

_LONG_AGO = "2026-01-01T00:00:00Z"
COPY = "leaked-access-key-security-hub-copy"
# What Custodian's policy needs, and no more.
CUSTODIAN = policies.document(
    policies.allow(["iam:GetUser", "iam:AttachUserPolicy", "iam:ListAccountAliases", "sts:GetCallerIdentity"]),
    policies.allow(["sns:Publish", "kms:GenerateDataKey", "kms:Decrypt"]),
)


class Stage:
    """One lab for the whole run."""

    def __init__(self, round_trip_ms):
        self.round_trip_ms = round_trip_ms

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.folder = Path(self._folder.name)
        self.lab = Lab().start()
        # The function under test is registered anew; the others have no binary here, and need none.
        text = stage.unbounded(stage.GUARDRAILS.read_text(encoding="utf-8"))
        deployment = deploy(stage.TEMPLATE, self.lab, guardrails=text, custom_resources=False)
        (self.function,) = [known for known in deployment.functions if known["name"] == stage.FUNCTION]
        self.bucket = deployment.outputs["CaseBucketName"]
        self.topic = deployment.outputs["AlertTopicArn"]
        trust = policies.trust(service="lambda.amazonaws.com")
        self.custodian_role = seed.role(self.lab, "custodian", trust=trust, policy=CUSTODIAN).arn
        self.roots = self.folder / "tls" / "ca.pem"
        self.roots_folder = self.folder / "tls" / "certs"
        self.roots.parent.mkdir()
        self._tls = subprocess.Popen(
            [sys.executable, "-m", "bench.tls", self.lab.endpoint.rsplit(":", 1)[1], str(self.roots.parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.https = f"https://127.0.0.1:{int(self._tls.stdout.readline())}"
        # botocore trusts a list of its own.
        self.own_root = self.roots.parent / "root.pem"
        self.botocore_roots = self.folder / "botocore.pem"
        own = self.own_root.read_text(encoding="ascii")
        self.botocore_roots.write_text(own + subjects.botocore_roots(), encoding="utf-8")
        self.lab.round_trip(self.round_trip_ms)
        return self

    def __exit__(self, *_):
        self._tls.kill()
        self._tls.wait()
        self.lab.stop()
        self._folder.cleanup()

    def variables(self, https=True, verify_after_ms=0, roots_in_a_folder=False):
        """The template's environment, with the endpoint and the roots to trust."""
        trusted = {"SSL_CERT_DIR": self.roots_folder} if roots_in_a_folder else {"SSL_CERT_FILE": self.roots}
        return {
            **self.function["environment"],
            "VERIFY_AFTER_MS": str(verify_after_ms),
            "AWS_REGION": self.lab.region,
            "AWS_DEFAULT_REGION": self.lab.region,
            "AWS_ENDPOINT_URL": self.https if https else self.lab.endpoint,
            "AWS_CA_BUNDLE": str(self.botocore_roots),
            **{name: str(path) for name, path in trusted.items()},
        }

    def session(self, role_arn, name):
        return self.lab.mint_session(role_arn, name)

    def accused_user(self):
        """A finding about a user with two keys, a console password and an MFA device; (name, event).

        The device is an old one: a new one would be asked about in CloudTrail, which is not the usual case.
        """
        user = seed.user(self.lab, keys=2)
        seed.console_login(self.lab, user)
        seed.mfa_device(self.lab, user, at=_LONG_AGO)
        finding_id = secrets.token_hex(16)
        event = stage.with_finding_id(stage.about_user(stage.load("leaked-access-key"), user), lambda: finding_id)
        copy = stage.with_finding_id(stage.about_user(stage.load(COPY), user), lambda: finding_id)
        self.lab.seed_finding(event["detail"])
        self.lab.client("securityhub").batch_import_findings(Findings=copy["detail"]["findings"])
        return user.name, event

    def accused_session(self):
        """A finding about a session of a role; (name, event)."""
        role = seed.role(self.lab)
        text = stage.about_role(stage.load("role-session-named"), role, "developer")
        event = stage.with_finding_id(text, lambda: secrets.token_hex(16))
        self.lab.seed_finding(event["detail"])
        return role.name, event

    def case_bytes(self, case):
        """What a case takes in the bucket: objects and bytes."""
        pages = self.lab.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        objects = [item for page in pages for item in page.get("Contents", []) if case in item["Key"]]
        return len(objects), sum(item["Size"] for item in objects)

    def is_denied(self, name):
        """Whether IAM now denies the user everything: what every subject is there for."""
        iam = self.lab.client("iam")
        inline = iam.list_user_policies(UserName=name)["PolicyNames"]
        attached = [p["PolicyName"] for p in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]]
        documents = [iam.get_user_policy(UserName=name, PolicyName=p)["PolicyDocument"] for p in inline]
        return "AWSDenyAll" in attached or any('"Deny"' in json.dumps(document) for document in documents)
