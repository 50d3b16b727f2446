"""The demo shows what it says, and does not end well when it could not."""

from lab import demo, demo_attacker, stage

OBSERVE_ONLY = ('mode = "contain"', 'mode = "observe"', 1)


def test_demo_ends_well_only_after_every_refusal(capsys):
    assert demo.main() == 0
    shown = capsys.readouterr().out
    # Five credentials of a user and one of an instance, and twice the API that would end the instance.
    assert shown.count(" refused ") == 6 + 2 and shown.count(" works    ") == 6
    assert shown.count(" passes   ") == shown.count(" blocked ") == 3
    assert "6 of 6 stolen credentials refused, 2 of 2 interfaces isolated" in shown
    assert shown.count(" locked   ") == 3, "a snapshot of every volume"
    assert "the chain holds" in " ".join(shown.split()) and "NOTIFIED" in shown and "HOW TO UNDO" not in shown
    assert max(len(line) for line in shown.splitlines()) <= 100
    assert "\033" not in shown, "colour is for terminals"


def test_demo_fails_when_the_attacker_is_not_stopped(capsys, monkeypatch):
    shipped = stage.guardrails
    monkeypatch.setattr(stage, "guardrails", lambda protecting: shipped(protecting).replace(*OBSERVE_ONLY))
    monkeypatch.setattr(demo_attacker, "SECONDS", 2)
    assert demo.main() == 1
    shown = capsys.readouterr()
    assert "still working: access key" in shown.err and "observed" in shown.err
    assert "DONE" not in shown.out
