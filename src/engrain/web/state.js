// What the page knows, kept in one place: documents, runs, builds; which run is looked at; and the build that works now.

import { get, path, stream } from "./api.js";
import { announce } from "./dom.js";

const CHOSEN = "engrain-run";
export const CHAT = "chat";
export const CODE = "code";
export const IMAGES = "image-classification";

class State extends EventTarget {
  documents = [];
  suffixes = [];
  collections = [];
  runs = [];
  builds = [];
  chosen = sessionStorage.getItem(CHOSEN) || "";
  watched = null;
  source = "";

  /** Ask the server anew for everything; then watch the build that works, if there is one. */
  async refresh() {
    const [runs, builds, documents, collections] = await Promise.all(["runs", "builds", "documents", "collections"].map((name) => get(path([name]))));
    Object.assign(this, { ...runs, ...builds, ...documents, ...collections });
    this.watch();
    this.tell("changed");
  }

  /** The run that is looked at: the chosen one, else the newest. */
  get run() {
    return this.runs.find((run) => run.name === this.chosen) || this.runs[0] || null;
  }

  /** The run to judge, to ask and to take away: the one looked at if it holds a model, else the newest that does. */
  get usable() {
    const usable = (run) => run?.status === "complete";
    return usable(this.run) ? this.run : this.runs.find(usable) || null;
  }

  /** The collection to train on; null where it is the documents. */
  get collection() {
    return this.collections.find((one) => one.name === this.source) || (this.documents.length === 0 && this.collections[0]) || null;
  }

  /** Train on the collection of that name from now on; on the documents where it is empty. */
  learnFrom(name) {
    this.source = name;
  }

  choose(name) {
    this.chosen = name;
    sessionStorage.setItem(CHOSEN, name);
    this.tell("changed");
  }

  /** The build that works or waits; a paused one counts too. */
  get build() {
    const open = this.builds.filter((build) => !["succeeded", "failed", "cancelled"].includes(build.status));
    return open.find((build) => build.status === "running") || open[0] || null;
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** Follow the build that works until it ends: `job` and `metrics` events as they come, then everything is asked anew. */
  watch() {
    const build = this.build;
    if (!build || build.status === "paused" || this.watched?.id === build.id) return;
    this.watched?.stop.abort();
    const watched = { id: build.id, run: build.run, rows: [], notes: [], stage: build.progress, after: 0, stop: new AbortController() };
    this.watched = watched;
    this.follow(watched).catch(() => {}).finally(() => {
      if (this.watched === watched) this.watched = null;
    });
  }

  async follow(watched) {
    const heard = (name, data) => {
      if (name === "metrics") watched.rows.push(...data.rows);
      if (name === "job") this.job(watched, data);
      if (name === "build") announce(`The work on ${data.run} ended: ${data.status}.`);
      this.tell(name, data);
    };
    while (this.watched === watched) {
      const step = watched.rows.at(-1)?.step || 0;
      await stream("GET", path(["builds", watched.id, "events"], { after: watched.after, step }), undefined, heard, watched.stop.signal).catch((error) => {
        if (error.name === "AbortError" || [401, 404].includes(error.status)) throw error;
      });
      const build = await get(path(["builds", watched.id])).catch(() => null);
      if (build && ["succeeded", "failed", "cancelled"].includes(build.status)) break;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    this.watched = null;
    await this.refresh();
  }

  job(watched, data) {
    watched.after = data.number;
    if (["stage", "progress", "done"].includes(data.type)) {
      watched.stage = data.data;
      if (!watched.listed && !this.runs.some((run) => run.name === watched.run)) this.refresh().catch(() => {}); // its run is there by now
      watched.listed = true;
    }
    if (["note", "line"].includes(data.type)) watched.notes.push(data.message);
    if (data.type !== "status") return;
    const build = this.builds.find((one) => one.id === watched.id);
    if (build && build.status !== data.data.status) {
      build.status = data.data.status;
      this.tell("changed");
    }
  }
}

export const state = new State();
