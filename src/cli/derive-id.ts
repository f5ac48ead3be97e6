// `derive-id`: the ids that a node name has in this formation, without any node running.
import { toHex } from "../base/bytes.ts";
import { pickSettings } from "../config/load.ts";
import { deriveDeviceKey, deriveEndpointKey, deviceId } from "../identity/keypair.ts";
import { parseNodeName, toEndpointId } from "../identity/peer.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { EXIT } from "./context.ts";

async function deriveId({ context, options, settings }: Call): Promise<number> {
  const loaded = settings();
  const given = options.get("name");
  const picked = pickSettings(
    loaded,
    given === undefined ? ["formationSecret", "nodeName"] : ["formationSecret"],
  );
  if (!picked.ok) return refuse(context, picked);
  const secret = picked.settings.formationSecret;
  const name = given === undefined ? picked.settings.nodeName : parseNodeName(given);
  const endpointId = toEndpointId(deriveEndpointKey(secret, name).publicKey);
  if (!options.has("json")) {
    context.stdout.write(`${endpointId}\n`);
    return EXIT.ok;
  }
  const device = deriveDeviceKey(secret, name);
  const ids = {
    node_id: name,
    endpoint_id: endpointId,
    device_id: deviceId(device.publicKey),
    device_public_key: toHex(device.publicKey),
  };
  context.stdout.write(`${JSON.stringify(ids)}\n`);
  return EXIT.ok;
}

export const deriveIdCommand: Command = {
  name: "derive-id",
  sentence: "Print the endpoint id that a node name has in this formation.",
  usage: "[--name NAME] [--json] [settings…]",
  wordsMin: 0,
  wordsMax: 0,
  options: [
    { name: "name", value: "NAME", help: "Node name; by default this node's." },
    { name: "json", help: "Print all ids as JSON." },
  ],
  takesSettings: true,
  examples: [
    "derive-id --name peat-mesh-1",
    "derive-id --name peat-mesh-1 --formation-secret-file /etc/peat-sidecar/secret --json",
  ],
  run: deriveId,
};
