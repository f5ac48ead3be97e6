// Rows of the settings table whose behaviour is not built yet: accepted, checked, and warned of when set.
// A row loses its `effective: false` (and moves to settings.ts) with the change that makes it true.
import { namedPath } from "./addresses.ts";
import {
  boolean,
  integer,
  kindOf,
  listOf,
  matching,
  oneOf,
  path,
  port,
  seconds,
  secretToken,
  size,
} from "./kinds.ts";
import { optional, withDefault } from "./setting.ts";

const DAY_SECS = 86_400;
const GIB = 1024 ** 3;

const count = (min: number, max: number) => integer({ placeholder: "N", min, max });

/** What rows of one group have in common. */
const attachments = { group: "Attachments", effective: false } as const;
const nats = { group: "NATS bridge", effective: false } as const;
const devices = { group: "Certificates and devices", effective: false } as const;

const ATTACHMENT_SETTINGS = {
  attachmentRoots: withDefault(listOf(namedPath), {
    ...attachments,
    env: ["PEAT_ATTACHMENT_ROOT", "PEAT_NODE_ATTACHMENT_ROOT"],
    fallback: "none",
    help: "Directories from which files may be sent, as name=/path. none: attachment calls are off.",
  }),
  attachmentInbox: optional(path, {
    ...attachments,
    env: ["PEAT_ATTACHMENT_INBOX", "PEAT_NODE_ATTACHMENT_INBOX"],
    help: "Directory into which received files are written; unset, none are received.",
  }),
  attachmentMaxFileBytes: withDefault(size(1, 1024 * GIB), {
    ...attachments,
    env: ["PEAT_ATTACHMENT_MAX_FILE_BYTES", "PEAT_NODE_ATTACHMENT_MAX_FILE_BYTES"],
    fallback: "268435456",
    help: "Largest file that is sent.",
  }),
  attachmentMaxBundleBytes: withDefault(size(1, 1024 * GIB), {
    ...attachments,
    env: ["PEAT_ATTACHMENT_MAX_BUNDLE_BYTES", "PEAT_NODE_ATTACHMENT_MAX_BUNDLE_BYTES"],
    fallback: "1073741824",
    help: "Largest sum of the files of one bundle.",
  }),
  attachmentMaxFilesPerBundle: withDefault(count(1, 65_536), {
    ...attachments,
    env: ["PEAT_ATTACHMENT_MAX_FILES_PER_BUNDLE", "PEAT_NODE_ATTACHMENT_MAX_FILES_PER_BUNDLE"],
    fallback: "64",
    help: "Most files in one bundle.",
  }),
  attachmentMaxConcurrentDistributions: withDefault(count(1, 4096), {
    ...attachments,
    env: [
      "PEAT_ATTACHMENT_MAX_CONCURRENT_DISTRIBUTIONS",
      "PEAT_NODE_ATTACHMENT_MAX_CONCURRENT_DISTRIBUTIONS",
    ],
    fallback: "4",
    help: "Most bundles under way at once.",
  }),
  attachmentDefaultPriority: withDefault(
    oneOf(["bulk", "low", "routine", "priority", "critical"]),
    {
      ...attachments,
      env: ["PEAT_ATTACHMENT_DEFAULT_PRIORITY", "PEAT_NODE_ATTACHMENT_DEFAULT_PRIORITY"],
      fallback: "routine",
      help: "Priority of a bundle whose sender names none.",
    },
  ),
  attachmentHandleRetentionSecs: withDefault(seconds(0, 3650 * DAY_SECS), {
    ...attachments,
    env: ["PEAT_ATTACHMENT_HANDLE_RETENTION_SECS", "PEAT_NODE_ATTACHMENT_HANDLE_RETENTION_SECS"],
    fallback: "86400",
    help: "Seconds for which a finished bundle can be asked about; 0 keeps it for ever.",
  }),
  attachmentOutboxWatch: withDefault(boolean, {
    ...attachments,
    env: ["PEAT_ATTACHMENT_OUTBOX_WATCH", "PEAT_NODE_ATTACHMENT_OUTBOX_WATCH"],
    fallback: "false",
    help: "Whether files that appear below the roots are sent by themselves.",
  }),
};

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
  ...ATTACHMENT_SETTINGS,
  ...NATS_SETTINGS,
  ...DEVICE_SETTINGS,
};
