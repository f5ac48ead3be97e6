// A process of its own that writes to a store until it kills itself at a chosen commit; each acknowledged write is
// one line on stdout, out of the process before the next turn.
//
//   bun killed-writer.ts <database> <commit> <before|within|after>
import { Database as Sqlite } from "bun:sqlite";
import { writeSync } from "node:fs";
import { Database } from "../../src/store/database.ts";
import { openFileStore } from "./file-store.ts";
import { put } from "./memory-store.ts";

const [path = "", commitText = "", moment = ""] = process.argv.slice(2);
const WRITERS = 4;
let commits = 0;

function die(at: string): void {
  if (commits === Number(commitText) && moment === at) process.kill(process.pid, "SIGKILL");
}

const { write } = Database.prototype;
Database.prototype.write = function (...args) {
  commits += 1;
  die("before");
  write.apply(this, args);
  die("after");
};
const { exec } = Sqlite.prototype;
Sqlite.prototype.exec = function (sql, ...rest) {
  // All rows of the group are written, and nothing is durable yet.
  if (sql === "COMMIT") die("within");
  return exec.call(this, sql, ...rest);
};

const { store } = openFileStore(path);

async function writeOn(writer: number): Promise<never> {
  for (let n = 1; ; n += 1) {
    for (const collection of ["tracks", "notes"]) {
      await put(store, `${collection}:${writer}`, { n });
      writeSync(1, `${collection}:${writer} ${n}\n`);
    }
  }
}

await Promise.all(Array.from({ length: WRITERS }, (_, writer) => writeOn(writer)));
