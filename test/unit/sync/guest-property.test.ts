// Documents without history between two gateways and one guest, in every order: writes on all sides, snapshots
// that arrive late or twice, echoes of any earlier one, lost tables, restarts. The exchange and the stores are the
// program's own; the guest is Automerge and its habits.
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Clock } from "../../../src/base/clock.ts";
import { parseJson, printJson } from "../../../src/store/json.ts";
import type { Store } from "../../../src/store/store.ts";
import { GuestExchange } from "../../../src/sync/guest-exchange.ts";
import type { Message } from "../../../src/wire/message.ts";
import { cases } from "../../support/effort.ts";
import { GuestDocument } from "../../support/guest/document.ts";
import { key, openMemoryStore, put, read, remove } from "../../support/memory-store.ts";

const KEY = "tracks:1";
const NAMES = ["a", "b", "c"];

/** Wall clocks differ by minutes; time passes with every step. */
class SteppedClock implements Clock {
  ms = 1_800_000_000_000;
  readonly #skewMs: number;
  constructor(skewMs: number) {
    this.#skewMs = skewMs;
  }
  now = () => this.ms + this.#skewMs;
  monotonic = () => this.ms;
  after(delayMs: number, run: () => void) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  }
  soon = (run: () => void) => queueMicrotask(run);
}

/** A write of one field, and the writes that its writer had seen when it wrote. */
interface Fact {
  readonly field: string;
  readonly value: number | undefined;
  readonly seen: ReadonlySet<number>;
}

class Gateway {
  readonly store: Store;
  readonly clock: SteppedClock;
  readonly knows = new Set<number>();
  exchange: GuestExchange;

  constructor(name: string, skewMs: number) {
    this.clock = new SteppedClock(skewMs);
    this.store = openMemoryStore({ nodeName: name, clock: this.clock });
    this.exchange = this.#newExchange(name);
  }

  #newExchange(nodeName: string): GuestExchange {
    return new GuestExchange({
      store: this.store,
      clock: this.clock,
      nodeName,
      guest: "old",
      signal: new AbortController().signal,
      refused: (of, cause) => {
        throw new Error(`${of}: ${cause}`);
      },
    });
  }

  /** The connection is new, and perhaps so is the disk's table of what the guest holds. */
  restart(table: Uint8Array | undefined | "kept"): void {
    this.exchange = this.#newExchange(this.store.storeId);
    if (table === "kept") return;
    // As a lost table is told: what was written before must not be continued under the same names.
    this.store.guests.lose("old", key(KEY));
    this.store.guests.set("old", key(KEY), table);
  }
}

type Step =
  | { readonly kind: "put" | "patch"; readonly at: number; readonly fields: number }
  | { readonly kind: "drop" | "delete" | "restart"; readonly at: number; readonly pick: number }
  | { readonly kind: "guest writes"; readonly fields: number }
  | { readonly kind: "meet" }
  | { readonly kind: "push" | "deliver" | "echo"; readonly at: number; readonly pick: number }
  | { readonly kind: "guest restarts"; readonly pick: number };

const at = fc.nat(1);
const pick = fc.nat(1000);
const fields = fc.integer({ min: 1, max: 7 });
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("put", "patch"), at, fields }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("drop"), at, pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart"), at, pick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("guest writes"), fields }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("meet") }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("push", "deliver"), at, pick }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("echo"), at, pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("guest restarts"), pick }) },
) as fc.Arbitrary<Step>;

const stepsAndDeletes = fc.oneof(
  { weight: 12, arbitrary: steps },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("delete"), at, pick }) as fc.Arbitrary<Step>,
  },
);

class Model {
  readonly gateways = [new Gateway("new-1", 0), new Gateway("new-2", -180_000)] as const;
  readonly facts: Fact[] = [];
  guest: GuestDocument | undefined;
  #guestKnows = new Set<number>();
  /** Everything that was ever sent to the guest, and everything that it ever sent or might have kept. */
  readonly #sent: { bytes: Uint8Array; knows: ReadonlySet<number> }[] = [];
  readonly #echoes: { bytes: Uint8Array; knows: ReadonlySet<number> }[] = [];
  readonly #tables: Uint8Array[] = [];
  #actors = 0;
  #lives = 0;

  #actor(): string {
    this.#actors += 1;
    return this.#actors.toString(16).padStart(32, "0");
  }

  #gateway(index: number): Gateway {
    return this.gateways[index === 0 ? 0 : 1];
  }

  #fact(field: string, value: number | undefined, knows: Set<number>): void {
    const id = this.facts.length;
    this.facts.push({ field, value, seen: new Set(knows) });
    knows.add(id);
  }

  async run(step: Step): Promise<void> {
    for (const gateway of this.gateways) gateway.clock.ms += 7;
    switch (step.kind) {
      case "put":
      case "patch":
        return await this.#write(this.#gateway(step.at), step);
      case "drop":
        return await this.#drop(this.#gateway(step.at), NAMES[step.pick % 3] ?? "a");
      case "delete":
        return await this.#delete(this.#gateway(step.at));
      case "guest writes":
        return this.#guestWrites(step.fields);
      case "meet":
        return await this.meet();
      case "push":
        this.take(this.#gateway(step.at), this.#gateway(step.at).exchange.push(key(KEY)));
        return;
      case "deliver":
        return this.#deliver(step.pick);
      case "echo":
        return await this.#echo(this.#gateway(step.at), step.pick);
      case "restart": {
        const tables = [undefined, "kept" as const, ...this.#tables];
        this.#gateway(step.at).restart(tables[step.pick % tables.length]);
        return;
      }
      case "guest restarts": {
        // On what it has, or on a copy of what it once had.
        const old = this.#echoes[step.pick % Math.max(1, 2 * this.#echoes.length)];
        if (old === undefined) return;
        this.guest = GuestDocument.load(old.bytes, this.#actor());
        this.#guestKnows = new Set(old.knows);
      }
    }
  }

  #fields(bits: number): string[] {
    return NAMES.filter((_, index) => ((bits >> index) & 1) === 1);
  }

  async #write(gateway: Gateway, step: { kind: "put" | "patch"; fields: number }): Promise<void> {
    const value = this.facts.length + 1;
    const body = Object.fromEntries(this.#fields(step.fields).map((name) => [name, value]));
    if (step.kind === "put") await put(gateway.store, KEY, body);
    else {
      const operation = { kind: "patch", body: JSON.stringify(body) } as const;
      await gateway.store.write({ key: key(KEY), operation });
    }
    for (const name of NAMES) {
      const isSet = name in body;
      if (isSet || step.kind === "put") this.#fact(name, isSet ? value : undefined, gateway.knows);
    }
  }

  async #drop(gateway: Gateway, name: string): Promise<void> {
    const before = JSON.parse(read(gateway.store, KEY) ?? "{}") as object;
    if (!(name in before)) return;
    const operation = { kind: "patch", body: JSON.stringify({ [name]: null }) } as const;
    await gateway.store.write({ key: key(KEY), operation });
    this.#fact(name, undefined, gateway.knows);
  }

  async #delete(gateway: Gateway): Promise<void> {
    if (read(gateway.store, KEY) === undefined) return;
    await remove(gateway.store, KEY);
    this.#lives += 1;
  }

  get hasDeletes(): boolean {
    return this.#lives > 0;
  }

  #guestWrites(bits: number): void {
    const value = this.facts.length + 1;
    const names = this.#fields(bits);
    const body = Object.fromEntries(names.map((name) => [name, value]));
    const before = (this.guest === undefined ? {} : JSON.parse(this.guest.jsonText())) as object;
    this.guest ??= GuestDocument.empty(this.#actor());
    this.guest.write(JSON.stringify(body), this.#actor());
    for (const name of NAMES) {
      if (name in body) this.#fact(name, value, this.#guestKnows);
      else if (name in before) this.#fact(name, undefined, this.#guestKnows);
    }
    this.#remember();
  }

  #remember(): void {
    if (this.guest === undefined) return;
    this.#echoes.push({ bytes: this.guest.save(), knows: new Set(this.#guestKnows) });
  }

  /** Natives have what the other has. */
  async meet(): Promise<void> {
    const [a, b] = this.gateways;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const state = from.store.stateFor(key(KEY));
      if (state !== undefined) await to.store.merge({ key: key(KEY), ...state }, "native");
    }
    for (const fact of a.knows) b.knows.add(fact);
    for (const fact of b.knows) a.knows.add(fact);
  }

  /** What a gateway sends is on its way. */
  take(gateway: Gateway, messages: readonly Message[], isAtOnce = false): boolean {
    const table = gateway.store.guests.get("old", key(KEY));
    if (table !== undefined) this.#tables.push(table);
    for (const message of messages) {
      if (message.kind === "snapshot") {
        const sent = { bytes: message.document, knows: new Set(gateway.knows) };
        this.#sent.push(sent);
        if (isAtOnce) this.#arrive(sent);
      } else if (message.kind === "tombstone") this.guest = undefined;
    }
    return messages.length > 0;
  }

  #deliver(which: number): void {
    const sent = this.#sent[which % Math.max(1, this.#sent.length)];
    if (sent !== undefined) this.#arrive(sent);
  }

  #arrive({ bytes, knows }: { bytes: Uint8Array; knows: ReadonlySet<number> }): void {
    const incoming = GuestDocument.load(bytes, this.#actor());
    if (this.guest === undefined) this.guest = incoming;
    else this.guest.merge(incoming);
    for (const fact of knows) this.#guestKnows.add(fact);
    this.#remember();
  }

  /** Any earlier snapshot of the guest comes, or comes again. */
  async #echo(gateway: Gateway, which: number): Promise<void> {
    const echo = this.#echoes[which % Math.max(1, this.#echoes.length)];
    if (echo !== undefined) await this.hear(gateway, echo);
  }

  async hear(
    gateway: Gateway,
    { bytes, knows }: { bytes: Uint8Array; knows: ReadonlySet<number> },
    isAtOnce = false,
  ): Promise<boolean> {
    const message = { kind: "snapshot", key: KEY, document: bytes } as const;
    const messages = await gateway.exchange.receiveSnapshot(message);
    for (const fact of knows) gateway.knows.add(fact);
    return this.take(gateway, messages, isAtOnce);
  }

  /** Everybody talks to everybody until nobody has anything to say. Returns how many rounds that took. */
  async settle(): Promise<number> {
    for (let round = 1; round <= 12; round += 1) {
      await this.meet();
      let hasSaid = false;
      for (const gateway of this.gateways) {
        // Nothing is put off: what is not sent for a while is not part of this.
        gateway.clock.ms += 3_600_000;
        if (this.guest !== undefined) {
          const knows = this.#guestKnows;
          const echo = { bytes: this.guest.save(), knows };
          hasSaid = (await this.hear(gateway, echo, true)) || hasSaid;
        } else {
          const messages = gateway.exchange.push(key(KEY));
          hasSaid = this.take(gateway, messages, true) || hasSaid;
        }
      }
      const isDeleted = this.gateways.every(({ store }) => read(store, KEY) === undefined);
      if (!hasSaid || (isDeleted && this.guest === undefined)) return round;
    }
    return Number.POSITIVE_INFINITY;
  }

  get shown(): { nodes: (string | undefined)[]; guest: string | undefined; hashes: unknown[] } {
    const text = this.guest?.jsonText();
    return {
      nodes: this.gateways.map(({ store }) => read(store, KEY)),
      hashes: this.gateways.map(({ store }) => store.hashOf(key(KEY))),
      guest: text === undefined ? undefined : printJson(parseJson(text)),
    };
  }

  /** Fields whose value somebody overwrote who had seen it: an echo has won. */
  reverted(): string[] {
    const final = JSON.parse(this.shown.nodes[0] ?? "{}") as Record<string, number>;
    const wrong: string[] = [];
    const known = this.gateways[0].knows;
    for (const name of NAMES) {
      // What a guest forgot before anybody heard of it is nobody's loss.
      const writes = this.facts
        .map((fact, id) => ({ ...fact, id }))
        .filter((fact) => fact.field === name && known.has(fact.id));
      if (writes.length === 0) continue;
      const overwritten = new Set(writes.flatMap(({ seen }) => [...seen]));
      const last = writes.filter(({ id }) => !overwritten.has(id));
      if (!last.some(({ value }) => value === final[name])) {
        wrong.push(`${name} is ${final[name]}, not one of ${last.map(({ value }) => value)}`);
      }
    }
    return wrong;
  }

  close(): void {
    for (const { store } of this.gateways) store.close();
  }
}

async function play(list: readonly Step[], check: (model: Model) => void): Promise<void> {
  const model = new Model();
  try {
    for (const step of list) await model.run(step);
    expect(await model.settle()).toBeLessThan(12);
    check(model);
  } finally {
    model.close();
  }
}

test("echoes of any age, in any order, through two gateways: all converge, and who has seen a write wins over it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 4, maxLength: 40 }), (list) =>
      play(list, (model) => {
        const { nodes, guest, hashes } = model.shown;
        expect(new Set(hashes).size).toBe(1);
        expect(nodes[1]).toBe(nodes[0]);
        expect(guest).toBe(nodes[0]);
        expect(model.reverted()).toEqual([]);
      }),
    ),
    cases(150),
  );
}, 120_000);

test("with deletes and later lives nothing returns that was deleted, and all converge", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(stepsAndDeletes, { minLength: 4, maxLength: 40 }), (list) =>
      play(list, (model) => {
        const { nodes, guest, hashes } = model.shown;
        expect(new Set(hashes).size).toBe(1);
        expect(nodes[1]).toBe(nodes[0]);
        expect(guest).toBe(nodes[0]);
        if (!model.hasDeletes) expect(model.reverted()).toEqual([]);
      }),
    ),
    cases(150),
  );
}, 120_000);
