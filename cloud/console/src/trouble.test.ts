import { describe, expect, it } from "vitest";
import type { Node } from "./model";
import { troubles } from "./trouble";

const NOW = Date.parse("2026-01-01T00:10:00Z");

function node(change: Partial<Node>): Node {
  return {
    site: "a", node: "b", online: true, software: "", health_time: "2026-01-01T00:09:55Z", heartbeat: "2026-01-01T00:09:30Z",
    clock_ahead_s: 0.02, readings_thinned: 0, uploads_lost: 0, sources: [], models: [], parts: [], ...change,
  };
}

describe("what is wrong with a node", () => {
  it("says nothing of one that is well, or that knows neither clock nor heartbeat", () => {
    expect(troubles(node({}), NOW)).toEqual([]);
    expect(troubles(node({ heartbeat: null, clock_ahead_s: null }), NOW)).toEqual([]);
  });
  it("tells a slow clock from a fast one, in whole words", () => {
    expect(troubles(node({ clock_ahead_s: -180.4 }), NOW)).toEqual([{ text: "clockSlow", figure: "3 min" }]);
    expect(troubles(node({ clock_ahead_s: 6 }), NOW)).toEqual([{ text: "clockFast", figure: "6 s" }]);
    expect(troubles(node({ clock_ahead_s: -4.9 }), NOW)).toEqual([]);
  });
  it("tells a heartbeat that does not come through, and who never spoke", () => {
    expect(troubles(node({ heartbeat: "2026-01-01T00:05:00Z" }), NOW)).toEqual([{ text: "noHeartbeat", figure: "5 min" }]);
    expect(troubles(node({ health_time: null, heartbeat: null }), NOW)).toEqual([{ text: "neverSpoke", figure: "" }]);
  });
  it("tells what was thinned and what was given up", () => {
    expect(troubles(node({ readings_thinned: 12, uploads_lost: 1 }), NOW)).toEqual([
      { text: "thinned", figure: "12" },
      { text: "uploadsLost", figure: "1" },
    ]);
  });
});
