"""The role of `release` is enough, and nothing in it is unused; the same of its role in a member account (invariant 8)."""

import json

import pytest
from isolation import guardrails_with
from lab import organization, policies, quotas, seed, seed_instances, stage
from lab.case_file import read_all
from privileges import (
    calls_of, check_actions_are_named, denied_in, fail_for_good, granted_on_everything, grants_in, name_of, statements_of,
    unused_of,
)  # fmt: skip
from releasing import credentials_of, hours_later, release
from test_least_privilege import walk
from test_least_privilege_instance import provable


@pytest.fixture(scope="module")
def played(scene):
    """A release of each sort, in the function's own account and in a member's, and a failure."""
    for account in (scene.lab, scene.member()):
        play(scene, account)
    other = scene.fire(scene.accuse(seed.user(scene.member(1))))
    assert release(scene, other.result["case"]).result["release"] == "released"
    fail_for_good(scene, {"release": {"case": scene.fire(scene.accuse(seed.user(scene.lab))).result["case"]}}, "release")
    return scene


def play(scene, lab):
    user = seed.user(lab, everything=True)
    event = scene.accuse(user, "leaked-access-key-security-hub-copy")
    copy = scene.import_copy(event)
    case = scene.fire(scene.accuse(user, finding=copy.rsplit("/", 1)[1])).result["case"]
    assert release(scene, case, reactivate=credentials_of(user)).result["release"] == "released"
    for order in ("iam:PutUserPolicy",), ("iam:PutUserPolicy", "iam:AttachUserPolicy"), (
        "iam:PutUserPolicy", "iam:AttachUserPolicy", "iam:PutUserPermissionsBoundary",
    ):  # fmt: skip
        held = seed.user(lab)
        old = quotas.set_boundary(lab, held) if len(order) == 1 else None
        free(scene, held, lambda held=held: scene.accuse(held), order)
        assert old is None or quotas.boundary_of(lab, held) == old
    # A boundary is put back where there was one.
    held = seed.user(lab)
    quotas.set_boundary(lab, held)
    free(scene, held, lambda: scene.accuse(held), ("iam:PutUserPolicy", "iam:AttachUserPolicy"))
    role = seed.role(lab, trust=policies.trust(account=lab.account))
    case = scene.fire(scene.accuse_role(role)).result["case"]
    release(scene, case)
    for held in (case, scene.fire(scene.accuse(seed.user(lab))).result["case"]):
        if held != case:
            release(scene, held)
        hours_later(scene, held)
        assert scene.start({"lift": {"case": held}}, "release").wait().result["release"] == "lifted"
    roles(scene, lab)
    role = seed.role(lab, profile_path="/")
    instance = seed_instances.instance(
        lab, of_role=role, elastic_address=True, target_groups=("instance",), auto_scaling=True, min_size=1,
        load_balancer=True, on_shutdown="terminate",
    )  # fmt: skip
    release(scene, scene.fire(scene.accuse_instance(instance)).result["case"])
    with scene.guardrails_being(guardrails_with(scene, auto_scaling="detach", remove_public_addresses=True)):
        other = seed_instances.instance(lab, auto_scaling=True, public_address=True)
        case = scene.fire(scene.accuse_instance(other)).result["case"]
    assert release(scene, case).result["release"] == "released"


def free(scene, held, accuse, full):
    """Contained by the rung above these, and released."""
    walk(scene, accuse(), full)
    kind = "user" if isinstance(held, seed.User) else "role"
    targets = [c for c in cases(scene) if held.id in c["target"]]
    assert targets, (kind, held)
    release(scene, targets[-1]["case"])


def cases(scene):
    return [json.loads(body) for body in read_all(scene.lab.client("s3"), scene.bucket, "targets/").values()]


def roles(scene, lab):
    text = scene.guardrails.replace('deny_whole_role = "never"', 'deny_whole_role = "when_full"')
    with scene.guardrails_being(text):
        for full in ("iam:PutRolePolicy",), ("iam:PutRolePolicy", "iam:AttachRolePolicy"):
            role = seed.role(lab, trust=policies.trust(account=lab.account))
            if len(full) == 2 and lab is scene.lab:
                quotas.set_boundary(lab, role)
            free(scene, role, lambda role=role: scene.accuse_role(role, "role-without-session", "nightly-export"), full)
        for bounded in (True, False):
            role = seed.role(lab, trust=policies.trust(account=lab.account))
            if bounded:
                quotas.set_boundary(lab, role)
            free(
                scene, role, lambda role=role: scene.accuse_role(role, "role-without-session", "nightly-export"),
                ("iam:PutRolePolicy", "iam:AttachRolePolicy"),
            )  # fmt: skip


def test_no_call_was_denied_for_want_of_a_permission(played):
    role = played.deployment.outputs["ReleaseRoleArn"]
    assert denied_in(calls_of(played.lab, role)) == []


def test_every_grant_is_used(played, capsys):
    role = played.deployment.outputs["ReleaseRoleArn"]
    granted = provable(grants_in(statements_of(played.lab, name_of(role))))
    assert unused_of("release", granted, calls_of(played.lab, role), capsys) == set()


def test_every_grant_of_the_members_role_is_used(played, capsys):
    role = stage.member_release_role_arn(organization.MEMBERS[0])
    member = played.member()
    granted = provable(grants_in(statements_of(member, name_of(role))))
    assert denied_in(calls_of(member, role)) == []
    assert unused_of("release, member", granted, calls_of(member, role), capsys) == set()


def test_actions_are_named_one_by_one(played):
    check_actions_are_named(statements_of(played.lab, name_of(played.deployment.outputs["ReleaseRoleArn"])))


def test_what_is_granted_on_everything_takes_no_resource(played):
    found = granted_on_everything(statements_of(played.lab, name_of(played.deployment.outputs["ReleaseRoleArn"])))
    assert found == {"ObserveInstances", "NoteFinding"}
