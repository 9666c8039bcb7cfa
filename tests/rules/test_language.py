"""Whatever is wrong with a rule is said when it is loaded: where, what, and the way out."""

import pytest

from rules.document import RuleError
from rules.durations import MINUTE, SECOND, parse_duration, show_duration
from rules.language import load_rules
from rules.packs import shipped
from rules.signal import Severity
from tests.rules.helpers import rule

LET = "{co: {avg: reading.co, over: 5m}}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (rule("co > 60", LET), r"rules.yaml:6:\d+: rule 'probe': when: .*60\.0"),
        (rule('1 > "a"', LET), "found no matching overload"),
        (rule("c0 > 1.0", LET), "did you mean 'co'"),
        (rule("co > 1.0", "{co: {avg: reading.co}}"), "let.co: avg needs 'over'"),
        (rule("co > 1.0", "{co: {avg: reading.co, ower: 5m}}"), "let.co.ower: unknown key 'ower'; did you mean 'over'"),
        (rule("co > 1.0", "{co: {avgg: reading.co, over: 5m}}"), "did you mean 'avg'"),
        (rule("co > 1.0", "{co: {avg: readings.co, over: 5m}}"), "did you mean 'reading'"),
        (rule("co > 1.0", "{co: {avg: gas.co, over: 5m}}"), "no known stream"),
        (rule("co > 1.0", "{co: {avg: reading.co, over: 5}}"), "5 is not a duration"),
        (rule("co > 1.0", "{co: {avg: event.gas.zone, over: 5m}}"), "avg needs a number"),
        (rule("co > 1.0", "{co: {avg: event.gas.level, over: 5m}}"), "attrs.NAME"),
        (rule("co > 1.0", "{co: {avg: reading.co, over: 5m, where: valu > 1.0}}"), "did you mean 'value'"),
        (rule("co > 1.0", "{co: {avg: reading.co, max: reading.co, over: 5m}}"), "names 2 functions"),
        (rule("co", "{co: {k_of_n: reading.co, k: 3, n: 2, over: 5m}}"), "less than k"),
        (rule("co > 1.0", LET, severity="Grave"), "severity: invalid enum value 'Grave'"),
        (rule("co > 1.0", LET, severity="[{if: co > 9.0, severity: Severe}]"), "all other cases"),
        (rule("co > 1.0", LET, title="{c0}"), "title.en: unknown name {c0}; did you mean 'co'"),
        (rule("co > 1.0", LET, title="{co:%}"), "unusable format"),
        (rule("co > 1.0", LET, more="holds: 5s"), "unknown key 'holds'; did you mean 'hold'"),
        (rule("co > 1.0", LET, more="cap: {category: Fires}"), "none of CAP's"),
        (rule("co > 1.0", LET, more="when: true"), "stands here twice"),
        (rule("co > 1.0", LET, name="Probe 1"), "not a valid id"),
        ("- a\n- b\n", "begins with 'rule: name'"),
        ("rule: [", "not YAML"),
    ],
)
def test_a_faulty_rule_is_refused_with_place_value_and_way_out(text: str, words: str) -> None:
    with pytest.raises(RuleError, match=words):
        load_rules(text)


def test_the_place_within_a_block_is_found() -> None:
    text = "rule: a\nkind: gas\nlet:\n  co: {avg: reading.co, over: 5m}\nwhen: |\n  co > 1.0 ||\n  c0 > 2.0\n"
    with pytest.raises(RuleError, match=r"f\.yaml:7:1: rule 'a': when: unknown name 'c0'"):
        load_rules(text + "severity: Minor\ntitle: {en: a, zh: b}\n", "f.yaml")


def test_two_rules_of_one_name_are_refused() -> None:
    one = load_rules(rule("co > 1.0", LET), "a.yaml")
    with pytest.raises(RuleError, match=r"a\.yaml and again in b\.yaml"):
        one + load_rules(rule("co > 2.0", LET), "b.yaml")


def test_the_wording_names_the_text_and_nothing_else() -> None:
    one, same, other = (load_rules(rule(when, LET)) for when in ("co > 1.0", "co > 1.0", "co > 2.0"))
    assert one.rules[0].wording == same.rules[0].wording != other.rules[0].wording
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert one.rules[0].cases[0].severity is Severity.SEVERE


def test_durations_are_read_and_shown() -> None:
    assert parse_duration("1h30m") == 90 * MINUTE
    assert show_duration(270 * SECOND, "en") == "4 min 30 s"
    assert show_duration(270 * SECOND, "zh") == "4分钟30秒"
    assert show_duration(0, "en") == "0 s"
    for text in ("5", "m5", "-5s", 5, "5 m", ""):
        with pytest.raises(ValueError, match="not a duration"):
            parse_duration(text)


def test_every_shipped_limit_that_is_about_life_quotes_its_source() -> None:
    ceiling = next(rule for rule in shipped() if rule.name == "co-ceiling")
    assert any("200 ppm" in reference.quote and "niosh" in reference.source for reference in ceiling.references)
