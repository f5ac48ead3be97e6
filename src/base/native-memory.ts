// Memory of native code (QUIC, SQLite), which the C library's allocator keeps when it is freed: some 60 MB after a
// thousand connections, spread over as many arenas as there are threads.
import { dlopen } from "bun:ffi";

interface Allocator {
  readonly trim: (keepBytes: number) => number;
  readonly option: (parameter: number, value: number) => number;
}

/** M_ARENA_MAX of mallopt(3). */
const ARENA_MAX = -8;
const ARENAS = 2;

let allocator: Allocator | undefined;

function load(): Allocator {
  try {
    const { symbols } = dlopen("libc.so.6", {
      malloc_trim: { args: ["usize"], returns: "i32" },
      mallopt: { args: ["i32", "i32"], returns: "i32" },
    });
    return { trim: symbols.malloc_trim, option: symbols.mallopt };
  } catch {
    // Another C library than glibc: musl's allocator has no arenas and gives back by itself.
    return { trim: () => 0, option: () => 0 };
  }
}

/** To be called before native threads start: what one arena has left over the others can't use. */
export function limitNativeArenas(): void {
  allocator ??= load();
  allocator.option(ARENA_MAX, ARENAS);
}

/** Gives back what is free. Takes some milliseconds: for idle moments. */
export function releaseNativeMemory(): void {
  allocator ??= load();
  allocator.trim(0);
}
