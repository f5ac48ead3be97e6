// `restore`: a backup in place of the data directory's content, while no node runs.

import type { Manifest } from "../backup/manifest.ts";
import { Scratch } from "../backup/scratch.ts";
import { prepareDataDir } from "../config/data-dir.ts";
import { pickSettings } from "../config/load.ts";
import { secretTag } from "../identity/keypair.ts";
import type { OptionRow } from "./arguments.ts";
import {
  type BackupSettings,
  encryptionOf,
  openSource,
  SETTING_NAMES,
  Stages,
  sayManifest,
} from "./backup.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { EXIT } from "./context.ts";
import { interruption } from "./interruption.ts";

const FORCE_OPTION: OptionRow = {
  name: "force",
  help: "Also into a directory that is not empty: what is there is moved aside.",
};

/** What an operator may not have meant, and that does no harm. */
function doubts(call: Call, settings: BackupSettings, manifest: Manifest): string[] {
  const secret = call.settings().values.formationSecret;
  const { node, formation } = manifest;
  const isOther = secret !== undefined && formation !== undefined;
  return [
    ...(node !== undefined && node !== settings.nodeName
      ? [
          `the backup is of node ${node}, and this one is ${settings.nodeName}: it begins with the same documents, as itself`,
        ]
      : []),
    ...(isOther && formation !== secretTag(secret)
      ? [
          "the backup was made under another formation secret: its documents will go to the peers of this one",
        ]
      : []),
  ];
}

async function restore(call: Call, settings: BackupSettings): Promise<number> {
  const { context, options, words } = call;
  // It loads the store, and Automerge with it, which no other command needs.
  const { claimPlace, placeUnpacked, unpackBackup } = await import("../backup/restore.ts");
  const { dataDir } = settings;
  const signal = interruption(context, { outcome: `${dataDir} is as it was` });
  await using source = await openSource(words[0] ?? "", signal);
  prepareDataDir(dataDir);
  const claim = await claimPlace(dataDir, { force: options.has(FORCE_OPTION.name) });
  try {
    await using scratch = await Scratch.open(dataDir);
    using stages = new Stages(context);
    const { manifest } = await unpackBackup({
      source: source.bytes,
      scratch,
      keys: "required",
      encryption: encryptionOf(settings),
      signal,
      onProgress: stages.tell,
    });
    stages[Symbol.dispose]();
    for (const doubt of doubts(call, settings, manifest)) {
      context.stderr.write(`${context.program}: warning: ${doubt}\n`);
    }
    const aside = await placeUnpacked({ claim, scratch, manifest, nowMs: Date.now() });
    const at = new Date(manifest.madeAtMs).toISOString();
    context.stdout.write(`${dataDir}: restored as of ${at}; ${sayManifest(manifest)}\n`);
    for (const path of aside) context.stdout.write(`${path}: what was there before\n`);
    return EXIT.ok;
  } finally {
    claim.unlock?.();
  }
}

export const restoreCommand: Command = {
  name: "restore",
  sentence: "Put a backup in place of the data directory's content; no node may run on it.",
  usage: "FILE|- [--force] [settings…]",
  wordsMin: 1,
  wordsMax: 1,
  options: [FORCE_OPTION],
  takesSettings: true,
  examples: [
    "restore node-a.peat-backup",
    "restore node-a.peat-backup --data-dir /srv/peat --force",
    "restore - < node-a.peat-backup",
  ],
  run(call) {
    const picked = pickSettings(call.settings(), SETTING_NAMES);
    if (!picked.ok) return Promise.resolve(refuse(call.context, picked));
    return restore(call, picked.settings);
  },
};
