import { describe, expect, test } from "bun:test";
import { getBackend, init } from "@automerge/automerge";
import fc from "fast-check";
import { Random } from "../../../scripts/model/random.ts";
import { concatBytes } from "../../../src/base/bytes.ts";
import { Fault } from "../../../src/base/faults.ts";
import { compareText } from "../../../src/base/text.ts";
import { HistoryDocument, headsOf, uniteHistories } from "../../../src/store/history.ts";
import { parseJsonObject, printJson } from "../../../src/store/json.ts";
import { encodeState, type HistoryState } from "../../../src/store/state.ts";
import { cases } from "../../support/effort.ts";
import { faultCode } from "../../support/faults.ts";
import { key, openMemoryStore, put, read } from "../../support/memory-store.ts";
import { startId } from "../../support/states.ts";
import forged from "../../vectors/forged-history.json" with { type: "json" };

/** On a machine that has much else to do. */
const SLOW_MS = 60_000;

const TIME_MS = 1_800_000_000_000;

function written(texts: readonly string[], actor = "a"): HistoryDocument {
  const document = HistoryDocument.empty(startId(actor));
  for (const text of texts) document.write(document.toJson(), parseJsonObject(text), TIME_MS);
  return document;
}

function state(document: HistoryDocument): HistoryState {
  return { form: "history", life: 0, born: 0, chunks: document.save() };
}

function loaded(chunks: Uint8Array, actor = "b"): HistoryDocument {
  const document = HistoryDocument.load(chunks, startId(actor));
  if (document === undefined) throw new Error("incomplete");
  return document;
}

const names = fc.oneof(fc.constantFrom("a", "b", "c", "toString", "constructor", ""), fc.string());
const scalars = fc.oneof(
  fc.constantFrom(
    "1",
    "1.0",
    "0.0",
    "-0.0",
    "null",
    "true",
    '""',
    '"x"',
    "9223372036854775807",
    "1e300",
  ),
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => {
    const text = String(value);
    return /[.e]/.test(text) ? text : `${text}.0`;
  }),
  fc.string({ unit: "grapheme" }).map((text) => JSON.stringify(text)),
);
const { tree } = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    scalars,
    fc.array(tie("tree"), { maxLength: 5 }).map((items) => `[${items.join(",")}]`),
    fc.dictionary(names, tie("tree"), { maxKeys: 5 }).map(printEntries),
  ),
}));
const documents = fc.dictionary(names, tree, { maxKeys: 6 }).map(printEntries);

function printEntries(entries: Record<string, string>): string {
  const wellFormed = Object.entries(entries).filter(
    ([name]) => name.isWellFormed() && name !== "__proto__",
  );
  return `{${wellFormed.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(",")}}`;
}

describe("write", () => {
  test(
    "makes any document print exactly the canonical text of any other",
    () => {
      fc.assert(
        fc.property(fc.array(documents, { minLength: 1, maxLength: 4 }), (texts) => {
          const document = HistoryDocument.empty(startId("a"));
          let before = parseJsonObject("{}");
          for (const text of texts) {
            const after = parseJsonObject(text);
            document.write(before, after, TIME_MS);
            expect(document.printJson()).toBe(printJson(after));
            before = document.toJson();
          }
          const again = loaded(document.save());
          expect(again.printJson()).toBe(document.printJson());
          expect(again.heads()).toEqual(document.heads());
          document.free();
          again.free();
        }),
        cases(300),
      );
    },
    SLOW_MS,
  );

  test("of what is there already is no change at all", () => {
    const document = written(['{"a":[1,{"b":2.0}]}']);
    expect(document.write(document.toJson(), document.toJson(), TIME_MS)).toBeUndefined();
  });

  test("of an empty document is a change too, so that it has heads", () => {
    const document = HistoryDocument.empty(startId("a"));
    expect(document.write(parseJsonObject("{}"), parseJsonObject("{}"), TIME_MS)).toBeDefined();
    expect(document.heads()).toHaveLength(1);
  });

  test("touches only what differs: edits of different places made apart are both there", () => {
    const base = written(['{"list":[1,2,3],"map":{"x":1,"y":1},"keep":true}']);
    const other = loaded(base.save());
    base.write(
      base.toJson(),
      parseJsonObject('{"list":[0,1,2,3],"map":{"x":2,"y":1},"keep":true}'),
      TIME_MS,
    );
    other.write(
      other.toJson(),
      parseJsonObject('{"list":[1,2,3,4],"map":{"x":1,"y":2},"keep":true}'),
      TIME_MS,
    );
    base.apply(other.save());
    expect(base.printJson()).toBe('{"keep":true,"list":[0,1,2,3,4],"map":{"x":2,"y":2}}');
  });

  test("keeps 64-bit integers and floats apart through save and load", () => {
    const text =
      '{"f":5.0,"i":5,"list":[1,1.0,-0.0],"max":9223372036854775807,"min":-9223372036854775808}';
    expect(loaded(written([text]).save()).printJson()).toBe(text);
    const flipped = written([text, text.replace('"f":5.0,"i":5', '"f":5,"i":5.0')]);
    expect(flipped.printJson()).toContain('"f":5,"i":5.0');
  });

  test.each([
    ['{"a":0.0}', '{"a":-0.0}'],
    ['{"a":{"b":0.0},"n":1}', '{"a":{"b":-0.0},"n":2}'],
    ['{"a":[1,0.0,2]}', '{"a":[1,-0.0,2]}'],
    ['{"a":[0.0,1]}', '{"a":[-0.0,2]}'],
  ])("of another zero is told to others, %s and %s either way", (one, other) => {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      const document = written([from]);
      const copy = loaded(document.save());
      const change = document.write(document.toJson(), parseJsonObject(to), TIME_MS);
      expect(copy.apply(change ?? new Uint8Array())).toBe("complete");
      expect([document.printJson(), copy.printJson()]).toEqual([to, to]);
      expect(copy.heads()).toEqual(document.heads());
    }
  });

  test("its change is all that another copy needs", () => {
    const document = written(['{"a":1}']);
    const copy = loaded(document.save());
    const change = document.write(document.toJson(), parseJsonObject('{"a":2}'), TIME_MS);
    expect(copy.apply(change ?? new Uint8Array())).toBe("complete");
    expect(copy.printJson()).toBe('{"a":2}');
  });
});

describe("load", () => {
  test("takes saved documents and changes in any mixture, twice if need be", () => {
    const document = written(['{"a":1}']);
    const first = document.save();
    const change = document.write(document.toJson(), parseJsonObject('{"a":2}'), TIME_MS);
    const chunks = concatBytes([first, change ?? new Uint8Array(), first]);
    expect(loaded(chunks).heads()).toEqual(document.heads());
  });

  test("says so when changes are missing that others depend on", () => {
    const document = written(['{"a":1}']);
    const change = document.write(document.toJson(), parseJsonObject('{"a":2}'), TIME_MS);
    expect(HistoryDocument.load(change ?? new Uint8Array(), startId("b"))).toBeUndefined();
    const other = written(['{"z":1}'], "c");
    expect(other.apply(change ?? new Uint8Array())).toBe("incomplete");
  });

  test("refuses an empty history", () => {
    expect(faultCode(() => HistoryDocument.load(new Uint8Array(), startId("b")))).toBe(
      "wire_invalid",
    );
  });

  test("refuses damaged chunks, or finds them incomplete, and never anything else", () => {
    const random = new Random(11);
    const whole = written(['{"a":1,"list":[1,2,3]}', '{"a":2,"list":[1,3]}']).save();
    for (let i = 0; i < 1_000; i += 1) {
      const bytes = whole.slice(0, random.chance(30) ? random.below(whole.length) : whole.length);
      if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
      let document: HistoryDocument | undefined;
      const code = faultCode(() => {
        document = HistoryDocument.load(bytes, startId("b"));
      });
      expect([undefined, "wire_invalid"]).toContain(code);
      document?.free();
    }
  });

  test("takes what is nested beyond the stack, and reading it is refused without harm to others", () => {
    const backend = getBackend(init());
    let id = "_root";
    for (let depth = 0; depth < 20_000; depth += 1) id = backend.putObject(id, "a", {});
    backend.commit(null, 0);
    const document = loaded(backend.save());
    expect(faultCode(() => document.printJson())).toBe("wire_invalid");
    document.free();
    backend.free();
    expect(written(['{"a":1}']).printJson()).toBe('{"a":1}');
  });
});

test("Text, bytes and counters of others are null in JSON, and stay in the document when it is written to", () => {
  const backend = getBackend(init({ actor: startId("c") }));
  backend.putObject("_root", "text", "letters");
  backend.put("_root", "bytes", new Uint8Array([1]), "bytes");
  backend.put("_root", "counter", 3, "counter");
  backend.put("_root", "word", "scalar", "str");
  backend.commit(null, 0);
  const document = loaded(backend.save());
  expect(document.printJson()).toBe('{"bytes":null,"counter":null,"text":null,"word":"scalar"}');
  document.write(document.toJson(), { ...document.toJson(), word: "other" }, TIME_MS);
  backend.loadIncremental(document.save());
  expect(backend.getWithType("_root", "text")?.[0]).toBe("text");
  expect(backend.getWithType("_root", "bytes")?.[0]).toBe("bytes");
  expect(backend.getWithType("_root", "word")).toEqual(["str", "other"]);
  document.free();
  backend.free();
});

describe("union", () => {
  test("of two branches has the heads of both", () => {
    const base = written(['{"a":1}']);
    const other = loaded(base.save());
    base.write(base.toJson(), parseJsonObject('{"a":1,"b":2}'), TIME_MS);
    other.write(other.toJson(), parseJsonObject('{"a":1,"c":3}'), TIME_MS);
    const united = uniteHistories(state(base), state(other));
    expect(headsOf(united)).toEqual([...base.heads(), ...other.heads()].toSorted(compareText));
    expect(loaded(united.chunks).printJson()).toBe('{"a":1,"b":2,"c":3}');
  });

  test("changesSince gives what heads lack; unknown heads count as nothing known", () => {
    const document = written(['{"a":1}']);
    const [before, known] = [document.save(), document.heads()];
    document.write(document.toJson(), parseJsonObject('{"a":2}'), TIME_MS);
    const rest = document.changesSince(known);
    expect(rest.length).toBeLessThan(document.save().length);
    expect(loaded(concatBytes([before, rest])).printJson()).toBe('{"a":2}');
    expect(loaded(document.changesSince(["00".repeat(32)])).printJson()).toBe('{"a":2}');
  });
});

describe("damaged chunks", () => {
  // Magic, checksum, type, length, and too little behind them.
  const cutOff = Uint8Array.of(0x85, 0x6f, 0x4a, 0x83, 1, 2, 3, 4, 1, 9, 9);

  function chunks(): Uint8Array {
    const document = written(['{"text":"one"}', '{"text":"two"}']);
    const before = document.heads();
    document.write(document.toJson(), parseJsonObject('{"text":"three"}'), TIME_MS);
    const bytes = concatBytes([document.save(), document.changesSince(before)]);
    document.free();
    return bytes;
  }

  test("are refused wherever they are: Automerge would pass over them and over all that is behind them", () => {
    const good = chunks();
    loaded(good).free();
    for (let at = 0; at < good.length; at += 1) {
      const bad = good.slice();
      bad[at] = (good[at] ?? 0) ^ 0x11;
      expect(() => loaded(bad)).toThrow(Fault);
    }
    for (const tail of [cutOff, Uint8Array.of(0), cutOff.subarray(0, 9)]) {
      expect(() => loaded(concatBytes([good, tail]))).toThrow(Fault);
    }
  });

  test("of a peer are not kept: a local write behind them would be lost at the next load", async () => {
    const [store, peer] = [openMemoryStore(), openMemoryStore({ nodeName: "node-b" })];
    await put(peer, "notes:1", { n: 1 });
    const sent = peer.stateFor(key("notes:1"));
    if (sent === undefined) throw new Error("the peer has no such document");
    const bytes = concatBytes([sent.bytes, cutOff]);
    const merge = store.merge({ key: key("notes:1"), hash: sent.hash, bytes }, "node-b");
    expect(merge).rejects.toThrow("history is damaged");
    await store.merge({ key: key("notes:1"), ...sent }, "node-b");
    await put(store, "notes:1", { n: 2 });
    // As after a restart: loaded from what is stored.
    store.releaseMemory();
    await put(store, "notes:1", { n: 2, more: true });
    expect(read(store, "notes:1")).toBe('{"more":true,"n":2}');
    store.close();
    peer.close();
  });

  test("that are right on the outside and make Automerge panic later end no process: the whole is sent", async () => {
    const fatal: Fault[] = [];
    const store = openMemoryStore({ onFatal: (fault) => fatal.push(fault) });
    const chunks = Uint8Array.fromHex(forged.chunks);
    const bytes = encodeState({ form: "history", life: 0, born: 1, chunks });
    await store.merge({ key: key("notes:1"), hash: "", bytes }, "node-b");
    const document = loaded(chunks);
    expect(() => document.changesSince([])).toThrow("history is damaged");
    const unknown = ["ab".repeat(32)];
    expect(store.stateFor(key("notes:1"), unknown)?.bytes.toHex()).toBe(bytes.toHex());
    expect(store.hasHeads(key("notes:1"), unknown)).toBe(false);
    await put(store, "notes:1", { n: 2 });
    expect(read(store, "notes:1")).toBe('{"n":2}');
    expect(fatal).toEqual([]);
    document.free();
    store.close();
  });
});
