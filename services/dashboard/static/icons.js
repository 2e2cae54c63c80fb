// One shape per meaning, so that nothing rests on colour alone.
import { svg } from "./dom.js";

const SHAPES = {
  ok: [["circle", { cx: 8, cy: 8, r: 6.25 }], ["path", { d: "M5 8.2l2.2 2.2L11.2 6" }]],
  alarm: [["path", { d: "M8 1.6 15 14.2H1z", class: "solid" }], ["path", { d: "M8 6v4.2M8 12v.6", class: "cut" }]],
  acknowledged: [["path", { d: "M8 2 14.6 13.9H1.4z" }], ["path", { d: "M8 6v3.8M8 11.6v.5" }]],
  stale: [["path", { d: "M3.5 1.8h9M3.5 14.2h9M4.5 2c0 6 7 6 7 12M11.5 2c0 6-7 6-7 12" }]],
  no_data: [["circle", { cx: 8, cy: 8, r: 6.25, "stroke-dasharray": "2.6 2.3" }]],
  shelved: [["circle", { cx: 8, cy: 8, r: 6.25 }], ["path", { d: "M8 4.4V8l2.6 1.8" }]],
  suppressed: [["path", { d: "M8 1.6 14.4 8 8 14.4 1.6 8z" }], ["path", { d: "M5.4 8h5.2" }]],
  out_of_service: [["circle", { cx: 8, cy: 8, r: 6.25 }], ["path", { d: "M3.7 12.3l8.6-8.6" }]],
  over: [["path", { d: "M8 14.2 1.4 2.2h13.2z" }], ["path", { d: "M5.6 5.6l1.9 1.9 3-3" }]],
  arrow: [["path", { d: "M2 8h11M9 4l4 4-4 4" }]],
  down: [["path", { d: "M3 5.5l5 5 5-5" }]],
  rejected: [["rect", { x: 2, y: 2, width: 12, height: 12, rx: 1.5 }], ["path", { d: "M5 5l6 6M11 5l-6 6" }]],
};

/** A drawing that goes with a word; the word carries the meaning for those who do not see it. */
export function icon(name, className = "") {
  const parts = SHAPES[name] ?? SHAPES.no_data;
  return svg(
    "svg",
    { viewBox: "0 0 16 16", class: `icon icon-${name} ${className}`, "aria-hidden": "true", focusable: "false" },
    parts.map(([tag, properties]) => svg(tag, properties)),
  );
}

const OF_STATUS = {
  ok: "ok",
  normal: "ok",
  alarm: "alarm",
  unacknowledged: "alarm",
  latched: "over",
  returned_unacknowledged: "over",
  acknowledged: "acknowledged",
  shelved: "shelved",
  suppressed: "suppressed",
  out_of_service: "out_of_service",
  stale: "stale",
  no_data: "no_data",
};

export const statusIcon = (status) => icon(OF_STATUS[status] ?? "no_data");

/** An arrow turned by a change in points: flat, half down or up, full down or up. */
export function trendIcon(points) {
  const turn = points <= -10 ? "falls" : points <= -3 ? "sinks" : points >= 10 ? "climbs" : points >= 3 ? "rises" : "flat";
  return icon("arrow", `trend-${turn}`);
}
