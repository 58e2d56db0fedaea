// The panel beside the channel: who is who in the tenant, what was asked of the
// services, and a few ways to make them fail.
import { el } from "./mrkdwn.js";

const TROUBLE = [
  { name: "Graph answers 503", fault: { system: "graph", status: 503, retryAfterMS: 2000 } },
  { name: "Graph loses the answer", fault: { system: "graph", match: "/revokeSignInSessions", drop: true } },
  { name: "SharePoint answers 429", fault: { system: "sharepoint", status: 429, retryAfterMS: 2000 } },
  { name: "Slack is slow (2 s)", fault: { system: "slack", delayMS: 2000 } },
];

export function renderUsers(list, view) {
  const people = view.people.filter((p) => p.account);
  list.replaceChildren(...people.map((p) => {
    const a = p.account;
    const tags = [];
    if (a.globalAdministrator) tags.push(el("span", { class: "tag role" }, "Global Administrator"));
    if (a.guest) tags.push(el("span", { class: "tag" }, "Guest"));
    if (!a.enabled) tags.push(el("span", { class: "tag off" }, "Sign-in blocked"));
    const elsewhere = a.sharePointRevoked > 0
      ? el("p", { class: "elsewhere" }, el("b", { "data-testid": "sharepoint-revoked-" + p.name }, String(a.sharePointRevoked)), " revoked by SharePoint") : null;
    return el("li", { class: a.revoked + a.sharePointRevoked > 0 ? "user was-revoked" : "user" },
      el("div", { class: "pair" },
        el("p", { class: "upn", title: a.upn }, a.upn),
        el("p", { class: "revoked" }, el("b", { "data-testid": "revoked-" + p.name }, String(a.revoked)), " revoked")),
      el("div", { class: "pair" },
        el("p", { class: "tags" }, ...(tags.length ? tags : [el("span", { class: "muted" }, "No role")])),
        el("p", { class: "reset" }, "last reset " + when(a.validFrom))),
      elsewhere);
  }));
}

// when is the time of day for what happened today, and the date otherwise.
function when(iso) {
  const moment = new Date(iso);
  const today = moment.toDateString() === new Date().toDateString();
  return today ? time(iso) : moment.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

const time = (iso) => new Date(iso).toLocaleTimeString("en-GB");

export function renderCalls(list, note, view) {
  note.textContent = view.calls.length ? String(view.calls.at(-1).index + 1) : "none yet";
  const shown = new Map([...list.children].map((node) => [node.dataset.index, node]));
  const nodes = view.calls.toReversed().map((call) => {
    const signature = JSON.stringify(call);
    const old = shown.get(String(call.index));
    if (old?.dataset.signature === signature) return old;
    const node = callNode(call);
    node.dataset.index = call.index;
    node.dataset.signature = signature;
    return node;
  });
  list.replaceChildren(...nodes);
}

function callNode(call) {
  const bad = call.status >= 400 || call.error;
  const status = call.status === 0 ? "no answer" : call.error ? `${call.status} ${call.error}` : String(call.status);
  return el("li", { class: "call" },
    el("time", { datetime: call.time }, time(call.time)),
    el("span", { class: "system " + call.system.toLowerCase() }, call.system),
    el("span", { class: "status " + (call.status === 0 ? "open" : bad ? "bad" : "good") }, status),
    el("span", { class: "path" }, el("b", {}, call.method), " ", call.path),
    call.fault ? el("span", { class: "fault" }, "trouble: " + call.fault) : null);
}

// renderTrouble keeps its buttons, so that focus stays where it is.
export function renderTrouble(box, view, send) {
  if (!box.childElementCount) {
    for (const t of TROUBLE) {
      box.append(toggle(t.name, (on) => send("fault", { name: t.name, on, ...(on ? t.fault : {}) })));
    }
    for (const name of ["alice", "bob"]) {
      box.append(toggle(`Take the role from ${name}`, (on) => send("role", { person: name, globalAdministrator: !on })));
    }
    const reset = el("button", { type: "button", class: "link", "data-testid": "trouble-reset" }, "Reset all");
    reset.addEventListener("click", async () => {
      await send("faults/clear", {});
      for (const person of ["alice", "bob"]) await send("role", { person, globalAdministrator: true });
    });
    box.append(reset);
  }
  for (const node of box.querySelectorAll("[aria-pressed]")) {
    const name = node.dataset.name;
    const person = name.match(/^Take the role from (\w+)$/)?.[1];
    const on = person ? !view.people.find((p) => p.name === person).account.globalAdministrator : view.faults.includes(name);
    node.setAttribute("aria-pressed", String(on));
  }
}

function toggle(name, change) {
  const node = el("button", { type: "button", class: "toggle", "aria-pressed": "false", "data-name": name }, name);
  node.addEventListener("click", () => change(node.getAttribute("aria-pressed") !== "true"));
  return node;
}
