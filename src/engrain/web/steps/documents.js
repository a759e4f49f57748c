// Step 1: drop documents; see what was read, what was not and why, what it gives, and where private data stands.

import { get, path, post, remove } from "../api.js";
import { announce, bytes, button, complain, confirmed, count, droppable, fill, filling, h, percent, sheet, working } from "../dom.js";
import { state } from "../state.js";
import { collections } from "./collections.js";
import { prepare } from "./facts.js";

const KINDS = "Word, PDF, Excel, text, Markdown, web pages, CSV, JSON";

export async function show(main, signal) {
  const report = h("section", { id: "report", "aria-live": "polite" });
  const list = h("section");
  const draw = () => {
    fill(main, heading(), dropzone(draw), list, report, collections(draw));
    drawList(list, draw);
    drawReport(report, signal);
  };
  draw();
}

function heading() {
  return h("header", { class: "head" }, h("h1", {}, "Your documents"),
    h("p", {}, "Everything your model shall know: price lists, handbooks, opening hours, frequent questions. What is not in here, it will not learn."));
}

function dropzone(draw) {
  const some = state.documents.length > 0;
  const input = h("input", { type: "file", multiple: true, id: "files", class: "hidden-text", onchange: () => send([...input.files]) });
  const status = h("p", { class: "soft" }, `${KINDS}. They stay on this computer.`);
  const zone = h("div", { class: `drop ${some ? "slim" : ""}` },
    !some && h("img", { src: "icon.svg", alt: "", class: "rings" }),
    h("div", {}, h("h2", {}, some ? "Add more" : "Drop your documents here"), status),
    h("div", { class: "row centre" },
      h("label", { for: "files", class: "button primary" }, "Choose files"), input,
      !some && button("Try it with an example business", () => send(null), {})));
  async function send(files) {
    if (files && files.length === 0) return;
    fill(status, working(files ? `Reading ${count(files.length, "file")}` : "Reading the example"));
    try {
      const form = new FormData();
      for (const file of files || []) form.append("files", file);
      await (files ? post("/engrain/documents", form) : post("/engrain/documents/example"));
      await state.refresh();
      announce("The documents were added.");
      draw();
    } catch (error) {
      status.textContent = `${KINDS}. They stay on this computer.`;
      complain(status, error);
    }
  }
  droppable(zone, send);
  return zone;
}

function drawList(list, draw) {
  const read = state.documents.filter((file) => file.status === "read");
  const unread = state.documents.filter((file) => file.status === "unread");
  fill(list,
    unread.length > 0 && h("div", { class: "notice warn" },
      h("strong", {}, `${count(unread.length, "file")} could not be read`),
      h("ul", { class: "plain" }, unread.map((file) => h("li", {}, h("span", {}, h("b", {}, file.file), `: ${file.reason}. `, h("span", { class: "soft" }, sentence(file.remedy))), gone(file, draw))))),
    read.length > 0 && h("div", { class: "card flush" }, h("table", { class: "rows" },
      h("caption", { class: "hidden-text" }, "Documents that were read"),
      h("thead", {}, h("tr", {}, h("th", {}, "Document"), h("th", { class: "right wide" }, "Words"), h("th", {}, "Becomes facts"), h("th", {}, h("span", { class: "hidden-text" }, "Remove")))),
      h("tbody", {}, read.map((file) => h("tr", { "data-file": file.file },
        h("td", {}, h("button", { type: "button", class: "link", onclick: () => look(file) }, file.file), h("small", {}, `${file.title} · ${bytes(file.size)}`), file.left_out.map((lost) => h("small", { class: "warn" }, `Left out: ${lost}.`))),
        h("td", { class: "right wide" }, file.words.toLocaleString("en")),
        h("td", { class: "coverage" }, h("span", { class: "soft" }, "…")),
        h("td", { class: "right" }, gone(file, draw))))))));
}

const sentence = (text) => text && `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function gone(file, draw) {
  return button("✕", async () => {
    if (!(await confirmed("Remove this document?", `${file.file} is taken out. Versions that were made with it stay as they are.`, "Remove it"))) return;
    await remove(path(["documents", file.file]));
    await state.refresh();
    draw();
  }, { kind: "quiet", label: `Remove ${file.file}` });
}

function drawReport(report, signal) {
  if (!state.documents.some((file) => file.status === "read")) return fill(report);
  return filling(report, "Looking for facts and private data", () => drawFound(report, signal));
}

async function drawFound(report, signal) {
  const found = await get(path(["coverage"]));
  if (signal.aborted) return;
  for (const row of found.coverage) drawCoverage(row);
  if (found.problem) return fill(report, h("div", { class: "notice warn" }, h("strong", {}, "Nothing to learn was found"), h("p", {}, found.problem)));
  const mask = h("input", { type: "checkbox", id: "mask" });
  fill(report,
    h("div", { class: "tiles" }, tile(found.facts, "facts to learn"), tile(words(), "words read"), tile(found.private.length, found.private.length === 1 ? "piece of private data" : "pieces of private data")),
    found.superseded.length > 0 && superseded(found.superseded),
    found.private.length > 0 && privateData(found.private, mask),
    h("div", { class: "next" }, h("div", {}, h("h2", {}, "Next: see what it will learn"), h("p", {}, "engrain writes questions and answers about every fact. You can read and change them before anything is trained.")),
      h("div", { class: "row" }, state.run?.editable && h("a", { class: "button", href: "#/facts" }, "See those there are"), button("Write facts and examples", () => prepare({ redact: mask.checked }), { kind: "primary" }))));
}

const words = () => state.documents.reduce((sum, file) => sum + file.words, 0);

function tile(number, text) {
  return h("div", { class: "tile card" }, h("b", {}, number.toLocaleString("en")), h("span", {}, text));
}

function drawCoverage(row) {
  const cell = document.querySelector(`tr[data-file="${CSS.escape(row.file)}"] .coverage`);
  if (!cell) return;
  fill(cell, h("div", { class: "meter" }, h("span", { class: "bar", share: row.share }), h("span", {}, percent(row.share))),
    h("small", {}, `${count(row.facts, "fact")}`, row.missed.length > 0 && [" · ", h("button", { type: "button", class: "link", onclick: () => missed(row) }, `${row.missed.length} not used`)]));
}

function missed(row) {
  sheet(`Not used in ${row.file}`, h("p", { class: "soft" }, "These sentences gave no fact: they say nothing that somebody would ask for, or not in a form that engrain reads."),
    h("ul", { class: "notes" }, row.missed.map((text) => h("li", {}, text))),
    row.missed_values.length > 0 && [h("h3", {}, "Prices, dates, names and other details that no fact holds"), h("ul", { class: "notes" }, row.missed_values.map((text) => h("li", {}, text)))]);
}

function privateData(found, mask) {
  const rows = found.map((one) => h("li", {}, h("b", {}, one.kind), " ", h("code", {}, one.hint), " ", h("span", { class: "soft" }, one.place)));
  return h("div", { class: "notice" }, h("strong", {}, `${count(found.length, "piece")} of private data`),
    h("p", {}, "What a model has learned cannot be taken out of it again. A shop’s own telephone number is found like a customer’s, so look before you decide."),
    h("label", { class: "check" }, mask, " Mask all of it before anything is learned"),
    h("details", {}, h("summary", {}, "Show where"), h("ul", { class: "notes" }, rows)));
}

function superseded(rows) {
  return h("div", { class: "notice" }, h("strong", {}, `${count(rows.length, "statement")} replaced by a newer one`),
    h("details", {}, h("summary", {}, "Show which"), h("ul", { class: "notes" }, rows.map((row) => h("li", {}, `${row.about.replace("___", "…")} `, h("del", {}, row.old), " → ", h("b", {}, row.new), " ", h("span", { class: "soft" }, row.new_place))))));
}

/** The text of a document, with what was found in it. */
function look(file) {
  const box = h("div");
  sheet(file.file, h("p", { class: "soft" }, h("mark", {}, "Marked"), " becomes a fact; ", h("mark", { class: "private" }, "marked like this"), " is private data."), box);
  return filling(box, "Reading", async () => {
    const found = await get(path(["documents", file.file]));
    fill(box, found.sections.map((section) => h("section", { class: "passage" }, h("h3", {}, section.headings.join(" › "), section.page && ` · page ${section.page}`), h("p", { class: "source" }, pieces(section)))));
  });
}

/** The section's text with its marks; where a fact is private data, it is marked as that. */
function pieces(section) {
  const parts = [];
  const hidden = section.marks.filter((mark) => mark.kind === "private");
  const marks = section.marks.filter((mark) => mark.kind === "private" || !hidden.some((one) => one.start < mark.end && mark.start < one.end));
  let at = 0;
  for (const mark of marks) {
    if (mark.start < at) continue;
    parts.push(section.text.slice(at, mark.start), h("mark", { class: mark.kind === "private" ? "private" : "", title: mark.label }, section.text.slice(mark.start, mark.end)));
    at = mark.end;
  }
  return [parts, section.text.slice(at)];
}

