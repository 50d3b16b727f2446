"""What a tag may be.

AWS behaviour: EC2 User Guide, "Tag restrictions": 50 tags, keys of 128 and values of 256 characters, keys that
begin with `aws:` are AWS's own.
"""

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
