"""Who is calling: from an access key id to a principal with its policies.

AWS behaviour: IAM User Guide, "AWS global condition context keys" (the table of values of
`aws:userid` and `aws:PrincipalArn` for each kind of principal) and "Permissions boundaries".
Everything is looked up in moto's IAM at every call, so a policy change is effective at once.
"""

import json
import re
from dataclasses import dataclass, field

from moto.iam.models import iam_backends

from .policy import PolicySet
from .world import PARTITION, iso, now


@dataclass
class Principal:
    kind: str
    """admin, service, user, role, session_token, federation or console."""
    account: str
    arn: str
    user_id: str
    secret: str = ""
    token: str = ""
    active: bool = True
    expired: bool = False
    context: dict = field(default_factory=dict)
    entity: object = None
    session: object = None

    @property
    def name(self):
        return "admin" if self.kind == "admin" else self.arn


def iam_of(account):
    return iam_backends[account][PARTITION]


def find_role(role_arn):
    match = re.fullmatch(r"arn:[\w-]+:iam::(\d{12}):role/(.+)", role_arn)
    if not match:
        return None
    return next((role for role in list(iam_of(match[1]).roles.values()) if role.arn == role_arn), None)


def entity_of(arn):
    """The role or user of an ARN, or None."""
    match = re.fullmatch(r"arn:[\w-]+:iam::(\d{12}):user/(.+)", arn)
    if not match:
        return find_role(arn)
    return next((user for user in list(iam_of(match[1]).users.values()) if user.arn == arn), None)


class Directory:
    def __init__(self, world, sessions):
        self.world = world
        self.sessions = sessions

    def find(self, access_key):
        """The principal behind an access key id, or None when no such key exists."""
        if access_key == self.world.admin_key:
            account = self.world.account
            return Principal("admin", account, f"arn:aws:iam::{account}:root", account, self.world.admin_secret)
        session = self.sessions.find(access_key)
        if session is not None:
            return self.of_session(session)
        for account in list(iam_backends):
            backend = iam_of(account)
            for user in list(backend.users.values()):
                for key in user.access_keys:
                    if key.access_key_id == access_key:
                        return self.of_user(user, key)
        return None

    def of_user(self, user, key=None):
        principal = Principal("user", user.account_id, user.arn, user.id, entity=user)
        principal.context = _user_context(user)
        if key is not None:
            principal.secret, principal.active = key.secret_access_key, key.status == "Active"
        return principal

    def of_session(self, session):
        principal = self._role_session(session) if session.kind == "role" else self._user_session(session)
        if principal is None:
            return None
        principal.secret, principal.token = session.secret, session.token
        principal.session = session
        principal.expired = now() >= session.expires_at
        principal.context["aws:tokenissuetime"] = iso(session.issued_at)
        principal.context["aws:multifactorauthpresent"] = "true" if session.mfa else "false"
        if session.instance_arn:
            # The key travels with the credential, not with the network (EC2 User Guide).
            principal.context["ec2:sourceinstancearn"] = session.instance_arn
        return principal

    def _role_session(self, session):
        role = next((r for r in list(iam_of(session.account).roles.values()) if r.id == session.entity_id), None)
        if role is None:
            return None
        arn = f"arn:aws:sts::{session.account}:assumed-role/{role.name}/{session.name}"
        principal = Principal("role", session.account, arn, f"{role.id}:{session.name}", entity=role)
        principal.context = {
            "aws:principalarn": role.arn,
            "aws:userid": principal.user_id,
            "aws:principaltype": "AssumedRole",
            "aws:principalaccount": session.account,
            **_tags(getattr(role, "tags", None)),
        }
        return principal

    def _user_session(self, session):
        user = next((u for u in list(iam_of(session.account).users.values()) if u.id == session.entity_id), None)
        if user is None:
            return None
        if session.kind != "federation":
            principal = self.of_user(user)
            principal.kind = session.kind
            return principal
        arn = f"arn:aws:sts::{session.account}:federated-user/{session.name}"
        principal = Principal("federation", session.account, arn, f"{session.account}:{session.name}", entity=user)
        principal.context = {
            "aws:principalarn": arn,
            "aws:userid": principal.user_id,
            "aws:principaltype": "FederatedUser",
            "aws:principalaccount": session.account,
        }
        return principal


def policies_of(principal):
    """The policy documents that govern a user or a role session."""
    entity = principal.entity
    backend = iam_of(principal.account)
    documents = _own_policies(entity)
    if principal.kind != "role":
        for group in backend.get_groups_for_user(entity.name):
            documents += _own_policies(group)
    boundary_arn = getattr(entity, "permissions_boundary_arn", None)
    boundary = None
    if boundary_arn:
        managed = backend.managed_policies.get(boundary_arn)
        boundary = (default_document(managed),) if managed else ()
    session = principal.session.policies if principal.session else None
    if principal.kind == "federation" and session is None:
        # Without a session policy a federated session has no permissions of its own.
        session = ()
    return PolicySet(tuple(documents), boundary, session)


def _own_policies(entity):
    documents = [_text(document) for document in list(entity.policies.values())]
    return documents + [default_document(policy) for policy in list(entity.managed_policies.values())]


def default_document(policy):
    """The document of a managed policy's default version."""
    for version in policy.versions:
        if version.version_id == policy.default_version_id:
            return _text(version.document)
    return _text(policy.document)


def _text(document):
    return document if isinstance(document, str) else json.dumps(document)


def _user_context(user):
    return {
        "aws:principalarn": user.arn,
        "aws:userid": user.id,
        "aws:username": user.name,
        "aws:principaltype": "User",
        "aws:principalaccount": user.account_id,
        **_tags(user.tags),
    }


def _tags(tags):
    if not tags:
        return {}
    if isinstance(tags, dict):
        tags = [tag if isinstance(tag, dict) else {"Key": key, "Value": tag} for key, tag in tags.items()]
    return {f"aws:principaltag/{tag['Key']}".lower(): tag["Value"] for tag in tags}
