// The QUIC addon that is embedded asks no router for anything.
import { expect, test } from "bun:test";
import { findAddon, hostTarget } from "../../../scripts/support/build-targets.ts";
import { quieten } from "../../../scripts/support/quiet-addon.ts";

const ASKED = "239.255.255.250:1900";
const text = (...parts: string[]) => Buffer.from(parts.join("\u0000"), "latin1");

test("the address of the question is replaced, byte for byte, and its words are left alone", () => {
  const before = text("M-SEARCH", `Host:${ASKED}`, `code${ASKED}data`);
  const after = Buffer.from(quieten(before)).toString("latin1");
  expect(after.length).toBe(before.length);
  expect(after).toContain(`Host:${ASKED}`);
  expect(after).toContain("code[::ffff:127.0.0.1]:9data");
});

test.each([
  ["nowhere", text(`Host:${ASKED}`), "0 times"],
  ["twice", text(`a${ASKED}`, `b${ASKED}`), "2 times"],
])("an addon that has it %s is not embedded", (_where, bytes, times) => {
  expect(() => quieten(bytes)).toThrow(times);
});

test("the addon of this machine has it once", async () => {
  const addon = await findAddon(hostTarget());
  if (typeof addon === "string") throw new Error(addon);
  const before = await Bun.file(addon.library).bytes();
  const after = quieten(before);
  expect(after.length).toBe(before.length);
  let differing = 0;
  for (let i = 0; i < before.length; i += 1) if (before[i] !== after[i]) differing += 1;
  expect(differing).toBeGreaterThan(0);
  expect(differing).toBeLessThanOrEqual(ASKED.length);
});
