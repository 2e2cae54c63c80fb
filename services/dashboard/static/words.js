// Numbers and states as people read them.

export const DASH = "–";
const MINUTE = 60;
const HOUR = 3600;
const DAY = 24 * HOUR;

export const whole = (value) => (value === null || value === undefined ? DASH : Math.round(value).toLocaleString("en-GB"));

export function number(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return DASH;
  if (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3)) return value.toExponential(2);
  return Number(value.toPrecision(digits)).toLocaleString("en-GB", { maximumFractionDigits: 6 });
}

export const percent = (fraction) => (fraction === null || fraction === undefined ? DASH : `${Math.round(100 * fraction)} %`);

export function signed(value) {
  if (value === null || value === undefined) return DASH;
  const points = Math.round(value);
  return `${points < 0 ? "−" : points > 0 ? "+" : "±"}${Math.abs(points)}`;
}

/** How long: `40 s`, `12 min`, `3 h 20 min`, `2 d 5 h`. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return DASH;
  const s = Math.max(0, Math.round(seconds));
  if (s < MINUTE) return `${s} s`;
  if (s < HOUR) return `${Math.floor(s / MINUTE)} min`;
  if (s < DAY) {
    const minutes = Math.floor((s % HOUR) / MINUTE);
    return `${Math.floor(s / HOUR)} h${minutes ? ` ${minutes} min` : ""}`;
  }
  const hours = Math.floor((s % DAY) / HOUR);
  return `${Math.floor(s / DAY)} d${hours ? ` ${hours} h` : ""}`;
}

const STATES = { ok: "ok", alarm: "alarm", stale: "stale", no_data: "no data" };
export const stateWord = (state) => STATES[state] ?? plain(state);

const STATUSES = {
  normal: "ok",
  unacknowledged: "not acknowledged",
  acknowledged: "acknowledged",
  returned_unacknowledged: "over, not acknowledged",
  latched: "over, stands until acknowledged",
  shelved: "shelved",
  suppressed: "cannot be judged now",
  out_of_service: "out of service",
  no_data: "no data",
};
export const statusWord = (status) => STATUSES[status] ?? plain(status);

/** Alarms that somebody should acknowledge. */
export const isUnseen = (status) => ["unacknowledged", "returned_unacknowledged", "latched"].includes(status);

const SHORT = { segmentation: "segm.", morphology: "morph." };
export const shortChannel = (channel) => SHORT[channel] ?? channel;

/** Whether potency is watched now: what stands while frames cannot be relied on is of before, and no trend. */
export const isJudged = ({ channels }) => channels.potency !== "suppressed";

export const plain = (word) => String(word ?? "").replaceAll("_", " ");

export function potencyWords({ potency, low, high }) {
  if (potency === null || potency === undefined) return "potency not assessable";
  return `potency ${whole(potency)} %, likely ${whole(low)} to ${whole(high)}`;
}

/** Units as they are printed: um and um2 are how programs write them. */
export const unit = (text) => String(text ?? "").replace(/\bum2\b/g, "µm²").replace(/\bum\b/g, "µm").replace(/^1$/, "");
