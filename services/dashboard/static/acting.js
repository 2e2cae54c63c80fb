// What an operator does to an alarm: one tap acknowledges; shelving and taking out of service ask for more.
import { part, post } from "./api.js";
import { h, put } from "./dom.js";
import { plain } from "./words.js";

const MOST_WORDS = "1000";
const HOURS = [1, 2, 4, 8, 12, 24, 48];

export const mayAct = () => ["operator", "admin"].includes(document.body.dataset.role);

export const act = (alarm, action, body) => post(`alarms/${part(alarm.flask)}/${part(alarm.channel)}/${action}`, body);

/** Buttons for an alarm; `done` is called with what the server answered. */
export function actions(alarm, done) {
  if (!mayAct()) return null;
  const outcome = h("p", { class: "outcome", role: "status" });
  const comment = h("input", { class: "comment", maxlength: MOST_WORDS, placeholder: "comment (may be empty)", "aria-label": `Comment for ${alarm.flask} ${alarm.channel}` });
  const box = h("form", { class: "actions" });
  const attempt = async (action, body) => {
    const buttons = [...box.querySelectorAll("button")];
    for (const one of buttons) one.disabled = true;
    put(outcome, "sending…");
    try {
      const answer = await act(alarm, action, body);
      put(outcome, answer.note);
      done?.(answer, action);
    } catch (error) {
      put(outcome, `Not done: ${error.message}`);
      outcome.classList.add("bad");
    }
    for (const one of buttons) one.disabled = false;
  };
  box.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt("acknowledge", { comment: comment.value });
  });
  const fields = buttonsFor(alarm, comment, attempt);
  put(box, fields, outcome);
  return fields.length ? box : null;
}

function buttonsFor(alarm, comment, attempt) {
  const can = new Set(alarm.can);
  if (alarm.waiting.some((words) => words.startsWith("acknowledge"))) can.delete("acknowledge");
  const shown = [];
  if (can.has("acknowledge")) shown.push(comment, h("button", { class: "primary", type: "submit" }, "Acknowledge"));
  if (can.has("unshelve")) shown.push(button("Bring back", () => attempt("unshelve", { comment: comment.value })));
  if (can.has("in_service")) shown.push(button("Put in service", () => attempt("in-service", { comment: comment.value })));
  if (can.has("shelve")) shown.push(button("Shelve…", () => shelve(alarm, attempt)));
  if (can.has("out_of_service")) shown.push(button("Out of service…", () => takeOut(alarm, attempt)));
  return shown;
}

const button = (text, onclick) => h("button", { type: "button", onclick }, text);

function ask(heading, parts, word, send) {
  const cancel = button("Cancel", () => dialog.close());
  const form = h("form", { method: "dialog" }, h("h2", { id: "ask" }, heading), parts, h("div", { class: "buttons" }, h("button", { class: "primary" }, word), cancel));
  const dialog = h("dialog", { "aria-labelledby": "ask" }, form);
  form.addEventListener("submit", send);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function shelve(alarm, attempt) {
  const hours = h("select", { name: "hours" }, HOURS.map((n) => h("option", { value: n, selected: n === 4 }, `${n} h`)));
  const why = h("textarea", { name: "why", rows: "2", maxlength: MOST_WORDS, required: true });
  const parts = [
    h("p", {}, `${alarm.flask}, ${plain(alarm.channel)}: nobody is told while it is shelved. It comes back by itself, and then says what happened meanwhile.`),
    h("label", {}, "For", hours),
    h("label", {}, "Reason", why),
  ];
  ask("Shelve this alarm", parts, "Shelve", () => attempt("shelve", { comment: why.value, hours: Number(hours.value) }));
}

function takeOut(alarm, attempt) {
  const why = h("textarea", { name: "why", rows: "2", maxlength: MOST_WORDS, required: true });
  const parts = [
    h("p", {}, `${alarm.flask}, ${plain(alarm.channel)}: no alarm of this channel is raised until somebody puts it in service again.`),
    h("label", {}, "Reason", why),
  ];
  ask("Take out of service", parts, "Take out", () => attempt("out-of-service", { comment: why.value }));
}
