/** Runs one stream at a time for a view, and keeps what it takes to go on after a reload. */

import { resume, stream } from "./gloss.js";
import { askKey, key } from "./key.js";
import { $, spoken } from "./view.js";
import { wire } from "./wire.js";
import { isResumable } from "./words.js";

/**
 * What runs is a record: {useCase, fields, events that came, idempotencyKey, clock}. It goes through JSON.
 *
 * A view has `status`, `begin(record)`, `take(event)`, `end(outcome, record)`, which returns what asking
 * again means, and `goOn()`, which shows a record that broke off from its beginning, and reads on.
 */
export class Activity {
  #view;
  #reading = null;
  #record = null;
  #stopped = false;

  constructor(view) {
    this.#view = view;
  }

  get running() {
    return this.#reading !== null;
  }

  /** The record of what runs, or can be read on; else null. */
  get kept() {
    return this.#record && { ...this.#record, clock: this.#view.status.clock };
  }

  run(useCase, fields) {
    return this.goOn({ useCase, fields, events: [] });
  }

  /** Show what had come, and read on. */
  async goOn(record) {
    if (this.running) return;
    [this.#record, this.#stopped] = [record, false];
    this.#view.begin(record);
    this.#view.status.begin();
    wire.begin(record.useCase, record.fields);
    this.#replay(record);
    const outcome = await this.#outcome(record);
    this.#reading = null;
    if (!isResumable(outcome)) this.#record = null;
    const askAgain = this.#view.end(outcome, record);
    const again = this.#record === null ? askAgain : () => this.#view.goOn();
    this.#view.status.end({ ...outcome, again });
  }

  async stop() {
    if (!this.running) return;
    this.#stopped = true;
    await this.#reading.stop();
  }

  #replay({ events, clock }) {
    spoken.silently(() => events.forEach((event) => this.#show(event)));
    if (clock) this.#view.status.clock = clock;
  }

  async #outcome(record) {
    for (;;) {
      try {
        this.#reading = this.#read(record);
        record.idempotencyKey ??= this.#reading.idempotencyKey;
        for await (const event of this.#reading) {
          record.events.push(event);
          this.#show(event);
        }
        return { finish: this.#reading.finish };
      } catch (error) {
        const wanted = error.status === 401 && (await askKey());
        if (!wanted) return { error, stopped: this.#stopped };
        wire.begin(record.useCase, record.fields);
        this.#view.status.sent();
      }
    }
  }

  #read({ useCase, fields, events, idempotencyKey }) {
    const options = { key: key.value, fetch: wire.fetch, onLine: (line) => wire.line(line), onConnection: this.#connection };
    if (events.length === 0) return stream(useCase, fields, { ...options, idempotencyKey });
    const text = events.map((event) => (event.type === "text" ? event.text : "")).join("");
    return resume(events[0].stream, { ...options, after: events.at(-1).id, text });
  }

  #connection = (change) => {
    wire.connection(change);
    this.#view.status.connection(change);
  };

  #show(event) {
    if (event.type === "start") showModel(event);
    this.#view.status.take(event);
    this.#view.take(event);
  }
}

function showModel({ model, prompt }) {
  $("answered-by").textContent = `Answered by ${model.split("/").pop()} with the prompt ${prompt}`;
}
