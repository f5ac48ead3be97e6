// What reaches a service manager's socket, and what does not.
import { describe, expect, test } from "bun:test";
import { openNotifier } from "../../../src/base/notify-socket.ts";
import { NotifyListener } from "../../support/notify-listener.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const abstractName = () => `@peat-test-${crypto.randomUUID()}`;

describe("a notifier", () => {
  test("sends one datagram of lines to a path", () => {
    using folder = tempFolder();
    const name = folder.file("notify");
    using listener = new NotifyListener(name);
    openNotifier({ NOTIFY_SOCKET: name }, 1)?.send(["READY=1", "STATUS=well"]);
    expect(listener.seen).toEqual(["READY=1\nSTATUS=well"]);
  });

  test("sends to an abstract name", () => {
    const name = abstractName();
    using listener = new NotifyListener(name);
    openNotifier({ NOTIFY_SOCKET: name }, 1)?.send(["STOPPING=1"]);
    expect(listener.seen).toEqual(["STOPPING=1"]);
  });

  test("does not let a text become a further assignment", () => {
    const name = abstractName();
    using listener = new NotifyListener(name);
    openNotifier({ NOTIFY_SOCKET: name }, 1)?.send(["STATUS=a\nMAINPID=1\r\nb"]);
    expect(listener.seen).toEqual(["STATUS=a MAINPID=1 b"]);
  });

  test("is none where nobody wants to be notified, or the name is no socket's", () => {
    expect(openNotifier({}, 1)).toBeUndefined();
    expect(openNotifier({ NOTIFY_SOCKET: "" }, 1)).toBeUndefined();
    expect(openNotifier({ NOTIFY_SOCKET: "relative" }, 1)).toBeUndefined();
    expect(openNotifier({ NOTIFY_SOCKET: `/${"x".repeat(107)}` }, 1)).toBeUndefined();
    expect(openNotifier({ NOTIFY_SOCKET: `/${"x".repeat(106)}` }, 1)).toBeDefined();
  });

  test("outlives a manager that is gone", () => {
    const notifier = openNotifier({ NOTIFY_SOCKET: abstractName() }, 1);
    notifier?.send(["READY=1"]);
    notifier?.send(["STOPPING=1"]);
    expect(notifier).toBeDefined();
  });
});

describe("the watchdog's interval", () => {
  const interval = (environment: Record<string, string>) =>
    openNotifier({ NOTIFY_SOCKET: abstractName(), ...environment }, 42)?.watchdogMs;

  test("is WATCHDOG_USEC in milliseconds, for the process that is meant", () => {
    expect(interval({ WATCHDOG_USEC: "30000000" })).toBe(30_000);
    expect(interval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "42" })).toBe(30_000);
    expect(interval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "43" })).toBeUndefined();
  });

  test.each(["", "0", "-5", "soon", "1e400"])("is none for %p", (text) => {
    expect(interval({ WATCHDOG_USEC: text })).toBeUndefined();
  });
});
