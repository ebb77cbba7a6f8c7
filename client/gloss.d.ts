/** The types of gloss.js: what goes in, what comes back, and how it fails. */

/** Counts of tokens and their price; present at every end, also after a cancel or an error. */
export interface Usage {
  input_tokens: number;
  output_tokens: number;
  cached_input_tokens: number;
  reasoning_tokens: number;
  /** A decimal; null where the model's price is not known. */
  cost_usd: string | null;
  /** True when a part was counted by the service and not reported by the provider. */
  estimated: boolean;
  from_cache: boolean;
}

export type FinishReason =
  | "stop"
  | "length"
  | "deadline"
  | "budget"
  | "cancelled"
  | "superseded"
  | "disconnected"
  | "content_filter";

/** RFC 9457; a problem may have members of its own. */
export interface Problem {
  /** A path that resolves to a page about it. */
  type: string;
  title: string;
  status: number;
  detail?: string;
  /** The stream. */
  instance?: string;
  errors?: { field: string; problem: string }[];
  tokens?: number;
  limit?: number;
  retry_after_s?: number;
  [member: string]: unknown;
}

// Events: start (text | notice | the use case's own)* (finish | error)

interface Numbered {
  /** Counts from 1 without gaps. */
  id: number;
}

export interface StartEvent extends Numbered {
  type: "start";
  stream: string;
  use_case: string;
  model: string;
  /** File and version: `translate@3`. */
  prompt: string;
  input_tokens: number;
  limits: { max_output_tokens: number; deadline_s: number };
  /** RFC 3339. */
  created: string;
  session?: string;
  turn?: number;
}

export interface TextEvent extends Numbered {
  type: "text";
  text: string;
  /** With several targets: which one this belongs to. */
  target?: string;
  /** With several texts: which one this belongs to, from 0. */
  text_index?: number;
}

/** Something to know that ends nothing. */
export interface NoticeEvent extends Numbered {
  type: "notice";
  code: string;
  detail: string;
  /** With `queued`: the place in the queue, 1 for the next to come, 0 when the answer begins. */
  place?: number;
}

export interface FinishEvent extends Numbered {
  type: "finish";
  reason: FinishReason;
  usage: Usage;
  chars: number;
  /** Of the joined text in UTF-8, hexadecimal. */
  sha256: string;
  timing: { first_text_ms: number | null; total_ms: number };
}

export interface ErrorEvent extends Numbered {
  type: "error";
  problem: Problem;
  usage: Usage;
  /** True if text was sent before it. */
  partial: boolean;
}

export type CoreEvent = StartEvent | TextEvent | NoticeEvent | FinishEvent | ErrorEvent;

// translate

export interface DetectedEvent extends Numbered {
  type: "detected";
  /** BCP 47; `und` where nothing is known. */
  language: string;
  /** From 0 to 1. */
  confidence: number;
  /** With several texts: which one. */
  text_index?: number;
}

/** One piece of the source with its translation, after the `text` events that made it up. */
export interface SegmentEvent extends Numbered {
  type: "segment";
  index: number;
  text_index: number;
  target: string;
  source: string;
  text: string;
  from_memory: boolean;
}

export type TranslateEvent = CoreEvent | DetectedEvent | SegmentEvent;

// tutor

export interface StepStartEvent extends Numbered {
  type: "step.start";
  /** Steps are numbered per session. */
  n: number;
  title: string;
  /** 0 at first; grows when the same step is told anew. */
  rev: number;
}

export interface StepEndEvent extends Numbered {
  type: "step.end";
  n: number;
}

export interface CheckEvent extends Numbered {
  type: "check";
  /** Send it back with the answer. */
  check: string;
  n: number;
  kind: "number" | "short" | "choice" | "explain";
  question: string;
  concept?: string;
  choices?: { label: string; text: string }[];
}

export interface HintEvent extends Numbered {
  type: "hint";
  level: number;
}

export interface GradeEvent extends Numbered {
  type: "grade";
  check: string;
  verdict: "right" | "wrong" | "partial" | "unclear";
  /** A code: `same-value`, `other-unit`, … */
  reason: string;
}

export interface MasteryEvent extends Numbered {
  type: "mastery";
  concept: string;
  before: number;
  after: number;
  evidence: string;
}

export interface CalcEvent extends Numbered {
  type: "calc";
  expression: string;
  value: string;
  verified: boolean;
}

/** A false equation that had been shown, and what is right. */
export interface CorrectionEvent extends Numbered {
  type: "correction";
  n: number;
  said: string;
  is: string;
}

export interface WithheldEvent extends Numbered {
  type: "withheld";
  why: string;
}

export type TutorEvent =
  | CoreEvent
  | StepStartEvent
  | StepEndEvent
  | CheckEvent
  | HintEvent
  | GradeEvent
  | MasteryEvent
  | CalcEvent
  | CorrectionEvent
  | WithheldEvent;

/** An event of a use case that these types do not know. */
export interface OtherEvent extends Numbered {
  type: string;
  [field: string]: unknown;
}

// Requests

/** What every use case takes besides its own fields. */
export interface RequestOptions {
  /** Never above the service's own cap: a larger number is refused. */
  max_output_tokens?: number;
  deadline_s?: number;
  model?: string;
  /**
   * What happens when the last reader has left: close the provider at once, run on to the end, or
   * wait that many seconds for somebody to come back. gloss.js asks for 30 unless told otherwise.
   */
  on_disconnect?: "cancel" | "finish" | number;
  /** A key of one's own choice: a new stream with it ends the earlier one (`superseded`). */
  supersedes?: string;
  /** May the answer be one that was given before, and serve again? Each use case has its own default. */
  cache?: boolean;
  /** The least that one `text` event holds. */
  granularity?: "token" | "word" | "sentence";
}

export interface TranslateFields {
  text: string | string[];
  /** BCP 47. */
  target: string | string[];
  /** BCP 47; detected when absent. */
  source?: string;
  format?: "text";
  formality?: "default" | "more" | "less";
  /** Text that helps and is not translated. */
  context?: string;
  /** Up to 10 short rules of style. */
  instructions?: string[];
  options?: RequestOptions;
}

/** The first request of a lesson. */
export interface TutorBegin {
  topic?: string;
  problem?: string;
  level?: string;
  language?: string;
  mode?: "explain";
  options?: RequestOptions;
}

/** A later one: a message, an answer, or an action on a step. */
export type TutorContinue = { session: string; options?: RequestOptions } & (
  | { message: string }
  | { answer: { check: string; value: string } }
  | { action: "simplify" | "another_way" | "example"; step: number }
);

export type TutorFields = TutorBegin | TutorContinue;

// The client

/** How the connection stands. */
export type ConnectionChange =
  | { state: "open" }
  /** It will be tried again in `waitMs` milliseconds; `error.drained` where the server goes on purpose. */
  | { state: "lost"; error: GlossInterrupted | GlossProblem; waitMs: number };

/** A server that is about to go; no event of the stream, so it has no number. */
export interface Drain {
  type: "drain";
}

/** All that is left of a reading when a page is reloaded; goes through JSON. */
export interface Cursor {
  stream: string;
  after: number;
}

export interface ReadingOptions {
  /** Closes the connection; a stream that this call started is cancelled on the server as well. */
  signal?: AbortSignal;
  /** Sent as `Authorization: Bearer …`: an API key on servers, a client token in browsers. */
  key?: string;
  /** Where Gloss is; by default where gloss.js came from. Needed in Node and in bundles. */
  baseUrl?: string | URL;
  /** `ndjson` by default; `sse` for networks that let only event streams through unbuffered. */
  encoding?: "ndjson" | "sse";
  /** Gets every line as it came, heartbeats included. */
  onLine?: (line: string) => void;
  /** Told when the connection breaks and is to be made again, and when it stands. */
  onConnection?: (change: ConnectionChange) => void;
  /** Hand over `drain` too (type `Drain`); it is kept back by default. */
  drain?: boolean;
  /** After so many milliseconds without a byte the connection is dead; 30,000 by default: three heartbeats. */
  silenceMs?: number;
  /** How long a stream that has begun may be without a connection; 60,000 by default, 0: never tried again. */
  resumeMs?: number;
  /** The most that is waited before the first new try; 250 by default. It doubles, up to 5,000. */
  backoffMs?: number;
  /** Spreads the waits, from 0 to 1; `Math.random` by default. */
  random?: () => number;
  /** The longest line that is accepted, in characters; 8 Mi by default. */
  lineLimit?: number;
  fetch?: typeof globalThis.fetch;
}

export interface StreamOptions extends ReadingOptions {
  /**
   * Under which the request is repeated when the connection fails before anything has come: one key,
   * one answer, one bill. Made at random unless given (16 to 255 characters); null: never repeated.
   */
  idempotencyKey?: string | null;
  /** For how long it is tried to start; 10,000 by default, 0: once. */
  startMs?: number;
}

export interface ResumeOptions extends ReadingOptions {
  /** The number of the last event that is known; 0 reads from the beginning. */
  after?: number;
  /** The text that came until `after`: then length and hash can be checked at the end. */
  text?: string | null;
}

export interface Collected<E> {
  id: string;
  text: string;
  events: E[];
  finish: FinishEvent;
}

/** One reading of one stream; iterate it once. */
export class GlossStream<E = OtherEvent> implements AsyncIterable<E> {
  private constructor();
  /** Null until the service has answered. */
  readonly id: string | null;
  readonly lastId: number;
  /** All text so far. It is the whole answer only when `finish` says so. */
  readonly text: string;
  readonly start: StartEvent | null;
  readonly finish: FinishEvent | null;
  /** For `resume(cursor.stream, cursor)`; null until there is an id. */
  readonly cursor: Cursor | null;
  /** Null where the request is never repeated, and in a reading by `resume()`. */
  readonly idempotencyKey: string | null;
  [Symbol.asyncIterator](): AsyncGenerator<E, void, undefined>;
  collect(): Promise<Collected<E>>;
  /** Ends the stream on the server; the loop then gets `finish` with what it has cost. */
  stop(): Promise<void>;
}

/** What each use case takes and says; a deployment's own ones can be declared into it. */
export interface UseCases {
  translate: { fields: TranslateFields; event: TranslateEvent };
  tutor: { fields: TutorFields; event: TutorEvent };
}

type FieldsOf<U extends string> = U extends keyof UseCases ? UseCases[U]["fields"] : Record<string, unknown>;
type EventOf<U extends string> = U extends keyof UseCases ? UseCases[U]["event"] : OtherEvent;

/** Start a stream; nothing is sent before the first event is asked for. */
export function stream<U extends string>(
  useCase: U,
  fields: FieldsOf<U>,
  options?: StreamOptions,
): GlossStream<EventOf<U>>;

/** Read a stream that exists; leaving the loop leaves it running. */
export function resume<E = OtherEvent>(id: string, options?: ResumeOptions): GlossStream<E>;

/** The whole answer's text; throws where the answer is not whole. */
export function text<U extends string>(
  useCase: U,
  fields: FieldsOf<U>,
  options?: StreamOptions,
): Promise<string>;

// Errors

export class GlossError extends Error {
  readonly id: string | null;
  readonly lastId: number;
  readonly text: string;
  readonly cursor: Cursor | null;
}

/** The service said what is wrong. */
export class GlossProblem extends GlossError {
  readonly problem: Problem;
  readonly status: number;
  /** The last part of the problem's type: `rate-limited`. */
  readonly slug: string;
  /** Seconds; null where nothing was said. */
  readonly retryAfter: number | null;
  /** The `error` event; null where the request was refused before the first byte. */
  readonly event: ErrorEvent | null;
}

/**
 * The answer is not whole, and the connection could not be made again in time. It may still be there:
 * `resume(error.id, { after: error.lastId, text: error.text })`.
 */
export class GlossInterrupted extends GlossError {
  /** Set by `text()` where the stream ended, but not with a whole answer. */
  readonly finish: FinishEvent | null;
  /** The server was about to go and said so. */
  readonly drained: boolean;
}

/** The answer is not whole, and its rest is nowhere to be had: only asking again helps. */
export class GlossLost extends GlossInterrupted {}

/** What came is not what the contract promises. */
export class GlossProtocolError extends GlossError {}
