// EndpointSlices as an API server writes them, from the little that a test has to say.

export interface SlicePod {
  readonly pod?: string;
  readonly hostname?: string;
  readonly addresses: readonly string[];
  readonly isReady?: boolean;
}

export interface SliceGiven {
  readonly name: string;
  readonly pods: readonly SlicePod[];
  readonly addressType?: string;
  readonly ports?: readonly unknown[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

/** What the chart's Service has, in the order in which nobody should rely on it. */
const CHART_PORTS = [
  { name: "broker", port: 8081, protocol: "TCP" },
  { name: "iroh-quic", port: 11204, protocol: "UDP" },
];

export function endpointSlice(given: SliceGiven) {
  const { name, pods, addressType = "IPv4", ports = CHART_PORTS, annotations = {} } = given;
  const { labels = { app: "peat-mesh", "kubernetes.io/service-name": "peat-mesh" } } = given;
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, annotations, labels },
    addressType,
    ports,
    endpoints: pods.map(({ pod, hostname, addresses, isReady = true }) => ({
      addresses,
      conditions: { ready: isReady, serving: isReady, terminating: false },
      ...(hostname === undefined ? {} : { hostname }),
      ...(pod === undefined ? {} : { targetRef: { kind: "Pod", namespace: "default", name: pod } }),
    })),
  };
}
