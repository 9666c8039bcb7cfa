/** The geometry of a chart: lines and bands in a box of WIDTH × HEIGHT, from what the API sends. No DOM in here. */

export interface ChartPoint {
  time: string;
  until: string;
  count: number;
  bad: number;
  min: number | null;
  max: number | null;
  mean: number | null;
  quality: "good" | "uncertain" | "bad";
}

export interface ChartData {
  site: string;
  node: string;
  source: string;
  quantity: string;
  unit: string;
  since: string;
  until: string;
  detail: "reading" | "minute" | "hour" | "day";
  points: ChartPoint[];
}

export interface Drawing {
  /** Of `polyline`: the mean, broken where nothing was measured. */
  lines: string[];
  /** Of `polygon`: from the least to the greatest value; none where readings are drawn as they came. */
  bands: string[];
  /** From and to, where readings could not be trusted. */
  bad: [number, number][];
  low: number;
  high: number;
}

export const WIDTH = 100;
export const HEIGHT = 30;
const MARGIN = 1;
/** A pause of so many times the usual distance is a gap: nobody knows what was between. */
const GAP = 5;

export function draw(chart: ChartData): Drawing {
  const since = Date.parse(chart.since);
  const span = Math.max(1, Date.parse(chart.until) - since);
  const measured = chart.points.filter((point) => point.mean !== null);
  const low = Math.min(...measured.map((point) => point.min ?? Infinity));
  const high = Math.max(...measured.map((point) => point.max ?? -Infinity));
  const x = (time: number) => Math.min(WIDTH, Math.max(0, ((time - since) / span) * WIDTH));
  const y = (value: number) => (high > low ? HEIGHT - MARGIN - ((value - low) / (high - low)) * (HEIGHT - 2 * MARGIN) : HEIGHT / 2);
  const at = (time: number, value: number) => `${x(time).toFixed(2)},${y(value).toFixed(2)}`;
  const drawing: Drawing = { lines: [], bands: [], bad: [], low, high };
  for (const point of chart.points) {
    if (point.bad > 0) drawing.bad.push([x(Date.parse(point.time)), x(Date.parse(point.until))]);
  }
  for (const run of runs(chart.points)) {
    const line = run.map((point) => at(middle(point), point.mean ?? 0));
    drawing.lines.push((line.length > 1 ? line : [...line, ...line]).join(" ")); // one alone is a dot: ends are round
    if (run.some((point) => point.count > 1)) {
      const upper = run.map((point) => at(middle(point), point.max ?? 0));
      const lower = run.map((point) => at(middle(point), point.min ?? 0)).reverse();
      drawing.bands.push([...upper, ...lower].join(" "));
    }
  }
  return drawing;
}

function middle(point: ChartPoint): number {
  return (Date.parse(point.time) + Date.parse(point.until)) / 2;
}

/** Points between which nothing is missing, and nothing is bad alone. */
function runs(points: ChartPoint[]): ChartPoint[][] {
  const steps = points.slice(1).map((point, index) => middle(point) - middle(points[index] ?? point));
  const usual = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  const found: ChartPoint[][] = [];
  points.forEach((point, index) => {
    const step = steps[index - 1];
    if (step === undefined || step > GAP * usual || point.mean === null) found.push([]);
    if (point.mean !== null) found[found.length - 1]?.push(point);
  });
  return found.filter((run) => run.length > 0);
}
