"""A case as it lies in the bucket, read and checked without the product's help."""

import hashlib
import json
import re
from dataclasses import dataclass

from botocore.exceptions import ClientError

_LEDGER_ENTRY = re.compile(r"cases/[^/]+/(\d{4})\.json")


@dataclass
class CaseFile:
    id: str
    objects: dict
    """Key -> bytes of everything under the case's prefix."""
    open: dict
    """The open case: the object under `targets/` that names this case."""

    @classmethod
    def read(cls, s3, bucket, case):
        objects = read_all(s3, bucket, f"cases/{case}/")
        first = json.loads(objects[f"cases/{case}/0001.json"])
        target = first["what"]["decision"]["target"]
        stem = f"targets/{target['account']}/{target['kind']}/"
        open_cases = [json.loads(body) for body in read_all(s3, bucket, stem).values()]
        (open_case,) = [found for found in open_cases if found["case"] == case]
        return cls(case, objects, open_case)

    @classmethod
    def of_target(cls, s3, bucket, key):
        """The case that is open for a target; None where there is none."""
        found = cls.open_case(s3, bucket, key)
        return found and cls(found["case"], read_all(s3, bucket, f"cases/{found['case']}/"), found)

    @staticmethod
    def open_case(s3, bucket, key):
        try:
            return json.loads(s3.get_object(Bucket=bucket, Key=f"targets/{key}.json")["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise

    @property
    def entries(self):
        """The ledger's entries, in the order of their keys."""
        return [json.loads(self.objects[key]) for key in sorted(self.objects) if _LEDGER_ENTRY.fullmatch(key)]

    @property
    def kinds(self):
        return [entry["entry"] for entry in self.entries]

    def entry(self, kind):
        """The last entry of a kind: what it records."""
        return [entry["what"] for entry in self.entries if entry["entry"] == kind][-1]

    @property
    def memory(self):
        """What the open case remembers: finding, decision, plan and original state."""
        return self.open["memory"]["what"]

    @property
    def original(self):
        return self.memory["original"]

    @property
    def planned(self):
        """The names of all steps of the case's plan, sorted: what there is to undo."""
        plan = self.open["plan"]
        return sorted(step["step"] for step in plan["cut"] + [s for stage in plan["then"] for s in stage["steps"]])

    def event(self, sha256=None):
        """An event as it was delivered, stored under its hash; the one that is remembered unless told otherwise."""
        sha256 = sha256 or self.memory["event_sha256"]
        return self.objects[f"cases/{self.id}/event-{sha256[:16]}.json"]

    def check_chain(self, evidence=True):
        """Each entry holds the SHA-256 of the one before, numbers have no gap, and the evidence is what was hashed."""
        previous, number = None, 0
        for key in sorted(self.objects):
            found = _LEDGER_ENTRY.fullmatch(key)
            if not found:
                continue
            number += 1
            entry = json.loads(self.objects[key])
            assert int(found[1]) == entry["number"] == number, f"{key}: entry {entry['number']}, expected {number}"
            assert entry["case"] == self.id, key
            assert entry["previous"] == previous, f"{key}: `previous` is not the hash of the entry before"
            previous = hashlib.sha256(self.objects[key]).hexdigest()
            recorded = entry["what"].get("event_sha256")
            if recorded and evidence:
                assert hashlib.sha256(self.event(recorded)).hexdigest() == recorded, f"{key}: not the event it records"
        assert number > 0, "no entries"


def read_all(s3, bucket, prefix):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
