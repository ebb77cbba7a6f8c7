/**
 * The page: two views, "translate" and "tutor", on one client.
 *
 * Every word of an answer enters by `textContent`; nothing here makes HTML out of text.
 *
 *   events ──▶ Activity ──▶ a view's take(event)      what is shown
 *                    ├────▶ Status                    how it goes, what it cost, what went wrong
 *                    ├────▶ wire                      the lines themselves, and the curl command
 *                    └────▶ spoken                    whole sentences, for screen readers
 */

import { GlossInterrupted, GlossProblem, GlossProtocolError, read, stream } from "./gloss.js";

const $ = (id) => document.getElementById(id);

/** Make an element: properties, ARIA and data attributes by their names, then what it holds. */
function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

// ---------------------------------------------------------------- words and figures

const TAGS = `ar bg bn ca cs da de el en es et fa fi fr he hi hr hu id it ja ko lt lv ms nb nl pl
  pt-BR pt-PT ro ru sk sl sr sv sw ta th tr uk ur vi zh-Hans zh-Hant`.split(/\s+/);

const languageNames = new Intl.DisplayNames(["en"], { type: "language" });

function languageName(tag) {
  try {
    return languageNames.of(tag) ?? tag;
  } catch {
    return tag; // the service may know tags that this browser does not
  }
}

const LANGUAGES = TAGS.map((tag) => [tag, languageName(tag)]).sort(([, a], [, b]) => a.localeCompare(b));

const number = new Intl.NumberFormat("en");
const plural = (n, one, many = `${one}s`) => `${number.format(n)} ${n === 1 ? one : many}`;
const seconds = (ms) => `${(ms / 1000).toFixed(ms < 9_950 ? 1 : 0)} s`;
const small = new Intl.NumberFormat("en", { style: "currency", currency: "USD", maximumSignificantDigits: 2 });
const cost = (usd) => (usd === null ? "no price known for this model" : small.format(Number(usd)));

/** What went wrong, for a person: a title, and what to do. `{x}` is filled from the problem. */
const PROBLEMS = {
  "malformed-body": ["The request did not arrive whole", "Try again. If it happens again, something on the way changes what is sent."],
  "untrusted-host": ["This server goes by another name", "Open the page under the address that its operator gave you."],
  unauthorized: ["A key is needed", "Enter a key of this deployment."],
  forbidden: ["Your key may not do this", "Ask the operator for a key that includes it, or use another key."],
  "foreign-origin": ["This page may not call that server", "Open the page from the server itself."],
  "not-found": ["It is no longer there", "The server keeps lessons and answers for a while only. Begin again."],
  "request-timeout": ["The request took too long to arrive", "Your connection seems slow. Try again, or send less at once."],
  busy: ["The last answer is still being written", "Stop it, or wait until it is done."],
  "body-too-large": ["That is too much at once", "Send it in smaller parts."],
  "input-too-long": ["The text is too long", "It has {tokens} tokens, and {limit} are allowed. Send it in parts."],
  "invalid-input": ["Something in the form is not right", ""],
  "rate-limited": ["Too many requests in a short time", "Wait a moment, then try again."],
  "budget-exhausted": ["The budget is used up", "The operator of this deployment can raise it."],
  internal: ["Something went wrong at the server", "It is not your fault, and it was logged. Try again."],
  overloaded: ["The server is busy", "Wait a moment, then try again."],
  "shutting-down": ["The server is being restarted", "Try again in a few seconds."],
  "provider-error": ["The model did not answer properly", "It is not your fault. Try again in a moment."],
  "provider-incomplete": ["The model stopped in the middle", "Its answer is not whole. Try again."],
  "provider-rejected": ["The model refused the request", "The operator has to look at the account or the model that is set."],
  "provider-timeout": ["The model took too long", "Try again, or send a shorter text."],
};

/** Why an answer ended early, where nothing went wrong. */
const ENDS = {
  length: "It reached the longest answer that is allowed, so its end is missing.",
  deadline: "The time for one answer was used up, so its end is missing.",
  budget: "The budget ran out, so its end is missing.",
  superseded: "A newer request took its place.",
  disconnected: "The connection broke, and the server stopped so that nothing more is paid for.",
  content_filter: "The model's provider held back the rest.",
};

const NOTICES = {
  queued: "Waiting for a free place",
  thinking: "The model is thinking",
  checking: "Checking the answer",
  "provider-retry": "The model failed; asking again",
  "provider-fallback": "The model failed; another one answers",
};

const VERDICTS = { right: "Right", wrong: "Not yet", partial: "Partly right", unclear: "Could not be graded" };

const ACTIONS = { simplify: "Simpler", another_way: "Another way", example: "Example" };

/** Return what to show about an error: {title, advice, details, about, wait, again}. */
function explained(error) {
  if (error instanceof GlossProblem) return aboutProblem(error);
  if (error instanceof GlossProtocolError) {
    return { title: "The answer arrived damaged", advice: "Something on the way changed it. Try again.", again: true };
  }
  if (error instanceof GlossInterrupted && error.id !== null) {
    return { title: "The connection broke", advice: "The answer is not whole.", again: true };
  }
  if (!(error instanceof GlossInterrupted)) {
    console.error(error);
    return { title: "This page has a fault", advice: "Reload it. The browser's console says what happened." };
  }
  const advice = navigator.onLine ? "Check your connection, then try again." : "You are offline. Try again when you are back.";
  return { title: "The server cannot be reached", advice, again: true };
}

function aboutProblem({ slug, problem, retryAfter, status }) {
  const [title, advice] = PROBLEMS[slug] ?? [problem.title, problem.detail ?? ""];
  return {
    title,
    advice: advice.replace(/\{(\w+)\}/g, (_, name) => number.format(problem[name])),
    details: (problem.errors ?? []).map(({ field, problem: rule }) => `${field}: ${rule}`),
    about: /^\/problems\/[a-z-]+$/.test(problem.type) ? problem.type.slice(1) : null,
    wait: retryAfter ?? 0,
    again: status >= 500 || [401, 408, 429].includes(status),
  };
}

/** Quote for a POSIX shell. */
const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

function curlLine(useCase, fields) {
  const url = new URL(`v1/${useCase}`, document.baseURI);
  return [
    `curl -N ${quoted(url.href)}`,
    "-H 'Accept: application/x-ndjson'",
    ...(key.value === "" ? [] : ['-H "Authorization: Bearer $GLOSS_KEY"']),
    `-d ${quoted(JSON.stringify(fields))}`,
  ].join(" \\\n  ");
}

// ---------------------------------------------------------------- what the browser remembers

/** One entry in a browser's storage; where that is closed, it holds until the page is closed. */
class Kept {
  #value = "";
  #area;
  #name;

  constructor(area, name) {
    this.#area = area;
    this.#name = name;
    this.#attempt((storage) => (this.#value = storage.getItem(name) ?? ""));
  }

  get value() {
    return this.#value;
  }

  set value(value) {
    this.#value = value;
    this.#attempt((storage) => (value === "" ? storage.removeItem(this.#name) : storage.setItem(this.#name, value)));
  }

  #attempt(act) {
    try {
      act(window[this.#area]);
    } catch (closed) {
      console.info("Nothing is kept for the next visit:", closed.name);
    }
  }
}

const kept = new Kept("localStorage", "gloss.choices");

/** Choices of the form, for the next visit; texts are not kept. */
const choices = {
  read: () => JSON.parse(kept.value || "{}"),
  write(changed) {
    kept.value = JSON.stringify({ ...choices.read(), ...changed });
  },
};

/** The key, for this tab only. */
const key = new Kept("sessionStorage", "gloss.key");

function setKey(value) {
  key.value = value;
  $("forget-key").hidden = value === "";
}

/** Ask for a key; false when nobody wants to give one. */
function askKey() {
  const dialog = $("key-dialog");
  $("key-wrong").hidden = key.value === "";
  $("key").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "given"), { once: true });
  });
}

function prepareKeyDialog() {
  $("key-form").addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    setKey($("key").value.trim());
    $("key-dialog").close("given");
  });
  $("key-cancel").addEventListener("click", () => $("key-dialog").close(""));
  $("forget-key").addEventListener("click", () => setKey(""));
  setKey(key.value);
}

// ---------------------------------------------------------------- spoken, wire

/** The polite live region: whole sentences, so that a screen reader is not interrupted per token. */
const spoken = {
  rest: "",
  feed(text, lang = "") {
    this.rest += text;
    const ends = [...this.rest.matchAll(/[.!?…]["”’»)]*\s|[。！？]|\n/g)];
    if (ends.length === 0) return;
    const last = ends.at(-1);
    const until = last.index + last[0].length;
    this.say(this.rest.slice(0, until), lang);
    this.rest = this.rest.slice(until);
  },
  flush(lang = "") {
    this.say(this.rest, lang);
    this.rest = "";
  },
  say(text, lang = "") {
    if (text.trim() === "") return;
    $("spoken").append(el("p", { lang, textContent: text.trim() }));
    while ($("spoken").childElementCount > 20) $("spoken").firstElementChild.remove();
  },
};

const WIRE_ROWS = 1_000; // more is of no use to a reader, and slow

/** What goes over the wire, as it comes. */
const wire = {
  since: 0,
  begin(useCase, fields) {
    $("curl").textContent = curlLine(useCase, fields);
    $("events").replaceChildren();
    this.since = performance.now();
    this.row("sent", `POST /v1/${useCase}`, JSON.stringify(fields));
  },
  sent(line) {
    this.row("sent", line, "");
  },
  line(line) {
    if (line.trim() === "") return this.row("beat", "heartbeat", "an empty line");
    const type = /"type":\s*"([\w.-]+)"/.exec(line)?.[1] ?? "";
    return this.row(type, type, line);
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

async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it and copy"; // the browser gives the clipboard to safe pages only
  }
  setTimeout(() => (button.textContent = label), 1_500);
}

// ---------------------------------------------------------------- one stream, and how it goes

/** The line under an answer: how it goes, what it cost, what went wrong. */
class Status {
  #line = el("p", { className: "facts" });
  #stop = el("button", { type: "button", className: "stop", hidden: true, title: "Esc", textContent: "Stop" });
  #notes = el("div", { className: "notes" });
  #timer = 0;
  #sent = 0;
  #first = null;
  #doing = "";
  #start = null;
  #remarks = [];

  constructor(place, onStop) {
    this.#stop.addEventListener("click", () => {
      this.#stop.disabled = true;
      onStop();
    });
    place.replaceChildren(el("div", { className: "row" }, this.#line, this.#stop), this.#notes);
  }

  begin() {
    this.#notes.replaceChildren();
    this.sent();
    this.#first = null;
    this.#start = null;
    this.#remarks = [];
    this.#doing = "Waiting for the first word";
    this.#stop.hidden = false;
    this.#stop.disabled = false;
    this.#timer = setInterval(() => this.#tick(), 100);
    this.#tick();
  }

  /** Time counts from here: what a person does in between, like finding a key, is no waiting. */
  sent() {
    this.#sent = performance.now();
  }

  take(event) {
    if (event.type === "start") this.#start = event;
    if (event.type === "text" && this.#first === null) {
      this.#first = performance.now() - this.#sent;
      this.#doing = "Writing";
    }
    if (event.type === "notice" && event.code in NOTICES) this.#doing = NOTICES[event.code];
    else if (event.type === "notice") this.#remarks.push(event.detail);
  }

  /** Show the end: `finish` of a stream that ended as it was meant to, else `error`. */
  end({ finish = null, error = null, again }) {
    clearInterval(this.#timer);
    this.#stop.hidden = true;
    const usage = finish?.usage ?? error?.event?.usage ?? null;
    this.#line.textContent = this.#facts(usage).join(" · ");
    const sentence = finish && this.#ending(finish);
    if (sentence) this.#note("note", el("p", { textContent: sentence }));
    if (error) this.#explain(error, again);
    if (this.#remarks.length > 0) this.#notes.append(remarks(this.#remarks));
  }

  #tick() {
    const waited = performance.now() - this.#sent;
    const first = this.#first === null ? [] : [`first word after ${seconds(this.#first)}`];
    this.#line.textContent = [this.#doing, seconds(waited), ...first].join(" · ");
  }

  #facts(usage) {
    const facts = [];
    if (this.#first !== null) facts.push(`First word after ${seconds(this.#first)}`);
    if (usage === null) return facts;
    facts.push(`${seconds(performance.now() - this.#sent)} in all`);
    const about = usage.estimated ? "about " : "";
    facts.push(`${about}${number.format(usage.input_tokens)} tokens in, ${number.format(usage.output_tokens)} out`);
    facts.push(cost(usage.cost_usd));
    return facts;
  }

  #ending({ reason, usage }) {
    if (reason !== "cancelled") return ENDS[reason];
    const most = this.#start.limits.max_output_tokens;
    const used = usage.output_tokens;
    const spared = number.format(Math.max(0, most - used));
    const of = `${usage.estimated ? "about " : ""}${number.format(used)} of at most ${number.format(most)}`;
    return `Stopped after ${of} output tokens; up to ${spared} were not generated.`;
  }

  #explain(error, again) {
    const { title, advice, details = [], about, wait = 0, again: sensible } = explained(error);
    const parts = [el("p", {}, el("strong", { textContent: title }))];
    if (advice) parts.push(el("p", { textContent: advice }));
    if (details.length) parts.push(el("ul", {}, ...details.map((line) => el("li", { textContent: line }))));
    if (sensible) parts.push(againButton(again, wait));
    if (about) parts.push(el("a", { href: about, target: "_blank", rel: "noopener", textContent: "What this means" }));
    this.#note("note bad", ...parts);
    spoken.say(`${title}. ${advice}`);
  }

  #note(className, ...parts) {
    this.#notes.replaceChildren(el("div", { className }, ...parts));
  }
}

function remarks(details) {
  const list = details.map((detail) => el("li", { textContent: detail }));
  return el("details", { className: "remarks", open: list.length < 4 }, el("summary", { textContent: plural(list.length, "remark") }), el("ul", {}, ...list));
}

/** A button that can be pressed after `wait` seconds, and says so. */
function againButton(again, wait) {
  const button = el("button", { type: "button", className: "quiet-button", onclick: again });
  const show = () => {
    button.disabled = wait > 0;
    button.textContent = wait > 0 ? `Try again in ${Math.ceil(wait)} s` : "Try again";
    if (wait > 0) setTimeout(show, 1_000);
    wait -= 1;
  };
  show();
  return button;
}

/**
 * Runs one stream at a time for a view: `begin()`, `take(event)` for each event, `end(outcome)`;
 * `sentAgain()` when a key was wanted and given.
 */
class Activity {
  #view;
  #reading = null;

  constructor(view) {
    this.#view = view;
  }

  get running() {
    return this.#reading !== null;
  }

  async run(useCase, fields) {
    if (this.running) return;
    this.#view.begin();
    wire.begin(useCase, fields);
    const outcome = await this.#outcome(useCase, fields);
    this.#reading = null;
    this.#view.end(outcome);
  }

  async stop() {
    if (this.#reading === null) return;
    if (this.#reading.id !== null) wire.sent(`DELETE /v1/streams/${this.#reading.id}`);
    await this.#reading.stop();
  }

  async #outcome(useCase, fields) {
    for (;;) {
      try {
        this.#reading = stream(useCase, fields, this.#options());
        for await (const event of this.#unbroken()) {
          if (event.type === "start") showModel(event);
          this.#view.take(event);
        }
        return { finish: this.#reading.finish };
      } catch (error) {
        const wanted = error.status === 401 && (await askKey());
        if (!wanted) return { error };
        wire.begin(useCase, fields);
        this.#view.sentAgain();
      }
    }
  }

  /** Read on once where the connection broke: the server may still know how it ended. */
  async *#unbroken() {
    try {
      yield* this.#reading;
    } catch (error) {
      if (!(error instanceof GlossInterrupted) || error.id === null) throw error;
      yield* this.#resumed(error);
    }
  }

  async *#resumed(broken) {
    const { id, lastId: after, text } = broken;
    wire.sent(`GET /v1/streams/${id}?after=${after}`);
    this.#reading = read(id, { after, text, ...this.#options() });
    try {
      yield* this.#reading;
    } catch (error) {
      throw error.event ? error : broken; // that it cannot be read again is not what went wrong
    }
    if (this.#reading.finish === null) throw broken;
  }

  #options() {
    return { key: key.value, onLine: (line) => wire.line(line) };
  }
}

function showModel({ model, prompt }) {
  $("answered-by").textContent = `Answered by ${model.split("/").pop()} with the prompt ${prompt}`;
}

// ---------------------------------------------------------------- prose

const LIST_ITEM = /^\s{0,3}(?:[-*+•]|(\d{1,3})[.)])\s+(.*)$/;
const HEADING = /^#{1,6}\s/;
const FENCE = /^\s{0,3}(```|~~~)/;
const INLINE = /(\*\*[^*\n]+\*\*|`[^`\n]+`|(?<![\w*])\*(?=\S)[^*\n]+(?<=\S)\*(?![\w*]))/;

/** Shows an explanation as it comes: the open block as written, finished ones set as prose, and said. */
class Prose {
  element = el("div", { className: "prose", dir: "auto" });
  #tail = el("p", { className: "tail" });
  #blocks = [];
  #lines = [];
  #rest = "";
  #fence = null;
  #headings;

  /** `headings` stand above it already; a first line that repeats one of them is not shown. */
  constructor(...headings) {
    this.#headings = headings.map(plain);
  }

  push(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    for (const line of lines) this.#line(line);
    const open = [...this.#lines, this.#rest].join("\n");
    this.#tail.textContent = this.#mayRepeat(open) ? "" : open;
    if (this.#tail.textContent !== "") this.element.append(this.#tail);
  }

  end() {
    this.#line(this.#rest);
    this.#rest = "";
    this.#settle();
    this.#tail.remove();
  }

  /** Whether nothing stands here yet but the line that is being written. */
  get empty() {
    return this.#blocks.length === 0 && this.#lines.length === 0;
  }

  /** Take away what ends the text and is shown elsewhere: a check's question and its choices. */
  dropTail(question, choices) {
    this.end();
    const options = choices.flatMap(({ label, text }) => [plain(label + text), plain(text)]);
    const isOption = (line) => options.includes(plain(line));
    while (this.#blocks.at(-1)?.text.split("\n").every(isOption)) this.#blocks.pop().element.remove();
    const last = this.#blocks.at(-1)?.text.trimEnd().split("\n") ?? [];
    while (last.length > 0 && isOption(last.at(-1))) last.pop();
    const said = last.join("\n");
    if (!said.endsWith(question.trim())) return;
    this.#blocks.pop().element.remove();
    this.push(said.slice(0, -question.trim().length).trimEnd());
    this.end();
  }

  /** Whether this open line may still turn out to repeat a heading. */
  #mayRepeat(open) {
    return this.empty && this.#headings.some((heading) => heading.startsWith(plain(open)));
  }

  #line(line) {
    if (this.#fence !== null) {
      this.#fenced(line);
      return;
    }
    if (this.empty && this.#headings.includes(plain(line))) return;
    const [, fence = null] = FENCE.exec(line) ?? [];
    const heading = HEADING.test(line);
    if (line.trim() === "" || fence !== null || heading || this.#listBegins(line)) this.#settle();
    this.#fence = fence;
    if (fence === null && line.trim() !== "") this.#lines.push(line);
    if (heading) this.#settle();
  }

  #fenced(line) {
    if (line.trimStart().startsWith(this.#fence)) this.#settle();
    else this.#lines.push(line);
  }

  #listBegins(line) {
    return LIST_ITEM.test(line) && this.#lines.length > 0 && !LIST_ITEM.test(this.#lines[0]);
  }

  #settle() {
    if (this.#lines.length === 0 && this.#fence === null) return;
    const text = this.#lines.join("\n");
    const element = this.#fence === null ? setBlock(this.#lines) : el("pre", {}, el("code", { textContent: text }));
    this.#blocks.push({ element, text });
    [this.#lines, this.#fence] = [[], null];
    this.#tail.remove();
    this.element.append(element);
    spoken.say(element.textContent);
  }
}

function setBlock(lines) {
  const [first] = lines;
  if (HEADING.test(first)) return el("h4", {}, ...setInline(first.replace(/^#+\s+/, "")));
  const item = LIST_ITEM.exec(first);
  if (item === null) return el("p", {}, ...setInline(lines.join("\n")));
  const list = item[1] === undefined ? el("ul") : el("ol", { start: Number(item[1]) });
  for (const line of lines) {
    const next = LIST_ITEM.exec(line);
    if (next) list.append(el("li", {}, ...setInline(next[2])));
    else list.lastElementChild.append(" ", ...setInline(line.trim()));
  }
  return list;
}

/** Set `**strong**`, `*stress*` and `` `code` ``; all else is plain text. */
function setInline(text) {
  return text.split(INLINE).map((part, at) => {
    if (at % 2 === 0) return document.createTextNode(part);
    if (part.startsWith("**")) return el("strong", { textContent: part.slice(2, -2) });
    if (part.startsWith("`")) return el("code", { textContent: part.slice(1, -1) });
    return el("em", { textContent: part.slice(1, -1) });
  });
}

/** Letters and digits only: two sayings that differ in marks and spaces are the same. */
const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");

// ---------------------------------------------------------------- translate

const MOST_TARGETS = 4;

const TRANSLATE_SAMPLES = {
  "a human right": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.",
  "a recipe": "For four people:\n\n- 500 g of potatoes\n- 2 onions\n- a little nutmeg\n\nPeel the potatoes, slice them thinly and fry them over low heat until they are golden.",
  "an apology": "I'm sorry for the late reply. I was travelling and only saw your message this morning.\n\nCould we talk on Thursday instead?",
};

/** One translation as it comes. */
class Rendering {
  #node = document.createTextNode("");
  #out;
  #copy = el("button", { type: "button", className: "link", hidden: true, textContent: "Copy" });
  element;

  constructor(tag, titled) {
    this.tag = tag;
    this.#out = el("p", { className: "out", lang: tag, dir: "auto" }, this.#node);
    this.#copy.addEventListener("click", () => copy(this.#copy, this.#node.data));
    const title = titled ? [el("h3", { textContent: languageName(tag) })] : [];
    this.element = el("section", { className: "rendering writing" }, ...title, this.#out, this.#copy);
  }

  get empty() {
    return this.#node.data.trim() === "";
  }

  push(text) {
    this.#node.appendData(this.#node.length === 0 ? text.replace(/^\n+/, "") : text);
  }

  end(cut) {
    this.#node.data = this.#node.data.trimEnd();
    this.#copy.hidden = this.empty;
    this.element.classList.remove("writing");
    if (cut && !this.empty) this.element.insertBefore(el("p", { className: "cut", textContent: cut }), this.element.lastChild);
  }
}

/** What to write under an answer that is not whole. */
function cutOf({ finish, error }) {
  if (error) return "Broke off here";
  if (finish.reason === "stop") return "";
  return finish.reason === "cancelled" ? "Stopped here" : "Cut off here";
}

class Translate {
  #activity = new Activity(this);
  #status = new Status($("translate-status"), () => this.stop());
  #renderings = new Map();
  #last = null; // the rendering that the latest text went to

  constructor() {
    const { targets = [preferredTarget()], formality = "default" } = choices.read();
    fillLanguages($("source-language"), "", ["", "Detect language"]);
    for (const tag of targets) this.#addTarget(tag);
    $("formality").value = formality;
    $("add-target").addEventListener("click", () => this.#addTarget(this.#unused()));
    $("translate-form").addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      this.send();
    });
    $("source-text").addEventListener("input", () => this.#counted());
    addSamples($("translate-samples"), TRANSLATE_SAMPLES, (sample) => {
      $("source-text").value = sample;
      this.#counted();
      this.send();
    });
    this.#empty();
  }

  send() {
    if (this.#activity.running) return;
    const text = $("source-text").value;
    if (text.trim() === "") return void $("source-text").focus();
    choices.write({ targets: this.#targets(), formality: $("formality").value });
    void this.#activity.run("translate", this.#fields(text));
  }

  stop() {
    return this.#activity.stop();
  }

  begin() {
    const targets = [...new Set(this.#targets())];
    this.#renderings = new Map(targets.map((tag) => [tag, new Rendering(tag, targets.length > 1)]));
    this.#last = this.#renderings.get(targets[0]);
    $("renderings").replaceChildren(...[...this.#renderings.values()].map(({ element }) => element));
    this.#detected("Detect language");
    $("translate-go").disabled = true;
    this.#status.begin();
  }

  sentAgain() {
    this.#status.sent();
  }

  take(event) {
    this.#status.take(event);
    if (event.type === "detected" && event.language !== "und") this.#detected(`Detected: ${languageName(event.language)}`);
    if (event.type !== "text") return;
    const rendering = this.#renderings.get(event.target) ?? this.#last;
    if (rendering !== this.#last) spoken.flush(this.#last.tag);
    this.#last = rendering;
    rendering.push(event.text);
    spoken.feed(event.text, rendering.tag);
  }

  end(outcome) {
    spoken.flush(this.#last.tag);
    const cut = cutOf(outcome);
    const later = [...this.#renderings.values()].slice([...this.#renderings.values()].indexOf(this.#last));
    for (const rendering of this.#renderings.values()) rendering.end(later.includes(rendering) ? cut : "");
    $("translate-go").disabled = false;
    if (outcome.error && this.#last.empty) this.#empty();
    this.#status.end({ ...outcome, again: () => this.send() });
  }

  #fields(text) {
    const targets = [...new Set(this.#targets())];
    const rules = $("instructions").value.split("\n").map((rule) => rule.trim()).filter(Boolean);
    const given = {
      source: $("source-language").value,
      formality: $("formality").value === "default" ? "" : $("formality").value,
      context: $("context").value.trim(),
      instructions: rules.length ? rules : "",
    };
    const said = Object.entries(given).filter(([, value]) => value !== "");
    return { text, target: targets.length === 1 ? targets[0] : targets, ...Object.fromEntries(said) };
  }

  #detected(label) {
    $("source-language").options[0].textContent = label;
  }

  #targets() {
    return [...$("targets").querySelectorAll("select")].map((select) => select.value);
  }

  #unused() {
    const taken = this.#targets();
    return ["es", "de", "fr", "zh-Hans", "ja", "ar"].find((tag) => !taken.includes(tag));
  }

  #addTarget(tag) {
    const select = el("select", { "aria-label": "Language to translate into" });
    fillLanguages(select, tag);
    const remove = el("button", { type: "button", className: "remove", "aria-label": "Remove this language", textContent: "×" });
    const pill = el("span", { className: "pill" }, select, remove);
    remove.addEventListener("click", () => {
      pill.remove();
      this.#limits();
      $("targets").querySelector("select").focus();
    });
    select.addEventListener("change", () => choices.write({ targets: this.#targets() }));
    $("targets").append(pill);
    this.#limits();
  }

  #limits() {
    const pills = $("targets").children;
    $("add-target").hidden = pills.length >= MOST_TARGETS;
    for (const pill of pills) pill.lastElementChild.hidden = pills.length === 1;
  }

  #counted() {
    const { length } = $("source-text").value;
    $("translate-samples").hidden = length > 0;
    $("source-count").hidden = length === 0;
    $("source-count").textContent = plural(length, "character");
  }

  #empty() {
    $("renderings").replaceChildren(el("p", { className: "empty", textContent: "The translation appears here, word by word, while it is made." }));
  }
}

/** The browser's language, unless that is what most people will type here. */
function preferredTarget() {
  const wanted = (navigator.languages ?? []).find((tag) => !tag.startsWith("en")) ?? "es";
  return TAGS.find((tag) => tag === wanted) ?? TAGS.find((tag) => tag === wanted.split("-")[0]) ?? "es";
}

function fillLanguages(select, chosen, first = null) {
  const listed = LANGUAGES.some(([tag]) => tag === chosen) || chosen === "" ? LANGUAGES : [[chosen, languageName(chosen)], ...LANGUAGES];
  const rows = first === null ? listed : [first, ...listed];
  select.replaceChildren(...rows.map(([tag, name]) => el("option", { value: tag, textContent: name })));
  select.value = chosen;
}

function addSamples(place, samples, use) {
  for (const [name, sample] of Object.entries(samples)) {
    place.append(el("button", { type: "button", className: "chip", textContent: name, onclick: () => use(sample) }));
  }
}

// ---------------------------------------------------------------- tutor

const TUTOR_SAMPLES = {
  "Solve 2x + 3 = 11": "Solve 2x + 3 = 11",
  "Why is the sky blue?": "Why is the sky blue?",
  "Adding fractions": "How to add fractions with different denominators",
};

/** One step of a lesson; told anew, it keeps its earlier wording folded away. */
class Step {
  #title = el("h3", { dir: "auto" });
  #body = el("div", { className: "step-body" });
  #extras = el("div", { className: "extras" });
  #actions = el("div", { className: "actions" });
  #earlier = null;
  #prose = null;
  status = el("div", { className: "status" });

  constructor(n, act) {
    this.n = n;
    const label = el("span", { className: "numeral", textContent: n, "aria-hidden": "true" });
    this.element = el("article", { className: "step", "aria-label": `Step ${n}` }, label, this.#title, this.#body, this.#extras, this.#actions, this.status);
    for (const [action, name] of Object.entries(ACTIONS)) {
      const button = el("button", { type: "button", className: "chip", "data-act": action, textContent: name });
      button.addEventListener("click", () => act({ action, step: n }));
      this.#actions.append(button);
    }
    this.#actions.hidden = true;
  }

  begin(title) {
    if (this.#prose !== null && !this.#prose.empty) this.#foldAway();
    this.element.querySelector(".cut")?.remove();
    this.#prose = new Prose(title, `${this.n} ${title}`, `Step ${this.n} ${title}`);
    this.#title.textContent = title;
    this.#body.append(this.#prose.element);
    this.#extras.replaceChildren();
    this.element.classList.add("writing");
  }

  get prose() {
    return this.#prose;
  }

  add(note) {
    this.#extras.append(note);
  }

  end() {
    this.#prose.end();
    this.#actions.hidden = false;
    this.element.classList.remove("writing");
  }

  /** It is told again further down: nothing is asked of this one any more. */
  retire() {
    this.#actions.replaceChildren();
    this.element.classList.add("retired");
  }

  #foldAway() {
    this.#earlier ??= el("details", { className: "earlier" }, el("summary", { textContent: "Earlier wording" }));
    this.#earlier.append(this.#prose.element);
    this.#extras.after(this.#earlier);
  }
}

/** A question to the learner: buttons for choices, else a field. */
class Check {
  #verdict = el("p", { className: "verdict", role: "status" });
  #inputs = [];
  #field = null;
  #answer;

  constructor(event, answer) {
    this.id = event.check;
    this.#answer = answer;
    const question = el("p", { className: "question", dir: "auto" }, ...setInline(event.question));
    const way = event.choices?.length ? this.#choices(event.choices) : this.#open(event.kind);
    this.element = el("form", { className: "check" }, el("p", { className: "eyebrow", textContent: "Your turn" }), question, way, this.#verdict);
    this.element.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      const value = this.#field?.value.trim();
      if (value) this.#give(value);
    });
  }

  /** Put the cursor into the field, where that brings no keyboard up over the page. */
  focus() {
    if (matchMedia("(pointer: fine)").matches) this.#field?.focus({ preventScroll: true });
  }

  grade(verdict) {
    this.element.dataset.verdict = verdict;
    this.#verdict.textContent = VERDICTS[verdict] ?? verdict;
    if (verdict === "right") this.close();
  }

  /** Close it: it was answered, or another one took its place. */
  close() {
    this.element.classList.add("closed");
    for (const input of this.#inputs) {
      input.disabled = true;
      delete input.dataset.act;
    }
  }

  #give(value) {
    this.#answer({ check: this.id, value });
  }

  #choices(choices) {
    const buttons = choices.map(({ label, text }) => {
      const parts = [el("span", { className: "label", textContent: label }), el("span", { dir: "auto" }, ...setInline(text))];
      const button = el("button", { type: "button", className: "choice", "data-act": "answer" }, ...parts);
      button.addEventListener("click", () => {
        button.classList.add("chosen");
        this.#give(label);
      });
      return button;
    });
    this.#inputs = buttons;
    return el("div", { className: "choices", role: "group", "aria-label": "Choices" }, ...buttons);
  }

  #open(kind) {
    const about = { dir: "auto", autocomplete: "off", "aria-label": "Your answer", "data-act": "answer", placeholder: "Your answer" };
    this.#field = kind === "explain" ? el("textarea", { ...about, rows: 3 }) : el("input", { ...about, inputMode: kind === "number" ? "text" : "" });
    const send = el("button", { type: "submit", className: "go", "data-act": "answer", textContent: "Answer" });
    this.#inputs = [this.#field, send];
    return el("div", { className: "row" }, ...this.#inputs);
  }
}

class Tutor {
  #activity = new Activity(this);
  #session = null;
  #steps = new Map();
  #checks = new Map();
  #asked = null; // what runs: {fields, shown, step}; a step that is told anew is told in its place
  #turn = null; // where it is shown: {element, status, prose}
  #step = null; // the step that is being written
  #written = null; // the prose that the latest text went to

  constructor() {
    const { level = "", language = "en" } = choices.read();
    $("level").value = level;
    fillLanguages($("lesson-language"), language);
    $("tutor-form").addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      this.send();
    });
    addSamples($("tutor-samples"), TUTOR_SAMPLES, (sample) => {
      $("topic").value = sample;
      this.send();
    });
    $("composer").addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      this.#ask();
    });
    $("lesson-new").addEventListener("click", () => this.#leave());
  }

  /** What Ctrl+Enter does: begin the lesson, or ask what stands in the field. */
  send() {
    if (!$("lesson").hidden) return this.#ask();
    const topic = $("topic").value.trim();
    if (topic === "") return void $("topic").focus();
    const [level, language] = [$("level").value.trim(), $("lesson-language").value];
    choices.write({ level, language });
    this.#enter(topic, level, language);
    return this.#run({ fields: { topic, ...(level && { level }), language } });
  }

  stop() {
    return this.#activity.stop();
  }

  begin() {
    const { shown, step } = this.#asked;
    const element = el("section", { className: "turn" });
    if (shown) element.append(el("p", { className: "mine", dir: "auto", textContent: shown }));
    const place = step ? step.status : el("div", { className: "status" });
    if (!step) element.append(place);
    $("turns").append(element);
    this.#turn = { element, place, prose: null, status: new Status(place, () => this.stop()) };
    [this.#step, this.#written] = [null, null];
    this.#turn.status.begin();
    this.#busy(true);
    if (!step) place.scrollIntoView({ block: "nearest" });
  }

  sentAgain() {
    this.#turn.status.sent();
  }

  take(event) {
    this.#turn.status.take(event);
    this.#showers[event.type]?.(event);
    if (!this.#asked.step) this.#follow();
  }

  end(outcome) {
    this.#endStep();
    this.#turn.prose?.end();
    const cut = cutOf(outcome);
    if (cut && this.#turn.element.querySelector(".prose")) this.#turn.place.before(el("p", { className: "cut", textContent: cut }));
    const { asked, turn } = { asked: this.#asked, turn: this.#turn };
    this.#busy(false);
    turn.status.end({ ...outcome, again: () => this.#again(asked, turn) });
    if (document.activeElement === document.body) [...this.#checks.values()].at(-1)?.focus();
  }

  #showers = {
    start: ({ session }) => (this.#session = session ?? this.#session),
    text: ({ text }) => {
      this.#written = this.#prose();
      this.#written.push(text);
    },
    "step.start": ({ n, title }) => this.#beginStep(n, title),
    "step.end": () => this.#endStep(),
    check: (event) => this.#check(event),
    grade: ({ check, verdict }) => this.#checks.get(check)?.grade(verdict),
    calc: ({ expression, value, verified }) => {
      if (verified) this.#extra(el("p", { className: "calc", textContent: `Checked: ${expression} = ${value}` }));
    },
    correction: ({ n, said, is }) => {
      const note = el("p", { className: "calc corrected" }, "Corrected: ", el("s", { textContent: said }), ` ${is}`);
      const step = this.#steps.get(n);
      if (step) step.add(note);
      else this.#add(note);
    },
  };

  #prose() {
    if (this.#step !== null) return this.#step.prose;
    if (this.#turn.prose === null) {
      this.#turn.prose = new Prose();
      this.#add(this.#turn.prose.element);
    }
    return this.#turn.prose;
  }

  #beginStep(n, title) {
    this.#endStep();
    this.#turn.prose?.end();
    this.#turn.prose = null;
    this.#step = this.#asked.step?.n === n ? this.#asked.step : this.#newStep(n);
    this.#step.begin(title);
    spoken.say(`Step ${n}: ${title}.`);
  }

  /** A step told anew in a later turn stands there; the card above stays as it was read. */
  #newStep(n) {
    this.#steps.get(n)?.retire();
    const step = new Step(n, (fields) => this.#run({ fields, step }));
    this.#steps.set(n, step);
    this.#add(step.element);
    return step;
  }

  #endStep() {
    this.#step?.end();
    this.#step = null;
  }

  #check(event) {
    this.#written?.dropTail(event.question, event.choices ?? []);
    for (const earlier of this.#checks.values()) earlier.close();
    const check = new Check(event, (answer) => this.#run({ fields: { answer } }));
    this.#checks.set(event.check, check);
    this.#endStep();
    this.#turn.prose = null;
    this.#add(check.element);
  }

  #add(element) {
    if (this.#turn.place.parentElement === this.#turn.element) this.#turn.place.before(element);
    else this.#turn.element.append(element);
  }

  #extra(element) {
    if (this.#step) this.#step.add(element);
    else this.#add(element);
  }

  #ask() {
    const message = $("message").value.trim();
    if (message === "" || this.#activity.running || this.#session === null) return void $("message").focus();
    $("message").value = "";
    return this.#run({ fields: { message }, shown: message });
  }

  #run(asked) {
    if (this.#activity.running) return;
    this.#asked = asked;
    const session = this.#session === null ? {} : { session: this.#session };
    void this.#activity.run("tutor", { ...session, ...asked.fields });
  }

  #again(asked, turn) {
    if (!turn.element.querySelector(".step, .prose")) turn.element.remove();
    this.#run(asked);
  }

  #busy(running) {
    $("composer").hidden = this.#session === null;
    for (const part of $("lesson").querySelectorAll("[data-act]")) part.disabled = running;
    $("composer").querySelector("button").disabled = running;
  }

  #enter(topic, level, language) {
    $("lesson-topic").textContent = topic;
    $("lesson-about").textContent = [level, languageName(language)].filter(Boolean).join(" · ");
    $("turns").replaceChildren();
    $("tutor-form").hidden = true;
    $("lesson").hidden = false;
  }

  async #leave() {
    await this.stop();
    [this.#session, this.#steps, this.#checks] = [null, new Map(), new Map()];
    $("lesson").hidden = true;
    $("tutor-form").hidden = false;
    $("topic").value = "";
    $("topic").focus();
  }

  /** Keep the newest words in view, unless the reader has scrolled up. */
  #follow() {
    const page = document.scrollingElement;
    if (page.scrollHeight - page.scrollTop - page.clientHeight < 160) page.scrollTop = page.scrollHeight;
  }
}

// ---------------------------------------------------------------- the page

const TABS = ["translate", "tutor"];
let active = "translate";

function show(name, focus = false) {
  active = name;
  for (const tab of TABS) {
    const chosen = tab === name;
    $(tab).hidden = !chosen;
    $(`tab-${tab}`).setAttribute("aria-selected", chosen);
    $(`tab-${tab}`).tabIndex = chosen ? 0 : -1;
  }
  if (focus) $(`tab-${name}`).focus();
  history.replaceState(null, "", `#${name}`);
}

function prepareTabs() {
  for (const name of TABS) $(`tab-${name}`).addEventListener("click", () => show(name));
  document.querySelector(".tabs").addEventListener("keydown", (pressed) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -TABS.indexOf(active), End: TABS.length - 1 - TABS.indexOf(active) };
    if (!(pressed.key in steps)) return;
    pressed.preventDefault();
    show(TABS.at((TABS.indexOf(active) + steps[pressed.key]) % TABS.length), true);
  });
  const asked = location.hash.slice(1);
  show(TABS.includes(asked) ? asked : "translate");
}

function prepareWire() {
  const toggle = (on) => {
    $("wire").hidden = !on;
    $("wire-switch").setAttribute("aria-checked", on);
    choices.write({ wire: on });
  };
  $("wire-switch").addEventListener("click", () => toggle($("wire").hidden));
  $("curl-copy").addEventListener("click", () => copy($("curl-copy"), $("curl").textContent));
  $("curl").textContent = curlLine("translate", { text: TRANSLATE_SAMPLES["a human right"], target: "es" });
  toggle(choices.read().wire === true);
}

function prepareShortcuts(views) {
  document.addEventListener("keydown", (pressed) => {
    if (document.querySelector("dialog[open]")) return;
    if (pressed.key === "Escape") void views[active].stop();
    if (pressed.key !== "Enter" || !(pressed.ctrlKey || pressed.metaKey)) return;
    pressed.preventDefault();
    const form = pressed.target.closest?.("form");
    if (form) form.requestSubmit();
    else views[active].send();
  });
}

prepareKeyDialog();
prepareWire();
prepareTabs();
prepareShortcuts({ translate: new Translate(), tutor: new Tutor() });
