/** How a stream is stopped, left and aborted, and what the service hears of it. */
import assert from "node:assert/strict";
import { getEventListeners, once } from "node:events";
import { test } from "node:test";

import { GlossError, GlossInterrupted, resume, stream } from "../../client/gloss.js";
import { tell } from "./log.mjs";
import { answer, begun, head, heard, ndjson, serve, USAGE, whole } from "./service.mjs";

const LONG = { random: () => 100, resumeMs: 1e9, startMs: 1e9, backoffMs: 5_000 }; // minutes between two tries
const FIELDS = { text: "Good morning", target: "es" };

/** Serve a stream that runs until it is cancelled, and then ends as the contract says. */
function running(t) {
  return serve(t, async (request, response, server) => {
    if (request.method === "DELETE") {
      response.writeHead(202).end();
      server.emit("cancelled");
      return;
    }
    head(response);
    response.on("close", () => server.emit("left"));
    response.write(ndjson(begun("Ho")));
    server.once("cancelled", () => response.end(ndjson(whole(["Ho"], { reason: "cancelled" }).slice(2))));
  });
}

test("stop() cancels on the server, and the loop gets the finish with what it cost", async (t) => {
  const { baseUrl, asked } = await running(t);
  const reading = stream("translate", FIELDS, { baseUrl, key: "k" });
  const types = [];
  for await (const event of reading) {
    types.push(event.type);
    if (event.type === "text") await reading.stop();
  }
  assert.deepEqual(types, ["start", "text", "finish"]);
  assert.deepEqual([reading.finish.reason, reading.finish.usage], ["cancelled", USAGE]);
  const { method, path, headers } = asked[1];
  assert.deepEqual([method, path, headers.authorization], ["DELETE", "/v1/streams/s1", "Bearer k"]);
});

test("stop() before the head has come cancels as soon as there is an id", async (t) => {
  const { baseUrl, asked } = await running(t);
  const reading = stream("translate", FIELDS, { baseUrl });
  const all = reading.collect();
  await reading.stop();
  assert.equal((await all).finish.reason, "cancelled");
  assert.equal(asked[1].method, "DELETE");
});

test("stop() before anything was asked for sends nothing", async (t) => {
  const { baseUrl, asked } = await running(t);
  const reading = stream("translate", FIELDS, { baseUrl });
  await reading.stop();
  assert.ok((await heard(reading)).error instanceof GlossInterrupted);
  assert.equal(asked.length, 0);
});

test("stop() after the end sends nothing", async (t) => {
  const { baseUrl, asked } = await serve(t, answer(ndjson(whole(["x"]))));
  const reading = stream("translate", FIELDS, { baseUrl });
  await reading.collect();
  await reading.stop();
  assert.equal(asked.length, 1);
});

for (const [what, refuse] of [
  ["does not get through", (response) => response.destroy()],
  ["is refused", (response) => response.writeHead(401).end("{}")],
]) {
  test(`a stop() that ${what} closes the connection`, async (t) => {
    const { baseUrl, server } = await serve(t, async (request, response) => {
      if (request.method === "DELETE") return void refuse(response);
      head(response);
      response.on("close", () => server.emit("left"));
      response.write(ndjson(begun("Ho")));
    });
    const left = once(server, "left");
    const { error } = await heard(stopping(stream("translate", FIELDS, { baseUrl })));
    assert.ok(error instanceof GlossError);
    await left;
  });
}

test("a stop() of a stream that the service has forgotten goes on reading", async (t) => {
  const { baseUrl } = await serve(t, async (request, response, server) => {
    if (request.method === "DELETE") {
      response.writeHead(404).end("{}", () => server.emit("refused"));
      return;
    }
    head(response);
    response.write(ndjson(begun("Ho")));
    server.once("refused", () => response.end(ndjson(whole(["Ho"]).slice(2))));
  });
  const reading = stream("translate", FIELDS, { baseUrl });
  assert.equal((await heard(stopping(reading))).error, undefined);
  assert.equal(reading.finish.reason, "stop");
});

test("leaving the loop at the end sends nothing", async (t) => {
  const { baseUrl, asked } = await serve(t, answer(ndjson(whole(["x"]))));
  for await (const event of stream("translate", FIELDS, { baseUrl })) if (event.type === "finish") break;
  await fetch(baseUrl);
  assert.deepEqual(asked.map(({ method }) => method), ["POST", "GET"]);
});

async function* stopping(reading) {
  for await (const event of reading) {
    yield event;
    if (event.type === "text") await reading.stop();
  }
}

test("leaving the loop cancels on the server and closes the connection", async (t) => {
  const { baseUrl, server } = await running(t);
  const both = Promise.all([once(server, "cancelled"), once(server, "left")]);
  for await (const event of stream("translate", FIELDS, { baseUrl })) if (event.type === "text") break;
  await both;
});

test("aborting cancels on the server, closes the connection and throws the signal's reason", async (t) => {
  const { baseUrl, server } = await running(t);
  const both = Promise.all([once(server, "cancelled"), once(server, "left")]);
  const controller = new AbortController();
  const reason = new Error("enough");
  const states = [];
  const onConnection = ({ state }) => states.push(state);
  const reading = stream("translate", FIELDS, { baseUrl, signal: controller.signal, onConnection });
  await assert.rejects(async () => {
    for await (const event of reading) if (event.type === "text") controller.abort(reason);
  }, reason);
  await both;
  assert.deepEqual(states, ["open"]); // it was left, not lost
});

test("a signal that was aborted before sends nothing", async (t) => {
  const { baseUrl, asked } = await running(t);
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, signal: AbortSignal.abort() }));
  assert.equal(error.name, "AbortError");
  assert.equal(asked.length, 0);
});

test("a signal that is aborted after the end does nothing", async (t) => {
  const { baseUrl, asked } = await serve(t, answer(ndjson(whole(["x"]))));
  const controller = new AbortController();
  await stream("translate", FIELDS, { baseUrl, signal: controller.signal }).collect();
  assert.deepEqual(getEventListeners(controller.signal, "abort"), []);
  controller.abort();
  await fetch(baseUrl);
  assert.deepEqual(asked.map(({ method }) => method), ["POST", "GET"]);
});

test("leaving a resume() does not cancel the stream", async (t) => {
  const { baseUrl, asked, server } = await running(t);
  const left = once(server, "left");
  for await (const event of resume("s1", { baseUrl })) if (event.type === "text") break;
  await left;
  assert.deepEqual(asked.map(({ method }) => method), ["GET"]);
});

test("stop() of a resume() cancels the stream", async (t) => {
  const { baseUrl } = await running(t);
  const reading = resume("s1", { baseUrl });
  await heard(stopping(reading));
  assert.equal(reading.finish.reason, "cancelled");
});

test("stop() twice asks once", async (t) => {
  const { baseUrl, asked } = await running(t);
  const reading = stream("translate", FIELDS, { baseUrl });
  for await (const event of reading) if (event.type === "text") await Promise.all([reading.stop(), reading.stop()]);
  assert.deepEqual(asked.map(({ method }) => method), ["POST", "DELETE"]);
});

test("the request to cancel outlives the page that sends it", async (t) => {
  const { baseUrl } = await running(t);
  const inits = [];
  const own = (url, init) => fetch(url, inits.push(init) && init);
  await heard(stopping(stream("translate", FIELDS, { baseUrl, fetch: own })));
  assert.deepEqual([inits[1].method, inits[1].keepalive], ["DELETE", true]);
});

/** Serve a stream whose head waits until the test emits `answer`. */
function slow(t) {
  return serve(t, async (request, response, server) => {
    if (request.method === "DELETE") return void server.emit("cancelled", response.writeHead(202).end());
    response.on("close", () => server.emit("left"));
    server.once("answer", () => head(response));
  });
}

test("aborting before the head ends the loop at once, and the stream as soon as it has a name", async (t) => {
  const { baseUrl, asked, server } = await slow(t);
  const controller = new AbortController();
  const reason = new Error("enough");
  const all = stream("translate", FIELDS, { baseUrl, signal: controller.signal }).collect();
  await once(server, "asked");
  controller.abort(reason);
  await assert.rejects(all, reason);
  const both = Promise.all([once(server, "cancelled"), once(server, "left")]);
  server.emit("answer");
  await both;
  assert.deepEqual(asked.map(({ method, path }) => `${method} ${path}`), ["POST /v1/translate", "DELETE /v1/streams/s1"]);
});

test("aborting a resume() before the head closes the connection and cancels nothing", async (t) => {
  const { baseUrl, asked, server } = await slow(t);
  const controller = new AbortController();
  const left = once(server, "left");
  const all = resume("s1", { baseUrl, signal: controller.signal }).collect();
  await once(server, "asked");
  controller.abort();
  await assert.rejects(all, { name: "AbortError" });
  await left;
  assert.equal(asked.length, 1);
});

test("stop() while it waits for another try ends the stream, and the next try brings the end", async (t) => {
  const log = whole(["Ho", "la"], { reason: "cancelled" });
  const { baseUrl, asked } = await tell(t, log, { upTo: 2 }, {});
  const onConnection = ({ state }) => state === "lost" && reading.stop();
  const reading = stream("translate", FIELDS, { baseUrl, backoffMs: 1, onConnection });
  assert.equal((await heard(reading)).error, undefined);
  assert.equal(asked.filter(({ method }) => method === "DELETE").length, 1);
});

test("a stop() that does not get through ends the waiting for another try, as an interruption", async (t) => {
  const { baseUrl, server } = await tell(t, whole(["Ho", "la"]), { upTo: 2 });
  const onConnection = ({ state }) => {
    if (state === "lost") server.close(() => reading.stop());
  };
  const reading = stream("translate", FIELDS, { baseUrl, ...LONG, onConnection });
  const { error } = await heard(reading);
  assert.ok(error instanceof GlossInterrupted, String(error));
  assert.deepEqual(error.cursor, { stream: "s1", after: 2 });
});

test("aborting while it waits for another try ends the stream and the waiting", async (t) => {
  const { baseUrl, server } = await tell(t, whole(["Ho", "la"]), { upTo: 2 });
  const controller = new AbortController();
  const cancelled = once(server, "cancelled");
  const onConnection = ({ state }) => state === "lost" && setImmediate(() => controller.abort());
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, signal: controller.signal, onConnection, ...LONG }));
  assert.equal(error.name, "AbortError");
  await cancelled;
});

test("stop() while the request itself waits for another try ends the waiting", async (t) => {
  const { baseUrl, asked } = await tell(t, whole(["Ho"]), { cut: true });
  const onConnection = () => setImmediate(() => reading.stop());
  const reading = stream("translate", FIELDS, { baseUrl, ...LONG, onConnection });
  const { error } = await heard(reading);
  assert.ok(error instanceof GlossInterrupted);
  assert.deepEqual(asked.map(({ method }) => method), ["POST"]);
});

test("after stop() a connection that breaks is made again, for the end with what it cost", async (t) => {
  const log = whole(["Ho"], { reason: "cancelled" });
  const { baseUrl } = await tell(t, log, { upTo: 2 }, {});
  const reading = stream("translate", FIELDS, { baseUrl, backoffMs: 1 });
  assert.equal((await heard(stopping(reading))).error, undefined);
  assert.equal(reading.finish.reason, "cancelled");
});

test("stop() of a stream that no answer has named closes the connection", async (t) => {
  const { baseUrl, server } = await serve(t, (_request, response, server) => {
    response.on("close", () => server.emit("left"));
    response.writeHead(200, { "Content-Type": "application/x-ndjson" }).flushHeaders();
  });
  const left = once(server, "left");
  const reading = stream("translate", FIELDS, { baseUrl });
  const all = heard(reading);
  await reading.stop();
  assert.ok((await all).error instanceof GlossInterrupted);
  await left;
});
