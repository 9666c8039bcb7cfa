"""The benchmarks' frame: percentiles as defined, and a document whose other sections stay."""

from pathlib import Path

import pytest

from bench import frame, report


def test_percentiles_lie_straight_between_neighbours() -> None:
    values = [4.0, 1.0, 3.0, 2.0]
    assert frame.percentile(values, 0.0) == 1.0
    assert frame.percentile(values, 0.5) == 2.5
    assert frame.percentile(values, 0.99) == pytest.approx(3.97)
    assert frame.percentile(values, 1.0) == 4.0
    assert frame.quartile_distance(values) == pytest.approx(1.5)


def test_summary_gives_the_three_percentiles_and_the_promised_one() -> None:
    figures = frame.summarise("alert.x_ms", [float(n) for n in range(101)], [2.0, 2.0], "ms", {"cores": 2})
    assert [(figure.name, figure.ours, figure.ratio) for figure in figures] == [
        ("alert.x_ms", 99.0, 49.5),
        ("alert.x_ms.p50", 50.0, 25.0),
        ("alert.x_ms.p95", 95.0, 47.5),
        ("alert.x_ms.p99", 99.0, 49.5),
    ]
    assert set(figures[0].as_dict()) == {
        "name", "ours", "reference", "ratio", "unit", "repeats", "spread", "conditions"
    }  # fmt: skip


def test_nothing_measured_is_no_figure() -> None:
    with pytest.raises(frame.BenchError, match="not a single measurement"):
        frame.summarise("alert.x_ms", [], [1.0], "ms", {})


def test_unknown_benchmark_names_the_known_ones() -> None:
    with pytest.raises(frame.BenchError, match="alert"):
        frame.run("alarm")


def test_section_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("# How fast\n\nWords.\n\n## rules\n\nold rules\n\n## zebra\n\nstays\n")
    first = [frame.Figure("a.b", 1.0, None, "ms", 3, 0.1, {"cores": 2})]
    report.replace_section(document, "rules", first)
    report.replace_section(document, "alert", first)
    text = document.read_text()
    assert "old rules" not in text
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# How fast", "## alert", "## rules", "## zebra"
    ]  # fmt: skip
    assert "| `a.b` | 1 | – | – | ms | 3 | 0.1 |" in text
    assert "stays" in text
    report.replace_section(document, "rules", first)
    assert document.read_text() == text
