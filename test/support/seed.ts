// Loaded before every test: random cases are the same in each run, or a commit would be judged by another's luck.
// PEAT_TEST_SEED takes others.
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env["PEAT_TEST_SEED"] ?? 1) });
