"""Whom the fault tests accuse, and what must be true of each: at any time, and when all is over."""

import json
import secrets
import uuid

from botocore.exceptions import ClientError
from lab import policies, seed, seed_instances
from lab_assertions import refused


def lets_in(client):
    """Whether a credential still works."""
    try:
        client.list_buckets()
    except ClientError:
        return False
    return True


class Accused:
    """What is asked of every target."""

    day = "20261121"
    """The UTC date of the finding's first sighting."""
    has_to_be_found = False
    """Whether the finding names only a key, whose owner the function has to find."""
    function = "contain-identity"
    stages = {}
    """Where a call stands that its name does not tell: by operation, pattern and which of several it is."""
    read_again = ()
    """Operations by which it is also read back whether the containment holds."""
    entries_before = 0
    """How many entries the case has before the event the faults are about, with the one that event begins with."""
    may_be_so = ()
    """Steps that need not be planned after a fault: AWS may have done them, or could not be asked."""

    @property
    def finding_id(self):
        return self.event["detail"]["arn"]

    def another_finding(self):
        """Another finding about the same target."""
        return self.accuse()

    def owns(self, resource):
        """Whether a change of this resource is a change of the target and of nobody else."""
        return resource in ("*", self.arn)


class User(Accused):
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
        self.lab = self.account_of(scene)
        self.user = seed.user(self.lab, keys=2, everything=True)
        self.accuse = lambda: scene.accuse(self.user)
        self.event = self.accuse()
        self.key = f"{self.lab.account}/user/{self.user.id}"
        self.arn = self.user.arn

    @staticmethod
    def account_of(scene):
        return scene.lab

    def attacker_gets_in(self):
        return any(lets_in(self.lab.client("s3", credential)) for credential in [*self.user.keys, self.user.session])

    def check_kept(self, writes):
        """Nothing but the console password is gone, and that can be made anew."""
        iam, name = self.lab.client("iam"), self.user.name
        kept = {k["AccessKeyId"] for k in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]}
        assert kept == {key["AccessKeyId"] for key in self.user.keys}
        assert "permissions" in iam.list_user_policies(UserName=name)["PolicyNames"]
        assert len(iam.list_service_specific_credentials(UserName=name)["ServiceSpecificCredentials"]) == 2
        assert {w for w in writes if w.startswith(("Delete", "Detach", "Remove"))} <= {"DeleteLoginProfile"}

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


class Approved(User):
    """Such a user, whose containment was proposed: the event is the press of the button that approves it."""

    is_approved = True

    entries_before = 3
    # The ledger's end is read before anything is decided, all of it for the page.
    stages = {
        **{("s3:GetObject", f"*/cases/*/{number:04}.json", 1): "page" for number in (1, 3, 4, 5, 6)},
        ("s3:GetObject", "*/cases/*/0002.json", 2): "page",
        ("s3:ListObjects", "*/cases/*/", 2): "page",
    }

    def __init__(self, scene):
        super().__init__(scene)
        proposed = scene.accuse(self.user, "anomalous-behaviour-user", "j.doe")
        self.accused = proposed["detail"]["arn"]
        delivery = scene.invoke(proposed)
        assert delivery.result["outcome"] == "proposed", delivery.answer
        self.event = self.approval(scene, delivery, proposed["detail"]["id"])

    def approval(self, scene, _, finding):
        return {**scene.accuse(self.user, "custom-action-user", "j.doe", finding=finding), "id": str(uuid.uuid4())}

    @property
    def finding_id(self):
        return self.accused


class ApprovedByLine(Approved):
    """The same, approved by invoking the function: the case's first entry says whose it is."""

    stages = {**Approved.stages, ("s3:GetObject", "*/cases/*/0001.json", 1): "open case"}
    stages |= {("s3:GetObject", "*/cases/*/0001.json", 2): "page"}

    def approval(self, scene, delivery, _):
        return {"approve": {"case": delivery.result["case"], "plan": delivery.case.memory["proposal"]["plan"]}}


class Member(User):
    """Such a user in a member account, which the function enters through the responder role there."""

    @staticmethod
    def account_of(scene):
        return scene.member()


class Key(Accused):
    """The owner of a key found in public: AWS Health names the key and nobody."""

    has_to_be_found = True
    outcome = "contained"
    changes = ["attach_quarantine_marker", "deactivate_key", "deny_all"]

    def __init__(self, scene):
        self.lab = scene.lab
        self.user = seed.user(self.lab)
        self.accuse = lambda: self._exposed(scene)
        self.event = self.accuse()
        self.key = f"{self.lab.account}/user/{self.user.id}"
        self.arn = self.user.arn

    def _exposed(self, scene):
        text = json.dumps(scene.accuse(self.user, "exposed-key-health"))
        event = text.replace("us-east-1", self.lab.region).replace("7f3kQ2mWzX", seed.unique("exposed"))
        return json.loads(event)

    @property
    def finding_id(self):
        return self.event["detail"]["eventArn"]

    def attacker_gets_in(self):
        return lets_in(self.lab.client("s3", self.user.key))

    def check_kept(self, writes):
        iam, name = self.lab.client("iam"), self.user.name
        (kept,) = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
        assert kept["AccessKeyId"] == self.user.key["AccessKeyId"]
        assert "permissions" in iam.list_user_policies(UserName=name)["PolicyNames"]
        assert not [w for w in writes if w.startswith(("Delete", "Detach", "Remove"))]

    def check_end(self, writes):
        self.check_kept(writes)
        refused("InvalidAccessKeyId", self.lab.client("s3", self.user.key).list_buckets)
        policies_now = self.lab.client("iam").list_user_policies(UserName=self.user.name)["PolicyNames"]
        assert sorted(policies_now) == ["TourniquetDenyAll", "permissions"]

    def check_original(self, original):
        assert {k["id"]: k["active"] for k in original["keys"]} == {self.user.key["AccessKeyId"]: True}
        assert original["attached_policies"] == []


class RoleSession(Accused):
    """One session of a role that others use too."""

    outcome = "contained"
    changes = ["deny_session"]

    def __init__(self, scene):
        self.lab = scene.lab
        self.role = seed.role(self.lab, trust=policies.trust(account=self.lab.account))
        self.stolen = self.lab.mint_session(self.role.arn, "m.rossi@example.com")
        self.other = self.lab.mint_session(self.role.arn, "alice@example.com")
        self.accuse = lambda: scene.accuse_role(self.role)
        self.event = self.accuse()
        self.key = f"{self.lab.account}/role_session/{self.role.id}:m.rossi@example.com"
        self.arn = self.role.arn

    def attacker_gets_in(self):
        return lets_in(self.lab.client("s3", self.stolen))

    def check_kept(self, writes):
        assert "permissions" in self.lab.client("iam").list_role_policies(RoleName=self.role.name)["PolicyNames"]
        assert set(writes) <= {"PutRolePolicy"}
        assert lets_in(self.lab.client("s3", self.other)), "the deny hit somebody else's session"

    def check_end(self, writes):
        refused("AccessDenied", self.lab.client("s3", self.stolen).list_buckets)
        self.lab.client("s3", self.other).list_buckets()
        assert set(writes) == {"PutRolePolicy"}

    def check_original(self, original):
        assert original["unique_id"] == self.role.id


class Recreated(Accused):
    """The accused is gone, and an innocent user has the name."""

    outcome = "cannot_contain"
    changes = []

    def __init__(self, scene):
        self.lab = scene.lab
        self.innocent = seed.user(self.lab)
        accused = "AIDA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(17))
        words = {"svc-etl": self.innocent.name, "AIDAOLDSVCETLQEXAMPLE": accused}
        self.accuse = lambda: scene.event("recreated-user", words)
        self.event = self.accuse()
        self.key = f"{self.lab.account}/user/{accused}"
        self.arn = "nobody's"

    def attacker_gets_in(self):
        return False

    def check_kept(self, writes):
        self.check_end(writes)

    def check_end(self, writes):
        assert writes == []
        self.lab.client("s3", self.innocent.key).list_buckets()

    def check_original(self, original):
        assert original["unique_id"] == self.innocent.id


class Instance(Accused):
    """An instance with two interfaces, two volumes and a role that another instance has too."""

    function = "contain-instance"
    outcome = "contained"
    changes = [
        "deny_session",
        "deregister_target",
        "disassociate_address",
        "enter_standby",
        "isolate_interface",
        "isolate_interface",
        "keep_volume",
        "keep_volume",
        "lock_snapshot",
        "lock_snapshot",
        "lower_connection_timeout",
        "lower_connection_timeout",
        "prepare_isolation_group",
        "protect_from_scale_in",
        "protect_from_stop",
        "protect_from_termination",
        "snapshot_volumes",
        "stop_on_shutdown",
    ]
    stages = {
        ("ec2:DescribeInstanceAttribute", "*", 4): "evidence",
        ("ec2:DescribeSecurityGroupRules", "*", 1): "step",
        ("ec2:DescribeSecurityGroupRules", "*", 2): "step",
        ("ec2:ModifyNetworkInterfaceAttribute", "*", 3): "offered",
        ("ec2:ModifyNetworkInterfaceAttribute", "*", 4): "offered",
        ("ec2:CreateSnapshots", "*", 1): "offered",
        ("autoscaling:DescribeAutoScalingGroups", "*", 1): "count",
    }
    """The user data; the rules of the isolation group before and after they are revoked; the timeouts of connections; the
    whole set of snapshots, in whose place one is taken of each volume; the budget of the Auto Scaling group."""
    read_again = ("ec2:DescribeInstanceAttribute",)
    may_be_so = ("deregister_target",)
    """Auto Scaling takes an instance on standby out of its target groups, and registers it again when it comes back."""
    destructive = ("Delete", "Terminate", "Stop", "Reboot", "Detach", "Release", "Unlock")

    def __init__(self, scene):
        self.lab = scene.lab
        self.bucket = scene.bucket
        role = seed.role(self.lab, profile_path="/")
        self.instance = seed_instances.instance(
            self.lab, of_role=role, interfaces=2, data_volumes=1, elastic_address=True, target_groups=("instance",),
            auto_scaling=True, min_size=1, on_shutdown="terminate",
        )  # fmt: skip
        self.neighbour = seed_instances.instance(self.lab, of_role=role, in_network=self.instance.network)
        self.stolen = seed_instances.instance_credentials(self.lab, self.instance)
        self.accuse = lambda: scene.accuse_instance(self.instance)
        self.event = self.accuse()
        self.key = f"{self.lab.account}/instance/{self.instance.id}"
        self.arn = self.instance.arn

    def attacker_gets_in(self):
        isolated = all(len(groups) == 1 for groups in self._groups().values()) and self._groups() != self.instance.groups
        return lets_in(self.lab.client("s3", self.stolen)) or not isolated

    def _groups(self):
        return seed_instances.groups_now(self.lab, self.instance)

    def check_kept(self, writes):
        """It runs, its volumes and its neighbour are as they were, and nothing at all is gone."""
        found = self.lab.client("ec2").describe_instances(InstanceIds=[self.instance.id])["Reservations"][0]["Instances"][0]
        assert found["State"]["Name"] == "running"
        assert {d["Ebs"]["VolumeId"] for d in found["BlockDeviceMappings"]} == set(self.instance.volumes.values())
        assert seed_instances.groups_now(self.lab, self.neighbour) == self.neighbour.groups, "the neighbour was isolated"
        assert lets_in(self.lab.client("s3", seed_instances.instance_credentials(self.lab, self.neighbour)))
        assert not [w for w in writes if w.startswith(self.destructive)], writes

    def owns(self, resource):
        mine = [self.instance.id, *self.instance.interfaces, *self.instance.volumes.values(), self.instance.role.arn]
        mine += [self.instance.auto_scaling_group, *self.instance.target_groups.values(), self.instance.allocation]
        made = ("security-group/", "security-group-rule/", "snapshot/", f"vpc/{self.instance.vpc}")
        # An association that is gone already is no address of anybody's: the call is judged on a pattern.
        return resource.endswith("*") or any(part in resource for part in [*mine, *made])

    def check_end(self, writes):
        self.check_kept(writes)
        ec2 = self.lab.client("ec2")
        groups = self._groups()
        (group,) = {group for of_interface in groups.values() for group in of_interface}
        assert group not in {g for of_interface in self.instance.groups.values() for g in of_interface}
        filters = [{"Name": "group-id", "Values": [group]}]
        assert ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"] == []
        refused("AccessDenied", self.lab.client("s3", self.stolen).list_buckets)
        mine = [{"Name": "tag:ir:instance", "Values": [self.instance.id]}]
        snapshots = ec2.describe_snapshots(OwnerIds=["self"], Filters=mine)["Snapshots"]
        assert sorted(s["VolumeId"] for s in snapshots) == sorted(self.instance.volumes.values()), "not one set"

    def check_original(self, original):
        assert {i["id"]: i["groups"] for i in original["interfaces"]} == {
            interface: sorted(groups) for interface, groups in self.instance.groups.items()
        }
        assert original["protected_from_termination"] is False and original["protected_from_stop"] is False
        assert all(volume["goes_with_instance"] for volume in original["volumes"])
        assert original["auto_scaling"]["lifecycle"] == "InService"
