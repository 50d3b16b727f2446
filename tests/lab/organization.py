"""The accounts of the lab: one that responds, members it contains in, and others it must not.

AWS behaviour: IAM User Guide, "AWS global condition context keys", `aws:PrincipalOrgID`: in the request
context when the caller's account belongs to an organization, absent otherwise. Any twelve digits are
an account here; those below are the organization's.
"""

ID = "o-lab0rgan1z"
RESPONDER = "111122223333"
MEMBERS = ("333344445555", "555566667777")
"""Accounts the product may enter."""
UNLISTED = "777788889999"
"""In the organization, with Tourniquet's role in it, and not on the product's list."""
WITHOUT_ROLE = "121212121212"
"""In the organization and listed, but nobody deployed the role there."""
ACCOUNTS = {RESPONDER, *MEMBERS, UNLISTED, WITHOUT_ROLE}


def of(account):
    """The id of the organization an account belongs to, or None."""
    return ID if account in ACCOUNTS else None
