// `reload`: what systemd runs for `systemctl reload`. It has the environment as it is now, hands it to the node, which
// has the one of its start, and says what the node answers.
import { systemClock } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { answerOf, clearHandover, handOver } from "../config/handover.ts";
import { pickSettings } from "../config/load.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { EXIT } from "./context.ts";

/** The node may be in the middle of its start. */
const ANSWER_MS_MAX = 60_000;
const LOOK_MS = 20;

function nodeToldOf(environment: Readonly<Record<string, string | undefined>>): number {
  const pid = Number(environment["MAINPID"]);
  if (Number.isSafeInteger(pid) && pid > 1) return pid;
  throw new Fault(
    "invalid_argument",
    "reload is run by systemd, which tells it the node's process as MAINPID: systemctl reload peat-sidecar; elsewhere send SIGHUP to the node",
  );
}

function tell(pid: number): void {
  try {
    process.kill(pid, "SIGHUP");
  } catch (error) {
    throw new Fault("not_ready", `process ${pid} can't be told: ${messageOf(error)}`, {}, error);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    // Gone, or another user's by now.
    return false;
  }
}

/** What the node says. It checks the settings: systemd gives the credentials to nobody else. */
async function answer(pid: number, runtimeDir: string): Promise<readonly string[]> {
  const untilMs = systemClock.monotonic() + ANSWER_MS_MAX;
  while (true) {
    const problems = answerOf(runtimeDir);
    if (problems !== undefined) return problems;
    if (systemClock.monotonic() > untilMs || !isAlive(pid)) {
      throw new Fault(
        "not_ready",
        `process ${pid} did not take the settings from ${runtimeDir}; its log says why, a restart takes them`,
      );
    }
    // The clock's timers don't keep a process that has nothing else to do.
    await Bun.sleep(LOOK_MS);
  }
}

async function reload(call: Call): Promise<number> {
  const { environment } = call.context;
  const pid = nodeToldOf(environment);
  const read = pickSettings(call.settings(), ["runtimeDir"]);
  if (!read.ok) return refuse(call.context, read);
  const { runtimeDir } = read.settings;
  try {
    handOver(runtimeDir, environment);
    tell(pid);
    const problems = (await answer(pid, runtimeDir)).map((text) => ({ setting: undefined, text }));
    return problems.length === 0 ? EXIT.ok : refuse(call.context, { problems, warnings: [] });
  } finally {
    clearHandover(runtimeDir);
  }
}

export const reloadCommand: Command = {
  name: "reload",
  sentence: "Have the service's node take its settings anew; run by systemctl reload.",
  usage: "[settings…]",
  wordsMin: 0,
  wordsMax: 0,
  options: [],
  takesSettings: true,
  examples: ["reload"],
  run: reload,
};
