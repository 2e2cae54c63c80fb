// What is drawn over curves: lines that mean something, alarms, assay results, and the forecast.
import { colour, font } from "./ink.js";
import { whole } from "./words.js";

const NEAR = 90; // pixels to the right edge in which labels stand on the left
const TAG_TALL = 17; // pixels that a label needs above its line

const pixel = () => window.devicePixelRatio || 1;

function inside(u, draw) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  draw(ctx, bbox);
  ctx.restore();
}

const atX = (u, t) => u.valToPos(t, "x", true);
const atY = (u, v) => u.valToPos(v, "y", true);

function level(u, ctx, bbox, line) {
  const y = Math.round(atY(u, line.y)) + 0.5;
  if (y < bbox.top || y > bbox.top + bbox.height + 1) return; // beyond what is shown
  ctx.strokeStyle = colour(line.colour);
  ctx.lineWidth = 1.25 * pixel();
  ctx.setLineDash((line.dash ?? [6, 4]).map((n) => n * pixel()));
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.setLineDash([]);
  const x = line.right ? bbox.left + bbox.width - 6 * pixel() : bbox.left + 6 * pixel();
  const below = line.right || y - bbox.top < TAG_TALL * pixel(); // no room above: it would be cut off
  tag(ctx, line.label, x, y + (below ? 13 : -5) * pixel(), colour(line.colour), line.right ? "right" : "left");
}

function tag(ctx, text, x, y, ink, align = "left") {
  ctx.font = font(11 * pixel());
  ctx.textAlign = align;
  ctx.textBaseline = "alphabetic";
  ctx.lineWidth = 3 * pixel();
  ctx.strokeStyle = colour("surface");
  ctx.strokeText(text, x, y);
  ctx.fillStyle = ink;
  ctx.fillText(text, x, y);
}

function alarm(u, ctx, bbox, one, named) {
  const ink = colour(one.priority === "high" ? "alarm" : one.priority === "medium" ? "warn" : "low");
  const from = atX(u, one.raised);
  const to = Math.min(atX(u, one.cleared ?? u.scales.x.max), bbox.left + bbox.width);
  if (to < bbox.left || from > bbox.left + bbox.width) return;
  ctx.globalAlpha = 0.1;
  ctx.fillStyle = ink;
  ctx.fillRect(from, bbox.top, Math.max(pixel(), to - from), bbox.height);
  ctx.globalAlpha = 1;
  upright(ctx, bbox, from, ink, []);
  if (one.onset) upright(ctx, bbox, atX(u, one.onset), ink, [2, 3]);
  if (!named) return;
  const size = 9 * pixel();
  const top = bbox.top + 2 * pixel();
  ctx.fillStyle = ink;
  ctx.beginPath();
  ctx.moveTo(from, top);
  ctx.lineTo(from + size * 0.6, top + size);
  ctx.lineTo(from - size * 0.6, top + size);
  ctx.fill();
  const nearRight = from > bbox.left + bbox.width - NEAR * pixel();
  tag(ctx, `${one.channel} alarm`, from + (nearRight ? -8 : 8) * pixel(), top + size, ink, nearRight ? "right" : "left");
}

function upright(ctx, bbox, x, ink, dash) {
  ctx.strokeStyle = ink;
  ctx.lineWidth = 1.25 * pixel();
  ctx.setLineDash(dash.map((n) => n * pixel()));
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.setLineDash([]);
}

function assay(u, ctx, bbox, one) {
  const x = atX(u, one.at);
  const nearRight = x > bbox.left + bbox.width - NEAR * pixel();
  const y = atY(u, one.value);
  const size = 6 * pixel();
  ctx.beginPath();
  ctx.moveTo(x, y - size);
  ctx.lineTo(x + size, y);
  ctx.lineTo(x, y + size);
  ctx.lineTo(x - size, y);
  ctx.closePath();
  ctx.fillStyle = colour("surface");
  ctx.fill();
  ctx.lineWidth = 2 * pixel();
  ctx.strokeStyle = colour("ink");
  ctx.stroke();
  tag(ctx, `assay ${whole(one.value)} %`, x + (nearRight ? -1 : 1) * (size + 3 * pixel()), y + 4 * pixel(), colour("ink"), nearRight ? "right" : "left");
}

function cone(u, ctx, forecast) {
  const { t, v, low, high } = forecast;
  if (!t?.length) return;
  ctx.fillStyle = colour("cone");
  ctx.beginPath();
  t.forEach((at, i) => ctx.lineTo(atX(u, at), atY(u, high[i])));
  [...t].reverse().forEach((at, i) => ctx.lineTo(atX(u, at), atY(u, low[t.length - 1 - i])));
  ctx.fill();
  ctx.strokeStyle = colour("accent");
  ctx.lineWidth = 1.5 * pixel();
  ctx.setLineDash([3 * pixel(), 3 * pixel()]);
  ctx.beginPath();
  t.forEach((at, i) => ctx.lineTo(atX(u, at), atY(u, v[i])));
  ctx.stroke();
  ctx.setLineDash([]);
}

export function drawMarks(u, spec) {
  inside(u, (ctx, bbox) => {
    for (const one of spec.alarms ?? []) alarm(u, ctx, bbox, one, spec.names_alarms);
    if (spec.forecast) cone(u, ctx, spec.forecast);
    for (const line of spec.lines ?? []) level(u, ctx, bbox, line);
    for (const one of spec.assays ?? []) assay(u, ctx, bbox, one);
  });
}
