// The page's own server and nothing else: JSON in, JSON out, errors as words that can be shown.

const BUSY = 503;
const MOST_TIMES = 5;
const PAUSE_MS = 2000;

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const token = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

async function answer(response) {
  if (response.status === 401) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    throw new ApiError(401, "signed_out", "you are signed out");
  }
  const body = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) {
    const { code = "error", message = `the server answered ${response.status}` } = body?.error ?? {};
    throw new ApiError(response.status, code, message);
  }
  return body;
}

async function ask(url, options) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "the server cannot be reached");
  }
  return answer(response);
}

export function get(path, parameters = {}, { signal } = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return patiently(() => ask(`/api/v1/${path}${text ? `?${text}` : ""}`, { signal }));
}

/** Ask again where the server says that it is still at it. */
async function patiently(attempt) {
  for (let again = 0; ; again += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (error.status !== BUSY || again === MOST_TIMES) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

export function send(method, path, body = {}) {
  return ask(`/api/v1/${path}`, {
    method,
    headers: { "content-type": "application/json", "x-csrf-token": token() },
    body: JSON.stringify(body),
  });
}

export const post = (path, body) => send("POST", path, body);

/** A name as a part of a path. */
export const part = encodeURIComponent;
