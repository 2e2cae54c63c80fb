// Times are shown in the zone of the reader or in UTC, and every page says which.

const KEY = "cellvigil-zone";
const HOUR = 3600;

let utc = false;
try {
  utc = localStorage.getItem(KEY) === "utc";
} catch {
  // storage is off: local time
}

export const isUtc = () => utc;

export function toggleZone() {
  utc = !utc;
  try {
    localStorage.setItem(KEY, utc ? "utc" : "local");
  } catch {
    // storage is off: the choice holds for this page only
  }
  document.dispatchEvent(new CustomEvent("zonechange"));
}

/** Name of the zone as people write it: UTC, UTC+1, UTC+5:30. */
export function zoneName(at = new Date()) {
  const minutes = utc ? 0 : -at.getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const hours = Math.trunc(Math.abs(minutes) / 60);
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? "−" : "+"}${hours}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
}

const asDate = (time) => (typeof time === "number" ? new Date(time * 1000) : new Date(time));

const formats = new Map();
function format(date, options) {
  const key = JSON.stringify(options) + utc;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", { ...options, hour12: false, ...(utc && { timeZone: "UTC" }) }));
  return formats.get(key).format(date).replace(",", "");
}

/** `11 Mar 12:00`, with the year where it is not this one; without the zone, which the heading of the page says. */
export function shortTime(time, now = Date.now() / 1000) {
  const date = asDate(time);
  const far = Math.abs(now - date / 1000) > 300 * 24 * HOUR;
  return format(date, { day: "numeric", month: "short", ...(far && { year: "numeric" }), hour: "2-digit", minute: "2-digit" });
}

export const clockTime = (time) => format(asDate(time), { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const dayTime = (time) => format(asDate(time), { hour: "2-digit", minute: "2-digit" });
export const day = (time) => format(asDate(time), { day: "numeric", month: "short" });

/** `11 Mar 12:00 UTC`: for a time that stands alone. */
export const fullTime = (time, now) => `${shortTime(time, now)} ${zoneName(asDate(time))}`;

/** A sentence of the record, whose times are UTC, with its times as the page shows all others. */
export const inZone = (text) => String(text ?? "").replace(/\b(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC\b/g, (_, date, clock) => fullTime(`${date}T${clock}:00Z`));

/** Value of an `<input type=datetime-local>` and back, in the zone that is shown. */
export function toInput(seconds) {
  const date = new Date(seconds * 1000);
  const shift = utc ? 0 : date.getTimezoneOffset() * 60000;
  return new Date(date - shift).toISOString().slice(0, 16);
}

export function fromInput(text) {
  const date = new Date(utc ? `${text}Z` : text);
  return Number.isNaN(date.getTime()) ? null : date.getTime() / 1000;
}
