"""Trust policies as IAM saves them: a role or user is kept by its unique id, not by its name.

AWS behaviour: IAM User Guide, "AWS JSON policy elements: Principal": the ARN of a role or user in a trust
policy turns into its unique id when the policy is saved.
"""

from ..call import guards
from ..principals import iam_of
from ..trust import remember_named


@guards("iam", "CreateRole")
def remember_of_new_role(call):
    name = call.params["RoleName"]
    if not any(role.name == name for role in iam_of(call.account).roles.values()):
        remember_named(call.account, name, call.params["AssumeRolePolicyDocument"])


@guards("iam", "UpdateAssumeRolePolicy")
def remember_of_changed_role(call):
    remember_named(call.account, call.params["RoleName"], call.params["PolicyDocument"])
