// The secrets by which nodes know each other, and the ids that names have by each of them.
import { Fault } from "../base/faults.ts";
import type { Secret } from "../base/secret.ts";
import { deriveEndpointKey, formationHmacKey, type KeyPair, secretTag } from "./keypair.ts";
import { type EndpointId, type NodeName, toEndpointId } from "./peer.ts";

/** The own secret and up to three that are accepted beside it while a secret is rolled over. */
const SECRETS_MAX = 4;
const NAMES_CACHED_MAX = 4096;

/** The id that a name has by one of the formation's secrets, and that secret's tag. */
export interface DerivedId {
  readonly id: EndpointId;
  readonly tag: string;
}

interface Membership {
  readonly secret: Secret<Uint8Array>;
  readonly tag: string;
}

export class Formation {
  readonly #memberships: readonly Membership[];
  readonly #own: Membership;
  readonly #namesCachedMax: number;
  readonly #idsByName = new Map<NodeName, readonly DerivedId[]>();

  /**
   * `secrets`: this node's identity first, then those that are accepted and dialled too; repeated
   * ones count once. Fault `invalid_argument` for none or more than four.
   */
  constructor(secrets: readonly Secret<Uint8Array>[], namesCachedMax = NAMES_CACHED_MAX) {
    const byTag = new Map<string, Membership>();
    for (const secret of secrets) {
      const tag = secretTag(secret);
      if (!byTag.has(tag)) byTag.set(tag, { secret, tag });
    }
    const [own, ...others] = byTag.values();
    if (own === undefined || byTag.size > SECRETS_MAX) {
      throw new Fault(
        "invalid_argument",
        `a formation has 1 to ${SECRETS_MAX} secrets, found ${byTag.size}`,
      );
    }
    this.#own = own;
    this.#memberships = [own, ...others];
    this.#namesCachedMax = namesCachedMax;
  }

  /** Tag of the secret that is this node's identity. */
  get ownTag(): string {
    return this.#own.tag;
  }

  /** Tags of all secrets, the own one first; also what mDNS announcements carry. */
  get tags(): readonly string[] {
    return this.#memberships.map((membership) => membership.tag);
  }

  /** The keys by which later releases of the older node authenticate to each other; the own one first. */
  hmacKeys(formationId: string): readonly Secret<Uint8Array>[] {
    return this.#memberships.map(({ secret }) => formationHmacKey(secret, formationId));
  }

  /** The endpoint key of `name` by the own secret. Not cached: a node needs one, once. */
  endpointKey(name: NodeName): KeyPair {
    return deriveEndpointKey(this.#own.secret, name);
  }

  /** The ids that a node of this name can have: one per secret, in their order. */
  endpointIds(name: NodeName): readonly DerivedId[] {
    const ids = this.#cached(name) ?? this.#derive(name);
    this.#remember(name, ids);
    return ids;
  }

  /** The tag of the secret by which `name` has this `id`, or undefined: not a member by that name. */
  prove(name: NodeName, id: EndpointId): string | undefined {
    const ids = this.#cached(name) ?? this.#derive(name);
    const proof = ids.find((derived) => derived.id === id);
    // Only true names are remembered: a stranger that guesses names must not push out those of peers.
    if (proof !== undefined) this.#remember(name, ids);
    return proof?.tag;
  }

  #derive(name: NodeName): readonly DerivedId[] {
    return this.#memberships.map(({ secret, tag }) => ({
      id: toEndpointId(deriveEndpointKey(secret, name).publicKey),
      tag,
    }));
  }

  #cached(name: NodeName): readonly DerivedId[] | undefined {
    return this.#idsByName.get(name);
  }

  /** A Map keeps the order of insertion: what was used last is at its end. */
  #remember(name: NodeName, ids: readonly DerivedId[]): void {
    this.#idsByName.delete(name);
    this.#idsByName.set(name, ids);
    if (this.#idsByName.size <= this.#namesCachedMax) return;
    const [oldest] = this.#idsByName.keys();
    if (oldest !== undefined) this.#idsByName.delete(oldest);
  }
}
