/** A service with a script: what it answers, and what it was asked. A real server on loopback. */
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";

export const USAGE = {
  input_tokens: 5, output_tokens: 2, cached_input_tokens: 0, reasoning_tokens: 0,
  cost_usd: null, estimated: false, from_cache: false,
};

export const sha256 = (text) => createHash("sha256").update(text).digest("hex");

const START = {
  type: "start", stream: "s1", use_case: "translate", model: "m", prompt: "translate@1",
  input_tokens: 5, limits: { max_output_tokens: 9, deadline_s: 60 }, created: "2026-01-01T00:00:00Z",
};

/** The events of an answer in these pieces, numbered, without an end. */
export function begun(...pieces) {
  const texts = pieces.map((text) => ({ type: "text", text }));
  return [START, ...texts].map((event, at) => ({ id: at + 1, ...event }));
}

/** The same with `finish`. */
export function whole(pieces, { reason = "stop", sum, chars } = {}) {
  const [events, text] = [begun(...pieces), pieces.join("")];
  const finish = {
    type: "finish", reason, usage: USAGE, chars: chars ?? [...text].length, sha256: sum ?? sha256(text),
    timing: { first_text_ms: 1, total_ms: 2 },
  };
  return [...events, { id: events.length + 1, ...finish }];
}

export const ndjson = (events) => events.map((event) => `${JSON.stringify(event)}\n`).join("");

export const sse = (events) =>
  events.map((e) => `id: ${e.id}\nevent: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`).join("");

export function head(response, type = "application/x-ndjson") {
  response.writeHead(200, { "Content-Type": `${type}; charset=utf-8`, "Gloss-Stream": "s1" });
  response.flushHeaders();
}

/** Answer with this body and end properly. */
export function answer(body, type) {
  return (_request, response) => {
    head(response, type);
    response.end(body);
  };
}

/** Serve `handler` for one test; `asked` collects method, path, headers and body of each request. */
export async function serve(t, handler) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const { method, url: path, headers } = request;
    const seen = { method, path, headers, body: "" };
    for await (const chunk of request) seen.body += chunk;
    asked.push(seen);
    server.emit("asked", seen);
    await handler(request, response, server);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const baseUrl = `http://127.0.0.1:${server.address().port}`;
  return { baseUrl, asked, server };
}

/** What a reading is told that is to give up at the first trouble. */
export const ONCE = { startMs: 0, resumeMs: 0 };

/** Read to the end; return the events that came and the error that was thrown, if any. */
export async function heard(reading) {
  const events = [];
  try {
    for await (const event of reading) events.push(event);
  } catch (error) {
    return { events, error };
  }
  return { events };
}
