"""The round trip that measurements order: for everybody's requests but AWS's own, and off again when told."""

from lab import seed


def test_requests_take_the_ordered_round_trip_and_are_listed(lab):
    user = seed.user(lab)
    iam, admin = lab.client("iam", user.key), lab.client("iam")
    iam.list_users()
    assert lab.trips() == []
    try:
        lab.round_trip(40)
        iam.get_user(UserName=user.name)
        admin.list_users()
        (trip,) = lab.trips()
    finally:
        lab.round_trip(0)
    assert (trip["service"], trip["operation"]) == ("iam", "GetUser")
    assert trip["access_key"] == user.key["AccessKeyId"]
    assert trip["answered"] - trip["sent"] >= 0.04
    iam.list_users()
    assert lab.trips() == []
