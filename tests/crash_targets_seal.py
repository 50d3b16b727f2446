"""Snapshots for the fault tests of seal-snapshot: the one taken of a volume, its transit copy, its forensic copy.

Each has a case of its own, copied from one that contain-instance made, under other ids and with its chain made anew:
containing an instance for every cell would take longer than everything else.
"""

import hashlib
import json
import re
import secrets
import threading

import evidence_hash
from crash_targets import Accused
from fault_rules import PASSING, pattern_of
from lab import seed
from lab.case_file import CaseFile
from sealing import FORENSICS, Ledger, contained, event, ids, kept, locks, manifest, of, settled, tags

IN_FORENSICS = "*-forensics-casebucket-*"
"""Objects of a case in the bucket of the forensics account."""

_patterns = {}
_making = threading.Lock()


def original_of(scene):
    """The case that all others are copies of, and the ids in it."""
    with _making:
        if scene not in _patterns:
            instance, case = contained(scene)
            found = of(scene.lab, instance)
            settled(scene.lab, *ids(found))
            file = CaseFile.of_target(scene.lab.client("s3"), scene.bucket, f"{scene.lab.account}/instance/{instance.id}")
            _patterns[scene] = (file, instance.id, instance.volumes["/dev/sda1"], found[0])
        return _patterns[scene]


class SealedSource(Accused):
    """The snapshot of a volume: hashed, locked, its transit copy begun."""

    function = "seal-snapshot"
    outcome = "sealed"
    role = "source"
    changes = []

    def __init__(self, scene):
        self.scene, self.lab, self.there = scene, scene.lab, scene.lab.in_account(FORENSICS)
        self._make_case()
        self.snapshot, self.place = self.source, self.lab
        self.event = event(self.lab, self.source)
        self.key = self.ledger.key

    def _make_case(self):
        file, instance, volume, snapshot = original_of(self.scene)
        ec2 = self.lab.client("ec2")
        self.instance, self.case = seed.instance_id(), f"{file.id[:12]}{secrets.token_hex(4)}"
        new_volume = ec2.create_volume(Size=8, AvailabilityZone=f"{self.lab.region}a")["VolumeId"]
        tagged = {**tags(snapshot), "ir:incident": self.case, "ir:instance": self.instance}
        listed = [{"Key": key, "Value": value} for key, value in tagged.items()]
        made = ec2.create_snapshot(
            VolumeId=new_volume, TagSpecifications=[{"ResourceType": "snapshot", "Tags": listed}]
        )
        self.source = made["SnapshotId"]
        words = {file.id: self.case, instance: self.instance, volume: new_volume, snapshot["SnapshotId"]: self.source}
        self.ledger = Ledger(self.scene, self.instance, self.case)
        put = lambda key, body: self.lab.client("s3").put_object(Bucket=self.scene.bucket, Key=key, Body=body)  # noqa: E731
        put(f"targets/{self.ledger.key}.json", recast(json.dumps(file.open), words))
        previous, number = None, 0
        for key in sorted(file.objects):
            if not re.search(r"/\d{4}\.json$", key):
                if "/event-" in key:
                    put(key.replace(file.id, self.case), file.objects[key])
                continue
            entry = json.loads(recast(file.objects[key].decode(), words))
            if number and entry["entry"] != "acted":
                # Fewer entries are fewer reads, each a row of the matrix.
                continue
            number += 1
            body = json.dumps({**entry, "number": number, "previous": previous}).encode()
            put(f"cases/{self.case}/{number:04}.json", body)
            previous = hashlib.sha256(body).hexdigest()
        settled(self.lab, self.source)

    # --- rules ---------------------------------------------------------------------------------------------

    @staticmethod
    def pattern_of(operation, subject):
        # Alike: none of them comes before another.
        is_kept = "-forensics-casebucket-" in subject
        return f"{IN_FORENSICS}/cases/*" if is_kept else pattern_of(operation, subject)

    @staticmethod
    def stage_of(operation, pattern, _):
        service, name = operation.split(":")
        if pattern.startswith(IN_FORENSICS):
            return "keep"
        if service == "s3":
            if name == "PutObject":
                return "manifest" if "snapshots/" in pattern else "ledger"
            return "guardrails" if "guardrails" in pattern else "case"
        if service == "ebs":
            return "blocks"
        by_name = {
            "DescribeSnapshots": "read", "DescribeLockedSnapshots": "lock", "LockSnapshot": "lock", "CreateTags": "tag",
            "CopySnapshot": "copy", "ModifySnapshotAttribute": "share", "AssumeRole": "enter", "Publish": "tell",
        }  # fmt: skip
        return by_name[name]

    def expected(self, column, call):
        good, lasts = self.outcome, column.scope == "event"
        if column.kind == "garbage":
            # Shared to all appearance: that it is not shows in the copy, and the next delivery shares it anew.
            return {"failed"} if call.stage == "share" else {good}
        if column.is_crash or column.kind in PASSING and not lasts:
            return {good}
        if call.stage == "guardrails":
            # Evidence is locked as if they said nothing of it.
            return {good}
        if column.kind == "access_denied":
            if call.stage in ("lock", "tag", "keep"):
                # Said, and no reason not to seal it. Unseen, another's lock could be shortened: none is set then.
                return {good}
            if call.stage in ("blocks", "manifest", "copy", "share", "enter"):
                return {"failed"} if (self.role, call.stage) != ("forensic", "enter") else self._in_queue(lasts)
        return self._in_queue(lasts)

    def _in_queue(self, lasts):
        return {"queue"} if lasts else {self.outcome}

    # --- what must hold ------------------------------------------------------------------------------------

    def owns(self, resource):
        mine = [self.source, *ids(self.transits()), *ids(self.forensics())]
        return resource == "*" or resource.endswith("snapshot/*") or any(resource.endswith(f"snapshot/{one}") for one in mine)

    def transits(self):
        return of(self.lab, self.instance, "transit")

    def forensics(self):
        return of(self.there, self.instance, "forensic")

    def check_kept(self, writes):
        """Whatever came of it: nothing gone, nothing doubled, and the ledger says nothing that is not so."""
        assert not [w for w in writes if w.startswith(("Delete", "Unlock"))], writes
        assert self.source in ids(of(self.lab, self.instance)), "the evidence is gone"
        assert len(self.transits()) <= 1 and len(self.forensics()) <= 1, "copied twice"
        self.ledger.file().check_chain()
        for fact in self.ledger.facts("sealed"):
            assert len(self.ledger.facts("sealed", snapshot=fact["snapshot"])) == 1, "sealed twice"
            kept, stored, where = manifest(self.scene, fact)
            assert hashlib.sha256(stored).hexdigest() == where["sha256"], "not the manifest that is recorded"
            place = self.there if fact["role"] == "forensic" else self.lab
            right = evidence_hash.roots(place.client("ebs"), fact["snapshot"])
            assert {h["level"]: (h["root"], h["blocks"]) for h in fact["hashes"]} == right, "another root"
            assert {m["level"]: m["root"] for m in kept["manifests"]} == {level: root for level, (root, _) in right.items()}
            if fact["locked"]["lock"] == "locked":
                assert fact["snapshot"] in locks(place, [fact["snapshot"]]), "recorded as locked, and is not"
        for fact in self.ledger.facts("copied"):
            made = self.transits() if fact["role"] == "transit" else self.forensics()
            assert fact["snapshot"] in ids(made), "recorded as copied, and is not there"

    def check_end(self, allowed):
        """When it ended well; `allowed` names the stages that a fault was allowed to spoil."""
        self.check_sealed(self.snapshot, self.place, allowed)
        (copied,) = self.ledger.facts("copied", of=self.source, role="transit")
        assert ids(self.transits()) == [copied["snapshot"]]
        (transit,) = self.transits()
        assert tags(transit)["ir:copy-of"] == self.source and tags(transit)["ir:incident"] == self.case

    def check_sealed(self, snapshot, place, allowed):
        (fact,) = self.ledger.facts("sealed", snapshot=snapshot)
        if "lock" not in allowed:
            assert fact["locked"]["lock"] == "locked" and snapshot in locks(place, [snapshot]), "not locked"
        if "tag" not in allowed:
            have = tags(next(s for s in self.mine() if s["SnapshotId"] == snapshot))
            best = next(h for h in fact["hashes"] if h["level"] == "content")
            assert have.get("ir:hash") == f"sha256:{best['root']}" and have.get("ir:hash-level") == "content", "not tagged"
        assert self.ledger.told(snapshot), "nobody was told"

    def mine(self):
        return of(self.lab, self.instance)


class HandedOver(SealedSource):
    """The transit copy: shared with the forensics account, and the copy there begun."""

    outcome = "handed_over"
    role = "transit"

    def __init__(self, scene):
        super().__init__(scene)
        self._prepare(self.event)
        (transit,) = self.transits()
        settled(self.lab, transit["SnapshotId"])
        self.snapshot = transit["SnapshotId"]
        self.event = event(self.lab, self.snapshot, "copySnapshot")

    def _prepare(self, sent):
        """A delivery that nothing disturbs, beside all others."""
        body, error = self.lab.invoke("seal-snapshot", sent)
        assert not error and body["snapshots"], body

    def check_end(self, allowed):
        ec2 = self.lab.client("ec2")
        attribute = ec2.describe_snapshot_attribute(SnapshotId=self.snapshot, Attribute="createVolumePermission")
        assert attribute["CreateVolumePermissions"] == [{"UserId": FORENSICS}], "not shared with the forensics account"
        assert self.ledger.facts("shared", snapshot=self.snapshot)
        (copied,) = self.ledger.facts("copied", of=self.source, role="forensic")
        assert ids(self.forensics()) == [copied["snapshot"]]


class ForensicCopy(HandedOver):
    """The copy in the forensics account: hashed, compared, locked."""

    outcome = "sealed"
    role = "forensic"

    def __init__(self, scene):
        super().__init__(scene)
        self._prepare(self.event)
        (copy,) = self.forensics()
        settled(self.lab, copy["SnapshotId"])
        self.snapshot, self.place = copy["SnapshotId"], self.there
        self.event = event(self.there, self.snapshot, "copySnapshot")

    def check_end(self, allowed):
        self.check_sealed(self.snapshot, self.there, allowed)
        (fact,) = self.ledger.facts("sealed", snapshot=self.snapshot)
        assert fact["compared"]["same_content"] is True
        if "keep" in allowed:
            assert self.ledger.facts("kept") or self.ledger.facts("not_kept"), "not kept, and nobody says so"
        else:
            self.check_case_is_kept()

    def check_kept(self, writes):
        super().check_kept(writes)
        there = kept(self.scene, self.case).objects
        for recorded in (object_ for fact in self.ledger.facts("kept") for object_ in fact["objects"]):
            stored = there.get(recorded["key"], b"")
            assert hashlib.sha256(stored).hexdigest() == recorded["sha256"], "recorded as kept, and is not there"
        here = self.ledger.file().objects
        assert all(here[key] == body for key, body in there.items()), "kept, and not as it is"

    def check_case_is_kept(self):
        """Everything up to the seal of the copy, and the chain of it holds there."""
        (fact,) = self.ledger.facts("kept", after=self.snapshot)
        there = kept(self.scene, self.case)
        there.check_chain()
        assert there.entries[-1]["number"] >= self.ledger.number("sealed", snapshot=self.snapshot), "not up to its seal"
        assert set(there.objects) == {recorded["key"] for recorded in fact["objects"]}

    def mine(self):
        return self.forensics()


def recast(text, words):
    for old, new in words.items():
        text = text.replace(old, new)
    return text
