"use strict";

const WORDS = {
  en: {
    subtitle: "Monitoring of practice, employment and sustainability",
    skip: "Skip to the indicators", language: "Language", scope: "Show", which: "Which",
    applied: "Events applied until", pause: "Pause", resume: "Resume",
    never: "nothing yet", trouble: "The service does not answer; the figures are those of the time shown.",
    suppressed: "hidden: protects a small group", not_enough_data: "not enough data",
    of: "{0} of {1}", n: "n = {0}", how: "How it is worked out", definition: "Definition", window: "Months",
    source: "Source", id: "Identifier", month: "Month", value: "Value", series: "Month by month",
    comparison: "Compare (CSV)", csv: "Series (CSV)", chart: "{0}: {1} months, from {2} to {3}", none: "no months yet", all_hidden: "every month is hidden",
    catalogue: "Catalogue (JSON)", export: "These figures (CSV)",
    note: "“Hidden”: there are data, but of fewer than {0} people, or of a month beside them that would give them away. “Not enough data”: nobody is counted yet; it never means zero.",
    network: "Whole network", region: "Region", institution: "Institution", programme: "Programme", sector: "Sector",
    enterprise: "Enterprise", competency: "Competency", nothing: "There is none yet",
    share: "", days: "days", hours: "h", "hours per learner": "h per learner", places: "places", organisations: "", agreements: "",
  },
  ru: {
    subtitle: "Мониторинг практики, трудоустройства и устойчивого развития",
    skip: "К показателям", language: "Язык", scope: "Показать", which: "Что именно",
    applied: "Учтены события до", pause: "Пауза", resume: "Продолжить",
    never: "пока ничего", trouble: "Сервис не отвечает; показаны данные на указанное время.",
    suppressed: "скрыто: защита малой группы", not_enough_data: "недостаточно данных",
    of: "{0} из {1}", n: "n = {0}", how: "Как это посчитано", definition: "Определение", window: "Месяцы",
    source: "Источник", id: "Идентификатор", month: "Месяц", value: "Значение", series: "По месяцам",
    comparison: "Сравнить (CSV)", csv: "Ряд (CSV)", chart: "{0}: месяцев {1}, с {2} по {3}", none: "месяцев пока нет", all_hidden: "все месяцы скрыты",
    catalogue: "Каталог (JSON)", export: "Эти данные (CSV)",
    note: "«Скрыто»: данные есть, но в них меньше {0} человек или это соседний месяц, который бы их выдал. «Недостаточно данных»: учитывать пока некого; это никогда не значит ноль.",
    network: "Вся сеть", region: "Регион", institution: "Учебное заведение", programme: "Программа", sector: "Отрасль",
    enterprise: "Предприятие", competency: "Компетенция", nothing: "Пока нет ни одного",
    share: "", days: "дн.", hours: "ч", "hours per learner": "ч на человека", places: "мест", organisations: "", agreements: "",
  },
};
const SCOPES = ["network", "region", "institution", "programme", "sector", "enterprise", "competency"];
const EVERY_MS = 4000;
const STALE_MS = 60000;
const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);
const state = { language: language(), scope: "network", scopeId: null, catalogue: [], cards: new Map(), paused: false };

function language() {
  let kept = null;
  try { kept = localStorage.getItem("language"); } catch { /* private mode: the browser's language will do */ }
  return kept in WORDS ? kept : (navigator.language || "").startsWith("ru") ? "ru" : "en";
}

const word = (key, ...given) => given.reduce((text, x, i) => text.replace(`{${i}}`, x), WORDS[state.language][key]);

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
  return new Intl.NumberFormat(state.language, { maximumFractionDigits: digits }).format(value);
}

function shown(value, unit) {
  if (unit === "share") {
    return new Intl.NumberFormat(state.language, { style: "percent", maximumFractionDigits: 1 }).format(value);
  }
  return number(value, unit === "days" ? 0 : 1);
}

function made(item) {
  if (item.status !== "ok") return item.n ? word("n", item.n).replace("= <", "< ") : "";
  const [upper, lower] = [item.numerator, item.denominator].map((x) => (x === null ? "" : number(x, 2)));
  const n = word("n", number(item.n));
  if (item.denominator === null) return n;
  if (item.unit === "share") return `${word("of", upper, lower)} · ${n}`;
  return `${upper} ${item.unit === "places" ? "−" : "/"} ${lower} · ${n}`;
}

// building the page

function translate() {
  document.documentElement.lang = state.language;
  document.querySelectorAll("[data-text]").forEach((e) => say(e, word(e.dataset.text)));
  document.querySelectorAll("[data-label]").forEach((e) => e.setAttribute("aria-label", word(e.dataset.label)));
  document.querySelectorAll("[data-language]").forEach(
    (e) => e.setAttribute("aria-pressed", String(e.dataset.language === state.language)));
  const limits = state.catalogue.map((entry) => entry.suppressed_below).filter(Boolean);
  say(document.querySelector(".note"), word("note", limits[0] ?? ""));
  say(byId("pause"), word(state.paused ? "resume" : "pause"));
  options(byId("scope"), SCOPES.map((scope) => ({ id: scope, name: word(scope) })), state.scope);
  build();
}

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
    const name = entry.group[state.language];
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
  say(part("h3"), entry.title[state.language]);
  say(part("summary"), word("how"));
  say(part("caption"), word("series"));
  const [month, value] = article.querySelectorAll("th");
  say(month, word("month"));
  say(value, word("value"));
  const facts = { definition: entry.definition[state.language], window: entry.window[state.language],
    source: entry.source, id: entry.indicator };
  for (const [key, text] of Object.entries(facts)) {
    const term = document.createElement("dt");
    const said = document.createElement("dd");
    term.textContent = word(key);
    said.textContent = text;
    part("dl").append(term, said);
  }
  link(part(".csv"), word("csv"), `indicators/${entry.indicator}/series?${query({ format: "csv" })}`);
  const compared = new URLSearchParams({ scope: state.scope, format: "csv" });
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
  chart.replaceChildren(...(known.length ? lines(known, item.unit) : []));
  const ends = known.length ? [known[0].period, known[known.length - 1].period] : ["", ""];
  const nothing = word(item.points.some((point) => point.status === "suppressed") ? "all_hidden" : "none");
  say(first, ends[0] || nothing);
  say(last, known.length > 1 ? ends[1] : "");
  chart.setAttribute("aria-label", known.length
    ? word("chart", entry.title[state.language], known.length, ...ends) : nothing);
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

function lines(points, unit) {
  const [left, right] = [monthNumber(points[0].period), monthNumber(points[points.length - 1].period)];
  const values = points.map((point) => point.value);
  const [low, high] = [Math.min(0, ...values), unit === "share" ? 1 : Math.max(...values, 1)];
  const x = (point) => (right === left ? 120 : 4 + (232 * (monthNumber(point.period) - left)) / (right - left));
  const y = (value) => 52 - (46 * (value - low)) / (high - low);
  const line = points.map((point, i) => `${i ? "L" : "M"}${x(point).toFixed(1)} ${y(point.value).toFixed(1)}`).join("");
  const zero = document.createElementNS(SVG, "line");
  for (const [name, value] of Object.entries({ x1: 0, x2: 240, y1: y(0), y2: y(0) })) zero.setAttribute(name, value);
  const ends = [points[0], points[points.length - 1]].map(x);
  const dots = points.length > 24 ? points.slice(-1) : points;
  return [
    path("area", `${line}L${ends[1].toFixed(1)} ${y(0)}L${ends[0].toFixed(1)} ${y(0)}Z`), zero, path("line", line),
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
  say(applied, until ? new Date(until).toLocaleString(state.language) : word("never"));
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
  translate();
}

async function choose(scope, scopeId) {
  Object.assign(state, { scope, scopeId: null, latest: null });
  asking += 1;
  byId("which").hidden = scope === "network";
  let name = word("network");
  if (scope !== "network") {
    const { items } = await ask(`scopes/${scope}`).catch(() => ({ items: [] }));
    if (scope !== state.scope) return;
    const found = items.find((item) => item.id === scopeId) || items[0];
    options(byId("scope-id"), items.length ? items : [{ id: "", name: word("nothing") }], found ? found.id : "");
    state.scopeId = found ? found.id : null;
    name = found ? `${word(scope)}: ${found.name}` : word("nothing");
  }
  say(byId("heading"), name);
  byId("export").href = `values?${query({ format: "csv" })}`;
  byId("scope").value = scope;
  history.replaceState(null, "", scope === "network" ? "./" : `?${query()}`);
  build();
  await refresh();
}

async function again() {
  if (!state.paused && !document.hidden) await refresh();
  setTimeout(again, EVERY_MS);
}

function speak(chosen) {
  state.language = chosen;
  try { localStorage.setItem("language", chosen); } catch { /* then it is not remembered */ }
  translate();
  choose(state.scope, state.scopeId);
}

byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("scope").addEventListener("change", (event) => choose(event.target.value, null));
byId("scope-id").addEventListener("change", (event) => choose(state.scope, event.target.value));
byId("pause").addEventListener("click", (event) => {
  state.paused = !state.paused;
  event.target.setAttribute("aria-pressed", String(state.paused));
  say(event.target, word(state.paused ? "resume" : "pause"));
});
document.querySelectorAll("[data-language]").forEach(
  (button) => button.addEventListener("click", () => speak(button.dataset.language)));
document.addEventListener("visibilitychange", () => { if (!document.hidden && !state.paused) refresh(); });

const asked = new URLSearchParams(location.search);
translate();
choose(SCOPES.includes(asked.get("scope")) ? asked.get("scope") : "network", asked.get("scope_id")).then(
  () => setTimeout(again, EVERY_MS));
