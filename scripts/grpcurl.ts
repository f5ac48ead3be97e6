// bun scripts/grpcurl.ts: builds the gRPC client that some tests use, once per machine (needs Go); prints its path.
import { grpcurl } from "./support/go-program.ts";

console.log(await grpcurl.ensure());
