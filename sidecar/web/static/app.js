// Live updates, search while typing and copy buttons; all pages work without this file.
// Rule for every editor: no state here. Changes are read from the server, as the page itself.
"use strict";

const body = document.body;
const root = body.dataset.root || "./";
const skew = Date.now() - Number(body.dataset.now) * 1000; // this machine's clock against the sidecar's
const announce = (text) => { document.getElementById("announce").textContent = text; };

// --- times -----------------------------------------------------------------------------------------------

const SIZES = [[86400, "d"], [3600, "h"], [60, "min"]];

function span(seconds) {
  for (const [size, unit] of SIZES) if (seconds >= 2 * size) return `${Math.round(seconds / size)} ${unit}`;
  return `${Math.max(0, Math.round(seconds))} s`;
}

function showTimes() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const passed = (Date.now() - skew - Date.parse(time.dateTime)) / 1000;
    const text = passed >= 60 ? `${span(passed)} ago` : passed >= -60 ? "just now" : `in ${span(-passed)}`;
    if (time.textContent !== text) time.textContent = text;
  }
}

// --- copying ---------------------------------------------------------------------------------------------

function showCopyButtons() {
  for (const button of document.querySelectorAll("button.copy[hidden]")) button.hidden = false;
}

async function copy(button) {
  let done = false;
  try {
    const text = await textOf(button);
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch {
      done = copySelected(text);
      button.focus({ preventScroll: true });
    }
  } catch { /* the text could not be fetched */ }
  button.textContent = done ? "Copied" : "Not copied";
  announce(done ? "Copied to the clipboard" : "The browser does not allow copying: select the text and press Ctrl+C");
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

// A text that is too large for the page is fetched first.
async function textOf(button) {
  if (!button.dataset.copyFrom) return document.getElementById(button.dataset.copy).textContent;
  return (await fetch(button.dataset.copyFrom)).text();
}

// There is no clipboard without TLS, except on the same machine: then the text is selected in a field and copied from it.
function copySelected(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "hush";
  body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.copy");
  if (button) copy(button);
});

// --- fetching the page again ------------------------------------------------------------------------------

function parts(page) {
  return [...page.querySelectorAll("[data-live]")];
}

// The element with the focus is replaced; its selector finds the new one.
function mark(element) {
  if (!element || element === body) return null;
  if (element.id) return `#${CSS.escape(element.id)}`;
  if (element.tagName === "A") return `a[href="${CSS.escape(element.getAttribute("href"))}"]`;
  if (element.dataset.copyFrom) return `[data-copy-from="${CSS.escape(element.dataset.copyFrom)}"]`;
  if (element.dataset.copy) return `[data-copy="${CSS.escape(element.dataset.copy)}"]`;
  return null;
}

function put(fresh) {
  const before = document.getElementById("headline")?.textContent;
  let changed = false;
  for (const next of parts(fresh)) {
    const old = document.getElementById(next.id);
    if (!old || text(old) === text(next)) continue;
    const focus = old.contains(document.activeElement) ? mark(document.activeElement) : null;
    const open = [...old.querySelectorAll("details")].map((details) => details.open);
    old.replaceWith(next);
    [...next.querySelectorAll("details")].forEach((details, number) => { details.open = !!open[number]; });
    if (focus) next.querySelector(focus)?.focus({ preventScroll: true });
    changed = true;
  }
  if (!changed) return;
  showCopyButtons();
  showTimes();
  showLive();
  const after = document.getElementById("headline")?.textContent;
  if (after && after !== before) announce(after);
}

// Times are updated every few seconds; that is not a change.
function text(part) {
  const copy = part.cloneNode(true);
  for (const time of copy.querySelectorAll("time[data-ago]")) { time.textContent = ""; time.removeAttribute("title"); }
  for (const button of copy.querySelectorAll("button.copy")) { button.hidden = true; button.textContent = ""; }
  for (const details of copy.querySelectorAll("details")) details.open = false;
  return copy.innerHTML;
}

let asking = null;

async function fetchPage(address) {
  asking?.abort();
  asking = new AbortController();
  const answer = await fetch(address, { headers: { Accept: "text/html" }, signal: asking.signal });
  if (answer.redirected || answer.status === 401) { location.reload(); return null; }
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function refresh() {
  try {
    const page = await fetchPage(location.href);
    if (page) put(page);
  } catch { /* the next change brings another try */ }
}

// --- live updates ----------------------------------------------------------------------------------------

const LEAST_MS = 1500;
const AGAIN_MS = 10000;
let last = 0;
let due = null;
let known = body.dataset.number;
let stream = null;
let connected = null; // null: not tried yet

// "live" only while the sidecar is connected and itself sees the present: #stale stands on the page when it does not.
function showLive() {
  const light = document.getElementById("live");
  const text = !connected ? "not live" : document.getElementById("stale") ? "not current" : "live";
  light.hidden = connected === null;
  light.classList.toggle("lost", text !== "live");
  if (light.textContent !== text) light.textContent = text;
}

function changed() {
  if (due !== null) return;
  due = setTimeout(async () => { due = null; last = Date.now(); await refresh(); }, Math.max(0, last + LEAST_MS - Date.now()));
}

// Only while the tab is visible: a browser has six connections to a server, and each live tab uses one.
function follow() {
  if (document.hidden || stream !== null) return;
  const own = stream = new EventSource(`${root}events/stream`);
  own.addEventListener("open", () => { connected = true; showLive(); });
  own.addEventListener("changed", (event) => {
    // the first number is sent at once; it differs if something changed since the page was rendered
    if (known !== event.data) changed();
    known = event.data;
  });
  own.addEventListener("error", () => {
    connected = false;
    showLive();
    if (own.readyState === EventSource.CLOSED && stream === own) { stream = null; setTimeout(follow, AGAIN_MS); }
  });
}

document.addEventListener("visibilitychange", () => {
  if (!("follow" in body.dataset)) return;
  if (!document.hidden) { follow(); return; }
  stream?.close();
  stream = null;
});

// --- filters ---------------------------------------------------------------------------------------------

function addressOf(form) {
  const query = new URLSearchParams();
  for (const [key, value] of new FormData(form)) if (value) query.set(key, value);
  return `${form.getAttribute("action")}${query.size ? `?${query}` : ""}`;
}

async function filter(form) {
  const address = addressOf(form);
  history.replaceState(null, "", address);
  try {
    const page = await fetchPage(address);
    if (!page) return;
    put(page);
    announce(document.getElementById("found")?.textContent || "Nothing found");
  } catch { /* superseded by the next key */ }
}

for (const form of document.querySelectorAll("form[data-auto]")) {
  let wait = null;
  form.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(() => filter(form), 200); });
  form.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(wait); filter(form); });
}

showCopyButtons();
showTimes();
setInterval(showTimes, 20000);
if ("follow" in body.dataset) follow();
