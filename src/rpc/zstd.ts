// The zstd compression (RFC 8878), which the older sidecar's clients may use. Gzip is Connect's own.
import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompress } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";
import { systemCode } from "../base/faults.ts";

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** What RFC 8878 asks every decoder to bear, 8 MiB: a packed message of a few bytes may ask for much more. */
const WINDOW_LOG_MAX = 23;

function explain(cause: unknown, bytesMax: number): ConnectError {
  const isTooLong = systemCode(cause) === "ERR_BUFFER_TOO_LARGE";
  return isTooLong
    ? new ConnectError(
        `the message is larger than ${bytesMax} bytes when it is unpacked`,
        Code.ResourceExhausted,
      )
    : new ConnectError("the message is no zstd data", Code.InvalidArgument);
}

export const compressionZstd: Compression = {
  name: "zstd",

  async compress(bytes) {
    return new Uint8Array(await compress(bytes));
  },

  async decompress(bytes, readMaxBytes) {
    if (bytes.length === 0) return new Uint8Array();
    try {
      const params = { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX };
      return new Uint8Array(await decompress(bytes, { maxOutputLength: readMaxBytes, params }));
    } catch (error) {
      throw explain(error, readMaxBytes);
    }
  },
};
