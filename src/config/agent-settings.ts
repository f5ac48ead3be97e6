// Rows of the settings table about the remote agent on this machine.
import { agentAddress } from "./addresses.ts";
import { path, seconds } from "./kinds.ts";
import { optional, withDefault } from "./setting.ts";

const DAY_SECS = 86_400;

const agent = { group: "Remote agent" } as const;

export const AGENT_SETTINGS = {
  agentAddr: optional(agentAddress, {
    ...agent,
    env: ["PEAT_AGENT_ADDR", "PEAT_NODE_AGENT_ADDR"],
    help: "Where the remote agent listens whose state is published as documents: http://, https:// or unix:///path; unset, none is.",
  }),
  agentPollIntervalSecs: withDefault(seconds(1, DAY_SECS), {
    ...agent,
    env: ["PEAT_AGENT_POLL_INTERVAL_SECS", "PEAT_NODE_AGENT_POLL_INTERVAL"],
    fallback: "10",
    help: "Seconds between two looks at the agent.",
  }),
  agentTlsCert: optional(path, {
    ...agent,
    env: ["PEAT_AGENT_TLS_CERT", "PEAT_NODE_AGENT_TLS_CERT"],
    help: "PEM file with the client certificate for the agent; needs PEAT_AGENT_TLS_KEY.",
  }),
  agentTlsKey: optional(path, {
    ...agent,
    env: ["PEAT_AGENT_TLS_KEY", "PEAT_NODE_AGENT_TLS_KEY"],
    help: "PEM file with the private key of PEAT_AGENT_TLS_CERT.",
  }),
  agentTlsCa: optional(path, {
    ...agent,
    env: ["PEAT_AGENT_TLS_CA", "PEAT_NODE_AGENT_TLS_CA"],
    help: "PEM file with a further authority that may have signed the agent's certificate.",
  }),
};
