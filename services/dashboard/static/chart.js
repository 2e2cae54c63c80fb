// One panel of curves over time. Panels share their cursor and their time range; colours come from the style sheet.
/* global uPlot */
import { h } from "./dom.js";
import { colour, font } from "./ink.js";
import { drawMarks } from "./marks.js";
import { number } from "./words.js";
import { day, dayTime, fullTime, shortTime } from "./zone.js";

const DAY = 86_400;
const GUTTER = 52;
const RIGHT = 14;
const MANY_DOTS = 400;

function axes(spec) {
  const line = { stroke: colour("grid"), width: 1 };
  const look = { stroke: colour("muted"), font: font(12), grid: line, ticks: { ...line, size: 4 } };
  return [
    { ...look, show: true, size: spec.times ? 42 : 8, values: (u, splits) => (spec.times ? timeLabels(u, splits) : splits.map(() => "")), space: 88 },
    { ...look, size: GUTTER, gap: 4, values: (u, splits) => splits.map((v) => number(v, 4)), space: 28 },
  ];
}

function timeLabels(u, splits) {
  const step = splits.length > 1 ? splits[1] - splits[0] : DAY;
  return splits.map((t, i) => {
    if (step >= DAY) return day(t);
    const newDay = i === 0 || day(splits[i - 1]) !== day(t);
    return newDay ? `${dayTime(t)}\n${day(t)}` : dayTime(t);
  });
}

function curve(one) {
  const stroke = colour(one.colour);
  return {
    label: one.label,
    stroke,
    width: 1.75,
    dash: one.dash,
    spanGaps: false,
    paths: one.dots ? () => null : undefined,
    points: one.dots ? { show: true, size: one.t.length > MANY_DOTS ? 2.5 : 4.5, fill: stroke, stroke, width: 0 } : { show: one.t.length < 3, size: 6 },
    value: (u, v) => (v === null || v === undefined ? "–" : number(v, 3)),
  };
}

const hidden = (label) => ({ label, stroke: "transparent", width: 0, points: { show: false }, value: () => "" });

/** Curves with their intervals as the columns, series and bands of one plot. */
function columns(spec) {
  const tables = [];
  const series = [];
  const bands = [];
  for (const one of spec.curves) {
    const values = [one.t, one.v];
    series.push(curve(one));
    const first = series.length;
    if (one.high && one.low) {
      values.push(one.high, one.low);
      series.push({ ...hidden("high"), class: "u-hide" }, { ...hidden("low"), class: "u-hide" });
      bands.push({ series: [first + 1, first + 2], fill: colour("band") });
    }
    tables.push(values);
  }
  return { data: uPlot.join(tables, tables.map((values) => values.map(() => 1))), series, bands };
}

function scaleOf(spec) {
  return (u, low, high) => {
    const values = (spec.lines ?? []).filter((line) => line.keep).map((line) => line.y);
    const all = [low, high, ...values, ...(spec.keep ?? [])].filter((v) => v !== null && v !== undefined && Number.isFinite(v));
    if (!all.length) return [0, 1];
    const [bottom, top] = [Math.min(...all), Math.max(...all)];
    const zero = spec.from_zero && bottom >= 0;
    const tall = top - (zero ? 0 : bottom);
    const room = tall === 0 ? Math.abs(top) * 0.1 || 1 : tall * (spec.names_alarms ? 0.1 : 0.08); // alarms have their names above everything
    const least = zero ? 0 : bottom - room;
    return [least, top + room];
  };
}

/** Draw a panel into an element; returns what changes and removes it. */
export function panel(host, spec, range, heard) {
  const canvasHost = h("div", { class: "panel-plot", role: "img", "aria-label": spec.says });
  const box = h("figure", { class: `panel panel-${spec.id}` }, h("figcaption", {}, h("b", {}, spec.title), spec.unit ? h("span", { class: "muted" }, ` ${spec.unit}`) : null, spec.extra ?? null), canvasHost);
  host.append(box);
  const { data, series, bands } = columns(spec);
  const options = {
    width: Math.max(200, canvasHost.clientWidth),
    height: spec.height,
    padding: [8, RIGHT, 0, 0],
    series: [{ label: "time", value: (u, t) => (t === null ? "" : shortTime(t)) }, ...series],
    bands,
    axes: axes(spec),
    scales: { x: { time: true, range: () => range }, y: { range: scaleOf(spec) } },
    cursor: { sync: { key: "flask" }, drag: { x: true, y: false, setScale: false }, y: false, points: { size: 7 } },
    legend: { show: true, live: true, markers: { width: 2 } },
    hooks: {
      draw: [(u) => drawMarks(u, spec)],
      setSelect: [(u) => selected(u, heard.zoomed)],
    },
  };
  const plot = new uPlot(options, data, canvasHost);
  plot.over.addEventListener("dblclick", () => heard.all());
  plot.over.addEventListener("click", () => {
    if (plot.select.width === 0 && plot.cursor.idx !== null) heard.picked?.(plot.data[0][plot.cursor.idx]);
  });
  return { resize: () => plot.setSize({ width: Math.max(200, canvasHost.clientWidth), height: spec.height }), destroy: () => plot.destroy() };
}

function selected(u, zoomed) {
  if (u.select.width < 4) return;
  const from = u.posToVal(u.select.left, "x");
  const to = u.posToVal(u.select.left + u.select.width, "x");
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  zoomed(from, to);
}

/** The whole time of the flask as one low panel, with the window that the others show. */
export function overview(host, one, extent, range, zoomed) {
  const canvasHost = h("div", { class: "panel-plot", role: "img", "aria-label": `The whole time, ${fullTime(extent[0])} to ${fullTime(extent[1])}; drag to choose a part` });
  host.append(h("figure", { class: "panel panel-overview" }, h("figcaption", { class: "sr" }, "The whole time; drag to choose a part"), canvasHost));
  const plot = new uPlot(
    {
      width: Math.max(200, canvasHost.clientWidth),
      height: 62,
      padding: [4, RIGHT, 0, 0],
      series: [{}, { stroke: colour("muted"), width: 1, points: { show: false } }],
      axes: [axes({ times: true })[0], { size: GUTTER, values: (u, splits) => splits.map(() => ""), grid: { show: false }, ticks: { show: false } }],
      scales: { x: { time: true, range: () => extent } },
      cursor: { drag: { x: true, y: false, setScale: false }, y: false, points: { show: false } },
      legend: { show: false },
      hooks: {
        setSelect: [(u) => u.select.width >= 4 && zoomed(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"))],
      },
    },
    [one.t, one.v],
    canvasHost,
  );
  const show = () => {
    const left = plot.valToPos(Math.max(range[0], extent[0]), "x");
    const right = plot.valToPos(Math.min(range[1], extent[1]), "x");
    plot.setSelect({ left, width: Math.max(2, right - left), top: 0, height: plot.over.clientHeight }, false);
  };
  show();
  const resize = () => {
    plot.setSize({ width: Math.max(200, canvasHost.clientWidth), height: 62 });
    show();
  };
  return { resize, destroy: () => plot.destroy() };
}
