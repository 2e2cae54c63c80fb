// Which part of a flask's time is shown; a range that reaches to now follows the newest frame.

const HOUR = 3600;
const DAY = 24 * HOUR;
const LEAST = 15 * 60;
const ROOM = 0.015;
const FORECAST_ROOM = 0.35;

const LENGTHS = { "24 h": DAY, "3 d": 3 * DAY, "7 d": 7 * DAY, all: null };
export const PRESETS = Object.keys(LENGTHS);

export class TimeRange {
  constructor() {
    this.first = null;
    this.last = null;
    this.from = null;
    this.to = null;
    this.length = null;
    this.newest("3 d", LENGTHS["3 d"]);
  }

  /** Whether new frames belong into what is shown. */
  get follows() {
    return this.preset !== null;
  }

  extent(first, last) {
    this.first = first;
    this.last = last;
  }

  full() {
    return this.last > this.first ? [this.first, this.last] : [this.first - HOUR, this.first + HOUR];
  }

  all() {
    this.preset = "all";
    this.length = null;
  }

  newest(name, length) {
    this.preset = name;
    this.length = length;
  }

  set(from, to) {
    this.preset = null;
    const middle = (from + to) / 2;
    const half = Math.max(to - from, LEAST) / 2;
    this.from = middle - half;
    this.to = middle + half;
  }

  window() {
    if (this.preset === "all") return this.full();
    if (this.preset) return this.last - this.length > this.first ? [this.last - this.length, this.last] : this.full();
    return [this.from, this.to];
  }

  move(share) {
    if (this.first === null) return;
    const [from, to] = this.window();
    const step = share * (to - from);
    this.set(from + step, to + step);
  }

  zoom(factor) {
    if (this.first === null) return;
    const [from, to] = this.window();
    const [middle, half] = [(from + to) / 2, ((to - from) / 2) * factor];
    if (2 * half >= this.last - this.first) this.all();
    else this.set(middle - half, middle + half);
  }

  /** What the server is asked for; nothing asks for everything. */
  asked() {
    if (this.preset === "all" || (this.preset && this.last === null)) return {};
    const [from, to] = this.window();
    return this.preset ? { from: Math.floor(from) } : { from: Math.floor(from), to: Math.ceil(to) };
  }

  /** The time axis: a forecast that lies ahead gets room where the newest frame is shown. */
  shown(answer) {
    const [from, to] = this.window();
    if (!this.follows) return [from, to];
    const ahead = answer.forecast?.potency;
    const room = ROOM * (to - from);
    return [from, ahead ? Math.min(Math.max(to + room, ahead.high_t), to + FORECAST_ROOM * (to - from)) : to + room];
  }
}

export function preset(range, name) {
  if (LENGTHS[name] === null) range.all();
  else range.newest(name, LENGTHS[name]);
}
