/**
 * Bars by day, stacked, as SVG that this module makes itself. Beside it the page has the same
 * figures as a table; here each day is a stop for the keyboard that says its own.
 */

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 240;
const TOP = 8;
const FOOT = 26;
const RULES = 4;
const LABEL_PX = 52; // the room that a date needs below

function make(tag, properties = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Round up to a figure that divides into rules that are easy to read. */
function ceiling(most, whole) {
  if (most <= 0) return whole ? RULES : 1;
  const step = most / RULES;
  const ten = 10 ** Math.floor(Math.log10(step));
  const nice = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((factor) => factor * ten >= step) * ten;
  return (whole ? Math.max(1, Math.ceil(nice)) : nice) * RULES;
}

function rules(top, format, left, width, y) {
  return Array.from({ length: RULES + 1 }, (_, at) => (top * at) / RULES).flatMap((value) => [
    make("line", { class: value === 0 ? "rule foot" : "rule", x1: left, x2: width, y1: y(value), y2: y(value) }),
    make("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, format(value, top)),
  ]);
}

function bar(day, series, x, width, y) {
  let below = 0;
  return series.flatMap(({ className, values }) => {
    const value = values.get(day) ?? 0;
    if (value <= 0) return [];
    const [top, foot] = [y(below + value), y(below)];
    below += value;
    return [make("rect", { class: className, x, width, y: top, height: Math.max(foot - top, 0.75) })];
  });
}

/**
 * Draw `series` ({name, className, values: Map of day to number}) over `days` into `place`.
 * `format` writes a figure of the axis, `tell(day)` says a day's figures in words, `show(day)` is
 * called with the day that is pointed at or focused, and with null when none is.
 */
export function plot(place, { title, days, series, whole, format, tell, show, dayName }) {
  const width = Math.max(place.clientWidth - 40, 260);
  const totals = days.map((day) => series.reduce((sum, { values }) => sum + (values.get(day) ?? 0), 0));
  const top = ceiling(Math.max(...totals), whole);
  const left = 14 + 7 * Math.max(...Array.from({ length: RULES + 1 }, (_, at) => format((top * at) / RULES, top).length));
  const y = (value) => TOP + (HEIGHT - TOP - FOOT) * (1 - value / top);
  const pitch = (width - left) / days.length;
  const every = Math.ceil(LABEL_PX / pitch);
  const columns = days.map((day, at) => {
    const x = left + at * pitch;
    const column = make(
      "g",
      { class: "day", tabindex: at === days.length - 1 ? 0 : -1, role: "img", "aria-label": tell(day) },
      make("rect", { class: "hit", x, width: pitch, y: TOP, height: HEIGHT - TOP - FOOT }),
      ...bar(day, series, x + pitch * 0.15, Math.max(pitch * 0.7, 1), y),
    );
    if ((days.length - 1 - at) % every === 0) {
      column.append(make("text", { x: x + pitch / 2, y: HEIGHT - 8, "text-anchor": "middle" }, dayName(day)));
    }
    for (const on of ["pointerenter", "focus"]) column.addEventListener(on, () => show(day));
    for (const off of ["pointerleave", "blur"]) column.addEventListener(off, () => show(null));
    return column;
  });
  const drawing = make("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "group", "aria-label": title });
  drawing.append(...rules(top, format, left, width, y), ...columns);
  drawing.addEventListener("keydown", (pressed) => walk(pressed, columns));
  place.replaceChildren(drawing);
}

/** One stop for Tab, and arrows from day to day. */
function walk(pressed, columns) {
  const at = columns.indexOf(document.activeElement);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: columns.length - 1 }[pressed.key];
  if (at < 0 || columns[to] === undefined) return;
  pressed.preventDefault();
  columns[at].setAttribute("tabindex", -1);
  columns[to].setAttribute("tabindex", 0);
  columns[to].focus();
}
