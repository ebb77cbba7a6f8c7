/** The key of a deployment that asks for one: kept for this tab only. */

import { $, Kept } from "./view.js";

export const key = new Kept("sessionStorage", "gloss.key");

function setKey(value) {
  key.value = value;
  $("forget-key").hidden = value === "";
}

/** Ask for a key; false when nobody wants to give one. */
export function askKey() {
  const dialog = $("key-dialog");
  $("key-wrong").hidden = key.value === "";
  $("key").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "given"), { once: true });
  });
}

export function prepareKeyDialog() {
  $("key-form").addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    setKey($("key").value.trim());
    $("key-dialog").close("given");
  });
  $("key-cancel").addEventListener("click", () => $("key-dialog").close(""));
  $("forget-key").addEventListener("click", () => setKey(""));
  setKey(key.value);
}
