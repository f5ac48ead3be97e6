// Configs of collections: what deleting means in each.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type CollectionConfig, TTL_SECS_MAX } from "../store/collection-configs.ts";
import type { Store } from "../store/store.ts";
import { collectionIn, fieldFault } from "./fields.ts";
import {
  type CollectionConfigSchema,
  DeletionPolicy,
  type PeatSidecar,
} from "./gen/peat/sidecar/v1/sidecar_pb.ts";

type ConfigCalls = Pick<
  ServiceImpl<typeof PeatSidecar>,
  "setCollectionConfig" | "getCollectionConfig" | "listCollectionConfigs"
>;

type Policy = CollectionConfig["policy"];

const NUMBERS: Readonly<Record<Policy, DeletionPolicy>> = {
  soft_delete: DeletionPolicy.SOFT_DELETE,
  tombstone: DeletionPolicy.TOMBSTONE,
  implicit_ttl: DeletionPolicy.IMPLICIT_TTL,
  immutable: DeletionPolicy.IMMUTABLE,
};

/** Of a client that knows more policies than we do, its wish can't be kept: refused, not taken for another. */
function readPolicy(policy: DeletionPolicy): Policy {
  switch (policy) {
    case DeletionPolicy.UNSPECIFIED:
    case DeletionPolicy.SOFT_DELETE:
      return "soft_delete";
    case DeletionPolicy.TOMBSTONE:
      return "tombstone";
    case DeletionPolicy.IMPLICIT_TTL:
      return "implicit_ttl";
    case DeletionPolicy.IMMUTABLE:
      return "immutable";
    default:
      throw fieldFault("config.deletion_policy", `${Number(policy)} is not one of 0 to 4`);
  }
}

function readTime(field: string, secs: bigint): number {
  if (secs <= BigInt(TTL_SECS_MAX)) return Number(secs);
  throw fieldFault(`config.${field}`, `must be at most ${TTL_SECS_MAX} seconds`);
}

function print(config: CollectionConfig): MessageInitShape<typeof CollectionConfigSchema> {
  const { collection, policy, softDeleteTtlSecs, tombstoneTtlSecs } = config;
  return {
    collection,
    deletionPolicy: NUMBERS[policy],
    ...(softDeleteTtlSecs === undefined ? {} : { softDeleteTtlSecs: BigInt(softDeleteTtlSecs) }),
    ...(tombstoneTtlSecs === undefined ? {} : { tombstoneTtlSecs: BigInt(tombstoneTtlSecs) }),
  };
}

export function configCalls({ store: { configs } }: { store: Store }): ConfigCalls {
  return {
    async setCollectionConfig({ config }) {
      if (config === undefined) throw fieldFault("config", "config is required");
      const { softDeleteTtlSecs: soft, tombstoneTtlSecs: tombstone } = config;
      await configs.set({
        collection: collectionIn("config.collection", config.collection),
        policy: readPolicy(config.deletionPolicy),
        ...(soft === undefined
          ? {}
          : { softDeleteTtlSecs: readTime("soft_delete_ttl_secs", soft) }),
        ...(tombstone === undefined
          ? {}
          : { tombstoneTtlSecs: readTime("tombstone_ttl_secs", tombstone) }),
      });
      return {};
    },

    getCollectionConfig({ collection }) {
      const config = configs.get(collectionIn("collection", collection));
      return config === undefined ? {} : { config: print(config) };
    },

    listCollectionConfigs() {
      return { configs: configs.list().map(print) };
    },
  };
}
