// The frame of the page: the key, the six steps, and the line that says what the machine is doing.

import { forget, keep, key, watchKey } from "./api.js";
import { announce, button, complain, failure, fill, h, percent, working } from "./dom.js";
import { state } from "./state.js";
import { STATUS, now, share } from "./work.js";
import * as ask from "./steps/ask.js";
import * as documents from "./steps/documents.js";
import * as exporting from "./steps/export.js";
import * as facts from "./steps/facts.js";
import * as train from "./steps/train.js";
import * as verdict from "./steps/verdict.js";

const STEPS = [
  { id: "documents", title: "Documents", view: documents, note: () => state.documents.length ? `${state.documents.length} added` : "start here" },
  { id: "facts", title: "Facts and examples", view: facts, note: () => state.build?.goal === "examples" ? stageNote() : state.run?.facts ? `${state.run.facts} facts` : "" },
  { id: "train", title: "Train", view: train, note: () => state.build?.goal === "verdict" ? stageNote() : "" },
  { id: "verdict", title: "Verdict", view: verdict, note: () => state.usable?.accuracy != null ? `${percent(state.usable.accuracy)} right` : "" },
  { id: "ask", title: "Ask", view: ask, note: () => "" },
  { id: "export", title: "Take it away", view: exporting, note: () => "" },
];

let leave = null;

function stageNote() {
  const done = share(state.watched?.stage);
  return state.build.status === "paused" ? "paused" : state.build.status === "queued" ? "waiting" : done ? percent(done) : "working";
}

function frame() {
  const links = STEPS.map((step, number) => h("li", {}, h("a", { href: `#/${step.id}`, "data-step": step.id },
    h("span", { class: "number", "aria-hidden": "true" }, number + 1), h("span", { class: "step-title" }, step.title), h("small", {}))));
  fill(document.getElementById("app"),
    h("div", { class: "frame" },
      h("nav", { class: "rail", "aria-label": "Steps" },
        h("a", { class: "brand", href: "#/documents" }, h("img", { src: "icon.svg", alt: "" }), "engrain"),
        h("ol", {}, links),
        h("div", { class: "rail-foot" }, h("label", {}, "Version", h("select", { id: "run", onchange: (event) => state.choose(event.target.value) })),
          h("p", { class: "soft" }, "Everything stays on this computer."),
          button("Log out", logOut, { kind: "quiet" }))),
      h("div", { class: "stage" }, h("div", { id: "activity", hidden: true }), h("main", { id: "main", tabindex: "-1" }))));
}

/** Bring the rail and the line on top up to date. */
function dress() {
  for (const step of STEPS) {
    const link = document.querySelector(`[data-step="${step.id}"]`);
    if (link) link.querySelector("small").textContent = step.note() || "";
  }
  const select = document.getElementById("run");
  if (!select) return;
  fill(select, state.runs.map((run) => h("option", { value: run.name, selected: run === state.run }, `${run.name}${run.status === "complete" ? "" : ` (${STATUS[run.status] || run.status})`}`)));
  select.closest("label").hidden = state.runs.length === 0;
  activity();
}

function activity() {
  const line = document.getElementById("activity");
  const build = state.build;
  line.hidden = !build || place() === "train" || (place() === "facts" && build.goal === "examples");
  if (line.hidden) return;
  const goal = build.goal === "examples" ? "facts" : "train";
  fill(line, h("span", { class: build.status === "running" ? "spinner" : "still", "aria-hidden": "true" }),
    h("span", {}, build.status === "paused" ? `Paused: ${build.run}` : build.status === "queued" ? `Waiting: ${build.run}` : now(state.watched?.stage)),
    h("a", { href: `#/${goal}` }, "Look"));
}

const place = () => /^#\/(\w+)/.exec(location.hash)?.[1] || "documents";

/** Show the step that the address names. */
async function show({ focus = true } = {}) {
  const step = STEPS.find((one) => one.id === place()) || STEPS[0];
  for (const link of document.querySelectorAll("[data-step]")) {
    if (link.dataset.step === step.id) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
  }
  document.querySelector('[aria-current="step"]')?.scrollIntoView({ block: "nearest", inline: "nearest" });
  document.title = `${step.title} · engrain`;
  leave?.abort();
  leave = new AbortController();
  const main = document.getElementById("main");
  dress();
  fill(main, working("One moment"));
  try {
    await step.view.show(main, leave.signal);
  } catch (error) {
    if (error.name !== "AbortError") fill(main, failure(error, button("Try again", () => show())));
  }
  if (focus) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
    announce(step.title);
  }
}

/** Ask for the key, which the server printed when it started. */
function unlock(problem = "") {
  leave?.abort();
  const input = h("input", { id: "key", type: "password", autocomplete: "off", required: true });
  const form = h("form", { class: "alone card", onsubmit: async (event) => {
    event.preventDefault();
    keep(input.value.trim());
    try {
      await start();
    } catch (error) {
      if (error.status !== 401) complain(input, error);
    }
  } },
    h("img", { src: "icon.svg", alt: "", class: "rings" }), h("h1", {}, "engrain"),
    h("p", {}, "Open the page with the link that engrain serve printed, or give the key from it here. This browser keeps it until you log out."),
    h("label", { for: "key" }, "Key"), input, problem && failure(problem), h("button", { type: "submit", class: "primary" }, "Open"));
  fill(document.getElementById("app"), h("main", { id: "main" }, form));
  input.focus();
}

function logOut() {
  forget();
  location.reload();
}

async function start() {
  await state.refresh();
  frame();
  await show({ focus: false });
}

addEventListener("hashchange", () => (key() && document.querySelector(".rail") ? show() : boot()));
addEventListener("engrain-locked", () => { forget(); unlock("The server does not know this key.\nCopy the whole link that it printed when it was started."); });
watchKey(() => location.reload());
state.addEventListener("changed", dress);
state.addEventListener("job", dress);
state.addEventListener("build", () => dress());

async function boot() {
  if (!key()) return unlock();
  try {
    await start();
  } catch (error) {
    if (error.status !== 401) fill(document.getElementById("app"), h("main", { id: "main", class: "alone" }, failure(error, button("Try again", boot))));
  }
}

boot();
