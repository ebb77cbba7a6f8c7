/** The operator's page: what was used, by day and by key, use case or model, and what it cost. */

import { askKey, key, prepareKeyDialog } from "./key.js";
import { plot } from "./plot.js";
import { $, el, number, plural } from "./view.js";

const DAYS = { 7: "7 days", 30: "30 days", 90: "90 days" };
const MEASURES = { cost: "Cost", tokens: "Tokens", streams: "Streams" };
const SPLITS = { key: "Key", use_case: "Use case", model: "Model" };
const COLOURS = 6;
const OTHERS = "All others";
const DAY_MS = 86_400_000;

const money = [2, 4, 6].map(
  (digits) => new Intl.NumberFormat("en", { style: "currency", currency: "USD", minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0 });
const shortDay = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: "UTC" });
const longDay = new Intl.DateTimeFormat("en", { weekday: "short", day: "numeric", month: "long", timeZone: "UTC" });

/** Digits that suit the largest figure beside it, so that a column of them can be compared. */
const dollars = (usd, most = usd) => money[most === 0 || most >= 1 ? 0 : most >= 0.01 ? 1 : 2].format(usd);
const priced = (usd, most = usd) => (usd === null ? "no price" : dollars(Number(usd), Number(most)));
const share = (part, whole) => (whole > 0 ? percent.format(part / whole) : "–");

const VALUE = {
  cost: (row) => Number(row.cost_usd ?? 0),
  tokens: (row) => row.input_tokens + row.output_tokens,
  streams: (row) => row.streams,
};
const WRITTEN = { cost: dollars, tokens: (n) => number.format(n), streams: (n) => number.format(n) };
/** As many digits as the rules of an axis need to be told exactly; they divide its top by four. */
const onAxis = (usd, top) => {
  const exact = [2, 4].findIndex((digits) => Math.abs((top / 4) * 10 ** digits - Math.round((top / 4) * 10 ** digits)) < 1e-6);
  return money.at(exact).format(usd); // none: the last, with most digits
};
const ON_AXIS = { cost: onAxis, tokens: (n) => compact.format(n), streams: (n) => compact.format(n) };

const view = { days: "30", measure: "cost", split: "key" };
let told = null;

/** Ask for the figures; a key is asked for where one is needed, until one opens or nobody has one. */
async function fetched() {
  const from = new Date(Date.now() - (Number(view.days) - 1) * DAY_MS).toISOString().slice(0, 10);
  for (;;) {
    const headers = key.value === "" ? {} : { Authorization: `Bearer ${key.value}` };
    const response = await fetch(`v1/usage/history?from=${from}&by=day,${view.split}`, { headers });
    if (response.ok) return response.json();
    const problem = await response.json().catch(() => ({}));
    const mayHelp = response.status === 401 || (response.status === 403 && key.value !== "");
    if (!mayHelp || !(await askKey())) throw new Error(problem.detail ?? problem.title ?? `HTTP ${response.status}`);
  }
}

/** All days of the answer, also those on which nothing was used. */
function allDays({ from, to }) {
  const days = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) days.push(new Date(at).toISOString().slice(0, 10));
  return days;
}

function addUp(rows) {
  const sums = { streams: 0, input_tokens: 0, output_tokens: 0, cached_input_tokens: 0, cost_usd: null, stop: 0 };
  for (const row of rows) {
    for (const name of ["streams", "input_tokens", "output_tokens", "cached_input_tokens"]) sums[name] += row[name];
    if (row.cost_usd !== null) sums.cost_usd = (sums.cost_usd ?? 0) + Number(row.cost_usd);
    sums.stop += row.ends.stop ?? 0;
  }
  return sums;
}

/** The parts, the largest first: those with a colour each, and the rest as one. */
function parts() {
  const byName = Map.groupBy ? Map.groupBy(told.rows, (row) => row[view.split]) : grouped(told.rows);
  const value = VALUE[view.measure];
  const all = [...byName].map(([name, rows]) => ({ name, rows, sums: addUp(rows), size: value(addUp(rows)) }));
  all.sort((one, other) => other.size - one.size || one.name.localeCompare(other.name));
  const rest = all.slice(COLOURS).flatMap(({ rows }) => rows);
  const first = all.slice(0, COLOURS);
  if (rest.length > 0) first.push({ name: OTHERS, rows: rest, sums: addUp(rest), size: value(addUp(rest)) });
  return { all, coloured: first.map((part, at) => ({ ...part, className: `c${at}` })) };
}

function grouped(rows) {
  const groups = new Map();
  for (const row of rows) groups.set(row[view.split], [...(groups.get(row[view.split]) ?? []), row]);
  return groups;
}

function byDay(rows) {
  const values = new Map();
  for (const row of rows) values.set(row.day, (values.get(row.day) ?? 0) + VALUE[view.measure](row));
  return values;
}

function showSums({ total }) {
  const tile = (name, value, more) =>
    el("div", {}, el("dt", { textContent: name }), el("dd", {}, value, el("span", { className: "soft", textContent: more })));
  const tiles = [
    tile("Cost", priced(total.cost_usd), total.unpriced > 0 ? `not in it: ${plural(total.unpriced, "request")} without a price` : "by the price table"),
    tile("Streams", number.format(total.streams), `${share(total.ends.stop ?? 0, total.streams)} complete`),
    tile("Input tokens", compact.format(total.input_tokens), `${share(total.cached_input_tokens, total.input_tokens)} from providers’ caches`),
    tile("Output tokens", compact.format(total.output_tokens), `${share(total.reasoning_tokens, total.output_tokens)} reasoning`),
  ];
  if (total.lost_tokens > 0) tiles.push(tile("Lost", compact.format(total.lost_tokens), "tokens held for streams whose process died"));
  $("sums").replaceChildren(...tiles);
}

function swatch(className) {
  return el("span", { className: `swatch ${className}`, "aria-hidden": "true" });
}

function showPlot(coloured) {
  const series = coloured.map(({ name, rows, className }) => ({ name, className, values: byDay(rows) }));
  const write = WRITTEN[view.measure];
  const sentence = (day) => {
    const there = series.filter(({ values }) => values.get(day) > 0);
    const sum = there.reduce((total, { values }) => total + values.get(day), 0);
    const split = there.map(({ name, values }) => `${name} ${write(values.get(day), sum)}`).join(" · ");
    return `${longDay.format(Date.parse(day))}: ${sum === 0 ? "nothing" : write(sum)}${there.length > 1 ? `. ${split}` : ""}`;
  };
  const usual = "Choose a day for its figures; arrow keys go from day to day.";
  $("readout").textContent = usual;
  plot($("plot"), {
    title: $("chart-title").textContent,
    days: allDays(told),
    series,
    whole: view.measure !== "cost",
    format: ON_AXIS[view.measure],
    tell: sentence,
    show: (day) => ($("readout").textContent = day === null ? usual : sentence(day)),
    dayName: (day) => shortDay.format(Date.parse(day)),
  });
  $("legend").replaceChildren(...coloured.map(({ name, className }) => el("li", {}, swatch(className), name)));
}

function cells(tag, texts) {
  return texts.map((text) => el(tag, tag === "th" ? { scope: "col", textContent: text } : { textContent: text }));
}

function showParts({ all, coloured }) {
  const colours = new Map(coloured.map(({ name, className }) => [name, className]));
  const head = [SPLITS[view.split], "Cost", "Streams", "Complete", "Input", "Cached", "Output"];
  const most = Math.max(...all.map(({ sums }) => sums.cost_usd ?? 0));
  const rows = all.map(({ name, sums }) =>
    el("tr", {},
      el("th", { scope: "row", title: name }, swatch(colours.get(name) ?? `c${COLOURS}`), name),
      ...cells("td", [
        priced(sums.cost_usd, most), number.format(sums.streams), share(sums.stop, sums.streams), number.format(sums.input_tokens),
        share(sums.cached_input_tokens, sums.input_tokens), number.format(sums.output_tokens),
      ])));
  $("parts-table").replaceChildren(el("thead", {}, el("tr", {}, ...cells("th", head))), el("tbody", {}, ...rows));
}

function showDays(coloured) {
  const series = coloured.map(({ name, rows }) => ({ name, values: byDay(rows) }));
  const write = WRITTEN[view.measure];
  const days = allDays(told).reverse();
  const sum = (day) => series.reduce((total, { values }) => total + (values.get(day) ?? 0), 0);
  const most = Math.max(...days.map(sum));
  const rows = days.map((day) => {
    const values = series.map(({ values: found }) => found.get(day) ?? 0);
    return el("tr", {},
      el("th", { scope: "row", textContent: longDay.format(Date.parse(day)) }),
      ...cells("td", [sum(day), ...values].map((value) => (value === 0 ? "–" : write(value, most)))));
  });
  const head = cells("th", ["Day", "All", ...series.map(({ name }) => name)]);
  $("by-day-table").replaceChildren(el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
}

function draw() {
  const found = parts();
  const empty = told.rows.length === 0;
  for (const id of ["chart", "parts", "by-day"]) $(id).hidden = empty;
  $("nothing").hidden = !empty;
  $("sums").hidden = empty;
  if (empty) return;
  showSums(told);
  const split = SPLITS[view.split].toLowerCase();
  $("chart-title").textContent = `${MEASURES[view.measure]} by day and ${split}`;
  $("parts-title").textContent = `By ${split}`;
  $("by-day-title").textContent = `${MEASURES[view.measure]}, day by day`;
  showPlot(found.coloured);
  showParts(found);
  showDays(found.coloured);
}

async function load() {
  $("main").setAttribute("aria-busy", "true");
  $("wrong").hidden = true;
  try {
    told = await fetched();
    if (told.total.cost_usd === null) view.measure = view.measure === "cost" ? "tokens" : view.measure;
    press();
    draw();
  } catch (failure) {
    $("wrong").textContent = failure instanceof TypeError ? "The service cannot be reached." : failure.message;
    $("wrong").hidden = false;
  }
  $("main").setAttribute("aria-busy", "false");
}

function press() {
  for (const [place, name] of [["days", "days"], ["measures", "measure"], ["splits", "split"]]) {
    for (const button of $(place).children) button.setAttribute("aria-pressed", button.value === view[name]);
  }
}

function preparePicks(place, offered, name, act) {
  for (const [value, label] of Object.entries(offered)) {
    const button = el("button", { type: "button", value, textContent: label });
    button.addEventListener("click", () => {
      view[name] = value;
      press();
      act();
    });
    $(place).append(button);
  }
}

prepareKeyDialog();
preparePicks("days", DAYS, "days", load);
preparePicks("measures", MEASURES, "measure", () => told && draw());
preparePicks("splits", SPLITS, "split", load);
press();
new ResizeObserver(() => told && told.rows.length > 0 && showPlot(parts().coloured)).observe($("plot"));
await load();
