"""What a role may do against what was done with it: shared by the least-privilege proofs, which run last."""

from fnmatch import fnmatchcase

from scene import ATTEMPTS

PROBE = "probe"
"""Session name of the calls a proof makes itself, with the role's own credentials."""


def calls_of(lab, role_arn):
    """Every call made with a role of this lab's account in the whole run: by its function, by Lambda in its name, by
    whoever assumed it. Those of the proof itself are left out."""
    prefix = f"arn:aws:sts::{lab.account}:assumed-role/{name_of(role_arn)}/"
    made = [c for c in lab.calls() if (c["principal"] or "").startswith(prefix)]
    return [c for c in made if not c["principal"].endswith(f"/{PROBE}")]


def name_of(role_arn):
    return role_arn.rsplit("/", 1)[1]


def statements_of(lab, name):
    """The statements of a role's one policy, and of those of the template that it shares with others."""
    iam = lab.client("iam")
    (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    found = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]["Statement"]
    for shared in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        assert ":policy/tourniquet/" in shared["PolicyArn"]
        version = iam.get_policy(PolicyArn=shared["PolicyArn"])["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=shared["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"]
        found = [*found, *document["Statement"]]
    return found


def listed(value):
    return value if isinstance(value, list) else [value]


def grants_in(statements):
    """Every (action, resource) that is allowed, one by one."""
    allowed = [s for s in statements if s["Effect"] == "Allow"]
    return {(a, r) for s in allowed for a in listed(s["Action"]) for r in listed(s["Resource"])}


def denied_in(calls):
    """The calls that a permission was missing for; what a fault refused was never asked of IAM."""
    return sorted({(c["service"], c["action"], c["resource"]) for c in calls if c["decision"] == "deny"})


def unused_of(name, granted, calls, capsys):
    """The grants that no call needed."""
    used = {(f"{c['service']}:{c['action']}", c["resource"]) for c in calls if c["decision"] == "allow"}
    unused = {
        (action, pattern)
        for action, pattern in granted
        if not any(action.lower() == call.lower() and fnmatchcase(arn, pattern) for call, arn in used)
    }
    with capsys.disabled():
        print(
            f"\nleast privilege of {name}: {len(granted)} grants, {len(granted) - len(unused)} used, "
            f"{len(used)} distinct calls"
        )
    return unused


def check_actions_are_named(statements):
    """No wildcard can grow with what AWS adds."""
    for statement in statements:
        assert "NotAction" not in statement and "NotResource" not in statement
        assert not any("*" in action for action in listed(statement["Action"])), statement["Sid"]


def granted_on_everything(statements):
    """The names of the statements that allow something on every resource."""
    return {s["Sid"] for s in statements if s["Effect"] == "Allow" and "*" in listed(s["Resource"])}


def fail_for_good(scene, event, function):
    """A delivery whose every try crashes: Lambda hands it over with the function's role."""
    lab = scene.lab
    failing = scene.copy(function, retry_delays_ms=[10, 10])
    lab.fault(failing, at_call=1, kind="crash_after", times=ATTEMPTS)
    since = len(lab.deliveries())
    failed = scene.invoke(event, failing)
    lab.clear_faults()
    assert len(failed.attempts) == ATTEMPTS
    lab.wait_for(lambda: [d for d in lab.deliveries(since) if d.get("request_id") == failed.request_id])
