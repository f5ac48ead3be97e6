// The newest lines of the node's log, followed once a second.
import { useEffect, useState } from "preact/hooks";
import { field, type LogLine, numberOf, parseLogLines } from "./answers.ts";
import { API, ask, keepToken, Refusal } from "./asking.ts";
import { formatTime, showName } from "./format.ts";
import { TokenForm } from "./token-form.tsx";

const LINES_MAX = 500;
const LEVELS = ["error", "warning", "info", "debug"] as const;
const RANK: Readonly<Record<string, number>> = {
  fatal: 0,
  error: 0,
  warning: 1,
  warn: 1,
  info: 2,
  debug: 3,
  trace: 4,
};

interface Log {
  readonly lines: readonly LogLine[];
  readonly next: number | undefined;
  readonly refusal: Refusal | undefined;
}

const NOTHING: Log = { lines: [], next: undefined, refusal: undefined };

async function readOn(log: Log): Promise<Log> {
  const after = log.next === undefined ? "" : `&after=${log.next}`;
  try {
    const answer = await ask(`${API}/logs?limit=${LINES_MAX}${after}`);
    const lines = [...log.lines, ...parseLogLines(answer)].slice(-LINES_MAX);
    const next = numberOf(field(answer, "next")) ?? lines.at(-1)?.n ?? log.next;
    return { lines, next, refusal: undefined };
  } catch (error) {
    if (error instanceof Refusal) return { ...log, refusal: error };
    throw error;
  }
}

/** `tick` changes with every look at the node. */
function useLog(tick: number): [Log, () => void] {
  const [log, setLog] = useState(NOTHING);
  const [tries, setTries] = useState(0);
  // Read on with each look, from where it was.
  useEffect(() => {
    let isOver = false;
    void readOn(log).then((next) => {
      if (!isOver) setLog(next);
    });
    return () => {
      isOver = true;
    };
  }, [tick, tries]);
  return [log, () => setTries((count) => count + 1)];
}

function Line({ line }: { line: LogLine }) {
  return (
    <tr class={`level-${RANK[line.level.toLowerCase()] ?? 2}`}>
      <td class="time">{formatTime(line.atMs)}</td>
      <td class="level">{showName(line.level.toUpperCase(), 8)}</td>
      <td class="text">
        <span class="target">{showName(line.target)}</span> {showName(line.message, 2000)}
        {line.fields.map(([name, value]) => (
          <span class="pair" key={name}>
            {" "}
            {showName(name)}=<b>{showName(value, 400)}</b>
          </span>
        ))}
      </td>
    </tr>
  );
}

export function LogView({ tick }: { tick: number }) {
  const [log, again] = useLog(tick);
  const [level, setLevel] = useState<string>("info");
  const [search, setSearch] = useState("");
  const status = log.refusal?.status;
  if (status === 401 || status === 403) {
    const use = (token: string) => {
      keepToken(token);
      again();
    };
    return <TokenForm why={log.refusal?.message ?? ""} onToken={use} />;
  }
  const wanted = search.trim().toLowerCase();
  const shown = log.lines.filter(
    (line) =>
      (RANK[line.level.toLowerCase()] ?? 2) <= (RANK[level] ?? 2) &&
      `${line.target} ${line.message} ${line.fields.flat().join(" ")}`
        .toLowerCase()
        .includes(wanted),
  );
  return (
    <section class="panel log" aria-labelledby="log-heading">
      <header>
        <h2 id="log-heading">Log</h2>
        <label>
          <span>Down to</span>
          <select value={level} onChange={({ currentTarget }) => setLevel(currentTarget.value)}>
            {LEVELS.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <input
          type="search"
          aria-label="Find lines"
          placeholder="Find lines"
          value={search}
          onInput={({ currentTarget }) => setSearch(currentTarget.value)}
        />
      </header>
      {log.refusal !== undefined && <p class="note">{showName(log.refusal.message, 300)}</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a long list is scrolled by keys. */}
      <section class="scroll" tabIndex={0} aria-label="Lines of the log, newest first">
        <table>
          <tbody>
            {[...shown].reverse().map((line) => (
              <Line key={line.n} line={line} />
            ))}
          </tbody>
        </table>
      </section>
      {shown.length === 0 && <p class="empty">No lines.</p>}
    </section>
  );
}
