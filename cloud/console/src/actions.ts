/** What an officer does with a warning. */
import { signal } from "@preact/signals";
import type { Warning } from "./model";

export const officer = signal(localStorage.getItem("officer") ?? "");
export const failure = signal("");

export function setOfficer(name: string): void {
  officer.value = name;
  localStorage.setItem("officer", name);
}

export async function act(warning: Warning, action: "acknowledge" | "resolve" | "cancel", note: string): Promise<boolean> {
  failure.value = "";
  try {
    const answer = await fetch(`/api/v1/warnings/${warning.id}/${action}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ by: officer.value.trim(), note, revision: warning.revision }),
    });
    if (answer.ok) return true;
    const body = (await answer.json().catch(() => ({}))) as { detail?: unknown };
    failure.value = typeof body.detail === "string" ? body.detail : `${answer.status} ${answer.statusText}`;
  } catch (error) {
    failure.value = String(error);
  }
  return false;
}

export async function details(id: string): Promise<Warning | null> {
  const answer = await fetch(`/api/v1/warnings/${id}`).catch(() => null);
  return answer?.ok ? ((await answer.json()) as Warning) : null;
}
