// Where the API server is and who we are there: the pod's service account, or kubeconfig files, by the Kubernetes
// library, which knows their many forms.
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { KubeConfig, type User } from "@kubernetes/client-node";
import { Fault } from "../base/faults.ts";
import { fieldsOf } from "../base/fields.ts";

const SERVICE_ACCOUNT_DIR = "var/run/secrets/kubernetes.io/serviceaccount";

export interface Place {
  /** KUBECONFIG: a file, or several with colons between. */
  readonly kubeconfig: string | undefined;
  /** Where the service account's files are; elsewhere than `/` for tests. */
  readonly root?: string;
}

export function serverOf(config: KubeConfig): string {
  const server = config.getCurrentCluster()?.server ?? "";
  if (URL.canParse(server)) return server;
  throw new Error("no address of an API server is set");
}

/** KUBECONFIG if it is set; else the pod's service account; else the kubeconfig of the user. Throws what is wrong. */
export function loadConfig({ kubeconfig, root = "/" }: Place): KubeConfig {
  const ofUser = join(homedir(), ".kube", "config");
  const config = new KubeConfig();
  if (kubeconfig !== undefined) loadFiles(config, kubeconfig);
  else if (existsSync(join(root, SERVICE_ACCOUNT_DIR, "token"))) {
    config.loadFromCluster(root === "/" ? "" : root);
  } else if (existsSync(ofUser)) loadFiles(config, ofUser);
  else throw new Error("there is neither a service account's token nor a kubeconfig");
  serverOf(config);
  return config;
}

/** The first file that names a context is followed; of several, those that are not there are left out. */
function loadFiles(config: KubeConfig, paths: string): void {
  const files = paths.split(":").filter((path) => path !== "" && existsSync(path));
  if (files.length === 0) throw new Error(`KUBECONFIG names no file that exists: "${paths}"`);
  for (const path of files) {
    const other = new KubeConfig();
    other.loadFromFile(path);
    other.users = withTokenFiles(other.users, path);
    config.mergeConfig(other, config.getCurrentContext() !== undefined);
  }
}

/** The library overlooks `tokenFile`. Such a file is read again when it was rotated, as in a pod. */
function withTokenFiles(users: readonly User[], path: string): User[] {
  const listed = fieldsOf(Bun.YAML.parse(readFileSync(path, "utf8")))["users"];
  const entries = (Array.isArray(listed) ? listed : []).map(fieldsOf);
  return users.map((user) => {
    const entry = entries.find(({ name }) => name === user.name);
    const tokenFile = fieldsOf(entry?.["user"])["tokenFile"];
    if (typeof tokenFile !== "string" || tokenFile === "") return user;
    const config = { tokenFile: resolve(dirname(path), tokenFile) };
    return { ...user, authProvider: { name: "tokenFile", config } };
  });
}

/** The pod's own, else `default`. */
export function ownNamespace(root = "/"): string {
  const path = join(root, SERVICE_ACCOUNT_DIR, "namespace");
  if (!existsSync(path)) return "default";
  const namespace = readFileSync(path, "utf8").trim();
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(namespace)) return namespace;
  throw new Fault("settings_invalid", `${path} holds no namespace; set PEAT_DISCOVERY_NAMESPACE`);
}
