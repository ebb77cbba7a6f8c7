/** The panel that translates: one text, up to four languages side by side. */

import { Activity } from "./activity.js";
import { Status } from "./status.js";
import { $, addSamples, choices, copy, el, fillLanguages, languageName, plural, spoken, TAGS } from "./view.js";
import { cutOf } from "./words.js";

const MOST_TARGETS = 4;

export const TRANSLATE_SAMPLES = {
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

export class Translate {
  status = new Status($("translate-status"), () => this.stop());
  #activity = new Activity(this);
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

  /** What a reload must not lose: the answer that is being written. Texts are not kept otherwise. */
  get kept() {
    return this.#activity.kept;
  }

  restore(record) {
    this.#fill(record.fields);
    void this.#activity.goOn(record);
  }

  goOn() {
    void this.#activity.goOn(this.kept);
  }

  begin({ fields }) {
    const targets = [fields.target].flat();
    this.#renderings = new Map(targets.map((tag) => [tag, new Rendering(tag, targets.length > 1)]));
    this.#last = this.#renderings.get(targets[0]);
    $("renderings").replaceChildren(...[...this.#renderings.values()].map(({ element }) => element));
    this.#detected("Detect language");
    $("translate-go").disabled = true;
  }

  take(event) {
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
    return () => this.send();
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

  /** Put back into the form what was asked. */
  #fill({ text, target, source = "", formality = "default", context = "", instructions = [] }) {
    $("source-text").value = text;
    this.#counted();
    $("targets").replaceChildren();
    for (const tag of [target].flat()) this.#addTarget(tag);
    $("source-language").value = source;
    $("formality").value = formality;
    $("context").value = context;
    $("instructions").value = instructions.join("\n");
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
