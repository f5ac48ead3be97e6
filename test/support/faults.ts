// What was thrown, by the code of its fault.
import { Fault } from "../../src/base/faults.ts";

/** The code of the Fault that `run` throws; undefined when it throws none. Others pass through. */
export function faultCode(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error.code;
    throw error;
  }
}
