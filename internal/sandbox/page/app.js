// Ties the page together: one view from the server, one person, one channel.
import { el } from "./mrkdwn.js";
import { avatar, renderList, visible } from "./messages.js";
import { renderCalls, renderTrouble, renderUsers } from "./tenant.js";

const $ = (id) => document.getElementById(id);
const START = "C0INCIDENT";
const EXAMPLE = "mallory@contoso.com";
const ui = { view: null, person: "alice", channel: START, seen: {} };

async function send(action, body) {
  const response = await fetch("/api/" + action, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({ error: `The sandbox answered ${response.status}.` }));
  notice(answer?.error);
  return response.ok;
}

function notice(text) {
  $("notice").textContent = text ? (text[0].toUpperCase() + text.slice(1)).replace(/[^.!?]$/, "$&.") : "";
  $("notice").hidden = !text;
}

const displayName = (person) => person.name[0].toUpperCase() + person.name.slice(1);

function roleOf(person) {
  if (person.otherOrg) return "Other organization";
  if (person.gone) return "Deactivated";
  if (person.account?.globalAdministrator) return "Global Administrator";
  if (person.guest) return "Guest";
  if (person.name === "mallory") return "Compromised user";
  return person.title === "Identity administrator" ? "Role removed" : person.title;
}

function context() {
  const names = Object.fromEntries(ui.view.people.map((p) => [p.slackID, displayName(p)]));
  for (const c of ui.view.channels) names[c.id] = c.name;
  return {
    view: ui.view, person: ui.person, names, displayName,
    press: (ts, label) => send("press", { person: ui.person, ts, label }),
  };
}

function render() {
  const { view } = ui;
  const mine = view.channels.filter((c) => c.members.includes(ui.person));
  if (!mine.some((c) => c.id === ui.channel)) ui.channel = START;
  const channel = view.channels.find((c) => c.id === ui.channel);
  const scroll = $("scroll");
  const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;

  const roots = visible(view, ui.channel, ui.person);
  ui.seen[ui.person + ui.channel] = newest(ui.channel);
  renderChannels(mine);
  renderPeople();
  $("channel-name").replaceChildren(...label(channel));
  $("channel-note").textContent = note(channel);
  document.title = `${title(channel)} · ${view.team} sandbox`;
  $("you").textContent = ui.person;
  $("composer-input").placeholder = `Message ${title(channel)}`;
  $("empty").hidden = roots.length > 0 || ui.channel !== START;
  renderList($("messages"), roots, context());
  renderUsers($("users"), view);
  renderTrouble($("trouble"), view, send);
  renderCalls($("calls"), $("calls-note"), view);
  renderSteps();
  if (!view.botReady) notice("The bot is not listening yet.");
  else if ($("notice").textContent === "The bot is not listening yet.") notice("");
  if (atEnd) scroll.scrollTop = scroll.scrollHeight;
}

const title = (c) => (c.direct ? "revoke-session" : (c.private ? "" : "#") + c.name);

const label = (c) => [c.private ? el("span", { class: "lock", role: "img", "aria-label": "private" }) : "", title(c)];

function note(c) {
  if (c.extShared) return "Shared with Fabrikam";
  if (c.direct) return "Direct messages with the app";
  if (!c.botMember) return "The app is not in this channel";
  return c.private ? "Private channel" : "Something is wrong with Mallory’s account";
}

const newest = (channel) => [...ui.view.messages, ...ui.view.ephemerals]
  .filter((m) => m.channel === channel && (!m.to || m.to === ui.person)).map((m) => m.ts).sort().at(-1) ?? "";

function renderChannels(mine) {
  keep($("channels"), mine, (c) => c.id, (c) => {
    const node = el("button", { type: "button", "data-testid": "channel-" + c.id });
    node.addEventListener("click", () => { ui.channel = c.id; notice(""); render(); toEnd(); });
    return el("li", {}, node);
  }, (item, c) => {
    const node = item.firstElementChild;
    const unread = newest(c.id) > (ui.seen[ui.person + c.id] ?? "");
    node.replaceChildren(el("span", { class: "name" }, ...label(c)), unread ? el("span", { class: "dot" }, el("span", { class: "visually-hidden" }, "new messages")) : "");
    if (c.id === ui.channel) node.setAttribute("aria-current", "true");
    else node.removeAttribute("aria-current");
  });
}

function renderPeople() {
  keep($("people"), ui.view.people.filter((p) => p.slackID), (p) => p.name, (p) => {
    const node = el("button", { type: "button", class: "person", "data-testid": "person-" + p.name });
    node.addEventListener("click", () => become(p.name));
    return node;
  }, (node, p) => {
    node.setAttribute("aria-pressed", String(p.name === ui.person));
    const role = roleOf(p);
    if (node.dataset.role === role) return;
    node.dataset.role = role;
    node.replaceChildren(avatar({ author: p.name }, p),
      el("span", { class: "person-text" }, el("b", {}, p.name), el("span", { class: "person-role" }, role)));
  });
}

// keep brings the children of parent to items without replacing what stays.
function keep(parent, items, key, make, update) {
  const old = new Map([...parent.children].map((node) => [node.dataset.item, node]));
  const wanted = items.map((item) => {
    let node = old.get(key(item));
    if (!node) {
      node = make(item);
      node.dataset.item = key(item);
    }
    update(node, item);
    return node;
  });
  if (wanted.length !== parent.children.length || wanted.some((node, i) => parent.children[i] !== node)) parent.replaceChildren(...wanted);
}

function become(name) {
  ui.person = name;
  history.replaceState(null, "", "#" + name);
  notice("");
  render();
  toEnd();
}

const toEnd = () => { $("scroll").scrollTop = $("scroll").scrollHeight; };

// The steps follow what happened, so that a visitor always knows what is next.
function renderSteps() {
  const commanded = ui.view.messages.some((m) => m.bot);
  const revoked = ui.view.people.reduce((sum, p) => sum + Math.max(p.account?.revoked ?? 0, p.account?.sharePointRevoked ?? 0), 0);
  const step = revoked > 0 ? "see" : !commanded ? "send" : ui.person === "bob" ? "confirm" : "switch";
  let done = true;
  for (const node of $("steps").children) {
    const current = node.dataset.step === step;
    if (current) done = false;
    node.className = current ? "current" : done ? "done" : "";
    if (current) node.setAttribute("aria-current", "step");
    else node.removeAttribute("aria-current");
  }
  $("tab-count").textContent = revoked;
  $("tab-count").hidden = revoked === 0;
}

$("composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("composer-input").value.trim();
  if (!text) return;
  $("send").setAttribute("aria-busy", "true");
  $("composer-input").value = "";
  const sent = await send("say", { person: ui.person, channel: ui.channel, text }).catch(() => false);
  $("send").removeAttribute("aria-busy");
  if (!sent && !$("composer-input").value) $("composer-input").value = text;
});

$("suggest").addEventListener("click", () => {
  $("composer-input").value = `${ui.view?.command ?? "/revoke-session"} ${EXAMPLE}`;
  $("composer-input").focus();
});

for (const tab of ["channel", "tenant"]) {
  $("tab-" + tab).addEventListener("click", () => {
    document.body.classList.toggle("show-tenant", tab === "tenant");
    $("tab-channel").setAttribute("aria-pressed", String(tab === "channel"));
    $("tab-tenant").setAttribute("aria-pressed", String(tab === "tenant"));
  });
}

function fromHash() {
  const name = location.hash.slice(1);
  if (ui.view?.people.some((p) => p.name === name && p.slackID) && name !== ui.person) become(name);
}
addEventListener("hashchange", fromHash);

$("composer-input").value = `/revoke-session ${EXAMPLE}`;
const events = new EventSource("/api/events");
events.onmessage = (event) => {
  const first = !ui.view;
  ui.view = JSON.parse(event.data);
  if (first) fromHash();
  render();
};
events.onerror = () => notice("The connection to the sandbox is lost. It comes back by itself once the sandbox runs again.");
events.onopen = () => notice("");
