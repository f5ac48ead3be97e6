// A request's body as text: bounded before it is read, UTF-8 or refused.
import { Fault } from "../base/faults.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Media types of JSON that a write may be, by method. */
export const WRITE_TYPES = {
  PUT: ["application/json"],
  PATCH: ["application/merge-patch+json", "application/json"],
} as const;

/** Fault `unsupported_media_type` names what may be sent instead. No content type at all is taken for JSON. */
export function checkMediaType(headers: Headers, accepted: readonly string[]): void {
  const given = headers.get("content-type");
  const [type = "", ...parameters] = (given ?? "").toLowerCase().split(";");
  const isUtf8 = parameters.every(
    (p) => !/^\s*charset\s*=/.test(p) || /=\s*"?utf-?8"?\s*$/.test(p),
  );
  const coding = headers.get("content-encoding") ?? "identity";
  const isAccepted = given === null || accepted.includes(type.trim());
  if (isAccepted && isUtf8 && coding.toLowerCase() === "identity") return;
  const found = coding === "identity" ? `content-type ${given}` : `content-encoding ${coding}`;
  throw new Fault(
    "unsupported_media_type",
    `${found.slice(0, 120)} is not understood here; send ${accepted.join(" or ")} in UTF-8, not compressed`,
  );
}

function tooLarge(bytesMax: number, found: string): Fault {
  return new Fault(
    "payload_too_large",
    `the body is ${found}; at most ${bytesMax} bytes are accepted`,
  );
}

/** A body of unknown length, cut off as soon as it is too long. */
async function readChunks(
  body: ReadableStream<Uint8Array>,
  bytesMax: number,
): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > bytesMax) throw tooLarge(bytesMax, "too long");
    chunks.push(chunk);
  }
  return chunks;
}

async function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > bytesMax) {
    throw tooLarge(bytesMax, `${declared} bytes long`);
  }
  if (declared === null && request.body !== null) {
    return Buffer.concat(await readChunks(request.body, bytesMax));
  }
  return request.bytes();
}

/** Faults: payload_too_large; invalid_argument for an empty body, a broken-off one, or one that is not UTF-8. */
export async function readText(request: Request, bytesMax: number): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await readBytes(request, bytesMax);
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault("invalid_argument", "the body broke off before its end", {}, error);
  }
  if (bytes.length === 0) {
    throw new Fault("invalid_argument", "the body is empty; send a JSON object");
  }
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new Fault("invalid_argument", "the body is not well-formed UTF-8", {}, cause);
  }
}
