"""Events that are no JSON, too large, too deep or hostile, through the function as it is deployed.

Each ends clearly, changes nothing but the principal it is proved to accuse, and nothing in it is carried out. What the
runtime itself cannot decode is a function error and ends in the on-failure queue. Lambda refuses a body that is no JSON
before any function sees it, so these are handed to the function past that check, as only the lab can.
"""

import json
import re
import unicodedata

import pytest
from lab import policies, seed, stage, undo

LIMIT = 1_048_576
LEVELS = 10_000

HOSTILE = {
    "quotes": "'\"; touch pwned; '\" && touch pwned",
    "line breaks": "svc\r\nNEXT\naws iam delete-user --user-name root\u2028",
    "terminal escapes": "\x1b[2J\x1b]0;pwned\x07\x9b31m",
    "NUL": "svc\0build",
    "direction overrides": "\u202egnp.exe\u2066\u200b",
    "substitution": "$(touch pwned)`touch pwned`${IFS}",
    "path": "../../guardrails.toml",
    "URL path": "..%2f..%2ftargets",
    "ARN": "arn:aws:iam::111122223333:user/break-glass",
    "ARN of everything": "*:user/*",
    "policy": '"},{"Effect":"Allow","Action":"*","Resource":"*"},{"',
    "100 KB": "a" * 100_000,
}
"""None of these is a name, an id or a key."""


def objects(scene):
    pages = scene.lab.client("s3").get_paginator("list_objects_v2").paginate(Bucket=scene.bucket)
    return {found["Key"] for page in pages for found in page.get("Contents", [])}


def is_printable(line):
    """Nothing in the line moves the cursor, reorders it or hides."""
    return not any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in line)


@pytest.fixture
def raw(scene):
    """An event as bytes; the detector keeps its finding."""
    event = scene.accuse(seed.user(scene.lab))
    scene.lab.seed_finding(event["detail"])
    return json.dumps(event).encode()


def padded(raw, length):
    """The same event, that many bytes long."""
    start, end = raw[:-1] + b',"padding":"', b'"}'
    return start + b"a" * (length - len(start) - len(end)) + end


def in_title(raw, value):
    """The event with these bytes in place of the title's value."""
    start, rest = raw.split(b'"title": "', 1)
    return start + b'"title": ' + value + b"," + rest.split(b'",', 1)[1]


def undecodable(raw):
    return {
        "empty": b"",
        "not JSON": b"detail: {}",
        "truncated": raw[:-40],
        "never closed": b"[" * LEVELS,
        "NUL": b"\0" * 10,
        "not UTF-8": in_title(raw, b'"\xff\xfe"'),
        "overlong": in_title(raw, b'"\xc0\xaf"'),
        "surrogate": in_title(raw, b'"\xed\xa0\x80"'),
    }


def test_what_the_runtime_cannot_decode_is_kept_in_the_queue(scene, raw):
    before = objects(scene)
    deliveries = {name: scene.start(body) for name, body in undecodable(raw).items()}
    for name, delivery in deliveries.items():
        attempts = delivery.wait().attempts
        assert [a["status"] for a in attempts] == ["error"] * 3, name
        assert "failed to deserialize" in attempts[-1]["error"]["errorMessage"], name
        (kept,) = scene.lab.wait_for(lambda d=delivery: scene.lab.deliveries(request_id=d.request_id))
        assert (kept["target"].split(":")[2], kept["status"]) == ("sqs", "delivered"), name
        assert delivery.calls() == [], name
    assert objects(scene) == before


@pytest.mark.parametrize("function_sees", ["detail", "bytes"])
def test_lambda_refuses_what_is_no_json(scene, function_sees):
    """Without the lab's own way past it, an undecodable body is refused and no function runs."""
    before = scene.lab.marks()["invocations"]
    path = f"/2015-03-31/functions/{stage.FUNCTION}/invocations"
    body = {"detail": b'{"detail": ', "bytes": b"\xff"}[function_sees]
    status, headers, _ = scene.lab.request("POST", path, body)
    assert (status, headers["x-amzn-ErrorType"]) == (400, "InvalidRequestContentException")
    assert scene.lab.marks()["invocations"] == before


def ignored_events(raw):
    deep = b"[" * LEVELS + b"]" * LEVELS
    objects_ = b'{"a":' * LEVELS + b"0" + b"}" * LEVELS
    return {
        "one byte too long": (padded(raw, LIMIT + 1), "too_large"),
        "twice too long": (padded(raw, 2 * LIMIT), "too_large"),
        "arrays in arrays": (deep, "malformed"),
        "objects in objects": (objects_, "malformed"),
        "arrays in the title": (in_title(raw, deep), "malformed"),
        "half a surrogate pair": (in_title(raw, b'"\\ud800"'), "malformed"),
        "a megabyte of numbers": (b"[" + b"0," * (LIMIT // 2 - 2) + b"0]", "unknown_envelope"),
        "null": (b"null", "unknown_envelope"),
    }


def test_what_cannot_be_an_event_is_ignored(scene, raw):
    before = objects(scene)
    deliveries = [(name, reason, scene.start(body)) for name, (body, reason) in ignored_events(raw).items()]
    for name, reason, delivery in deliveries:
        assert delivery.wait().ignored == reason, name
        assert len(delivery.attempts) == 1 and delivery.calls() == [], name
        assert is_printable(delivery.answer["ignored"][0]["detail"]), name
    assert objects(scene) == before


def test_event_of_just_the_limit_is_read(scene, raw):
    delivery = scene.invoke(padded(raw, LIMIT))
    assert delivery.result["outcome"] == "contained"
    delivery.case.check_chain()


CASES = [
    ("user", ["accessKeyId"], "contained", None),
    ("user", ["principalId"], "contained", None),
    ("user", ["accessKeyId", "principalId"], "cannot_contain", "unique_id_missing"),
    ("user", ["userName"], "cannot_contain", "unnamed_principal"),
    ("user", ["userType"], "cannot_contain", "unknown_user_type"),
    ("user", ["title"], "contained", None),
    ("role", ["accessKeyId"], "contained", None),
    # What stands before a colon would be the unique id, what stands behind it the session.
    ("role", ["principalId"], "cannot_contain", "unique_id_missing unnamed_principal"),
    ("role", ["session"], "cannot_contain", "unnamed_principal"),
    ("role", ["userName"], "cannot_contain", "unnamed_principal"),
    ("role", ["userType"], "cannot_contain", "unknown_user_type"),
    ("role", ["title"], "contained", None),
]


@pytest.mark.parametrize(
    ("kind", "fields", "outcome", "reason"), CASES, ids=[f"{kind} {'+'.join(fields)}" for kind, fields, *_ in CASES]
)
def test_hostile_text_is_told_and_never_carried_out(scene, tmp_path, kind, fields, outcome, reason):
    before = objects(scene)
    started = [(text, *accused_with(scene, kind, fields, text)) for text in HOSTILE.values()]
    started = [(text, victim, scene.start(event)) for text, victim, event in started]
    for _, _, delivery in started:
        delivery.wait()
    cases = set()
    for text, victim, delivery in started:
        result = delivery.result
        assert result["outcome"] == outcome, text[:99]
        assert result.get("reason") in (reason.split() if reason else [None]), text[:99]
        written = {c["resource"] for c in delivery.calls(service="iam") if not c["action"].startswith(("Get", "List"))}
        assert written == ({victim.arn} if outcome == "contained" else set()), text[:99]
        delivery.case.check_chain()
        lines = nothing_is_interpreted(delivery, victim, tmp_path)
        assert (lines > 0) == (outcome == "contained"), text[:99]
        cases.add(result["case"])
    assert len(cases) == len(HOSTILE)
    only_cases_were_written(objects(scene) - before, cases)


def accused_with(scene, kind, fields, text):
    """A principal of its own, and an event about it with the text in those fields."""
    if kind == "user":
        victim = seed.user(scene.lab)
        event = scene.accuse(victim)
    else:
        victim = seed.role(scene.lab, trust=policies.trust(account=scene.lab.account))
        event = scene.accuse_role(victim)
    details = event["detail"]["resource"]["accessKeyDetails"]
    for field in fields:
        if field == "title":
            event["detail"]["title"] = text
        elif field == "session":
            details["principalId"] = f"{victim.id}:{text}"
        else:
            assert field in details
            details[field] = text
    return victim, event


def nothing_is_interpreted(delivery, victim, folder):
    """A person's terminal shows the message as it is, and a shell makes of its lines only `aws`, about the accused.

    Returns how many such lines there are.
    """
    lines = 0
    message = delivery.message
    assert is_printable(message["subject"]) and message["subject"].isascii()
    assert all(is_printable(line) for line in message["message"].split("\n"))
    assert all(is_printable(line) for line in delivery.attempts[-1]["logs"])
    for line in message["message"].split("\n"):
        line = line.strip().removeprefix("# 36 hours later: ").removeprefix("# ")
        if line.startswith("aws "):
            lines += 1
            for words in undo.typed(line, folder):
                assert words[0] == "iam" and victim.name in words, line
    assert list(folder.iterdir()) == []
    return lines


def only_cases_were_written(keys, cases):
    """Each new object is of one of these cases, files it under its target, or counts it in an hour's budget."""
    of_cases = {key for key in keys if re.fullmatch(r"cases/IR-\d{8}-[0-9a-f]{8}/[0-9a-z.-]+", key)}
    assert {key.split("/")[1] for key in of_cases} == cases
    counted = {key for key in keys if key.startswith("budget/counted/")}
    for key in counted:
        assert re.fullmatch(r"budget/counted/[\dT-]{13}/\d{12}/IR-\d{8}-[0-9a-f]{8}\.json", key), key
    assert {key.split("/")[-1].removesuffix(".json") for key in counted} <= cases
    filed = keys - of_cases - counted
    assert len(filed) == len(cases)
    for key in filed:
        assert re.fullmatch(r"targets/\d{12}/(user|role_session|elsewhere)/[\w:+=,.@-]+\.json", key, re.ASCII), key
