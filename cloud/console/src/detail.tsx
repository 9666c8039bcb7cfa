import { useEffect, useState } from "preact/hooks";
import { act, details, failure, officer } from "./actions";
import { EpisodeChart, useCharts } from "./episode";
import { series } from "./feed";
import { age, clock, day, figure, now } from "./format";
import { isActive, seriesOf, type Detection, type EvidenceFile, type Step, type Warning } from "./model";
import { Chart } from "./sources";
import { pick, say } from "./texts";

/** Height of the caption under a picture, as in the style sheet: boxes are placed in what is above it. */
const CAPTION = "1.75rem";

/** The surest detection of each label: it carries the words, the others their box alone. */
function surest(detections: Detection[]): Detection[] {
  const best = new Map<string, Detection>();
  for (const detection of detections) {
    if (detection.score > (best.get(detection.label)?.score ?? -1)) best.set(detection.label, detection);
  }
  return [...best.values()];
}

function Picture({ file, warning }: { file: EvidenceFile; warning: Warning }) {
  return (
    <figure class="picture">
      <img src={file.url} alt={`${pick(warning.title)}, ${file.source}, ${file.time}`} data-testid="snapshot" />
      <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
        {file.detections.map((detection, index) => {
          const [x1, y1, x2, y2] = detection.box;
          return <rect key={index} x={x1} y={y1} width={x2 - x1} height={y2 - y1} class={detection.label} vector-effect="non-scaling-stroke" />;
        })}
      </svg>
      {surest(file.detections).map((detection, index) => (
        <span key={index} class={`label ${detection.label}`} style={{ left: `${detection.box[0] * 100}%`, top: `calc((100% - ${CAPTION}) * ${detection.box[1]})` }}>
          {detection.label} {(detection.score * 100).toFixed(0)} %
        </span>
      ))}
      <figcaption>
        {file.source} · {day(file.time)} {clock(file.time)}
      </figcaption>
    </figure>
  );
}

function Clip({ file }: { file: EvidenceFile }) {
  return (
    <figure class="clip">
      <video src={file.url} controls muted loop playsInline preload="metadata" data-testid="clip" />
      <figcaption>
        {say("clip")} · {file.source} · {clock(file.time)}
      </figcaption>
    </figure>
  );
}

function Evidence({ warning }: { warning: Warning }) {
  const here = warning.evidence.filter((file) => file.stored);
  const pictures = here.filter((file) => file.media_type.startsWith("image/"));
  const clips = here.filter((file) => file.media_type.startsWith("video/"));
  const fromCamera = warning.detections.length > 0 || warning.evidence.length > 0;
  const counted = !fromCamera || warning.kind === "crowd";
  const charts = useCharts(warning, counted);
  const live = [...series.value.entries()].filter(
    ([, one]) => counted && warning.sources.includes(`${one.last.site}/${one.last.node}/${one.last.source}`),
  );
  return (
    <div class={`evidence ${fromCamera ? "seen" : ""}`}>
      {pictures.slice(0, 1).map((file) => (
        <Picture key={file.sha256} file={file} warning={warning} />
      ))}
      {fromCamera && pictures.length === 0 && <p class="empty picture">{say("pictureComing")}</p>}
      {clips.slice(0, 1).map((file) => (
        <Clip key={file.sha256} file={file} />
      ))}
      {charts.map((chart) => (
        <EpisodeChart key={`${seriesOf(chart)}/${chart.unit}`} chart={chart} live={series.value.get(seriesOf(chart))} />
      ))}
      {charts.length === 0 && live.map(([key, one]) => <Chart key={key} series={one} tall />)}
      {!fromCamera && charts.length === 0 && live.length === 0 && <p class="empty">{say("noPicture")}</p>}
    </div>
  );
}

function Why({ warning }: { warning: Warning }) {
  const values = Object.entries(warning.values);
  const delay = warning.captured && warning.detected ? (warning.detected - warning.captured) / 1000 : null;
  return (
    <section>
      <h3>{say("why")}</h3>
      <dl class="why">
        <dt>{say("rule")}</dt>
        <dd>{warning.rule}</dd>
        <dt>{say("condition")}</dt>
        <dd>
          <code>{warning.condition}</code>
        </dd>
        {values.map(([name, value]) => (
          <>
            <dt class="value">{name}</dt>
            <dd>{typeof value === "number" ? figure(value) : String(value ?? "–")}</dd>
          </>
        ))}
        {warning.model && (
          <>
            <dt>{say("model")}</dt>
            <dd>
              {warning.model.name} {warning.model.version} <span class="faint">{warning.model.sha256.slice(0, 12)}</span>
            </dd>
          </>
        )}
        {delay !== null && (
          <>
            <dt>{say("seenAfter")}</dt>
            <dd>{delay.toFixed(0)} ms</dd>
          </>
        )}
      </dl>
    </section>
  );
}

function Actions({ warning }: { warning: Warning }) {
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const nameless = officer.value.trim() === "";
  const doIt = async (action: "acknowledge" | "resolve" | "cancel") => {
    setBusy(true);
    if (await act(warning, action, note)) setNote("");
    setBusy(false);
  };
  return (
    <div class="actions">
      <input placeholder={say("note")} value={note} maxLength={500} onInput={(e) => setNote(e.currentTarget.value)} />
      <button class="main" disabled={busy || nameless || warning.state !== "open"} onClick={() => void doIt("acknowledge")}>
        {say("acknowledge")}
      </button>
      <button disabled={busy || nameless} onClick={() => void doIt("resolve")}>
        {say("resolve")}
      </button>
      <button disabled={busy || nameless} onClick={() => void doIt("cancel")}>
        {say("cancel")}
      </button>
      {nameless && <small>{say("officerFirst")}</small>}
      {failure.value && (
        <small class="failure" role="alert">
          {failure.value}
        </small>
      )}
    </div>
  );
}

function History({ steps }: { steps: Step[] }) {
  return (
    <section>
      <h3>{say("history")}</h3>
      <ol class="history">
        {steps.map((step, index) => (
          <li key={index}>
            <time>{clock(step.time)}</time> <b>{step.action}</b> {step.by} <span class="faint">{step.note}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

export function Detail({ warning }: { warning: Warning }) {
  const [steps, setSteps] = useState<Step[]>([]);
  useEffect(() => {
    let current = true;
    void details(warning.id).then((whole) => current && whole?.steps && setSteps(whole.steps));
    return () => {
      current = false;
    };
  }, [warning.id, warning.revision]);
  return (
    <article class={`detail ${warning.severity}`} data-testid="detail" data-kind={warning.kind}>
      <header>
        <span class="line">
          <b class="severity">{warning.severity}</b>
          <span class={`state ${warning.state}`}>{say(warning.state)}</span>
          <span class="faint">{warning.cleared ? say("over") : say("goingOn")}</span>
        </span>
        <h2>{pick(warning.title)}</h2>
        <p class="faint">
          {warning.key} · {say("raised")} {day(warning.raised)} {clock(warning.raised)} · {age(warning.raised, now.value)}
        </p>
      </header>
      {isActive(warning) && <Actions warning={warning} />}
      <Evidence warning={warning} />
      {pick(warning.text) && <p>{pick(warning.text)}</p>}
      {pick(warning.playbook) && (
        <section class="playbook">
          <h3>{say("playbook")}</h3>
          <p>{pick(warning.playbook)}</p>
        </section>
      )}
      <Why warning={warning} />
      <History steps={steps} />
    </article>
  );
}
