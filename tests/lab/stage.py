"""The product on the lab: where its parts lie, its template deployed, its sample events recast.

What the tests, the demo and the replay share.
"""

import json
import os
import re
from pathlib import Path

from . import organization
from .template import deploy, deploy_stack, register, update_stack

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATE = ROOT / "infra" / "template.yaml"
MEMBER_TEMPLATE = ROOT / "infra" / "member.yaml"
MEMBER_EVENTS_TEMPLATE = ROOT / "infra" / "member-events.yaml"
FORENSICS_TEMPLATE = ROOT / "infra" / "forensics.yaml"
GUARDRAILS = ROOT / "infra" / "guardrails.toml"
BINARIES = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
FUNCTION = "contain-identity"
INSTANCE_FUNCTION = "contain-instance"
SEAL_FUNCTION = "seal-snapshot"
RELEASE_FUNCTION = "release"
REGISTER_FUNCTION = "register-actions"
RECHECK_FUNCTION = "recheck"
FUNCTIONS = (FUNCTION, INSTANCE_FUNCTION, SEAL_FUNCTION, REGISTER_FUNCTION, RELEASE_FUNCTION, RECHECK_FUNCTION)
EVENTS = ROOT / "events"

EXTERNAL_ID = "tourniquet-lab"
"""What the function says when it enters a member account."""

UNHURRIED = {"LOOKUP_EVERY_MS": "0"}
"""The lab's CloudTrail has no limit unless a test sets one."""

_FINDING_ID = re.compile(r"(?<=finding/)[0-9a-f]{32}")
_USER_ID = re.compile(r"\bAIDA[A-Z0-9]{17}\b")
_ROLE_ID = re.compile(r"\bAROA[A-Z0-9]{17}\b")
_KEY_ID = re.compile(r"\bA[KS]IA[A-Z0-9]{16}\b")

SAMPLE_PROFILE = "arn:aws:iam::111122223333:instance-profile/web"
"""The instance profile of the sample events about instances."""


def guardrails(protecting):
    """The shipped guardrails with budgets of any size, and one principal that is never touched."""
    rule = f'\n[[protect]]\narn = "{protecting.arn}"\nbecause = "the way back in when single sign-on is down"\n'
    return unbounded(GUARDRAILS.read_text(encoding="utf-8")) + rule


def unbounded(text):
    """Guardrails whose hourly budgets are never used up: a lab contains more in an hour than any account."""
    return re.sub(r"^(per_account|total)_per_hour = \d+$", r"\1_per_hour = 10000", text, flags=re.MULTILINE)


def deploy_product(lab, protecting, verify_after_ms=200, members=(), custom_resources=True):
    """The template, as it is, with the debug binaries. It may enter the `members`, whose stacks are made apart."""
    environment = {"VERIFY_AFTER_MS": str(verify_after_ms), **UNHURRIED}
    return deploy(
        TEMPLATE,
        lab,
        _members(members),
        binaries_dir=BINARIES,
        environment=environment,
        guardrails=guardrails(protecting),
        custom_resources=custom_resources,
    )


def _members(members):
    if not members:
        return {}
    return {
        "MemberRoleArns": ",".join(member_role_arn(account) for account in members),
        "MemberInstanceRoleArns": ",".join(member_instance_role_arn(account) for account in members),
        "MemberEvidenceRoleArns": evidence_roles(members),
        "MemberReleaseRoleArns": ",".join(member_release_role_arn(a) for a in members if a != organization.WITHOUT_ROLE),
        "MemberRecheckRoleArns": ",".join(member_recheck_role_arn(account) for account in members),
        "MemberExternalId": EXTERNAL_ID,
    }


def evidence_roles(members):
    """The list that two stacks take. Roles that exist: the policy of a key can name no other."""
    return ",".join(member_evidence_role_arn(a) for a in members if a != organization.WITHOUT_ROLE)


def add_forensics(lab, deployment, account, members=(), verify_after_ms=200):
    """The forensics account for a product that is deployed; the deployment of its stack.

    In the one order there is: the key and the role there admit the role of seal-snapshot, and the key its roles in the
    `members`; these have to exist by then, and the first comes with the first deployment. What key and role are called
    is known once they exist, and the responder's stack is deployed a second time with it.
    """
    outputs = deployment.outputs
    there = deploy_forensics(
        lab, outputs["SealSnapshotRoleArn"], account, bus_arn=outputs["EventBusArn"], member_roles=evidence_roles(members)
    )
    named = {name: there.outputs[name] for name in ("ForensicsRoleArn", "ForensicsKeyArn")}
    named["ForensicsCaseBucket"] = there.outputs["ForensicsCaseBucketName"]
    update_stack(deployment, TEMPLATE, lab, {**_members(members), **named, "ForensicsExternalId": EXTERNAL_ID})
    register(deployment, lab, BINARIES, {"VERIFY_AFTER_MS": str(verify_after_ms), **UNHURRIED})
    return there


def deploy_member(
    lab, responder_role_arn, account, organization_id=organization.ID, instance_role_arn=None, evidence_role_arn=None,
    forensics="", release_role_arn=None, recheck_role_arn=None,
):  # fmt: skip
    """The template for member accounts, as a StackSet would deploy it to one.

    Where no other function is concerned, its role there trusts the same caller.
    """
    parameters = {
        "ResponderRoleArns": responder_role_arn,
        "InstanceResponderRoleArns": instance_role_arn or responder_role_arn,
        "EvidenceResponderRoleArns": evidence_role_arn or responder_role_arn,
        "ReleaseResponderRoleArns": release_role_arn or responder_role_arn,
        "RecheckerRoleArns": recheck_role_arn or responder_role_arn,
        "ForensicsAccountId": forensics,
        "ExternalId": EXTERNAL_ID,
        "OrganizationId": organization_id,
    }
    return deploy_stack(MEMBER_TEMPLATE, lab.in_account(account), parameters, "StackSet-tourniquet")


def member_role_arn(account):
    return f"arn:aws:iam::{account}:role/tourniquet/TourniquetResponder"


def member_instance_role_arn(account):
    return f"arn:aws:iam::{account}:role/tourniquet/TourniquetInstanceResponder"


def member_evidence_role_arn(account):
    return f"arn:aws:iam::{account}:role/tourniquet/TourniquetEvidence"


def member_release_role_arn(account):
    return f"arn:aws:iam::{account}:role/tourniquet/TourniquetReleaser"


def member_recheck_role_arn(account):
    return f"arn:aws:iam::{account}:role/tourniquet/TourniquetRechecker"


def deploy_member_events(lab, account, bus_arn):
    """The template for the events of a member account, in the Region the lab is asked as."""
    return deploy_stack(
        MEMBER_EVENTS_TEMPLATE, lab.in_account(account), {"ResponderBusArn": bus_arn}, "StackSet-tourniquet-events"
    )


def deploy_forensics(lab, seal_role_arn, account, organization_id=organization.ID, bus_arn=None, member_roles=""):
    """The template for the forensics account."""
    parameters = {
        "SealRoleArn": seal_role_arn,
        "MemberEvidenceRoleArns": member_roles,
        "ExternalId": EXTERNAL_ID,
        "OrganizationId": organization_id,
        "ResponderBusArn": bus_arn or f"arn:aws:events:{lab.region}:{lab.account}:event-bus/default",
    }
    return deploy_stack(FORENSICS_TEMPLATE, lab.in_account(account), parameters, "tourniquet-forensics")


def load(name, function=FUNCTION):
    """The text of a sample event of a function."""
    return (EVENTS / function / f"{name}.json").read_text(encoding="utf-8")


def about_user(text, user, named="svc-build", key=None):
    """An event about an IAM user, with the user's own account, name, unique id and key in it."""
    words = {named: user.name, **_moved_to(user)}
    words |= dict.fromkeys(_USER_ID.findall(text), user.id)
    words |= dict.fromkeys(_KEY_ID.findall(text), key or user.key["AccessKeyId"])
    return replaced(text, words)


def about_role(text, role, named, words=None):
    """An event about a role; `words` says which session or instance takes the place of the event's."""
    ids = dict.fromkeys(_ROLE_ID.findall(text), role.id)
    return replaced(text, {named: role.name, **_moved_to(role), **ids, **(words or {})})


def about_instance(text, instance, named="i-0123456789abcdef0", words=None):
    """An event about an instance: its id, interfaces, VPC, profile and account take the place of the event's.

    The sample's interface is the primary one; `words` says what else is replaced. Where the instance has no profile,
    the event says none either.
    """
    profile = instance.profile or ""
    ids = {
        # Before the instance: an interface's id ends as an instance's does.
        "eni-0123456789abcdef0": instance.interfaces[0] if instance.interfaces else "eni-fedcba98765432100",
        named: instance.id,
        "vpc-0123456789abcdef0": instance.vpc,
        "subnet-0123456789abcdef0": instance.subnet,
        SAMPLE_PROFILE: profile,
        **_moved_to(instance),
    }
    text = replaced(text, {**ids, **(words or {})})
    return text if profile else json.dumps(_without_profile(json.loads(text)))


def _without_profile(node):
    """GuardDuty says null of an instance without a profile, Security Hub says nothing."""
    if isinstance(node, list):
        return [_without_profile(element) for element in node]
    if not isinstance(node, dict):
        return node
    kept = {name: _without_profile(value) for name, value in node.items() if name != "IamInstanceProfileArn"}
    return kept | {name: None for name in kept if name == "iamInstanceProfile"}


def account_of(principal):
    return principal.arn.split(":")[4]


def _moved_to(principal):
    """The events are of the responder's account; one about a member's principal is of that account throughout."""
    account = account_of(principal)
    return {} if account == organization.RESPONDER else {organization.RESPONDER: account}


def replaced(text, words):
    for old, new in words.items():
        text = text.replace(old, new)
    return text


def with_finding_id(text, new_id):
    """The event under finding ids of `new_id`'s making, one for each it holds."""
    for old in dict.fromkeys(_FINDING_ID.findall(text)):
        text = text.replace(old, new_id())
    return json.loads(text)
