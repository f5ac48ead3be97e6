// Every maximum of the RPC listeners that no setting names.

/** Of all listeners together; what comes beyond is closed at once. */
export const CONNECTIONS_MAX = 1_024;
/** Calls in a row that one HTTP/2 connection may open beyond what it may have open; then it is closed. */
export const REFUSED_STREAMS_MAX = 10_000;
/** What waits for the client of one HTTP/2 connection, in MB: a connection with more is closed. */
export const CONNECTION_MEGABYTES_MAX = 64;
/** Longest request message, unless larger documents are allowed: what the older sidecar took. */
export const MESSAGE_BYTES_MIN = 4 * 1024 ** 2;
/** Responses from this size on are compressed for clients that accept it. */
export const COMPRESS_BYTES_MIN = 1_024;
/** Request headers of one call; node's own limit for HTTP/1.1. */
export const HEADER_BYTES_MAX = 16 * 1024;
/** Subscribe and Watch streams of all clients. */
export const STREAMS_OPEN_MAX = 4_096;
/** Documents that are read at a time. */
export const PAGE_DOCUMENTS = 64;
/** What a client still sends although its call is over is read for so long, so that it comes to its answer. */
export const DISCARD_MS = 1_000;
/** Calls under way when the listeners close have so long. */
export const CLOSE_MS = 300;
/** Collections that one subscriber may name, and clauses of its query. */
export const COLLECTIONS_MAX = 256;
export const QUERY_CLAUSES_MAX = 1_024;
/**
 * Changes, and the text of their documents, that wait for a subscriber before it falls behind. It misses no
 * document by that, only versions in between.
 */
export const FEED_CHANGES_MAX = 1_024;
export const FEED_BYTES_MAX = 4 * 1024 ** 2;
/** Addresses of one peer that a call may name. */
export const ADDRESSES_MAX = 16;
