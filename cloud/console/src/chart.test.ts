import { describe, expect, it } from "vitest";
import { draw, type ChartData, type ChartPoint } from "./chart";

const SINCE = Date.parse("2026-01-01T00:00:00Z");
const time = (second: number) => new Date(SINCE + second * 1000).toISOString();

function point(second: number, value: number | null, change: Partial<ChartPoint> = {}): ChartPoint {
  return { time: time(second), until: time(second), count: 1, bad: 0, min: value, max: value, mean: value, quality: "good", ...change };
}

function chart(points: ChartPoint[]): ChartData {
  return { site: "a", node: "b", source: "c", quantity: "co", unit: "", since: time(0), until: time(100), detail: "reading", points };
}

describe("charts", () => {
  it("puts the least at the bottom, the greatest at the top, and time from left to right", () => {
    const drawn = draw(chart([point(0, 1), point(50, 3), point(100, 2)]));
    expect(drawn.lines).toEqual(["0.00,29.00 50.00,1.00 100.00,15.00"]);
    expect([drawn.low, drawn.high]).toEqual([1, 3]);
    expect(drawn.bands).toEqual([]);
  });
  it("shows a peak within a bucket as a band", () => {
    const bucket = { count: 60, min: 0, max: 10, mean: 2 };
    const drawn = draw(chart([point(0, 2, { ...bucket, until: time(60) }), point(60, 2, { ...bucket, max: 2, until: time(120) })]));
    expect(drawn.bands).toEqual(["30.00,1.00 90.00,23.40 90.00,29.00 30.00,29.00"]);
    expect(drawn.high).toBe(10);
  });
  it("joins nothing over a gap", () => {
    const drawn = draw(chart([0, 1, 2, 3, 60, 61, 62].map((second) => point(second, second))));
    expect(drawn.lines.map((line) => line.split(" ").length)).toEqual([4, 3]);
  });
  it("marks where readings are bad, and draws no line through them", () => {
    const bad = point(10, null, { count: 0, bad: 4, until: time(20), quality: "bad" });
    const drawn = draw(chart([point(0, 1), point(8, 1), bad, point(30, 2), point(38, 2)]));
    expect(drawn.bad).toEqual([[10, 20]]);
    expect(drawn.lines).toEqual(["0.00,29.00 8.00,29.00", "30.00,1.00 38.00,1.00"]);
  });
  it("shows one reading alone", () => {
    expect(draw(chart([point(50, 5)])).lines).toEqual(["50.00,15.00 50.00,15.00"]);
  });
  it("draws nothing from nothing", () => {
    expect(draw(chart([]))).toMatchObject({ lines: [], bands: [], bad: [] });
  });
  it("draws a level line where all is the same", () => {
    expect(draw(chart([point(0, 5), point(100, 5)])).lines).toEqual(["0.00,15.00 100.00,15.00"]);
  });
});
