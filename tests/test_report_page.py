"""`report.html` of a case, as the function leaves it and as the command line makes it: what is in it, and that a browser
shows and prints all of it. The pages in Chromium are left out where none is installed."""

import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from lab import seed, seed_instances
from lab.stage import BINARIES
from releasing import release
from test_contested import Adversary

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PDFTOTEXT = shutil.which("pdftotext")
LAST_WORDS = "End of the report."
ELEMENTS = set(
    "html head meta title style body header main section footer h1 h2 p ol ul li table thead tr th td strong code pre"
    " span div br svg line circle text".split()
)
"""Every element that the template has."""


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.names, self.attributes, self.text = set(), set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data):
        self.text += data


def page_of(delivery):
    case = delivery.case
    return case.objects[f"cases/{case.id}/report.html"].decode()


@pytest.fixture(scope="module")
def stories(scene):
    """One delivery of each outcome, by name."""
    lab, told = scene.lab, {}
    told["contained user"] = scene.fire(scene.accuse(seed.user(lab, keys=2, everything=True)))
    role = seed.role(lab, profile_path="/")
    instance = seed_instances.instance(lab, of_role=role, interfaces=2, data_volumes=1, elastic_address=True)
    told["isolated instance"] = scene.fire(scene.accuse_instance(instance), to="contain-instance")
    contested = seed.user(lab)
    with Adversary(scene, contested):
        told["contested user"] = scene.fire(scene.accuse(contested))
    outcomes = [delivery.result["outcome"] for delivery in told.values()]
    assert outcomes == ["contained", "contained", "contested"]
    for name, words in (("released user", {"keys": 2}), ("released instance", {"interfaces": 2})):
        accused = seed.user(lab, **words) if "user" in name else seed_instances.instance(lab, **words)
        event = scene.accuse(accused) if "user" in name else scene.accuse_instance(accused)
        contained = scene.fire(event, to="" if "user" in name else "contain-instance")
        told[name] = release(scene, contained.result["case"])
        assert told[name].result["release"] == "released", told[name].result
    return told


OUTCOMES = ["contained user", "isolated instance", "contested user"]
RELEASES = ["released user", "released instance"]
NAMES = OUTCOMES + RELEASES


@pytest.mark.parametrize("name", OUTCOMES)
def test_page_begins_with_what_happened_and_what_to_do(stories, name):
    delivery = stories[name]
    text = Elements(page_of(delivery)).text
    assert text.index(delivery.result["outcome"].upper()) < text.index("What a person must do") < text.index("Timeline")
    for point in ("first seen", "fired", "received", "observed", "cut", "told", delivery.result["case"]):
        assert point in text, point
    assert "verified" in text or name == "contested user"
    for step in delivery.result["steps"]:
        assert step["step"].replace("_", " ") in text, step
    assert "aws " in text and "How to undo" in text and "Original state" in text


@pytest.mark.parametrize("name", RELEASES)
def test_page_of_a_released_case_says_what_was_undone_and_what_was_not(stories, name):
    delivery = stories[name]
    text = Elements(page_of(delivery)).text
    asked = "What a person must do" if name == "released instance" else "Nothing more is asked of a person"
    assert text.index("RELEASED") < text.index(asked) < text.index("Timeline")
    for point in ("contained", "cut", "released", delivery.result["case"]):
        assert point in text, point
    for step in delivery.result["steps"]:
        assert step["step"].replace("_", " ") in text, step
    for hold in delivery.result.get("holds", []):
        assert hold["until"][:16].replace("T", " ") in text.replace("T", " "), hold


@pytest.mark.parametrize("name", NAMES)
def test_page_has_only_the_elements_of_the_template(stories, name):
    found = Elements(page_of(stories[name]))
    assert found.names <= ELEMENTS, found.names - ELEMENTS
    assert not [name for name in found.attributes if name.startswith("on") or name in ("href", "src", "action")]


def test_step_that_is_asserted_again_is_told_as_often_as_it_was_done(stories):
    delivery = stories["contested user"]
    assert page_of(delivery).count("<strong>deny all</strong>") == delivery.writes().count("PutUserPolicy") == 3


def test_no_whole_access_key_is_on_a_page(stories):
    for delivery in stories.values():
        assert not re.search(r"A[KS]IA[A-Z0-9]{12}", page_of(delivery))


def test_answer_says_when_each_thing_happened(stories):
    timing = stories["contained user"].result["timing"]
    order = [timing[name] for name in ("first_seen", "received", "cut", "verified")]
    assert order == sorted(order)
    assert stories["contested user"].result["timing"].get("verified") is None


def report(scene, case, *options):
    lab = scene.lab
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": lab.admin["key"],
        "AWS_SECRET_ACCESS_KEY": lab.admin["secret"],
        "AWS_REGION": lab.region,
        "AWS_ENDPOINT_URL": lab.endpoint,
        "CASE_BUCKET": scene.bucket,
    }
    command = [str(BINARIES / "tourniquet"), "report", case, *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_command_line_says_that_the_chain_holds(scene, stories, tmp_path):
    case, file = stories["contained user"].result["case"], tmp_path / "page.html"
    made = report(scene, case, "--output", str(file))
    assert made.returncode == 0, made.stderr
    assert "the chain holds" in made.stdout
    text = Elements(file.read_text(encoding="utf-8")).text
    assert "The chain holds: 4 entries." in text and f"s3://{scene.bucket} by tourniquet report" in text


def test_command_line_says_where_the_chain_breaks(scene, stories):
    s3, case = scene.lab.client("s3"), stories["contested user"].case
    key = f"cases/{case.id}/0002.json"
    s3.put_object(Bucket=scene.bucket, Key=key, Body=case.objects[key].replace(b"deny", b"DENY", 1))
    try:
        made = report(scene, case.id)
    finally:
        s3.put_object(Bucket=scene.bucket, Key=key, Body=case.objects[key])
    assert made.returncode == 0, made.stderr
    assert f"THE CHAIN IS BROKEN: broken at cases/{case.id}/0003.json" in Elements(made.stdout).text


def test_page_that_cannot_be_written_changes_nothing(scene):
    user = seed.user(scene.lab)
    function = scene.copy()
    scene.lab.fault(function, at_call=1, kind="access_denied", action="s3:PutObject", resource="*report.html*")
    delivery = scene.invoke(scene.accuse(user), function)
    assert delivery.result["outcome"] == "contained" and len(delivery.attempts) == 1
    case = delivery.case
    assert case.open["state"] == "settled" and f"cases/{case.id}/report.html" not in case.objects
    assert len(delivery.messages()) == 1


# --- in a browser -----------------------------------------------------------------------------------------


def chromium(*arguments):
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


in_a_browser = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed: apt-get install chromium")

MEASURE = """<script>
addEventListener("load", () => {
  const wide = document.documentElement.scrollWidth, room = document.documentElement.clientWidth;
  const out = [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > room + 1);
  document.body.dataset.measured = `${wide} of ${room}, outside: ${out.map(e => e.tagName)}`;
});
</script>"""


@in_a_browser
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [1200, 500])
def test_nothing_lies_outside_the_window(stories, tmp_path, name, width):
    """A copy of the page without its policy measures itself."""
    page = re.sub(r"<meta http-equiv[^>]*>", "", page_of(stories[name])).replace("</head>", f"{MEASURE}</head>")
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    picture = tmp_path / "page.png"
    arguments = [f"--window-size={width},900", f"file://{file}"]
    dom = chromium("--dump-dom", *arguments)
    wide, room, outside = re.search(r'data-measured="(\d+) of (\d+), outside: ([^"]*)"', dom).groups()
    assert int(wide) <= int(room) and outside == "", (wide, room, outside)
    chromium(f"--screenshot={picture}", *arguments)
    assert picture.stat().st_size > 10_000


@in_a_browser
@pytest.mark.skipif(not PDFTOTEXT, reason="no pdftotext is installed: apt-get install poppler-utils")
@pytest.mark.parametrize("name", NAMES)
def test_whole_page_is_printed_on_a4(stories, tmp_path, name):
    page, file, printed = page_of(stories[name]), tmp_path / "page.html", tmp_path / "page.pdf"
    file.write_text(page, encoding="utf-8")
    chromium(f"--print-to-pdf={printed}", "--no-pdf-header-footer", f"file://{file}")
    information = subprocess.run(["pdfinfo", str(printed)], capture_output=True, text=True, check=True).stdout
    assert "A4" in re.search(r"Page size:.*", information).group()
    text = subprocess.run([PDFTOTEXT, "-layout", str(printed), "-"], capture_output=True, text=True, check=True).stdout
    squeezed = re.sub(r"\s", "", text)
    assert re.sub(r"\s", "", LAST_WORDS) in squeezed
    for line in re.findall(r"<code>(aws [^<]*)</code>", page):
        unescaped = Elements(line).text
        assert re.sub(r"\s", "", unescaped) in squeezed, line
