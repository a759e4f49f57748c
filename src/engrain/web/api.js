// Talking to the server: the key, JSON, server-sent events, files. Nothing here ever calls another host.

const KEY = "engrain-key";

/** The key: from the address where `#key=…` brought it (it is taken out of there at once), else as this browser keeps it. */
export function key() {
  const found = /^#key=([^&]+)/.exec(location.hash);
  if (found) {
    keep(decodeURIComponent(found[1]));
    history.replaceState(null, "", location.pathname);
  }
  return localStorage.getItem(KEY) || "";
}

export const keep = (value) => localStorage.setItem(KEY, value);
export const forget = () => localStorage.removeItem(KEY);

/** Calls `locked` when another tab has forgotten the key. */
export const watchKey = (locked) => addEventListener("storage", (event) => event.key === KEY && !event.newValue && locked());

/** A failure that the server explains; `status` 0 means that it could not be reached. */
export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function send(method, path, body, signal) {
  const headers = { Authorization: `Bearer ${key()}` };
  if (body !== undefined && !(body instanceof FormData)) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body === undefined || body instanceof FormData ? body : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "The server does not answer.\nLook whether `engrain serve` is still running.");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  if (response.status === 401) dispatchEvent(new Event("engrain-locked"));
  throw new Failure(response.status, said.error?.message || `The server answered ${response.status}.`);
}

async function call(method, path, body) {
  const response = await send(method, path, body);
  return response.status === 204 ? null : response.json();
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
export const patch = (path, body) => call("PATCH", path, body);
export const remove = (path) => call("DELETE", path);

/** A path with its parts escaped and its query. */
export function path(parts, query = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== undefined));
  return `/engrain/${parts.map(encodeURIComponent).join("/")}${asked.size ? `?${asked}` : ""}`;
}

/** Calls `heard(event, data)` for each server-sent event, until the stream ends. */
export async function stream(method, url, body, heard, signal) {
  const response = await send(method, url, body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (waiting + value).split("\n\n");
    waiting = blocks.pop();
    for (const block of blocks) {
      const name = /^event: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (name && data) heard(name, JSON.parse(data));
    }
  }
}

/** Have the browser keep a file of the server's under its name. */
export async function download(url, name) {
  const response = await send("GET", url);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
