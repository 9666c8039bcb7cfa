/** Two tones for a new warning that is Severe or worse. Browsers allow sound only after a click: hence the switch. */
import { signal } from "@preact/signals";
import type { Warning } from "./model";

export const soundOn = signal(false);
let context: AudioContext | null = null;

export async function toggleSound(): Promise<void> {
  soundOn.value = !soundOn.value;
  if (!soundOn.value) return;
  context ??= new AudioContext();
  await context.resume();
  tone(context, 660, 0, 0.12);
}

export function announce(warning: Warning): void {
  if (!soundOn.value || !context) return;
  if (warning.severity !== "Extreme" && warning.severity !== "Severe") return;
  for (const [index, pitch] of [880, 660, 880].entries()) tone(context, pitch, index * 0.25, 0.2);
}

function tone(on: AudioContext, pitch: number, after: number, length: number): void {
  const oscillator = on.createOscillator();
  const gain = on.createGain();
  const start = on.currentTime + after;
  oscillator.frequency.value = pitch;
  gain.gain.setValueAtTime(0.0001, start);
  gain.gain.exponentialRampToValueAtTime(0.25, start + 0.02);
  gain.gain.exponentialRampToValueAtTime(0.0001, start + length);
  oscillator.connect(gain).connect(on.destination);
  oscillator.start(start);
  oscillator.stop(start + length);
}
