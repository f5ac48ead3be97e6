// Whatever is written, asked for and found while frames go out, links change and acknowledgements come late: when
// nothing is left to send, the peer has every document as it is.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Random } from "../../../scripts/model/random.ts";
import type { DocumentKey } from "../../../src/store/document-key.ts";
import { ROOT } from "../../../src/store/sums.ts";
import { Assemblies } from "../../../src/sync/assembly.ts";
import type { OutboxItem } from "../../../src/sync/outbox.ts";
import { cases } from "../../support/effort.ts";
import { key, openMemoryStore, put, read, remove } from "../../support/memory-store.ts";
import { outboxWorld } from "../../support/outbox-world.ts";

const NAMES = ["notes:1", "notes:2", "tracks:1", "alerts:1"];
/** Frames of a slow link: a document of a few KB is a large one. */
const FRAME_BYTES = 900;

type Step =
  | { readonly kind: "put"; readonly name: string; readonly chars: number }
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "ask"; readonly name: string }
  | { readonly kind: "bulk" | "send" | "deliver" | "acknowledge" | "resume" };

const name = fc.constantFrom(...NAMES);
const chars = fc.constantFrom(0, 20, 600, 4_000);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("put" as const), name, chars }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove" as const), name }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("ask" as const), name }) },
    {
      weight: 12,
      arbitrary: fc.record({
        kind: fc.constantFrom(
          ...([
            "bulk",
            "resume",
            "send",
            "send",
            "send",
            "deliver",
            "deliver",
            "acknowledge",
          ] as const),
        ),
      }),
    },
  ),
  { minLength: 5, maxLength: 80 },
);

/** A sender, a peer, and a link between them that has sent, delivered and acknowledged so much. */
class Two {
  readonly sender = outboxWorld();
  readonly peer = openMemoryStore({ nodeName: "node-b" });
  readonly #random = new Random(7);
  #assemblies = new Assemblies();
  #onItsWay: OutboxItem[] = [];
  #delivered: OutboxItem[] = [];
  #told = 0;

  async step(step: Step): Promise<void> {
    const { store, outbox } = this.sender;
    switch (step.kind) {
      case "put": {
        const text = this.#random.fill(new Uint8Array(step.chars)).toBase64();
        await put(store, step.name, { text, n: this.#random.below(1e6) });
        return this.#push();
      }
      case "remove":
        if (read(store, step.name) !== undefined) await remove(store, step.name);
        return this.#push();
      case "ask":
        return this.ask(key(step.name));
      case "bulk":
        return outbox.pushBulkBelow(ROOT);
      case "send":
        return void this.send();
      case "deliver":
        return this.deliver();
      case "acknowledge":
        return this.acknowledge();
      case "resume":
        return this.#resume();
    }
  }

  /** The peer says what it has; as answerCompare has it, the answer is the state, or what it lacks of it. */
  ask(of: DocumentKey): void {
    const { store, outbox } = this.sender;
    if (store.hashOf(of) === undefined) return;
    const heads = (this.peer.headsOf(of) ?? []).filter((head) => store.hasHeads(of, [head]));
    outbox.pushState(of, heads);
  }

  send(): boolean {
    const item = this.sender.outbox.take(FRAME_BYTES);
    if (item !== undefined) this.#onItsWay.push(item);
    return item !== undefined;
  }

  async deliver(): Promise<void> {
    const item = this.#onItsWay.shift();
    if (item === undefined) return;
    this.#delivered.push(item);
    const whole = item.kind === "chunk" ? this.#assemblies.add(item.part) : undefined;
    const states = item.kind === "states" ? item.entries : whole === undefined ? [] : [whole];
    for (const state of states) {
      const of = key(state.key);
      const outcome = await this.peer.merge({ ...state, key: of }, "node-a");
      if (outcome.kind === "incomplete") this.ask(of);
      if (outcome.kind === "equal") this.sender.outbox.has(of, state.hash);
    }
  }

  acknowledge(): void {
    this.sender.outbox.arrived(this.#delivered.splice(0).flatMap(wholeIn));
  }

  get isQuiet(): boolean {
    return this.#onItsWay.length === 0 && this.sender.outbox.isEmpty;
  }

  /** What was on its way is lost, and what had arrived is not known to have. */
  #resume(): void {
    const unacknowledged = [...this.#delivered, ...this.#onItsWay].flatMap(wholeIn);
    this.#onItsWay = [];
    this.#delivered = [];
    this.#assemblies = new Assemblies();
    this.sender.outbox.resume(unacknowledged);
  }

  #push(): void {
    const { commits, outbox } = this.sender;
    for (const change of commits.slice(this.#told)) outbox.push(change);
    this.#told = commits.length;
  }

  [Symbol.dispose](): void {
    this.sender[Symbol.dispose]();
    this.peer.close();
  }
}

/** As the session's window has them: a large one with its last part. */
function wholeIn(item: OutboxItem): DocumentKey[] {
  if (item.kind === "states") return item.entries.map((entry) => key(entry.key));
  const { key: of, offset, bytes, total } = item.part;
  return offset + bytes.length >= total ? [of] : [];
}

test("whatever happens on the way, in the end the peer has all, and nothing is kept for it", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      using two = new Two();
      for (const step of all) await two.step(step);
      for (let n = 0; n < 2_000 && !two.isQuiet; n += 1) {
        two.send();
        await two.deliver();
        two.acknowledge();
      }
      expect(two.isQuiet).toBe(true);
      expect(NAMES.map((one) => read(two.peer, one))).toEqual(
        NAMES.map((one) => read(two.sender.store, one)),
      );
      expect(two.sender.outbox.keptBytes).toBe(0);
    }),
    cases(300),
  );
}, 300_000);
