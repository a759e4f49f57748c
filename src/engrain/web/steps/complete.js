// Asking a version that completes code: put the cursor where something is missing; yours and the untouched model say what belongs there.

import { get, post } from "../api.js";
import { announce, button, failure, fill, h, working } from "../dom.js";

const AROUND = 3; // lines shown before and after what was written
const MOST_TOKENS = 64;

export function drawCode(main, heading, run, signal) {
  const code = h("textarea", { id: "code", rows: 14, spellcheck: "false", autocapitalize: "off", autocomplete: "off", placeholder: "Paste code, and put the cursor where something is missing.", onkeydown: (event) => event.key === "Enter" && event.ctrlKey && form.requestSubmit() });
  const file = h("input", { id: "file", type: "text", autocomplete: "off", spellcheck: "false", maxlength: 4096 });
  const submit = h("button", { type: "submit", class: "primary", title: "Ctrl + Enter" }, "Complete");
  const written = h("div", { class: "talk" });
  const form = h("form", { class: "coding card", onsubmit: async (event) => {
    event.preventDefault();
    if (submit.disabled || !code.value.trim()) return;
    submit.disabled = true;
    await put(written, run, { before: code.value.slice(0, code.selectionStart), after: code.value.slice(code.selectionEnd), path: file.value.trim() }, code, signal);
    submit.disabled = false;
  } }, h("label", { for: "code" }, "Code, with the cursor where something is missing"), code,
  h("div", { class: "edit" }, h("label", { for: "file" }, "Path of its file in the code base, if it has one"), file), h("div", { class: "row" }, submit));
  fill(main, heading, form, written);
  code.focus();
}

/** One gap, filled by the untouched model where the server has it, and by the version. */
async function put(written, run, gap, code, signal) {
  const { data } = await get("/v1/models").catch(() => ({ data: [] }));
  const known = data.some((model) => model.id === run.base);
  const ours = h("article", { class: "answer card ours", "data-way": "tuned" });
  const base = known && h("article", { class: "answer card", "data-way": "base" });
  const line = gap.before.split("\n").length;
  written.prepend(h("section", { class: "turn", "aria-label": `Line ${line}` }, h("h2", { class: "question" }, `Line ${line}${gap.path && ` of ${gap.path}`}`), h("div", { class: "answers" }, base, ours)));
  const about = gap.after.trim() && h("p", { class: "soft" }, "It knows no gaps: it sees only what stands before.");
  if (base) await fillIn(base, "Untouched", { model: run.base, prompt: gap.before || "\n" }, gap, code, about, signal);
  await fillIn(ours, "Yours", { model: run.name, prompt: gap.before, suffix: gap.after || undefined, engrain: { path: gap.path } }, gap, code, null, signal);
}

async function fillIn(card, name, asked, gap, code, about, signal) {
  fill(card, h("h3", {}, name), working("Writing"));
  try {
    const { choices: [{ text }] } = await post("/v1/completions", { ...asked, max_tokens: MOST_TOKENS });
    if (signal.aborted) return;
    const insert = button("Put it in", () => {
      code.value = gap.before + text + gap.after;
      code.focus();
      code.setSelectionRange(gap.before.length + text.length, gap.before.length + text.length);
    }, { label: `Put it in: ${name}` });
    fill(card, h("h3", {}, name), h("pre", { class: "code", tabindex: "0", "aria-label": `${name}: the code with what was written` }, gap.before.split("\n").slice(-AROUND).join("\n"), h("mark", {}, text), gap.after.split("\n").slice(0, AROUND).join("\n")), about, h("div", { class: "row" }, insert));
    announce(`${name}: ${text || "nothing"}`);
  } catch (error) {
    fill(card, h("h3", {}, name), failure(error));
  }
}
