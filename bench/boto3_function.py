"""The containment of a user as a careful engineer would write it in Python: the calls Tourniquet makes, in its order.

Clients are made at import, which is INIT, and connect there to what the cut needs, as Tourniquet does. Calls that do
not depend on each other go out side by side, on threads. What Tourniquet decides is decided here too, for the one case
that is measured: a finding of GuardDuty about a user without a case. What a production function needs besides (other
targets, full quotas, CloudTrail's word on new MFA devices, crashes, tampering) is left out, which flatters Python.
"""

import contextlib
import hashlib
import json
import os
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase

import boto3
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = os.environ["CASE_BUCKET"]
TOPIC = os.environ["NOTIFICATION_TOPIC_ARN"]
VERIFY_AFTER = int(os.environ["VERIFY_AFTER_MS"]) / 1000
DENY_NAME = "TourniquetDenyAll"
DENY_ALL = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "TourniquetDenyAll", "Effect": "Deny", "Action": "*", "Resource": "*"}],
    }
)
LOOKS = [timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=1)]
IAM_CONNECTIONS = 11
QUARANTINE = [f"arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine{version}" for version in ("V4", "V3", "V2", "")]

_CONFIG = Config(
    max_pool_connections=16,
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
)
guardduty, iam, s3, scheduler, securityhub, sns = (
    boto3.client(service, config=_CONFIG) for service in ("guardduty", "iam", "s3", "scheduler", "securityhub", "sns")
)
pool = ThreadPoolExecutor(max_workers=16)


def warm_up():
    """Connects to what the first wave and the cut go to, in INIT, so that the first finding does not wait for it."""
    clients = [guardduty, *[iam] * IAM_CONNECTIONS]
    opened = [pool.submit(connect, client) for client in clients]
    opened.append(pool.submit(get, "guardrails.toml"))
    for awaited in opened:
        with contextlib.suppress(Exception):
            awaited.result()


def connect(client):
    """An unsigned request through the client's own connections, for which botocore has no public name."""
    request = AWSRequest("HEAD", f"{client.meta.endpoint_url}/")
    client._endpoint.http_session.send(request.prepare())


def handler(event, context):
    detail = event["detail"]
    accused = detail["resource"]["accessKeyDetails"]
    user, unique_id, key = accused["userName"], accused["principalId"], accused["accessKeyId"]
    target = f"{detail['accountId']}/user/{unique_id}"
    source = pool.submit(finding_at_source, detail)
    guardrails = pool.submit(get, "guardrails.toml")
    open_case = pool.submit(get, f"targets/{target}.json")
    contained = pool.submit(counted)
    state = observe(user, key)
    finding = source.result()
    if open_case.result() is not None:
        return {"outcome": "skipped", "reason": "has a case"}
    if finding is None or finding["Service"].get("Archived") or state["user"]["UserId"] != unique_id:
        return {"outcome": "skipped", "reason": "not what its detector, or IAM, says"}
    rules = tomllib.loads(guardrails.result()[0].decode())
    budget = rules.get("budget", {}).get("total_per_hour", sys.maxsize)
    if mode(rules, finding, state["user"]) != "contain" or len(contained.result()) >= budget:
        return {"outcome": "proposed"}

    case = case_id(detail, target)
    ledger = Ledger(case, context)
    plan = planned(user, state)
    memory = ledger.entry("opened", {"finding": detail, "plan": plan, "original": state})
    claim = {"case": case, "target": target, "state": "working", "plan": plan, "memory": memory}
    cut = pool.submit(iam.put_user_policy, UserName=user, PolicyName=DENY_NAME, PolicyDocument=DENY_ALL)
    claimed = pool.submit(put, f"targets/{target}.json", claim, IfNoneMatch="*")
    hour = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H")
    count = pool.submit(put, f"budget/counted/{hour}/{detail['accountId']}/{case}.json", {}, IfNoneMatch="*")
    cut.result()
    count.result()
    etag = claimed.result()["ETag"]

    steps = [pool.submit(step, name, user, on) for name, on in plan]
    kept = [pool.submit(ledger.write, memory), pool.submit(keep_event, case, event)]
    for awaited in (*steps, *kept):
        awaited.result()
    ledger.append("acted", {"steps": plan})

    time.sleep(VERIFY_AFTER)
    after = observe(user, key)
    holds = after["deny"] == json.loads(DENY_ALL) and not any(key["Status"] == "Active" for key in after["keys"])
    ledger.append("verified", {"holds": holds})

    outcome = "contained" if holds else "partial"
    looks = [pool.submit(look_again, case, target, number, after) for number, after in enumerate(LOOKS, 1)]
    for look in looks:
        look.result()
    text = f"{outcome.upper()}: user/{user} in {detail['accountId']}\n{detail['title']}\nCase {case}"
    published = pool.submit(sns.publish, TopicArn=TOPIC, Subject=f"{outcome}: user/{user}"[:100], Message=text)
    noted = pool.submit(note, detail["arn"], text)
    ledger.append("reported", {"message": published.result()["MessageId"], "note": noted.result(), "outcome": outcome})
    put(f"targets/{target}.json", {**claim, "state": "settled", "outcome": outcome}, IfMatch=etag)
    # As large as the other function's page, which it makes of its ledger.
    put(f"cases/{case}/report.html", b"<p>".ljust(24_000))
    return {"case": case, "outcome": outcome, "steps": plan}


def look_again(case, target, number, after):
    """Scheduler asks another function then whether the containment still holds."""
    when = datetime.now(timezone.utc) + after
    scheduler.create_schedule(
        Name=f"{case}-0-{number}",
        GroupName=os.environ["SCHEDULE_GROUP"],
        ScheduleExpression=f"at({when:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={
            "Arn": os.environ["RECHECK_FUNCTION_ARN"],
            "RoleArn": os.environ["SCHEDULE_ROLE_ARN"],
            "Input": json.dumps({"recheck": {"case": case, "target": target, "round": number}}),
            "DeadLetterConfig": {"Arn": os.environ["SCHEDULE_DEAD_LETTER_ARN"]},
        },
    )


# --- reading ---


def finding_at_source(detail):
    found = guardduty.get_findings(DetectorId=detail["service"]["detectorId"], FindingIds=[detail["id"]])["Findings"]
    return next((finding for finding in found if finding["Id"] == detail["id"]), None)


def counted():
    """What was contained within the hour."""
    since = datetime.now(timezone.utc) - timedelta(hours=1)
    after = f"budget/counted/{since.strftime('%Y-%m-%dT%H')}"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="budget/counted/", StartAfter=after)
    return [item["Key"] for page in pages for item in page.get("Contents", []) if item["LastModified"] > since]


def get(key):
    """An object's bytes and ETag; None where there is none."""
    try:
        answer = s3.get_object(Bucket=BUCKET, Key=key)
    except s3.exceptions.NoSuchKey:
        return None
    return answer["Body"].read(), answer["ETag"]


def observe(user, key):
    """Everything a user can get in with, read side by side."""
    reads = {
        "user": pool.submit(lambda: iam.get_user(UserName=user)["User"]),
        "keys": pool.submit(pages, "list_access_keys", "AccessKeyMetadata", user),
        "login": pool.submit(unless_missing, lambda: iam.get_login_profile(UserName=user)["LoginProfile"]),
        "service": pool.submit(
            lambda: iam.list_service_specific_credentials(UserName=user)["ServiceSpecificCredentials"]
        ),
        "ssh": pool.submit(pages, "list_ssh_public_keys", "SSHPublicKeys", user),
        "certificates": pool.submit(pages, "list_signing_certificates", "Certificates", user),
        "mfa": pool.submit(pages, "list_mfa_devices", "MFADevices", user),
        "attached": pool.submit(pages, "list_attached_user_policies", "AttachedPolicies", user),
        "groups": pool.submit(pages, "list_groups_for_user", "Groups", user),
        "last_used": pool.submit(last_used, key),
        "deny": pool.submit(
            unless_missing, lambda: iam.get_user_policy(UserName=user, PolicyName=DENY_NAME)["PolicyDocument"]
        ),
    }
    return {name: read.result() for name, read in reads.items()}


def pages(operation, field, user):
    return [item for page in iam.get_paginator(operation).paginate(UserName=user) for item in page[field]]


def unless_missing(read):
    try:
        return read()
    except iam.exceptions.NoSuchEntityException:
        return None


def last_used(key):
    """When the accused key was last used. For the record, so an answer that does not come is none."""
    if not key.startswith("AKIA"):
        return None
    try:
        return iam.get_access_key_last_used(AccessKeyId=key)["AccessKeyLastUsed"].get("LastUsedDate")
    except (BotoCoreError, ClientError):
        return None


# --- deciding ---


def mode(guardrails, finding, user):
    if any(protected.get("arn") == user["Arn"] for protected in guardrails.get("protect", [])):
        return "skip"
    for rule in guardrails.get("rule", []):
        typed = any(fnmatchcase(finding["Type"], pattern) for pattern in rule.get("types", ["*"]))
        if typed and finding["Severity"] < rule.get("below_severity", 11):
            return rule["mode"]
    return guardrails["default"]["mode"]


def planned(user, state):
    """The steps that follow the deny: name, and what each is on."""
    active = [("deactivate_key", key["AccessKeyId"]) for key in state["keys"] if key["Status"] == "Active"]
    if state["login"]:
        active.append(("remove_login_profile", user))
    for name, field, id_name in (
        ("deactivate_service_credential", "service", "ServiceSpecificCredentialId"),
        ("deactivate_ssh_key", "ssh", "SSHPublicKeyId"),
        ("deactivate_signing_certificate", "certificates", "CertificateId"),
    ):
        active += [(name, held[id_name]) for held in state[field] if held["Status"] == "Active"]
    if not any(policy["PolicyArn"] in QUARANTINE for policy in state["attached"]):
        active.append(("attach_quarantine_marker", user))
    return active


def case_id(detail, target):
    digest = hashlib.sha256(f"{target}{detail['arn']}".encode()).hexdigest()
    return f"IR-{detail['service']['eventFirstSeen'][:10].replace('-', '')}-{digest[:8]}"


# --- changing ---


def step(name, user, on):
    if name == "deactivate_key":
        iam.update_access_key(UserName=user, AccessKeyId=on, Status="Inactive")
    elif name == "remove_login_profile":
        iam.delete_login_profile(UserName=user)
    elif name == "deactivate_service_credential":
        iam.update_service_specific_credential(UserName=user, ServiceSpecificCredentialId=on, Status="Inactive")
    elif name == "deactivate_ssh_key":
        iam.update_ssh_public_key(UserName=user, SSHPublicKeyId=on, Status="Inactive")
    elif name == "deactivate_signing_certificate":
        iam.update_signing_certificate(UserName=user, CertificateId=on, Status="Inactive")
    else:
        attach_quarantine_marker(user)


def attach_quarantine_marker(user):
    for arn in QUARANTINE:
        try:
            return iam.attach_user_policy(UserName=user, PolicyArn=arn)
        except iam.exceptions.NoSuchEntityException:
            continue


def put(key, value, **condition):
    body = value if isinstance(value, bytes) else json.dumps(value, default=str).encode()
    return s3.put_object(
        Bucket=BUCKET,
        Key=key,
        Body=body,
        ContentType="application/json",
        ChecksumAlgorithm="SHA256",
        **condition,
    )


def keep_event(case, event):
    body = json.dumps(event).encode()
    put(f"cases/{case}/event-{hashlib.sha256(body).hexdigest()[:16]}.json", body, IfNoneMatch="*")


def note(finding_id, text):
    equals = [{"Value": finding_id, "Comparison": "EQUALS"}]
    found = securityhub.get_findings(Filters={"Id": equals}, MaxResults=2)["Findings"]
    if not found:
        return "skipped"
    workflow = {"Workflow": {"Status": "NOTIFIED"}} if found[0]["Workflow"]["Status"] == "NEW" else {}
    try:
        securityhub.batch_update_findings(
            FindingIdentifiers=[{"Id": found[0]["Id"], "ProductArn": found[0]["ProductArn"]}],
            Note={"Text": text[:512], "UpdatedBy": "tourniquet"},
            **workflow,
        )
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "done"


class Ledger:
    """The case's entries, each with the hash of the one before."""

    def __init__(self, case, context):
        self.case = case
        self.actor = {"function": context.invoked_function_arn, "request_id": context.aws_request_id}
        self.number = 0
        self.previous = None

    def entry(self, kind, what):
        self.number += 1
        entry = {
            "case": self.case,
            "number": self.number,
            "entry": kind,
            "at": datetime.now(timezone.utc).isoformat(),
            "actor": self.actor,
            "previous": self.previous,
            "what": what,
        }
        self.previous = hashlib.sha256(json.dumps(entry, default=str).encode()).hexdigest()
        return entry

    def write(self, entry):
        put(f"cases/{self.case}/{entry['number']:04}.json", entry, IfNoneMatch="*")

    def append(self, kind, what):
        self.write(self.entry(kind, what))


if os.environ.get("WARM_UP") != "off":
    warm_up()
