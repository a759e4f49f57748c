// Step 3: choose how long, see what it takes, train, watch, pause, go on; and all versions side by side.

import { get, path, post, remove } from "../api.js";
import { button, bytes, confirmed, duration, empty, failure, fill, h, moment, percent, working } from "../dom.js";
import { CODE, IMAGES, state } from "../state.js";
import { STATUS, notes, progress } from "../work.js";
import { PURPOSES } from "./collections.js";
import { curves } from "./curves.js";
import { settingsForm } from "./settings.js";

const PRESETS = [
  { id: "quick", title: "Quick", text: "A few minutes of training. Good for a first look at what comes of your documents." },
  { id: "thorough", title: "Thorough", text: "Goes through everything several times. Takes longer and learns more." },
];

export async function show(main, signal) {
  const top = h("section");
  const past = h("section");
  fill(main, h("header", { class: "head" }, h("h1", {}, "Train"), h("p", {}, "Your model learns the questions and answers, and is then asked what it never saw in that wording.")), top, past);
  let known = "";
  const draw = async () => {
    const seen = JSON.stringify([state.build?.id, state.build?.status, state.builds[0]?.status, state.run?.name, state.runs.map((run) => [run.status, run.build])]);
    if (seen === known) return;
    known = seen;
    if (state.build) {
      drawWork(top, state.build, signal);
      scrollTo(0, 0);
    } else await drawChoice(top, signal);
    await drawPast(past, signal);
  };
  state.addEventListener("changed", () => draw().catch((error) => fill(top, failure(error))), { signal });
  await draw();
}

async function drawChoice(top, signal) {
  const collection = state.collection;
  if (state.documents.length === 0 && !collection) return fill(top, empty("Nothing to train on", "Add documents first; the rest follows from them.", h("a", { class: "button primary", href: "#/documents" }, "Go to the documents")));
  const again = () => drawChoice(top, signal).catch((error) => fill(top, failure(error)));
  const task = collection && (purposes[collection.name] ?? collection.task);
  const choices = await get(path(["settings"], { task: task || "" }));
  const chosen = { preset: "quick" };
  const form = settingsForm(choices, () => estimate());
  const result = h("div", { class: "estimate", role: "status" });
  const cards = PRESETS.map((preset) => h("label", { class: "choice card" },
    h("input", { type: "radio", name: "preset", value: preset.id, checked: preset.id === chosen.preset, onchange: () => { chosen.preset = preset.id; estimate(); } }),
    h("b", {}, preset.title), h("span", {}, preset.text)));
  const ready = !collection && state.run?.editable ? state.run : null;
  const earlier = state.runs.find((run) => run.documents > 0 && run.status === "complete")?.name;
  const wanted = () => collection ? { collection: collection.name, settings: { ...form.values(), task } } : { run: ready?.name, earlier: ready ? undefined : earlier, settings: form.values() };
  const start = button("Start training", async () => {
    const build = await post("/engrain/builds", { goal: "verdict", preset: chosen.preset, ...wanted() });
    state.choose(build.run);
    await state.refresh();
  }, { kind: "primary large" });
  const how = collection ? `with ${collection.name}: ${PURPOSES[task]}` : ready ? `with the facts and examples of ${ready.name}` : "with facts and examples that are written first";
  fill(top, ended(), state.collections.length > 0 && sources(collection, task, again), h("fieldset", { class: "choices" }, h("legend", {}, "How long may it take?"), cards), result,
    h("details", { class: "more" }, h("summary", {}, "More: method and settings"), form.element),
    h("div", { class: "row" }, start, h("span", { class: "soft" }, how)));
  let asked = 0;
  async function estimate() {
    if (collection) return fill(result, h("p", { class: "soft" }, "How long it takes is known once the first steps are done; it is shown then."));
    const mine = ++asked;
    fill(result, working("Working out what it takes on this computer"));
    try {
      const plan = await post("/engrain/estimate", { preset: chosen.preset, settings: form.values(), run: ready?.name });
      if (mine === asked && !signal.aborted) fill(result, drawPlan(plan));
    } catch (error) {
      if (mine === asked && !signal.aborted) fill(result, failure(error));
    }
  }
  estimate();
}

/** What people said that a collection is for, by its name. */
const purposes = {};

/** The choice of what is learned, the documents or a collection, and of what that is for. */
function sources(collection, task, again) {
  const option = (value, text, now) => h("option", { value, selected: value === now }, text);
  const from = h("select", { id: "source", onchange: () => { state.learnFrom(from.value); again(); } },
    state.documents.length > 0 && option("", "Your documents", collection?.name ?? ""), state.collections.map((one) => option(one.name, one.name, collection?.name)));
  const purpose = collection && h("select", { id: "purpose", onchange: () => { purposes[collection.name] = purpose.value; again(); } }, [CODE, IMAGES].map((one) => option(one, PURPOSES[one], task)));
  return h("div", { class: "filters" }, h("div", { class: "field" }, h("label", { for: "source" }, "Learn from"), from),
    purpose && h("div", { class: "field" }, h("label", { for: "purpose" }, "It holds"), purpose));
}

/** How the last build ended, where that did not go well. */
function ended() {
  const last = state.builds[0];
  if (last?.status === "failed") return failure(`Training ${last.run} did not work.\n${last.error}`);
  return last?.status === "cancelled" && h("div", { class: "notice" }, h("p", {}, `Work on ${last.run} was stopped.`));
}

function drawPlan(plan) {
  const fact = (title, value, text) => h("div", {}, h("dt", {}, title), h("dd", {}, value, h("small", {}, text)));
  return [
    !plan.fits && h("div", { class: "notice warn" }, h("strong", {}, "This does not fit on this computer"), plan.reasons.filter((reason) => /try|free|raise|choose/.test(reason)).map((reason) => h("p", {}, reason))),
    h("dl", { class: "figures card" },
      fact("Time", `about ${duration(plan.total_minutes * 60)}`, `${duration(plan.training_minutes * 60)} of it training`),
      fact("Memory", bytes(plan.memory_bytes), `${bytes(plan.memory_free_bytes)} are free`),
      fact("Disk", bytes(plan.disk_bytes), `${bytes(plan.disk_free_bytes)} are free`),
      fact("To learn", plan.examples.toLocaleString("en"), `examples about ${plan.facts} facts`)),
    h("details", {}, h("summary", {}, "How this was worked out"), h("ul", { class: "notes" }, plan.reasons.map((reason) => h("li", {}, reason)))),
  ];
}

function drawWork(top, build, signal) {
  const act = (name) => async () => { await post(path(["builds", build.id, name])); await state.refresh(); };
  const live = h("div", { class: "curves" });
  fill(top, h("div", { class: "card" }, h("h2", {}, build.goal === "examples" ? `Writing facts and examples: ${build.run}` : `Training: ${build.run}`), progress(signal), figures(signal),
    h("p", { class: "soft" }, build.status === "paused" ? "It goes on exactly where it stopped." : "You can close this page or restart the computer; the work is not lost."),
    h("div", { class: "row" },
      build.status === "paused" ? button("Go on", act("resume"), { kind: "primary" }) : button("Pause", act("pause")),
      button("Stop for good", async () => {
        if (!(await confirmed("Stop this training?", "What was trained so far is not used. Facts and examples stay.", "Stop it"))) return;
        await act("cancel")();
        setTimeout(() => state.refresh().catch(() => {}), 4000); // by then its process has ended
      }, { kind: "danger" })), notes(signal)), live);
  if (build.goal === "verdict") follow(live, build, signal);
}

/** The newest figures of the training, in a line. */
function figures(signal) {
  const line = h("dl", { class: "figures" });
  const update = () => {
    const rows = state.watched?.rows || [];
    const last = rows.at(-1);
    const judged = rows.findLast((row) => row.heldout_accuracy !== undefined);
    const fact = (title, value) => h("div", {}, h("dt", {}, title), h("dd", {}, value));
    fill(line, last && [fact("Step", last.step), fact("Surprise (loss)", last.loss.toFixed(3)), judged && fact("Right words on unseen questions", percent(judged.heldout_accuracy)), fact("Tokens a second", Math.round(last.tokens_per_second).toLocaleString("en")), fact("Memory", bytes(last.memory_bytes))]);
  };
  update();
  for (const name of ["metrics", "job"]) state.addEventListener(name, update, { signal });
  return line;
}

async function follow(live, build, signal) {
  const draw = (rows, end) => fill(live, curves([{ name: build.run, rows, style: "c-tuned" }], end));
  const total = () => (state.watched?.stage?.title === "Training" ? state.watched.stage.total : undefined);
  if (build.status === "paused") {
    const found = await get(path(["runs", build.run, "metrics"])).catch(() => ({ rows: [] }));
    return draw(found.rows);
  }
  const update = () => draw(state.watched?.rows || [], total());
  update();
  state.addEventListener("metrics", update, { signal });
}

const BUILD = { paused: "paused", queued: "waiting" };
const STYLES = ["c-tuned", "c-base-retrieval", "c-tuned-retrieval", "c-warm", "c-base"];

async function drawPast(past, signal) {
  const runs = state.runs.filter((run) => run.steps || run.status !== "ready");
  if (runs.length === 0) return fill(past);
  const box = h("div", { class: "curves" });
  const picked = new Set(runs.filter((run) => run.steps).slice(0, 2).map((run) => run.name));
  const known = {};
  async function draw() {
    const names = runs.map((run) => run.name).filter((name) => picked.has(name));
    for (const name of names) known[name] ||= (await get(path(["runs", name, "metrics"]))).rows;
    if (!signal.aborted) fill(box, curves(names.map((name) => ({ name, rows: known[name], style: STYLES[runs.findIndex((run) => run.name === name) % STYLES.length] }))));
  }
  const row = (run, number) => h("tr", {},
    h("td", {}, run.steps ? h("label", { class: "check" }, h("input", { type: "checkbox", checked: picked.has(run.name), onchange: (event) => { picked[event.target.checked ? "add" : "delete"](run.name); draw(); } }), h("span", { class: `key ${STYLES[number % STYLES.length]}`, "aria-hidden": "true" }), ` ${run.name}`) : run.name,
      h("small", {}, `${moment(run.created)} · ${run.method || "–"} · ${run.base.split("/").at(-1) || "–"}`)),
    h("td", {}, h("span", { class: `chip ${run.status}` }, run.build ? BUILD[state.builds.find((build) => build.id === run.build)?.status] || "working" : STATUS[run.status] || run.status), run.error && h("small", {}, run.error.split("\n")[0])),
    h("td", { class: "right wide" }, run.seconds ? duration(run.seconds) : "–"),
    h("td", { class: "right" }, run.accuracy !== null ? percent(run.accuracy) : "–"),
    h("td", { class: "right" }, !run.build && button("✕", async () => {
      if (!(await confirmed("Remove this version?", `${run.name} is deleted from the disk, with its model.`, "Delete it"))) return;
      await remove(path(["runs", run.name]));
      await state.refresh();
    }, { kind: "quiet", label: `Delete ${run.name}` })));
  fill(past, h("h2", { class: "part" }, "All versions"), h("p", { class: "soft" }, "Those that were started in the shell too. Tick some to lay their curves over each other."),
    h("div", { class: "card flush" }, h("table", { class: "rows" }, h("caption", { class: "hidden-text" }, "All versions"),
      h("thead", {}, h("tr", {}, h("th", {}, "Version"), h("th", {}, "State"), h("th", { class: "right wide" }, "Took"), h("th", { class: "right" }, "Right"), h("th", {}, h("span", { class: "hidden-text" }, "Delete")))), h("tbody", {}, runs.map(row)))), box);
  await draw();
}
