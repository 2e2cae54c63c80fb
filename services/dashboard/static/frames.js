// The frame viewer: the picture, what was outlined on it, and the numbers of frame and cell; through time by position.
import { get, part } from "./api.js";
import { CellPicker } from "./cells.js";
import { byId, h, put, say } from "./dom.js";
import { frameFacts, frameHeadline } from "./frame_facts.js";
import { on } from "./live.js";
import { Stage } from "./stage.js";
import { fullTime, shortTime } from "./zone.js";

const flask = document.body.dataset.flask;
const DAY_MS = 86_400_000;
const WINDOW_MS = 2 * DAY_MS; // to each side of the frame that is shown
const LIMIT = 500;
const PLAY_MS = 400;

const stage = new Stage(byId("stage"), byId("sheet"), byId("stage-words"));
const cells = new CellPicker(byId("cell"), stage);
let frames = []; // of one position, ascending in time
let at = -1;
let shown = null; // detail of the frame that is shown
let playing = 0;
let request = 0;

const iso = (ms) => new Date(ms).toISOString();

async function around(position, moment) {
  const middle = Date.parse(moment);
  const { items } = await get(`flasks/${part(flask)}/frames`, { position, from: iso(middle - WINDOW_MS), to: iso(middle + WINDOW_MS), limit: LIMIT });
  return items.reverse();
}

async function start() {
  const asked = new URLSearchParams(location.search);
  const id = asked.get("at") ?? (await nearest(asked.get("position"), asked.get("t")));
  if (!id) return nothing("No frame of this flask has arrived yet.");
  await open(id);
  if (asked.get("cell")) await cells.show(Number(asked.get("cell")));
}

async function nearest(position, time) {
  const to = time ? iso(1000 * Number(time) + 1000) : null;
  const { items } = await get(`flasks/${part(flask)}/frames`, { position, to, limit: 1 });
  return items[0]?.frame_id ?? null;
}

function nothing(words) {
  byId("viewer").hidden = true;
  byId("no-frame").hidden = false;
  say(byId("no-frame"), words);
}

/** Show a frame, and have its neighbours in time at hand. */
async function open(id) {
  const mine = ++request;
  const detail = await get(`frames/${id}`);
  if (mine !== request) return; // another frame was asked for meanwhile
  const changed = shown?.position !== detail.position;
  let place = frames.findIndex((frame) => frame.frame_id === id);
  if (changed || place < 0 || (place === 0 && detail.before) || (place === frames.length - 1 && detail.after)) {
    frames = await around(detail.position, detail.acquired_at);
    if (mine !== request) return;
    place = frames.findIndex((frame) => frame.frame_id === id);
  }
  at = place;
  shown = detail;
  draw();
}

function draw() {
  byId("viewer").hidden = false;
  byId("no-frame").hidden = true;
  history.replaceState(null, "", `?at=${shown.frame_id}`);
  put(byId("headline"), frameHeadline(shown));
  put(byId("facts"), frameFacts(shown));
  positions();
  colours();
  scrubber();
  cells.frame(shown);
  stage.show(shown);
  for (const next of [frames[at + 1], frames[at - 1]]) if (next?.has_image) stage.preload(next.frame_id);
}

async function positions() {
  const { positions: names } = await positionNames();
  const chip = (name) => h("button", { type: "button", class: "chip", "aria-pressed": String(name === shown.position), onclick: () => other(name) }, name);
  put(byId("positions"), names.map(chip));
}

let positionsAsked = null;
const positionNames = () => (positionsAsked ??= get(`flasks/${part(flask)}/frames`, { limit: 1 }));

async function other(position) {
  const { items } = await get(`flasks/${part(flask)}/frames`, { position, to: shown.acquired_at, limit: 1 });
  const first = items[0] ?? (await get(`flasks/${part(flask)}/frames`, { position, limit: 1 })).items[0];
  if (first) await open(first.frame_id);
}

function colours() {
  const select = byId("colour-by");
  const names = ["", ...shown.colourable];
  if (select.options.length === names.length) return;
  const chosen = select.value;
  put(select, names.map((name) => h("option", { value: name, selected: name === chosen }, name === "" ? "nothing" : name.replaceAll("_", " "))));
}

function scrubber() {
  const slider = byId("scrub");
  slider.max = String(Math.max(0, frames.length - 1));
  slider.value = String(at);
  slider.setAttribute("aria-valuetext", `${fullTime(shown.acquired_at)}, ${shown.state.replaceAll("_", " ")}`);
  byId("before").disabled = !shown.before;
  byId("after").disabled = !shown.after;
  const marks = frames.map((frame) => h("li", { data: { state: frame.state }, class: frame.frame_id === shown.frame_id ? "here" : "" }));
  put(byId("ticks"), marks.length <= 400 ? marks : []);
  say(byId("first-time"), frames.length ? shortTime(frames[0].acquired_at) : "");
  say(byId("last-time"), frames.length ? fullTime(frames.at(-1).acquired_at) : "");
}

const complain = (error) => {
  if (shown) say(byId("stage-words"), error.message);
  else nothing(error.message);
};
const go = (id) => id && open(id).catch(complain);
const step = (by) => go(by < 0 ? shown?.before : shown?.after);

function play(run) {
  clearInterval(playing);
  playing = run ? setInterval(() => (shown.after ? stage.ready && step(1) : play(false)), PLAY_MS) : 0;
  byId("play").setAttribute("aria-pressed", String(run));
  say(byId("play"), run ? "Pause" : "Play");
}

function pressed(id) {
  const button = byId(id);
  const value = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(value));
  return value;
}

const toggleCells = () => stage.outline("cells", pressed("show-cells"));
const toggleNuclei = () => stage.outline("nuclei", pressed("show-nuclei"));
const zoom = (factor) => say(byId("magnification"), `${stage.zoom(factor)}×`);

const KEYS = { c: toggleCells, n: toggleNuclei, ArrowLeft: () => step(-1), ArrowRight: () => step(1), "+": () => zoom(2), "-": () => zoom(0.5), ".": () => cells.step(1), ",": () => cells.step(-1) };

byId("show-cells").addEventListener("click", toggleCells);
byId("show-nuclei").addEventListener("click", toggleNuclei);
byId("larger").addEventListener("click", () => zoom(2));
byId("smaller").addEventListener("click", () => zoom(0.5));
byId("before").addEventListener("click", () => step(-1));
byId("after").addEventListener("click", () => step(1));
byId("play").addEventListener("click", () => play(!playing));
byId("newest").addEventListener("click", async () => go(await nearest(shown.position, null)));
byId("scrub").addEventListener("input", (event) => go(frames[Number(event.target.value)]?.frame_id));
byId("colour-by").addEventListener("change", (event) => stage.colourBy(event.target.value, byId("legend")));
byId("stage").addEventListener("keydown", (event) => {
  if (!(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  KEYS[event.key]();
});
on("estimate", (message) => {
  if (message.flask !== flask) return;
  if (!shown) start().catch(complain);
  else if (!shown.after) get(`frames/${shown.frame_id}`).then((detail) => { shown = detail; byId("after").disabled = !detail.after; }).catch(complain);
});
document.addEventListener("zonechange", () => shown && draw());
start().catch(complain);
