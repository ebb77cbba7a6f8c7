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
 * - Events come as they stand on the wire, numbered from 1; a gap in the numbers is an error.
 * - An answer that broke off is never taken for a whole one. The loop ends quietly after `finish`
 *   and throws in every other case. An `error` event is handed over like any other and *then*
 *   thrown as `GlossProblem`, so the events are complete and still nobody can overlook it.
 * - Leaving the loop early, or aborting the signal, ends the stream on the server as well: what
 *   is not generated is not paid for.
 *
 * Runs in every current browser and in Node 18 or newer. The types are in gloss.d.ts.
 */

/** Characters; the longest input that is served, said twice in one `segment`, fits into it. */
const LINE_LIMIT = 8 * 1024 * 1024;

/** Without a byte for so long the connection is dead: a heartbeat comes each 10 s by default. */
const SILENCE_MS = 60_000;

const MEDIA_TYPES = { ndjson: "application/x-ndjson", sse: "text/event-stream" };

/** Something went wrong; `id`, `lastId` and `text` say how far the stream had come. */
export class GlossError extends Error {
  constructor(message, { id = null, lastId = 0, text = "", cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.id = id;
    this.lastId = lastId;
    this.text = text;
  }
}

/** The service said what is wrong (RFC 9457): before the first byte, or in an `error` event. */
export class GlossProblem extends GlossError {
  constructor(problem, { status = problem.status, retryAfter = null, event = null, ...reached } = {}) {
    super(problem.detail ?? problem.title, reached);
    this.problem = problem;
    this.status = status;
    this.slug = String(problem.type ?? "").split("/").pop();
    this.retryAfter = retryAfter ?? problem.retry_after_s ?? null;
    this.event = event;
  }
}

/** The answer is not whole and nobody said why: the network, a proxy or the server went away. */
export class GlossInterrupted extends GlossError {
  constructor(message, { finish = null, ...reached } = {}) {
    super(message, reached);
    this.finish = finish;
  }
}

/** What came is not what the contract promises: a gap, a broken line, a text that is not its hash. */
export class GlossProtocolError extends GlossError {}

/**
 * Start a stream. Nothing is sent before the first event is asked for.
 * Aborting `signal`, or leaving the loop, cancels the stream on the server.
 */
export function stream(useCase, fields, options = {}) {
  const init = {
    method: "POST",
    body: JSON.stringify(fields),
    headers: { "Content-Type": "application/json" },
  };
  return new GlossStream({ path: `v1/${encodeURIComponent(useCase)}`, init, owner: true, options });
}

/**
 * Read a stream that exists, from the event after `after` on.
 * Leaving this loop leaves the stream alone; `stop()` cancels it.
 * With the `text` that came until `after` the hash is checked at the end, as in a whole reading.
 */
export function read(id, { after = 0, text = after === 0 ? "" : null, ...options } = {}) {
  const path = `v1/streams/${encodeURIComponent(id)}?after=${after}`;
  return new GlossStream({ path, init: { method: "GET" }, owner: false, options, id, after, text });
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
  const { id, finish } = answer;
  const reached = { id, lastId: finish.id, text: answer.text, finish };
  throw new GlossInterrupted(`The answer is not whole: it ended with "${finish.reason}".`, reached);
}

/** One reading of one stream: iterate it once. What came so far stands in its properties. */
export class GlossStream {
  start = null;
  finish = null;

  #path;
  #init;
  #owner;
  #options;
  #base;
  #checked; // the text is known from its beginning, so its hash can be
  #closing = new AbortController();
  #events = this.#run();
  #over = false;
  #stopping = false;

  constructor({ path, init, owner, options, id = null, after = 0, text = "" }) {
    this.id = id;
    this.lastId = after;
    this.text = text ?? "";
    this.#checked = text !== null;
    this.#path = path;
    this.#init = init;
    this.#owner = owner;
    this.#options = { encoding: "ndjson", silenceMs: SILENCE_MS, lineLimit: LINE_LIMIT, ...options };
    this.#base = baseOf(options.baseUrl);
    if (!(this.#options.encoding in MEDIA_TYPES)) throw new TypeError("encoding is ndjson or sse");
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
   * the loop reports.
   */
  async stop() {
    this.#stopping = true;
    if (this.#over || this.id === null) return; // #open sends it as soon as there is an id
    try {
      await this.#cancel();
    } catch (error) {
      this.#closing.abort(error);
    }
  }

  async *#run() {
    const { signal } = this.#options;
    const abort = () => this.#abandon(signal.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      signal?.throwIfAborted();
      const response = await this.#open();
      if (response.status !== 204) yield* this.#read(response); // 204: nothing is left to read
    } catch (error) {
      const named = this.#named(error);
      if (!this.#over) this.#closing.abort(named);
      this.#over = true;
      throw named;
    } finally {
      signal?.removeEventListener("abort", abort);
      if (!this.#over) this.#abandon(); // the caller left the loop
    }
  }

  async *#read(response) {
    for await (const event of this.#numbered(this.#lines(response.body.getReader()))) {
      if (event.type === "finish") await this.#verify(event);
      this.#over = event.type === "finish" || event.type === "error";
      yield event;
      if (event.type === "error") throw new GlossProblem(event.problem, { ...this.#reached(), event });
      if (event.type === "finish") return;
    }
    throw new GlossInterrupted("The answer broke off: it has no end.", this.#reached());
  }

  async #open() {
    if (this.#stopping) throw new GlossInterrupted("It was stopped before it began.", this.#reached());
    const headers = { ...this.#init.headers, Accept: MEDIA_TYPES[this.#options.encoding] };
    const response = await this.#patiently(
      this.#fetch(this.#path, { ...this.#init, headers, signal: this.#closing.signal }),
    );
    if (!response.ok) throw await this.#refusal(response);
    this.id = response.headers.get("Gloss-Stream") ?? this.id;
    if (response.status !== 204) this.#expectType(response);
    if (this.#stopping) void this.stop();
    return response;
  }

  #fetch(path, { headers, ...init }) {
    const { key, fetch = globalThis.fetch } = this.#options;
    const known = key ? { Authorization: `Bearer ${key}` } : {};
    return fetch(new URL(path, this.#base), {
      cache: "no-store",
      credentials: "omit",
      redirect: "error", // a key follows nobody to another place
      referrerPolicy: "no-referrer",
      ...init,
      headers: { ...headers, ...known },
    });
  }

  async #refusal(response) {
    const said = await this.#patiently(response.json().catch(() => null));
    const plain = { type: "about:blank", title: response.statusText || `Status ${response.status}` };
    const problem = typeof said?.title === "string" ? said : { ...plain, status: response.status };
    const retryAfter = secondsOf(response.headers.get("Retry-After"));
    return new GlossProblem(problem, { ...this.#reached(), status: response.status, retryAfter });
  }

  #expectType(response) {
    const [type] = (response.headers.get("Content-Type") ?? "").split(";");
    if (type.trim().toLowerCase() === MEDIA_TYPES[this.#options.encoding]) return;
    throw this.#broken(`The answer is ${type.trim() || "of no type"}: something else answers here.`);
  }

  /** Await what must not take longer than the longest silence. */
  async #patiently(promise) {
    const silent = () => this.#closing.abort(new Error(`Nothing came for ${this.#options.silenceMs} ms.`));
    const timer = setTimeout(silent, this.#options.silenceMs);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Yield lines; they end at LF only. What follows the last LF is no line and never shown. */
  async *#lines(body) {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    for (let rest = ""; ; ) {
      const { done, value } = await this.#patiently(body.read());
      if (done) return;
      const lines = (rest + this.#decoded(decoder, value)).split("\n");
      rest = lines.pop();
      if (rest.length > this.#options.lineLimit) throw this.#broken("A line has no end.");
      for (const line of lines) {
        this.#options.onLine?.(line);
        yield line;
      }
    }
  }

  #decoded(decoder, bytes) {
    try {
      return decoder.decode(bytes, { stream: true });
    } catch (cause) {
      throw this.#broken("The answer is not UTF-8.", cause);
    }
  }

  async *#numbered(lines) {
    const messages = this.#options.encoding === "sse" ? sseData(lines) : lines;
    for await (const message of messages) {
      if (message.trim() === "") continue; // a heartbeat
      const event = this.#parsed(message);
      if (event.type === "drain") continue; // no event: the server is about to hang up
      this.#take(event);
      yield event;
    }
  }

  #parsed(message) {
    try {
      return Object(JSON.parse(message));
    } catch (cause) {
      throw this.#broken("A line is not JSON.", cause);
    }
  }

  #take(event) {
    const { id, type } = event;
    if (id !== this.lastId + 1) throw this.#broken(`Event ${this.lastId} was followed by ${id}.`);
    if ((type === "start") !== (id === 1)) throw this.#broken("`start` is not the first event.");
    this.lastId = id;
    if (type === "text") this.text += event.text;
    if (type === "start") {
      this.start = event;
      this.id = event.stream;
    }
  }

  async #verify(event) {
    if (this.#checked && globalThis.crypto?.subtle !== undefined) {
      const sum = await sha256(this.text);
      if (sum !== event.sha256) throw this.#broken("The text that came is not the text that was sent.");
    }
    this.finish = event;
  }

  async #cancel() {
    const path = `v1/streams/${encodeURIComponent(this.id)}`;
    const response = await this.#fetch(path, { method: "DELETE", keepalive: true });
    if (!response.ok && response.status !== 404) throw await this.#refusal(response);
  }

  /** Close the connection, and cancel the stream if it is ours; the close alone says the same. */
  #abandon(reason) {
    if (this.#owner && this.id !== null && !this.#over) this.#cancel().catch(() => {});
    this.#closing.abort(reason);
  }

  #named(error) {
    const { signal } = this.#options;
    if (signal?.aborted) return signal.reason;
    if (error instanceof GlossError) return error;
    const cause = this.#closing.signal.aborted ? this.#closing.signal.reason : error;
    const what = this.id === null ? "The service was not reached." : "The connection broke.";
    return new GlossInterrupted(what, { ...this.#reached(), cause });
  }

  #broken(message, cause) {
    return new GlossProtocolError(message, { ...this.#reached(), cause });
  }

  #reached() {
    return { id: this.id, lastId: this.lastId, text: this.text };
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

async function sha256(text) {
  const sum = await globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(sum), (byte) => byte.toString(16).padStart(2, "0")).join("");
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
