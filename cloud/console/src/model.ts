/** What the cloud sends; the names are those of the API. */

export type Severity = "Extreme" | "Severe" | "Moderate" | "Minor" | "Unknown";
export type WarningState = "open" | "acknowledged" | "resolved" | "cancelled";
export type Language = "en" | "zh";

export interface Text {
  en: string;
  zh: string;
}

/** Fractions of the picture's width and height: x1, y1, x2, y2. */
export type Box = [number, number, number, number];

export interface Detection {
  label: string;
  score: number;
  box: Box;
}

export interface EvidenceFile {
  sha256: string;
  role: "snapshot" | "clip" | string;
  media_type: string;
  url: string;
  time: string;
  source: string;
  /** What was seen in this very picture; the warning's own boxes are the latest ones. */
  detections: Detection[];
  stored: boolean;
}

export interface Step {
  time: string;
  action: string;
  by: string;
  note: string;
}

export interface Warning {
  id: string;
  kind: string;
  rule: string;
  key: string;
  severity: Severity;
  state: WarningState;
  title: Text;
  text: Text;
  playbook: Text;
  site: string;
  node: string;
  sources: string[];
  /** When it began, which may be long before anybody was told. */
  episode: string;
  raised: string;
  changed: string;
  cleared: string | null;
  condition: string;
  values: Record<string, number | string | boolean | null>;
  events: string[];
  evidence: EvidenceFile[];
  detections: Detection[];
  model: { name: string; version: string; sha256: string } | null;
  captured: number | null;
  detected: number | null;
  past: boolean;
  revision: number;
  steps?: Step[];
}

export interface Reading {
  site: string;
  node: string;
  source: string;
  quantity: string;
  unit: string;
  value: number;
  quality: "good" | "uncertain" | "bad";
  time: string;
}

export interface SourceHealth {
  source: string;
  kind: string;
  state: string;
  reason: string;
  rate_hz: number;
  title: string;
  note: string;
}

export interface ModelHealth {
  name: string;
  version: string;
  state: string;
  offered: string;
  reason: string;
}

export interface Node {
  site: string;
  node: string;
  online: boolean;
  software: string;
  health_time: string | null;
  /** The last one that came the whole way, through database and rules. */
  heartbeat: string | null;
  /** Below 0 where the node's clock is behind ours; null where nobody can tell. */
  clock_ahead_s: number | null;
  readings_thinned: number;
  uploads_lost: number;
  sources: SourceHealth[];
  models: ModelHealth[];
  parts: { part: string; state: string; restarts: number; reason: string }[];
}

export interface Message {
  type: "snapshot" | "changes";
  cursor: string | number;
  warnings: Warning[];
  readings: Reading[];
  nodes: Node[];
}

const RANK: Record<Severity, number> = { Extreme: 0, Severe: 1, Moderate: 2, Minor: 3, Unknown: 4 };

/** Does the thing a warning speaks of go on, and has nobody ended it? */
export function isActive(warning: Warning): boolean {
  return warning.state === "open" || warning.state === "acknowledged";
}

/** Unseen before seen, going on before over, grave before slight, new before old. */
export function byUrgency(a: Warning, b: Warning): number {
  return (
    Number(isActive(b)) - Number(isActive(a)) ||
    Number(b.state === "open") - Number(a.state === "open") ||
    Number(a.cleared !== null) - Number(b.cleared !== null) ||
    RANK[a.severity] - RANK[b.severity] ||
    b.raised.localeCompare(a.raised) ||
    a.id.localeCompare(b.id)
  );
}

/** One series' name: unique within the installation. */
export function seriesOf(reading: Pick<Reading, "site" | "node" | "source" | "quantity">): string {
  return [reading.site, reading.node, reading.source, reading.quantity].join("/");
}
