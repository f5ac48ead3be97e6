// The exit codes with what each means: for help, the manual pages and the page of commands.
import { FAULTS } from "../base/faults.ts";
import { wrap } from "../config/render.ts";
import { EXIT } from "./context.ts";

export interface ExitCode {
  readonly code: number;
  readonly means: string;
}

/** What `help` calls this table. */
export const EXIT_CODES_TOPIC = "exit-codes";

const { invalid_argument, address_unavailable, document_not_found, wire_invalid } = FAULTS;

/** By number. Codes from 64 on are those of sysexits(3). */
export const EXIT_CODES: readonly ExitCode[] = [
  {
    code: EXIT.ok,
    means:
      "Success; the end after SIGTERM, SIGINT or Ctrl-C; and where the reader of standard output has gone.",
  },
  {
    code: EXIT.failed,
    means:
      "The answer is no: health that is not well, a probe or one of several things that failed, a refusal of a raw path.",
  },
  {
    code: invalid_argument.exit,
    means: "The command line is wrong, or the node understood it as such.",
  },
  {
    code: FAULTS.conflict.exit,
    means:
      "What was sent does not fit what is there: a conflict, a failed --if-match, too large, a damaged backup.",
  },
  { code: document_not_found.exit, means: "No such document, collection or peer." },
  {
    code: address_unavailable.exit,
    means: "An address can't be listened on; or the node does not offer what was asked for.",
  },
  { code: EXIT.bug, means: "A defect of the program; standard error or the log has the details." },
  { code: FAULTS.storage_unusable.exit, means: "The data directory can't be used." },
  {
    code: FAULTS.storage_failed.exit,
    means: "A disk failed or is full, also where the output goes.",
  },
  {
    code: FAULTS.not_ready.exit,
    means:
      "Not now: nobody answered, the node is not ready or overloaded, or another process holds the data directory.",
  },
  { code: wire_invalid.exit, means: "Whatever answered does not speak as a node does." },
  {
    code: FAULTS.forbidden.exit,
    means: "Not allowed: a token is missing or wrong, or root is needed.",
  },
  { code: EXIT.settings, means: "Settings are missing or wrong; each is named on standard error." },
  {
    code: FAULTS.interrupted.exit,
    means: "Interrupted in the middle; standard error says what is left.",
  },
];

const WIDTH = 92;

/** The table for people. */
export function exitCodesText(): string {
  const rows = EXIT_CODES.map(({ code, means }) => {
    const [first = "", ...rest] = wrap(means, WIDTH);
    return [`${String(code).padStart(4)}  ${first}`, ...rest.map((line) => `      ${line}`)].join(
      "\n",
    );
  });
  return `Exit codes, after sysexits(3) from 64 on:\n\n${rows.join("\n")}\n`;
}
