// The examples of a version: questions with their answers, and each one as the model gets it.

import { get, path, post, remove } from "../api.js";
import { announce, button, count, fill, filling, h, sheet } from "../dom.js";
import { state } from "../state.js";
import { browse } from "./browse.js";

const PARTS = [["train", "to learn"], ["heldout", "kept for the test"], ["replay", "to keep old abilities"], ["own", "written by you"]];
const KINDS = {
  question: "question", reverse: "asked backwards", statement: "told", unanswerable: "not in the documents", two: "two facts",
  replay: "everyday", own: "your own", cloze: "gap", polar: "yes or no", reading: "with a passage",
};

export async function drawExamples(panel, run) {
  let part = "train";
  await browse(panel, {
    load: ({ part: chosen = "train", ...asked }) => get(path(["runs", run.name, "examples"], { ...asked, part: (part = chosen) })),
    row: (example, found, again) => exampleRow(run, example, part, found.editable, again),
    filters: (found) => [
      { name: "part", label: "What they are for", options: PARTS.map(([value, text]) => [value, `${text} (${found.counts[value]})`]) },
      { name: "kind", label: "Kind of example", options: [["", "All kinds"], ...Object.entries(found.kinds).map(([kind, number]) => [kind, `${KINDS[kind] || kind} (${number})`])] },
    ],
    words: (found) => (found.stale ? "Facts were changed, so these are out of date; they are written anew before training." : count(found.total, "example")),
    none: "No example fits.",
  });
  const found = await get(path(["runs", run.name, "examples"], { limit: 0 }));
  if (!found.stale) return;
  panel.prepend(h("div", { class: "notice warn" }, h("strong", {}, "Facts were changed"),
    h("p", {}, "The examples below were written before. They are written anew when training starts; or do it now, to look at them."),
    h("div", { class: "row" }, button("Write them now", async () => {
      await post("/engrain/builds", { goal: "examples", run: run.name });
      await state.refresh();
    }))));
}

function exampleRow(run, example, part, editable, again) {
  const answer = example.turns.at(-1).content;
  const question = example.turns.slice(0, -1).map((turn) => turn.content).join("\n");
  const box = h("article", { class: "fact" });
  const view = () => fill(box,
    h("p", { class: "ask" }, question), h("p", { class: "reply" }, answer),
    h("div", { class: "row" }, h("span", { class: "chip" }, KINDS[example.kind] || example.kind),
      example.repeats === 1 ? null : h("span", { class: "chip" }, example.repeats ? `${example.repeats} times a pass` : "asked as the plainest"), h("span", { class: "soft grow" }, example.document),
      h("button", { type: "button", class: "quiet", "aria-label": `As the model sees it: ${question}`, onclick: () => look(run, example, part) }, "As the model sees it"),
      editable && part === "train" && [
        example.turns.length === 2 && h("button", { type: "button", class: "quiet", "aria-label": `Change: ${question}`, onclick: edit }, "Change"),
        button("Remove", async () => {
          await remove(path(["runs", run.name, "examples", example.id]));
          announce("The example was removed.");
          await again();
        }, { kind: "quiet", label: `Remove: ${question}` })]));
  function edit() {
    const asked = h("textarea", { id: `q-${example.id}`, rows: 2, value: question });
    const said = h("textarea", { id: `a-${example.id}`, rows: 2, value: answer });
    fill(box, h("div", { class: "edit" }, h("label", { for: asked.id }, "Question"), asked, h("label", { for: said.id }, "Answer"), said),
      h("div", { class: "row" }, button("Save", async () => {
        await post("/engrain/examples", { question: asked.value, answer: said.value, origin: "edit" });
        await remove(path(["runs", run.name, "examples", example.id]));
        announce("The example was changed; it stands under “Your own” now.");
        await again();
      }, { kind: "primary" }), h("button", { type: "button", onclick: view }, "Leave it")));
    asked.focus();
  }
  view();
  return box;
}

/** The text with the model's own marks, and which tokens it learns to write. */
function look(run, example, part) {
  const box = h("div");
  sheet("As the model sees it", h("p", { class: "soft" }, "Text is cut into pieces, called tokens. The model learns to write those that are ", h("mark", {}, "marked"), "; the others it only reads."), box);
  return filling(box, "Cutting it into tokens", async () => {
    const found = await get(path(["runs", run.name, "examples", example.id, "tokens"], { part }));
    fill(box, h("p", { class: "tokens" }, found.tokens.map((token) => h("span", { class: token.trained ? "token trained" : "token" }, token.text.replaceAll("\n", "⏎\n")))),
      h("p", { class: "soft" }, `${found.trained} of ${found.count} tokens are learned.`));
  });
}
