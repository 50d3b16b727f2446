"""Acts 1 to 7 of the demo: a stolen access key being cut off, from the finding to the last refusal."""

import json
import textwrap
import time

from botocore.exceptions import ClientError

from . import demo_attacker, seed, stage
from .case_file import CaseFile
from .demo_looks import Failed, act, paint, quote, row, say


def the_account(lab, started):
    act(1, "An AWS account")
    break_glass = seed.user(lab, "break-glass")
    deployment = stage.deploy_product(lab, break_glass)
    victim = seed.user(lab, "svc-build", keys=2, everything=True)
    console = lab.sign_in(victim.name, victim.password)
    rules = sum(resource.type == "AWS::Events::Rule" for resource in deployment.resources.values())
    seconds = time.monotonic() - started
    say(
        f"A local AWS, account {lab.account}, {lab.region}, where IAM is enforced on every request. "
        f"infra/template.yaml is deployed to it as it is ({len(deployment.resources)} resources, {rules} of them "
        f"rules; {seconds:.1f} s so far), and each function runs with its role of the template and nothing else."
    )
    say("user/svc-build    an administrator with every kind of credential: the victim")
    say("user/break-glass  the way back in, protected by the guardrails")
    loot = {
        "access key": victim.keys[0],
        "second access key": victim.keys[1],
        "session minted from the key": victim.session,
        "console session": console,
        "Bedrock API key": victim.bedrock_key,
    }
    return deployment, victim, break_glass, loot


def the_theft(attacker):
    act(2, "An attacker, in a process of its own, uses what it stole")
    for name, line in attacker.await_all("working").items():
        if line is None:
            raise Failed(f"the attacker's {name} never worked: there was nothing to cut off")
        row(name, "works", "red", ", ".join(line["calls"]))


def the_finding(lab, victim):
    act(3, "GuardDuty notices")
    text = stage.about_user(stage.load("leaked-access-key"), victim)
    copy = json.loads(stage.about_user(stage.load("leaked-access-key-security-hub-copy"), victim))
    lab.client("securityhub").batch_import_findings(Findings=copy["detail"]["findings"])
    event = json.loads(text)
    say(
        "events/contain-identity/leaked-access-key.json goes on the event bus, and nothing else is done from here on: "
        "the template's rule takes it to the function."
    )
    fired = time.monotonic() * 1000
    event_id = lab.put_event(event)
    return event, event_id, fired


def the_cut(lab, attacker, event_id, fired):
    act(4, "The attacker is refused")
    survivors = []
    for name, line in attacker.await_all("refused").items():
        if line is None:
            survivors.append(name)
            row(name, "WORKS", "red", f"still, {demo_attacker.SECONDS} s after the finding")
        else:
            row(name, "refused", "green", f"{line['monotonic_ms'] - fired:4.0f} ms after the finding  {line['code']}")
    invocation = lab.wait_for(lambda: finished(lab, event_id), demo_attacker.SECONDS)
    if invocation["status"] != "ok":
        raise Failed(f"the function ended with {invocation['status']}: {invocation['error']}")
    (result,) = invocation["response"]["results"]
    if survivors:
        raise Failed(f"still working: {', '.join(survivors)}; the function says {result['outcome']}")
    if "cut_off_ms" not in result:
        raise Failed(f"the function cut nothing off: {result['outcome']}")
    start = "a cold start included" if invocation["cold"] else "warm"
    print()
    say(
        f"AWS confirmed the deny {result['cut_off_ms']} ms after the function's first line, "
        f"{result['cut_off_calls']} dependent calls in: everything is read in one wave, the second denies. "
        f"(The times above count from the event, {start}.)"
    )
    return result


def finished(lab, event_id):
    tries = lab.invocations(event_id=event_id)
    return tries[-1] if tries and (tries[-1]["status"] == "ok" or tries[-1]["attempt"] == 3) else None


def the_people(lab, result):
    act(5, "People are told")
    for told in lab.notifications():
        if not told["subject"]:
            say("At once, from the rule itself:")
            quote(told["message"])
        elif result["case"] in told["message"]:
            say(f"\nWith the outcome:\n{paint('bold', told['subject'])}")
            quote(told["message"].split("\nHOW TO UNDO")[0])
            return told["message"]
    raise Failed("nobody was told the outcome")


def the_case(lab, deployment, result, event):
    act(6, f"The case: {result['case']}")
    s3, bucket = lab.client("s3"), deployment.outputs["CaseBucketName"]
    case = CaseFile.read(s3, bucket, result["case"])
    try:
        case.check_chain()
    except AssertionError as error:
        raise Failed(f"the case's ledger does not hold: {error}") from error
    told = {
        "opened": "finding, decision, plan and the state before: written beside the deny",
        "acted": "every change with AWS's request id, and the line that undoes it",
        "verified": "read back after the change: it holds",
        "reported": "what people were told",
    }
    for entry in case.entries:
        print(f"   {entry['number']:04}  {entry['entry']:<9} {told.get(entry['entry'], '')}")
    stored = s3.head_object(Bucket=bucket, Key=max(case.objects))
    say(
        f"{len(case.entries)} entries and the event as delivered, tied by their SHA-256: the chain holds. "
        f"Encrypted ({stored['ServerSideEncryption']}), locked until {stored['ObjectLockRetainUntilDate']:%Y-%m-%d}."
    )
    filters = {"Id": [{"Value": event["detail"]["arn"], "Comparison": "EQUALS"}]}
    (finding,) = lab.client("securityhub").get_findings(Filters=filters)["Findings"]
    if finding["Workflow"]["Status"] != "NOTIFIED":
        raise Failed(f"the finding in Security Hub is {finding['Workflow']['Status']}, not NOTIFIED")
    say("\nThe finding in Security Hub is NOTIFIED now, with the note")
    quote(finding["Note"]["Text"])


def the_way_back(lab, message, loot, break_glass):
    act(7, "The way back")
    undo = message.split("\nHOW TO UNDO\n")[1].split("\n\n")[0]
    say("Nothing was deleted but the console password. The message also says how to undo it:")
    quote(textwrap.dedent(undo))
    risen = [name for name, credentials in loot.items() if works(lab, credentials)]
    if risen:
        raise Failed(f"working again: {', '.join(risen)}")
    if not works(lab, break_glass.key):
        raise Failed("break-glass was locked out")
    say("\nTried once more: every stolen credential is still refused, and user/break-glass still works.")


def works(lab, credentials):
    if isinstance(credentials, str):
        return lab.bedrock(credentials)[0] == 200
    try:
        lab.client("s3", credentials).list_buckets()
        return True
    except ClientError:
        return False


def play(lab, ending, started):
    """The acts, one after the other; what was deployed, and how many credentials were refused."""
    deployment, victim, break_glass, loot = the_account(lab, started)
    attacker = demo_attacker.Attacker(lab, loot)
    ending.callback(attacker.stop)
    the_theft(attacker)
    event, event_id, fired = the_finding(lab, victim)
    result = the_cut(lab, attacker, event_id, fired)
    message = the_people(lab, result)
    the_case(lab, deployment, result, event)
    the_way_back(lab, message, loot, break_glass)
    if result["outcome"] != "contained":
        raise Failed(f"the outcome is {result['outcome']}: {result.get('reason')}")
    return deployment, len(loot)
