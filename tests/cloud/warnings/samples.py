"""Signals of one episode, for the tests of warnings."""

from rules.signal import Action, Severity, Signal, Text

EPISODE = 1_780_000_000_000_000


def signal(
    action: Action = Action.RAISE,
    after_s: float = 0.0,
    severity: Severity = Severity.SEVERE,
    key: str = "demo/gate/lobby",
    title: str = "Fire in the lobby",
    events: tuple[str, ...] = ("fire-1",),
    episode: int = EPISODE,
) -> Signal:
    """A signal ``after_s`` seconds into the episode."""
    return Signal(
        rule="fire",
        rule_version="0123456789ab",
        key=key,
        episode=episode,
        action=action,
        time=episode + int(after_s * 1_000_000),
        kind="fire",
        severity=severity,
        title=Text(title, "大厅起火"),
        text=Text("A camera sees fire.", "摄像机看到火。"),
        playbook=Text("Look at the picture. Call the fire brigade.", "查看画面。呼叫消防。"),
        cap={"category": "Fire", "urgency": "Immediate", "certainty": "Observed"},
        condition="fire.score > 0.5",
        values={"fire.score": 0.83},
        sources=(key,),
        events=events,
    )
