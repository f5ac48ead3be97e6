// What systemd is told about this process, after sd_notify(3): datagrams of assignments, one per line, to the Unix
// socket that NOTIFY_SOCKET names. Bun has no such sockets, so the C library sends them; where foreign functions
// can't be called (they need the just-in-time compiler), the program systemd-notify is asked to.
import { dlopen, ptr } from "bun:ffi";
import { getLog } from "./log.ts";

const log = getLog("peat_mesh::service");

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
/** MSG_DONTWAIT | MSG_NOSIGNAL: a manager that does not listen holds up nothing. */
const SEND_FLAGS = 0x4040;
/** sun_path of sockaddr_un(7). */
const PATH_BYTES_MAX = 108;

/** The way to the service manager, and what it expects. */
export interface Notifier {
  /** One assignment per item, as `READY=1`. Line ends inside of one become blanks. */
  send(assignments: readonly string[]): void;
  /** A sign of life is expected at least so often; undefined when none is. */
  readonly watchdogMs: number | undefined;
  /** Now by CLOCK_MONOTONIC, in microseconds, as the manager counts; undefined where it can't be asked for. */
  monotonicUs(): bigint | undefined;
}

type Send = (text: string) => boolean;

/** sockaddr_un of a path, or of an abstract name: `@name` stands for a zero byte and the name. */
function socketAddress(address: string): Uint8Array | undefined {
  const path = Buffer.from(address);
  const isAbstract = address.startsWith("@");
  if (!(isAbstract || address.startsWith("/")) || path.length >= PATH_BYTES_MAX) return undefined;
  if (isAbstract) path[0] = 0;
  const family = new Uint8Array(new Uint16Array([AF_UNIX]).buffer);
  // A path ends with a zero byte; an abstract name is as long as it is.
  return Buffer.concat([family, path, isAbstract ? "" : "\0"].map((part) => Buffer.from(part)));
}

/** Undefined where foreign functions can't be called, or the socket can't be had. */
function bySocket(address: Uint8Array): Send | undefined {
  try {
    const { symbols } = dlopen("libc.so.6", {
      socket: { args: ["i32", "i32", "i32"], returns: "i32" },
      sendto: { args: ["i32", "ptr", "usize", "i32", "ptr", "u32"], returns: "i64" },
    });
    const socket = symbols.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
    if (socket < 0) return undefined;
    return (text) => {
      const bytes = Buffer.from(text);
      const sent = symbols.sendto(
        socket,
        ptr(bytes),
        bytes.length,
        SEND_FLAGS,
        ptr(address),
        address.length,
      );
      return Number(sent) === bytes.length;
    };
  } catch {
    // Without the just-in-time compiler, or with another C library than glibc.
    return undefined;
  }
}

const CLOCK_MONOTONIC = 1;

/** Bun's own clocks begin at the start of the process. */
function monotonicUs(): bigint | undefined {
  try {
    const libc = dlopen("libc.so.6", { clock_gettime: { args: ["i32", "ptr"], returns: "i32" } });
    // struct timespec: seconds and nanoseconds.
    const time = new BigInt64Array(2);
    const isTold = libc.symbols.clock_gettime(CLOCK_MONOTONIC, ptr(time)) === 0;
    libc.close();
    const [seconds = 0n, nanoseconds = 0n] = time;
    return isTold ? seconds * 1_000_000n + nanoseconds / 1_000n : undefined;
  } catch {
    // As for the socket.
    return undefined;
  }
}

/** What waits for the program that runs; more than this is a program that hangs. */
const WAITING_MAX = 16;

/** One after the other: the end of a reload must not be heard before its beginning. */
function byProgram(address: string, path: string | undefined): Send {
  const waiting: string[] = [];
  let isRunning = false;
  const run = (text: string): boolean => {
    try {
      // It waits until it has been heard: of a process that is gone, systemd does not know whose it was.
      const child = Bun.spawn(["systemd-notify", ...text.split("\n")], {
        env: { NOTIFY_SOCKET: address, PATH: path ?? "/usr/bin:/bin" },
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      });
      child.unref();
      isRunning = true;
      void child.exited.then(() => {
        isRunning = false;
        const next = waiting.shift();
        if (next !== undefined) run(next);
      });
      return true;
    } catch {
      // No such program: told of as everything that was not sent.
      return false;
    }
  };
  return (text) => {
    if (!isRunning) return run(text);
    return waiting.length < WAITING_MAX && waiting.push(text) > 0;
  };
}

/** WATCHDOG_USEC counts only for the process that WATCHDOG_PID names, if it names one. */
function watchdogMs(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | undefined {
  const meant = environment["WATCHDOG_PID"];
  if (meant !== undefined && meant !== String(pid)) return undefined;
  const microseconds = Number(environment["WATCHDOG_USEC"]);
  return Number.isSafeInteger(microseconds) && microseconds > 0 ? microseconds / 1000 : undefined;
}

/** The notifier that the environment describes; undefined where nobody wants to be notified. */
export function openNotifier(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): Notifier | undefined {
  const name = environment["NOTIFY_SOCKET"] ?? "";
  if (name === "") return undefined;
  const address = socketAddress(name);
  if (address === undefined) {
    log.warn("NOTIFY_SOCKET is no Unix socket that can be sent to", { name });
    return undefined;
  }
  const send = bySocket(address) ?? byProgram(name, environment["PATH"]);
  let isTold = false;
  return {
    watchdogMs: watchdogMs(environment, pid),
    monotonicUs,
    send(assignments) {
      const lines = assignments.map((line) => line.replaceAll(/[\r\n]+/g, " "));
      if (send(lines.join("\n")) || isTold) return;
      isTold = true;
      log.warn("The service manager can't be notified", { socket: name });
    },
  };
}
