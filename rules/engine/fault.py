"""What the engine says of the rules themselves: one threw, one is gone."""

import msgspec

from rules.rule import Rule
from rules.signal import Action, Severity, Signal, Text

KIND = "rule-fault"


def fault_raised(rule: Rule, key: str, error: Exception, now: int) -> Signal:
    """The rule threw at ``key`` and is left alone there for a while."""
    where = key or "everywhere"
    return Signal(
        rule=f"{rule.name}/fault",
        rule_version=rule.wording,
        key=key,
        episode=now,
        action=Action.RAISE,
        time=now,
        kind=KIND,
        severity=Severity.MODERATE,
        title=Text(f"Rule {rule.name} is suspended at {where}", f"规则 {rule.name} 在 {key or '所有位置'} 已暂停"),
        text=Text(
            f"The rule failed and watches nothing there until it works again: {type(error).__name__}: {error}",
            f"规则运行出错，恢复之前该处不受其监视：{type(error).__name__}: {error}",
        ),
        playbook=Text(
            f"Watch {where} by other means. Correct the rule in {rule.file} and run its tests.",
            f"请用其他方式监视该处。更正 {rule.file} 中的规则并运行其测试。",
        ),
        condition=rule.when.text,
        sources=(key,) if key else (),
    )


def cleared(said: Signal, now: int) -> Signal:
    """The end of what ``said`` began, where the rule itself cannot say it."""
    return msgspec.structs.replace(said, action=Action.CLEAR, time=now)
