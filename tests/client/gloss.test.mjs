/** What gloss.js promises, one fact a test, over real sockets. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import * as gloss from "../../client/gloss.js";
import { answer, begun, head, heard, ndjson, ONCE, serve, sse, USAGE, whole } from "./service.mjs";

const { GlossInterrupted, GlossLost, GlossProblem, GlossProtocolError, resume, stream, text } = gloss;
const FIELDS = { text: "Good morning", target: "es" };
const HOLA = ["Ho", "la, señor 😀", "\n", "adiós"];

test("events come as they stand on the wire, numbered from 1", async (t) => {
  const said = whole(HOLA);
  const { baseUrl } = await serve(t, answer(ndjson(said)));
  const reading = stream("translate", FIELDS, { baseUrl });
  assert.deepEqual(await heard(reading), { events: said });
  const { id, lastId, finish, start } = reading;
  assert.deepEqual([id, lastId, reading.text, finish, start], ["s1", 6, HOLA.join(""), said[5], said[0]]);
});

test("the fields are the body, with half a minute's grace, and the encoding is asked for", async (t) => {
  const { baseUrl, asked } = await serve(t, answer(ndjson(whole(["x"]))));
  await stream("translate", FIELDS, { baseUrl }).collect();
  const [{ method, path, headers, body }] = asked;
  const said = { ...FIELDS, options: { on_disconnect: 30 } };
  assert.deepEqual([method, path, JSON.parse(body)], ["POST", "/v1/translate", said]);
  assert.equal(headers["content-type"], "application/json");
  assert.equal(headers.accept, "application/x-ndjson");
  assert.equal(headers.authorization, undefined);
});

test("the caller's own options are sent, and win", async (t) => {
  const { baseUrl, asked } = await serve(t, answer(ndjson(whole(["x"]))));
  const options = { model: "m", on_disconnect: "cancel" };
  await stream("translate", { ...FIELDS, options }, { baseUrl }).collect();
  assert.deepEqual(JSON.parse(asked[0].body).options, options);
});

test("before the first event nothing is known", () => {
  const { id, lastId, text, start, finish, cursor } = stream("translate", FIELDS, { baseUrl: "http://x" });
  assert.deepEqual([id, lastId, text, start, finish, cursor], [null, 0, "", null, null, null]);
});

test("the stream's name is read from the body where the header is not exposed", async (t) => {
  const { baseUrl } = await serve(t, (_request, response) => {
    response.writeHead(200, { "Content-Type": "application/x-ndjson" }).end(ndjson(whole(["x"])));
  });
  assert.equal((await stream("translate", FIELDS, { baseUrl }).collect()).id, "s1");
});

test("a fetch of one's own is used, and told to keep nothing and to give nothing away", async (t) => {
  const { baseUrl } = await serve(t, answer(ndjson(whole(["x"]))));
  const inits = [];
  const own = (url, init) => fetch(url, inits.push(init) && init);
  await stream("translate", FIELDS, { baseUrl, fetch: own }).collect();
  const { cache, credentials, referrerPolicy, redirect } = inits[0];
  assert.deepEqual([cache, credentials, referrerPolicy, redirect], ["no-store", "omit", "no-referrer", "manual"]);
});

test("the key goes as Bearer", async (t) => {
  const { baseUrl, asked } = await serve(t, answer(ndjson(whole(["x"]))));
  await stream("translate", FIELDS, { baseUrl, key: "gloss_a_b" }).collect();
  assert.equal(asked[0].headers.authorization, "Bearer gloss_a_b");
});

test("nothing is sent before the first event is asked for", async (t) => {
  const { baseUrl, asked } = await serve(t, answer(ndjson(whole(["x"]))));
  const reading = stream("translate", FIELDS, { baseUrl });
  await fetch(baseUrl);
  assert.deepEqual(asked.map(({ path }) => path), ["/"]);
  await reading.collect();
});

test("what a server adds to hide sizes is not seen", async (t) => {
  const said = whole(HOLA);
  const blanks = ndjson(said).replaceAll("\n", `${" ".repeat(40)}\n`);
  const comments = sse(said).replaceAll("\n\n", `\n:${" ".repeat(40)}\n\n`);
  for (const [encoding, type, body] of [
    ["ndjson", "application/x-ndjson", blanks],
    ["sse", "text/event-stream", comments],
  ]) {
    const { baseUrl } = await serve(t, answer(body, type));
    assert.deepEqual(await heard(stream("translate", FIELDS, { baseUrl, encoding })), { events: said });
  }
});

test("a base address may have a path", async (t) => {
  const { baseUrl, asked } = await serve(t, answer(ndjson(whole(["x"]))));
  await stream("translate", FIELDS, { baseUrl: `${baseUrl}/gloss` }).collect();
  assert.equal(asked[0].path, "/gloss/v1/translate");
});

test("outside of a browser the base address has to be said", () => {
  assert.throws(() => stream("translate", FIELDS), TypeError);
});

test("an encoding that does not exist is refused", () => {
  assert.throws(() => stream("translate", FIELDS, { baseUrl: "http://x", encoding: "xml" }), TypeError);
});

for (const [encoding, type, write] of [
  ["ndjson", "application/x-ndjson", ndjson],
  ["sse", "text/event-stream", sse],
]) {
  test(`${encoding} cut at every byte gives the same events`, async (t) => {
    const said = whole(HOLA);
    const { baseUrl } = await serve(t, async (_request, response) => {
      head(response, type);
      for (const byte of Buffer.from(write(said))) await written(response, Buffer.of(byte));
      response.end();
    });
    assert.deepEqual(await heard(stream("translate", FIELDS, { baseUrl, encoding })), { events: said });
  });

  test(`${encoding} splits lines at LF only`, async (t) => {
    const said = whole(["a\u2028b\u2029c\u0085d\rf\r\n"]);
    const { baseUrl } = await serve(t, answer(write(said), type));
    assert.deepEqual(await heard(stream("translate", FIELDS, { baseUrl, encoding })), { events: said });
  });
}

const written = (response, bytes) => new Promise((done) => response.write(bytes, done));

test("SSE's comments, retry fields and CR LF are no events", async (t) => {
  const said = whole(["x"]);
  const body = `: hb\n\nretry: 5\n\n${sse(said).replaceAll("\n", "\r\n")}`;
  const { baseUrl } = await serve(t, answer(body, "text/event-stream"));
  assert.deepEqual(await heard(stream("translate", FIELDS, { baseUrl, encoding: "sse" })), { events: said });
});

test("an SSE message may have several lines of data", async (t) => {
  const said = whole(["x"]);
  const body = said.map((e) => `data: ${JSON.stringify(e, null, 1).replaceAll("\n", "\ndata: ")}\n\n`).join("");
  const { baseUrl } = await serve(t, answer(body, "text/event-stream"));
  assert.deepEqual(await heard(stream("translate", FIELDS, { baseUrl, encoding: "sse" })), { events: said });
});

test("heartbeats are no events, and onLine sees them", async (t) => {
  const said = whole(["x"]);
  const lines = [];
  const { baseUrl } = await serve(t, answer(`\n${ndjson(said)}`));
  const reading = stream("translate", FIELDS, { baseUrl, onLine: (line) => lines.push(line) });
  assert.deepEqual(await heard(reading), { events: said });
  assert.deepEqual(lines, ["", ...said.map((event) => JSON.stringify(event))]);
});

test("a body that ends without an end is an interruption that says how far it came", async (t) => {
  const { baseUrl } = await serve(t, answer(ndjson(begun("Ho", "la"))));
  const { events, error } = await heard(stream("translate", FIELDS, { baseUrl, ...ONCE }));
  assert.equal(events.length, 3);
  assert.ok(error instanceof GlossInterrupted);
  assert.deepEqual([error.id, error.lastId, error.text], ["s1", 3, "Hola"]);
  assert.deepEqual(error.cursor, { stream: "s1", after: 3 });
});

test("a connection that breaks is an interruption, and the stream is left for reading on", async (t) => {
  const { baseUrl, asked } = await serve(t, async (_request, response) => {
    head(response);
    await written(response, ndjson(begun("Ho")));
    response.destroy();
  });
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, ...ONCE }));
  assert.ok(error instanceof GlossInterrupted);
  assert.ok(error.cause instanceof Error);
  assert.deepEqual([error.name, error.id], ["GlossInterrupted", "s1"]);
  await fetch(baseUrl).catch(() => {});
  assert.deepEqual(asked.map(({ method }) => method), ["POST", "GET"]);
});

test("a last line without a line end is not taken for an event", async (t) => {
  const { baseUrl } = await serve(t, answer(ndjson(whole(["x"])).trimEnd()));
  const reading = stream("translate", FIELDS, { baseUrl, ...ONCE });
  const { error } = await heard(reading);
  assert.ok(error instanceof GlossInterrupted);
  assert.equal(reading.finish, null);
});

test("a service that cannot be reached is an interruption without an id", async (t) => {
  const { baseUrl, server } = await serve(t, answer(""));
  server.close();
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, ...ONCE }));
  assert.ok(error instanceof GlossInterrupted);
  assert.equal(error.id, null);
});

test("a refusal is thrown with its status, its problem and when to come back", async (t) => {
  const problem = { type: "/problems/rate-limited", title: "Too fast", status: 429, detail: "Slower." };
  const { baseUrl } = await serve(t, (_request, response) => {
    response.writeHead(429, { "Content-Type": "application/problem+json", "Retry-After": "7" });
    response.end(JSON.stringify(problem));
  });
  const { error } = await heard(stream("translate", FIELDS, { baseUrl }));
  assert.ok(error instanceof GlossProblem);
  assert.deepEqual(error.problem, problem);
  const { status, slug, retryAfter, message, event } = error;
  assert.deepEqual([status, slug, retryAfter, message, event], [429, "rate-limited", 7, "Slower.", null]);
});

test("Retry-After may be a date, and one that has passed means now", async (t) => {
  const { baseUrl } = await serve(t, (_request, response) => {
    response.writeHead(503, { "Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT" }).end("{}");
  });
  assert.equal((await heard(stream("translate", FIELDS, { baseUrl, ...ONCE }))).error.retryAfter, 0);
});

test("a refusal that is no problem object (a proxy's page) becomes one", async (t) => {
  const { baseUrl } = await serve(t, (_request, response) => {
    response.writeHead(502, { "Content-Type": "text/html" }).end("<h1>Bad Gateway</h1>");
  });
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, ...ONCE }));
  assert.ok(error instanceof GlossProblem);
  assert.deepEqual(error.problem, { type: "about:blank", title: "Bad Gateway", status: 502 });
  assert.equal(error.retryAfter, null);
});

test("an answer of another type (a login page with 200) is not read", async (t) => {
  const { baseUrl } = await serve(t, answer("<html>", "text/html"));
  const { error } = await heard(stream("translate", FIELDS, { baseUrl }));
  assert.ok(error instanceof GlossProtocolError);
});

test("a redirect is not followed: the key would go along", async (t) => {
  const { baseUrl, asked } = await serve(t, (_request, response) => {
    response.writeHead(307, { Location: "/elsewhere" }).end();
  });
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, key: "k" }));
  assert.ok(error instanceof GlossProtocolError);
  assert.equal(asked.length, 1);
});

test("an error event is handed over and then thrown", async (t) => {
  const problem = { type: "/problems/provider-timeout", title: "Too slow", status: 504 };
  const end = { id: 3, type: "error", problem, usage: USAGE, partial: true };
  const { baseUrl } = await serve(t, answer(ndjson([...begun("Ho"), end])));
  const { events, error } = await heard(stream("translate", FIELDS, { baseUrl }));
  assert.deepEqual(events.at(-1), end);
  assert.ok(error instanceof GlossProblem);
  assert.deepEqual([error.slug, error.status, error.text, error.event], ["provider-timeout", 504, "Ho", end]);
});

for (const [what, events] of [
  ["a gap in the numbers", [begun("a")[0], { id: 3, type: "text", text: "b" }]],
  ["a number that is none", [...begun("a"), { id: "2", type: "text", text: "b" }]],
  ["a stream without start", [{ id: 1, type: "text", text: "a" }]],
  ["a second start", [...begun("a"), { ...begun()[0], id: 3 }]],
  ["a line that is no object", [7]],
]) {
  test(`${what} is a protocol error`, async (t) => {
    const { baseUrl } = await serve(t, answer(ndjson(events)));
    const { error } = await heard(stream("translate", FIELDS, { baseUrl }));
    assert.ok(error instanceof GlossProtocolError, String(error));
  });
}

test("a line that is not JSON is a protocol error", async (t) => {
  const { baseUrl } = await serve(t, answer("data: what\n"));
  assert.ok((await heard(stream("translate", FIELDS, { baseUrl }))).error instanceof GlossProtocolError);
});

test("bytes that are not UTF-8 are a protocol error", async (t) => {
  const { baseUrl } = await serve(t, answer(Buffer.of(0x22, 0xff, 0x22, 0x0a)));
  assert.ok((await heard(stream("translate", FIELDS, { baseUrl }))).error instanceof GlossProtocolError);
});

test("a line longer than the limit is a protocol error, and the connection is closed", async (t) => {
  const { baseUrl, server } = await serve(t, (_request, response) => {
    head(response);
    response.on("close", () => server.emit("left"));
    response.write("x".repeat(101));
  });
  const left = once(server, "left");
  const { error } = await heard(stream("translate", FIELDS, { baseUrl, lineLimit: 100 }));
  assert.ok(error instanceof GlossProtocolError);
  await left;
});

for (const [what, wrong] of [["hash", { sum: "0".repeat(64) }], ["length", { chars: 2 }]]) {
  test(`a text that has not the ${what} that was sent is never finished`, async (t) => {
    const { baseUrl } = await serve(t, answer(ndjson(whole(["😀"], wrong))));
    const reading = stream("translate", FIELDS, { baseUrl });
    const { events, error } = await heard(reading);
    assert.ok(error instanceof GlossProtocolError);
    assert.deepEqual([events.at(-1).type, reading.finish], ["text", null]);
  });
}

test("the connection is used again after an answer", async (t) => {
  const { baseUrl, server } = await serve(t, answer(ndjson(whole(["x"]))));
  let connections = 0;
  server.on("connection", () => (connections += 1));
  for (let i = 0; i < 3; i += 1) await stream("translate", FIELDS, { baseUrl }).collect();
  assert.equal(connections, 1);
});

test("resume() goes on after the event that is known, and checks the whole text", async (t) => {
  const said = whole(HOLA);
  const { baseUrl, asked } = await serve(t, answer(ndjson(said.slice(3))));
  const reading = resume("s1", { baseUrl, after: 3, text: HOLA.slice(0, 2).join("") });
  assert.deepEqual(await heard(reading), { events: said.slice(3) });
  assert.equal(reading.text, HOLA.join(""));
  assert.deepEqual([asked[0].method, asked[0].path], ["GET", "/v1/streams/s1?after=3"]);
});

test("resume() with the wrong text before it is a protocol error", async (t) => {
  const { baseUrl } = await serve(t, answer(ndjson(whole(HOLA).slice(3))));
  const { error } = await heard(resume("s1", { baseUrl, after: 3, text: "something else" }));
  assert.ok(error instanceof GlossProtocolError);
});

test("resume() from the middle without the text before it checks no hash", async (t) => {
  const { baseUrl } = await serve(t, answer(ndjson(whole(HOLA).slice(3))));
  const reading = resume("s1", { baseUrl, after: 3 });
  assert.equal((await heard(reading)).error, undefined);
  assert.equal(reading.finish.reason, "stop");
});

test("resume() of a stream that has nothing left says so", async (t) => {
  const { baseUrl } = await serve(t, (_request, response) => response.writeHead(204).end());
  const { events, error } = await heard(resume("s1", { baseUrl, after: 6 }));
  assert.deepEqual(events, []);
  assert.ok(error instanceof GlossLost);
});

test("a cursor goes through JSON, and resume() takes it as it is", async (t) => {
  const { baseUrl, asked } = await serve(t, answer(ndjson(whole(HOLA).slice(2))));
  const reading = resume("s1", { baseUrl, after: 2 });
  for await (const { id } of reading) if (id === 3) break;
  const cursor = JSON.parse(JSON.stringify(reading.cursor));
  await resume(cursor.stream, { ...cursor, baseUrl }).collect().catch(() => {});
  assert.deepEqual(asked.map(({ path }) => path), ["/v1/streams/s1?after=2", "/v1/streams/s1?after=3"]);
});

test("collect() gives everything", async (t) => {
  const said = whole(HOLA);
  const { baseUrl } = await serve(t, answer(ndjson(said)));
  assert.deepEqual(await stream("translate", FIELDS, { baseUrl }).collect(), {
    id: "s1", text: HOLA.join(""), events: said, finish: said.at(-1),
  });
});

test("text() gives the whole text", async (t) => {
  const { baseUrl } = await serve(t, answer(ndjson(whole(HOLA))));
  assert.equal(await text("translate", FIELDS, { baseUrl }), HOLA.join(""));
});

test("text() throws what ended for another reason than being complete", async (t) => {
  const { baseUrl } = await serve(t, answer(ndjson(whole(["Ho"], { reason: "deadline" }))));
  await assert.rejects(text("translate", FIELDS, { baseUrl }), (error) => {
    assert.ok(error instanceof GlossInterrupted);
    assert.deepEqual([error.text, error.finish.reason], ["Ho", "deadline"]);
    return true;
  });
});

test("text() gives an answer as long as was asked for", async (t) => {
  const { baseUrl } = await serve(t, answer(ndjson(whole(["Ho"], { reason: "length" }))));
  const asked = { ...FIELDS, options: { max_output_tokens: 1 } };
  assert.equal(await text("translate", asked, { baseUrl }), "Ho");
  await assert.rejects(text("translate", FIELDS, { baseUrl }), GlossInterrupted);
});

test("what is exported is declared, and what is declared is exported", async () => {
  const types = await readFile(new URL("../../client/gloss.d.ts", import.meta.url), "utf8");
  const declared = [...types.matchAll(/^export (?:class|function) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual([...new Set(declared)].sort(), Object.keys(gloss).sort());
});
