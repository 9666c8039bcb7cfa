import { nodes, ordered } from "./feed";
import { age, clock, now } from "./format";
import { isActive, type Warning } from "./model";
import { pick, say } from "./texts";

function Row({ warning, selected, onSelect }: { warning: Warning; selected: boolean; onSelect: (id: string) => void }) {
  const over = !isActive(warning);
  return (
    <li>
      <button
        class={`row ${warning.severity} ${warning.state} ${over ? "finished" : ""}`}
        aria-current={selected}
        data-testid="warning"
        data-kind={warning.kind}
        data-id={warning.id}
        onClick={() => onSelect(warning.id)}
      >
        <span class="line">
          <b class="severity">{warning.severity}</b>
          <span class={`state ${warning.state}`}>{say(warning.state)}</span>
          <time title={warning.raised}>{clock(warning.raised)}</time>
        </span>
        <span class="title">{pick(warning.title)}</span>
        <span class="line faint">
          <span>{warning.key}</span>
          <span>{warning.past ? say("past") : warning.cleared ? say("over") : age(warning.raised, now.value)}</span>
        </span>
      </button>
    </li>
  );
}

export function List({ selected, onSelect }: { selected: string | null; onSelect: (id: string) => void }) {
  const all = ordered.value;
  const blind = [...nodes.value.values()].some(
    (node) => !node.online || node.sources.some((source) => source.state !== "ok"),
  );
  return (
    <nav class="list" aria-label={say("warnings")}>
      <h2>
        {say("warnings")} <span class="count">{all.filter(isActive).length}</span>
      </h2>
      {all.length === 0 && <p class="empty">{say(blind ? "noneBlind" : "none")}</p>}
      <ul aria-live="polite">
        {all.map((warning) => (
          <Row key={warning.id} warning={warning} selected={warning.id === selected} onSelect={onSelect} />
        ))}
      </ul>
      <p class="faint keys">{say("keys")}</p>
    </nav>
  );
}
