// `systemctl reload` on real Debian systems: what was written into the environment file is taken without a restart.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { bootWithDeb, rootOrReason, UNIT } from "../support/packaged-node.ts";
import { makeTestPackages, type TestPackages } from "../support/test-packages.ts";

const MINUTES = 60_000;
const TOKEN = "a-token-of-the-administrator";
const SETTINGS = "/etc/default/peat-sidecar";
const roots = {
  "debian-12": await rootOrReason("debian-12"),
  "debian-13": await rootOrReason("debian-13"),
};

let packages: TestPackages;
beforeAll(async () => {
  const isAnyUsable = Object.values(roots).some(({ missing }) => missing === undefined);
  if (isAnyUsable) packages = await makeTestPackages();
}, 10 * MINUTES);
afterAll(() => packages?.[Symbol.dispose]());

for (const release of ["debian-12", "debian-13"] as const) {
  const { base, missing } = roots[release];
  test.skipIf(missing !== undefined)(
    `on ${release} a reload takes the environment file, and refuses one that is wrong (${missing ?? "booted"})`,
    async () => {
      await using machine = await bootWithDeb(base, packages.deb(1), { hostname: "host-a" });
      const pid = machine.property("MainPID");
      const reload = () => machine.run(`systemctl reload ${UNIT}`);
      const write = (line: string) => machine.read(`echo '${line}' >>${SETTINGS}`);
      const peers = () => machine.read("curl -sf http://127.0.0.1:8081/api/v1/peers");
      const put = (token: string) =>
        machine.read(
          `curl -s -o /dev/null -w '%{http_code}' -X PUT -H 'authorization: Bearer ${token}' -H 'content-type: application/json' -d '{}' http://127.0.0.1:8081/api/v1/documents/notes/a`,
        );
      const made = machine.read("cat /run/peat-sidecar/token");

      write("PEAT_STATIC_PEERS=far-away@192.0.2.1:11204");
      write(`PEAT_API_TOKEN=${TOKEN}`);
      write("PEAT_IROH_BIND_PORT=11205");
      expect([peers(), put(made)]).toEqual([expect.not.stringContaining("far-away"), "201"]);
      expect(reload()).toEqual({ code: 0, text: "" });
      // The command ends when all is taken: nothing has to be waited for.
      expect(peers()).toContain("far-away");
      expect([put(made), put(TOKEN)]).toEqual(["401", "200"]);
      expect(machine.property("ActiveState")).toBe("active");
      expect(machine.journal("all").join("\n")).toContain(
        'wait for a restart settings=["irohBindPort"]',
      );

      // What is wrong is refused as a whole, by the command too, and the service goes on.
      machine.read(`sed -i '/^PEAT_API_TOKEN=/d; /^PEAT_STATIC_PEERS=/d' ${SETTINGS}`);
      write("PEAT_BROKER_PORT=eighty");
      expect(reload().code).not.toBe(0);
      expect(machine.journal("all").join("\n")).toContain(
        'peat-sidecar: PEAT_BROKER_PORT: "eighty" must be',
      );
      expect([peers(), put(TOKEN)]).toEqual([expect.stringContaining("far-away"), "200"]);
      machine.read(`sed -i '/^PEAT_BROKER_PORT=/d' ${SETTINGS}`);
      expect(reload().code).toBe(0);
      expect([peers(), put(TOKEN), put(made)]).toEqual([
        expect.not.stringContaining("far-away"),
        "401",
        "200",
      ]);

      // By signal and notification alone, where systemd knows that kind of service.
      if (release !== "debian-12") {
        machine.read(
          `mkdir -p /etc/systemd/system/${UNIT}.d && printf '[Service]\\nType=notify-reload\\nExecReload=\\n' >/etc/systemd/system/${UNIT}.d/reload.conf && systemctl daemon-reload`,
        );
        expect(reload()).toEqual({ code: 0, text: "" });
        expect(machine.property("ActiveState")).toBe("active");
      }
      expect([machine.property("MainPID"), machine.property("NRestarts")]).toEqual([pid, "0"]);
    },
    10 * MINUTES,
  );
}
