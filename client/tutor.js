/** The panel that teaches: a lesson of steps and questions, one turn after the other. */

import { Activity } from "./activity.js";
import { Prose, setInline } from "./prose.js";
import { Status } from "./status.js";
import { $, addSamples, choices, el, fillLanguages, languageName, spoken } from "./view.js";
import { cutOf, isResumable } from "./words.js";

const VERDICTS = { right: "Right", wrong: "Not yet", partial: "Partly right", unclear: "Could not be graded" };

const ACTIONS = { simplify: "Simpler", another_way: "Another way", example: "Example" };

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

  constructor(event, answer) {
    const question = el("p", { className: "question", dir: "auto" }, ...setInline(event.question));
    const way = event.choices?.length ? this.#choices(event, answer) : this.#open(event.kind);
    this.element = el("form", { className: "check" }, el("p", { className: "eyebrow", textContent: "Your turn" }), question, way, this.#verdict);
    this.element.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      const value = this.#field?.value.trim();
      if (value) answer({ check: event.check, value });
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

  /** Show what was answered, whoever shows it: the learner's hand or a lesson told over again. */
  given(value) {
    if (this.#field) this.#field.value = value;
    else this.#inputs.find(({ dataset }) => dataset.label === value)?.classList.add("chosen");
  }

  /** Close it: it was answered, or another one took its place. */
  close() {
    this.element.classList.add("closed");
    for (const input of this.#inputs) {
      input.disabled = true;
      delete input.dataset.act;
    }
  }

  #choices({ check, choices }, answer) {
    const buttons = choices.map(({ label, text }) => {
      const parts = [el("span", { className: "label", textContent: label }), el("span", { dir: "auto" }, ...setInline(text))];
      const button = el("button", { type: "button", className: "choice", "data-act": "answer", "data-label": label }, ...parts);
      button.addEventListener("click", () => answer({ check, value: label }));
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

export class Tutor {
  #activity = new Activity(this);
  #about = null; // the lesson: {topic, level, language}
  #session = null;
  #turns = []; // what is over: {asked, events}
  #steps = new Map();
  #checks = new Map();
  #asked = null; // what runs: {fields, shown, n}; a step that is told anew, the nth, is told in its place
  #turn = null; // where it is shown: {element, place, prose, status}
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
    this.#enter({ topic, level, language });
    return this.#run({ fields: { topic, ...(level && { level }), language } });
  }

  stop() {
    return this.#activity.stop();
  }

  get status() {
    return this.#turn.status;
  }

  /** What a reload must not lose: the lesson, with the turn that is being written. */
  get kept() {
    const running = this.#activity.kept;
    const begun = this.#session !== null || running !== null;
    return this.#about && begun ? { about: this.#about, turns: this.#turns, asked: this.#asked, running } : null;
  }

  /** Tell the lesson over again, from what is kept, and go on where it broke off. */
  restore({ about, turns, asked, running }) {
    this.#enter(about);
    spoken.silently(() => turns.forEach((turn) => this.#retell(turn)));
    this.#asked = asked;
    if (running) void this.#activity.goOn(running);
  }

  goOn() {
    this.restore(this.kept);
  }

  #retell({ asked, events }) {
    this.#asked = asked;
    this.begin();
    for (const event of events) this.take(event);
    const last = events.at(-1);
    this.end(last.type === "finish" ? { finish: last } : { error: last }, { events });
    this.#turn.place.replaceChildren(); // how long it took is of no interest any more
  }

  begin() {
    const { shown, n, fields } = this.#asked;
    const element = el("section", { className: "turn" });
    if (shown) element.append(el("p", { className: "mine", dir: "auto", textContent: shown }));
    if (fields.answer) this.#checks.get(fields.answer.check)?.given(fields.answer.value);
    const place = this.#steps.get(n)?.status ?? el("div", { className: "status" });
    if (n === undefined) element.append(place);
    $("turns").append(element);
    this.#turn = { element, place, prose: null, status: new Status(place, () => this.stop()) };
    [this.#step, this.#written] = [null, null];
    this.#busy(true);
    if (n === undefined) place.scrollIntoView({ block: "nearest" });
  }

  take(event) {
    this.#showers[event.type]?.(event);
    if (this.#asked.n === undefined) this.#follow();
  }

  end(outcome, { events }) {
    this.#endStep();
    this.#turn.prose?.end();
    const [asked, turn, cut] = [this.#asked, this.#turn, cutOf(outcome)];
    const shown = turn.place.closest(".step") ?? turn.element;
    if (cut && shown.querySelector(".prose")) turn.place.before(el("p", { className: "cut", textContent: cut }));
    if (events.length > 0 && !isResumable(outcome)) this.#turns.push({ asked, events });
    this.#busy(false);
    if (document.activeElement === document.body) [...this.#checks.values()].at(-1)?.focus();
    return () => this.#again(asked, turn);
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
    this.#step = this.#asked.n === n ? this.#steps.get(n) : this.#newStep(n);
    this.#step.begin(title);
    spoken.say(`Step ${n}: ${title}.`);
  }

  /** A step told anew in a later turn stands there; the card above stays as it was read. */
  #newStep(n) {
    this.#steps.get(n)?.retire();
    const step = new Step(n, (fields) => this.#run({ fields, n }));
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

  #enter(about) {
    const { topic, level, language } = about;
    this.#about = about;
    [this.#session, this.#turns, this.#steps, this.#checks] = [null, [], new Map(), new Map()];
    $("lesson-topic").textContent = topic;
    $("lesson-about").textContent = [level, languageName(language)].filter(Boolean).join(" · ");
    $("turns").replaceChildren();
    $("tutor-form").hidden = true;
    $("lesson").hidden = false;
  }

  async #leave() {
    await this.stop();
    [this.#about, this.#session] = [null, null];
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
