"""Whom the crash tests accuse, and what must be true of each when all is over."""

import secrets

from lab import policies, seed
from lab_assertions import refused


class User:
    """A user with every credential; the attacker holds a key and a session minted from it."""

    outcome = "contained"
    changes = [
        "attach_quarantine_marker",
        "deactivate_key",
        "deactivate_key",
        "deactivate_service_credential",
        "deactivate_service_credential",
        "deactivate_signing_certificate",
        "deactivate_ssh_key",
        "deny_all",
        "remove_login_profile",
    ]
    """The steps a release has to undo, whichever of them a crashed try had carried out."""

    def __init__(self, scene):
        self.lab = scene.lab
        self.user = seed.user(self.lab, keys=2, everything=True)
        self.event = scene.accuse(self.user)
        self.key = f"{self.lab.account}/user/{self.user.id}"

    def check_end(self, writes):
        iam, name = self.lab.client("iam"), self.user.name
        for key in self.user.keys:
            refused("InvalidAccessKeyId", self.lab.client("s3", key).list_buckets)
        refused("AccessDenied", self.lab.client("s3", self.user.session).list_buckets)
        keys = {k["AccessKeyId"]: k["Status"] for k in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]}
        assert keys == {key["AccessKeyId"]: "Inactive" for key in self.user.keys}
        assert sorted(iam.list_user_policies(UserName=name)["PolicyNames"]) == ["TourniquetDenyAll", "permissions"]
        assert [p["PolicyName"] for p in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]] == [
            "AWSCompromisedKeyQuarantineV3"
        ]
        statuses = iam.list_service_specific_credentials(UserName=name)["ServiceSpecificCredentials"]
        statuses += iam.list_ssh_public_keys(UserName=name)["SSHPublicKeys"]
        statuses += iam.list_signing_certificates(UserName=name)["Certificates"]
        assert [s["Status"] for s in statuses] == ["Inactive"] * 4
        # A console password cannot be deactivated; nothing else may be deleted.
        assert {w for w in writes if w.startswith(("Delete", "Detach", "Remove"))} <= {"DeleteLoginProfile"}

    def check_original(self, original):
        assert {k["id"]: k["active"] for k in original["keys"]} == {k["AccessKeyId"]: True for k in self.user.keys}
        assert original["login"] is not None
        assert original["attached_policies"] == []
        assert all(
            c["active"] for c in original["service_credentials"] + original["ssh_keys"] + original["certificates"]
        )


class RoleSession:
    """One session of a role that others use too."""

    outcome = "contained"
    changes = ["deny_session"]

    def __init__(self, scene):
        self.lab = scene.lab
        self.role = seed.role(self.lab, trust=policies.trust(account=self.lab.account))
        self.stolen = self.lab.mint_session(self.role.arn, "m.rossi@example.com")
        self.other = self.lab.mint_session(self.role.arn, "alice@example.com")
        self.event = scene.accuse_role(self.role)
        self.key = f"{self.lab.account}/role_session/{self.role.id}:m.rossi@example.com"

    def check_end(self, writes):
        refused("AccessDenied", self.lab.client("s3", self.stolen).list_buckets)
        self.lab.client("s3", self.other).list_buckets()
        assert set(writes) == {"PutRolePolicy"}

    def check_original(self, original):
        assert original["unique_id"] == self.role.id


class Recreated:
    """The accused is gone, and an innocent user has the name."""

    outcome = "cannot_contain"
    changes = []

    def __init__(self, scene):
        self.lab = scene.lab
        self.innocent = seed.user(self.lab)
        accused = "AIDA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(17))
        words = {"svc-etl": self.innocent.name, "AIDAOLDSVCETLQEXAMPLE": accused}
        self.event = scene.event("recreated-user", words)
        self.key = f"{self.lab.account}/user/{accused}"

    def check_end(self, writes):
        assert writes == []
        self.lab.client("s3", self.innocent.key).list_buckets()

    def check_original(self, original):
        assert original["unique_id"] == self.innocent.id
