/** What a person is told about how it goes, why it ended, and what to do. */

import { GlossInterrupted, GlossLost, GlossProblem, GlossProtocolError } from "./gloss.js";
import { number } from "./view.js";

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
export const ENDS = {
  length: "It reached the longest answer that is allowed, so its end is missing.",
  deadline: "The time for one answer was used up, so its end is missing.",
  budget: "The budget ran out, so its end is missing.",
  superseded: "A newer request took its place.",
  disconnected: "The connection broke, and the server stopped so that nothing more is paid for.",
  content_filter: "The model's provider held back the rest.",
};

export const WAITING = "Waiting for the first word";

const NOTICES = {
  queued: "All places are taken; you are number",  // and which
  thinking: "The model is thinking",
  checking: "Checking the answer",
  "provider-retry": "The model did not answer; asking again",
  "provider-fallback": "The model failed; another one answers",
};

/** Return what goes on since this notice; undefined where it says nothing of that. */
export function doing({ code, place }) {
  if (place === 0) return WAITING;
  return place === undefined ? NOTICES[code] : `${NOTICES[code]} ${place}`;
}

/** While the connection is being made again. */
export function aboutLoss(error) {
  if (error.drained) return "The server restarts; going on elsewhere";
  if (error instanceof GlossProblem) return error.lastId > 0 ? "Connection lost; reconnecting" : "The server is busy; trying again";
  if (!navigator.onLine) return "You are offline; going on as soon as you are back";
  return error.lastId > 0 ? "Connection lost; reconnecting" : "The server cannot be reached; trying again";
}

/** Return what to show about an outcome with an error: {title, advice, mild, details, about, wait, again}. */
export function explained({ error, stopped = false }) {
  if (stopped && error instanceof GlossInterrupted) {
    const advice = "The server could not be told; it stops by itself half a minute after it has lost you.";
    return { title: "Stopped", advice, mild: true };
  }
  if (error instanceof GlossProblem) return aboutProblem(error);
  if (error instanceof GlossProtocolError) {
    return { title: "The answer arrived damaged", advice: "Something on the way changed it.", again: "Ask again" };
  }
  if (error instanceof GlossInterrupted) return aboutInterruption(error);
  console.error(error);
  return { title: "This page has a fault", advice: "Reload it. The browser's console says what happened." };
}

function aboutInterruption(error) {
  const advice = navigator.onLine ? "Check your connection, then try again." : "You are offline. Try again when you are back.";
  if (error instanceof GlossLost) {
    return { title: "The answer broke off", advice: "The server does not have the rest of it any more.", again: "Ask again" };
  }
  if (error.lastId === 0) return { title: "The server cannot be reached", advice, again: "Try again" };
  return { title: "The answer broke off", advice: `The server cannot be reached any more. ${advice}`, again: "Go on" };
}

function aboutProblem({ slug, problem, retryAfter, status, event }) {
  const [title, advice] = PROBLEMS[slug] ?? [problem.title, problem.detail ?? ""];
  const filled = advice.replace(/\{(\w+)\}/g, (_, name) => number.format(problem[name]));
  const said = event?.partial ? { title: "The answer broke off", advice: `${title}. ${filled}` } : { title, advice: filled };
  return {
    ...said,
    details: (problem.errors ?? []).map(({ field, problem: rule }) => `${field}: ${rule}`),
    about: /^\/problems\/[a-z-]+$/.test(problem.type) ? problem.type.slice(1) : null,
    wait: retryAfter ?? 0,
    again: (status >= 500 || [401, 408, 429].includes(status)) && (event?.partial ? "Ask again" : "Try again"),
  };
}

/** Whether the rest may still be had: then nothing is asked anew. */
export const isResumable = ({ error, stopped }) =>
  !stopped && error instanceof GlossInterrupted && !(error instanceof GlossLost) && error.lastId > 0;

/** What to write under an answer that is not whole. */
export function cutOf({ finish, error, stopped }) {
  if (stopped || finish?.reason === "cancelled") return "Stopped here";
  if (error || finish.reason === "disconnected") return "Broke off here";
  return finish.reason === "stop" ? "" : "Cut off here";
}
