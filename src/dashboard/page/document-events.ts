// Changes of the documents of one collection as they happen, by the node's WebSocket. What the page does with them is
// to ask anew: they carry no contents.
import { field, textOf } from "./answers.ts";
import { API, socketProtocols } from "./asking.ts";

const RETRY_MS = 2_000;

/** `undefined` as id: something may have been missed, anything may be another now. */
type Listener = (id: string | undefined) => void;

function urlOf(collection: string): string {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}${API}/ws?collections=${encodeURIComponent(collection)}`;
}

/**
 * Calls `listener` for every change until the returned function is called. Connects again when the node is back, and
 * listens only while somebody can see the page.
 */
export function followCollection(collection: string, listener: Listener): () => void {
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;

  const receive = (data: unknown) => {
    const event: unknown = JSON.parse(String(data));
    const type = textOf(field(event, "type"));
    if (type === "SyncEvent") listener(textOf(field(event, "doc_id")));
    else if (type === "Gap") listener(undefined);
  };
  const leave = () => {
    clearTimeout(timer);
    const left = socket;
    socket = undefined;
    // One that is not open yet closes itself once it is: browsers warn of one that is closed before.
    if (left?.readyState === WebSocket.OPEN) left.close();
  };
  const connect = () => {
    leave();
    if (isOver || document.hidden) return;
    const current = new WebSocket(urlOf(collection), socketProtocols());
    socket = current;
    current.addEventListener("open", () => {
      if (socket === current) listener(undefined);
      else current.close();
    });
    current.addEventListener("message", ({ data }) => {
      if (socket === current) receive(data);
    });
    current.addEventListener("close", () => {
      if (socket === current) timer = setTimeout(connect, RETRY_MS);
    });
  };

  connect();
  document.addEventListener("visibilitychange", connect);
  return () => {
    isOver = true;
    document.removeEventListener("visibilitychange", connect);
    leave();
  };
}
