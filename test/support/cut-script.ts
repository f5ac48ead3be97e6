// Where install.sh may be cut off on its way to a shell.

/**
 * Lengths of what may arrive: every byte of what is at the top level and of the end, and of a key some; of each
 * function its first and last line, and the middle of every fourth line inside.
 */
export function cuts(script: string): number[] {
  const places = new Set<number>();
  const end = script.trimEnd().length;
  const [head = 0, key = 0, functions = 0] = ["\n{", "\nRELEASE_KEY=", "\nusage()"].map((words) =>
    script.indexOf(words),
  );
  const add = (from: number, to: number, step = 1) => {
    for (let at = from; at < to && at < end; at += step) places.add(at);
  };
  add(0, head, 20);
  add(head, key);
  add(key, functions, 9);
  add(end - 120, end);
  let at = functions;
  for (const [index, line] of script.slice(at).split("\n").entries()) {
    const middle = at + (line.length >> 1);
    if (/^[a-z_}]/.test(line)) add(at, at + line.length + 2, 3);
    else if (index % 4 === 0) add(middle, middle + 1);
    at += line.length + 1;
  }
  return [...places].sort((one, other) => one - other);
}
