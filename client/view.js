/**
 * What every part of the page is made of: elements, figures, languages, and what the browser remembers.
 * Every word of an answer enters by `textContent`; nothing here makes HTML out of text.
 */

export const $ = (id) => document.getElementById(id);

/** Make an element: properties, ARIA and data attributes by their names, then what it holds. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

export const TAGS = `ar bg bn ca cs da de el en es et fa fi fr he hi hr hu id it ja ko lt lv ms nb nl pl
  pt-BR pt-PT ro ru sk sl sr sv sw ta th tr uk ur vi zh-Hans zh-Hant`.split(/\s+/);

const languageNames = new Intl.DisplayNames(["en"], { type: "language" });

export function languageName(tag) {
  try {
    return languageNames.of(tag) ?? tag;
  } catch {
    return tag; // the service may know tags that this browser does not
  }
}

const LANGUAGES = TAGS.map((tag) => [tag, languageName(tag)]).sort(([, a], [, b]) => a.localeCompare(b));

export const number = new Intl.NumberFormat("en");
export const plural = (n, one, many = `${one}s`) => `${number.format(n)} ${n === 1 ? one : many}`;
export const seconds = (ms) => `${(ms / 1000).toFixed(ms < 9_950 ? 1 : 0)} s`;
const small = new Intl.NumberFormat("en", { style: "currency", currency: "USD", maximumSignificantDigits: 2 });
export const cost = (usd) => (usd === null ? "no price known for this model" : small.format(Number(usd)));

/** One entry in a browser's storage; where that is closed, it holds until the page is closed. */
export class Kept {
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
export const choices = {
  read: () => JSON.parse(kept.value || "{}"),
  write(changed) {
    kept.value = JSON.stringify({ ...choices.read(), ...changed });
  },
};

/** The polite live region: whole sentences, so that a screen reader is not interrupted per token. */
export const spoken = {
  rest: "",
  muted: false,
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
  /** What was heard before a reload is not said again. */
  silently(act) {
    this.muted = true;
    act();
    this.muted = false;
  },
  say(text, lang = "") {
    if (this.muted || text.trim() === "") return;
    $("spoken").append(el("p", { lang, textContent: text.trim() }));
    while ($("spoken").childElementCount > 20) $("spoken").firstElementChild.remove();
  },
};

export async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it and copy"; // the browser gives the clipboard to safe pages only
  }
  setTimeout(() => (button.textContent = label), 1_500);
}

export function fillLanguages(select, chosen, first = null) {
  const listed = LANGUAGES.some(([tag]) => tag === chosen) || chosen === "" ? LANGUAGES : [[chosen, languageName(chosen)], ...LANGUAGES];
  const rows = first === null ? listed : [first, ...listed];
  select.replaceChildren(...rows.map(([tag, name]) => el("option", { value: tag, textContent: name })));
  select.value = chosen;
}

export function addSamples(place, samples, use) {
  for (const [name, sample] of Object.entries(samples)) {
    place.append(el("button", { type: "button", className: "chip", textContent: name, onclick: () => use(sample) }));
  }
}
