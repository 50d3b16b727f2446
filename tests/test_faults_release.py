"""A fault at every call of a release: nobody comes back to life half-way, and another word finishes it.

One at a time and at call k for every k that a release makes when nothing disturbs it. Whatever comes of it, the attacker's
session is refused: before what keeps it out is in place the deny does not go.
"""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest
from crash_targets import lets_in
from lab import policies, seed, seed_instances
from lab.case_file import CaseFile
from releasing import user_state, without_hold
from test_undo_instance import state

WORKERS = int(os.environ.get("FAULT_WORKERS", "6"))
FULL = os.environ.get("FULL") == "1"
QUICK = {"environment": {"VERIFY_AFTER_MS": "5"}, "retry_delays_ms": [5, 5], "timeout": 45}
KINDS = ["crash_before", "crash_after", "access_denied", "internal_error", "garbage", "throttle", "reset_after"]
SOME = {"User": ["crash_after", "access_denied"], "RoleSession": ["crash_after", "access_denied", "internal_error"],
        "Instance": ["crash_after"]}  # fmt: skip
"""The kinds of fault for each sort of target: what one does not meet another does, on the same walk."""
TRIES = 3


class User:
    """A user with every credential, whose keys are asked for by name."""

    function = "contain-identity"

    def __init__(self, scene):
        self.lab = scene.lab
        self.user = seed.user(self.lab, everything=True)
        self.before = {**user_state(self.lab, self.user), "login": None}
        # What was made since the first sighting comes back by name alone.
        others = (self.user.bedrock_credential_id, self.user.codecommit_credential_id)
        ids = [self.user.key["AccessKeyId"], self.user.ssh_key_id, self.user.certificate_id, *others]
        self.asked = {"reactivate": [one for one in ids if one]}
        self.case = scene.fire(scene.accuse(self.user)).result["case"]

    def attacker_gets_in(self):
        return lets_in(self.lab.client("s3", self.user.session))

    def check_end(self):
        assert without_hold(user_state(self.lab, self.user)) == self.before
        assert lets_in(self.lab.client("s3", self.user.key))


class RoleSession:
    """One session of a role."""

    function = "contain-identity"
    asked = {}

    def __init__(self, scene):
        self.lab = scene.lab
        self.role = seed.role(self.lab, trust=policies.trust(account=self.lab.account))
        self.stolen = self.lab.mint_session(self.role.arn, "m.rossi@example.com")
        self.case = scene.fire(scene.accuse_role(self.role)).result["case"]

    def attacker_gets_in(self):
        return lets_in(self.lab.client("s3", self.stolen))

    def check_end(self):
        again = self.lab.mint_session(self.role.arn, "m.rossi@example.com", issued_at="2099-01-01T00:00:00Z")
        assert lets_in(self.lab.client("s3", again))


class Instance:
    """An instance with everything that a containment changes."""

    function = "contain-instance"
    asked = {}

    def __init__(self, scene):
        self.lab = scene.lab
        role = seed.role(self.lab, profile_path="/")
        self.instance = seed_instances.instance(
            self.lab, of_role=role, elastic_address=True, target_groups=("instance",), auto_scaling=True, min_size=1,
            on_shutdown="terminate",
        )  # fmt: skip
        self.stolen = seed_instances.instance_credentials(self.lab, self.instance)
        self.before = state(self.lab, self.instance)
        self.case = scene.fire(scene.accuse_instance(self.instance)).result["case"]

    def attacker_gets_in(self):
        return lets_in(self.lab.client("s3", self.stolen))

    def check_end(self):
        now = state(self.lab, self.instance)
        assert {k: v for k, v in now.items() if k != "role"} == {k: v for k, v in self.before.items() if k != "role"}


class Faults:
    def __init__(self, scene, kind):
        self.scene, self.lab, self.kind = scene, scene.lab, kind
        self.function = scene.copy("release", **QUICK)
        self.wrong = []

    def order(self, target, request_id=None, **more):
        """One order, to its end: every try of it."""
        request_id = request_id or str(uuid.uuid4())
        since = self.lab.marks()["invocations"]
        self.lab.invoke_async(self.function, {"release": {"case": target.case, **target.asked, **more}}, request_id)

        def ended():
            tries = [i for i in self.lab.invocations(since) if i["request_id"] == request_id]
            return tries if tries and (tries[-1]["status"] == "ok" or len(tries) == TRIES) else None

        return self.lab.wait_for(ended, 120, interval=0.1)

    def shown(self):
        target = self.kind(self.scene)
        assert result_of(self.order(target))["release"] == "shown"
        return target

    def calls(self):
        """How many calls a release makes, and that it is one."""
        target = self.shown()
        (attempt,) = self.order(target)
        assert result_of([attempt])["release"] == "released", attempt
        target.check_end()
        return len(attempt["requests"])

    def cell(self, at, kind):
        target = self.shown()
        request_id = str(uuid.uuid4())
        self.lab.fault(self.function, at_call=at, kind=kind, request_id=request_id, times=TRIES if kind != "crash_after" else 1)
        tries = self.order(target, request_id)
        try:
            self.check(target, tries)
        except Exception as error:
            self.wrong.append(f"{kind} at call {at} ({[t['status'] for t in tries]}): {error!r}")

    def check(self, target, tries):
        assert not target.attacker_gets_in(), "the attacker gets in"
        CaseFile.read(self.lab.client("s3"), self.scene.bucket, target.case).check_chain()
        result = result_of(tries) if tries[-1]["status"] == "ok" else {"release": "queue"}
        outcome = result["release"]
        # Crashed after it had ended: the next try finds that it was released.
        if outcome != "released" and not (outcome == "nothing" and result["repeat"]):
            # Another word shows what is left, and one more does it.
            self.wait_for_the_lease(target)
            last = result_of(self.order(target, mode="do"))
            assert last["release"] == "released", f"{outcome}, then {last}"
        target.check_end()
        assert not target.attacker_gets_in(), "the attacker gets in"
        case = CaseFile.read(self.lab.client("s3"), self.scene.bucket, target.case)
        case.check_chain()
        assert case.open["state"] == "released", case.open["state"]

    def wait_for_the_lease(self, target):
        def is_free():
            case = CaseFile.read(self.lab.client("s3"), self.scene.bucket, target.case).open
            return case["state"] not in ("working", "releasing") or ended(case)

        self.lab.wait_for(is_free, 120, interval=0.5)


def ended(case):
    return datetime.fromisoformat(case["lease"]["until"]) <= datetime.now(timezone.utc)


def result_of(tries):
    assert tries[-1]["status"] == "ok", tries[-1]["error"]
    (result,) = tries[-1]["response"]["results"]
    return result


@pytest.mark.parametrize("kind", [User, RoleSession, Instance], ids=lambda kind: kind.__name__)
def test_every_fault_at_every_call_of_a_release(apart, kind, capsys):
    faults = Faults(apart, kind)
    calls = faults.calls()
    kinds = KINDS if FULL else SOME[kind.__name__]
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda cell: faults.cell(*cell), [(at, what) for what in kinds for at in range(1, calls + 1)]))
    apart.lab.clear_faults()
    with capsys.disabled():
        wrong = len(faults.wrong)
        print(f"\nrelease of {kind.__name__}: {len(kinds) * calls - wrong} of {len(kinds) * calls} ({', '.join(kinds)})")
    assert not faults.wrong, "\n".join(faults.wrong)
