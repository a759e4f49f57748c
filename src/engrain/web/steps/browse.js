// Rows that are searched, filtered and shown page by page.

import { button, fill, h } from "../dom.js";

const PAGE = 30;

/** Search, filters and pages around rows that `load` brings and `row` draws. */
export async function browse(panel, { load, row, filters, words, none }) {
  const asked = { q: "", offset: 0 };
  const list = h("div", { class: "list" });
  const total = h("p", { class: "soft total", role: "status" });
  const more = button("Show more", async () => { asked.offset += PAGE; await draw(false); });
  const draw = async (anew = true) => {
    if (anew) asked.offset = 0;
    const found = await load({ ...asked, limit: PAGE });
    if (anew) fill(list);
    list.append(...found.rows.map((one) => row(one, found, () => draw(true))));
    total.textContent = words(found);
    if (found.total === 0) fill(list, h("p", { class: "soft pad" }, none));
    more.hidden = asked.offset + PAGE >= found.total;
    return found;
  };
  let waiting;
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search", oninput: () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { asked.q = search.value; draw().catch(() => {}); }, 200);
  } });
  const first = await load({ ...asked, limit: 0 });
  const selects = filters(first).map(({ name, label, options }) => h("select", { "aria-label": label, onchange: (event) => { asked[name] = event.target.value; draw(); } }, options.map(([value, text]) => h("option", { value }, text))));
  fill(panel, h("div", { class: "filters" }, search, selects), total, list, more);
  await draw();
}
