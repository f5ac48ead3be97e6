// The rights that discovery needs in a namespace, given to a service account.
import type { ControlPlane } from "../cluster/control-plane.ts";

/** What the chart gives its service account, and no more. */
export function grantDiscovery(
  plane: ControlPlane,
  account: string,
  verbs: readonly string[] = ["list", "watch"],
): void {
  const apiVersion = "rbac.authorization.k8s.io/v1";
  const rules = [{ apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs }];
  plane.apply({ apiVersion, kind: "Role", metadata: { name: account }, rules });
  plane.apply({
    apiVersion,
    kind: "RoleBinding",
    metadata: { name: account },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: account },
    subjects: [{ kind: "ServiceAccount", name: account, namespace: "default" }],
  });
}
