// Rows that are searched, filtered and shown page by page.

import { button, failure, fill, h } from "../dom.js";

const PAGE = 30;

/** Search, filters and pages around rows that `load` brings and `row` draws. */
export async function browse(panel, { load, row, filters, words, none }) {
  const asked = { q: "" };
  let shown = 0;
  const list = h("div", { class: "list" });
  const total = h("p", { class: "soft total", role: "status" });
  const more = button("Show more", () => draw(shown));
  const draw = async (offset = 0) => {
    const found = await load({ ...asked, offset, limit: PAGE });
    if (offset === 0) fill(list);
    list.append(...found.rows.map((one) => row(one, found, () => draw())));
    total.textContent = words(found);
    if (found.total === 0) fill(list, h("p", { class: "soft pad" }, none));
    shown = offset + PAGE;
    more.hidden = shown >= found.total;
  };
  const redraw = () => draw().catch((error) => {
    total.textContent = "";
    more.hidden = true;
    fill(list, failure(error, button("Try again", redraw)));
  });
  let waiting;
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search", oninput: () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { asked.q = search.value; redraw(); }, 200);
  } });
  const first = await load({ ...asked, offset: 0, limit: 0 });
  const selects = filters(first).map(({ name, label, options }) => h("select", { "aria-label": label, onchange: (event) => { asked[name] = event.target.value; redraw(); } }, options.map(([value, text]) => h("option", { value }, text))));
  fill(panel, h("div", { class: "filters" }, search, selects), total, list, more);
  await draw();
}
