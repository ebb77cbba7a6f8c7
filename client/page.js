/**
 * The page: two panels, "translate" and "tutor", on one client.
 *
 *   events ──▶ Activity ──▶ a panel's take(event)     what is shown
 *                    ├────▶ Status                    how it goes, what it cost, what went wrong
 *                    ├────▶ wire                      the lines themselves, and the curl command
 *                    └────▶ spoken                    whole sentences, for screen readers
 *
 * What runs is kept when the page is left, for this tab only, and goes on when it is loaded again.
 */

import { prepareKeyDialog } from "./key.js";
import { Translate, TRANSLATE_SAMPLES } from "./translate.js";
import { Tutor } from "./tutor.js";
import { $, choices, copy, Kept } from "./view.js";
import { curlLine } from "./wire.js";

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

/** Keep what a view holds, when the page is left or may be thrown away; take it up again now. */
function keepOverReload(name, view) {
  const kept = new Kept("sessionStorage", `gloss.${name}.1`); // the number is the records' form
  const keep = () => (kept.value = view.kept === null ? "" : JSON.stringify(view.kept));
  const left = kept.value;
  kept.value = "";
  if (left !== "") view.restore(JSON.parse(left));
  addEventListener("pagehide", keep);
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && keep());
}

prepareKeyDialog();
prepareWire();
prepareTabs();
const views = { translate: new Translate(), tutor: new Tutor() };
prepareShortcuts(views);
for (const [name, view] of Object.entries(views)) keepOverReload(name, view);
