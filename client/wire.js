/** What goes over the wire, as it comes, and the command that gives the same. */

import { key } from "./key.js";
import { $, el, seconds } from "./view.js";

/** Quote for a POSIX shell. */
const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

export function curlLine(useCase, fields) {
  const url = new URL(`v1/${useCase}`, document.baseURI);
  return [
    `curl -N ${quoted(url.href)}`,
    "-H 'Accept: application/x-ndjson'",
    ...(key.value === "" ? [] : ['-H "Authorization: Bearer $GLOSS_KEY"']),
    `-d ${quoted(JSON.stringify(fields))}`,
  ].join(" \\\n  ");
}

const WIRE_ROWS = 1_000; // more is of no use to a reader, and slow

export const wire = {
  since: 0,
  begin(useCase, fields) {
    $("curl").textContent = curlLine(useCase, fields);
    $("events").replaceChildren();
    this.since = performance.now();
  },
  /** Fetch, and show what is sent: also what the client library sends by itself. */
  fetch(url, init) {
    wire.row("sent", `${init.method} ${url.pathname}${url.search}`, init.body ?? "");
    return fetch(url, init);
  },
  connection({ state, error }) {
    if (state === "lost") wire.row("lost", error.drained ? "drained" : "connection lost", error.message);
  },
  line(line) {
    const type = /"type":\s*"([\w.-]+)"/.exec(line)?.[1] ?? "";
    if (line.trim() === "") wire.row("beat", "heartbeat", "an empty line");
    else wire.row(type, type, line);
  },
  row(kind, type, line) {
    const list = $("events");
    const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const time = el("span", { className: "when", textContent: seconds(performance.now() - this.since) });
    const what = el("span", { className: "what", textContent: type });
    list.append(el("li", { "data-kind": kind }, time, what, el("code", { textContent: line })));
    if (list.childElementCount > WIRE_ROWS) list.firstElementChild.remove();
    if (follows) list.scrollTop = list.scrollHeight;
  },
};
