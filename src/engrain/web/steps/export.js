// Step 6: take the model away in the form that another program reads, with the command that uses it there; or use it from here.

import { download, get, path } from "../api.js";
import { announce, button, bytes, empty, fill, h } from "../dom.js";
import { CHAT, state } from "../state.js";

const AS_TRAINED = "as it was trained";

export async function show(main, signal) {
  let known = null;
  const again = async () => {
    if (known === (state.usable?.name || "")) return;
    known = state.usable?.name || "";
    await draw(main, state.usable, signal);
  };
  state.addEventListener("changed", again, { signal });
  await again();
}

async function draw(main, run, signal) {
  const heading = h("header", { class: "head" }, h("h1", {}, "Take it away"), h("p", {}, run ? `Version ${run.name}. The model is yours: files in open formats, on your disk.` : "The model will be yours: files in open formats, on your disk."));
  if (!run) return fill(main, heading, empty("Nothing to take away yet", "Train a model first.", h("a", { class: "button primary", href: "#/train" }, "Go to training")));
  const found = await get(path(["runs", run.name, "exports"]));
  if (signal.aborted) return;
  fill(main, heading,
    found.notes.length > 0 && h("div", { class: "notice" }, h("strong", {}, "What stays behind"), found.notes.map((note) => h("p", {}, note))),
    h("div", { class: "exports" }, found.exports.map((one) => card(run, one))),
    run.task === CHAT && stay(run));
}

function stay(run) {
  return h("section", { class: "card export" }, h("h2", {}, "Stay here, and let other programs ask it"), h("p", {}, "Everything that speaks OpenAI’s language can use it while this server runs. Give the program this address, your key, and the version as the model."),
    command(`base_url  ${location.origin}/v1\nmodel     ${run.name}`), h("p", {}, "Or in a shell on this computer, in the folder where the server was started:"), command(`engrain chat --run ${run.name.includes(" ") ? `"runs/${run.name}"` : `runs/${run.name}`}`));
}

/** One target: what it is for, its number formats if it has several, the download, and the command that uses it there. */
function card(run, one) {
  let form = one.forms[0];
  const about = h("p", { class: "soft" });
  const use = h("div", {});
  const show = () => {
    fill(about, `${one.file}${form.bytes ? ` · about ${bytes(form.bytes)}` : ""}`);
    fill(use, command(form.command));
  };
  show();
  const id = `type-${one.target}`;
  const choice = one.forms.length > 1 && [h("label", { for: id }, "Number format"), h("select", { id, onchange: (event) => { form = one.forms[event.target.selectedIndex]; show(); } },
    one.forms.map((each) => h("option", { value: each.type }, each.type || AS_TRAINED)))];
  return h("section", { class: "card export", "data-target": one.target }, h("h2", {}, one.title), h("p", {}, one.text), about,
    h("div", { class: "row" }, choice, button("Download", async (self) => {
      self.textContent = "Writing and checking…";
      try {
        await download(path(["runs", run.name, "exports", one.target], { type: form === one.forms[0] ? "" : form.type }), one.file);
        announce("The download has begun.");
      } finally {
        self.textContent = "Download";
      }
    }, { kind: "primary", label: `Download for ${one.title}` })),
    h("p", {}, "Unpack it there, and then:"), use);
}

function command(text) {
  return h("div", { class: "command" }, h("pre", { tabindex: "0" }, h("code", {}, text)), button("Copy", async (self) => {
    await navigator.clipboard.writeText(text);
    self.textContent = "Copied";
    setTimeout(() => { self.textContent = "Copy"; }, 1500);
  }, { kind: "quiet", label: `Copy: ${text}` }));
}
