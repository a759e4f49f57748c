// Step 5: ask the untouched and the tuned model side by side; every answer with its source; corrections become examples.

import { get, path, post, stream } from "../api.js";
import { announce, button, count, empty, failure, fill, h, marked } from "../dom.js";
import { CODE, IMAGES, state } from "../state.js";
import { drawCode } from "./complete.js";
import { drawImages } from "./look.js";

const WAYS = {
  base: "Untouched, from memory", "base+retrieval": "Untouched, with passages", "base+both": "Untouched, both",
  tuned: "Yours, from memory", "tuned+retrieval": "Yours, with passages", "tuned+both": "Yours, both",
};
const MOST_TURNS = 100;
const STATUS = {
  supported: ["good", "It stands in the documents"], unsupported: ["warn", "Not in the documents"], refused: ["", "It says that it does not know"],
};

export async function show(main, signal) {
  let known = null;
  const again = async () => {
    if (known === (state.usable?.name || "")) return;
    known = state.usable?.name || "";
    await draw(main, state.usable, signal);
  };
  state.addEventListener("changed", again, { signal });
  await again();
}

async function draw(main, run, signal) {
  const heading = h("header", { class: "head" }, h("h1", {}, "Ask"), h("p", {}, run ? `Version ${run.name}. Every answer is looked up in your documents afterwards, so that you see whether it stands there. “Both” asks from memory and with passages, and says the likeliest of these answers and those to similar questions.` : "Ask your model and the untouched one the same question."));
  if (run?.task === IMAGES) return drawImages(main, h("header", { class: "head" }, h("h1", {}, "Ask"), h("p", {}, `Version ${run.name}. Give it an image, and it says what it shows.`)), run, signal);
  if (run?.task === CODE) return drawCode(main, h("header", { class: "head" }, h("h1", {}, "Ask"), h("p", {}, `Version ${run.name}. Give it code with a gap, and it says what belongs there.`)), run, signal);
  if (!run) return fill(main, heading, empty("Nobody to ask yet", "Train a model first.", h("a", { class: "button primary", href: "#/train" }, "Go to training")));
  const chosen = new Set(["base", "tuned"]);
  const talk = h("div", { class: "talk" });
  let earlier = [];
  const follows = h("input", { type: "checkbox", id: "follows" });
  const following = h("label", { class: "check", hidden: true }, follows, " It goes on from the talk so far (“And on Sundays?”)");
  const input = h("input", { id: "question", type: "text", autocomplete: "off", placeholder: "What would a customer ask?", maxlength: 2000, required: true });
  const ways = Object.entries(WAYS).filter(([way]) => run.documents > 0 || !way.includes("+"));
  const boxes = ways.map(([way, name]) => h("label", { class: "check" }, h("input", { type: "checkbox", checked: chosen.has(way), onchange: (event) => chosen[event.target.checked ? "add" : "delete"](way) }), ` ${name}`));
  const submit = h("button", { type: "submit", class: "primary" }, "Ask");
  const form = h("form", { class: "asking card", onsubmit: async (event) => {
    event.preventDefault();
    if (!input.value.trim() || chosen.size === 0 || submit.disabled) return;
    submit.disabled = true;
    const question = input.value.trim();
    input.value = "";
    if (!follows.checked) earlier = [];
    const answers = await put(talk, run, question, ways.map(([way]) => way).filter((way) => chosen.has(way)), earlier, signal);
    earlier = [...earlier, { question, answers }].slice(-MOST_TURNS);
    following.hidden = false;
    submit.disabled = false;
    input.focus({ preventScroll: true });
  } }, h("label", { for: "question", class: "hidden-text" }, "Your question"), h("div", { class: "row" }, input, submit), h("div", { class: "row", role: "group", "aria-label": "Whom to ask" }, boxes), following);
  const suggested = h("div", { class: "row suggestions" });
  fill(main, heading, form, suggested, talk);
  input.focus();
  const found = await get(path(["runs", run.name, "evaluation"])).catch(() => null);
  const right = (found?.questions || []).filter((question) => question.replies.tuned?.right && question.kind !== "general" && question.answers.length > 0 && question.question.length < 90);
  const some = right.length > 0 ? right : (found?.questions || []).filter((question) => question.kind !== "general");
  if (signal.aborted || some.length === 0) return;
  fill(suggested, h("span", { class: "soft" }, "For example:"), some.filter((_, i) => i % Math.ceil(some.length / 3) === 0).slice(0, 3).map((question) => h("button", { type: "button", class: "pill", onclick: () => { input.value = question.question; follows.checked = false; form.requestSubmit(); } }, question.question)));
}

/** One question with its answers, as they are written; returns what each way said. */
async function put(talk, run, question, ways, earlier, signal) {
  const said = {};
  const texts = Object.fromEntries(ways.map((way) => [way, h("p", { class: "text writing" })]));
  const feet = Object.fromEntries(ways.map((way) => [way, h("div", { class: "foot" })]));
  talk.prepend(h("section", { class: "turn", "aria-label": question }, h("h2", { class: "question" }, question), earlier.length > 0 && h("p", { class: "soft" }, `Goes on from: ${earlier.at(-1).question}`),
    h("div", { class: "answers" }, ways.map((way) => h("article", { class: `answer card ${way.startsWith("tuned") ? "ours" : ""}`, "data-way": way }, h("h3", {}, WAYS[way]), texts[way], feet[way])))));
  const heard = (name, data) => {
    if (name === "piece") texts[data.way].append(data.text);
    if (name === "failure") { texts[data.way].classList.remove("writing"); fill(feet[data.way], failure(data.message)); }
    if (name === "answer") {
      texts[data.way].classList.remove("writing");
      texts[data.way].textContent = data.text || "(nothing)";
      said[data.way] = data.text;
      drawFoot(feet[data.way], run, question, data, earlier.length > 0);
      announce(`${WAYS[data.way]}: ${data.text}. ${STATUS[data.status][1]}.`);
    }
  };
  try {
    await stream("POST", "/engrain/ask", { run: run.name, question, ways, earlier }, heard, signal);
  } catch (error) {
    if (error.name === "AbortError") return said;
    for (const way of ways) if (!feet[way].hasChildNodes()) { texts[way].classList.remove("writing"); fill(feet[way], failure(error)); }
  }
  return said;
}

function drawFoot(foot, run, question, answer, follows) {
  const [kind, words] = answer.everyday ? ["", "Everyday question: the untouched model answers"] : STATUS[answer.status];
  const say = async (good, pressed) => {
    await post("/engrain/feedback", { run: run.name, question, way: answer.way, answer: answer.text, good });
    for (const one of thumbs) one.setAttribute("aria-pressed", one === pressed);
    if (good) fill(box);
    else correct(box, question, answer, follows);
  };
  const box = h("div", {});
  const thumbs = [["✓ Right", "This is right", true], ["✗ Wrong", "This is wrong", false]].map(([picture, label, good]) => button(picture, (self) => say(good, self), { kind: "quiet thumb", label: `${label}: ${WAYS[answer.way]}` }));
  thumbs.forEach((one) => one.setAttribute("aria-pressed", "false"));
  fill(foot, h("div", { class: "row" }, h("span", { class: `chip ${kind}` }, words), h("span", { class: "grow" }), thumbs), box,
    answer.asked_as && h("p", { class: "soft" }, "Asked in words that it learned: ", h("q", {}, answer.asked_as)),
    answer.forgotten > 0 && h("p", { class: "soft" }, `The talk is longer than this model can see; ${count(answer.forgotten, "turn")} at its start ${answer.forgotten === 1 ? "was" : "were"} left out.`),
    answer.passage && h("details", {}, h("summary", {}, answer.passage.place), h("blockquote", { class: "source" }, marked(answer.passage.text, answer.passage.start, answer.passage.end))),
    answer.read.length > 0 && h("details", {}, h("summary", {}, `What it was given to read (${answer.read.length})`), answer.read.map((text) => h("blockquote", { class: "source" }, text))));
}

/** Ask for the right answer; to a question that goes on from others, also for one that can stand alone, for that is what is learned. */
function correct(box, question, answer, follows) {
  const id = `right-${answer.way}-${Date.now()}`;
  const right = h("textarea", { id, rows: 2 });
  const asked = h("input", { id: `${id}-asked`, type: "text", value: question, maxlength: 2000 });
  fill(box, follows && h("div", { class: "edit" }, h("label", { for: `${id}-asked` }, "The whole question, as it would be asked by itself"), asked),
    h("div", { class: "edit" }, h("label", { for: id }, "What would have been right?"), right),
    h("div", { class: "row" }, button("Keep it for the next training", async () => {
      await post("/engrain/examples", { question: asked.value, answer: right.value, origin: "correction" });
      fill(box, h("div", { class: "notice good", role: "status" }, h("p", {}, "Kept. The next training learns it; it stands under Facts and examples, Your own.")));
    }, { kind: "primary" })));
  right.focus();
}
