// Code and images to learn from, each brought as one ZIP archive: a part of step 1.

import { path, post, remove } from "../api.js";
import { announce, button, bytes, complain, confirmed, count, droppable, fill, h, working } from "../dom.js";
import { CODE, IMAGES, state } from "../state.js";

/** What a collection is for, in words. */
export const PURPOSES = { [CODE]: "code, to be completed", [IMAGES]: "images, to be told apart" };
const HINT = "A code base, or a folder of images for each class, packed as one ZIP. It stays on this computer.";

/** The folded part of the page, open where there are collections. */
export function collections(draw) {
  const some = state.collections.length > 0;
  return h("details", { class: "more", open: some }, h("summary", {}, "Code or images instead of documents"), dropzone(draw), some && list(draw));
}

function dropzone(draw) {
  const input = h("input", { type: "file", id: "archive", class: "hidden-text", accept: ".zip", onchange: () => send([...input.files]) });
  const status = h("p", { class: "soft" }, HINT);
  const zone = h("div", { class: "drop slim" }, h("div", {}, h("h2", {}, "Drop a ZIP archive here"), status), h("div", { class: "row centre" }, h("label", { for: "archive", class: "button" }, "Choose an archive"), input));
  async function send([file]) {
    if (!file) return;
    fill(status, working(`Unpacking ${file.name}`));
    try {
      const form = new FormData();
      form.append("archive", file);
      const added = await post(path(["collections"]), form);
      await state.refresh();
      announce(`${added.name} was added.`);
      draw();
    } catch (error) {
      status.textContent = HINT;
      complain(status, error);
    }
  }
  droppable(zone, send);
  return zone;
}

function list(draw) {
  const row = (one) => h("tr", {},
    h("td", {}, one.name, h("small", {}, `${PURPOSES[one.task]} · ${count(one.files, "file")} · ${bytes(one.size)}`)),
    h("td", { class: "right" }, h("a", { class: "button", href: "#/train", onclick: () => state.learnFrom(one.name), "aria-label": `Train on ${one.name}` }, "Train on it"), " ", gone(one, draw)));
  return h("div", { class: "card flush" }, h("table", { class: "rows" }, h("caption", { class: "hidden-text" }, "Code and images"),
    h("thead", { class: "hidden-text" }, h("tr", {}, h("th", {}, "Name"), h("th", {}, "Train or remove"))), h("tbody", {}, state.collections.map(row))));
}

function gone(one, draw) {
  return button("✕", async () => {
    if (!(await confirmed("Remove this collection?", `${one.name} is taken out. Versions that were made with it stay as they are.`, "Remove it"))) return;
    await remove(path(["collections", one.name]));
    await state.refresh();
    draw();
  }, { kind: "quiet", label: `Remove ${one.name}` });
}
