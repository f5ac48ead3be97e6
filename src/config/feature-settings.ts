// Rows of the settings table whose behaviour is not built yet: accepted, checked, and warned of when set.
// A row loses its `effective: false` (and moves to settings.ts) with the change that makes it true.
import { boolean, kindOf, listOf, matching, port, secretToken } from "./kinds.ts";
import { optional, withDefault } from "./setting.ts";

/** What rows of one group have in common. */
const nats = { group: "NATS bridge", effective: false } as const;
const devices = { group: "Certificates and devices", effective: false } as const;

const NATS_SETTINGS = {
  natsUrl: optional(secretToken, {
    ...nats,
    env: ["PEAT_NATS_URL", "PEAT_NODE_NATS_URL"],
    help: "NATS server, nats://host or tls://host, with credentials in it where needed (hence a secret).",
  }),
  natsMapping: withDefault(
    listOf(
      kindOf({
        placeholder: "SUBJECT=COLLECTION",
        rule: "subject=collection without wildcards or blanks",
        read: (text) =>
          /^[^\s*>$=][^\s*>=]*=[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text) ? text : undefined,
      }),
    ),
    {
      ...nats,
      env: ["PEAT_NATS_MAPPING", "PEAT_NODE_NATS_MAPPING"],
      fallback: "none",
      help: "Subjects and the collections that they are bridged to. none: the bridge is off.",
    },
  ),
};

const DEVICE_SETTINGS = {
  authorityKey: optional(
    matching({
      placeholder: "HEX",
      rule: "64 hexadecimal digits",
      pattern: /^[0-9a-fA-F]{64}$/,
    }),
    {
      ...devices,
      env: ["PEAT_AUTHORITY_KEY"],
      help: "Public key of the authority that signs node certificates.",
    },
  ),
  requireCertificates: withDefault(boolean, {
    ...devices,
    env: ["PEAT_REQUIRE_CERTIFICATES"],
    fallback: "false",
    help: "Whether peers need a certificate. Refused while true, because no certificate is checked.",
  }),
  enrollmentTokens: optional(secretToken, {
    ...devices,
    env: ["PEAT_ENROLLMENT_TOKENS"],
    help: "Comma list of token or token=tier with which nodes enroll for a certificate.",
  }),
  litePort: withDefault(port, {
    ...devices,
    env: ["PEAT_LITE_PORT"],
    fallback: "5555",
    help: "UDP port for Peat-Lite devices.",
  }),
};

export const FEATURE_SETTINGS = {
  ...NATS_SETTINGS,
  ...DEVICE_SETTINGS,
};
