// Rows of the settings table for the RPC listeners.
import { listenAddress } from "./addresses.ts";
import { boolean, integer, listOf, matching, seconds } from "./kinds.ts";
import { optional, withDefault } from "./setting.ts";

const HOUR_SECS = 3_600;
const DAY_SECS = 24 * HOUR_SECS;

const rpc = { group: "RPC (Connect and gRPC)" } as const;

export const RPC_SETTINGS = {
  listen: withDefault(listOf(listenAddress, { itemsMax: 8 }), {
    ...rpc,
    env: ["PEAT_LISTEN", "PEAT_NODE_LISTEN"],
    fallback: { "peat-mesh-node": "none", "peat-sidecar": "unix:///var/run/peat-sidecar.sock" },
    packaged: "unix:///run/peat-sidecar/peat-sidecar.sock",
    help: "Listeners of the RPC service: unix:///path or tcp://address:port. Beyond loopback, PEAT_API_TOKEN must be set.",
  }),
  listenGroup: optional(
    matching({
      placeholder: "GROUP",
      rule: "the name or the number of a group",
      pattern: /^(?:[0-9]{1,10}|[a-zA-Z_][a-zA-Z0-9_.-]{0,31}\$?)$/,
    }),
    {
      ...rpc,
      env: ["PEAT_LISTEN_GROUP"],
      help: "Group whose members may connect to the unix sockets (mode 0660); by default the process's own.",
    },
  ),
  autoSync: withDefault(boolean, {
    ...rpc,
    env: ["PEAT_AUTO_SYNC", "PEAT_NODE_AUTO_SYNC"],
    fallback: "true",
    help: "Whether peers are connected from the start. false: only once StartSync is called.",
  }),
  rpcDefaultTimeoutSecs: withDefault(seconds(1, DAY_SECS), {
    ...rpc,
    env: ["PEAT_RPC_DEFAULT_TIMEOUT_SECS", "PEAT_NODE_RPC_DEFAULT_TIMEOUT_SECS"],
    fallback: "120",
    help: "Deadline in seconds of a call whose client names none.",
  }),
  rpcMaxTimeoutSecs: withDefault(seconds(1, DAY_SECS), {
    ...rpc,
    env: ["PEAT_RPC_MAX_TIMEOUT_SECS", "PEAT_NODE_RPC_MAX_TIMEOUT_SECS"],
    fallback: "300",
    help: "Longest deadline in seconds that a client is given, whatever it asks for.",
  }),
  httpHeaderReadTimeoutSecs: withDefault(seconds(1, HOUR_SECS), {
    ...rpc,
    env: ["PEAT_HTTP_HEADER_READ_TIMEOUT_SECS", "PEAT_NODE_HTTP_HEADER_READ_TIMEOUT_SECS"],
    fallback: "30",
    help: "Seconds that an RPC connection has for the head of an HTTP/1.1 request, and may be silent before it.",
  }),
  httpMaxConnectionIdleSecs: withDefault(seconds(1, DAY_SECS), {
    ...rpc,
    env: ["PEAT_HTTP_MAX_CONNECTION_IDLE_SECS", "PEAT_NODE_HTTP_MAX_CONNECTION_IDLE_SECS"],
    fallback: "300",
    help: "Seconds after which an HTTP/2 connection without an open call is closed.",
  }),
  http2KeepaliveIntervalSecs: withDefault(seconds(1, HOUR_SECS), {
    ...rpc,
    env: ["PEAT_HTTP2_KEEPALIVE_INTERVAL_SECS", "PEAT_NODE_HTTP2_KEEPALIVE_INTERVAL_SECS"],
    fallback: "30",
    help: "Seconds between two PINGs on an HTTP/2 connection.",
  }),
  http2KeepaliveTimeoutSecs: withDefault(seconds(1, HOUR_SECS), {
    ...rpc,
    env: ["PEAT_HTTP2_KEEPALIVE_TIMEOUT_SECS", "PEAT_NODE_HTTP2_KEEPALIVE_TIMEOUT_SECS"],
    fallback: "20",
    help: "Seconds after which an HTTP/2 client that does not answer a PING is taken for gone.",
  }),
  http2MaxConcurrentStreams: withDefault(integer({ placeholder: "N", min: 1, max: 65_535 }), {
    ...rpc,
    env: ["PEAT_HTTP2_MAX_CONCURRENT_STREAMS", "PEAT_NODE_HTTP2_MAX_CONCURRENT_STREAMS"],
    fallback: "128",
    help: "Calls that one HTTP/2 connection may have open.",
  }),
};
