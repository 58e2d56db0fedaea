// Renders Slack's mrkdwn into DOM nodes. Data becomes text nodes and nothing
// else: no markup is ever built from it.

const EMOJI = {
  white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", warning: "⚠️", lock: "🔒", unlock: "🔓", closed_lock_with_key: "🔐",
  key: "🔑", hourglass: "⌛", hourglass_flowing_sand: "⏳", eyes: "👀", rotating_light: "🚨", no_entry: "⛔", no_entry_sign: "🚫",
  information_source: "ℹ️", shield: "🛡️", busts_in_silhouette: "👥", bust_in_silhouette: "👤", clock1: "🕐", wave: "👋",
  red_circle: "🔴", large_green_circle: "🟢", large_yellow_circle: "🟡", mag: "🔍", test_tube: "🧪", robot_face: "🤖",
};

export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") node.className = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const unescape = (s) => s.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");

export function emoji(s) {
  return s.replace(/:([a-z0-9_+-]+):/g, (all, name) => EMOJI[name] ?? all);
}

// plain is a plain_text object as text.
export const plain = (object) => (object?.emoji === false ? object.text : emoji(object?.text ?? ""));

// mrkdwn returns the nodes of a text. names maps Slack ids to shown names.
export function mrkdwn(text, names) {
  const out = document.createDocumentFragment();
  for (const [i, part] of text.split("```").entries()) {
    if (i % 2 === 1) out.append(el("pre", {}, el("code", {}, unescape(part.replace(/^\n|\n$/g, "")))));
    else lines(part, names, out);
  }
  return out;
}

function lines(text, names, out) {
  let quote = null;
  for (const [i, raw] of text.split("\n").entries()) {
    const quoted = raw.match(/^(?:&gt;|>)\s?(.*)$/);
    if (quoted) {
      quote ??= out.appendChild(el("blockquote"));
      quote.append(el("span", { class: "line" }, ...inline(quoted[1], names)));
      continue;
    }
    if (i > 0 && !quote) out.append(el("br"));
    quote = null;
    out.append(...inline(raw, names));
  }
}

const TOKEN = /(`[^`\n]+`)|(<[^<>\n]+>)|(?<![\w*])\*(?!\s)([^*\n]+?)(?<!\s)\*(?![\w*])|(?<![\w_])_(?!\s)([^_\n]+?)(?<!\s)_(?![\w_])|(?<![\w~])~(?!\s)([^~\n]+?)(?<!\s)~(?![\w~])/;

function inline(text, names) {
  const out = [];
  for (let rest = text; rest !== ""; ) {
    const found = TOKEN.exec(rest);
    if (!found) {
      out.push(emoji(unescape(rest)));
      break;
    }
    if (found.index > 0) out.push(emoji(unescape(rest.slice(0, found.index))));
    const [all, code, ref, bold, italic, struck] = found;
    if (code) out.push(el("code", {}, unescape(code.slice(1, -1))));
    else if (ref) out.push(reference(ref.slice(1, -1), names));
    else if (bold) out.push(el("strong", {}, ...inline(bold, names)));
    else if (italic) out.push(el("em", {}, ...inline(italic, names)));
    else out.push(el("s", {}, ...inline(struck, names)));
    rest = rest.slice(found.index + all.length);
  }
  return out;
}

function reference(ref, names) {
  const bar = ref.indexOf("|");
  const target = bar < 0 ? ref : ref.slice(0, bar);
  const label = bar < 0 ? "" : unescape(ref.slice(bar + 1));
  if (target.startsWith("@")) return el("span", { class: "mention" }, "@" + (names[target.slice(1)] ?? (label || target.slice(1))));
  if (target.startsWith("#")) return el("span", { class: "mention" }, "#" + (names[target.slice(1)] ?? (label || target.slice(1))));
  if (target.startsWith("!date^")) return date(target, label);
  if (target.startsWith("!")) return el("span", { class: "mention broadcast" }, label || "@" + target.slice(1).split("^")[0]);
  const url = unescape(target);
  if (/^(https?:|mailto:)/i.test(url)) {
    return el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label || url.replace(/^mailto:/, ""));
  }
  return label || url;
}

const FORMATS = {
  date_num: { year: "numeric", month: "2-digit", day: "2-digit" },
  date: { year: "numeric", month: "long", day: "numeric" },
  date_short: { year: "numeric", month: "short", day: "numeric" },
  date_long: { weekday: "long", year: "numeric", month: "long", day: "numeric" },
  time: { hour: "2-digit", minute: "2-digit" },
  time_secs: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
};

function date(target, fallback) {
  const [, seconds, format] = target.split("^");
  const when = new Date(Number(seconds) * 1000);
  if (!format || Number.isNaN(when.getTime())) return fallback || target;
  const today = when.toDateString() === new Date().toDateString();
  const shown = unescape(format).replace(/\{(\w+)\}/g, (all, name) => {
    const pretty = name.endsWith("_pretty");
    if (pretty && today) return "today";
    const options = FORMATS[pretty ? name.slice(0, -7) : name];
    return options ? when.toLocaleString("en-GB", options) : all;
  });
  return el("time", { datetime: when.toISOString(), title: fallback || when.toISOString() }, shown);
}

export function clock(ts) {
  return new Date(Number(ts) * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
