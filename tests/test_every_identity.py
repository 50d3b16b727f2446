"""Every kind of identity a feed may accuse, from the event to the attacker refused (CONTAINMENT A8, A13, A15, A17)."""

import json

import pytest
from lab import policies, seed, stage
from lab_assertions import refused

BUCKETS = policies.document(policies.allow("s3:ListAllMyBuckets"))


def contained(delivery):
    assert delivery.result["outcome"] == "contained", delivery.result.get("reason")
    delivery.case.check_chain()
    return delivery.result


def no_writes(delivery, outcome, reason=None):
    assert delivery.writes() == []
    assert delivery.result["outcome"] == outcome
    assert reason is None or reason in delivery.result["reason"]


# --- federated sessions -----------------------------------------------------------------------------------------


@pytest.fixture
def federated(scene):
    """A user, and a federated session that an intruder minted with its key and has used."""
    user = seed.user(scene.lab)
    session = scene.lab.federation_token(user.key, "alice", BUCKETS)
    scene.lab.client("s3", session).list_buckets()
    # What the session did is in CloudTrail's history: management events only, so not a call for objects.
    return user, session


def accuse_session(scene, session, name="alice"):
    words = {"ASIAFEDALICEQEXAMPLE": session["AccessKeyId"], "111122223333:alice": f"{scene.lab.account}:{name}"}
    return scene.event("federated-user-same-name", words)


def test_federated_session_is_contained_at_its_issuer(scene, federated):
    user, session = federated
    delivery = scene.fire(accuse_session(scene, session))
    result = contained(delivery)
    assert (result["target"]["kind"], result["target"]["id"]) == ("user", user.id)
    assert result["cut_off_calls"] == 3
    refused("AccessDenied", scene.lab.client("s3", session).list_buckets)
    refused("InvalidAccessKeyId", scene.lab.client("s3", user.key).list_buckets)


def test_namesake_of_a_federated_user_is_left_alone(scene, federated):
    _, session = federated
    namesake = seed.user(scene.lab, "alice")
    contained(scene.fire(accuse_session(scene, session)))
    scene.lab.client("s3", namesake.key).list_buckets()


def test_federated_session_unknown_to_cloudtrail_is_left_to_a_person(scene):
    event = scene.event("federated-user-same-name", {"ASIAFEDALICEQEXAMPLE": "ASIAZZZZZZZZZZZZZZZZ"})
    delivery = scene.fire(event)
    no_writes(delivery, "cannot_contain", "federated_user")
    assert "CloudTrail" in delivery.message["message"]


def test_issuer_that_only_a_forged_event_names_is_left_alone(scene, federated):
    """The finding is real and its key too; that an innocent issued the session is somebody's claim (H1)."""
    user, session = federated
    innocent = seed.user(scene.lab)
    real = accuse_session(scene, session)
    scene.lab.seed_finding(real["detail"])
    forged = scene.accuse(innocent, "leaked-access-key-security-hub-copy")
    (finding,) = forged["detail"]["findings"]
    finding["Id"] = real["detail"]["arn"]
    (resource,) = [r for r in finding["Resources"] if r["Type"] == "AwsIamAccessKey"]
    resource["Id"] = f"AWS::IAM::AccessKey:{session['AccessKeyId']}"
    issuer = {"Type": "IAMUser", "PrincipalId": innocent.id, "Arn": innocent.arn, "UserName": innocent.name}
    resource["Details"]["AwsIamAccessKey"] = {
        "AccessKeyId": session["AccessKeyId"],
        "PrincipalType": "FederatedUser",
        "PrincipalName": "alice",
        "PrincipalId": f"{scene.lab.account}:alice",
        "SessionContext": {"SessionIssuer": {**issuer, "AccountId": scene.lab.account}},
    }
    delivery = scene.invoke(forged)
    scene.lab.client("s3", innocent.key).list_buckets()
    assert contained(delivery)["target"]["id"] == user.id


def test_another_finding_about_the_issuer_joins_the_case_of_the_session(scene, federated):
    user, session = federated
    first = scene.fire(accuse_session(scene, session))
    second = scene.fire(scene.accuse(user))
    assert first.result["case"] == second.result["case"]


# --- keys, sessions, machines ---------------------------------------------------------------------------------------


def test_bedrock_key_user_loses_its_api_key(scene):
    user = seed.user(scene.lab, "BedrockAPIKey-7f3k", everything=True)
    assert scene.lab.bedrock(user.bedrock_key)[0] == 200
    delivery = scene.fire(scene.accuse(user, "bedrock-key-user", named=named_in("bedrock-key-user")))
    contained(delivery)
    assert scene.lab.bedrock(user.bedrock_key)[0] == 403
    assert delivery.steps()[("deactivate_service_credential", f"{bedrock_id(scene, user)} (bedrock.amazonaws.com)")] == "done"


def named_in(event):
    return json.loads(stage.load(event))["detail"]["resource"]["accessKeyDetails"]["userName"]


def bedrock_id(scene, user):
    listed = scene.lab.client("iam").list_service_specific_credentials(UserName=user.name)
    (found,) = [c for c in listed["ServiceSpecificCredentials"] if c["ServiceName"] == "bedrock.amazonaws.com"]
    assert found["Status"] == "Inactive"
    return found["ServiceSpecificCredentialId"]


def test_roles_anywhere_session_is_denied_and_the_next_step_names_the_trust_anchor(scene):
    trust = policies.trust(service="rolesanywhere.amazonaws.com", account=scene.lab.account)
    role = seed.role(scene.lab, trust=trust)
    details = json.loads(stage.load("roles-anywhere-session"))["detail"]["resource"]["accessKeyDetails"]
    serial = details["principalId"].split(":", 1)[1]
    stolen = scene.lab.mint_session(role.arn, serial)
    other = scene.lab.mint_session(role.arn, "another-certificate")
    delivery = scene.fire(scene.accuse_role(role, "roles-anywhere-session", named=details["userName"]))
    contained(delivery)
    refused("AccessDenied", scene.lab.client("s3", stolen).list_buckets)
    scene.lab.client("s3", other).list_buckets()
    assert "trust anchor" in delivery.message["message"]


def test_role_assumed_by_the_accused_is_named_with_the_line_that_revokes_it(scene):
    user = seed.user(scene.lab)
    event = scene.accuse(user, "user-assumed-a-role", named=named_in("user-assumed-a-role"))
    delivery = scene.fire(event)
    contained(delivery)
    (role,) = [arn for arn in json.dumps(event).split('"') if ":role/" in arn][:1]
    message = delivery.message["message"]
    assert role.rsplit("/", 1)[1] in message
    assert "TourniquetRevokeOlderSessions" in message


def test_every_actor_of_one_chain_is_contained(scene):
    event = json.loads(stage.load("attack-sequence-chain"))
    actors = event["detail"]["service"]["detection"]["sequence"]["actors"]
    (user_actor,) = [a for a in actors if a["user"]["type"] == "IAMUser"]
    (role_actor,) = [a for a in actors if a["user"]["type"] != "IAMUser"]
    user, role = seed.user(scene.lab), seed.role(scene.lab, trust=policies.trust(account=scene.lab.account))
    text = stage.about_user(stage.load("attack-sequence-chain"), user, user_actor["user"]["name"])
    role_id, session = role_actor["user"]["uid"].split(":", 1)
    text = stage.replaced(text, {role_actor["user"]["name"]: role.name, role_id: role.id})
    stolen = scene.lab.mint_session(role.arn, session)
    delivery = scene.fire(scene.recast(text))
    results = {r["target"]["kind"]: r for r in delivery.answer["results"]}
    assert {kind: r["outcome"] for kind, r in results.items()} == {"user": "contained", "role_session": "contained"}
    refused("InvalidAccessKeyId", scene.lab.client("s3", user.key).list_buckets)
    refused("AccessDenied", scene.lab.client("s3", stolen).list_buckets)


def test_two_exposed_keys_are_two_users_contained(scene):
    one, other = seed.user(scene.lab), seed.user(scene.lab)
    text = stage.load("exposed-keys-health-two-users")
    keys = sorted(set(stage._KEY_ID.findall(text)))
    assert len(keys) == 2
    words = {keys[0]: one.key["AccessKeyId"], keys[1]: other.key["AccessKeyId"]}
    # AWS reports to us-east-1; the lab has its rules in one Region only.
    delivery = scene.fire(json.loads(stage.replaced(text, {**words, "us-east-1": scene.lab.region})))
    assert [r["outcome"] for r in delivery.answer["results"]] == ["contained", "contained"]
    for user in (one, other):
        refused("InvalidAccessKeyId", scene.lab.client("s3", user.key).list_buckets)


# --- exposure, policy changes, other products ---------------------------------------------------------------------


def test_macie_accuses_its_actor_and_is_proposed_at_most(scene):
    """Macie's finding cannot be read again at its source."""
    user = seed.user(scene.lab)
    delivery = scene.fire(scene.accuse(user, "macie-policy-user"))
    no_writes(delivery, "proposed")
    assert delivery.result["target"]["id"] == user.id
    assert "put-user-policy" in delivery.message["message"]
    scene.lab.client("s3", user.key).list_buckets()


def test_access_analyzer_names_no_unique_id_and_is_left_to_a_person(scene):
    seed.role(scene.lab, json.loads(stage.load("access-analyzer-role"))["detail"]["resource"].rsplit("/", 1)[1])
    no_writes(scene.fire(scene.event("access-analyzer-role")), "cannot_contain", "unique_id_missing")


@pytest.fixture
def listed_product(scene):
    """Guardrails that trust the account's own applications, and contain what they report."""
    text = stage.load("application-finding-user")
    product = json.loads(text)["detail"]["findings"][0]["ProductArn"]
    rule = '\n[[rule]]\nname = "honeytokens"\ntypes = ["TTPs/Credential Access/Honeytoken"]\nmode = "contain"\n'
    trusted = scene.guardrails.replace("trusted_products = [", f'trusted_products = [\n  "{product}",', 1)
    assert trusted != scene.guardrails
    first = trusted.index("[[rule]]")
    with scene.guardrails_being(trusted[:first] + rule.lstrip() + "\n" + trusted[first:]):
        yield


def report(scene, user):
    """What an application says of a user, under an id that is its own."""
    event = scene.accuse(user, "application-finding-user")
    event["detail"]["findings"][0]["Id"] += seed.unique("-")
    return event


def test_application_finding_of_a_listed_product_contains(scene, listed_product):
    """Importing it is enough: Security Hub's own event brings it."""
    user = seed.user(scene.lab)
    event = report(scene, user)
    contained(scene.brought_by(lambda: scene.import_copy(event)))
    refused("InvalidAccessKeyId", scene.lab.client("s3", user.key).list_buckets)


def test_application_finding_that_security_hub_does_not_have_is_ignored(scene, listed_product):
    user = seed.user(scene.lab)
    event = report(scene, user)
    delivery = scene.fire(event)
    assert delivery.ignored == "not_at_source" and delivery.writes() == []


def test_application_finding_of_an_unlisted_product_is_ignored(scene):
    user = seed.user(scene.lab)
    event = report(scene, user)
    scene.import_copy(event)
    delivery = scene.fire(event)
    assert delivery.ignored == "product_not_listed" and delivery.writes() == []
