"""What is said without CEL is what CEL says, missing names included."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.expression import Kind, compile_condition

NAMES = {
    "a": Kind.NUMBER, "b": Kind.NUMBER, "n": Kind.COUNT, "t": Kind.TEXT, "f": Kind.FLAG, "g": Kind.FLAG,
    "d": Kind.DURATION,
}  # fmt: skip
signs = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
operands = st.one_of(
    st.tuples(st.sampled_from(["a", "b"]), signs, st.sampled_from(["a", "b", "1.5", "0.0", "-2.25", "80.0"])),
    st.tuples(st.sampled_from(["1.5", "-2.25"]), signs, st.sampled_from(["a", "b"])),
    st.tuples(st.just("n"), signs, st.sampled_from(["0", "3", "-1"])),
    st.tuples(st.just("t"), signs, st.sampled_from(['"down"', "'ok'", '""'])),
    st.tuples(st.just("d"), signs, st.sampled_from(['duration("10m")', 'duration("90s")'])),
)
atoms = st.one_of(operands.map(" ".join), st.sampled_from(["f", "g", "known.a", "known.f", "!f"]))
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(" ".join),
        inner.map(lambda one: f"!({one})"),
        inner.map(lambda one: f"({one})"),
    ),
    max_leaves=6,
)


@st.composite
def values(draw: Any) -> dict[str, Any]:
    number = st.sampled_from([0.0, -0.0, 1.5, -2.25, 80.0, 1e308, float("inf")])
    kinds = {
        "a": number, "b": number, "n": st.sampled_from([0, 3, -1, 4]), "t": st.sampled_from(["down", "ok", ""]),
        "f": st.booleans(), "g": st.booleans(), "d": st.sampled_from([timedelta(minutes=10), timedelta(seconds=90)]),
    }  # fmt: skip
    found: dict[str, Any] = {name: draw(kind) for name, kind in kinds.items() if draw(st.integers(0, 3))}
    return found | {f"known.{name}": name in found for name in NAMES}


@settings(max_examples=500, deadline=None)
@given(conditions, values())
def test_comparisons_answer_as_cel_does(text: str, given_values: dict[str, Any]) -> None:
    condition = compile_condition(text, NAMES)
    assert condition.tree is not None
    without = compile_condition(text, NAMES)
    without._plain = None
    assert condition.evaluate(given_values) is without.evaluate(given_values)


@pytest.mark.parametrize(
    "text",
    ["a + b > 1.0", "a * 2.0 > b", "t.startsWith('x')", "f == true", "a > 1.0 ? f : g", "t in ['a']", "size(t) > 1",
     "t == 'it\\'s'", "n / 2 > 1", "1.0 < 2.0", "a > 1e3", "duration('1h30m') < d"],
)  # fmt: skip
def test_what_is_more_than_a_comparison_is_left_to_cel(text: str) -> None:
    assert compile_condition(text, NAMES).tree is None
