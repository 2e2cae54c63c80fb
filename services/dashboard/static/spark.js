// A flask's last two days as a small curve, with its interval now as a bar at the end; the numbers stand beside it.
import { svg } from "./dom.js";

const WIDTH = 200;
const HEIGHT = 60;
const ROOM = 8; // for the bar of the interval
const TOP = 120;
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

export function sparkline({ spark, low, high }) {
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "spark", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" });
  if (!spark?.t?.length) return drawing;
  const from = spark.t[0];
  const length = Math.max(1, spark.t.at(-1) - from);
  const top = Math.max(TOP, spark.high ?? 0, high ?? 0);
  const x = (t) => (((t - from) / length) * (WIDTH - ROOM)).toFixed(1);
  const y = (v) => (HEIGHT - (Math.min(Math.max(v, 0), top) / top) * HEIGHT).toFixed(1);
  const base = y(0);
  drawing.append(svg("line", { x1: 0, x2: WIDTH, y1: y(USUAL), y2: y(USUAL), class: "spark-usual" }));
  for (const run of runs(spark.potency)) {
    const points = run.map((i) => `${x(spark.t[i])},${y(spark.potency[i])}`);
    const [first, last] = [x(spark.t[run[0]]), x(spark.t[run.at(-1)])];
    drawing.append(svg("polygon", { points: [`${first},${base}`, ...points, `${last},${base}`].join(" "), class: "spark-area" }));
    drawing.append(svg("polyline", { points: points.join(" "), class: "spark-line" }));
  }
  if (low !== null && high !== null) {
    const at = WIDTH - ROOM / 2;
    drawing.append(svg("line", { x1: at, x2: at, y1: y(low), y2: y(high), class: "spark-interval" }));
  }
  return drawing;
}
