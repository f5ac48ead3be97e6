// Arrow keys, Home and End in a list of links; each link is also a stop of the Tab key.

export function moveInList(event: KeyboardEvent): void {
  const list = event.currentTarget;
  if (!(list instanceof HTMLElement)) return;
  const links = [...list.querySelectorAll<HTMLElement>("a")];
  const at = links.indexOf(document.activeElement as HTMLElement);
  const last = links.length - 1;
  const next = {
    ArrowDown: Math.min(at + 1, last),
    ArrowUp: Math.max(at - 1, 0),
    Home: 0,
    End: last,
  };
  if (at === -1 || !Object.hasOwn(next, event.key)) return;
  links[next[event.key as keyof typeof next]]?.focus();
  event.preventDefault();
}
