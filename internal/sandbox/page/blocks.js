// Renders Block Kit. onPress(button, element) is called when somebody means a
// press: after the confirm dialog, if the button has one.
import { el, mrkdwn, plain } from "./mrkdwn.js";

export function blocks(list, names, onPress) {
  return el("div", { class: "blocks" }, ...list.map((block) => render(block, names, onPress)));
}

export function text(object, names) {
  if (object?.type === "mrkdwn") return mrkdwn(object.text, names);
  const out = document.createDocumentFragment();
  for (const [i, line] of plain(object).split("\n").entries()) {
    if (i > 0) out.append(el("br"));
    out.append(line);
  }
  return out;
}

function render(block, names, onPress) {
  switch (block.type) {
    case "header":
      return el("h3", { class: "block-header" }, text(block.text, names));
    case "section":
      return section(block, names, onPress);
    case "context":
      return el("div", { class: "block-context" }, ...block.elements.map((e) =>
        e.type === "image" ? el("span", { class: "image-alt" }, e.alt_text) : el("span", {}, text(e, names))));
    case "divider":
      return el("hr");
    case "actions":
      return el("div", { class: "block-actions" }, ...block.elements.map((b) => button(b, names, onPress)));
    case "markdown":
      return el("div", { class: "block-section" }, mrkdwn(block.text, names));
    case "image":
      return el("p", { class: "image-alt" }, block.alt_text);
    default:
      return el("p", { class: "muted" }, `(${block.type})`);
  }
}

function section(block, names, onPress) {
  const out = el("div", { class: "block-section" });
  if (block.text) out.append(el("p", {}, text(block.text, names)));
  if (block.fields) {
    out.append(el("div", { class: "fields" }, ...block.fields.map((f) => el("div", { class: "field" }, text(f, names)))));
  }
  if (block.accessory?.type === "button") out.append(button(block.accessory, names, onPress));
  return out;
}

function button(element, names, onPress) {
  const label = plain(element.text);
  const link = element.url; // opened by the browser, and delivered as a press, too
  const node = el(link ? "a" : "button", {
    ...(link ? { href: link, target: "_blank", rel: "noopener noreferrer" } : { type: "button" }),
    class: "button " + (element.style ?? ""),
    "data-testid": "button-" + label.trim().split(/\s+/)[0],
    "data-key": element.action_id,
    "aria-label": element.accessibility_label,
  }, label);
  node.addEventListener("click", async (event) => {
    if (node.getAttribute("aria-busy") === "true") return;
    if (element.confirm) {
      event.preventDefault();
      if (!(await ask(element.confirm, names))) return;
      if (link) window.open(link, "_blank", "noopener,noreferrer");
    }
    node.setAttribute("aria-busy", "true");
    try {
      await onPress(label);
    } finally {
      node.removeAttribute("aria-busy");
    }
  });
  return node;
}

// ask shows the dialog that the message brought along and resolves to true for
// its confirm button.
function ask(confirm, names) {
  const dialog = document.getElementById("dialog");
  const yes = document.getElementById("dialog-yes");
  const no = document.getElementById("dialog-no");
  document.getElementById("dialog-title").textContent = plain(confirm.title);
  document.getElementById("dialog-text").replaceChildren(text(confirm.text, names));
  yes.textContent = plain(confirm.confirm);
  yes.className = "button " + (confirm.style ?? "primary");
  no.textContent = plain(confirm.deny);
  return new Promise((resolve) => {
    yes.onclick = () => dialog.close("yes");
    no.onclick = () => dialog.close("no");
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
    dialog.returnValue = "";
    dialog.showModal();
    no.focus();
  });
}
