// Memory of native code (QUIC, WebAssembly's host, SQLite) that was freed, given back to the system: the C
// library's allocator keeps it otherwise, some 60 MB after a thousand connections.
import { dlopen } from "bun:ffi";

let trim: ((keepBytes: number) => number) | undefined;

function load(): (keepBytes: number) => number {
  try {
    return dlopen("libc.so.6", { malloc_trim: { args: ["usize"], returns: "i32" } }).symbols
      .malloc_trim;
  } catch {
    // Another C library than glibc: musl's allocator gives back by itself.
    return () => 0;
  }
}

/** Takes some milliseconds: for idle moments. */
export function releaseNativeMemory(): void {
  trim ??= load();
  trim(0);
}
