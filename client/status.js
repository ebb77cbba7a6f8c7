/** The line under an answer: how it goes, what it cost, what went wrong and what can be done. */

import { cost, el, number, plural, seconds, spoken } from "./view.js";
import { aboutLoss, doing, ENDS, explained, WAITING } from "./words.js";

export class Status {
  #line = el("p", { className: "facts" });
  #stop = el("button", { type: "button", className: "stop", hidden: true, title: "Esc", textContent: "Stop" });
  #notes = el("div", { className: "notes" });
  #timer = 0;
  #sent = 0;
  #first = null;
  #doing = "";
  #lost = "";
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
    [this.#first, this.#start, this.#remarks, this.#lost] = [null, null, [], ""];
    this.#doing = WAITING;
    this.#stop.hidden = false;
    this.#stop.disabled = false;
    this.#timer = setInterval(() => this.#tick(), 100);
    this.#tick();
  }

  /** Time counts from here: what a person does in between, like finding a key, is no waiting. */
  sent() {
    this.#sent = performance.now();
  }

  /** When it was sent and when the first word came: what a reload would forget. */
  get clock() {
    return { sent: performance.timeOrigin + this.#sent, first: this.#first };
  }

  set clock({ sent, first }) {
    this.#sent = sent - performance.timeOrigin;
    this.#first = first;
  }

  /** The connection broke, or stands again: a quiet word, since it is seen to. */
  connection({ state, error }) {
    const before = this.#lost;
    this.#lost = state === "lost" ? aboutLoss(error) : "";
    if (before === "" && this.#lost !== "" && !error.drained) spoken.say(this.#lost);
    this.#tick();
  }

  take(event) {
    if (event.type === "start") this.#start = event;
    if (event.type === "text" && this.#first === null) {
      this.#first = performance.now() - this.#sent;
      this.#doing = "Writing";
    }
    if (event.type === "notice") {
      const now = doing(event);
      if (now === undefined) this.#remarks.push(event.detail);
      else this.#doing = now;
    }
  }

  /** Show the end: `finish` of a stream that ended as it was meant to, else `error`. */
  end({ finish = null, error = null, stopped = false, again }) {
    clearInterval(this.#timer);
    this.#stop.hidden = true;
    this.#line.classList.remove("lost");
    const usage = finish?.usage ?? error?.event?.usage ?? null;
    this.#line.textContent = this.#facts(usage).join(" · ");
    if (finish) this.#tell(finish, again);
    if (error) this.#explain(explained({ error, stopped }), again);
    if (this.#remarks.length > 0) this.#notes.append(remarks(this.#remarks));
  }

  #tick() {
    const waited = performance.now() - this.#sent;
    const first = this.#first === null ? [] : [`first word after ${seconds(this.#first)}`];
    this.#line.textContent = [this.#lost || this.#doing, seconds(waited), ...first].join(" · ");
    this.#line.classList.toggle("lost", this.#lost !== "");
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

  #tell(finish, again) {
    const sentence = this.#ending(finish);
    if (!sentence) return;
    const button = finish.reason === "disconnected" ? [againButton("Ask again", again, 0)] : [];
    this.#note("note", el("p", { textContent: sentence }), ...button);
  }

  #explain({ title, advice, mild = false, details = [], about, wait = 0, again: label }, again) {
    const parts = [el("p", {}, el("strong", { textContent: title }))];
    if (advice) parts.push(el("p", { textContent: advice }));
    if (details.length) parts.push(el("ul", {}, ...details.map((line) => el("li", { textContent: line }))));
    if (label) parts.push(againButton(label, again, wait));
    if (about) parts.push(el("a", { href: about, target: "_blank", rel: "noopener", textContent: "What this means" }));
    this.#note(mild ? "note" : "note bad", ...parts);
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
function againButton(label, again, wait) {
  const button = el("button", { type: "button", className: "quiet-button", onclick: again });
  const show = () => {
    button.disabled = wait > 0;
    button.textContent = wait > 0 ? `${label} in ${Math.ceil(wait)} s` : label;
    if (wait > 0) setTimeout(show, 1_000);
    wait -= 1;
  };
  show();
  return button;
}
