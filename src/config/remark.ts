// What is wrong or doubtful about settings, in sentences.
import type { SettingName } from "./settings.ts";

/** A sentence, and the setting that it is about, if it is about one. */
export interface Remark {
  readonly setting: SettingName | undefined;
  readonly text: string;
}

/** Where a value came from; `name` is the flag, variable, file and key, or what was found instead. */
export interface Origin {
  readonly from: "flag" | "environment" | "file" | "default";
  readonly name: string;
}
