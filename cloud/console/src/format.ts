/** Times and numbers as a watch officer reads them. */
import { signal } from "@preact/signals";

/** Milliseconds since 1970, renewed every second: whatever shows an age follows it. */
export const now = signal(Date.now());

export function clock(time: string | number): string {
  return new Date(time).toLocaleTimeString("en-GB");
}

export function day(time: string | number): string {
  return new Date(time).toLocaleDateString("sv-SE");
}

/** Age as ``12 s``, ``3 min``, ``5 h``, ``2 d``. */
export function age(time: string | number, at: number): string {
  const seconds = Math.max(0, Math.round((at - new Date(time).getTime()) / 1000));
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** Three figures that count, without trailing zeros. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const shown = Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
  return String(Number(shown));
}

const UNITS: Record<string, string> = { Cel: "°C", "{persons}": "", "1": "" };

/** A UCUM code as people write it. */
export function unit(code: string): string {
  return UNITS[code] ?? code.replace(/[[\]{}]/g, "");
}
