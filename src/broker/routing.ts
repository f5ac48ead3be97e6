// What all of the broker's routes have in common.
import { Elysia } from "elysia";

/** Handlers are compiled by nothing at run time, paths match to the letter, and answers stay as they were made. */
export const newRoutes = () => new Elysia({ aot: false, strictPath: true, normalize: false });

/** Leaves the body where it is: it is read once its type and length are known to be good, or not at all. */
export const unread = { parse: [() => true] };
