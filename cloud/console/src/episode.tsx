/** The readings that led to a warning, from before it began to its end: what it was, not what it is by now. */
import { useEffect, useState } from "preact/hooks";
import { HEIGHT, WIDTH, draw, type ChartData } from "./chart";
import type { Series } from "./feed";
import { nodes } from "./feed";
import { clock, figure, unit } from "./format";
import { isActive, type Warning } from "./model";
import { say } from "./texts";

const BEFORE_MS = 600_000;
const AFTER_MS = 300_000;
const POINTS = "300";
const AGAIN_MS = 10_000;

async function fetchCharts(warning: Warning): Promise<ChartData[]> {
  const over = warning.cleared ?? (isActive(warning) ? null : warning.changed);
  const end = Math.min(Date.now(), over === null ? Infinity : Date.parse(over) + AFTER_MS);
  const since = new Date(Date.parse(warning.episode) - BEFORE_MS).toISOString();
  const until = new Date(end).toISOString();
  const answers = warning.sources.map(async (name) => {
    const [site = "", node = "", source = ""] = name.split("/");
    const query = new URLSearchParams({ site, node, source, since, until, points: POINTS });
    const answer = await fetch(`/api/v1/readings/chart?${query}`).catch(() => null);
    return answer?.ok ? ((await answer.json()) as ChartData[]) : [];
  });
  return (await Promise.all(answers)).flat().filter((chart) => chart.points.length > 0);
}

/** The charts of a warning; renewed while it goes on. */
export function useCharts(warning: Warning, wanted: boolean): ChartData[] {
  const [charts, setCharts] = useState<ChartData[]>([]);
  const goesOn = isActive(warning) && warning.cleared === null;
  useEffect(() => {
    let current = true;
    let timer = 0;
    setCharts([]);
    const renew = async (): Promise<void> => {
      const found = await fetchCharts(warning);
      if (!current) return;
      if (found.length > 0) setCharts(found);
      if (goesOn) timer = window.setTimeout(() => void renew(), AGAIN_MS);
    };
    if (wanted) void renew();
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [warning.id, warning.cleared, goesOn, wanted]);
  return charts;
}

export function EpisodeChart({ chart, live }: { chart: ChartData; live: Series | undefined }) {
  const drawn = draw(chart);
  const title = nodes.value.get(`${chart.site}/${chart.node}`)?.sources.find((source) => source.source === chart.source)?.title;
  return (
    <div class="chart tall" data-testid="reading" data-quantity={chart.quantity}>
      <span class="name">
        {title || chart.source} · {chart.quantity}
      </span>
      <span class="now">
        {live && figure(live.last.value)} <small>{unit(chart.unit)}</small>
      </span>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${chart.quantity}: ${figure(drawn.low)} – ${figure(drawn.high)}`}>
        {drawn.bad.map(([from, to], index) => (
          <rect key={index} class="bad" x={from} y={0} width={Math.max(0.3, to - from)} height={HEIGHT} />
        ))}
        {drawn.bands.map((band, index) => (
          <polygon key={index} points={band} />
        ))}
        {drawn.lines.map((line, index) => (
          <polyline key={index} points={line} vector-effect="non-scaling-stroke" />
        ))}
      </svg>
      <span class="faint">
        {clock(chart.since)} – {clock(chart.until)} · {figure(drawn.low)} – {figure(drawn.high)}
        {drawn.bad.length > 0 && <b> · {say("bad")}</b>}
      </span>
    </div>
  );
}
