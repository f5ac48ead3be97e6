// Loads the QUIC addon, and says in one sentence why it can't be loaded.
import { Fault, messageOf } from "../base/faults.ts";

/** The loader tries several files and chains what went wrong; of those that are not there at all nobody needs to read. */
function addonCause(error: unknown): string {
  const told: string[] = [];
  for (let e = error; e instanceof Error; e = e.cause) told.push(e.message.split("\n", 1)[0] ?? "");
  const telling = told.slice(1).filter((text) => !/^Cannot (?:require|find) module /.test(text));
  return telling.join("; ") || (told.at(-1) ?? messageOf(error));
}

/** The addon is a file of its own: what is wrong with it is the machine's fault, and a person can mend it. Fault addon_unusable. */
export async function loadIroh() {
  try {
    return await import("./iroh.ts");
  } catch (cause) {
    const sentence = `the QUIC addon can't be loaded (${addonCause(cause)}); set NAPI_RS_NATIVE_LIBRARY_PATH to its file, or TMPDIR to a directory from which programs may be run`;
    throw new Fault("addon_unusable", sentence, {}, cause);
  }
}
