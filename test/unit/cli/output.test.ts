import { expect, test } from "bun:test";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DescriptorOutput } from "../../../src/cli/output.ts";

test("a file gets everything in order", async () => {
  const folder = mkdtempSync(join(tmpdir(), "peat-output-"));
  const path = join(folder, "out");
  const descriptor = openSync(path, "w");
  const output = new DescriptorOutput(descriptor);
  let expected = "";
  for (let i = 0; i < 5000; i += 1) {
    output.write(`line ${i} ü\n`);
    expected += `line ${i} ü\n`;
  }
  await output.flushed();
  expect(output.pendingBytes).toBe(0);
  expect(output.isTerminal).toBe(false);
  closeSync(descriptor);
  expect(readFileSync(path, "utf8")).toBe(expected);
  rmSync(folder, { recursive: true });
});

/** A full pipe whose both ends are in this process and never block. */
function pipe() {
  const folder = mkdtempSync(join(tmpdir(), "peat-output-"));
  const path = join(folder, "fifo");
  Bun.spawnSync(["mkfifo", path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  rmSync(folder, { recursive: true });
  return { reader, writer };
}

/** More than a pipe of Linux holds. */
const PIPE_BYTES = 128 * 1024;

test("a non-blocking pipe gets as much as it takes, and the rest when it takes more", async () => {
  const { reader, writer } = pipe();
  const output = new DescriptorOutput(writer);
  const text = "0123456789".repeat(50_000);
  output.write(text);
  output.write("end");
  let isFlushed = false;
  const flushed = output.flushed().then(() => {
    isFlushed = true;
  });
  const chunk = Buffer.alloc(65_536);
  let received = "";
  while (received.length < text.length + 3) {
    try {
      received += chunk.toString("latin1", 0, readSync(reader, chunk));
    } catch {
      // Empty for the moment: the writer needs a turn of the event loop.
      await new Promise((resolve) => setImmediate(resolve));
    }
    // What the pipe itself holds has left the process already.
    if (received.length < text.length - PIPE_BYTES) expect(isFlushed).toBe(false);
  }
  await flushed;
  expect(received === `${text}end`).toBe(true);
  closeSync(writer);
  closeSync(reader);
});

test("a reader that has gone ends the waiting and costs no memory", async () => {
  const { reader, writer } = pipe();
  const output = new DescriptorOutput(writer);
  closeSync(reader);
  output.write("nobody reads this");
  await output.flushed();
  expect([output.closed.aborted, output.failure]).toEqual([true, undefined]);
  output.write("nor this");
  expect(output.pendingBytes).toBe(0);
  await output.flushed();
  closeSync(writer);
});

test("a full disk is a failure that is told", async () => {
  const descriptor = openSync("/dev/full", "w");
  const output = new DescriptorOutput(descriptor);
  output.write("no room for this");
  await output.flushed();
  expect(output.closed.aborted).toBe(true);
  expect(output.failure?.message).toContain("no space left");
  closeSync(descriptor);
});
