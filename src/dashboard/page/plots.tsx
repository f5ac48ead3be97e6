// The last ten minutes in small plots. Each says in words what its line shows.
import type { ComponentChildren } from "preact";
import { formatBytes, formatCount, formatMs, formatShort } from "./format.ts";
import {
  changeRates,
  type Point,
  roundBytesMax,
  roundMax,
  SAMPLES_MAX,
  type Sample,
  trafficRates,
  valuesOf,
} from "./series.ts";

const WIDTH = 300;
const HEIGHT = 62;
const SPAN_MS = SAMPLES_MAX * 1000;

interface Line {
  readonly words: string;
  readonly points: readonly Point[];
}

interface PlotProps {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly nowMs: number;
  readonly print: (value: number) => string;
  /** The axis reaches at least so far, to a round number above all values. */
  readonly least: number;
  readonly round: (points: readonly Point[], least: number) => number;
}

/** A path that is broken where nothing is known. */
function pathOf(points: readonly Point[], scale: { nowMs: number; max: number }): string {
  let isDown = false;
  const parts: string[] = [];
  for (const { atMs, value } of points) {
    if (value === undefined || atMs < scale.nowMs - SPAN_MS) {
      isDown = false;
      continue;
    }
    const x = WIDTH - ((scale.nowMs - atMs) / SPAN_MS) * WIDTH;
    const y = HEIGHT - 1 - (Math.min(value, scale.max) / scale.max) * (HEIGHT - 6);
    parts.push(`${isDown ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`);
    isDown = true;
  }
  return parts.join("");
}

function lastOf(points: readonly Point[]): number | undefined {
  return points.at(-1)?.value;
}

function Plot({ title, lines, nowMs, print, least, round }: PlotProps): ComponentChildren {
  const max = round(
    lines.flatMap(({ points }) => points),
    least,
  );
  const told = lines.map(({ words, points }) => {
    const last = lastOf(points);
    const top = points.reduce((most, { value }) => Math.max(most, value ?? 0), 0);
    return `${words}: ${last === undefined ? "not known" : print(last)} now, ${print(top)} at most`;
  });
  return (
    <figure class="plot">
      <figcaption>
        <span class="title">{title}</span>
        {lines.map(({ words, points }, index) => {
          const last = lastOf(points);
          return (
            <span class={`value line-${index}`} key={words}>
              {lines.length > 1 && <span class="words">{words} </span>}
              {last === undefined ? "–" : print(last)}
            </span>
          );
        })}
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`${title}. ${told.join(". ")}`}
      >
        <line class="grid" x1="0" x2={WIDTH} y1="5" y2="5" />
        <line class="grid" x1="0" x2={WIDTH} y1={HEIGHT / 2 + 2} y2={HEIGHT / 2 + 2} />
        <line class="axis" x1="0" x2={WIDTH} y1={HEIGHT - 1} y2={HEIGHT - 1} />
        {lines.map(({ words, points }, index) => (
          <path class={`line line-${index}`} key={words} d={pathOf(points, { nowMs, max })} />
        ))}
        <text class="max" x="2" y="15">
          {print(max)}
        </text>
      </svg>
    </figure>
  );
}

const perSecond = (value: number) => `${formatShort(value)}/s`;
const bytesPerSecond = (value: number) => `${formatBytes(value)}/s`;

export function Plots({ samples, nowMs }: { samples: readonly Sample[]; nowMs: number }) {
  const common = { nowMs };
  return (
    <section class="panel plots" aria-labelledby="plots-heading">
      <header>
        <h2 id="plots-heading">Last ten minutes</h2>
      </header>
      <div class="grid-of-plots">
        <Plot
          {...common}
          title="Changes"
          lines={[{ words: "committed", points: changeRates(samples) }]}
          print={perSecond}
          round={roundMax}
          least={5}
        />
        <Plot
          {...common}
          title="Traffic"
          lines={[
            { words: "out", points: trafficRates(samples, "sent") },
            { words: "in", points: trafficRates(samples, "received") },
          ]}
          print={bytesPerSecond}
          round={roundBytesMax}
          least={1024}
        />
        <Plot
          {...common}
          title="Slowest peer"
          lines={[
            { words: "lag", points: valuesOf(samples, "lagMs") },
            { words: "rtt", points: valuesOf(samples, "rttMs") },
          ]}
          print={formatMs}
          round={roundMax}
          least={10}
        />
        <Plot
          {...common}
          title="Documents"
          lines={[{ words: "alive", points: valuesOf(samples, "documents") }]}
          print={formatCount}
          round={roundMax}
          least={10}
        />
        <Plot
          {...common}
          title="Database"
          lines={[{ words: "on disk", points: valuesOf(samples, "databaseBytes") }]}
          print={formatBytes}
          round={roundBytesMax}
          least={1024 ** 2}
        />
      </div>
    </section>
  );
}
