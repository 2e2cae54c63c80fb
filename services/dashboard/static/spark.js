// A flask's last two days as a small curve over the floor, with its interval now as a bar at the end.
import { svg } from "./dom.js";

const WIDTH = 200;
const HEIGHT = 60;
const ROOM = 8; // for the bar of the interval
const USUAL = 100;

function runs(values) {
  const found = [];
  let run = [];
  values.forEach((value, i) => {
    if (value !== null) run.push(i);
    else if (run.length) {
      found.push(run);
      run = [];
    }
  });
  if (run.length) found.push(run);
  return found;
}

export function sparkline({ spark, low, high }, floor) {
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "spark", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" });
  if (!spark?.t?.length) return drawing;
  const from = spark.t[0];
  const length = Math.max(1, spark.t.at(-1) - from);
  const known = [spark.low, spark.high, low, high, floor].filter((v) => v !== null && v !== undefined);
  const [bottom, top] = [Math.min(...known, USUAL) - ROOM, Math.max(...known, USUAL) + ROOM / 2];
  const x = (t) => (((t - from) / length) * (WIDTH - ROOM)).toFixed(1);
  const y = (v) => (HEIGHT - ((v - bottom) / (top - bottom)) * HEIGHT).toFixed(1);
  if (floor !== null) drawing.append(svg("line", { x1: 0, x2: WIDTH, y1: y(floor), y2: y(floor), class: "spark-floor" }));
  for (const run of runs(spark.potency)) {
    drawing.append(svg("polyline", { points: run.map((i) => `${x(spark.t[i])},${y(spark.potency[i])}`).join(" "), class: "spark-line" }));
  }
  if (low !== null && high !== null) {
    const at = WIDTH - ROOM / 2;
    drawing.append(svg("line", { x1: at, x2: at, y1: y(low), y2: y(high), class: "spark-interval" }));
  }
  return drawing;
}
