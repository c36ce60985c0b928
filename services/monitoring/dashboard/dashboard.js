"use strict";

const WORDS = JSON.parse(document.getElementById("words").textContent);
const LANGUAGE = document.documentElement.lang;
const LOCALE = LANGUAGE === "en" ? "en-GB" : LANGUAGE; // days before months
const SCOPES = ["network", "region", "institution", "programme", "sector", "enterprise", "competency"];
const EVERY_MS = 4000;
const STALE_MS = 60000;
const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);
const state = { scope: "network", scopeId: null, catalogue: [], cards: new Map(), paused: false };

const word = (key, ...given) => given.reduce((text, x, i) => text.replace(`{${i}}`, () => x), WORDS[key]);

// Everything from outside goes in as text, and only when it has changed: nothing flickers, no focus is lost.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function query(more = {}) {
  const asked = { scope: state.scope, ...(state.scopeId ? { scope_id: state.scopeId } : {}), ...more };
  return new URLSearchParams(asked).toString();
}

function number(value, digits = 0) {
  return new Intl.NumberFormat(LOCALE, { maximumFractionDigits: digits }).format(value);
}

function shown(value, unit) {
  if (unit === "share") {
    return new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 1 }).format(value);
  }
  return number(value, unit === "days" ? 0 : 1);
}

function made(item) {
  if (item.status !== "ok") return item.n ? word("n", item.n).replace("= <", "< ") : "";
  const [upper, lower] = [item.numerator, item.denominator].map((x) => (x === null ? "" : number(x, 2)));
  const n = word("n", number(item.n));
  if (item.denominator === null) return n;
  if (item.unit === "share") return `${word("of", upper, lower)} · ${n}`;
  return `${upper} ${"/"} ${lower} · ${n}`;
}

// who is left out of a value, and how far it could be off for that
function caveats(item) {
  const parts = [];
  if (item.coverage !== null && item.coverage < 1) {
    const known = shown(item.coverage, "share");
    if (item.thin) parts.push(word("thin", known));
    else if (item.lower !== null) parts.push(word("known", known, shown(item.lower, "share"), shown(item.upper, "share")));
  }
  if (item.left_out) {
    const all = item.left_out.map(({ reason, n }) => `${word(`left_${reason}`)} ${n === null ? word("few") : number(n)}`);
    parts.push(word("left_out", all.join(", ")));
  }
  return parts.join(". ");
}

// building the page

function options(select, items, chosen) {
  select.replaceChildren(...items.map(({ id, name }) => {
    const option = document.createElement("option");
    option.value = id;
    option.textContent = name === id || !name || select.id === "scope" ? name || id : `${name} (${id})`;
    return option;
  }));
  select.value = chosen;
}

function build() {
  state.cards.clear();
  const groups = new Map();
  for (const entry of state.catalogue.filter((e) => e.scopes.includes(state.scope))) {
    const name = entry.group[LANGUAGE];
    if (!groups.has(name)) {
      const section = byId("group").content.firstElementChild.cloneNode(true);
      section.querySelector("h2").textContent = name;
      groups.set(name, section);
    }
    groups.get(name).querySelector(".cards").append(card(entry));
  }
  byId("indicators").replaceChildren(...groups.values());
  if (state.latest) show(state.latest);
}

function card(entry) {
  const article = byId("card").content.firstElementChild.cloneNode(true);
  const part = (selector) => article.querySelector(selector);
  link(part("h3 a"), entry.title[LANGUAGE], `figures/${entry.indicator}?${query()}`);
  say(part("summary"), word("how"));
  say(part("caption"), word("series"));
  const [month, value] = article.querySelectorAll("th");
  say(month, word("month"));
  say(value, word("value"));
  const facts = { definition: entry.definition[LANGUAGE], window: entry.window[LANGUAGE],
    source: entry.source, id: entry.indicator };
  for (const [key, text] of Object.entries(facts)) {
    const term = document.createElement("dt");
    const said = document.createElement("dd");
    term.textContent = word(key);
    said.textContent = text;
    part("dl").append(term, said);
  }
  link(part(".series"), word("series_file"), `indicators/${entry.indicator}/series?${query({ format: "xlsx", lang: LANGUAGE })}`);
  const compared = new URLSearchParams({ scope: state.scope, format: "xlsx", lang: LANGUAGE });
  if (state.scope === "network") part(".comparison").remove();
  else link(part(".comparison"), word("comparison"), `indicators/${entry.indicator}/comparison?${compared}`);
  state.cards.set(entry.indicator, { article, entry, points: "" });
  return article;
}

function link(element, text, address) {
  element.textContent = text;
  element.href = address;
}

// showing the values

function show(items) {
  for (const item of items) {
    const found = state.cards.get(item.indicator);
    if (!found) continue;
    const ok = item.status === "ok";
    const value = found.article.querySelector(".value");
    value.classList.toggle("words", !ok);
    say(value.children[0], ok ? shown(item.value, item.unit) : word(item.status));
    say(value.children[1], ok ? word(item.unit) : "");
    say(found.article.querySelector(".made"), made(item));
    say(found.article.querySelector(".caveats"), caveats(item));
    const points = JSON.stringify(item.points);
    if (points !== found.points) {
      found.points = points;
      draw(found, item);
    }
  }
}

function draw({ article, entry }, item) {
  const known = item.points.filter((point) => point.status === "ok");
  const chart = article.querySelector(".chart");
  const [first, last] = article.querySelectorAll(".range span");
  chart.replaceChildren(...(known.length ? lines(known, item.points, item.unit) : []));
  const ends = known.length ? [known[0].period, known[known.length - 1].period] : ["", ""];
  const nothing = word(item.points.some((point) => point.status === "suppressed") ? "all_hidden" : "none");
  say(first, ends[0] || nothing);
  say(last, known.length > 1 ? ends[1] : "");
  chart.setAttribute("aria-label", known.length
    ? word("chart", entry.title[LANGUAGE], known.length, ...ends) : nothing);
  const rows = item.points.slice(-120).reverse().map((point) => {
    const row = document.createElement("tr");
    const value = point.status === "ok" ? shown(point.value, item.unit) : word(point.status);
    for (const text of [point.period, value, String(point.n ?? "–")]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  });
  article.querySelector("tbody").replaceChildren(...rows);
}

const monthNumber = (period) => Number(period.slice(0, 4)) * 12 + Number(period.slice(5)) - 1;

// Months that a line may join: nothing hidden or missing lies between them, and they follow at the usual distance.
function joined(known, all) {
  const months = all.map((point) => monthNumber(point.period));
  const steps = months.slice(1).map((month, i) => month - months[i]).sort((a, b) => a - b);
  const usual = steps[Math.floor((steps.length - 1) / 2)] ?? 1;
  const runs = [];
  let before = null;
  for (const point of all) {
    if (!known.includes(point)) before = null;
    else {
      if (before && monthNumber(point.period) - monthNumber(before.period) <= usual) runs.at(-1).push(point);
      else runs.push([point]);
      before = point;
    }
  }
  return runs;
}

function lines(points, all, unit) {
  const [left, right] = [monthNumber(points[0].period), monthNumber(points[points.length - 1].period)];
  const values = points.map((point) => point.value);
  const [low, high] = [Math.min(0, ...values), unit === "share" ? 1 : Math.max(...values, 1)];
  const x = (point) => (right === left ? 120 : 4 + (232 * (monthNumber(point.period) - left)) / (right - left));
  const y = (value) => 52 - (46 * (value - low)) / (high - low);
  const d = (points) => points.map((point, i) => `${i ? "L" : "M"}${x(point).toFixed(1)} ${y(point.value).toFixed(1)}`).join("");
  const below = ([first, ...rest]) => `${d([first, ...rest])}L${x(rest.at(-1) ?? first).toFixed(1)} ${y(0)}L${x(first).toFixed(1)} ${y(0)}Z`;
  const runs = joined(points, all);
  const zero = document.createElementNS(SVG, "line");
  for (const [name, value] of Object.entries({ x1: 0, x2: 240, y1: y(0), y2: y(0) })) zero.setAttribute(name, value);
  const alone = runs.filter((run) => run.length === 1).flat();
  const dots = points.length > 24 ? [...alone, points.at(-1)] : points;
  return [
    path("area", runs.map(below).join("")), zero, path("line", runs.map(d).join("")),
    path("points", dots.map((point) => `M${x(point).toFixed(1)} ${y(point.value).toFixed(1)}h0`).join("")),
  ];
}

function path(name, drawn) {
  const element = document.createElementNS(SVG, "path");
  element.setAttribute("class", name);
  element.setAttribute("d", drawn);
  return element;
}

function fresh(until) {
  const applied = byId("applied");
  say(applied, until ? new Date(until).toLocaleString(LOCALE) : word("never"));
  if (until) applied.dateTime = until;
  const live = until && Date.now() - Date.parse(until) < STALE_MS;
  byId("dot").className = `dot ${live ? "live" : "stale"}`;
}

// asking again and again

let asking = 0;

async function refresh() {
  const mine = ++asking;
  try {
    if (!state.catalogue.length) await load();
    if (state.scope === "network" || state.scopeId) {
      const { items } = await ask(`values?${query({ series: "true" })}`);
      if (mine !== asking) return;
      state.latest = items;
      show(items);
      fresh(items.length ? items[0].applied_until : null);
    }
    say(byId("trouble"), "");
  } catch {
    say(byId("trouble"), word("trouble"));
    byId("dot").className = "dot stale";
  }
}

async function load() {
  state.catalogue = (await ask("indicators")).items;
  const limits = state.catalogue.map((entry) => entry.suppressed_below).filter(Boolean);
  say(document.querySelector(".note"), word("note", limits[0] ?? ""));
  build();
}

// What is asked for stands in the address: Back, a bookmark and the other language lead to the same figures.
function address(language) {
  return `?${query({ lang: language })}`;
}

async function choose(scope, scopeId, { remember = true } = {}) {
  Object.assign(state, { scope, scopeId: null, latest: null });
  asking += 1;
  byId("which").hidden = scope === "network";
  let name = word("network");
  if (scope !== "network") {
    const { items } = await ask(`scopes/${scope}`).catch(() => ({ items: [] }));
    if (scope !== state.scope) return;
    const found = scopeId ? items.find((item) => item.id === scopeId) : items[0];
    options(byId("scope-id"), items.length ? items : [{ id: "", name: word("nothing") }], found ? found.id : "");
    state.scopeId = found ? found.id : null;
    const missing = scopeId ? word("unknown", scopeId) : word("nothing");
    name = found ? `${word(scope)}: ${found.name}` : missing;
  }
  say(byId("heading"), name);
  document.title = `${name} — Praktika`;
  document.querySelectorAll(".export").forEach((link) => {
    link.href = `values?${query({ format: link.dataset.format, lang: LANGUAGE })}`;
  });
  byId("scope").value = scope;
  if (remember) history.pushState(null, "", address(LANGUAGE));
  document.querySelectorAll("[hreflang]").forEach((link) => { link.href = address(link.hreflang); });
  build();
  await refresh();
}

function chooseByAddress() {
  const asked = new URLSearchParams(location.search);
  return choose(SCOPES.includes(asked.get("scope")) ? asked.get("scope") : "network", asked.get("scope_id"), { remember: false });
}

async function again() {
  if (!state.paused && !document.hidden) await refresh();
  setTimeout(again, EVERY_MS);
}

byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("scope").addEventListener("change", (event) => choose(event.target.value, null));
byId("scope-id").addEventListener("change", (event) => choose(state.scope, event.target.value));
byId("pause").addEventListener("click", (event) => {
  state.paused = !state.paused;
  event.target.setAttribute("aria-pressed", String(state.paused));
  say(event.target, word(state.paused ? "resume" : "pause"));
});
addEventListener("popstate", chooseByAddress);
document.addEventListener("visibilitychange", () => { if (!document.hidden && !state.paused) refresh(); });

options(byId("scope"), SCOPES.map((scope) => ({ id: scope, name: word(scope) })), state.scope);
chooseByAddress().then(() => setTimeout(again, EVERY_MS));
