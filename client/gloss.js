/**
 * The client of Gloss, the streaming language service: one ES module, nothing to build.
 *
 *     import { stream } from "https://gloss.example/assets/gloss.js";
 *
 *     for await (const event of stream("translate", { text: "Good morning", target: "es" })) {
 *       if (event.type === "text") output.append(event.text);
 *     }
 *
 * What it promises:
 *
 * - Events come as they stand on the wire, numbered from 1. Where the connection breaks it is made
 *   again, and the answer goes on after the last event: without a gap, without a repetition.
 * - A request is repeated under its `Idempotency-Key` only, which makes one answer and one bill.
 * - An answer that broke off is never taken for a whole one. The loop ends quietly after `finish`,
 *   if the text is the one that was sent, and throws in every other case. An `error` event is handed
 *   over like any other and *then* thrown as `GlossProblem`: nobody can overlook it.
 * - Leaving the loop early, aborting the signal and `stop()` end the stream on the server as well:
 *   what is not generated is not paid for. Leaving the page does not; the server waits 30 seconds
 *   for somebody who comes back with `resume()`.
 *
 *   stream() ─▶ #unbroken ─▶ #connected ─▶ Connection   one request: its lines, its silence
 *                  │  ▲            └─────▶ #read         numbers, text, the end and its hash
 *                  ▼  │
 *                Patience                                when to try again, and for how long
 *
 * Runs in every current browser and in Node 20 or newer. The types are in gloss.d.ts.
 */

/** Seconds for which the server keeps a stream going that nobody reads. */
const GRACE_S = 30;

const DEFAULTS = {
  encoding: "ndjson",
  silenceMs: 30_000, // three heartbeats; without any the connection is dead
  startMs: 10_000, // a person is waiting
  resumeMs: 60_000, // twice the server's grace: what it then says at the end is worth having
  backoffMs: 250,
  random: Math.random,
  lineLimit: 8 * 1024 * 1024, // the longest input that is served, twice in one `segment`, fits
};
const BACKOFF_MOST_MS = 5_000;
const STOP_MS = 5_000; // a stop that takes longer is left to the server's grace

const MEDIA_TYPES = { ndjson: "application/x-ndjson", sse: "text/event-stream" };

/** Something went wrong; `id`, `lastId` and `text` say how far the stream had come. */
export class GlossError extends Error {
  id = null;
  lastId = 0;
  text = "";

  constructor(message, { cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
  }

  /** What `resume()` needs; null where nothing had begun. */
  get cursor() {
    return cursorOf(this);
  }
}

/** The service said what is wrong (RFC 9457): before the first byte, or in an `error` event. */
export class GlossProblem extends GlossError {
  constructor(problem, { status = problem.status, retryAfter = null, event = null } = {}) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
    this.status = status;
    this.slug = String(problem.type ?? "").split("/").pop();
    this.retryAfter = retryAfter ?? problem.retry_after_s ?? null;
    this.event = event;
  }
}

/** The answer is not whole and nobody said why; it may still be there for `resume(error.cursor)`. */
export class GlossInterrupted extends GlossError {
  constructor(message, { finish = null, drained = false, cause } = {}) {
    super(message, { cause });
    this.finish = finish;
    this.drained = drained;
  }
}

/** The answer is not whole, and its rest is nowhere to be had: only asking again helps. */
export class GlossLost extends GlossInterrupted {}

/** What came is not what the contract promises: a gap, a broken line, a text that is not its hash. */
export class GlossProtocolError extends GlossError {}

/**
 * Start a stream. Nothing is sent before the first event is asked for.
 * Aborting `signal`, or leaving the loop, cancels the stream on the server.
 */
export function stream(useCase, fields, { idempotencyKey = newKey(), ...options } = {}) {
  const asked = { ...fields, options: { on_disconnect: GRACE_S, ...fields.options } };
  const key = idempotencyKey === null ? {} : { "Idempotency-Key": idempotencyKey };
  const headers = { "Content-Type": "application/json", ...key };
  const init = { method: "POST", body: JSON.stringify(asked), headers };
  const post = { path: `v1/${encodeURIComponent(useCase)}`, init, idempotencyKey };
  return new GlossStream({ post, options });
}

/**
 * Read a stream that exists, from the event after `after` on.
 * Leaving this loop leaves the stream alone; `stop()` cancels it.
 * With the `text` that came until `after` the hash is checked at the end, as in a whole reading.
 */
export function resume(id, { after = 0, text = after === 0 ? "" : null, ...options } = {}) {
  return new GlossStream({ id, after, text, options });
}

/**
 * Return the whole answer's text, or throw.
 * An answer that ended for another reason than `stop` is thrown as GlossInterrupted; the one
 * exception is a length that the caller asked for by `fields.options.max_output_tokens`.
 */
export async function text(useCase, fields, options = {}) {
  const answer = await stream(useCase, fields, options).collect();
  const asked = answer.finish.reason === "length" && fields.options?.max_output_tokens !== undefined;
  if (answer.finish.reason === "stop" || asked) return answer.text;
  const { id, text: said, finish } = answer;
  const error = new GlossInterrupted(`The answer is not whole: it ended with "${finish.reason}".`, { finish });
  throw Object.assign(error, { id, lastId: finish.id, text: said });
}

/** One reading of one stream: iterate it once. What came so far stands in its properties. */
export class GlossStream {
  start = null;
  finish = null;

  #post; // what starts the stream; null where it exists
  #options;
  #base;
  #whole; // the text is known from its beginning, so it can be checked at the end
  #patience;
  #connection = null;
  #drainedAt = null;
  #leaving = new AbortController(); // aborted when this reading ends before the answer does
  #events = this.#run();
  #over = false;
  #stopped = null;

  constructor({ post = null, id = null, after = 0, text = "", options }) {
    this.id = id;
    this.lastId = after;
    this.text = text ?? "";
    this.idempotencyKey = post?.idempotencyKey ?? null;
    this.#whole = text !== null;
    this.#post = post;
    this.#options = { ...DEFAULTS, ...options };
    this.#base = baseOf(options.baseUrl);
    this.#patience = new Patience(this.#options);
    if (!(this.#options.encoding in MEDIA_TYPES)) throw new TypeError("encoding is ndjson or sse");
  }

  /** Where this reading is, for JSON: `resume(cursor.stream, cursor)` goes on there. Null without an id. */
  get cursor() {
    return cursorOf(this);
  }

  [Symbol.asyncIterator]() {
    return this.#events;
  }

  /** Read to the end and return everything. */
  async collect() {
    const events = [];
    for await (const event of this) events.push(event);
    return { id: this.id, text: this.text, events, finish: this.finish };
  }

  /**
   * End the stream on the server and go on reading: `finish` comes with the usage so far.
   * Where the request to end it does not get through, the connection is closed instead, which
   * the loop reports; the server then ends the stream when its grace is over.
   */
  stop() {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop() {
    if (this.#over) return;
    try {
      await this.#cancel();
    } catch (cause) {
      this.#hangUp(new GlossInterrupted("It was stopped here; the service could not be told.", { cause }));
    }
  }

  async *#run() {
    const { signal } = this.#options;
    const abort = () => this.#abandon(signal.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      signal?.throwIfAborted();
      if (this.#stopped && this.id === null) throw new GlossInterrupted("It was stopped before it began.");
      yield* this.#unbroken();
    } catch (error) {
      const told = error instanceof GlossProblem || error instanceof GlossInterrupted;
      if (told) this.#hangUp(error); // not cancelled: it may be read on
      throw signal?.aborted ? signal.reason : this.#placed(error);
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#abandon();
    }
  }

  /** Read to the end, over as many connections as it takes. */
  async *#unbroken() {
    for (;;) {
      try {
        return yield* this.#connected();
      } catch (error) {
        await this.#comeBack(error);
      }
    }
  }

  async *#connected() {
    await this.#open();
    this.#patience.connected();
    this.#options.onConnection?.({ state: "open" });
    yield* this.#read();
    if (!this.#over) throw new GlossInterrupted("The connection ended before the answer.");
  }

  /** Wait until it is time for another try; throw what another try does not help. */
  async #comeBack(error) {
    if (this.#over || this.#leaving.signal.aborted || !this.#mayPass(error)) throw error;
    this.#connection.close(error);
    const waitMs = this.#waitAfter(error);
    if (waitMs === null) throw this.#resuming && error instanceof GlossProblem ? unreadable(error) : error;
    this.#options.onConnection?.({ state: "lost", error: this.#placed(error), waitMs });
    await pause(waitMs, this.#leaving.signal);
  }

  #mayPass(error) {
    if (error instanceof GlossProblem) return this.#resuming ? isPassing(error) : this.#repeatable && isRefused(error);
    const broke = error instanceof GlossInterrupted && !(error instanceof GlossLost);
    return broke && (this.#resuming || this.#repeatable);
  }

  /** A drained reader goes on at once; unless that brought nothing new. */
  #waitAfter({ drained = false, retryAfter = null }) {
    const atOnce = drained && this.#drainedAt !== this.lastId;
    if (drained) this.#drainedAt = this.lastId;
    if (atOnce) return 0;
    const { resumeMs, startMs } = this.#options;
    return this.#patience.wait((retryAfter ?? 0) * 1000, this.#resuming ? resumeMs : startMs);
  }

  /** Whether the next request reads on, and does not start the stream. */
  get #resuming() {
    return this.#post === null || this.lastId > 0 || (this.id !== null && !this.#repeatable);
  }

  get #repeatable() {
    return this.idempotencyKey !== null;
  }

  async #open() {
    const [resuming, type] = [this.#resuming, MEDIA_TYPES[this.#options.encoding]];
    const rest = { path: `${this.#path}?after=${this.lastId}`, init: { method: "GET" } };
    const { path, init } = resuming ? rest : this.#post;
    const send = this.#request(path, { ...init, headers: { ...init.headers, Accept: type } });
    const check = (response) => checked(response, { type, resuming });
    this.#connection = new Connection(send, { check, silenceMs: this.#options.silenceMs });
    const response = await unlessAborted(this.#connection.head, this.#leaving.signal);
    this.id = response.headers.get("Gloss-Stream") ?? this.id;
  }

  async *#read() {
    for await (const event of this.#parsed()) {
      if (event.type === "drain") {
        if (this.#options.drain) yield event;
        throw new GlossInterrupted("The server is about to go: read on elsewhere.", { drained: true });
      }
      if (isNumber(event.id) && event.id <= this.lastId) continue; // it came before the connection broke
      this.#take(event);
      if (event.type === "finish") await this.#verify(event);
      this.#over = event.type === "finish" || event.type === "error";
      yield event;
      if (event.type === "error") throw new GlossProblem(event.problem, { event });
      if (this.#over) return;
    }
  }

  async *#parsed() {
    const lines = this.#connection.lines(this.#options);
    for await (const message of this.#options.encoding === "sse" ? sseData(lines) : lines) {
      if (message.trim() !== "") yield parsed(message); // else it is a heartbeat
    }
  }

  #take(event) {
    const { id, type } = event;
    if (id !== this.lastId + 1) throw new GlossProtocolError(`Event ${this.lastId} was followed by ${id}.`);
    if ((type === "start") !== (id === 1)) throw new GlossProtocolError("`start` is not the first event.");
    this.lastId = id;
    this.#patience.renew();
    if (type === "text") this.text += event.text;
    if (type === "start") {
      this.start = event;
      this.id = event.stream;
    }
  }

  async #verify(finish) {
    if (this.#whole && !(await isText(this.text, finish))) {
      throw new GlossProtocolError("The text that came is not the text that was sent.");
    }
    this.finish = finish;
  }

  /** Nobody wants the rest: end the stream, if this call started it, and close the connection. */
  #abandon(reason) {
    if (this.#over || this.#leaving.signal.aborted) return;
    const cancelled = this.#post === null ? null : this.#cancel().catch(() => {});
    if (this.id !== null || cancelled === null) return void this.#hangUp(reason);
    this.#leaving.abort(reason); // the loop ends now, the request when its answer has named the stream
    void cancelled.then(() => this.#connection?.close(reason));
  }

  #hangUp(reason) {
    if (this.#over || this.#leaving.signal.aborted) return;
    this.#leaving.abort(reason);
    this.#connection?.close(reason);
  }

  /** End the stream on the server; where it has no name yet, as soon as the answer's head names it. */
  async #cancel() {
    const head = await this.#connection?.head;
    this.id ??= head?.headers.get("Gloss-Stream") ?? null;
    if (this.id === null) throw new GlossInterrupted("The stream has no name yet.");
    const signal = AbortSignal.timeout(STOP_MS);
    const response = await this.#request(this.#path, { method: "DELETE", keepalive: true })(signal);
    if (!response.ok && response.status !== 404) throw await refusal(response);
  }

  get #path() {
    return `v1/streams/${encodeURIComponent(this.id)}`;
  }

  /** Return what sends this request; what is wrong with the request itself is thrown here. */
  #request(path, { headers, ...init }) {
    const { key, fetch = globalThis.fetch } = this.#options;
    const known = key ? { Authorization: `Bearer ${key}` } : {};
    const whole = {
      cache: "no-store",
      credentials: "omit",
      redirect: "manual", // a key follows nobody to another place
      referrerPolicy: "no-referrer",
      ...init,
      headers: new Headers({ ...headers, ...known }),
    };
    const url = new URL(path, this.#base);
    return async (signal) => fetch(url, { ...whole, signal });
  }

  #placed(error) {
    const { id, lastId, text } = this;
    return error instanceof GlossError ? Object.assign(error, { id, lastId, text }) : error;
  }
}

/** One request and what answers it. It closes itself when nothing comes for too long. */
class Connection {
  #closing = new AbortController();
  #silenceMs;
  head;

  /** `check` throws where the response is not the one that is wanted. */
  constructor(send, { check, silenceMs }) {
    this.#silenceMs = silenceMs;
    this.head = this.#patiently(send(this.#closing.signal).then(check), "The service was not reached.");
    this.head.catch(() => {}); // whoever awaits it is told
  }

  close(reason) {
    this.#closing.abort(reason);
  }

  /** Yield lines; they end at LF only. What follows the last LF is no line and never shown. */
  async *lines({ lineLimit, onLine }) {
    const body = (await this.head).body.getReader();
    const decoder = new TextDecoder("utf-8", { fatal: true });
    for (let rest = ""; ; ) {
      const { done, value } = await this.#patiently(body.read(), "The connection broke.");
      if (done) return;
      const lines = (rest + decoded(decoder, value)).split("\n");
      rest = lines.pop();
      if (rest.length > lineLimit) throw new GlossProtocolError("A line has no end.");
      for (const line of lines) {
        onLine?.(line);
        yield line;
      }
    }
  }

  async #patiently(promise, otherwise) {
    const silent = () => this.close(new Error(`Nothing came for ${this.#silenceMs} ms.`));
    const timer = setTimeout(silent, this.#silenceMs);
    try {
      return await promise;
    } catch (cause) {
      throw cause instanceof GlossError ? cause : new GlossInterrupted(otherwise, { cause });
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Says when to try again: at random, within a time that doubles with each try (full jitter), not for ever. */
class Patience {
  #backoffMs;
  #random;
  #tries = 0;
  #goneMs = 0; // the time without a connection, added up since something new came
  #since = null;

  constructor({ backoffMs, random }) {
    this.#backoffMs = backoffMs;
    this.#random = random;
  }

  /** Return milliseconds, `leastMs` or more; null where it would then have been gone for too long. */
  wait(leastMs, withinMs) {
    const now = performance.now();
    this.#since ??= now;
    const most = Math.min(BACKOFF_MOST_MS, this.#backoffMs * 2 ** this.#tries);
    this.#tries += 1;
    const waitMs = leastMs + this.#random() * most;
    return this.#goneMs + now - this.#since + waitMs >= withinMs ? null : waitMs;
  }

  connected() {
    if (this.#since !== null) this.#goneMs += performance.now() - this.#since;
    this.#since = null;
  }

  renew() {
    this.#tries = 0;
    this.#goneMs = 0;
  }
}

/** Wait so long, or until the network is back; throws the reason when `signal` is aborted. */
async function pause(ms, signal) {
  const awake = new AbortController();
  await new Promise((wake) => {
    const timer = setTimeout(wake, ms);
    awake.signal.addEventListener("abort", () => clearTimeout(timer));
    signal.addEventListener("abort", wake, { signal: awake.signal });
    globalThis.addEventListener?.("online", wake, { signal: awake.signal });
  });
  awake.abort();
  signal.throwIfAborted();
}

function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    promise.then(resolve, reject);
  });
}

/** Return a response that is a stream of this media type; throw what else it is. */
async function checked(response, { type, resuming }) {
  if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) {
    throw new GlossProtocolError("The service is elsewhere: it answers with a redirect.");
  }
  if (resuming && response.status === 204) throw new GlossLost("Nothing is left to read: the stream has ended.");
  if (!response.ok) throw resuming ? lost(await refusal(response)) : await refusal(response);
  const [came] = (response.headers.get("Content-Type") ?? "").split(";");
  if (came.trim().toLowerCase() === type) return response;
  throw new GlossProtocolError(`The answer is ${came.trim() || "of no type"}: something else answers here.`);
}

/** The log is gone, or it does not reach as far as this reader does. */
function lost(problem) {
  if (problem.status !== 404) return problem;
  return new GlossLost("The answer broke off, and its rest is gone.", { cause: problem });
}

async function refusal(response) {
  const said = await response.json().catch(() => null);
  const plain = { type: "about:blank", title: response.statusText || `Status ${response.status}` };
  const problem = typeof said?.title === "string" ? said : { ...plain, status: response.status };
  const retryAfter = secondsOf(response.headers.get("Retry-After"));
  return new GlossProblem(problem, { status: response.status, retryAfter });
}

/** Reading on costs nothing, so it is tried again whatever the trouble is, unless it lasts. */
const isPassing = ({ status }) => status >= 500 || status === 408 || status === 429;

/** Nothing was begun: the service is full or going, or what stands before it did not reach it. */
const isRefused = ({ status, problem }) => status === 503 || (status > 500 && problem.type === "about:blank");

const unreadable = (cause) => new GlossInterrupted("The answer broke off and could not be read on.", { cause });

const cursorOf = ({ id, lastId }) => (id === null ? null : { stream: id, after: lastId });

const isNumber = (id) => Number.isInteger(id) && id > 0;

function decoded(decoder, bytes) {
  try {
    return decoder.decode(bytes, { stream: true });
  } catch (cause) {
    throw new GlossProtocolError("The answer is not UTF-8.", { cause });
  }
}

function parsed(message) {
  try {
    return Object(JSON.parse(message));
  } catch (cause) {
    throw new GlossProtocolError("A line is not JSON.", { cause });
  }
}

async function* sseData(lines) {
  let data = [];
  for await (const raw of lines) {
    const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
    if (line !== "" || data.length === 0) continue;
    yield data.join("\n");
    data = [];
  }
}

/** Whether this is the text that `finish` counted. Pages over plain http have no hash to check by. */
async function isText(text, { chars, sha256 }) {
  if (codePoints(text) !== chars) return false;
  const { subtle } = globalThis.crypto;
  return subtle === undefined || sha256 === hex(await subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

function codePoints(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** 128 random bits. crypto.randomUUID() would not do: pages over plain http do not have it. */
function newKey() {
  return hex(globalThis.crypto.getRandomValues(new Uint8Array(16)));
}

/** Read Retry-After: seconds, or a date (RFC 9110, 10.2.3). */
function secondsOf(header) {
  if (header === null || header.trim() === "") return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return seconds;
  const left = (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(left) ? null : Math.max(0, Math.ceil(left));
}

/** Where the service is: as told, else where this file came from (`<base>/assets/gloss.js`). */
function baseOf(baseUrl) {
  const own = import.meta.url;
  if (baseUrl === undefined && !own.startsWith("http")) {
    throw new TypeError('Say where Gloss is: { baseUrl: "https://gloss.example" }');
  }
  const base = new URL(baseUrl ?? "../", baseUrl === undefined ? own : globalThis.location?.href);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return base;
}
