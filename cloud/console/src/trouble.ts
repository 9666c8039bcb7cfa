/** What people must know of a node besides its sources and models; empty while all is well. */
import { age } from "./format";
import type { Node } from "./model";
import type { Key } from "./texts";

/** As `clock-off` in rules/packs/blind.yaml. */
const CLOCK_LIMIT_S = 5;
/** Three heartbeats, as `node-silent` there. */
const HEARTBEAT_MS = 180_000;

export interface Trouble {
  text: Key;
  /** A figure that goes with it, such as "3 min". */
  figure: string;
}

export function troubles(node: Node, now: number): Trouble[] {
  const found: Trouble[] = [];
  const beat = node.heartbeat === null ? null : Date.parse(node.heartbeat);
  if (node.health_time === null) found.push({ text: "neverSpoke", figure: "" });
  else if (beat !== null && now - beat > HEARTBEAT_MS) found.push({ text: "noHeartbeat", figure: age(beat, now) });
  const ahead = node.clock_ahead_s ?? 0;
  if (Math.abs(ahead) > CLOCK_LIMIT_S) {
    found.push({ text: ahead > 0 ? "clockFast" : "clockSlow", figure: age(0, Math.abs(ahead) * 1000) });
  }
  if (node.readings_thinned > 0) found.push({ text: "thinned", figure: String(node.readings_thinned) });
  if (node.uploads_lost > 0) found.push({ text: "uploadsLost", figure: String(node.uploads_lost) });
  return found;
}
