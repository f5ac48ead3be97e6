// What the browser's window is like, as components ask for it.
import { useEffect, useState } from "preact/hooks";

/** Whether a media query holds; the component is drawn again when that changes. */
export function useMatch(query: string): boolean {
  const [holds, setHolds] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const listen = () => setHolds(list.matches);
    list.addEventListener("change", listen);
    return () => list.removeEventListener("change", listen);
  }, [query]);
  return holds;
}
