// Step 4: what measuring showed: use it or not, how every way of answering did, and every question with its answers.

import { download, get, path } from "../api.js";
import { bars } from "../charts.js";
import { button, count, empty, fill, h, percent } from "../dom.js";
import { CHAT, state } from "../state.js";
import { curves } from "./curves.js";
import { scores } from "./scores.js";

const STYLES = { base: "c-base", "base+retrieval": "c-base-retrieval", tuned: "c-tuned", "tuned+retrieval": "c-tuned-retrieval" };
export const WAYS = { base: "Untouched model", "base+retrieval": "Untouched + look-up", tuned: "Your model", "tuned+retrieval": "Your model + look-up" };
const CHOICES = {
  "use the tuned model": ["Use your model", "It knows your documents by heart."],
  "use tuned + retrieval": ["Use your model together with look-up", "It answers best with the passages of your documents in front of it."],
  "use retrieval": ["Use look-up without training", "Looking answers up in your documents works as well without training."],
  "do not use": ["Do not use this one yet", "It is not right often enough to rely on."],
};
const KINDS = { "all answerable": "All questions that the documents answer", "not in the documents (declined)": "not in the documents: declined", "right or rightly declined": "All: right, or rightly declined", direct: "asked directly", paraphrase: "in other words", reverse: "asked backwards", two: "from two facts", multi: "from two facts", statement: "told", polar: "yes or no", "follow-up": "following on another" };
const PAGE = 25;

export async function show(main, signal) {
  const draw = async () => {
    const run = state.usable;
    if (!run) return fill(main, heading(), empty("No verdict yet", state.build ? "It comes at the end of the training that is under way." : "Train a model first; engrain then asks it questions in wordings that it never saw.", h("a", { class: "button primary", href: "#/train" }, "Go to training")));
    const found = await get(path(["runs", run.name, run.task === CHAT ? "evaluation" : "scores"])).catch((error) => (error.status === 404 ? null : Promise.reject(error)));
    if (!found) return fill(main, heading(run), empty("Not measured", "This version was trained without a test, so nothing is known about how well it answers."));
    const { rows } = await get(path(["runs", run.name, "metrics"]));
    if (signal.aborted) return;
    if (run.task === CHAT) drawAll(main, run, found, rows);
    else fill(main, heading(run), scores(run, found), training(run, rows));
  };
  let known = "";
  const again = async () => {
    const seen = `${state.usable?.name} ${Boolean(state.build)}`;
    if (seen === known) return;
    known = seen;
    await draw();
  };
  state.addEventListener("changed", again, { signal });
  await again();
}

function heading(run) {
  return h("header", { class: "head" }, h("h1", {}, "Verdict"), run && h("p", {}, `Version ${run.name}`));
}

function drawAll(main, run, found, rows) {
  const [title, meaning] = CHOICES[found.verdict?.choice] || ["Measured", ""];
  const ways = Object.keys(found.names);
  const overall = ways.filter((way) => found.overall[way]).map((way) => ({ name: WAYS[way], ...found.overall[way], style: STYLES[way], note: `${found.overall[way].right} of ${found.overall[way].count}` }));
  fill(main, heading(run),
    found.verdict && h("section", { class: `verdict card ${found.verdict.choice === "do not use" ? "no" : ""}` }, h("h2", {}, title), h("p", { class: "lead" }, meaning), h("p", {}, found.verdict.reason),
      h("ul", { class: "checks" }, found.verdict.checks.map((check) => h("li", {}, sign(check.passed, "all right", "look at this"), h("span", {}, check.finding)))),
      h("div", { class: "row" }, h("a", { class: "button primary", href: "#/ask" }, "Ask it something"), button("Download the report", () => download(path(["runs", run.name, "report"]), `${run.name}-report.html`)))),
    h("h2", { class: "part" }, "How often each way answers right"),
    h("p", { class: "soft" }, "Untouched is the model as it came; yours is the one that learned your documents. With look-up it is asked from memory and with passages of your documents, and the answer that fits best counts, first of all one that the documents support. The thin line shows where the true share probably lies."),
    h("div", { class: "card" }, bars(overall, "Share of right answers")),
    h("h2", { class: "part" }, "By kind of question"), table(found, ways),
    found.comparisons.length > 0 && compared(found),
    training(run, rows),
    questions(found, ways));
}

function training(run, rows) {
  return rows.length > 0 && [h("h2", { class: "part" }, "How training went"), h("div", { class: "curves" }, curves([{ name: run.name, rows, style: "c-tuned" }]))];
}

function sign(good, yes, no, mark = "!") {
  return h("span", { class: `sign ${good ? "yes" : "no"}`, role: "img", "aria-label": good ? yes : no }, good ? "✓" : mark);
}

function table(found, ways) {
  const cell = (share) => h("td", { class: "right" }, share ? [percent(share.value), h("small", {}, `${percent(share.low)}–${percent(share.high)}`)] : "–");
  return h("div", { class: "card flush scroll", tabindex: "0", role: "region", "aria-label": "Right answers by kind of question" }, h("table", { class: "rows" },
    h("caption", { class: "hidden-text" }, "Share of right answers by kind of question and way of answering"),
    h("thead", {}, h("tr", {}, h("th", {}, "Questions"), h("th", { class: "right" }, "Asked"), ways.map((way) => h("th", { class: "right" }, WAYS[way])))),
    h("tbody", {}, found.table.map((row) => h("tr", {}, h("th", { scope: "row" }, KINDS[row.kind] || row.kind), h("td", { class: "right" }, row.count), ways.map((way) => cell(row.shares[way])))))));
}

function compared(found) {
  const line = (one) => h("li", {}, h("b", {}, `${WAYS[one.new]} against ${WAYS[one.old].toLowerCase()}: `), `${one.won} won, ${one.lost} lost. `, h("span", { class: "soft" }, one.sure ? "More than chance explains." : "Chance may explain this."));
  return h("div", { class: "card" }, h("h2", {}, "What training won and lost"), h("ul", { class: "plain" }, found.comparisons.map(line),
    found.retention && h("li", {}, h("b", {}, "Kept of what it knew before: "), `${percent(found.retention.value)} (${found.retention.right} of ${found.retention.count} everyday questions).`),
    found.by_itself && h("li", {}, found.by_itself),
    found.by_heart && h("li", {}, h("b", {}, "Known by heart: "), `${found.by_heart.right} of ${found.by_heart.count} facts, word for word, asked in the words that it practised most.`)));
}

function questions(found, ways) {
  const asked = { change: "", q: "", shown: PAGE };
  const list = h("div", { class: "list" });
  const total = h("p", { class: "soft total", role: "status" });
  const more = button("Show more", () => { asked.shown += PAGE; draw(); });
  const number = (change) => found.questions.filter((question) => question.change === change).length;
  const choices = [["", `All (${found.questions.length})`], ["won", `Won (${number("won")})`], ["lost", `Lost (${number("lost")})`], ["wrong", "Your model is wrong"]];
  const buttons = choices.map(([value, text]) => h("button", { type: "button", "aria-pressed": value === asked.change, onclick: () => { asked.change = value; asked.shown = PAGE; buttons.forEach((one, i) => one.setAttribute("aria-pressed", choices[i][0] === value)); draw(); } }, text));
  const fits = (question) => (asked.change === "" || (asked.change === "wrong" ? question.replies.tuned && !question.replies.tuned.right : question.change === asked.change))
    && (!asked.q || JSON.stringify([question.question, question.replies]).toLowerCase().includes(asked.q.toLowerCase()));
  function draw() {
    const fitting = found.questions.filter(fits);
    total.textContent = count(fitting.length, "question");
    fill(list, fitting.slice(0, asked.shown).map((question) => one(question, ways)));
    more.hidden = fitting.length <= asked.shown;
  }
  draw();
  return [h("h2", { class: "part" }, "Every question and its answers"),
    h("div", { class: "filters" }, h("div", { class: "pills", role: "group", "aria-label": "Which questions" }, buttons), h("input", { type: "search", placeholder: "Search", "aria-label": "Search in questions and answers", oninput: (event) => { asked.q = event.target.value; draw(); } })), total, list, more];
}

/** A long reply folded: the untouched model often goes on and on. */
function short(reply) {
  const text = reply.replace(/\s+/g, " ").trim();
  if (text.length <= 180) return text;
  const box = h("span", {}, `${text.slice(0, 150)}… `, h("button", { type: "button", class: "link", onclick: () => fill(box, reply) }, "all of it"));
  return box;
}

function one(question, ways) {
  return h("article", { class: "fact" }, h("p", { class: "ask" }, question.question, question.change && h("span", { class: `chip ${question.change}` }, question.change)),
    h("p", { class: "soft" }, `Right: ${question.answers.slice(0, 2).join(" or ") || "that the documents do not say"}`, question.source && ` · ${question.source}`),
    h("dl", { class: "replies" }, ways.filter((way) => question.replies[way]).map((way) => [h("dt", {}, sign(question.replies[way].right, "right", "wrong", "✗"), WAYS[way]), h("dd", {}, short(question.replies[way].reply) || "(nothing)")])));
}
