// Step 2: facts and examples: browse, search, change and remove them, and see exactly what will be learned.

import { get, patch, path, post, remove } from "../api.js";
import { announce, button, confirmed, count, empty, failure, fill, h, marked, working } from "../dom.js";
import { state } from "../state.js";
import { notes, progress } from "../work.js";
import { browse } from "./browse.js";
import { drawExamples } from "./examples.js";
import { drawLengths } from "./lengths.js";
import { drawOwn } from "./own.js";

const TABS = [["facts", "Facts", drawFacts], ["examples", "Examples", drawExamples], ["lengths", "In the model’s eyes", drawLengths], ["own", "Your own", drawOwn]];
export const KIND = {
  money: "price", time: "time", date: "date", duration: "duration", count: "number", measure: "measure", percent: "share",
  person: "person", place: "place", contact: "contact", name: "name", yesno: "rule", text: "statement",
};

/** Have facts and examples written: as a new version, which keeps what was changed by hand in the one before it. */
export async function prepare(settings = {}) {
  const usable = (run) => run?.documents > 0 && ["ready", "complete"].includes(run.status);
  const earlier = usable(state.run) ? state.run : state.runs.find(usable);
  const chosen = Object.fromEntries(Object.entries(settings).filter(([, value]) => value));
  const build = await post("/engrain/builds", { goal: "examples", settings: chosen, name: "", earlier: earlier?.name });
  state.choose(build.run);
  await state.refresh();
  location.hash = "#/facts";
}

export async function show(main, signal) {
  const open = { tab: sessionStorage.getItem("engrain-tab") || "facts" };
  const draw = () => {
    const build = state.build;
    if (build?.goal === "examples") return fill(main, heading(), drawWork(build, signal));
    const run = state.run;
    const failed = state.builds.find((one) => one.goal === "examples");
    if (!run || run.facts === 0) {
      return fill(main, heading(), failed?.status === "failed" && failure(`The facts could not be written.\n${failed.error}`),
        state.documents.length === 0
          ? empty("Nothing to show yet", "Facts come from your documents, so add some first.", h("a", { class: "button primary", href: "#/documents" }, "Go to the documents"))
          : empty("No facts yet", "engrain reads your documents, notes what people could ask for, and writes questions and answers about it.", button("Write facts and examples", () => prepare(), { kind: "primary" })));
    }
    drawTabs(main, run, open, signal, draw);
  };
  let known = "";
  const again = () => {
    const seen = `${state.run?.name} ${state.run?.status} ${state.build?.id} ${state.build?.goal}`;
    if (seen !== known) draw();
    known = seen;
  };
  again();
  state.addEventListener("changed", again, { signal });
}

function heading() {
  return h("header", { class: "head" }, h("h1", {}, "Facts and examples"), h("p", {}, "This is all that will be learned. Read a few, put right what is wrong, remove what nobody should be told."));
}

function drawWork(build, signal) {
  return h("div", { class: "card" }, h("h2", {}, "Writing facts and examples"), progress(signal),
    h("p", { class: "soft" }, "You can close this page; the work goes on. It takes a minute or two for a few documents, longer for many."),
    notes(signal), h("div", { class: "row" }, button("Stop", async () => { await post(path(["builds", build.id, "cancel"])); await state.refresh(); })));
}

function drawTabs(main, run, open, signal, draw) {
  const panel = h("div", { role: "tabpanel", id: "panel", tabindex: "0" });
  const select = async (id) => {
    open.tab = id;
    sessionStorage.setItem("engrain-tab", id);
    for (const tab of tabs) tab.setAttribute("aria-selected", tab.dataset.tab === id), (tab.tabIndex = tab.dataset.tab === id ? 0 : -1);
    fill(panel, working("One moment"));
    panel.setAttribute("aria-labelledby", `tab-${id}`);
    await TABS.find(([name]) => name === id)[2](panel, run, signal).catch((error) => fill(panel, failure(error)));
  };
  const tabs = TABS.map(([id, title]) => h("button", { type: "button", role: "tab", id: `tab-${id}`, "data-tab": id, "aria-controls": "panel", onclick: () => select(id), onkeydown: (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
    next.focus();
    select(next.dataset.tab);
  } }, title));
  fill(main, heading(), status(run, draw), h("div", { class: "tabs", role: "tablist", "aria-label": "What to look at" }, tabs), panel);
  select(open.tab);
}

function status(run) {
  if (run.editable) return h("div", { class: "next slim" }, h("p", {}, "Nothing is trained on this version yet, so everything can be changed."), h("a", { class: "button primary", href: "#/train" }, "Go on to training"));
  const say = run.status === "complete" ? "A model was trained on this version, so it stays as it is." : "This version cannot be changed now.";
  return h("div", { class: "notice" }, h("p", {}, `${say} To change facts, make a new version; your changes so far are kept.`), h("div", { class: "row" }, button("Make a new version", () => prepare())));
}

const stand = ([value, number], names = {}) => [value, `${names[value] || value} (${number})`];

async function drawFacts(panel, run) {
  await browse(panel, {
    load: (asked) => get(path(["runs", run.name, "facts"], asked)),
    row: (fact, found, again) => factRow(run, fact, found.editable, again),
    filters: (found) => [
      { name: "document", label: "Document", options: [["", "All documents"], ...Object.entries(found.documents).map((entry) => stand(entry))] },
      { name: "kind", label: "Kind of fact", options: [["", "All kinds"], ...Object.entries(found.kinds).map((entry) => stand(entry, KIND))] },
    ],
    words: (found) => count(found.total, "fact"),
    none: "No fact has these words.",
  });
}

function factRow(run, fact, editable, again) {
  const at = fact.statement.indexOf(fact.value);
  const box = h("article", { class: "fact" });
  const view = () => fill(box,
    h("div", { class: "row top" }, h("p", { class: "statement grow" }, at < 0 ? fact.statement : marked(fact.statement, at, at + fact.value.length)), editable && actions()),
    h("p", { class: "soft" }, h("span", { class: "chip" }, KIND[fact.kind] || fact.kind), ` ${fact.passage.place}`, run.status !== "ready" || fact.examples ? ` · ${count(fact.examples, "example")}` : ""),
    h("details", {}, h("summary", {}, "Where it stands"), h("blockquote", { class: "source" }, marked(fact.passage.text, fact.passage.start, fact.passage.end))));
  const actions = () => [h("button", { type: "button", class: "quiet", "aria-label": `Change: ${fact.statement}`, onclick: edit }, "Change"),
    button("Remove", async () => {
      if (!(await confirmed("Remove this fact?", `“${fact.statement}” will not be learned.`, "Remove it"))) return;
      await remove(path(["runs", run.name, "facts", fact.id]));
      announce("The fact was removed.");
      await again();
    }, { kind: "quiet", label: `Remove: ${fact.statement}` })];
  function edit() {
    const field = (name, label, help) => [h("label", { for: `${name}-${fact.id}` }, label, " ", h("small", {}, help)), h("textarea", { id: `${name}-${fact.id}`, name, rows: 2, value: fact[name] })];
    const form = h("form", { class: "edit", onsubmit: (event) => event.preventDefault() },
      field("subject", "About", "what the fact is about"), field("relation", "What is said", "___ stands for the answer"),
      field("value", "The answer", "it must stand in the document letter by letter"));
    fill(box, form, h("div", { class: "row" }, button("Save", async () => {
      const given = Object.fromEntries([...new FormData(form)].filter(([name, value]) => value !== fact[name]));
      fact = await patch(path(["runs", run.name, "facts", fact.id]), given);
      announce("The fact was changed.");
      await again();
    }, { kind: "primary" }), h("button", { type: "button", onclick: view }, "Leave it")));
    form.querySelector("textarea").focus();
  }
  view();
  return box;
}
