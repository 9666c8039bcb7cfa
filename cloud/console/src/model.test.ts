import { describe, expect, it } from "vitest";
import { age, figure, unit } from "./format";
import { byUrgency, type Warning } from "./model";

function warning(change: Partial<Warning>): Warning {
  const text = { en: "", zh: "" };
  return {
    id: "w", kind: "fire", rule: "fire", key: "a/b/c", severity: "Severe", state: "open", title: text, text, playbook: text,
    site: "a", node: "b", sources: [], episode: "2026-01-01T00:00:00Z", raised: "2026-01-01T00:00:00Z", changed: "2026-01-01T00:00:00Z", cleared: null,
    condition: "", values: {}, events: [], evidence: [], detections: [], model: null, captured: null, detected: null,
    past: false, revision: 1, ...change,
  };
}

describe("order of warnings", () => {
  it("puts what nobody has seen before what somebody has, even when that is graver", () => {
    const seen = warning({ id: "seen", severity: "Extreme", state: "acknowledged" });
    const unseen = warning({ id: "unseen", severity: "Minor" });
    expect([seen, unseen].sort(byUrgency).map((w) => w.id)).toEqual(["unseen", "seen"]);
  });
  it("puts the grave before the slight and the new before the old", () => {
    const old = warning({ id: "old" });
    const fresh = warning({ id: "fresh", raised: "2026-01-01T00:01:00Z" });
    const grave = warning({ id: "grave", severity: "Extreme" });
    expect([old, fresh, grave].sort(byUrgency).map((w) => w.id)).toEqual(["grave", "fresh", "old"]);
  });
  it("puts what is resolved last", () => {
    const done = warning({ id: "done", severity: "Extreme", state: "resolved" });
    expect([done, warning({ id: "on", severity: "Minor" })].sort(byUrgency).map((w) => w.id)).toEqual(["on", "done"]);
  });
});

describe("figures", () => {
  it("reads as people write them", () => {
    expect(figure(1234.56)).toBe("1235");
    expect(figure(0.01234)).toBe("0.0123");
    expect(figure(20)).toBe("20");
    expect(unit("[ppm]")).toBe("ppm");
    expect(unit("Cel")).toBe("°C");
    expect(age("2026-01-01T00:00:00Z", Date.parse("2026-01-01T00:05:00Z"))).toBe("5 min");
  });
});
