// Rows of the settings table about files between nodes.
import { namedPath } from "./addresses.ts";
import { boolean, integer, listOf, oneOf, path, seconds, size } from "./kinds.ts";
import { optional, withDefault } from "./setting.ts";

const DAY_SECS = 86_400;
const GIB = 1024 ** 3;

const count = (min: number, max: number) => integer({ placeholder: "N", min, max });

const attachments = { group: "Attachments" } as const;

export const ATTACHMENT_SETTINGS = {
  attachmentRoots: withDefault(listOf(namedPath), {
    ...attachments,
    env: ["PEAT_ATTACHMENT_ROOT", "PEAT_NODE_ATTACHMENT_ROOT"],
    fallback: "none",
    help: "Directories from which files may be sent, as name=/path. Without any, and without an inbox, attachment calls are off.",
  }),
  attachmentInbox: optional(path, {
    ...attachments,
    env: ["PEAT_ATTACHMENT_INBOX", "PEAT_NODE_ATTACHMENT_INBOX"],
    help: "Directory into which received files are delivered, made if there is none; unset, none are received.",
  }),
  attachmentMaxFileBytes: withDefault(size(1, 1024 * GIB), {
    ...attachments,
    env: ["PEAT_ATTACHMENT_MAX_FILE_BYTES", "PEAT_NODE_ATTACHMENT_MAX_FILE_BYTES"],
    fallback: "268435456",
    help: "Largest file that is sent or taken.",
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
  attachmentMaxNodeListLen: withDefault(count(1, 4096), {
    ...attachments,
    env: ["PEAT_ATTACHMENT_MAX_NODE_LIST_LEN", "PEAT_NODE_ATTACHMENT_MAX_NODE_LIST_LEN"],
    fallback: "256",
    help: "Most nodes that one bundle may name.",
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
    help: "Seconds for which a finished bundle can be asked about, and after which one that is not finished fails; 0: for ever.",
  }),
  attachmentDiscoveryGraceSecs: withDefault(seconds(0, DAY_SECS), {
    ...attachments,
    env: ["PEAT_ATTACHMENT_DISCOVERY_GRACE_SECS", "PEAT_NODE_ATTACHMENT_DISCOVERY_GRACE_SECS"],
    fallback: "30",
    help: "Seconds for which a listed node that was not connected before is waited for.",
  }),
  attachmentSpareBytes: withDefault(size(0, 1024 * GIB), {
    ...attachments,
    env: ["PEAT_ATTACHMENT_SPARE_BYTES"],
    fallback: "268435456",
    help: "Bytes of a disk that files leave to others, in the inbox and in the data directory.",
  }),
  attachmentOutboxWatch: withDefault(boolean, {
    ...attachments,
    env: ["PEAT_ATTACHMENT_OUTBOX_WATCH", "PEAT_NODE_ATTACHMENT_OUTBOX_WATCH"],
    fallback: "false",
    help: "Whether files that appear below the roots are sent to all nodes by themselves.",
  }),
  attachmentOutboxPollSecs: withDefault(seconds(1, DAY_SECS), {
    ...attachments,
    env: ["PEAT_ATTACHMENT_OUTBOX_POLL_SECS", "PEAT_NODE_ATTACHMENT_OUTBOX_POLL_SECS"],
    fallback: "2",
    help: "Seconds between two looks below the roots.",
  }),
};
