"""What is never changed: principals out of reach or protected, and events that are no ground for anything."""

import secrets

import pytest
from lab import policies, seed

SUBJECT_OF = {"cannot_contain": "CANNOT CONTAIN", "skipped": "SKIPPED", "proposed": "PROPOSED", "observed": "OBSERVED"}


def untouched(delivery, outcome, reason):
    """Nothing was written to IAM; people were told once, with the outcome, its reason and what to do next."""
    assert delivery.writes() == []
    assert (delivery.result["outcome"], delivery.result.get("reason")) == (outcome, reason)
    assert delivery.result["steps"] == [] and "cut_off_ms" not in delivery.result
    assert SUBJECT_OF[outcome] in delivery.message["subject"]
    if reason:
        assert reason in delivery.message["message"]
    assert "\nNEXT\n" in delivery.message["message"]
    delivery.case.check_chain()
    return delivery.message["message"]


def unheard_of(prefix):
    """A unique id nobody has."""
    return prefix + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(17))


# --- out of reach ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "reason", "next_step", "name"),
    [
        ("root-credentials-used", "root", "SCP", None),
        ("saml-user", "saml_user", "identity provider", "m.rossi@example.com"),
        ("web-identity-user", "web_identity_user", "OIDC", "example-org/storefront"),
        ("directory-user", "directory_user", "directory", "m.rossi"),
        ("identity-center-user", "directory_user", "Identity Center", "m.rossi@example.com"),
        ("aws-account-foreign", "foreign_account", "resource policies", "999988887777"),
        ("s3-finding-by-foreign-role", "foreign_account", "resource policies", "888877776666"),
        ("aws-service", "aws_service", "invokedBy", "config.amazonaws.com"),
        ("anonymous-principal", "anonymous", "public access", "ANONYMOUS_PRINCIPAL"),
        ("unknown-user-type", "unknown_user_type", "CloudTrail", "WorkloadIdentity"),
        ("attack-sequence-two-actors", "several_actors", "one by one", None),
        ("missing-principal", "unnamed_principal", "CloudTrail", None),
        ("hostile-fields", "unnamed_principal", "CloudTrail", None),
    ],
)
def test_principal_out_of_reach(scene, event, reason, next_step, name):
    """A person is told what to do instead. Where the label is free text, an IAM user of that name is innocent."""
    # Principals of one foreign account share a case: another account, so that this one is told by itself.
    words = {"999988887777": name} if event == "s3-finding-by-foreign-role" else {}
    delivery = scene.fire(scene.event(event, words))
    message = untouched(delivery, "cannot_contain", reason)
    assert next_step in message
    if name:
        assert name in message


def test_federated_name_is_no_user_name(scene):
    innocent = seed.user(scene.lab)
    event = scene.event("federated-user-same-name", {'"alice"': f'"{innocent.name}"', ":alice": f":{innocent.name}"})
    assert event["detail"]["resource"]["accessKeyDetails"]["userName"] == innocent.name
    message = untouched(scene.fire(event), "cannot_contain", "federated_user")
    assert "sessionIssuer" in message
    scene.lab.client("iam", innocent.key).list_users()


def test_recreated_user_is_not_the_accused(scene):
    namesake = seed.user(scene.lab)
    words = {"svc-etl": namesake.name, "AIDAOLDSVCETLQEXAMPLE": unheard_of("AIDA")}
    message = untouched(scene.fire(scene.event("recreated-user", words)), "cannot_contain", "unique_id_mismatch")
    assert "re-created" in message
    scene.lab.client("iam", namesake.key).list_users()


def test_recreated_role_is_not_the_accused(scene):
    namesake = seed.role(scene.lab, trust=policies.trust(account=scene.lab.account))
    words = {"developer": namesake.name, "AROADEVELOPERQEXAMPLE": unheard_of("AROA")}
    untouched(scene.fire(scene.event("role-session-named", words)), "cannot_contain", "unique_id_mismatch")
    session = scene.lab.mint_session(namesake.arn, "m.rossi@example.com")
    scene.lab.client("iam", session).list_users()


def test_deleted_user_is_reported(scene):
    words = {"svc-etl": seed.unique("gone"), "AIDAOLDSVCETLQEXAMPLE": unheard_of("AIDA")}
    untouched(scene.fire(scene.event("recreated-user", words)), "cannot_contain", "no_such_principal")


def test_foreign_accounts_user_has_a_namesake_here(scene):
    namesake = seed.user(scene.lab)
    event = scene.accuse(namesake, "foreign-account-principal")
    untouched(scene.fire(event), "cannot_contain", "foreign_account")
    scene.lab.client("iam", namesake.key).list_users()


def test_service_linked_role_belongs_to_its_service(scene):
    role = seed.service_linked_role(scene.lab)
    event = scene.accuse_role(role, "service-linked-role", "AWSServiceRoleForAutoScaling")
    assert "Contain what makes the service" in untouched(scene.fire(event), "cannot_contain", "service_linked_role")


def test_identity_center_role_belongs_to_the_permission_set(scene):
    role = seed.sso_role(scene.lab)
    event = scene.accuse_role(role, "identity-center-role", "AWSReservedSSO_AdministratorAccess_0123456789abcdef")
    message = untouched(scene.fire(event), "cannot_contain", "identity_center_role")
    assert "permission set" in message and "identitystore:userId" in message


def test_other_partition_is_another_account(scene):
    """The same role name and unique id exist here, and still it is not the role of the finding."""
    role = seed.role(scene.lab, trust=policies.trust(account=scene.lab.account))
    event = scene.accuse_role(role, "gov-cloud-role-session")
    untouched(scene.invoke(event), "cannot_contain", "foreign_account")


# --- protected ----------------------------------------------------------------------------------------------


def test_break_glass_is_protected_by_the_guardrails(scene):
    event = scene.accuse(scene.break_glass, "break-glass-user", "break-glass")
    delivery = scene.fire(event)
    because = "protected: the way back in when single sign-on is down"
    assert "contain it by hand" in untouched(delivery, "skipped", because)
    scene.lab.client("iam", scene.break_glass.key).list_users()


def test_responder_never_contains_itself(scene):
    name = scene.role_arn.rsplit("/", 1)[1]
    role_id = scene.lab.client("iam").get_role(RoleName=name)["Role"]["RoleId"]
    own = seed.Role(name, scene.role_arn, role_id)
    delivery = scene.fire(scene.accuse_role(own, "responder-role", "contain-identity-role"))
    untouched(delivery, "skipped", "this is Tourniquet's own role: the responder never contains itself")


# --- nothing to act on ------------------------------------------------------------------------------------------


def ignored(scene, delivery, reason):
    """No case, no message, nothing written anywhere."""
    assert delivery.ignored == reason
    changes = [c["action"] for c in delivery.calls() if not c["action"].startswith(("Get", "List", "Decrypt"))]
    assert changes == []
    assert [n for n in scene.lab.notifications(delivery.notifications_before) if n["subject"]] == []


@pytest.mark.parametrize(
    ("event", "named", "reason"),
    [
        ("sample-finding", None, "sample_finding"),
        ("sample-finding-api-form", None, "sample_finding"),
        ("archived-finding", "svc-report", "archived_finding"),
        ("archived-security-hub-finding", "svc-report", "archived_finding"),
        ("suppressed-finding", "svc-report", "suppressed_finding"),
        ("suppressed-ocsf-finding", "svc-report", "suppressed_finding"),
        ("resolved-finding", "svc-report", "resolved_finding"),
        ("notified-finding", "svc-report", "notified_finding"),
        ("our-own-update", "svc-build", "our_own_update"),
        ("insight-results", None, "no_findings"),
        ("unknown-envelope", None, "unknown_envelope"),
    ],
)
def test_event_that_is_no_ground_for_anything(scene, event, named, reason):
    """Straight to the function: the rules would not even deliver most of these."""
    user = seed.user(scene.lab)
    accusation = scene.accuse(user, event, named) if named else scene.event(event)
    ignored(scene, scene.invoke(accusation), reason)
    scene.lab.client("iam", user.key).list_users()


def test_forged_finding_is_unknown_at_its_source(scene):
    """Whoever may invoke the function can claim anything; only what the detector keeps is acted on."""
    scene.lab.seed_finding(scene.accuse(seed.user(scene.lab))["detail"])
    victim = seed.user(scene.lab)
    ignored(scene, scene.invoke(scene.accuse(victim), forged=True), "not_at_source")
    scene.lab.client("iam", victim.key).list_users()


def test_finding_of_a_detector_that_is_not_ours_changes_nothing(scene):
    victim = seed.user(scene.lab)
    event = scene.accuse(victim)
    event["detail"]["arn"] = event["detail"]["arn"].replace("12abc34d567e8fa901bc2d34e56789f0", "f" * 32)
    delivery = scene.invoke(event, forged=True)
    assert delivery.writes() == []
    scene.lab.client("iam", victim.key).list_users()


def test_event_that_names_another_principal_than_its_finding(scene):
    """A real finding, its event forged onto a victim."""
    accused, victim = seed.user(scene.lab), seed.user(scene.lab)
    real = scene.accuse(accused)
    scene.lab.seed_finding(real["detail"])
    forged = scene.accuse(victim, finding=real["detail"]["id"])
    delivery = scene.invoke(forged, forged=True)
    untouched_by_forgery(delivery)
    scene.lab.client("iam", victim.key).list_users()


def untouched_by_forgery(delivery):
    assert delivery.writes() == []
    assert delivery.result["outcome"] == "skipped"
    assert "names another target" in delivery.result["reason"]


def test_product_nobody_listed(scene):
    """Anyone who may import findings can word one like GuardDuty's."""
    victim = seed.user(scene.lab)
    event = scene.accuse(victim, "application-finding-unlisted-product", "payroll-admin")
    scene.import_copy(event)
    ignored(scene, scene.invoke(event), "product_not_listed")
    scene.lab.client("iam", victim.key).list_users()


def test_archived_finding_is_not_even_delivered(scene):
    since = len(scene.lab.deliveries())
    user = seed.user(scene.lab)
    event_id = scene.lab.put_event(scene.accuse(user, "archived-finding", "svc-report"))
    # A later event has arrived, so this one would have, too.
    scene.fire(scene.accuse(seed.user(scene.lab)))
    assert event_id not in {d["event_id"] for d in scene.lab.deliveries(since)}


# --- guardrails ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [None, "mode = [", 'version = 1\nmode = "contain"\nunknown = 1\n', "version = 99\n", "\x00"],
    ids=["missing", "broken", "unknown key", "unknown version", "not text"],
)
def test_without_guardrails_everything_is_a_proposal(scene, text):
    user = seed.user(scene.lab)
    with scene.guardrails_being(text):
        delivery = scene.fire(scene.accuse(user))
    assert delivery.writes() == []
    assert delivery.result["outcome"] == "proposed"
    assert delivery.result["reason"].startswith("the guardrails could not be read: ")
    assert "aws iam put-user-policy" in delivery.message["message"]
    scene.lab.client("iam", user.key).list_users()


def test_mode_observe_stops_the_whole_machine(scene):
    user = seed.user(scene.lab)
    with scene.guardrails_being(scene.guardrails.replace('mode = "contain"', 'mode = "observe"', 1)):
        delivery = scene.fire(scene.accuse(user))
    message = untouched(delivery, "observed", None)
    assert "aws iam put-user-policy" in message
    scene.lab.client("iam", user.key).list_users()


@pytest.mark.parametrize(
    ("event", "named"),
    [("anomalous-behaviour-user", "j.doe"), ("anomalous-behaviour-security-hub-copy", "j.doe")],
)
def test_anomalous_behaviour_is_looked_into_first(scene, event, named):
    user = seed.user(scene.lab)
    finding = secrets.token_hex(16)
    scene.lab.seed_finding(scene.accuse(user, "anomalous-behaviour-user", named, finding=finding)["detail"])
    delivery = scene.invoke(scene.accuse(user, event, named, finding=finding))
    rule = delivery.case.memory["decision"]["ruling"]["rule"]
    assert "anomalous-behaviour" in rule
    untouched(delivery, "proposed", f"the guardrails say propose: {rule}")
    scene.lab.client("iam", user.key).list_users()


def test_low_severity_is_observed(scene):
    user = seed.user(scene.lab)
    delivery = scene.invoke(scene.accuse(user, "low-severity-user", "svc-inventory"))
    untouched(delivery, "observed", None)


def test_detector_that_cannot_be_asked_means_propose(scene):
    user, function = seed.user(scene.lab), scene.copy()
    scene.lab.fault(function, at_call=1, kind="access_denied", times=9, action="guardduty:GetFindings")
    delivery = scene.invoke(scene.accuse(user), function)
    scene.lab.clear_faults()
    assert delivery.writes() == []
    assert delivery.result["outcome"] == "proposed"
    assert "the detector could not be asked" in delivery.message["message"]


def test_proposal_is_told_how_to_be_carried_out(scene):
    """The lines in the message are complete but for the keys, and they work as they stand in the case."""
    user = seed.user(scene.lab, keys=0, policy=policies.ADMINISTRATOR)
    user.keys.append(scene.lab.client("iam").create_access_key(UserName=user.name)["AccessKey"])
    delivery = scene.invoke(scene.accuse(user, "anomalous-behaviour-user", "j.doe"))
    assert user.key["AccessKeyId"] not in delivery.message["message"]
    plan = delivery.case.memory["decision"]["plan"]
    assert plan["cut"] == [{"step": "deny_all", "user": user.name}]
    assert {s["step"] for stage in plan["then"] for s in stage["steps"]} == {
        "deactivate_key",
        "attach_quarantine_marker",
    }
    assert delivery.case.planned == [], "a plan that nobody carried out is nothing to undo"
