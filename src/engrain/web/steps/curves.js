// How trainings went, laid over each other.

import { lines } from "../charts.js";
import { h } from "../dom.js";

const CHARTS = [
  { title: "Surprise (loss)", help: "lower is better", key: "loss" },
  { title: "Right words on unseen questions", help: "", key: "heldout_accuracy", percent: true },
  { title: "Learning rate", help: "how big its steps are", key: "learning_rate" },
  { title: "Tokens a second", help: "how fast it reads", key: "tokens_per_second" },
];

/** The four charts of some trainings; `trainings` are {name, rows, style}, `end` the last step that is planned. */
export function curves(trainings, end) {
  const some = trainings.filter((training) => training.rows.length > 0);
  if (some.length === 0) return [];
  return CHARTS.map((chart) => {
    const series = some.map(({ name, rows, style }) => ({ name, style, points: rows.filter((row) => typeof row[chart.key] === "number").map((row) => [row.step, row[chart.key]]) }));
    if (!series.some((one) => one.points.length > 0)) return null;
    return h("figure", { class: "card" }, h("figcaption", {}, h("b", {}, chart.title), " ", chart.help && h("small", {}, chart.help)), lines(series, chart.title, { percent: chart.percent, end }));
  });
}
