"""The demo shows what it says, and does not end well when it could not."""

from lab import demo, stage

OBSERVE_ONLY = ('mode = "contain"', 'mode = "observe"', 1)


def test_demo_ends_well_only_after_every_refusal(capsys):
    assert demo.main() == 0
    shown = capsys.readouterr().out
    assert shown.count(" refused ") == 5 and shown.count(" works ") == 5
    assert "5 of 5 stolen credentials refused" in shown
    assert "the chain holds" in " ".join(shown.split()) and "NOTIFIED" in shown and "HOW TO UNDO" not in shown
    assert max(len(line) for line in shown.splitlines()) <= 100
    assert "\033" not in shown, "colour is for terminals"


def test_demo_fails_when_the_attacker_is_not_stopped(capsys, monkeypatch):
    shipped = stage.guardrails
    monkeypatch.setattr(stage, "guardrails", lambda protecting: shipped(protecting).replace(*OBSERVE_ONLY))
    monkeypatch.setattr(demo, "SECONDS", 2)
    assert demo.main() == 1
    shown = capsys.readouterr()
    assert "still working: access key" in shown.err and "observed" in shown.err
    assert "DONE" not in shown.out
