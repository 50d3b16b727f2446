"""What the tests of releases share: an identity as AWS tells it, and a case shown and released."""

import json

DENY_ALL = "TourniquetDenyAll"
HOLD = "TourniquetRevokeOlderSessions"


def release(scene, case, **order):
    """Shown, then done, by the same order given twice; the answer of the second."""
    shown = scene.release(case, **order)
    assert shown.result["release"] == "shown", shown.result
    assert shown.changes() == []
    return scene.release(case, **order)


def user_state(lab, user):
    """Everything a containment may change on a user, as IAM tells it, policies byte for byte."""
    iam, name = lab.client("iam"), user.name
    inline = iam.list_user_policies(UserName=name)["PolicyNames"]
    found = iam.get_user(UserName=name)["User"]
    try:
        login = iam.get_login_profile(UserName=name)["LoginProfile"]["CreateDate"]
    except iam.exceptions.NoSuchEntityException:
        login = None
    return {
        "inline": {policy: json.dumps(iam.get_user_policy(UserName=name, PolicyName=policy)["PolicyDocument"])
                   for policy in inline},
        "attached": sorted(p["PolicyArn"] for p in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]),
        "boundary": found.get("PermissionsBoundary"),
        "groups": sorted(g["GroupName"] for g in iam.list_groups_for_user(UserName=name)["Groups"]),
        "keys": _by(iam.list_access_keys(UserName=name)["AccessKeyMetadata"], "AccessKeyId"),
        "service": _by(
            iam.list_service_specific_credentials(UserName=name)["ServiceSpecificCredentials"], "ServiceSpecificCredentialId"
        ),
        "ssh": _by(iam.list_ssh_public_keys(UserName=name)["SSHPublicKeys"], "SSHPublicKeyId"),
        "certificates": _by(iam.list_signing_certificates(UserName=name)["Certificates"], "CertificateId"),
        "mfa": sorted(d["SerialNumber"] for d in iam.list_mfa_devices(UserName=name)["MFADevices"]),
        "login": login,
    }  # fmt: skip


def _by(items, name):
    return {item[name]: item["Status"] for item in items}


def role_state(lab, role):
    """Everything a containment may change on a role."""
    iam, name = lab.client("iam"), role.name
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return {
        "inline": {policy: json.dumps(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
                   for policy in inline},
        "attached": sorted(p["PolicyArn"] for p in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]),
        "boundary": iam.get_role(RoleName=name)["Role"].get("PermissionsBoundary"),
        "trust": json.dumps(iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]),
    }  # fmt: skip


def without_hold(state):
    """The state but for what keeps older sessions out."""
    kept = {name: document for name, document in state["inline"].items() if "aws:TokenIssueTime" not in document}
    return {**state, "inline": kept}


def credentials_of(user):
    """The ids of everything that a containment deactivates."""
    others = (user.bedrock_credential_id, user.codecommit_credential_id, user.ssh_key_id, user.certificate_id)
    return [*(key["AccessKeyId"] for key in user.keys), *(one for one in others if one)]


def does(delivery):
    """What the release does with each step, by step."""
    found = {}
    for step in delivery.result["steps"]:
        found.setdefault(step["step"], set()).add(step["does"])
    return found


def reasons(delivery, step):
    return "; ".join(s.get("reason") or "" for s in delivery.result["steps"] if s["step"] == step)


def entries(scene, case, kind):
    return [entry for entry in scene.read_case(case).entries if entry["entry"] == kind]


def hours_later(scene, case):
    """The ledger as if the release were long ago: what it left in force may go now."""
    last = scene.read_case(case).entries[-1]
    (released,) = entries(scene, case, "released")
    what = {**released["what"], "holds": [{**hold, "until": PAST} for hold in released["what"]["holds"]]}
    entry = {**released, "number": last["number"] + 1, "what": what}
    key = f"cases/{case}/{entry['number']:04}.json"
    scene.lab.client("s3").put_object(Bucket=scene.bucket, Key=key, Body=json.dumps(entry).encode())


PAST = "2026-11-01T00:00:00.000Z"
