"use strict";

const WORDS = JSON.parse(document.getElementById("words").textContent);
const SHOWN = 200;
const byId = (id) => document.getElementById(id);
const state = { language: document.documentElement.lang, token: null, kind: null, types: [], found: null, file: null, suggested: null };

const word = (key, ...given) => given.reduce((text, x, i) => text.replace(`{${i}}`, () => x), WORDS[state.language][key]);
const number = (value) => new Intl.NumberFormat(state.language).format(value);

// Everything from outside goes in as text.
function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// The page comes in one language; in another it goes on with all that was chosen on it.
function translate() {
  document.documentElement.lang = state.language;
  document.title = `${word("page")} — Praktika`;
  document.querySelectorAll("[data-text]").forEach((e) => { e.textContent = word(e.dataset.text); });
  document.querySelectorAll("[data-label]").forEach((e) => e.setAttribute("aria-label", word(e.dataset.label)));
  document.querySelectorAll("nav [hreflang]").forEach((e) => {
    if (e.hreflang === state.language) e.setAttribute("aria-current", "true");
    else e.removeAttribute("aria-current");
  });
}

// asking the server; whatever goes wrong becomes one text

class Trouble extends Error {}

async function ask(path, options) {
  let answer;
  try {
    // Without credentials, so that a 401 brings up no dialogue of the browser's own.
    answer = await fetch(path, { credentials: "omit", ...options });
  } catch {
    throw new Trouble(word("away"));
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && state.token) {
    leave();
    throw new Trouble(word("expired"));
  }
  if (answer.status === 413) throw new Trouble(word("too_large"));
  if (answer.status === 429) throw new Trouble(word("wait", answer.headers.get("Retry-After") ?? "60"));
  const problem = await answer.json().catch(() => ({}));
  if (problem.error === "invalid_client") throw new Trouble(word("wrong"));
  const errors = (problem.errors ?? []).map((e) => (e.detail === problem.detail || e.field === e.detail || /«|“/.test(e.detail)
    ? e.detail : `${e.field}: ${e.detail}`));
  throw new Trouble(errors.length ? errors.join("\n") : problem.detail ?? problem.error_description ?? String(answer.status));
}

function post(path, query) {
  const headers = { Authorization: `Bearer ${state.token}`, "Content-Type": "application/octet-stream" };
  return ask(`${path}?${new URLSearchParams(query)}`, { method: "POST", headers, body: state.file });
}

// The work of a form: one at a time, its trouble said beside it.
async function work(place, job) {
  const buttons = document.querySelectorAll("main button");
  byId(place).textContent = "";
  buttons.forEach((button) => { button.disabled = true; });
  try {
    await job();
  } catch (error) {
    if (!(error instanceof Trouble)) console.error(error);
    const said = error instanceof Trouble ? error.message : word("broken");
    byId(state.token ? place : "login-trouble").textContent = said;
  } finally {
    buttons.forEach((button) => { button.disabled = false; });
  }
}

// 1. who

async function enter() {
  const form = { grant_type: "client_credentials", client_id: byId("client-id").value.trim(), client_secret: byId("client-secret").value.trim() };
  const answer = await ask("token", { method: "POST", body: new URLSearchParams(form) });
  state.token = (await answer.json()).access_token;
  state.kind = JSON.parse(atob(state.token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).kind;
  byId("client-secret").value = "";
  byId("who").textContent = form.client_id;
  await showTypes();
  showLogin();
  byId("type").focus();
}

function leave() {
  state.token = null;
  showLogin();
  byId("client-secret").focus();
}

function showLogin() {
  byId("login").hidden = Boolean(state.token);
  byId("logged-in").hidden = !state.token;
  byId("file-card").hidden = !state.token;
  if (!state.token) for (const id of ["columns-card", "result-card"]) byId(id).hidden = true;
}

// 2. what

async function showTypes() {
  const answer = await ask(`upload/types?lang=${state.language}`);
  state.types = (await answer.json()).filter((entry) => entry.by.includes(state.kind));
  const select = byId("type");
  const chosen = select.value;
  const options = state.types.map((entry) => element("option",
    `${entry.title.split(/[.;:,]/)[0]} (${entry.type.replace(/^praktika\.(.*)\.v1$/, "$1")})`, { value: entry.type }));
  select.replaceChildren(element("option", word("choose"), { value: "" }), ...options);
  select.value = state.types.some((entry) => entry.type === chosen) ? chosen : "";
  showTitle();
}

const chosenType = () => state.types.find((entry) => entry.type === byId("type").value);

function showTitle() {
  byId("type-title").textContent = chosenType()?.title ?? "";
  byId("template").hidden = !chosenType();
  if (chosenType()) byId("template").href = `upload/template?${new URLSearchParams({ type: chosenType().type, lang: state.language })}`;
}

async function look() {
  byId("columns-card").hidden = byId("result-card").hidden = true;
  state.file = byId("file").files[0];
  const answer = await post("upload/columns", asked());
  state.found = await answer.json();
  const last = isWhole() ? null : remembered();
  showColumns(last?.mapping ?? state.found.suggested, last ?? {});
  if (last) byId("read-as").textContent += ` ${word("remembered")}`;
  byId("columns-card").hidden = false;
  byId("columns-card").focus();
}

function asked() {
  const encoding = byId("encoding").value;
  return [["type", byId("type").value], ["lang", state.language], ...(encoding ? [["encoding", encoding]] : [])];
}

// 3. columns

function isWhole() {
  return state.found.columns.length === 1 && state.found.columns[0].name === "event";
}

function showColumns(chosen, { constants = {}, keys = marks() } = {}) {
  const { kind, rows, encoding, columns } = state.found;
  const seen = encoding && encoding !== "utf-8" ? ` ${word("encoded", encoding)}` : "";
  byId("read-as").textContent = word("read_as", kind === "jsonl" ? "JSON lines" : kind.toUpperCase(), number(rows)) + seen
    + (isWhole() ? ` ${word("whole")}` : "");
  document.querySelector(".columns").hidden = byId("needed").hidden = isWhole();
  document.querySelector("#columns details").hidden = isWhole();
  document.querySelector(".columns tbody").replaceChildren(...columns.map((column, place) => {
    const row = element("tr");
    const cell = element("td");
    const select = element("select", "", { "data-column": column.name, "aria-labelledby": `column-${place}` });
    select.append(element("option", word("unused"), { value: "" }), ...options(column.name));
    select.value = chosen[column.name] ?? "";
    cell.append(select);
    row.append(element("th", column.name, { scope: "row", id: `column-${place}` }), element("td", column.example), cell);
    return row;
  }));
  byId("keys").replaceChildren(...columns.map((column) => {
    const label = element("label");
    const box = element("input", "", { type: "checkbox", value: column.name });
    box.checked = keys.includes(column.name);
    label.append(box, element("span", column.name));
    return label;
  }));
  showMissing(constants);
}

// A field of which the name is yet to be completed (ratings by competency) takes the column's name.
function options(column) {
  return (chosenType()?.fields ?? []).map(({ name, title, required }) => {
    const value = name.endsWith(".*") ? name.replace("*", column) : name;
    return element("option", `${required ? "* " : ""}${called(value, title)}`, { value });
  });
}


const called = (name, title) => (title === name ? name : `${title} (${name})`);

// What was chosen for a table of this type with these columns is chosen again; nothing secret, and nothing of the rows.
const memoryKey = () => `praktika.upload.${byId("type").value}.${JSON.stringify(state.found.columns.map((column) => column.name))}`;

function remember() {
  const constants = [...document.querySelectorAll("#constants input")].map((input) => [input.dataset.field, input.value.trim()]);
  const chosen = { mapping: mapping(), constants: Object.fromEntries(constants), keys: marks() };
  try { localStorage.setItem(memoryKey(), JSON.stringify(chosen)); } catch { /* then it is chosen anew */ }
}

function remembered() {
  try { return JSON.parse(localStorage.getItem(memoryKey())); } catch { return null; }
}

const selects = () => [...document.querySelectorAll(".columns select")];
const marks = () => [...document.querySelectorAll("#keys input:checked")].map((box) => box.value);
const mapping = () => Object.fromEntries(selects().map((select) => [select.dataset.column, select.value]));

function showMissing(constants = {}) {
  const given = new Set(Object.values(mapping()));
  const values = { ...constants, ...Object.fromEntries([...document.querySelectorAll("#constants input")].map((e) => [e.dataset.field, e.value])) };
  const missing = isWhole() ? [] : (chosenType()?.fields ?? []).filter((f) => f.required && !given.has(f.name));
  byId("missing").hidden = !missing.length;
  byId("constants").replaceChildren(...missing.map(({ name, title }) => {
    const label = element("label");
    const input = element("input", "", { "data-field": name, maxlength: "500" });
    input.value = values[name] ?? "";
    label.append(element("span", called(name, title)), input);
    return label;
  }));
  byId("publish").hidden = true;
}

function meant(dryRun) {
  const constants = [...document.querySelectorAll("#constants input")].filter((input) => input.value.trim());
  return [...asked(), ["timezone", byId("timezone").value], ["dry_run", String(dryRun)],
    ...Object.entries(mapping()).filter(([, field]) => field).map(([column, field]) => ["map", `${column}=${field}`]),
    ...constants.map((input) => ["set", `${input.dataset.field}=${input.value.trim()}`]),
    ...marks().map((column) => ["key", column])];
}

// 4. check and publish

async function send(dryRun) {
  byId("result-card").hidden = true;
  const answer = await post("upload/rows", meant(dryRun));
  const seen = { rows: 1, done: 0, accepted: 0, refused: [], report: [] };
  showResult(dryRun, seen);
  for await (const line of lines(answer.body)) {
    if (line.problem) throw new Trouble(line.problem.status === 503 ? word("broken") : line.problem.detail);
    if (line.rows) Object.assign(seen, { rows: line.rows, report: [line.report] });
    else {
      Object.assign(seen, { done: line.done, accepted: line.accepted });
      seen.refused.push(...line.refused);
      seen.report.push(...line.refused.map((row) => row.line));
    }
    showResult(dryRun, seen);
  }
  if (seen.done < seen.rows) throw new Trouble(word("broken"));
  if (seen.accepted) remember();
  byId("publish").hidden = !dryRun || !seen.accepted;
  (dryRun && !seen.refused.length ? byId("publish") : byId("result-card")).focus();
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
  }
}

function showResult(dryRun, { rows, done, accepted, refused, report }) {
  const ended = done === rows;
  byId("result-card").hidden = false;
  byId("result-heading").textContent = word(dryRun ? (ended ? "checked" : "checking") : (ended ? "published" : "publishing"));
  byId("progress").max = rows;
  byId("progress").value = done;
  byId("summary").textContent = done ? word(dryRun ? "would" : "done", number(accepted), number(ended ? rows : done), number(refused.length)) : "";
  byId("advice").textContent = dryRun && !accepted ? "" : word(dryRun ? "later" : "mend");
  byId("refused").hidden = !refused.length || !ended;
  if (!ended) return;
  document.querySelector(".refused tbody").replaceChildren(...refused.slice(0, SHOWN).flatMap(refusedRows));
  byId("more").textContent = refused.length > SHOWN ? word("more", number(refused.length - SHOWN)) : "";
  const link = byId("report");
  if (link.href) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob(report, { type: "text/csv;charset=utf-8" }));
  link.download = `${state.file.name}.${word("file_name")}.csv`;
}

function refusedRows({ row, mistakes }) {
  return mistakes.map(({ column, field, detail, advice }, place) => {
    const line = element("tr");
    const where = element("td", column || field);
    if (column && field && field !== column) where.append(element("small", field));
    const what = element("td", detail);
    if (advice) what.append(element("small", advice));
    line.append(place ? element("td") : element("th", number(row), { scope: "row", "data-row": word("row") }), where, what);
    return line;
  });
}

// what people do

function on(id, event, place, job) {
  byId(id).addEventListener(event, (happened) => {
    happened.preventDefault();
    work(place, job);
  });
}

on("login", "submit", "login-trouble", enter);
on("look", "submit", "file-trouble", look);
on("columns", "submit", "columns-trouble", () => send(true));
on("publish", "click", "columns-trouble", () => send(false));
byId("leave").addEventListener("click", leave);
byId("type").addEventListener("change", showTitle);
byId("columns").addEventListener("change", (happened) => {
  if (happened.target.tagName === "SELECT") showMissing();
  byId("publish").hidden = true;
});
// Another file, type, or time zone: the columns are looked at anew.
byId("look").addEventListener("change", () => { byId("columns-card").hidden = byId("result-card").hidden = true; });
async function speak(language) {
  if (!(language in WORDS)) return;
  const chosen = state.found ? mapping() : null;
  state.language = language;
  translate();
  byId("result-card").hidden = true;
  await work("login-trouble", async () => {
    if (!state.token) return;
    await showTypes();
    if (chosen) showColumns(chosen);
  });
}

document.querySelectorAll("nav [hreflang]").forEach((link) => link.addEventListener("click", (happened) => {
  happened.preventDefault();
  history.replaceState(null, "", link.href);
  speak(link.hreflang);
}));

function offset() {
  const minutes = -new Date().getTimezoneOffset();
  const part = (value) => String(Math.trunc(Math.abs(value))).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${part(minutes / 60)}:${part(minutes % 60)}`;
}

byId("timezone").value = offset();
