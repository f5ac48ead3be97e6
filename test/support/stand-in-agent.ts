// Packages of a remote agent that is not ours: program, user and service of its own, and a dependency on our package.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Format } from "../../scripts/package/nfpm-package.ts";
import { makeSmallPackage } from "./small-package.ts";

export const AGENT = "uds-remote-agent";

const UNIT = `[Unit]
Description=Stand-in for the remote agent

[Service]
User=${AGENT}
ExecStart=/usr/bin/${AGENT}
Restart=on-failure

[Install]
WantedBy=multi-user.target
`;

/** It joins our group, by which it may use the socket. */
const USERS = `u ${AGENT} -\nm ${AGENT} peat-sidecar\n`;

const AFTER_INSTALL = `#!/bin/sh
set -e
systemd-sysusers ${AGENT}.conf
systemctl daemon-reload
systemctl enable --now ${AGENT}.service
`;

/** Runs at a removal, not when another version takes its place. */
const BEFORE_REMOVE = `#!/bin/sh
set -e
case "$1" in remove | 0) systemctl disable --now ${AGENT}.service ;; esac
`;

/** Compiles the agent and makes its package in `folder`; returns the package's path. */
export async function makeAgentPackage(format: Format, folder: string): Promise<string> {
  const parts = join(folder, "agent");
  await mkdir(parts, { recursive: true });
  const built = await Bun.build({
    entrypoints: [join(import.meta.dir, "agent-program.ts")],
    target: "bun",
    compile: { outfile: join(parts, AGENT) },
    throw: false,
  });
  if (!built.success) throw new Error(built.logs.map(String).join("\n"));
  const texts = {
    unit: UNIT,
    users: USERS,
    afterInstall: AFTER_INSTALL,
    beforeRemove: BEFORE_REMOVE,
  };
  for (const [name, text] of Object.entries(texts)) await Bun.write(join(parts, name), text);
  const file = (name: string, dst: string, mode: number) => ({
    src: join(parts, name),
    dst,
    file_info: { mode },
  });
  return await makeSmallPackage(format, folder, {
    name: AGENT,
    version: "1.4.0",
    depends: ["peat-sidecar"],
    contents: [
      file(AGENT, `/usr/bin/${AGENT}`, 0o755),
      file("unit", `/usr/lib/systemd/system/${AGENT}.service`, 0o644),
      file("users", `/usr/lib/sysusers.d/${AGENT}.conf`, 0o644),
    ],
    scripts: {
      postinstall: join(parts, "afterInstall"),
      preremove: join(parts, "beforeRemove"),
    },
    deb: { compression: "zstd:fastest" },
    rpm: { compression: "zstd:fastest" },
  });
}
