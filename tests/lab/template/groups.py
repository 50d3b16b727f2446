"""AWS::IAM::Group."""

import json


def create_group(aws, logical_id, properties):
    """Create the group with its policies; its Ref is its name."""
    iam = aws.client("iam")
    name = properties.take("GroupName") or aws.name(logical_id)
    group = iam.create_group(GroupName=name, Path=properties.take("Path", "/"))["Group"]
    for policy in properties.take("Policies", []):
        iam.put_group_policy(
            GroupName=name, PolicyName=policy["PolicyName"], PolicyDocument=json.dumps(policy["PolicyDocument"])
        )
    for arn in properties.take("ManagedPolicyArns", []):
        iam.attach_group_policy(GroupName=name, PolicyArn=arn)
    return name, {"Arn": group["Arn"]}
