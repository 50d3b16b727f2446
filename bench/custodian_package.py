"""Builds Cloud Custodian's Lambda package for the nearest it has to a containment. Run by the Python that has c7n.

`python custodian_package.py OUT.zip ROLE_ARN TOPIC_ARN`: the archive that `custodian run` would upload.
"""

import shutil
import sys

from c7n.config import Config
from c7n.mu import PolicyLambda
from c7n.policy import PolicyCollection
from c7n.resources import load_resources


def policy(role_arn, topic_arn):
    return {
        "name": "contain-iam-user",
        "resource": "iam-user",
        "mode": {"type": "guard-duty", "role": role_arn, "memory": 512, "timeout": 60},
        "filters": [{"type": "event", "key": "detail.severity", "op": "gte", "value": 4}],
        "actions": [
            {"type": "set-policy", "state": "attached", "arn": "arn:aws:iam::aws:policy/AWSDenyAll"},
            {
                "type": "notify",
                "to": ["security@example.com"],
                "subject": "Contained {{ account_id }}",
                "transport": {"type": "sns", "topic": topic_arn},
            },
        ],
    }


def main(out, role_arn, topic_arn):
    load_resources(("aws.iam-user",))
    options = Config.empty(region="eu-west-1", account_id=role_arn.split(":")[4], output_dir="/tmp", cache="memory")
    (made,) = PolicyCollection.from_data({"policies": [policy(role_arn, topic_arn)]}, options)
    made.validate()
    archive = PolicyLambda(made).get_archive()  # deletes its file when it goes
    shutil.copyfile(archive.path, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
