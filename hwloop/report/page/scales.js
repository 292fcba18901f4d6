"use strict";
/* Scales: numbers to places between 0 and 1, and the ticks of an axis. */

const MINUTE = 60,
  HOUR = 3600,
  DAY = 86400;
const TIME_STEPS = [
  MINUTE,
  5 * MINUTE,
  15 * MINUTE,
  HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
  14 * DAY,
  30 * DAY,
  90 * DAY,
  180 * DAY,
  365 * DAY,
];

// The factors of a power of ten that get a tick on a logarithmic axis: as many as there is room for.
const LOG_FACTORS = [[1, 2, 3, 4, 5, 6, 8], [1, 2, 3, 5], [1, 2, 5], [1, 3], [1]];

function niceStep(span, count) {
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
}

function linearScale(low, high, count) {
  const pad = (high - low || Math.abs(high) || 1) * 0.06;
  const from = low >= 0 && low - pad < 0 ? 0 : low - pad;
  const to = high + pad;
  const step = niceStep(to - from, count);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = [];
  for (let tick = Math.ceil(from / step) * step; tick <= to + step * 1e-6; tick += step) ticks.push(tick);
  const text = (tick) =>
    tick.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return { from, to, place: (value) => (value - from) / (to - from), ticks, text };
}

function logScale(low, high, count) {
  const pad = Math.max(0.02, (Math.log10(high) - Math.log10(low)) * 0.06);
  const from = Math.log10(low) - pad,
    to = Math.log10(high) + pad;
  // Within one factor of three a logarithmic axis has too few round numbers: it takes those of a linear one.
  const few = to - from < 0.5 ? linearScale(10 ** (from + pad), 10 ** (to - pad), count) : null;
  const fitting = (factors) => {
    const found = [];
    for (let power = Math.floor(from); power <= Math.ceil(to); power += 1) {
      for (const factor of factors) found.push(factor * 10 ** power);
    }
    return found.filter((tick) => Math.log10(tick) >= from && Math.log10(tick) <= to);
  };
  const choices = LOG_FACTORS.map(fitting);
  const ticks = few
    ? few.ticks.filter((tick) => tick > 0)
    : choices.find((one) => one.length <= count) || choices[choices.length - 1];
  const text = few ? few.text : (tick) => number(tick, 1);
  return { from: 10 ** from, to: 10 ** to, place: (value) => (Math.log10(value) - from) / (to - from), ticks, text };
}

function timeScale(low, high, count) {
  const pad = Math.max(MINUTE, (high - low) * 0.05);
  const from = low - pad,
    to = high + pad;
  const step = TIME_STEPS.find((one) => (to - from) / one <= count) || 730 * DAY;
  const offset = new Date(low * 1000).getTimezoneOffset() * MINUTE; // ticks at local midnight
  const ticks = [];
  for (let tick = Math.ceil((from - offset) / step) * step + offset; tick <= to; tick += step) ticks.push(tick);
  const text = (tick) => (step < DAY ? moment(tick).slice(5) : moment(tick).slice(0, 10));
  return { from, to, place: (value) => (value - from) / (to - from), ticks, text };
}

/** The scale of an axis over some values in its unit's base; ticks carry the unit that the title names. */
function scaleOf(axis, values, count) {
  let low = Infinity,
    high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) [low, high] = [0, 1];
  if (axis.from !== undefined) low = Math.min(low, axis.from);
  if (axis.kind === "time") return { ...timeScale(low, high, count), unit: "" };
  const { factor, name } = unitFor(axis.unit || "", high);
  const make = axis.kind === "log" && low > 0 ? logScale : linearScale;
  const scale = make(low / factor, high / factor, count);
  return {
    ...scale,
    from: scale.from * factor,
    to: scale.to * factor,
    place: (value) => scale.place(value / factor),
    ticks: scale.ticks.map((tick) => tick * factor),
    text: (tick) => scale.text(tick / factor),
    unit: name,
  };
}
