// All settings as a form, made from the JSON schema that the product derives from its own declarations.

import { h } from "../dom.js";

const TITLES = {
  training: "Training", model: "Model", knowledge: "Examples", study: "Practice beside the facts", chat: "Conversations", privacy: "Private data", verdict: "Verdict",
};

/** `element` is the form; `values()` are the settings that differ from their defaults; `changed` is called after each change. */
export function settingsForm({ schema, base }, changed) {
  const all = Object.entries(schema.properties);
  const known = schema.properties.method.enum;
  const given = {};
  const method = () => given.method ?? schema.properties.method.default;
  const set = (name, value) => {
    if (value === undefined) delete given[name];
    else given[name] = value;
    show();
    changed();
  };
  const fields = all.map(([name, entry]) => {
    const methods = entry["x-owners"].filter((owner) => known.includes(owner));
    const initial = name === "base" ? base : entry.default;
    return { name, methods, part: methods.length > 0 ? "method" : entry["x-owners"][0], element: field(name, { ...entry, default: initial }, set) };
  });
  const group = (title, part) => h("fieldset", {}, h("legend", {}, title), fields.filter((one) => one.part === part).map((one) => one.element));
  const choice = fields.find((one) => one.name === "method");
  const parts = [...new Set(fields.map((one) => one.part))];
  const ofMethod = group("Of the method", "method");
  const element = h("div", { class: "settings" }, group(TITLES.training, "training"), ofMethod, parts.filter((part) => part !== "training" && part !== "method").map((part) => group(TITLES[part] || words(part), part)));
  element.prepend(h("fieldset", {}, h("legend", {}, "Method"), choice.element));
  function show() {
    for (const one of fields) if (one.methods.length > 0) one.element.hidden = !one.methods.includes(method());
    ofMethod.hidden = !fields.some((one) => one.methods.includes(method()));
  }
  show();
  const usable = (name) => {
    const one = fields.find((each) => each.name === name);
    return one.methods.length === 0 || one.methods.includes(method());
  };
  return { element, values: () => Object.fromEntries(Object.entries(given).filter(([name]) => usable(name))) };
}

const words = (name) => name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());

function field(name, entry, set) {
  const id = `setting-${name}`;
  const kind = [entry.type].flat()[0];
  const help = h("small", { id: `${id}-help` }, entry.description);
  const attributes = { id, name, "aria-describedby": `${id}-help` };
  if (kind === "boolean") {
    // Its sentence says what the opposite of the default does.
    const box = h("input", { id, name, type: "checkbox", onchange: () => set(name, box.checked ? !entry.default : undefined) });
    return h("label", { class: "check", title: name }, box, entry.description);
  }
  const input = entry.enum
    ? h("select", attributes, entry.enum.map((value) => h("option", { value, selected: value === entry.default }, value)))
    : h("input", { ...attributes, type: kind === "string" || kind === "array" ? "text" : "number", step: kind === "integer" ? 1 : "any", placeholder: entry.default ?? "automatic", value: name === "base" ? entry.default : "" });
  input.addEventListener("change", () => {
    const value = input.value.trim();
    const same = value === "" || value === String(entry.default);
    set(name, same ? undefined : kind === "string" || kind === "array" ? value : Number(value));
  });
  return h("div", { class: "field" }, h("label", { for: id }, words(name)), input, help);
}
