/** A service that keeps one stream's log and breaks as it is told to. */
import { head, ndjson, serve, sse } from "./service.mjs";

const WRITERS = { "application/x-ndjson": [ndjson, "\n"], "text/event-stream": [sse, ": hb\n\n"] };
const DRAINS = {
  "application/x-ndjson": '{"type":"drain"}\n',
  "text/event-stream": 'event: drain\nretry: 40\ndata: {"type":"drain"}\n\n',
};

/**
 * Serve this log for one test, one plan a request, in order; the last plan holds for all further ones.
 *
 *   { upTo: 3 }              the events until the third, from where the reader is, and then a cut
 *   { upTo: 3, then: … }     "end" in order without an end · "drain" · "silence" · "beats": heartbeats, `beats` many
 *   { from: 1 }              whatever was asked for, from the first event on
 *   { status: 503, headers } refused; with `problem` as its body
 *   { cut: true }            cut before the head
 *   {}                       all of it
 *
 * `asked` tells what each request was: method and path, and the rest as `serve` has it.
 */
export function tell(t, log, ...plans) {
  let next = 0;
  return serve(t, (request, response, server) => {
    if (request.method === "DELETE") return void server.emit("cancelled", response.writeHead(202).end());
    response.on("close", () => server.emit("left"));
    const plan = plans[Math.min(next, plans.length - 1)];
    next += 1;
    if (plan.cut) return void response.destroy();
    if (plan.status) return void refuse(response, plan);
    return send(request, response, log, plan);
  });
}

function refuse(response, { status, headers = {}, problem = {} }) {
  response.writeHead(status, { "Content-Type": "application/problem+json", ...headers });
  response.end(JSON.stringify(problem));
}

async function send(request, response, log, { upTo = log.length, from = null, then = "cut", beats = Infinity }) {
  const type = request.headers.accept;
  const [write, beat] = WRITERS[type];
  const after = Number(new URL(request.url, "http://x").searchParams.get("after") ?? 0);
  head(response, type);
  const body = write(log.slice((from ?? after + 1) - 1, upTo)) + (then === "drain" ? DRAINS[type] : "");
  await new Promise((done) => (body === "" ? done() : response.write(body, done)));
  if (upTo === log.length || then === "end") response.end();
  else if (then === "cut") response.destroy();
  else if (then === "beats") sendBeats(response, beat, beats);
}

function sendBeats(response, beat, left) {
  const timer = setInterval(() => ((left -= 1) > 0 ? response.write(beat) : response.destroy()), 5);
  response.on("close", () => clearInterval(timer));
}
