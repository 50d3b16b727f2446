"""Permissions boundaries of users and roles.

AWS behaviour: IAM API reference, Put- and Delete-User- and -RolePermissionsBoundary: a boundary is
any one managed policy, outside the quota of those attached; setting one replaces the one before.
moto has none for users, and takes any ARN for roles. How a boundary is evaluated is in `policy`.
"""

from moto.iam.models import Role

from ..call import handles
from ..principals import iam_of
from .iam import no_such_entity, role_of, user_of


def _shown(entity):
    """As GetUser and GetRole show it; the type's only value in the API's documentation is Policy."""
    arn = getattr(entity, "permissions_boundary_arn", None)
    return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn} if arn else None


Role.permissions_boundary = property(_shown)


def _put(call, entity):
    arn = call.params["PermissionsBoundary"]
    if arn not in iam_of(call.account).managed_policies:
        raise no_such_entity(f"Policy {arn} does not exist or is not attachable.")
    entity.permissions_boundary_arn = arn
    return {}


def _delete(entity, kind):
    if not getattr(entity, "permissions_boundary_arn", None):
        raise no_such_entity(f"The {kind} with name {entity.name} does not have a permissions boundary.")
    entity.permissions_boundary_arn = None
    return {}


@handles("iam", "PutUserPermissionsBoundary")
def put_user_permissions_boundary(call):
    user = user_of(call)
    _put(call, user)
    user.permissions_boundary = _shown(user)
    return {}


@handles("iam", "DeleteUserPermissionsBoundary")
def delete_user_permissions_boundary(call):
    user = user_of(call)
    _delete(user, "user")
    user.permissions_boundary = None
    return {}


@handles("iam", "PutRolePermissionsBoundary")
def put_role_permissions_boundary(call):
    return _put(call, role_of(call))


@handles("iam", "DeleteRolePermissionsBoundary")
def delete_role_permissions_boundary(call):
    return _delete(role_of(call), "role")
