"use strict";
/* Elements, numbers and units. Strings become text here, never markup: names in a store may be anybody's. */

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

/** An HTML element with attributes (`onclick` and the like are listeners) and children, nodes or text. */
function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** A list of [name, value] pairs; those without a value are left out. */
function pairs(rows) {
  const known = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el(
    "dl",
    { class: "pairs" },
    known.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

/* The first factor that a number reaches gives its unit. */
const UNITS = {
  bytes: [
    [1e9, "GB"],
    [1e6, "MB"],
    [1e3, "kB"],
    [1, "B"],
  ],
  instructions: [
    [1e12, "T instructions"],
    [1e9, "G instructions"],
    [1e6, "M instructions"],
    [1e3, "k instructions"],
    [1, "instructions"],
  ],
  ms: [
    [1e3, "s"],
    [1, "ms"],
    [1e-3, "µs"],
  ],
  fraction: [[1e-2, "%"]],
};

/** The factor and the name of the unit that suits numbers of about this size. */
function unitFor(unit, size) {
  const known = UNITS[unit];
  if (!known) return { factor: 1, name: unit };
  const [factor, name] = known.find(([least]) => Math.abs(size) >= least) || known[known.length - 1];
  return { factor, name };
}

/** A number to `digits` significant digits, without an exponent where that is readable. */
function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (value === "inf" || !Number.isFinite(value)) return "∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1);
  const decimals = size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return value.toLocaleString("en", { maximumFractionDigits: decimals, minimumFractionDigits: Math.min(decimals, 3) });
}

/** A number with its unit. */
function amount(value, unit, digits = 4) {
  if (value === null || value === undefined) return "–";
  const { factor, name } = unitFor(unit, value);
  return name ? `${number(value / factor, digits)} ${name}` : number(value, digits);
}

/** The same without zeros at its end, for labels. */
function brief(value, unit) {
  return amount(value, unit, 3)
    .replace(/(\.\d*?)0+(?=\s|$)/, "$1")
    .replace(/\.(?=\s|$)/, "");
}

/** A moment, given in seconds, as local date and time. */
function moment(seconds) {
  const date = new Date(seconds * 1000);
  const two = (part) => String(part).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** A labelled choice; `changed` hears of the chosen one's place. */
function choice(label, options, changed, chosen = 0) {
  const select = el(
    "select",
    { onchange: () => changed(Number(select.value)) },
    options.map((text, place) => el("option", { value: place, selected: place === chosen }, text)),
  );
  return el("label", {}, label, select);
}
