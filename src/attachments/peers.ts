// What the exchange of files asks of the exchange of documents: who is there, and a link of its own.
import type { EndpointId, NodeName } from "../identity/peer.ts";
import type { Link } from "../net/link.ts";

/** A node that is connected for documents. */
export interface FilePeer {
  readonly name: NodeName;
  readonly id: EndpointId;
  /** It has an inbox. */
  readonly takesFiles: boolean;
}

export interface FilePeers {
  connected(): readonly FilePeer[];
  /** A link beside the one for documents, by the same path. Rejects with DialError. */
  dial(peer: FilePeer, alpn: string): Promise<Link>;
  /** Called when somebody has come or gone. Returns the way to end that. */
  onChange(listener: () => void): () => void;
}
