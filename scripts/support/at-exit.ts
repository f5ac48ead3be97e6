// What must not outlive this process, however it ends short of SIGKILL: child processes and temporary folders.

const cleanups = new Set<() => void>();

/** `clean` runs, synchronously, when the process exits; the returned function takes that back. */
export function atExit(clean: () => void): () => void {
  if (cleanups.size === 0 && process.listenerCount("exit", runAll) === 0) {
    process.on("exit", runAll);
  }
  cleanups.add(clean);
  return () => {
    cleanups.delete(clean);
  };
}

function runAll(): void {
  for (const clean of [...cleanups].reverse()) {
    try {
      clean();
    } catch (reason) {
      // The next cleanup has its turn all the same; nobody is left to be told but the terminal.
      console.error(`not cleaned up: ${String(reason)}`);
    }
  }
}

/** Makes SIGINT and SIGTERM an ordinary exit, so that cleanups run. */
export function exitOnSignals(): void {
  process.on("SIGINT", () => process.exit(130));
  process.on("SIGTERM", () => process.exit(143));
}
