"""`tourniquet verify-case` against the case bucket: the chain that holds, and the first link that does not."""

import os
import subprocess

import pytest
from lab import seed
from lab.stage import BINARIES


@pytest.fixture(scope="module")
def delivery(scene):
    contained = scene.fire(scene.accuse(seed.user(scene.lab)))
    assert contained.result["outcome"] == "contained"
    return contained


def verify(scene, case):
    lab = scene.lab
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": lab.admin["key"],
        "AWS_SECRET_ACCESS_KEY": lab.admin["secret"],
        "AWS_REGION": lab.region,
        "AWS_ENDPOINT_URL": lab.endpoint,
        "CASE_BUCKET": scene.bucket,
    }
    return subprocess.run(
        [str(BINARIES / "tourniquet"), "verify-case", case], env=environment, capture_output=True, text=True, timeout=60
    )


def test_chain_of_a_containment_holds(scene, delivery):
    checked = verify(scene, delivery.case.id)
    assert checked.returncode == 0, checked.stderr
    assert f"{delivery.case.id} in s3://{scene.bucket}: 4 entries, the chain holds." in checked.stdout


@pytest.mark.parametrize(
    ("edited", "broken"), [("0002.json", "0003.json"), ("event", "event"), ("0003.json", "0004.json")]
)
def test_edited_object_is_named_as_the_first_broken_link(scene, delivery, edited, broken):
    """An administrator of the bucket writes a new version over an entry; the lock keeps the old one."""
    s3, case = scene.lab.client("s3"), delivery.case
    (key,) = [key for key in case.objects if f"/{edited}" in key]
    s3.put_object(Bucket=scene.bucket, Key=key, Body=case.objects[key].replace(b"svc", b"SVC") + b" ")
    try:
        checked = verify(scene, case.id)
    finally:
        s3.put_object(Bucket=scene.bucket, Key=key, Body=case.objects[key])
    assert checked.returncode == 1
    assert f"broken at cases/{case.id}/{broken}" in checked.stderr, checked.stderr


def test_case_that_does_not_exist_is_no_chain(scene):
    checked = verify(scene, "IR-20200101-00000000")
    assert checked.returncode == 1
    assert "no entries" in checked.stderr


def test_text_that_is_no_case_id_is_refused(scene):
    checked = verify(scene, "../../guardrails")
    assert checked.returncode == 1
    assert "is not a case id" in checked.stderr
