"""What a tag may be, and the tags of one resource without a look at all others.

AWS behaviour: EC2 User Guide, "Tag restrictions": 50 tags, keys of 128 and values of 256 characters, keys that
begin with `aws:` are AWS's own.
"""

from moto.ec2.models.tags import EC2_PREFIX_TO_RESOURCE, TagBackend, get_prefix

from ..call import guards
from ..ec2_model import backend_of, tags_of
from ..errors import AwsError

_TAGGING = ("CreateTags", "CreateSecurityGroup", "CreateSnapshot", "CreateSnapshots", "CopySnapshot")


@guards("ec2", *_TAGGING)
def refuse_impossible_tags(call):
    if call.operation.name == "CreateTags":
        tags = call.params.get("Tags") or []
        _check(tags)
        for resource in call.params.get("Resources") or []:
            known = tags_of(backend_of(call), resource)
            _check_number({**known, **{tag["Key"]: "" for tag in tags}})
    for specification in call.params.get("TagSpecifications") or []:
        _check(specification.get("Tags") or [])
        _check_number({tag["Key"]: "" for tag in specification.get("Tags") or []})


def _check(tags):
    for tag in tags:
        key, value = tag.get("Key") or "", tag.get("Value") or ""
        if key.lower().startswith("aws:"):
            raise AwsError(
                "InvalidParameterValue",
                f"Value ( {key} ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved",
            )
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise AwsError("InvalidParameterValue", "Tag keys have up to 128 characters, tag values up to 256.")


def _check_number(tags):
    if len(tags) > 50:
        raise AwsError("TagLimitExceeded", "The maximum number of tags per resource has been reached.")


# --- speed -----------------------------------------------------------------------------------------------

_describe_tags = TagBackend.describe_tags


def _tags_of_one_at_once(backend, filters=None):
    """moto matches every tag of the account against a pattern; with some hundred VPCs that is all the lab does."""
    if filters is None or list(filters) != ["resource-id"] or any("*" in one or "?" in one for one in filters["resource-id"]):
        return _describe_tags(backend, filters)
    return [
        {"resource_id": one, "key": key, "value": value, "resource_type": EC2_PREFIX_TO_RESOURCE.get(get_prefix(one), "")}
        for one in filters["resource-id"]
        for key, value in list(backend.tags.get(one, {}).items())
    ]


TagBackend.describe_tags = _tags_of_one_at_once
