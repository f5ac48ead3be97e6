// Large states that arrive in parts, put together within limits.
import { Fault } from "../base/faults.ts";
import { STATE_BYTES_MAX } from "../wire/native.ts";
import type { ChunkPart } from "./large-states.ts";

/** States in parts at one time, and the bytes that they may take up together. */
const ASSEMBLIES_MAX = 4;
const ASSEMBLY_BYTES_MAX = 2 * STATE_BYTES_MAX;

interface Assembly {
  readonly hash: string;
  readonly bytes: Uint8Array;
  filled: number;
}

export class Assemblies {
  readonly #byKey = new Map<string, Assembly>();

  /**
   * The whole state once its last part is here; parts of a state beyond the limits are passed over, since its
   * sender can do nothing about it. Fault `wire_invalid` for parts out of order.
   */
  add(part: ChunkPart): { key: string; hash: string; bytes: Uint8Array } | undefined {
    if (part.total > STATE_BYTES_MAX) return undefined;
    const assembly = part.offset === 0 ? this.#begin(part) : this.#byKey.get(part.key);
    const fits =
      assembly !== undefined &&
      assembly.hash === part.hash &&
      assembly.filled === part.offset &&
      assembly.bytes.length === part.total &&
      part.offset + part.bytes.length <= part.total;
    if (!fits)
      throw new Fault("wire_invalid", "a part of a large document does not follow the last");
    assembly.bytes.set(part.bytes, assembly.filled);
    assembly.filled += part.bytes.length;
    if (assembly.filled < part.total) return undefined;
    this.#byKey.delete(part.key);
    return { key: part.key, hash: part.hash, bytes: assembly.bytes };
  }

  #begin({ key, hash, total }: ChunkPart): Assembly {
    this.#byKey.delete(key);
    let held = total;
    for (const { bytes } of this.#byKey.values()) held += bytes.length;
    if (held > ASSEMBLY_BYTES_MAX || this.#byKey.size >= ASSEMBLIES_MAX) {
      throw new Fault("wire_invalid", `a document of ${total} bytes in parts exceeds the limits`);
    }
    const assembly = { hash, bytes: new Uint8Array(total), filled: 0 };
    this.#byKey.set(key, assembly);
    return assembly;
  }
}
