"""Temporary credentials and the moment they were issued.

AWS behaviour: IAM User Guide, "Temporary security credentials" and "Disabling permissions for
temporary security credentials": a session outlives the key it was minted with; it is judged by
the current policies of its issuer; `aws:TokenIssueTime` is fixed when it is minted.
moto mints role sessions without an issue time and answers static examples for the others.
"""

import secrets
import string
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

_ALPHABET = string.ascii_uppercase + "234567"


@dataclass(frozen=True)
class Session:
    access_key: str
    secret: str
    token: str
    kind: str
    """role, session_token, federation or console."""
    account: str
    entity_name: str
    """Name of the role, or of the user that minted it."""
    entity_id: str
    """Unique id of that role or user: a namesake made later is not the issuer."""
    name: str
    """Role session name or federated name; empty for the user's own sessions."""
    issued_at: datetime
    expires_at: datetime
    policies: tuple = None
    instance_arn: str = ""
    mfa: bool = False


class Sessions:
    def __init__(self):
        self._by_key = {}
        self._lock = threading.Lock()

    def mint(self, kind, account, entity_name, entity_id, issued_at, seconds, **rest):
        # The issue time has a resolution of one second, as in the token AWS hands out.
        issued_at = issued_at.replace(microsecond=0)
        session = Session(
            access_key="ASIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16)),
            secret=secrets.token_urlsafe(30),
            token="LabToken/" + secrets.token_urlsafe(96),
            kind=kind,
            account=account,
            entity_name=entity_name,
            entity_id=entity_id,
            issued_at=issued_at,
            expires_at=issued_at + timedelta(seconds=seconds),
            name=rest.pop("name", ""),
            **rest,
        )
        with self._lock:
            self._by_key[session.access_key] = session
        return session

    def find(self, access_key):
        return self._by_key.get(access_key)


def as_credentials(session):
    """The Credentials structure of the STS API."""
    return {
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret,
        "SessionToken": session.token,
        "Expiration": session.expires_at,
    }
