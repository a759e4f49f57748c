// Work under way, in words and as a bar: the same wherever it is shown.

import { duration, fill, h, percent } from "./dom.js";
import { state } from "./state.js";

const WORDS = {
  "Reading documents": "Reading the documents",
  "Finding facts": "Finding facts",
  "Wording the facts": "Writing questions and answers",
  "Encoding examples": "Preparing the examples",
  Training: "Training",
};

/** What a run's status means. */
export const STATUS = { ready: "not trained yet", running: "working", complete: "done", failed: "failed", interrupted: "stopped", killed: "stopped" };

/** The share of a stage that is done, or null. */
export function share(stage) {
  return stage?.total ? Math.min(1, stage.done / stage.total) : null;
}

/** What the machine does now, with the time that is left. */
export function now(stage) {
  if (!stage?.title) return "Getting ready";
  const done = share(stage);
  const left = stage.remaining ? `, about ${duration(stage.remaining)} left` : "";
  return `${WORDS[stage.title] || stage.title}${done !== null ? `: ${percent(done)}` : ""}${left}`;
}

/** A bar with its words that follows the build which works now, until `signal`. */
export function progress(signal) {
  const words = h("p", { class: "now", id: "progress-words" });
  const bar = h("progress", { max: 1, "aria-labelledby": "progress-words" });
  const update = () => {
    const stage = state.watched?.stage;
    const done = share(stage);
    words.textContent = state.build?.status === "queued" ? "Waiting for other work to end" : state.build?.status === "paused" ? "Paused; nothing is lost" : now(stage);
    if (done === null && state.build?.status === "running") bar.removeAttribute("value");
    else bar.value = done || 0;
  };
  update();
  state.addEventListener("job", update, { signal });
  state.addEventListener("changed", update, { signal });
  return h("div", { class: "progress" }, words, bar);
}

/** What the work said on the way, folded. */
export function notes(signal) {
  const list = h("ul", { class: "notes" });
  const summary = h("summary", {}, "What happened so far");
  const box = h("details", { hidden: true }, summary, list);
  const update = () => {
    const said = state.watched?.notes || [];
    box.hidden = said.length === 0;
    fill(list, said.slice(-60).map((text) => h("li", {}, text)));
  };
  update();
  state.addEventListener("job", update, { signal });
  return box;
}
