// Beside the remote agent: both packages come in one transaction, neither is in the other's way, and each lives on
// without the other.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { waitFor } from "../../scripts/support/waiting.ts";
import { AGENT_DOCUMENT, AGENT_PORT } from "../support/agent-program.ts";
import { Machine } from "../support/machine.ts";
import { bring, get, installation, rootOrReason, UNIT } from "../support/packaged-node.ts";
import { giveLibrary } from "../support/rpm-library.ts";
import { AGENT, makeAgentPackage } from "../support/stand-in-agent.ts";
import { makeTestPackages, type TestPackages } from "../support/test-packages.ts";

const MINUTES = 60_000;
const SETTINGS = "/etc/default/peat-sidecar";
const AGENT_UNIT = `${AGENT}.service`;
const DROP_INS = "/usr/share/doc/peat-sidecar/examples";

/** Commands of one kind of system. */
interface Kind {
  readonly format: "deb" | "rpm";
  readonly base: string;
  readonly missing: string | undefined;
  install(machine: Machine, ...paths: readonly string[]): string;
  readonly removeAgent: string;
  readonly removeNode: string;
  readonly forceRemoveNode: string;
  /** Lists the paths of an installed package. */
  files(name: string): string;
}

const kinds: readonly Kind[] = [
  {
    format: "deb",
    ...(await rootOrReason("debian-12")),
    install: installation,
    removeAgent: `apt-get remove -y -q ${AGENT}`,
    removeNode: "dpkg --remove peat-sidecar",
    forceRemoveNode: "dpkg --force-depends --remove peat-sidecar",
    files: (name) => `dpkg -L ${name}`,
  },
  {
    format: "rpm",
    ...(await rootOrReason("debian-12-rpm")),
    install: (machine, ...paths) =>
      `rpm -i --force-debian ${paths.map((path) => bring(machine, path)).join(" ")}`,
    removeAgent: `rpm -e --force-debian ${AGENT}`,
    removeNode: "rpm -e --force-debian peat-sidecar",
    forceRemoveNode: "rpm -e --force-debian --nodeps peat-sidecar",
    files: (name) => `rpm -ql ${name}`,
  },
];

let packages: TestPackages;
beforeAll(async () => {
  if (kinds.some(({ missing }) => missing === undefined)) packages = await makeTestPackages();
}, 10 * MINUTES);
afterAll(() => packages?.[Symbol.dispose]());

const agentAnswers = (machine: Machine) =>
  machine.run(`curl -sf http://127.0.0.1:${AGENT_PORT}/status`).text.includes('"runMode"');
/** When a unit came to a state, in microseconds of systemd's clock. */
const moment = (machine: Machine, unit: string, which: string) =>
  Number(machine.read(`systemctl show -P ${which} ${unit}`));

/** Both from the beginning, with one of the drop-ins; `before` must be up when the program of `after` starts. */
function startInOrder(machine: Machine, dropIn: string, before: string, after: string): void {
  const there = `/etc/systemd/system/${after}.d`;
  machine.read(
    `mkdir -p ${there} && cp ${DROP_INS}/${dropIn} ${there} && systemctl daemon-reload && systemctl stop ${UNIT} ${AGENT_UNIT} && systemctl start ${after}`,
  );
  const [up, started] = [
    moment(machine, before, "ActiveEnterTimestampMonotonic"),
    moment(machine, after, "ExecMainStartTimestampMonotonic"),
  ];
  expect(machine.read(`systemctl is-active ${UNIT} ${AGENT_UNIT}`)).toBe("active\nactive");
  expect(up).toBeLessThanOrEqual(started);
  machine.read(`rm ${there}/${dropIn} && systemctl daemon-reload`);
}

for (const kind of kinds) {
  const { format, base, missing } = kind;
  test.skipIf(missing !== undefined)(
    `a ${format} of a remote agent and ours are installed together, work together and leave alone (${missing ?? "booted"})`,
    async () => {
      const node =
        format === "deb" ? packages.deb(1) : await packages.make("rpm", "1", "zstd:fastest");
      const agent = await makeAgentPackage(format, packages.folder);
      await using machine = await Machine.boot(base, { hostname: "host-a" });
      if (format === "rpm") await giveLibrary(machine, packages.folder);

      // The dependency comes second on the command line.
      machine.read(kind.install(machine, agent, node));
      const paths = (name: string) =>
        machine
          .read(kind.files(name))
          .split("\n")
          .filter((path) => machine.run(`test -d ${path} && ! test -L ${path}`).code !== 0);
      const [ours, theirs] = [new Set(paths("peat-sidecar")), new Set(paths(AGENT))];
      expect([ours.size > 15, theirs.size]).toEqual([true, 3]);
      expect(ours.intersection(theirs).size).toBe(0);
      await waitFor("the agent", MINUTES, () => agentAnswers(machine) || undefined);

      machine.read(
        `printf 'PEAT_AGENT_ADDR=http://127.0.0.1:${AGENT_PORT}\\nPEAT_AGENT_POLL_INTERVAL_SECS=1\\n' >>${SETTINGS}`,
      );
      expect(machine.read("peat-sidecar setup")).toContain(`${UNIT} runs.`);
      const document = (path: string) =>
        machine.run(`curl -sf http://127.0.0.1:8081/api/v1/documents/${path}`);
      await waitFor("what the agent says", MINUTES, () =>
        document("packages/host-a:core:0.34.0-amd64").code === 0 ? true : undefined,
      );
      // Its own user came in by the group, and by nothing else.
      await waitFor("what the agent writes", MINUTES, () =>
        machine.run(get(AGENT_DOCUMENT)).text.includes('"by":"agent"') ? true : undefined,
      );
      expect(machine.read(`id -nG ${AGENT}`)).toBe(`${AGENT} peat-sidecar`);

      startInOrder(machine, "remote-agent-first.conf", AGENT_UNIT, UNIT);
      startInOrder(machine, "remote-agent-second.conf", UNIT, AGENT_UNIT);

      const pid = machine.property("MainPID");
      machine.read(kind.removeAgent);
      expect(agentAnswers(machine)).toBe(false);
      await waitFor("its absence in the readiness", MINUTES, () =>
        machine.run("curl -sf http://127.0.0.1:8081/api/v1/ready").text.includes("remote agent")
          ? true
          : undefined,
      );
      expect([machine.property("MainPID"), machine.property("ActiveState")]).toEqual([
        pid,
        "active",
      ]);
      expect(document("packages/host-a:core:0.34.0-amd64").code).toBe(0);

      machine.read(kind.install(machine, agent));
      await waitFor("the agent again", MINUTES, () => agentAnswers(machine) || undefined);
      // It is the agent that needs us, and the package manager that says so.
      const refused = machine.run(kind.removeNode);
      expect([refused.code === 0, refused.text]).toEqual([false, expect.stringContaining(AGENT)]);
      expect(machine.property("ActiveState")).toBe("active");
      machine.read(kind.forceRemoveNode);
      expect(machine.property("ActiveState")).toBe("inactive");
      expect(agentAnswers(machine)).toBe(true);
    },
    10 * MINUTES,
  );
}
