/** Explanations as they come: paragraphs, lists, headings and code, set by hand from plain text. */

import { el, spoken } from "./view.js";

const LIST_ITEM = /^\s{0,3}(?:[-*+•]|(\d{1,3})[.)])\s+(.*)$/;
const HEADING = /^#{1,6}\s/;
const FENCE = /^\s{0,3}(```|~~~)/;
const INLINE = /(\*\*[^*\n]+\*\*|`[^`\n]+`|(?<![\w*])\*(?=\S)[^*\n]+(?<=\S)\*(?![\w*]))/;

/** Shows an explanation as it comes: the open block as written, finished ones set as prose, and said. */
export class Prose {
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
export function setInline(text) {
  return text.split(INLINE).map((part, at) => {
    if (at % 2 === 0) return document.createTextNode(part);
    if (part.startsWith("**")) return el("strong", { textContent: part.slice(2, -2) });
    if (part.startsWith("`")) return el("code", { textContent: part.slice(1, -1) });
    return el("em", { textContent: part.slice(1, -1) });
  });
}

/** Letters and digits only: two sayings that differ in marks and spaces are the same. */
export const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
