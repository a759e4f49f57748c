// Asking a version that classifies images: drop one, and see it with every class and its probability.

import { path, post } from "../api.js";
import { announce, droppable, failure, fill, h, percent, working } from "../dom.js";

const SIDE = 320;

export function drawImages(main, heading, run, signal) {
  const looked = h("div", { class: "talk" });
  const input = h("input", { type: "file", id: "image", class: "hidden-text", accept: "image/*,.dcm,.dicom", onchange: () => send(input.files[0]) });
  const status = h("p", { class: "soft" }, "PNG, JPEG, TIFF, WebP, DICOM. It stays on this computer. This is no medical device.");
  const zone = h("div", { class: "drop slim" }, h("div", {}, h("h2", {}, "Drop an image here"), status), h("div", { class: "row centre" }, h("label", { for: "image", class: "button primary" }, "Choose an image"), input));
  droppable(zone, (files) => send(files[0]));
  async function send(file) {
    if (!file) return;
    input.value = "";
    const place = h("section", { class: "turn", "aria-label": file.name }, h("h2", { class: "question" }, file.name), working("Looking at it"));
    looked.prepend(place);
    try {
      const form = new FormData();
      form.append("run", run.name);
      form.append("image", file);
      const seen = await post(path(["classify"]), form);
      const picture = await shown(file, seen.picture);
      if (signal.aborted) return;
      draw(place, seen, picture);
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(place, h("h2", { class: "question" }, file.name), failure(error));
    }
  }
  fill(main, heading, zone, looked);
}

/** The picture as the browser shows it, from `png` (base64) where the server sent what it saw; words where neither can be shown. */
async function shown(file, png) {
  try {
    const bitmap = await createImageBitmap(png ? new Blob([Uint8Array.from(atob(png), (one) => one.charCodeAt(0))]) : file);
    const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = h("canvas", { role: "img", "aria-label": file.name, width: Math.max(1, Math.round(scale * bitmap.width)), height: Math.max(1, Math.round(scale * bitmap.height)) });
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return canvas;
  } catch {
    return h("p", { class: "soft" }, "The browser cannot show this kind of file; it was read all the same.");
  }
}

function draw(place, seen, picture) {
  fill(place, h("h2", { class: "question" }, seen.file),
    h("div", { class: "looked" }, h("figure", {}, picture), h("article", { class: "answer card ours" }, h("h3", {}, seen.label),
      h("table", { class: "rows" }, h("caption", { class: "hidden-text" }, "Every class with its probability"),
        h("thead", { class: "hidden-text" }, h("tr", {}, h("th", {}, "Class"), h("th", {}, "Probability"))),
        h("tbody", {}, seen.classes.map((one) => h("tr", {}, h("td", {}, one.label), h("td", { class: "coverage" }, h("div", { class: "meter" }, h("span", { class: "bar", share: one.probability }), h("span", {}, percent(one.probability)))))))),
      h("p", { class: "soft" }, `${seen.model}. ${seen.notice}`))));
  announce(`${seen.file}: ${seen.label}, ${percent(seen.probability)}.`);
}
