/** What gloss.js does when the connection breaks: the answer goes on, or is reported as broken. */
import assert from "node:assert/strict";
import { getEventListeners, once } from "node:events";
import { test } from "node:test";

import { GlossInterrupted, GlossLost, GlossProblem, GlossProtocolError, resume, stream } from "../../client/gloss.js";
import { tell } from "./log.mjs";
import { begun, heard, ONCE, whole } from "./service.mjs";

const FIELDS = { text: "Good morning", target: "es" };
const HOLA = ["Ho", "la, señor 😀", "\n", "adiós"];
const LOG = whole(HOLA);
const FAST = { backoffMs: 1 };
const OVERLOADED = { type: "/problems/overloaded", title: "Full", status: 503 };

const ways = (asked) => asked.map(({ method, path }) => `${method} ${path.replace("/v1/streams/s1", "")}`);
const lost = (changes) => changes.filter(({ state }) => state === "lost");

/** A reading, and what it said about its connection. */
function watched(options) {
  const changes = [];
  const reading = stream("translate", FIELDS, { ...FAST, onConnection: (change) => changes.push(change), ...options });
  return { reading, changes };
}

for (const encoding of ["ndjson", "sse"]) {
  for (let cut = 1; cut < LOG.length; cut += 1) {
    test(`${encoding} cut after event ${cut} goes on after it, without a gap or a repetition`, async (t) => {
      const { baseUrl, asked } = await tell(t, LOG, { upTo: cut }, {});
      const reading = stream("translate", FIELDS, { baseUrl, encoding, ...FAST });
      assert.deepEqual(await heard(reading), { events: LOG });
      assert.equal(reading.text, HOLA.join(""));
      assert.deepEqual(ways(asked), ["POST /v1/translate", `GET ?after=${cut}`]);
    });
  }
}

test("it goes on over any number of connections, each a little further", async (t) => {
  const plans = LOG.map((_, at) => ({ upTo: at + 1 }));
  const { baseUrl, asked } = await tell(t, LOG, ...plans);
  assert.deepEqual(await heard(stream("translate", FIELDS, { baseUrl, ...FAST })), { events: LOG });
  assert.equal(asked.length, LOG.length);
});

test("an answer that ends in order without its end has broken off as well", async (t) => {
  const { baseUrl } = await tell(t, LOG, { upTo: 3, then: "end" }, {});
  assert.deepEqual(await heard(stream("translate", FIELDS, { baseUrl, ...FAST })), { events: LOG });
});

test("events that came before are dropped when they come again", async (t) => {
  const { baseUrl } = await tell(t, LOG, { upTo: 3 }, { from: 1 });
  assert.deepEqual(await heard(stream("translate", FIELDS, { baseUrl, ...FAST })), { events: LOG });
});

test("a gap across the seam is a protocol error, and is not tried again", async (t) => {
  const { baseUrl, asked, server } = await tell(t, LOG, { upTo: 2 }, { from: 4 });
  const cancelled = once(server, "cancelled");
  const { events, error } = await heard(stream("translate", FIELDS, { baseUrl, ...FAST }));
  await cancelled;
  assert.deepEqual(events, LOG.slice(0, 2));
  assert.ok(error instanceof GlossProtocolError);
  assert.deepEqual(ways(asked), ["POST /v1/translate", "GET ?after=2", "DELETE "]);
});

test("another text across the seam is a protocol error: the hash is over both parts", async (t) => {
  const other = whole(["Ho", "LA, SEÑOR 😀", "\n", "adiós"]);
  const { baseUrl } = await tell(t, [...LOG.slice(0, 3), ...other.slice(3)], { upTo: 3 }, {});
  const reading = stream("translate", FIELDS, { baseUrl, ...FAST });
  const { error } = await heard(reading);
  assert.ok(error instanceof GlossProtocolError);
  assert.equal(reading.finish, null);
});

test("the key, the base address and a fetch of one's own go along", async (t) => {
  const { baseUrl, asked } = await tell(t, LOG, { upTo: 2 }, {});
  let fetched = 0;
  const own = (...args) => fetch(...args, (fetched += 1));
  await stream("translate", FIELDS, { baseUrl, key: "k", fetch: own, ...FAST }).collect();
  assert.deepEqual(asked.map(({ headers }) => headers.authorization), ["Bearer k", "Bearer k"]);
  assert.equal(fetched, 2);
});

test("resume() reconnects too", async (t) => {
  const { baseUrl, asked } = await tell(t, LOG, { upTo: 3 }, {});
  const reading = resume("s1", { baseUrl, after: 1, text: "", ...FAST });
  assert.deepEqual(await heard(reading), { events: LOG.slice(1) });
  assert.deepEqual(ways(asked), ["GET ?after=1", "GET ?after=3"]);
});

// The request itself

for (const [what, plan] of [
  ["breaks before the head", { cut: true }],
  ["breaks between head and start", { upTo: 0 }],
  ["is refused by a server that is full", { status: 503, problem: OVERLOADED }],
  ["meets a proxy without a server", { status: 502 }],
]) {
  test(`a request that ${what} is repeated under the same key with the same body`, async (t) => {
    const { baseUrl, asked } = await tell(t, LOG, plan, plan, {});
    assert.deepEqual(await heard(stream("translate", FIELDS, { baseUrl, ...FAST })), { events: LOG });
    assert.deepEqual(ways(asked), Array(3).fill("POST /v1/translate"));
    const keys = asked.map(({ headers }) => headers["idempotency-key"]);
    assert.match(keys[0], /^[0-9a-f]{32}$/);
    assert.deepEqual(keys, Array(3).fill(keys[0]));
    assert.deepEqual(asked.map(({ body }) => body), Array(3).fill(asked[0].body));
  });
}

test("each call has its own key", async (t) => {
  const { baseUrl, asked } = await tell(t, LOG, {});
  const readings = [stream("translate", FIELDS, { baseUrl }), stream("translate", FIELDS, { baseUrl })];
  for (const reading of readings) await reading.collect();
  assert.notEqual(readings[0].idempotencyKey, readings[1].idempotencyKey);
  assert.deepEqual(asked.map(({ headers }) => headers["idempotency-key"]), readings.map((r) => r.idempotencyKey));
});

test("a key of the caller's own is sent", async (t) => {
  const { baseUrl, asked } = await tell(t, LOG, {});
  await stream("translate", FIELDS, { baseUrl, idempotencyKey: "the order of Tuesday" }).collect();
  assert.equal(asked[0].headers["idempotency-key"], "the order of Tuesday");
});

for (const [what, plan] of [["breaks", { cut: true }], ["is refused", { status: 503, problem: OVERLOADED }]]) {
  test(`without a key a request that ${what} is never repeated`, async (t) => {
    const { baseUrl, asked } = await tell(t, LOG, plan, {});
    const { error } = await heard(stream("translate", FIELDS, { baseUrl, idempotencyKey: null, ...FAST }));
    assert.equal(error.id, null);
    assert.deepEqual(ways(asked), ["POST /v1/translate"]);
    assert.equal(asked[0].headers["idempotency-key"], undefined);
  });
}

test("without a key a stream that was named is read on, also before its start", async (t) => {
  const { baseUrl, asked } = await tell(t, LOG, { upTo: 0 }, {});
  assert.deepEqual(await heard(stream("translate", FIELDS, { baseUrl, idempotencyKey: null, ...FAST })), { events: LOG });
  assert.deepEqual(ways(asked), ["POST /v1/translate", "GET ?after=0"]);
});

for (const [status, slug] of [[429, "rate-limited"], [422, "invalid-input"], [401, "unauthorized"], [502, "provider-error"]]) {
  test(`a refusal that is no passing one (${slug}) is thrown at once`, async (t) => {
    const problem = { type: `/problems/${slug}`, title: "No", status };
    const { baseUrl, asked } = await tell(t, LOG, { status, problem, headers: { "Retry-After": "0" } }, {});
    const { error } = await heard(stream("translate", FIELDS, { baseUrl, ...FAST }));
    assert.ok(error instanceof GlossProblem);
    assert.deepEqual([error.slug, asked.length], [slug, 1]);
  });
}

test("a server that stays full is tried for startMs, then its refusal is thrown", async (t) => {
  const { baseUrl, asked } = await tell(t, LOG, { status: 503, problem: OVERLOADED });
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, startMs: 30, ...FAST }));
  assert.ok(error instanceof GlossProblem);
  assert.equal(error.slug, "overloaded");
  assert.ok(asked.length > 1);
});

test("a server that wants more time than there is gets its refusal thrown at once", async (t) => {
  const { baseUrl, asked } = await tell(t, LOG, { status: 503, headers: { "Retry-After": "11" } }, {});
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, ...FAST }));
  assert.deepEqual([error.status, error.retryAfter, asked.length], [503, 11, 1]);
});

// Drain

for (const encoding of ["ndjson", "sse"]) {
  test(`${encoding}: a drained reader goes on at once, and the caller does not see it`, async (t) => {
    const { baseUrl, asked } = await tell(t, LOG, { upTo: 2, then: "drain" }, { upTo: 4, then: "drain" }, {});
    const { reading, changes } = watched({ baseUrl, encoding, backoffMs: 60_000 });
    assert.deepEqual(await heard(reading), { events: LOG });
    assert.deepEqual(lost(changes).map(({ waitMs, error }) => [waitMs, error.drained]), [[0, true], [0, true]]);
    assert.deepEqual(ways(asked).slice(1), ["GET ?after=2", "GET ?after=4"]);
  });
}

test("a drained connection is closed, lest it be used again", async (t) => {
  const { baseUrl, server } = await tell(t, LOG, { upTo: 2, then: "drain" }, { upTo: 3, then: "silence" });
  const left = once(server, "left");
  const reading = stream("translate", FIELDS, { baseUrl, ...FAST });
  for await (const { id } of reading) {
    if (id !== 3) continue;
    await left;
    break;
  }
});

test("drain is handed over where it is asked for", async (t) => {
  const { baseUrl } = await tell(t, LOG, { upTo: 2, then: "drain" }, {});
  const { events } = await heard(stream("translate", FIELDS, { baseUrl, drain: true, ...FAST }));
  assert.deepEqual(events, [...LOG.slice(0, 2), { type: "drain" }, ...LOG.slice(2)]);
});

test("a server that drains again and again without anything new is waited for", async (t) => {
  const drain = { upTo: 2, then: "drain" };
  const { baseUrl } = await tell(t, LOG, drain, drain, drain, {});
  const { reading, changes } = watched({ baseUrl });
  assert.deepEqual(await heard(reading), { events: LOG });
  const [first, ...later] = lost(changes).map(({ waitMs }) => waitMs > 0);
  assert.deepEqual([first, later], [false, [true, true]]);
});

// How long

test("waits double, and are spread over the whole of the time that they may take", async (t) => {
  const spread = [1, 0.5, 1, 0, 0.25, 1];
  const { baseUrl } = await tell(t, LOG, { upTo: 2 }, ...Array(5).fill({ cut: true }), {});
  const { reading, changes } = watched({ baseUrl, backoffMs: 2, random: () => spread.shift() });
  await reading.collect();
  assert.deepEqual(lost(changes).map(({ waitMs }) => waitMs), [2, 2, 8, 0, 8, 64]);
});

test("no wait is longer than five seconds", async (t) => {
  const { baseUrl } = await tell(t, LOG, { upTo: 2 });
  const aborting = new AbortController();
  const waits = [];
  const onConnection = ({ state, waitMs }) => state === "lost" && waits.push(waitMs) && setImmediate(() => aborting.abort());
  const options = { baseUrl, backoffMs: 9_000, random: () => 1, onConnection, signal: aborting.signal };
  await heard(stream("translate", FIELDS, options));
  assert.deepEqual(waits, [5_000]);
});

test("what is new makes waits short again", async (t) => {
  const { baseUrl } = await tell(t, LOG, { upTo: 2 }, { cut: true }, { cut: true }, { upTo: 3 }, {});
  const { reading, changes } = watched({ baseUrl, backoffMs: 2, random: () => 1 });
  await reading.collect();
  assert.deepEqual(lost(changes).map(({ waitMs }) => waitMs), [2, 4, 8, 2]);
});

test("all the time without a connection counts, not the last wait alone", async (t) => {
  const { baseUrl, asked } = await tell(t, LOG, { upTo: 3 }, { cut: true });
  const waits = { backoffMs: 40, random: () => 1, resumeMs: 100 };
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, ...waits }));
  assert.ok(error instanceof GlossInterrupted);
  assert.deepEqual(ways(asked), ["POST /v1/translate", "GET ?after=3"]);
});

test("time without a connection is counted anew after each event", async (t) => {
  const { baseUrl } = await tell(t, LOG, ...LOG.map((_, at) => ({ upTo: at + 1 })));
  const waits = { backoffMs: 50, random: () => 1, resumeMs: 200 };
  assert.deepEqual(await heard(stream("translate", FIELDS, { baseUrl, ...waits })), { events: LOG });
});

test("time with a connection does not count, also where nothing new comes", async (t) => {
  const { baseUrl } = await tell(t, LOG, { upTo: 3 }, { upTo: 3, then: "beats", beats: 180 }, {});
  const waits = { random: () => 0, resumeMs: 600 };
  assert.deepEqual(await heard(stream("translate", FIELDS, { baseUrl, ...waits })), { events: LOG });
});

test("connections that stand and give nothing do not go on for ever", async (t) => {
  const { baseUrl } = await tell(t, LOG, { upTo: 3 }, { upTo: 3, then: "end" });
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, random: () => 0, resumeMs: 40 }));
  assert.ok(error instanceof GlossInterrupted);
});

test("the network's return ends the wait, and nothing listens for it afterwards", async (t) => {
  const { baseUrl } = await tell(t, LOG, { upTo: 2 }, {});
  const network = new EventTarget();
  globalThis.addEventListener = (...args) => network.addEventListener(...args);
  t.after(() => delete globalThis.addEventListener);
  const onConnection = ({ state }) => state === "lost" && setImmediate(() => network.dispatchEvent(new Event("online")));
  const minutes = { random: () => 100, backoffMs: 5_000, resumeMs: 1e9 };
  const reading = stream("translate", FIELDS, { baseUrl, onConnection, ...minutes });
  assert.deepEqual(await heard(reading), { events: LOG });
  assert.equal(getEventListeners(network, "online").length, 0);
});

test("a server that says when to come back is not asked before", async (t) => {
  const busy = { status: 503, problem: OVERLOADED, headers: { "Retry-After": "7" } };
  const { baseUrl } = await tell(t, LOG, { upTo: 2 }, busy);
  const aborting = new AbortController();
  const { reading, changes } = watched({ baseUrl, signal: aborting.signal });
  const { events } = await heard(cutShort(reading, changes, aborting));
  assert.deepEqual(events, LOG.slice(0, 2));
  const { error, waitMs } = lost(changes).at(-1);
  assert.deepEqual([error.status, error.id, error.lastId], [503, "s1", 2]);
  assert.ok(waitMs >= 7000 && waitMs <= 7010);
});

/** Read, and abort as soon as it waits for a second time. */
async function* cutShort(reading, changes, aborting) {
  changes.push = (change) => {
    Array.prototype.push.call(changes, change);
    if (lost(changes).length === 2) setImmediate(() => aborting.abort());
  };
  yield* reading;
}

for (const status of [500, 502, 503, 504, 429, 408]) {
  test(`reading on is tried again after a ${status}`, async (t) => {
    const { baseUrl } = await tell(t, LOG, { upTo: 2 }, { status }, {});
    assert.deepEqual(await heard(stream("translate", FIELDS, { baseUrl, ...FAST })), { events: LOG });
  });
}

for (const [what, plan] of [["no server", { cut: true }], ["a server that is full", { status: 503, problem: OVERLOADED }]]) {
  test(`with ${what} for longer than resumeMs the answer is reported as broken, with its place`, async (t) => {
    const { baseUrl, asked } = await tell(t, LOG, { upTo: 3 }, plan);
    const { events, error } = await heard(stream("translate", FIELDS, { baseUrl, resumeMs: 40, ...FAST }));
    assert.deepEqual(events, LOG.slice(0, 3));
    assert.ok(error instanceof GlossInterrupted && !(error instanceof GlossLost));
    assert.deepEqual([error.cursor, error.text], [{ stream: "s1", after: 3 }, "Hola, señor 😀"]);
    assert.ok(asked.length > 2);
    assert.ok(asked.every(({ method }) => method !== "DELETE"));
  });
}

// What nothing helps

test("an answer whose log is gone is reported as lost at once, never as whole", async (t) => {
  const problem = { type: "/problems/not-found", title: "Gone", status: 404 };
  const { baseUrl, asked } = await tell(t, LOG, { upTo: 3 }, { status: 404, problem });
  const reading = stream("translate", FIELDS, { baseUrl, ...FAST });
  const { events, error } = await heard(reading);
  assert.deepEqual(events, LOG.slice(0, 3));
  assert.ok(error instanceof GlossLost);
  assert.deepEqual([error.cause.slug, error.lastId, reading.finish, asked.length], ["not-found", 3, null, 2]);
});

test("a stream that has ended without telling this reader its end is lost too", async (t) => {
  const { baseUrl } = await tell(t, LOG, { upTo: 3 }, { status: 204 });
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, ...FAST }));
  assert.ok(error instanceof GlossLost);
});

test("a key that opens nothing any more is thrown as what it is", async (t) => {
  const problem = { type: "/problems/unauthorized", title: "No", status: 401 };
  const { baseUrl } = await tell(t, LOG, { upTo: 3 }, { status: 401, problem });
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, ...FAST }));
  assert.ok(error instanceof GlossProblem);
  assert.deepEqual([error.status, error.lastId], [401, 3]);
});

test("a login page instead of the rest is a protocol error", async (t) => {
  const { baseUrl } = await tell(t, LOG, { upTo: 3 }, { status: 200, headers: { "Content-Type": "text/html" } });
  assert.ok((await heard(stream("translate", FIELDS, { baseUrl, ...FAST }))).error instanceof GlossProtocolError);
});

test("a fault in the caller's own function is not taken for a broken connection", async (t) => {
  const { baseUrl, asked } = await tell(t, LOG, {});
  const fault = new RangeError("mine");
  const onLine = () => {
    throw fault;
  };
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, onLine, ...FAST }));
  assert.equal(error, fault);
  await fetch(baseUrl, { headers: { Accept: "application/x-ndjson" } });
  assert.deepEqual(ways(asked).filter((way) => way.startsWith("POST")).length, 1);
});

test("a key that no header can carry is refused at once", async (t) => {
  const { baseUrl, asked } = await tell(t, LOG, {});
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, key: "a\nb", ...FAST }));
  assert.ok(error instanceof TypeError);
  assert.equal(asked.length, 0);
});

// Silence

test("a connection on which nothing comes any more is dead, and the answer goes on over another", async (t) => {
  const { baseUrl } = await tell(t, LOG, { upTo: 3, then: "silence" }, {});
  const { reading, changes } = watched({ baseUrl, silenceMs: 50 });
  assert.deepEqual(await heard(reading), { events: LOG });
  assert.match(lost(changes)[0].error.cause.message, /50 ms/);
});

test("a server that accepts and never answers is a broken connection", async (t) => {
  const { baseUrl } = await tell(t, LOG, { upTo: 0, then: "silence" });
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, silenceMs: 20, ...ONCE }));
  assert.ok(error instanceof GlossInterrupted);
});

for (const encoding of ["ndjson", "sse"]) {
  test(`${encoding}: heartbeats are signs of life`, async (t) => {
    const { baseUrl, asked } = await tell(t, LOG, { upTo: 3, then: "beats" });
    const aborting = new AbortController();
    const heartbeat = encoding === "sse" ? ": hb" : "";
    let beats = 0;
    const onLine = (line) => line === heartbeat && (beats += 1) === 60 && aborting.abort();
    const reading = stream("translate", FIELDS, { baseUrl, encoding, silenceMs: 150, onLine, signal: aborting.signal });
    await heard(reading);
    assert.equal(asked.filter(({ method }) => method !== "DELETE").length, 1);
  });
}

test("the connection's state is told: open, lost with the reason, open again", async (t) => {
  const { baseUrl } = await tell(t, LOG, { upTo: 2 }, {});
  const { reading, changes } = watched({ baseUrl });
  await reading.collect();
  assert.deepEqual(changes.map(({ state }) => state), ["open", "lost", "open"]);
  assert.deepEqual([changes[1].error.lastId, changes[1].error.drained], [2, false]);
});

test("with begun() only, the double ends nothing: the rig itself is right", async (t) => {
  const { baseUrl } = await tell(t, begun("a"), { upTo: 1 }, {});
  const { events, error } = await heard(stream("translate", FIELDS, { baseUrl, ...ONCE }));
  assert.deepEqual([events.length, error instanceof GlossInterrupted], [1, true]);
});
