"""The hash of a snapshot as docs/evidence-hash.md describes it, written from the document and not from the code."""

import hashlib
import struct

BLOCK = 524288
SEGMENT = 65536
ZEROS = hashlib.sha256(bytes(BLOCK)).digest()


def root(letter, gibibytes, blocks):
    """The root of level `letter`, and how many blocks are in it; `blocks` is the data's SHA-256 by index."""
    segments = {}
    for index in sorted(blocks):
        data = blocks[index] if letter == "C" else b""
        if letter == "C" and data == ZEROS:
            continue
        leaf = hashlib.sha256(struct.pack(">Q", index) + data).digest()
        segments.setdefault(index // SEGMENT, []).append(leaf)
    whole = b"ebs-manifest/1\n" + letter.encode() + struct.pack(">IQ", BLOCK, gibibytes << 30)
    for number, leaves in sorted(segments.items()):
        whole += struct.pack(">Q", number) + hashlib.sha256(b"".join(leaves)).digest()
    return hashlib.sha256(whole).hexdigest(), sum(len(leaves) for leaves in segments.values())


def read(ebs, snapshot, most=10000):
    """Every block of a snapshot, as the API gives it: the SHA-256 of its data by index, and the volume's GiB."""
    blocks, arguments = {}, {}
    while True:
        page = ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=most, **arguments)
        for block in page["Blocks"]:
            body = ebs.get_snapshot_block(SnapshotId=snapshot, **block)["BlockData"].read()
            blocks[block["BlockIndex"]] = hashlib.sha256(body).digest()
        if not page.get("NextToken"):
            return blocks, page["VolumeSize"]
        arguments = {"NextToken": page["NextToken"]}


def roots(ebs, snapshot, most=10000):
    """Root and number of blocks of both levels."""
    blocks, gibibytes = read(ebs, snapshot, most)
    return {"block-index": root("I", gibibytes, blocks), "content": root("C", gibibytes, blocks)}
