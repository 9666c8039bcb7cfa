import { computed, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { act, officer, setOfficer } from "./actions";
import { link, lostSince, nodes, ordered, warnings } from "./feed";
import { clock, day, now } from "./format";
import { soundOn, toggleSound } from "./sound";
import { choose, language, say } from "./texts";
import { Detail } from "./detail";
import { Nodes, Readings } from "./sources";
import { List } from "./list";

/** Chosen by the officer; until then the most urgent one is shown. */
export const chosen = signal<string | null>(location.hash.slice(1) || null);
const shown = computed(() => (chosen.value && warnings.value.get(chosen.value)) || ordered.value[0] || null);

function select(id: string): void {
  chosen.value = id;
  history.replaceState(null, "", `#${id}`);
}

function onKey(event: KeyboardEvent): void {
  if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
  const all = ordered.value;
  const index = all.findIndex((warning) => warning.id === shown.value?.id);
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const next = all[Math.min(all.length - 1, Math.max(0, index + (event.key === "ArrowDown" ? 1 : -1)))];
    if (next) select(next.id);
    event.preventDefault();
  } else if (event.key === "a" && shown.value?.state === "open" && officer.value.trim()) {
    void act(shown.value, "acknowledge", "");
  }
}

function Bar() {
  const all = [...nodes.value.values()];
  const demo = all.some((node) => node.site === "demo");
  return (
    <header class="bar">
      <h1>
        <img src="/vedette.svg" alt="" width="26" height="26" /> Vedette
        {demo && <span class="tag demo">{say("demo")}</span>}
      </h1>
      <span class={`link ${link.value}`} data-testid="link">
        <i /> {link.value === "live" ? say("live") : say("connecting")}
      </span>
      <span class="grow" />
      <label class="officer">
        <span>{say("officer")}</span>
        <input value={officer.value} maxLength={64} autoComplete="name" onInput={(e) => setOfficer(e.currentTarget.value)} />
      </label>
      <button class="quiet" aria-pressed={soundOn.value} onClick={() => void toggleSound()}>
        {say(soundOn.value ? "soundOn" : "soundOff")}
      </button>
      <button class="quiet" onClick={() => choose(language.value === "en" ? "zh" : "en")}>
        {language.value === "en" ? "中文" : "English"}
      </button>
      <time class="clock">
        <small>{day(now.value)}</small> {clock(now.value)}
      </time>
    </header>
  );
}

export function Page() {
  useEffect(() => {
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  return (
    <>
      <Bar />
      {link.value === "lost" && (
        <p class="lost" role="alert">
          {say("lost")} {clock(lostSince.value ?? now.value)}
        </p>
      )}
      <main>
        <List selected={shown.value?.id ?? null} onSelect={select} />
        <section class="middle">{shown.value ? <Detail key={shown.value.id} warning={shown.value} /> : <p class="empty">{say("choose")}</p>}</section>
        <aside>
          <Readings />
          <Nodes />
        </aside>
      </main>
    </>
  );
}
