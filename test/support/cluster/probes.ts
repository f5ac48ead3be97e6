// Probes and hooks of a container, done as kubelet does them: from the node, or as a process inside.
import type { ContainerProcess } from "./container-process.ts";
import type { Action, Container, Probe } from "./objects.ts";

export interface ProbeTarget {
  readonly container: Container;
  readonly address: string;
  readonly process: ContainerProcess;
}

function portOf(container: Container, port: number | string): number {
  if (typeof port === "number") return port;
  const named = container.ports?.find(({ name }) => name === port);
  if (named === undefined) throw new Error(`${container.name} has no port named ${port}`);
  return named.containerPort;
}

async function httpGet(
  { container, address }: ProbeTarget,
  action: NonNullable<Action["httpGet"]>,
  limitMs: number,
): Promise<string | undefined> {
  const scheme = (action.scheme ?? "HTTP").toLowerCase();
  const host = action.host ?? address;
  const url = `${scheme}://${host}:${portOf(container, action.port)}${action.path ?? "/"}`;
  const headers = Object.fromEntries(
    (action.httpHeaders ?? []).map(({ name, value }) => [name, value]),
  );
  const response = await fetch(url, {
    headers: { "user-agent": "kube-probe/test", connection: "close", ...headers },
    signal: AbortSignal.timeout(limitMs),
    // As kubelet: whatever certificate is shown will do.
    tls: { rejectUnauthorized: false },
    redirect: "manual",
  });
  const body = await response.text();
  if (response.status >= 200 && response.status < 400) return undefined;
  return `${response.status} ${body.slice(0, 300)}`;
}

async function tcpConnect(host: string, port: number, limitMs: number): Promise<void> {
  const connecting = Bun.connect({ hostname: host, port, socket: { data() {} } });
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no connection in time")), limitMs);
  });
  const socket = await Promise.race([connecting, late]);
  clearTimeout(timer);
  socket.end();
}

/** Does it once; undefined is success, else the reason. */
export async function act(
  target: ProbeTarget,
  action: Action,
  limitMs: number,
): Promise<string | undefined> {
  try {
    if (action.httpGet) return await httpGet(target, action.httpGet, limitMs);
    if (action.exec) {
      const { exitCode, output } = await target.process.exec(action.exec.command, limitMs);
      return exitCode === 0 ? undefined : `exit status ${exitCode}: ${output.slice(0, 300)}`;
    }
    if (action.tcpSocket) {
      const { host = target.address, port } = action.tcpSocket;
      await tcpConnect(host, portOf(target.container, port), limitMs);
      return undefined;
    }
    if (action.sleep) {
      await Bun.sleep(action.sleep.seconds * 1000);
      return undefined;
    }
    return `the test's kubelet has no such probe: ${JSON.stringify(action)}`;
  } catch (error) {
    return String(error);
  }
}

/** Repeats a probe until it is stopped, and tells each time its verdict changes. */
export class ProbeLoop {
  #isStopped = false;
  #verdict: boolean | undefined;

  constructor(
    target: ProbeTarget,
    probe: Probe,
    onVerdict: (isGood: boolean, reason: string | undefined) => void,
  ) {
    void this.#run(target, probe, onVerdict);
  }

  async #run(
    target: ProbeTarget,
    probe: Probe,
    onVerdict: (isGood: boolean, reason: string | undefined) => void,
  ): Promise<void> {
    let [successes, failures] = [0, 0];
    await Bun.sleep((probe.initialDelaySeconds ?? 0) * 1000);
    while (!this.#isStopped) {
      const reason = await act(target, probe, probe.timeoutSeconds * 1000);
      if (this.#isStopped) return;
      successes = reason === undefined ? successes + 1 : 0;
      failures = reason === undefined ? 0 : failures + 1;
      const isGood = reason === undefined;
      const isCertain = successes >= probe.successThreshold || failures >= probe.failureThreshold;
      if (isCertain && isGood !== this.#verdict) {
        this.#verdict = isGood;
        onVerdict(isGood, reason);
      }
      await Bun.sleep(probe.periodSeconds * 1000);
    }
  }

  stop(): void {
    this.#isStopped = true;
  }
}
