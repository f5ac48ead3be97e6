// bun scripts/python-grpc.ts: installs Python's grpcio for tests, once per machine; prints the interpreter's path.
import { ensurePythonGrpc } from "./support/python-grpc.ts";

console.log(await ensurePythonGrpc());
