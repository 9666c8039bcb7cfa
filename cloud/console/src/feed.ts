/** The live feed: one WebSocket, one state, changes folded in. */
import { computed, signal } from "@preact/signals";
import { byUrgency, isActive, seriesOf, type Message, type Node, type Reading, type Warning } from "./model";

export interface Series {
  last: Reading;
  /** Times (ms) and values, oldest first, at most HISTORY of them. */
  points: [number, number][];
}

const HISTORY = 180;
const SILENCE_MS = 20_000;

export const warnings = signal<ReadonlyMap<string, Warning>>(new Map());
export const series = signal<ReadonlyMap<string, Series>>(new Map());
export const nodes = signal<ReadonlyMap<string, Node>>(new Map());
export const link = signal<"connecting" | "live" | "lost">("connecting");
export const lostSince = signal<number | null>(null);
/** Called with every warning that was not there before, once the first snapshot is in. */
export const onNew = new Set<(warning: Warning) => void>();

export const ordered = computed(() => [...warnings.value.values()].sort(byUrgency));
export const active = computed(() => ordered.value.filter(isActive));

export function fold(message: Message): Warning[] {
  const fresh: Warning[] = [];
  const snapshot = message.type === "snapshot";
  const nextWarnings = new Map(snapshot ? [] : warnings.value);
  for (const warning of message.warnings) {
    const known = warnings.value.get(warning.id);
    if (!known && isActive(warning) && !warning.past) fresh.push(warning);
    if (!known || snapshot || warning.revision >= known.revision) nextWarnings.set(warning.id, warning);
  }
  if (snapshot || message.warnings.length > 0) warnings.value = nextWarnings;
  if (message.readings.length > 0) {
    const next = new Map(series.value);
    for (const reading of message.readings) {
      const key = seriesOf(reading);
      const points = next.get(key)?.points ?? [];
      const at = Date.parse(reading.time);
      const newer = points.length === 0 || at > (points[points.length - 1]?.[0] ?? 0);
      next.set(key, {
        last: newer ? reading : (next.get(key)?.last ?? reading),
        points: newer ? [...points.slice(1 - HISTORY), [at, reading.value]] : points,
      });
    }
    series.value = next;
  }
  if (snapshot || message.nodes.length > 0) {
    const next = new Map(snapshot ? [] : nodes.value);
    for (const node of message.nodes) next.set(`${node.site}/${node.node}`, node);
    nodes.value = next;
  }
  return fresh;
}

/** Connect, and connect again for ever: 0.5 s after the first loss, never more than 10 s later. */
export function follow(url: string): void {
  let wait = 500;
  let seen = false;
  const open = (): void => {
    const socket = new WebSocket(url);
    let watchdog = 0;
    const alive = (): void => {
      clearTimeout(watchdog);
      watchdog = window.setTimeout(() => socket.close(), SILENCE_MS);
    };
    alive();
    socket.onmessage = (event: MessageEvent<string>) => {
      alive();
      const message = JSON.parse(event.data) as Message | { type: "ping" };
      if (message.type === "ping") return;
      const fresh = fold(message);
      wait = 500;
      link.value = "live";
      lostSince.value = null;
      if (seen) for (const warning of fresh) for (const tell of onNew) tell(warning);
      seen = true;
    };
    socket.onclose = () => {
      clearTimeout(watchdog);
      if (link.value !== "lost") lostSince.value = Date.now();
      link.value = "lost";
      window.setTimeout(open, wait + Math.random() * 250);
      wait = Math.min(wait * 2, 10_000);
    };
  };
  open();
}
