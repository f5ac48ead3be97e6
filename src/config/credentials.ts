// Where a host keeps secrets in files of their own, as `setup` writes them and every command of the host package looks
// for them.

/** systemd's own folder: LoadCredential= without a path finds them there, and gives them to the service alone. */
export const CREDENTIAL_STORE = "/etc/credstore";

/** For hosts whose systemd has no such folder, or that have no systemd: readable by the service's group. */
export const SETTINGS_FOLDER = "/etc/peat-sidecar";

export const SECRET_FOLDERS = [CREDENTIAL_STORE, SETTINGS_FOLDER] as const;

/** The name of a secret's file: `peat-formation-secret` for PEAT_FORMATION_SECRET. */
export function credentialName(variable: string): string {
  return variable.toLowerCase().replaceAll("_", "-");
}
