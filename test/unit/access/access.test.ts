import { describe, expect, test } from "bun:test";
import { Access, type AccessOptions, isLoopback } from "../../../src/access/access.ts";
import { FAULTS, Fault } from "../../../src/base/faults.ts";
import { Secret } from "../../../src/base/secret.ts";

const TOKEN = "correct-horse-battery-staple";

interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly from?: string;
}

interface World extends Partial<AccessOptions> {
  readonly address?: string;
}

/** 200, or the status and sentence of the refusal. */
function ask(world: World, call: Call): { status: number; sentence: string } {
  const { address = "0.0.0.0", ...options } = world;
  const defaults: AccessOptions = {
    token: new Secret(TOKEN),
    isTokenConfigured: true,
    reads: "open",
    open: "none",
    corsOrigins: [],
  };
  const access = new Access(
    { ...defaults, ...options },
    {
      scheme: "http",
      address,
      openPaths: new Set(["/api/v1/health", "/api/v1/ready"]),
      guardedPaths: new Set(["/api/v1/logs"]),
    },
  );
  try {
    access.check({
      method: call.method ?? "GET",
      path: call.path ?? "/api/v1/peers",
      headers: new Headers({ host: "localhost:8081", ...call.headers }),
      address: () => call.from ?? "10.0.0.7",
    });
    return { status: 200, sentence: "" };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { status: FAULTS[error.code].http, sentence: error.message };
  }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe("a WebSocket of a browser", () => {
  const protocols = (text: string, upgrade = "websocket") =>
    ask({ reads: "token" }, { headers: { upgrade, "sec-websocket-protocol": text } }).status;
  const own = `peat.bearer.${Buffer.from(TOKEN).toString("base64url")}`;

  test("may send the token as one of its protocols", () => {
    expect(protocols(`peat.events, ${own}`)).toBe(200);
    expect(protocols(own, "WebSocket")).toBe(200);
  });

  test("is refused with another one, with half of one, and where it is no WebSocket", () => {
    expect(protocols("peat.events")).toBe(401);
    expect(protocols(`peat.events, ${own}A`)).toBe(401);
    expect(protocols(`x${own}`)).toBe(401);
    expect(protocols(own, "h2c")).toBe(401);
  });
});

describe("a guarded path", () => {
  const logs = { path: "/api/v1/logs" };
  const nearby = { ...logs, from: "127.0.0.1" };

  test("is read with the token only, also where reads are open, and the refusal names it", () => {
    const { status, sentence } = ask({}, logs);
    expect(status).toBe(401);
    expect(sentence).toContain("PEAT_API_TOKEN");
    expect(ask({}, { ...logs, headers: bearer(TOKEN) }).status).toBe(200);
    expect(ask({}, { ...logs, method: "HEAD" }).status).toBe(401);
  });

  test("is read by those who may write without a token, unless reads are closed", () => {
    expect(ask({ open: "loopback" }, nearby).status).toBe(200);
    expect(ask({ open: "all" }, logs).status).toBe(200);
    expect(ask({ open: "none" }, nearby).status).toBe(401);
    expect(ask({ open: "loopback", reads: "token" }, nearby).status).toBe(401);
  });
});

describe("a write over TCP", () => {
  test("needs the token, and the refusal names PEAT_API_TOKEN", () => {
    for (const method of ["PUT", "PATCH", "DELETE", "POST"]) {
      const { status, sentence } = ask({}, { method });
      expect(status).toBe(401);
      expect(sentence).toContain("PEAT_API_TOKEN");
    }
  });

  test("says that no token is configured where none is", () => {
    const { status, sentence } = ask({ isTokenConfigured: false }, { method: "PUT" });
    expect(status).toBe(401);
    expect(sentence).toContain("no PEAT_API_TOKEN is set");
  });

  test("is done with the token, whatever the case of the scheme", () => {
    expect(ask({}, { method: "PUT", headers: bearer(TOKEN) }).status).toBe(200);
    expect(ask({}, { method: "PUT", headers: { authorization: `bearer  ${TOKEN}` } }).status).toBe(
      200,
    );
  });

  test.each([`${TOKEN}x`, TOKEN.slice(1), "", "x", TOKEN.toUpperCase()])(
    "is refused with another token: %p",
    (token) => {
      expect(ask({}, { method: "PUT", headers: bearer(token) }).status).toBe(401);
    },
  );

  test("is refused with another scheme", () => {
    const authorization = `Basic ${btoa(`x:${TOKEN}`)}`;
    expect(ask({}, { method: "PUT", headers: { authorization } }).status).toBe(401);
  });

  test("never shows the token in the refusal", () => {
    expect(ask({}, { method: "PUT", headers: bearer("wrong") }).sentence).not.toContain(TOKEN);
  });
});

describe("PEAT_API_OPEN=loopback", () => {
  const world: World = { open: "loopback" };

  test("lets this machine write without a token, and nobody else", () => {
    expect(ask(world, { method: "PUT", from: "127.0.0.1" }).status).toBe(200);
    expect(ask(world, { method: "PUT", from: "::ffff:127.0.0.1" }).status).toBe(200);
    expect(ask(world, { method: "PUT", from: "10.0.0.7" }).status).toBe(401);
  });

  test("takes a proxy's clients for what they are: somebody else", () => {
    const headers = { "x-forwarded-for": "203.0.113.9" };
    expect(ask(world, { method: "PUT", from: "127.0.0.1", headers }).status).toBe(401);
  });

  test("does not open to a page whose name was made to point here", () => {
    const headers = { host: "evil.example:8081", origin: "http://evil.example:8081" };
    expect(ask(world, { method: "PUT", from: "127.0.0.1", headers }).status).toBe(401);
  });

  test("still refuses a wrong token", () => {
    expect(ask(world, { method: "PUT", from: "127.0.0.1", headers: bearer("x") }).status).toBe(401);
  });
});

describe("a read", () => {
  test("is open unless the settings close it", () => {
    expect(ask({}, {}).status).toBe(200);
    expect(ask({ reads: "token" }, { from: "127.0.0.1" }).status).toBe(401);
    expect(ask({ reads: "token" }, { headers: bearer(TOKEN) }).status).toBe(200);
  });

  test("of a probe's path never needs a token", () => {
    for (const path of ["/api/v1/health", "/api/v1/ready"]) {
      expect(ask({ reads: "token" }, { path }).status).toBe(200);
    }
    expect(ask({ reads: "token" }, { path: "/api/v1/healthy" }).status).toBe(401);
  });
});

describe("a listener on loopback", () => {
  const world: World = { address: "127.0.0.1" };
  const from = "127.0.0.1";

  test.each(["localhost", "localhost:8081", "127.0.0.1:8081", "[::1]:8081", "a.localhost:1"])(
    "answers to its own name %p",
    (host) => {
      expect(ask(world, { headers: { host }, from }).status).toBe(200);
    },
  );

  test.each([
    "evil.example",
    "evil.example:8081",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
  ])("refuses %p: a name made to point here", (host) => {
    expect(ask(world, { headers: { host }, from }).status).toBe(403);
  });

  test("answers to the host of an allowed origin: a proxy's", () => {
    const proxied: World = { ...world, corsOrigins: ["https://peat.example"] };
    expect(ask(proxied, { headers: { host: "peat.example" }, from }).status).toBe(200);
  });
});

describe("a web origin", () => {
  test("is answered when it is the broker's own or allowed, also before a write", () => {
    const own = { origin: "http://localhost:8081" };
    const friend = { origin: "https://friend.example" };
    expect(ask({}, { headers: own }).status).toBe(200);
    expect(ask({}, { headers: friend }).status).toBe(403);
    expect(ask({ corsOrigins: ["https://friend.example"] }, { headers: friend }).status).toBe(200);
    expect(ask({}, { method: "OPTIONS", headers: friend }).status).toBe(403);
    expect(ask({}, { method: "OPTIONS", headers: own }).status).toBe(200);
  });

  test.each([
    "null",
    "https://localhost:8081",
    "http://localhost:8082",
    "http://localhost:8081.evil",
  ])("is not the own one if it is %p", (origin) => {
    expect(ask({}, { headers: { origin } }).status).toBe(403);
  });

  test("needs no permission to be any when all are allowed, but a token to write all the same", () => {
    const world: World = { corsOrigins: ["*"] };
    const headers = { origin: "https://anyone.example" };
    expect(ask(world, { headers }).status).toBe(200);
    expect(ask(world, { method: "PUT", headers }).status).toBe(401);
  });
});

test("loopback is 127.0.0.0/8 and ::1, also mapped into IPv6", () => {
  for (const address of ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"]) {
    expect(isLoopback(address)).toBe(true);
  }
  for (const address of ["128.0.0.1", "0.0.0.0", "::", "10.127.0.1", "::ffff:10.0.0.1", ""]) {
    expect(isLoopback(address)).toBe(false);
  }
});
