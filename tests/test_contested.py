"""Somebody with rights of their own undoes the containment (CONTAINMENT A3)."""

import threading

import rechecking
from botocore.exceptions import ClientError
from lab import policies, seed
from lab_assertions import refused
from scene import messages_about

EVERY_SECONDS = 0.05
ASSERTIONS = 3
"""How often one delivery puts the deny: once to contain, then whenever it reads that it is gone."""
REASSERTED = 3
"""How often a containment that held, and was undone later, is asserted again by a later delivery."""


class Adversary:
    """Another administrator of the account, who strips the deny from a user as soon as it is there."""

    def __init__(self, scene, user, once=False, every=EVERY_SECONDS):
        self.stripped = 0
        self._every = every
        self._iam = scene.lab.client("iam", seed.user(scene.lab).key)
        self._user, self._once = user, once
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._strip)

    def _strip(self):
        while not self._over.wait(self._every):
            try:
                self._iam.delete_user_policy(UserName=self._user.name, PolicyName="TourniquetDenyAll")
            except ClientError:
                continue
            self.stripped += 1
            if self._once:
                return

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def assertions(delivery):
    return delivery.writes().count("PutUserPolicy")


def test_deny_that_never_stays_is_contested(scene):
    user = seed.user(scene.lab)
    with Adversary(scene, user) as adversary:
        delivery = scene.fire(scene.accuse(user))
    assert adversary.stripped >= ASSERTIONS
    assert delivery.result["outcome"] == "contested"
    assert assertions(delivery) == ASSERTIONS
    message = delivery.message
    assert message["subject"].startswith("[Tourniquet] CONTESTED")
    assert "Somebody keeps undoing the containment" in message["message"]
    assert "Attach an SCP" in message["message"]
    case = delivery.case
    case.check_chain()
    found_missing = [e["what"]["missing"]["cut"] for e in case.entries if e["entry"] == "verified"]
    assert found_missing == [[{"step": "deny_all", "user": user.name}]] * ASSERTIONS
    # What the adversary did not undo stays done.
    refused("InvalidAccessKeyId", scene.lab.client("s3", user.key).list_buckets)


def test_deny_undone_once_is_asserted_again(scene):
    user = seed.user(scene.lab, everything=True)
    with Adversary(scene, user, once=True) as adversary:
        delivery = scene.fire(scene.accuse(user))
    assert adversary.stripped == 1
    assert delivery.result["outcome"] == "contained"
    assert assertions(delivery) == 2
    assert "somebody undid this containment; it was asserted again" in delivery.message["message"]
    refused("AccessDenied", scene.lab.client("s3", user.session).list_buckets)
    case = delivery.case
    case.check_chain()
    assert case.kinds == ["opened", "acted", "verified", "acted", "verified", "reported"]


def test_key_made_after_the_first_look_is_deactivated_too(scene):
    """A second administrator hands the user a new key between the deny and the read-back."""
    user, function = seed.user(scene.lab), scene.copy(environment={"VERIFY_AFTER_MS": "1000"})
    friend = scene.lab.client("iam", seed.user(scene.lab).key)
    started = scene.start(scene.accuse(user), function)
    scene.lab.wait_for(lambda: denied(scene, user), interval=0.01)
    made = friend.create_access_key(UserName=user.name)["AccessKey"]
    delivery = started.wait()
    assert delivery.result["outcome"] == "contained"
    refused("InvalidAccessKeyId", scene.lab.client("s3", made).list_buckets)
    assert delivery.case.planned.count("deactivate_key") == 2
    delivery.case.check_chain()


def denied(scene, user):
    return "TourniquetDenyAll" in scene.lab.client("iam").list_user_policies(UserName=user.name)["PolicyNames"]


def test_undone_later_is_asserted_again_by_the_next_finding(scene):
    user = seed.user(scene.lab, everything=True)
    event = scene.accuse(user)
    first = scene.fire(event)
    strip(scene, user)
    # The quarantine marker is left, and denies next to nothing.
    scene.lab.client("sns", user.session).list_topics()
    again = scene.fire(scene.accuse(user, "leaked-access-key-updated", finding=event["detail"]["id"]))
    assert again.result["outcome"] == "contained"
    assert again.result["case"] == first.result["case"]
    assert len(again.messages()) == 1, "that somebody undid it is news"
    refused("AuthorizationError", scene.lab.client("sns", user.session).list_topics)
    case = again.case
    case.check_chain()
    assert case.original["login"] is not None, "the original state is the one before the first change"
    assert case.open["memory"] == first.case.open["memory"]


def strip(scene, user):
    scene.lab.client("iam").delete_user_policy(UserName=user.name, PolicyName="TourniquetDenyAll")


def test_contested_case_waits_for_the_person_called(scene):
    """Updates of the same finding start no second fight; another finding is another incident."""
    user = seed.user(scene.lab)
    event = scene.accuse(user)
    with Adversary(scene, user):
        first, again, other = scene.fire(event), scene.fire(event), scene.fire(scene.accuse(user))
    assert [d.result["outcome"] for d in (first, again, other)] == ["contested"] * 3
    assert [assertions(d) for d in (first, again, other)] == [ASSERTIONS, 0, ASSERTIONS]
    assert [len(d.messages()) for d in (again, other)] == [1, 1], "of the second finding alone"
    first.case.check_chain()


def test_fight_that_starts_again_and_again_ends(scene):
    """Each delivery that finds a containment undone asserts it again, but not for ever."""
    user = seed.user(scene.lab)
    event = scene.accuse(user)
    first = scene.fire(event)
    for _ in range(REASSERTED):
        strip(scene, user)
        again = scene.fire(event)
        assert (again.result["outcome"], assertions(again)) == ("contained", 1)
        assert len(again.messages()) == 1
    strip(scene, user)
    last = scene.fire(event)
    assert (last.result["outcome"], assertions(last)) == ("contested", 0)
    assert "Attach an SCP" in last.message["message"]
    first.case.check_chain()


def test_program_that_undoes_the_deny_every_half_second_ends_contested(scene):
    """As published tools do, through the deliveries and the rechecks alike, until the case is contested."""
    user, since = seed.user(scene.lab), scene.lab.mark()
    key = f"{scene.lab.account}/user/{user.id}"
    outcome_now = lambda: (scene.open_case(key) or {}).get("outcome") or {}  # noqa: E731
    with Adversary(scene, user, every=0.5) as adversary:
        first = scene.fire(scene.accuse(user))
        for _ in range(2 * REASSERTED):
            if outcome_now().get("outcome") == "contested":
                break
            scene.lab.wait_for(lambda: not denied(scene, user))
            rechecking.look(scene, first.result["case"])
    assert adversary.stripped >= 1
    assert outcome_now()["outcome"] == "contested"
    told = messages_about(scene.lab.notifications(), first.result["case"])
    assert told[-1]["subject"].startswith("[Tourniquet] CONTESTED")
    assert "aws organizations create-policy" in told[-1]["message"] and user.arn in told[-1]["message"]
    puts = [c for c in scene.lab.calls(since, action="PutUserPolicy", resource=user.arn) if c["function"]]
    assert len(puts) <= (1 + REASSERTED) * ASSERTIONS
    first.case.check_chain()


def test_role_deny_that_never_stays_is_contested(scene):
    role = seed.role(scene.lab, trust=policies.trust(account=scene.lab.account))
    over = threading.Event()
    iam = scene.lab.client("iam", seed.user(scene.lab).key)

    def strip():
        while not over.wait(EVERY_SECONDS):
            for name in iam.list_role_policies(RoleName=role.name)["PolicyNames"]:
                if name.startswith("TourniquetDenySession"):
                    iam.delete_role_policy(RoleName=role.name, PolicyName=name)

    thread = threading.Thread(target=strip)
    thread.start()
    try:
        delivery = scene.fire(scene.accuse_role(role))
    finally:
        over.set()
        thread.join()
    assert delivery.result["outcome"] == "contested"
    assert delivery.writes() == ["PutRolePolicy"] * ASSERTIONS
    delivery.case.check_chain()
