// Step 6: take the model away, with the command that uses it there; or use it from here with other programs.

import { download, get, path } from "../api.js";
import { announce, button, bytes, empty, fill, h } from "../dom.js";
import { state } from "../state.js";

const TARGETS = {
  model: { title: "The whole model", text: "One folder that works without engrain and without anything else: for vLLM, for the transformers library, or to convert it." },
  adapter: { title: "Only what was learned", text: "A small file, an adapter, that is laid over the untouched model. Right where that model is there already." },
};

export async function show(main, signal) {
  let known = null;
  const again = async () => {
    if (known === (state.trained?.name || "")) return;
    known = state.trained?.name || "";
    await draw(main, state.trained, signal);
  };
  state.addEventListener("changed", again, { signal });
  await again();
}

async function draw(main, run, signal) {
  const heading = h("header", { class: "head" }, h("h1", {}, "Take it away"), h("p", {}, run ? `Version ${run.name}. The model is yours: files in open formats, on your disk.` : "The model will be yours: files in open formats, on your disk."));
  if (!run) return fill(main, heading, empty("Nothing to take away yet", "Train a model first.", h("a", { class: "button primary", href: "#/train" }, "Go to training")));
  const found = await get(path(["runs", run.name, "exports"]));
  if (signal.aborted) return;
  fill(main, heading, h("div", { class: "exports" }, found.exports.map((one) => card(run, one))),
    h("section", { class: "card export" }, h("h2", {}, "Stay here, and let other programs ask it"), h("p", {}, "Everything that speaks OpenAI’s language can use it while this server runs. Give the program this address, your key, and the version as the model. Here, everyday questions are left to the untouched model where the version can tell them apart; a model that was taken away answers them itself."),
      command(`base_url  ${location.origin}/v1\nmodel     ${run.name}`), h("p", {}, "Or in a shell on this computer, in the folder where the server was started:"), command(`engrain chat --run ${run.name.includes(" ") ? `"runs/${run.name}"` : `runs/${run.name}`}`)));
}

function card(run, one) {
  const { title, text } = TARGETS[one.target];
  return h("section", { class: "card export" }, h("h2", {}, title), h("p", {}, text), h("p", { class: "soft" }, `${one.file} · about ${bytes(one.bytes)}`),
    h("div", { class: "row" }, button(`Download ${one.target === "model" ? "the model" : "the adapter"}`, async (self) => {
      const before = self.textContent;
      self.textContent = "Packing…";
      try {
        await download(path(["runs", run.name, "exports", one.target]), one.file);
        announce("The download has begun.");
      } finally {
        self.textContent = before;
      }
    }, { kind: "primary" })),
    h("p", {}, "Unpack it there, and then:"), command(one.command));
}

function command(text) {
  return h("div", { class: "command" }, h("pre", { tabindex: "0" }, h("code", {}, text)), button("Copy", async (self) => {
    await navigator.clipboard.writeText(text);
    self.textContent = "Copied";
    setTimeout(() => { self.textContent = "Copy"; }, 1500);
  }, { kind: "quiet", label: `Copy: ${text}` }));
}
