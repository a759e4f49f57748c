// How long the examples are in the model's own measure.

import { get, path } from "../api.js";
import { histogram } from "../charts.js";
import { fill, h, percent, working } from "../dom.js";

export async function drawLengths(panel, run) {
  fill(panel, working("Counting tokens"));
  const found = await get(path(["runs", run.name, "lengths"]));
  const tile = (number, text) => h("div", { class: "tile card" }, h("b", {}, number.toLocaleString("en")), h("span", {}, text));
  fill(panel,
    h("p", { class: "lead" }, "A model reads and writes text in small pieces, called tokens. Of every example it reads the question and learns to write the answer."),
    h("div", { class: "tiles" }, tile(found.examples, "examples to learn"), tile(found.tokens, "tokens in all of them"), tile(found.trained, `tokens that are learned (${percent(found.trained / Math.max(1, found.tokens))})`), tile(found.longest, "tokens in the longest")),
    h("div", { class: "card" }, h("h2", {}, "How long the examples are"), histogram(found.bins, "Examples by length", "tokens"), h("p", { class: "soft axis" }, "tokens in an example")),
    h("p", { class: "soft" }, "To see one example cut into tokens, open Examples and choose “As the model sees it”."));
}
