import { nodes, series, type Series } from "./feed";
import { age, figure, now, unit } from "./format";
import type { Node } from "./model";
import { say } from "./texts";
import { troubles } from "./trouble";

/** Readings further apart than this are not joined: nobody knows what was between them. */
const GAP_MS = 15_000;

/** A line of the last readings; the scale is that of what is shown. */
export function Chart({ series: one, tall = false }: { series: Series; tall?: boolean }) {
  const { last, points } = one;
  const values = points.map(([, value]) => value);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const from = points[0]?.[0] ?? 0;
  const span = Math.max(1, (points[points.length - 1]?.[0] ?? 1) - from);
  const lines: string[] = [];
  points.forEach(([at, value], index) => {
    const x = (((at - from) / span) * 100).toFixed(2);
    const y = (high > low ? 28 - ((value - low) / (high - low)) * 26 : 15).toFixed(2);
    const gap = index === 0 || at - (points[index - 1]?.[0] ?? at) > GAP_MS;
    if (gap) lines.push(`${x},${y}`);
    else lines[lines.length - 1] += ` ${x},${y}`;
  });
  const title = nodes.value.get(`${last.site}/${last.node}`)?.sources.find((source) => source.source === last.source)?.title;
  const stale = now.value - Date.parse(last.time) > 30_000;
  return (
    <div class={`chart ${tall ? "tall" : ""} ${stale || last.quality === "bad" ? "stale" : ""}`} data-testid="reading" data-quantity={last.quantity}>
      <span class="name">
        {title || last.source} · {last.quantity}
      </span>
      <span class="now">
        {figure(last.value)} <small>{unit(last.unit)}</small>
      </span>
      <svg viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">
        {lines.map((line, index) => (
          <polyline key={index} points={line} vector-effect="non-scaling-stroke" />
        ))}
      </svg>
      <span class="faint">
        {points.length > 1 ? `${figure(low)} – ${figure(high)} · ` : ""}
        {age(last.time, now.value)}
        {last.quality !== "good" && <b> · {say(last.quality)}</b>}
      </span>
    </div>
  );
}

export function Readings() {
  const all = [...series.value.entries()].sort(([a], [b]) => a.localeCompare(b));
  return (
    <section>
      <h2>{say("readings")}</h2>
      {all.map(([key, one]) => (
        <Chart key={key} series={one} />
      ))}
    </section>
  );
}

function OneNode({ node }: { node: Node }) {
  return (
    <div class="node" data-testid="node">
      <h3>
        <i class={node.online ? "ok" : "down"} /> {node.site}/{node.node} <span class="faint">{node.online ? say("online") : say("offline")}</span>
      </h3>
      <ul>
        {troubles(node, now.value).map((one) => (
          <li key={one.text} class="fault" data-testid="trouble" data-trouble={one.text}>
            <i class="degraded" /> <span>{say(one.text)}</span> <span class="faint">{one.figure}</span>
          </li>
        ))}
        {node.sources.map((source) => (
          <li key={source.source} data-testid="source">
            <i class={node.online ? source.state : "down"} /> <span>{source.title || source.source}</span>
            <span class="faint" title={source.reason}>
              {source.state === "ok" ? `${figure(source.rate_hz)} Hz` : source.reason || source.state}
            </span>
            {source.note && <small class="tag">{source.note}</small>}
          </li>
        ))}
        {node.parts
          .filter((part) => part.state !== "ok")
          .map((part) => (
            <li key={part.part} class="fault" title={part.reason}>
              <i class="degraded" /> <span>{part.part}</span> <span class="faint">{part.reason || part.state}</span>
            </li>
          ))}
      </ul>
      <p class="models">
        {node.models.map((model) => (
          <span key={model.name} class={`tag ${model.state}`} data-testid="model" data-model={model.name} title={model.reason}>
            {model.name} {model.version}
            {model.state !== "active" && ` · ${model.offered} ${model.state}`}
          </span>
        ))}
      </p>
      {node.heartbeat && (
        <p class="faint" data-testid="heartbeat" data-time={node.heartbeat}>
          {say("heartbeat")}: {age(node.heartbeat, now.value)}
        </p>
      )}
    </div>
  );
}

export function Nodes() {
  return (
    <section>
      <h2>{say("sources")}</h2>
      {[...nodes.value.values()].map((node) => (
        <OneNode key={`${node.site}/${node.node}`} node={node} />
      ))}
    </section>
  );
}
