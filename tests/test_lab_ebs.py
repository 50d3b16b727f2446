"""EBS direct: the blocks of a snapshot, page by page, and who may read them."""

import base64
import hashlib

import pytest
from lab import policies, seed, seed_instances
from lab_assertions import refused
from test_lab_snapshots import FORENSICS, customer_key, done, settings, snapshot_of

BLOCK = 524288


@pytest.fixture
def ebs(lab):
    return lab.client("ebs")


def pages(ebs, snapshot, **arguments):
    found, token = [], {}
    while True:
        answer = ebs.list_snapshot_blocks(SnapshotId=snapshot, **arguments, **token)
        found.append(answer)
        if not answer.get("NextToken"):
            return found
        token = {"NextToken": answer["NextToken"]}


def blocks(ebs, snapshot, **arguments):
    return [block for page in pages(ebs, snapshot, **arguments) for block in page["Blocks"]]


def content(ebs, snapshot):
    """SHA-256 of every block, by index."""
    read = {}
    for block in blocks(ebs, snapshot):
        answer = ebs.get_snapshot_block(SnapshotId=snapshot, **block)
        body = answer["BlockData"].read()
        digest = hashlib.sha256(body)
        assert (len(body), answer["DataLength"], answer["ChecksumAlgorithm"]) == (BLOCK, BLOCK, "SHA256")
        assert answer["Checksum"] == base64.b64encode(digest.digest()).decode()
        read[block["BlockIndex"]] = digest.hexdigest()
    return read


def test_blocks_are_listed_in_order_with_empty_pages_between(lab, ebs):
    snapshot = snapshot_of(lab)
    found = pages(ebs, snapshot)
    assert {(page["BlockSize"], page["VolumeSize"]) for page in found} == {(BLOCK, 8)}
    sizes = [len(page["Blocks"]) for page in found]
    assert sizes == [10, 0, 10, 0, 4]
    indexes = [block["BlockIndex"] for page in found for block in page["Blocks"]]
    assert indexes == sorted(set(indexes)) and indexes[-1] == 8 * 2048 - 1
    later = [block["BlockIndex"] for block in blocks(ebs, snapshot, StartingBlockIndex=indexes[5])]
    assert later == indexes[5:]


def test_a_page_has_at_most_what_was_asked_for(lab, ebs):
    with settings(lab, blocks=250, page=10000):
        snapshot = snapshot_of(lab)
        sizes = [len(page["Blocks"]) for page in pages(ebs, snapshot, MaxResults=100)]
    assert [size for size in sizes if size] == [100, 100, 50]
    refused_with("INVALID_PARAMETER_VALUE", ebs.list_snapshot_blocks, SnapshotId=snapshot, MaxResults=10001)


def test_a_copy_has_the_content_of_its_source(lab, ebs):
    source, other = snapshot_of(lab), snapshot_of(lab)
    copy = lab.client("ec2").copy_snapshot(
        SourceRegion=lab.region, SourceSnapshotId=source, Encrypted=True, KmsKeyId=customer_key(lab)
    )["SnapshotId"]
    read = content(ebs, source)
    assert content(ebs, done(lab, copy)) == read
    assert content(ebs, other) != read
    zeros = hashlib.sha256(bytes(BLOCK)).hexdigest()
    # Which blocks are zeros is a matter of the content, and so of chance: some are, and the rest are all different.
    written = [digest for digest in read.values() if digest != zeros]
    assert 0 < len(written) < len(read)
    assert len(set(written)) == len(written)


def refused_with(reason, call, **arguments):
    error = refused("ValidationException", call, **arguments)
    assert error.response["Reason"] == reason


def test_tokens_change_with_every_list_and_are_of_their_block(lab, ebs):
    snapshot, other = snapshot_of(lab), snapshot_of(lab)
    first, second = blocks(ebs, snapshot), blocks(ebs, snapshot)
    assert not {b["BlockToken"] for b in first} & {b["BlockToken"] for b in second}
    read, one = ebs.get_snapshot_block, first[0]
    for block in (one, second[0]):
        read(SnapshotId=snapshot, **block)
    wrong = "INVALID_BLOCK_TOKEN"
    refused_with(wrong, read, SnapshotId=snapshot, BlockIndex=first[1]["BlockIndex"], BlockToken=one["BlockToken"])
    refused_with(wrong, read, SnapshotId=other, **one)
    refused_with(wrong, read, SnapshotId=snapshot, BlockIndex=0, BlockToken="bm9uc2Vuc2U=")
    refused_with("INVALID_PAGE_TOKEN", ebs.list_snapshot_blocks, SnapshotId=snapshot, NextToken="bm9uc2Vuc2U=")


def test_only_what_is_completed_and_ones_own_is_read(lab, ebs):
    volume = seed_instances.instance(lab).volumes["/dev/sda1"]
    with settings(lab, hold=True):
        pending = lab.client("ec2").create_snapshot(VolumeId=volume)["SnapshotId"]
        refused("ValidationException", ebs.list_snapshot_blocks, SnapshotId=pending)
    list_there = lab.in_account(FORENSICS).client("ebs").list_snapshot_blocks
    refused("ResourceNotFoundException", list_there, SnapshotId=pending)
    refused("ResourceNotFoundException", ebs.list_snapshot_blocks, SnapshotId="snap-0123456789abcdef0")


def test_reading_is_judged_on_the_snapshot_and_its_tags(lab):
    snapshot = snapshot_of(lab)
    reading = ["ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock"]
    arn = f"arn:aws:ec2:{lab.region}::snapshot/*"
    for grant, allowed in (
        (policies.allow(reading, arn, StringLike={"aws:ResourceTag/ir:incident": "*"}), True),
        (policies.allow(reading, arn, StringLike={"aws:ResourceTag/other": "*"}), False),
        (policies.allow(reading, f"arn:aws:ec2:{lab.region}:{lab.account}:snapshot/*"), False),
    ):
        caller = lab.client("ebs", seed.user(lab, policy=policies.document(grant)).key)
        if allowed:
            assert content(caller, snapshot)
        else:
            refused("AccessDeniedException", caller.list_snapshot_blocks, SnapshotId=snapshot)


def test_an_encrypted_snapshot_is_read_with_its_key(lab):
    key = customer_key(lab)
    snapshot = snapshot_of(lab, kms_key=key)
    reading = policies.allow("ebs:*", "arn:aws:ec2:*::snapshot/*")
    without = lab.client("ebs", seed.user(lab, policy=policies.document(reading)).key)
    (block, *_) = blocks(without, snapshot)
    refused("AccessDeniedException", without.get_snapshot_block, SnapshotId=snapshot, **block)
    grant = policies.document(reading, policies.allow("kms:Decrypt", key))
    assert content(lab.client("ebs", seed.user(lab, policy=grant).key), snapshot)
