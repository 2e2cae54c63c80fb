// What is drawn of a flask, panel by panel: potency, the detector's sum, cells, confluency, and the quality of images.
import { h } from "./dom.js";
import { number, unit, whole } from "./words.js";
import { fullTime } from "./zone.js";

const COLOURS = ["accent", "curve-2", "curve-3", "curve-4", "curve-5"];
const TALL = 290;
const LOW = 118;
const QUALITY_KEY = "cellvigil-quality";

const span = (alarm) => ({ priority: alarm.priority, channel: alarm.channel, raised: alarm.raised_at, cleared: alarm.cleared_at, onset: alarm.onset_at });

function ends(course, of) {
  const values = course.v.filter((v) => v !== null);
  if (!values.length) return "no values";
  return `from ${number(values[0])} to ${number(values.at(-1))} ${of}, lowest ${number(Math.min(...values))}, highest ${number(Math.max(...values))}`;
}

/** A forecast as a fan from the newest value to the goal: between the earliest and the latest time of crossing. */
function fan(forecast) {
  if (!forecast) return null;
  const { from_t: t0, from_v: v0, goal, t, low_t: early, high_t: late } = forecast;
  const along = (crossing, at) => v0 + ((goal - v0) * (at - t0)) / Math.max(1, crossing - t0);
  const times = [...new Set([t0, early, t, late])].filter((at) => at >= t0).sort((a, b) => a - b);
  const within = (value) => (goal < v0 ? Math.max(goal, value) : Math.min(goal, value));
  const fast = times.map((at) => within(along(early, at)));
  const slow = times.map((at) => within(along(late, at)));
  return { t: times, v: times.map((at) => within(along(t, at))), low: times.map((_, i) => Math.min(fast[i], slow[i])), high: times.map((_, i) => Math.max(fast[i], slow[i])) };
}

/** One value per time, where several positions were taken at once: their mean. */
function mean(course) {
  const t = [...new Set(course.t)];
  if (t.length === course.t.length) return course;
  const sums = new Map();
  course.t.forEach((at, i) => {
    if (course.v[i] === null) return;
    const [sum, n] = sums.get(at) ?? [0, 0];
    sums.set(at, [sum + course.v[i], n + 1]);
  });
  return { t, v: t.map((at) => (sums.has(at) ? sums.get(at)[0] / sums.get(at)[1] : null)) };
}

/** One value per time, where several positions were taken at once: the last, which has seen the others. */
function last({ t, v, low, high }) {
  const kept = t.map((at, i) => i).filter((i) => t[i + 1] !== t[i]);
  const of = (values) => values && kept.map((i) => values[i]);
  return { t: of(t), v: of(v), low: of(low), high: of(high) };
}

/** Times that differ by a second where several positions were taken at once, so that every dot has its own. */
const apart = ({ t, v }) => ({ t: t.map((at, i) => (t[i - 1] === at ? at + 1 : at)), v });

/** Single frames are dots without their own intervals, which would hide everything else. */
function curveOf(answer, name, colour) {
  const dots = name.endsWith("_frame");
  const course = dots ? apart(answer.series[name]) : last(answer.series[name]);
  return { ...course, label: answer.names[name].label, colour: dots ? "usual" : colour, dots };
}

function potencyPanel(answer) {
  const names = Object.keys(answer.names).filter((name) => answer.names[name].group === "potency" && answer.series[name]);
  const curves = names.map((name, i) => curveOf(answer, name, COLOURS[i % COLOURS.length]));
  curves.sort((a, b) => Number(b.dots) - Number(a.dots));
  if (answer.baseline) curves.unshift({ ...last({ ...answer.baseline, low: null, high: null }), label: answer.baseline.provisional ? "usual (provisional)" : "usual", colour: "usual", dash: [2, 3] });
  const lines = [{ y: answer.floor, label: `floor ${whole(answer.floor)} %`, colour: "warn", keep: true }];
  if (answer.limit !== null) lines.push({ y: answer.limit, label: `limit ${whole(answer.limit)} %`, colour: "muted", dash: [2, 2], right: true });
  const ahead = answer.forecast?.potency;
  const main = answer.series.potency ?? curves.at(-1);
  return {
    id: "potency",
    title: "Potency",
    unit: "% of the reference lot, band: 90 % interval",
    height: TALL,
    curves,
    lines,
    alarms: answer.alarms.map(span),
    names_alarms: true,
    assays: answer.assays.filter((one) => one.unit === "%" || answer.names[one.biomarker]),
    forecast: fan(ahead),
    from_zero: true,
    times: true,
    keep: answer.assays.map((one) => one.value).filter((v) => v <= 300),
    extra: ahead ? h("span", { class: "forecast" }, ahead.words) : null,
    says: `Potency ${main ? ends(main, "%") : "without values"}. ${answer.alarms.map((one) => `${one.channel} alarm ${fullTime(one.raised_at)}.`).join(" ")}`,
  };
}

function cusumPanel(answer) {
  const { cusum } = answer;
  if (!cusum?.t.length) return null;
  return {
    id: "cusum",
    title: "Detector",
    unit: "CUSUM: how much evidence of a fall has added up; an alarm at the limit",
    height: LOW,
    curves: [{ ...last(cusum), label: "sum", colour: "curve-2" }],
    lines: [{ y: cusum.limit, label: `limit ${number(cusum.limit)}`, colour: "alarm", keep: true }],
    alarms: answer.alarms.filter((one) => one.channel === "potency").map(span),
    from_zero: true,
    says: `Sum of the detector ${ends(cusum, "standard deviations")}; limit ${number(cusum.limit)}`,
  };
}

function single(answer, name, colour, factor = 1) {
  const course = mean(answer.series[name]);
  const about = answer.names[name];
  const scaled = (values) => values?.map((v) => (v === null ? null : v * factor));
  const shown = { t: course.t, v: scaled(course.v) };
  const of = factor === 100 ? "%" : unit(about.unit);
  return {
    id: name,
    title: about.label[0].toUpperCase() + about.label.slice(1),
    unit: of,
    height: LOW,
    curves: [{ ...shown, label: about.label, colour }],
    alarms: [],
    from_zero: true,
    says: `${about.label} ${ends(shown, of)}`,
  };
}

function culturePanels(answer) {
  const { cells, nuclei } = answer.series;
  const shown = [];
  if (cells) {
    const counts = single(answer, "cells", "curve-3");
    if (nuclei) counts.curves.push({ ...mean(nuclei), label: answer.names.nuclei.label, colour: "curve-4" });
    shown.push({ ...counts, title: "Cells and nuclei", unit: "in a field" });
  }
  if (answer.series.confluency) shown.push({ ...single(answer, "confluency", "accent", 100), lines: [{ y: 100 * answer.confluency_goal, label: `goal ${whole(100 * answer.confluency_goal)} %`, colour: "muted" }] });
  return shown;
}

function qualityPanel(answer, redraw) {
  const names = Object.keys(answer.names).filter((name) => answer.names[name].group === "quality" && answer.series[name]);
  if (!names.length) return null;
  const chosen = names.includes(sessionStorage.getItem(QUALITY_KEY)) ? sessionStorage.getItem(QUALITY_KEY) : names[0];
  const spec = single(answer, chosen, "curve-5");
  const choice = h("select", { "aria-label": "Quality shown" }, names.map((name) => h("option", { value: name, selected: name === chosen }, answer.names[name].label)));
  choice.addEventListener("change", () => {
    sessionStorage.setItem(QUALITY_KEY, choice.value);
    redraw();
    document.querySelector(".panel-quality select")?.focus();
  });
  return {
    ...spec,
    id: "quality",
    title: "Quality",
    extra: choice,
    times: true,
    alarms: answer.alarms.filter((one) => ["optics", "segmentation"].includes(one.channel)).map(span),
  };
}

/** Every panel of an answer of the series, from top to bottom. */
export function panels(answer, redraw = () => {}) {
  return [potencyPanel(answer), cusumPanel(answer), ...culturePanels(answer), qualityPanel(answer, redraw)].filter(Boolean);
}
