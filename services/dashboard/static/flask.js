// One flask: its course on one time axis, its alarms, and why the newest estimate is what it is.
import { alarmCard } from "./alarm_card.js";
import { get, part } from "./api.js";
import { change } from "./change.js";
import { overview, panel } from "./chart.js";
import { byId, h, put, say, table } from "./dom.js";
import { icon } from "./icons.js";
import { on } from "./live.js";
import { panels } from "./panels.js";
import { preset, PRESETS, TimeRange } from "./range.js";
import { isJudged, number, percent, plain, span, stateWord, whole } from "./words.js";
import { fromInput, fullTime, shortTime, toInput, zoneName } from "./zone.js";
import { showWhy } from "./why.js";

const flask = document.body.dataset.flask;
const path = `flasks/${part(flask)}`;
const TOGETHER_MS = 250; // several estimates in a row are one redrawing
const OVERVIEW_PX = 300;
const OVERVIEW_MS = 60_000;
const charts = byId("charts");
const range = new TimeRange();
let answer = null;
let wholeCourse = null; // low-resolution course of the whole time, for the overview
let overviewDue = 0;
let drawn = [];
let asking = null;
let later = 0;

function headline(tile) {
  const known = tile.alarms[0]?.status === "acknowledged";
  put(
    byId("headline"),
    h("span", { class: "state", data: { state: tile.state } }, icon(known && tile.state === "alarm" ? "acknowledged" : tile.state), stateWord(tile.state)),
    tile.potency === null
      ? h("span", {}, tile.reason ? plain(tile.reason) : tile.state === "no_data" ? "" : "not assessable")
      : h("span", {}, h("b", { class: "big" }, `${whole(tile.potency)} %`), ` potency, 90 % interval ${whole(tile.low)}–${whole(tile.high)}`),
    tile.potency === null ? null : isJudged(tile) ? h("span", { title: "points of potency" }, change(tile.spark)) : h("span", {}, "not judged now"),
    tile.cells === null ? null : h("span", {}, `confluency ${percent(tile.confluency)}, ${whole(tile.cells)} cells`),
    h("span", {}, tile.last_frame_at ? `last frame ${span(tile.last_frame_age_s)} ago, ${fullTime(tile.last_frame_at)}` : "no frame yet"),
  );
}

async function loadHeadline() {
  const fleet = await get("fleet");
  const tile = fleet.flasks.find((one) => one.flask === flask);
  if (!tile) return;
  headline(tile);
  if (tile.last_frame_at) range.last ??= Date.parse(tile.last_frame_at) / 1000;
}

async function loadAlarms() {
  const { items, now } = await get("alarms", { flask });
  const open = items.filter((alarm) => alarm.status !== "suppressed");
  put(byId("alarms"), open.length ? open.map((alarm) => alarmCard(alarm, now, { done: afterAction, here: true })) : h("p", { class: "quiet" }, icon("ok"), "No alarm stands."));
}

const afterAction = () => loadAlarms().catch(complain);

async function loadSeries() {
  asking?.abort();
  asking = new AbortController();
  const width = Math.max(200, Math.round(charts.clientWidth - 70));
  const { from, to } = range.asked();
  const signal = asking.signal;
  const [course] = await Promise.all([get(`${path}/series`, { from, to, width }, { signal }), loadOverview(signal)]);
  answer = course;
  range.extent(answer.first_t, answer.last_t);
  draw();
}

async function loadOverview(signal) {
  if (wholeCourse && Date.now() < overviewDue) return;
  wholeCourse = (await get(`${path}/series`, { width: OVERVIEW_PX, names: "potency" }, { signal })).series.potency ?? null;
  overviewDue = Date.now() + OVERVIEW_MS;
}

function draw() {
  const scroll = window.scrollY;
  drawn.forEach((one) => one.destroy());
  drawn = [];
  charts.replaceChildren();
  byId("no-data").hidden = answer.first_t !== null;
  say(byId("no-data"), "No frame of this flask has been measured yet. The first estimate draws the curves here.");
  if (answer.first_t === null) return;
  const shown = range.shown(answer);
  drawn = panels(answer, draw).map((spec) => panel(charts, spec, shown, { zoomed, all, picked }));
  if (wholeCourse?.t.length) drawn.push(overview(charts, wholeCourse, range.full(), shown, zoomed));
  say(byId("zone-note"), `${shortTime(shown[0])} – ${shortTime(shown[1])}, times in ${zoneName()}`);
  presets();
  between(shown);
  if (document.querySelector(".values").open) values();
  window.scrollTo({ top: scroll });
}

const complain = (error) => {
  if (error.name === "AbortError") return;
  byId("no-data").hidden = false;
  say(byId("no-data"), `The course could not be loaded: ${error.message}`);
};
const reload = () => loadSeries().catch(complain);

function zoomed(from, to) {
  range.set(from, to);
  reload();
}

function all() {
  range.all();
  reload();
}

function picked(t) {
  const frames = answer.series.potency_frame ?? answer.series.potency;
  if (!frames?.t.length) return;
  location.assign(`/flasks/${part(flask)}/frames?t=${Math.round(t)}`);
}

function presets() {
  const chip = (name) =>
    h("button", { type: "button", class: "chip", "aria-pressed": String(range.preset === name), data: { preset: name }, onclick: () => pick(name) }, name);
  const focused = document.activeElement?.dataset?.preset;
  put(byId("presets"), PRESETS.map(chip));
  if (focused) byId("presets").querySelector(`[data-preset="${focused}"]`)?.focus();
}

function pick(name) {
  preset(range, name);
  reload();
}

function between(shown) {
  const form = byId("between");
  if (form.contains(document.activeElement)) return;
  form.elements.from.value = toInput(shown[0]);
  form.elements.to.value = toInput(shown[1]);
}

function values() {
  const names = Object.keys(answer.series);
  const rows = new Map();
  for (const name of names) answer.series[name].t.forEach((t, i) => rows.set(t, { ...rows.get(t), [name]: answer.series[name].v[i] }));
  const times = [...rows.keys()].sort((a, b) => b - a).slice(0, 200);
  const headings = [{ text: `time (${zoneName()})` }, ...names.map((name) => ({ text: `${answer.names[name].label} (${answer.names[name].unit || "1"})`, class: "number" }))];
  put(byId("values"), h("p", { class: "muted" }, `The newest ${times.length} points of what is drawn.`), table(headings, times.map((t) => [shortTime(t), ...names.map((name) => number(rows.get(t)[name]))]), { caption: "Values drawn" }));
}

const MOVES = { earlier: () => range.move(-0.5), later: () => range.move(0.5), in: () => range.zoom(0.5), out: () => range.zoom(2), all: () => range.all() };
const KEYS = { ArrowLeft: "earlier", ArrowRight: "later", "+": "in", "=": "in", "-": "out", 0: "all", Home: "all" };

function move(name) {
  MOVES[name]();
  reload();
}

for (const button of document.querySelectorAll("[data-move]")) button.addEventListener("click", () => move(button.dataset.move));
charts.addEventListener("keydown", (event) => {
  if (!(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  move(KEYS[event.key]);
});
byId("between").addEventListener("submit", (event) => {
  event.preventDefault();
  const { from, to } = event.target.elements;
  const [first, last] = [fromInput(from.value), fromInput(to.value)];
  if (first !== null && last !== null && first < last) zoomed(first, last);
});
document.querySelector(".values").addEventListener("toggle", (event) => event.target.open && answer && values());

on("estimate", (message) => {
  if (message.flask !== flask) return;
  headline(message.tile);
  clearTimeout(later);
  later = setTimeout(() => {
    if (range.follows) reload();
    showWhy(byId("why"), flask).catch(complain);
  }, TOGETHER_MS);
});
on("tile", (message) => message.flask === flask && headline(message.tile));
on("alarms", (message) => {
  if (!message.flasks.includes(flask)) return;
  afterAction();
  reload();
});
const everything = () => {
  loadHeadline().then(reload, complain);
  afterAction();
  showWhy(byId("why"), flask).catch(complain);
};
on("again", everything);
document.addEventListener("zonechange", everything);
document.addEventListener("themechange", () => answer && draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => answer && draw());
let width = charts.clientWidth;
new ResizeObserver(() => {
  if (Math.abs(charts.clientWidth - width) < 2) return;
  width = charts.clientWidth;
  drawn.forEach((one) => one.resize());
}).observe(charts);
presets();
everything();
