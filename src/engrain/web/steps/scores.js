// The verdict on a version whose task has scores of its own, code or images: each before and after, and what to know beside them.

import { download, path } from "../api.js";
import { button, h } from "../dom.js";

const number = (value) => value.toFixed(3).replace("-", "−");
const signed = (value) => `${value > 0 ? "+" : ""}${number(value)}`;

export function scores(run, found) {
  return [h("div", { class: "card flush scroll", tabindex: "0", role: "region", "aria-label": "Scores before and after" }, h("table", { class: "rows" },
    h("caption", { class: "hidden-text" }, `Scores on ${found.what}`),
    h("thead", {}, h("tr", {}, h("th", {}, found.what), [found.base, found.tuned, "difference"].map((name) => h("th", { class: "right" }, name)))),
    h("tbody", {}, found.lines.map((line) => h("tr", {}, h("th", { scope: "row" }, line.score), cell(line.base, number), cell(line.tuned, number), cell(line.difference, signed)))))),
  h("p", { class: "soft" }, "The small figures are 95% intervals: the true score probably lies between them. A difference whose interval does not hold 0 is more than chance."),
  found.notes.map((note) => h("p", { class: "soft" }, note)),
  h("div", { class: "row" }, h("a", { class: "button primary", href: "#/ask" }, "Ask it something"), button("Download the report", () => download(path(["runs", run.name, "report"]), `${run.name}-report.html`)))];
}

function cell(measured, words) {
  if (measured.value === null) return h("td", { class: "right" }, "–");
  return h("td", { class: "right" }, words(measured.value), measured.low !== null && h("small", {}, `${words(measured.low)} to ${words(measured.high)}`));
}
