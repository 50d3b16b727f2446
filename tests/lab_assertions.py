"""What the lab's tests say again and again."""

import json

import pytest
from botocore.exceptions import ClientError


def refused(code, call, *arguments, **keywords):
    """The call must fail with exactly this error code."""
    with pytest.raises(ClientError) as raised:
        call(*arguments, **keywords)
    assert raised.value.response["Error"]["Code"] == code
    return raised.value


def put_policy(lab, user, name, document):
    lab.client("iam").put_user_policy(UserName=user.name, PolicyName=name, PolicyDocument=json.dumps(document))


def put_role_policy(lab, role, name, document):
    lab.client("iam").put_role_policy(RoleName=role.name, PolicyName=name, PolicyDocument=json.dumps(document))
