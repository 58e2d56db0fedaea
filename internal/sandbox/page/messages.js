// The message list: what one person sees of one channel. Nodes are kept as long
// as their message is unchanged, so that focus, hover and screen readers are not
// disturbed by what happens elsewhere.
import { blocks } from "./blocks.js";
import { clock, el, mrkdwn } from "./mrkdwn.js";

export const compareTS = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

// visible is the messages and private answers of a channel for one person, as a
// list of roots with their replies.
export function visible(view, channel, person) {
  const all = view.messages.filter((m) => m.channel === channel)
    .concat(view.ephemerals.filter((e) => e.channel === channel && e.to === person).map((e) => ({ ...e, ephemeral: true })))
    .sort((a, b) => compareTS(a.ts, b.ts));
  const roots = new Map();
  for (const m of all) if (!m.threadTS) roots.set(m.ts, { message: m, replies: [] });
  for (const m of all) {
    if (!m.threadTS) continue;
    if (!roots.has(m.threadTS)) {
      roots.set(m.threadTS, { message: { ts: m.threadTS, deleted: true, text: "This message was deleted.", author: "" }, replies: [] });
    }
    roots.get(m.threadTS).replies.push(m);
  }
  return [...roots.values()].sort((a, b) => compareTS(a.message.ts, b.message.ts));
}

export function renderList(list, roots, context) {
  const wanted = roots.map((root) => ({ key: root.message.ts, make: () => renderRoot(root, context), update: (node) => updateRoot(node, root, context) }));
  reconcile(list, wanted);
}

function reconcile(parent, wanted) {
  const old = new Map([...parent.children].map((node) => [node.dataset.ts, node]));
  let position = parent.firstElementChild;
  for (const item of wanted) {
    let node = old.get(item.key);
    old.delete(item.key);
    if (node) item.update(node);
    else node = item.make();
    if (node === position) position = position.nextElementSibling;
    else parent.insertBefore(node, position);
  }
  for (const node of old.values()) node.remove();
}

function renderRoot(root, context) {
  const item = el("li", { "data-ts": root.message.ts });
  const replies = el("ol", { class: "replies", "aria-label": "Replies" });
  item.append(body(root.message, context, false), el("p", { class: "reply-count" }), replies);
  item.dataset.signature = signature(root.message, context);
  updateReplies(item, root, context);
  return item;
}

function updateRoot(item, root, context) {
  const now = signature(root.message, context);
  if (item.dataset.signature !== now) {
    replaceKeepingFocus(item.firstElementChild, body(root.message, context, false));
    item.dataset.signature = now;
  }
  updateReplies(item, root, context);
}

function updateReplies(item, root, context) {
  const [, count, list] = item.children;
  count.textContent = root.replies.length === 1 ? "1 reply" : `${root.replies.length} replies`;
  count.hidden = list.hidden = root.replies.length === 0;
  reconcile(list, root.replies.map((m) => ({
    key: m.ts,
    make: () => {
      const node = el("li", { "data-ts": m.ts }, body(m, context, true));
      node.dataset.signature = signature(m, context);
      return node;
    },
    update: (node) => {
      const now = signature(m, context);
      if (node.dataset.signature === now) return;
      replaceKeepingFocus(node.firstElementChild, body(m, context, true));
      node.dataset.signature = now;
    },
  })));
}

const signature = (m, context) => JSON.stringify([m.text, m.blocks, m.edited, m.deleted, m.ephemeral, context.person]);

function replaceKeepingFocus(node, fresh) {
  const key = node.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  node.replaceWith(fresh);
  if (key) fresh.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

function body(m, context, isReply) {
  const kind = m.ephemeral ? "ephemeral" : isReply ? "reply" : "message";
  const article = el("article", { class: "message" + (m.ephemeral ? " ephemeral" : "") + (m.deleted ? " deleted" : ""), "data-testid": kind });
  const author = context.view.people.find((p) => p.name === m.author);
  const content = el("div", { class: "content" });
  if (m.ephemeral) content.append(el("p", { class: "only-you" }, "Only visible to you"));
  if (!m.deleted) {
    content.append(el("p", { class: "byline" },
      el("span", { class: "author" }, author ? context.displayName(author) : m.author),
      m.bot ? el("span", { class: "app" }, "APP") : null,
      author?.otherOrg ? el("span", { class: "app" }, "FABRIKAM") : null,
      el("time", { datetime: new Date(Number(m.ts) * 1000).toISOString() }, clock(m.ts))));
  }
  const onPress = (label) => context.press(m.ts, label);
  if (m.blocks?.length) content.append(blocks(m.blocks, context.names, onPress));
  else content.append(el("div", { class: "text" }, mrkdwn(m.text, context.names), m.edited ? el("span", { class: "muted edited" }, " (edited)") : ""));
  article.append(avatar(m, author), content);
  return article;
}

export function avatar(m, person) {
  if (m.bot) return el("span", { class: "avatar bot", "aria-hidden": "true" });
  const node = el("span", { class: "avatar", "aria-hidden": "true" }, (m.author ?? "")[0]?.toUpperCase() ?? "");
  if (person) node.style.setProperty("--tint", "#" + person.color);
  return node;
}
