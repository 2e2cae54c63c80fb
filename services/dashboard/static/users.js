// Who may sign in, and tokens for scripts; for admins.
import { get, part, post } from "./api.js";
import { byId, h, put, say, table } from "./dom.js";
import { fullTime, shortTime, zoneName } from "./zone.js";

const ROLES = ["viewer", "operator", "admin"];
const outcome = byId("outcome");

/** Do something, say what came of it, and show everybody anew. */
async function attempt(work) {
  try {
    say(outcome, (await work()).note);
    await load();
    return true;
  } catch (error) {
    say(outcome, `Not done: ${error.message}`);
    await load().catch(() => {}); // what was chosen and refused is not shown as if it held
    return false;
  }
}

function role(user) {
  const select = h("select", { "aria-label": `Role of ${user.name}` }, ROLES.map((name) => h("option", { value: name, selected: name === user.role }, name)));
  select.addEventListener("change", () => attempt(() => post(`users/${part(user.name)}/change`, { role: select.value })));
  return select;
}

function tokens(user) {
  const item = (token) =>
    h("li", {}, h("bdi", {}, token.name), h("span", { class: "muted small" }, ` made ${shortTime(token.created_at)}, ${token.last_used_at ? `used ${shortTime(token.last_used_at)}` : "never used"} `), confirmed("Remove", `Remove the token ${token.name} of ${user.name}`, () => post("tokens/remove", { user: user.name, name: token.name })));
  return user.tokens.length ? h("ul", { class: "stack" }, user.tokens.map(item)) : h("span", { class: "muted" }, "none");
}

/** A button that asks once more before it does what cannot be undone. */
function confirmed(word, label, work) {
  const button = h("button", { type: "button", "aria-label": label }, word);
  button.addEventListener("click", () => {
    if (button.dataset.sure) return attempt(work);
    button.dataset.sure = "yes";
    say(button, `${word}: sure?`);
    setTimeout(() => {
      delete button.dataset.sure;
      say(button, word);
    }, 4000);
  });
  return button;
}

async function load() {
  const { items } = await get("users");
  const rows = items.map((user) => [h("bdi", {}, user.name), role(user), user.last_seen_at ? fullTime(user.last_seen_at) : "never", tokens(user), confirmed("Remove", `Remove ${user.name}`, () => post(`users/${part(user.name)}/remove`))]);
  put(byId("users"), table(["name", "role", `last seen (${zoneName()})`, "tokens", { hidden: "action" }], rows, { empty: "Nobody yet: without users, whoever is on this machine may do everything, and nobody else may look.", caption: "Users" }));
  byId("users").setAttribute("aria-busy", "false");
  put(byId("token-user"), items.map((user) => h("option", {}, user.name)));
}

byId("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const { name, role: chosen, password } = form.elements;
  if (await attempt(() => post("users", { name: name.value, role: chosen.value, password: password.value }))) form.reset();
});

byId("token").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { user, name } = event.target.elements;
  try {
    const made = await post("tokens", { user: user.value, name: name.value });
    put(byId("new-token"), h("p", {}, `The token ${made.name} of ${made.user}; it is not shown again:`), h("code", { class: "secret" }, made.token));
    event.target.reset();
    await load();
  } catch (error) {
    put(byId("new-token"), h("p", {}, `Not done: ${error.message}`));
  }
});

load().catch((error) => say(outcome, error.message));
document.addEventListener("zonechange", () => load().catch((error) => say(outcome, error.message)));
