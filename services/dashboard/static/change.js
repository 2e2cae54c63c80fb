// How far the rolling potency has come since a day ago: steadier than a slope, and what people ask.
import { trendIcon } from "./icons.js";
import { signed } from "./words.js";

const DAY_S = 86_400;
const HOUR_S = 3600;

/** An arrow and words, from the points of a flask's small curve. */
export function change({ t, potency }) {
  const known = t.map((at, i) => [at, potency[i]]).filter(([, value]) => value !== null);
  if (known.length < 2) return ["no trend yet"];
  const [end, last] = known.at(-1);
  const off = ([at]) => Math.abs(end - DAY_S - at);
  const [start, first] = known.reduce((best, one) => (off(one) < off(best) ? one : best));
  return [trendIcon(last - first), `${signed(last - first)} in ${Math.max(1, Math.round((end - start) / HOUR_S))} h`];
}
