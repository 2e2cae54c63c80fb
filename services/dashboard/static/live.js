// One WebSocket per tab. When it breaks it comes back by itself, and the page says meanwhile that it is not live.

const QUIET_MS = 40_000; // the server says something at least every 15 s
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;

const listeners = new Map();
let socket = null;
let retryMs = FIRST_RETRY_MS;
let watchdog = 0;
let wasOpen = false;

/** Hear messages of a type; `open`, `again` (after a break) and `closed` tell of the connection itself. */
export function on(type, listener) {
  if (!listeners.has(type)) listeners.set(type, new Set());
  listeners.get(type).add(listener);
}

function tell(type, message) {
  for (const listener of listeners.get(type) ?? []) listener(message);
}

function heard() {
  clearTimeout(watchdog);
  watchdog = setTimeout(() => socket?.close(), QUIET_MS);
}

function lost() {
  clearTimeout(watchdog);
  socket = null;
  tell("closed", {});
  setTimeout(connect, retryMs * (0.75 + Math.random() / 2)); // many tabs do not all come back at once
  retryMs = Math.min(LAST_RETRY_MS, 2 * retryMs);
}

export function connect() {
  if (socket) return;
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.addEventListener("open", () => {
    retryMs = FIRST_RETRY_MS;
    heard();
    tell("open", {});
    if (wasOpen) tell("again", {});
    wasOpen = true;
  });
  socket.addEventListener("message", (event) => {
    heard();
    const message = JSON.parse(event.data);
    tell(message.type, message);
  });
  socket.addEventListener("close", lost);
}
