"""What keeps a condition from being true, so that a sample that leaves it in place need not be looked at.

A condition that is false is false because of some of its comparisons: of ``a && b`` one that is false is enough, of
``a || b`` one of each side. As long as those stay false, so does the whole, whatever the other windows say. Whether a
sample can make one of them true is told without asking the window only where that is certain: a window that did not
take the sample has not moved; ``last``, ``max`` and ``min`` move to the sample's value or not at all; ``absent`` ends;
and a mean on one side of a figure stays there when a value on that side joins it. Means are rounded, so for them the
side begins a millionth away from the figure, and no number among them may be a thousand times as large: with those
margins the rounding of a million samples cannot carry a mean across.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rules.comparison import COMPARISONS, Both, Comparison, Either, Flag, Node
from rules.signals.numbers import Average
from rules.signals.window import Window

_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ALWAYS: Final = {("min", ">"), ("min", ">="), ("max", "<"), ("max", "<=")}
"""A further sample can only move the window away."""
_BY_VALUE: Final = {
    *(("last", sign) for sign in COMPARISONS),
    ("max", ">"), ("max", ">="), ("min", "<"), ("min", "<="),
}  # fmt: skip
"""The window moves to the sample's value, or not at all."""

_MARGIN: Final = 1e-6
_TAME: Final = 1e3
Keeps = Callable[[Any], bool]
Denies = Callable[[Any, Window], bool]
"""Whether a window's value, and what the window holds, are such that the comparison is false (and may stay so)."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A comparison: of which window, when it is false, and whether it stays so when the window takes a sample of a
    value; ``keeps`` is None where only asking the window tells."""

    name: str
    window: int
    false: Denies
    keeps: Keeps | None
    until: Callable[[Window, int, int], int | None] = lambda window, now, listening: window.due(now, listening)
    """When it may end though no sample comes."""


class Guard:
    """The comparisons of one condition.

    Args:
        tree: the condition.
        windows: how samples move each window, by name, in the order of the rule (``rules.windows.Let.moves``).
    """

    def __init__(self, tree: Node, windows: Mapping[str, str]) -> None:
        self._windows = windows
        self._places = {name: place for place, name in enumerate(windows)}
        self.blockers: list[Blocker] = []
        self._tree = self._plan(tree)

    def find(self, values: Mapping[str, Any], windows: Sequence[Window]) -> tuple[int, ...]:
        """Numbers of blockers that together keep the condition false, given what the windows (in the rule's order) say;
        none where nothing does."""
        return self._find(self._tree, values, windows) or ()

    def due(self, found: Iterable[int], windows: Sequence[Window], now: int, listening: int) -> int:
        """When what ``find`` found may end though no sample comes; 0 where it never does by itself."""
        due = 0
        for number in found:
            blocker = self.blockers[number]
            end = blocker.until(windows[blocker.window], now, listening)
            if end is not None and (not due or end < due):
                due = end
        return due

    def _plan(self, node: Node) -> Any:
        if isinstance(node, Both | Either):
            return (isinstance(node, Both), self._plan(node.one), self._plan(node.two))
        blocker = self._blocker(node)
        if blocker is None:
            return None
        self.blockers.append(blocker)
        return len(self.blockers) - 1

    def _find(self, plan: Any, values: Mapping[str, Any], windows: Sequence[Window]) -> tuple[int, ...] | None:
        if plan is None:
            return None
        if isinstance(plan, int):
            blocker = self.blockers[plan]
            value = values.get(blocker.name)
            return (plan,) if value is not None and blocker.false(value, windows[blocker.window]) else None
        both, one, two = plan
        first = self._find(one, values, windows)
        if both:
            return first or self._find(two, values, windows)
        second = self._find(two, values, windows) if first else None
        return (*first, *second) if first and second else None

    def _blocker(self, node: Node) -> Blocker | None:
        if isinstance(node, Flag) and node.name in self._places:
            ends = self._windows[node.name] == "absent"
            return Blocker(node.name, self._places[node.name], _is_false, (lambda _value: True) if ends else None)
        if not isinstance(node, Comparison) or "figure" not in node.kinds:
            return None
        mirrored = node.kinds[0] == "figure"
        name, figure = (node.right, node.left) if mirrored else (node.left, node.right)
        sign = _MIRRORED.get(node.sign, node.sign) if mirrored else node.sign
        if name not in self._places:
            return None
        function = self._windows[name]
        if function == "avg" and sign in _MIRRORED:
            return _mean(name, self._places[name], sign, figure)
        compare = COMPARISONS[sign]
        return Blocker(
            name, self._places[name], lambda value, _window: not compare(value, figure), _keeps(function, sign, figure)
        )


def _is_false(value: Any, _window: Window) -> bool:
    return value is False


def _keeps(function: str, sign: str, figure: Any) -> Keeps | None:
    if (function, sign) in _ALWAYS:
        return lambda _value: True
    if (function, sign) in _BY_VALUE:
        compare = COMPARISONS[sign]
        return lambda value: value is not None and not compare(value, figure)
    return None


def _mean(name: str, place: int, sign: str, figure: float) -> Blocker:
    """Of a mean: when it is well on the other side of the figure, and which values leave it there. Where all that it is
    made of lies there, what runs out does not move it across, until nothing is left."""
    size = max(1.0, abs(figure))
    most = _TAME * size
    if sign in (">", ">="):
        least, greatest = -most, figure - _MARGIN * size
    else:
        least, greatest = figure + _MARGIN * size, most

    def within(window: Window, low: float, high: float) -> bool:
        assert isinstance(window, Average)
        return min(window.panes.lows) >= low and max(window.panes.highs) <= high

    def until(window: Window, now: int, listening: int) -> int | None:
        assert isinstance(window, Average)
        return window.panes.end() if within(window, least, greatest) else window.due(now, listening)

    return Blocker(
        name,
        place,
        lambda value, window: least <= value <= greatest and within(window, -most, most),
        lambda value: least <= value <= greatest,
        until,
    )
