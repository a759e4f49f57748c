// Examples that people wrote: corrections of answers, changed examples, and others. Every build from now on learns them.

import { get, path, post, remove } from "../api.js";
import { announce, button, complain, fill, h, moment } from "../dom.js";

const ORIGIN = { correction: "correction of an answer", edit: "changed example", own: "your own" };

export async function drawOwn(panel) {
  const draw = async () => {
    const { rows } = await get("/engrain/examples");
    const list = rows.map((row) => h("article", { class: "fact" }, h("p", { class: "ask" }, row.question), h("p", { class: "reply" }, row.answer),
      h("div", { class: "row" }, h("span", { class: "chip" }, ORIGIN[row.origin]), h("span", { class: "soft grow" }, moment(row.created)),
        button("Remove", async () => { await remove(path(["examples", row.id])); await draw(); }, { kind: "quiet", label: `Remove: ${row.question}` }))));
    fill(panel, h("p", { class: "lead" }, "What you write here is learned in every training from now on, and wins over other examples of the same question. Corrections that you make while asking come here too."),
      form(draw), list.length > 0 ? h("div", { class: "list" }, list) : h("p", { class: "soft pad" }, "Nothing here yet."));
  };
  await draw();
}

function form(draw) {
  const question = h("textarea", { id: "own-question", rows: 2, required: true });
  const answer = h("textarea", { id: "own-answer", rows: 2, required: true });
  return h("form", { class: "card edit", onsubmit: async (event) => {
    event.preventDefault();
    try {
      await post("/engrain/examples", { question: question.value, answer: answer.value, origin: "own" });
      announce("The example was added.");
      await draw();
    } catch (error) {
      complain(event.target.querySelector("button"), error);
    }
  } }, h("label", { for: "own-question" }, "A question somebody asks"), question, h("label", { for: "own-answer" }, "The answer the model shall give"), answer,
    h("div", { class: "row" }, h("button", { type: "submit", class: "primary" }, "Add it")));
}
