// Elements, words and numbers: what every part of the page uses.

/** An element with attributes (on… are listeners, class names may be falsy) and children (texts, elements, arrays, nothing). */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("aria-") && typeof value === "boolean") element.setAttribute(name, String(value));
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else if (name === "share") element.style.setProperty("--share", value);
    else if (!name.startsWith("aria-") || value !== true) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...flat(children));
  return element;
}

/** Put children into an element in place of what is there. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== "");
}

/** Tell those who do not see the page what happened. */
export function announce(text) {
  document.getElementById("live").textContent = text;
}

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
export const percent = (share) => `${Math.round(100 * share)}%`;

/** Seconds in words, no more exact than they deserve. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, number)) / 3));
  const value = number / 1000 ** power;
  return `${value >= 10 || power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

export function moment(text) {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text;
  return date.toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

/** A text in which the stretch from start to end is marked. */
export function marked(text, start, end, kind = "") {
  if (start === end) return [text];
  return [text.slice(0, start), h("mark", { class: kind }, text.slice(start, end)), text.slice(end)];
}

/** A state in which there is nothing to show yet: what will be here, and the button that gets there. */
export function empty(title, text, ...actions) {
  return h("div", { class: "empty" }, rings(), h("h2", {}, title), h("p", {}, text), actions.length > 0 && h("div", { class: "row centre" }, actions));
}

export function rings() {
  return h("img", { src: "icon.svg", alt: "", class: "rings" });
}

export function failure(error, ...actions) {
  const [first, ...rest] = String(error.message || error).split("\n");
  return h("div", { class: "notice bad", role: "alert" }, h("strong", {}, first), rest.map((line) => h("p", {}, line)), actions.length > 0 && h("div", { class: "row" }, actions));
}

export function working(text) {
  return h("div", { class: "working" }, h("span", { class: "spinner", "aria-hidden": "true" }), h("span", {}, text));
}

/** Let `draw` fill an element; until it has, the words say what is done, and what fails is shown with a button to try again. */
export async function filling(element, text, draw) {
  fill(element, working(text));
  try {
    await draw();
  } catch (error) {
    fill(element, failure(error, button("Try again", () => filling(element, text, draw))));
  }
}

/** A button; while its action runs it is busy, and what fails is shown beside it. */
export function button(text, action, options = {}) {
  const { kind = "", label } = options;
  const element = h("button", { type: "button", class: kind, "aria-label": label }, text);
  element.addEventListener("click", async () => {
    if (element.getAttribute("aria-busy")) return;
    element.setAttribute("aria-busy", "true");
    try {
      await action(element);
    } catch (error) {
      complain(element, error);
    } finally {
      element.removeAttribute("aria-busy");
    }
  });
  return element;
}

/** Show what went wrong in the nearest place for it: behind the row of buttons, or the element itself. */
export function complain(element, error) {
  const place = element.closest(".row") || element;
  const old = place.nextElementSibling;
  if (old?.classList.contains("bad")) old.remove();
  place.after(failure(error));
}

/** Let files be dropped on an element; `send` gets the list. */
export function droppable(zone, send) {
  for (const name of ["dragenter", "dragover"]) zone.addEventListener(name, (event) => { event.preventDefault(); zone.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) zone.addEventListener(name, (event) => { event.preventDefault(); zone.classList.remove("over"); });
  zone.addEventListener("drop", (event) => send([...event.dataTransfer.files]));
}

/** A question with two answers, in a dialog; true when it is confirmed. */
export function confirmed(title, text, action) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { class: "small", "aria-labelledby": "confirm-title" },
      h("h2", { id: "confirm-title" }, title), h("p", {}, text),
      h("div", { class: "row end" },
        h("button", { type: "button", onclick: () => dialog.close("") }, "Keep it"),
        h("button", { type: "button", class: "danger", onclick: () => dialog.close("yes") }, action)));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A dialog that shows something; Escape and its button close it. */
export function sheet(title, ...children) {
  const dialog = h("dialog", { class: "sheet", "aria-labelledby": "sheet-title" },
    h("header", {}, h("h2", { id: "sheet-title" }, title), h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => dialog.close() }, "✕")),
    h("div", { class: "sheet-body", tabindex: "0" }, children));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
