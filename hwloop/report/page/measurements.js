"use strict";
/* Measurements: rows out of the compact form, the table, and the calls of each process. */

const SYMBOLS = { VALID: "✓", INVALID: "!", FAILED: "✕" };
const WORD_COLUMNS = new Set(["model", "digest", "device", "runtime", "version", "verdict", "reasons"]);

/** The measurements as objects, newest first; `packed` are the samples, which `processesOf` opens. */
function measurementsOf({ columns, words, rows, samples }) {
  return rows.map((row, place) => {
    const one = { packed: samples[place] };
    columns.forEach((name, column) => {
      one[name] = WORD_COLUMNS.has(name) ? words[row[column]] : row[column];
    });
    one.unit = one.emulated ? "instructions" : "ms";
    one.value = one.emulated ? one.instructions : one.median_ms;
    return one;
  });
}

/** The calls of each process in the measurement's unit: {count, greatest, values}. */
function processesOf(one) {
  if (!one.packed) return [];
  const [step, least, ...processes] = one.packed;
  const factor = one.emulated ? 1 : 1e-6;
  return processes.map(([count, greatest, text]) => {
    const bytes = atob(text);
    const values = new Float64Array(bytes.length / 2);
    for (let place = 0; place < values.length; place += 1) {
      values[place] = (least + step * (bytes.charCodeAt(2 * place) + 256 * bytes.charCodeAt(2 * place + 1))) * factor;
    }
    return { count, greatest: greatest * factor, values };
  });
}

const SPARK = { bins: 28, from: 0.85, to: 1.35, width: 110, height: 22 };

/** How the calls spread around their median, all on the same scale: a small drawing for a table's row. */
function spark(one) {
  const values = processesOf(one).flatMap(({ values }) => [...values]);
  if (values.length < 2 || !one.value) return "";
  const counts = new Array(SPARK.bins).fill(0);
  for (const value of values) {
    const share = (value / one.value - SPARK.from) / (SPARK.to - SPARK.from);
    counts[Math.max(0, Math.min(SPARK.bins - 1, Math.floor(share * SPARK.bins)))] += 1;
  }
  const most = Math.max(...counts),
    step = SPARK.width / SPARK.bins;
  const tops = counts.map(
    (count, bin) => `L${bin * step},${SPARK.height - (count / most) * (SPARK.height - 2)}h${step}`,
  );
  return svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, "aria-hidden": "true" },
    svg("path", { d: `M0,${SPARK.height}${tops.join("")}V${SPARK.height}Z` }),
  );
}

function verdict(one) {
  return el("span", { class: `verdict ${one.verdict}` }, `${SYMBOLS[one.verdict]} ${one.verdict}`);
}

function withHalf(one) {
  if (one.median_ms === null) return "–";
  if (one.low_ms === null) return number(one.median_ms);
  const median = number(one.median_ms),
    decimals = (median.split(".")[1] || "").length;
  return `${median} ±${Math.max(one.median_ms - one.low_ms, one.high_ms - one.median_ms).toFixed(decimals)}`;
}

/** What a row unfolds to: the calls in order, process by process, and every figure. */
function inFull(one) {
  const processes = processesOf(one);
  const box = el("div", {});
  if (one.reasons) box.append(el("p", {}, `${SYMBOLS[one.verdict]} ${one.reasons}`));
  const beside = el("div", { class: "beside" });
  const figure = el("figure", {});
  beside.append(figure);
  if (processes.length) {
    let start = 0;
    const edges = [],
      points = [];
    processes.forEach(({ count, values }, process) => {
      values.forEach((value, place) => {
        const call = Math.round(start + (place * (count - 1)) / Math.max(1, values.length - 1));
        points.push({
          x: call,
          y: value,
          title: `Call ${(call - start + 1).toLocaleString("en")} of process ${process + 1}`,
          rows: [["took", amount(value, one.unit)]],
        });
      });
      start += count;
      if (process < processes.length - 1)
        edges.push({
          tone: "muted",
          dashed: true,
          points: [
            [start - 0.5, -Infinity],
            [start - 0.5, Infinity],
          ],
        });
    });
    const lines = one.value
      ? [
          ...edges,
          {
            tone: "second",
            text: "median",
            points: [
              [-Infinity, one.value],
              [Infinity, one.value],
            ],
          },
        ]
      : edges;
    plot(figure, {
      label: `Calls of ${processes.length} processes`,
      x: { title: "call, process after process", kind: "linear" },
      y: { title: "a call", unit: one.unit, kind: "linear", better: "low" },
      height: 240,
      lines,
      series: [{ tone: "accent", mark: "small", points }],
    });
    const kept = processes.some(({ count, values }) => count > values.length);
    figure.append(
      el(
        "figcaption",
        {},
        `${processes.length} processes, ${start.toLocaleString("en")} calls${kept ? `; of each process ${processes[0].values.length}, evenly spaced, are drawn` : ""}. The longest took ${amount(Math.max(...processes.map(({ greatest }) => greatest)), one.unit)}.`,
      ),
    );
  } else {
    figure.append(el("p", { class: "note" }, "There are no calls to show."));
  }
  const span = one.low_ms === null ? null : `${amount(one.low_ms, "ms")} to ${amount(one.high_ms, "ms")}`;
  beside.append(
    pairs([
      ["id", one.id],
      ["model", `${one.digest}…`],
      ["runtime", `${one.runtime} ${one.version}`],
      ["threads", String(one.threads)],
      ["batch", String(one.batch)],
      ["median", one.median_ms && amount(one.median_ms, "ms")],
      ["95 % interval", span],
      ["p90", one.p90_ms && amount(one.p90_ms, "ms")],
      ["p99", one.p99_ms && amount(one.p99_ms, "ms")],
      ["least", one.min_ms && amount(one.min_ms, "ms")],
      ["instructions", one.instructions && amount(one.instructions, "instructions", 6)],
      ["peak memory", one.rss_mb && `${number(one.rss_mb, 3)} MB`],
      ["size", amount(one.bytes, "bytes", 3)],
      ["max |error|", one.error === null ? null : number(one.error, 2)],
    ]),
  );
  box.append(beside);
  return box;
}

function drawMeasurements(host, measurements) {
  if (!measurements.length)
    return host.append(el("p", { class: "note" }, "Nothing is measured yet. hwloop measure MODEL.onnx measures one."));
  const timed = measurements.some((one) => one.median_ms !== null),
    counted = measurements.some((one) => one.instructions !== null);
  const columns = [
    { title: "model", get: (one) => one.model, show: (one) => one.model },
    { title: "device", short: true, get: (one) => one.device, show: (one) => one.device },
    { title: "runtime", short: true, get: (one) => one.runtime, show: (one) => one.runtime },
    { title: "verdict", get: (one) => one.verdict, show: verdict },
    timed && { title: "median, ms", number: true, get: (one) => one.median_ms, show: withHalf },
    { title: "spread", show: spark },
    timed &&
      !counted && { title: "p90, ms", number: true, get: (one) => one.p90_ms, show: (one) => number(one.p90_ms) },
    counted && {
      title: "instructions",
      number: true,
      get: (one) => one.instructions,
      show: (one) =>
        one.instructions === null ? "–" : amount(one.instructions, "instructions").replace(" instructions", ""),
    },
    { title: "size", number: true, get: (one) => one.bytes, show: (one) => amount(one.bytes, "bytes", 3) },
    { title: "measured", short: true, get: (one) => one.at, show: (one) => moment(one.at) },
  ].filter(Boolean);
  dataTable(host, {
    caption: `Newest first. Spread: calls from −${Math.round((1 - SPARK.from) * 100)} % to +${Math.round((SPARK.to - 1) * 100)} % of the median.`,
    columns,
    rows: measurements,
    choices: ["device", "runtime", "verdict"].map((name) => ({ title: name, get: (one) => one[name] })),
    words: (one) => `${one.model} ${one.device} ${one.runtime} ${one.id} ${one.digest} ${one.reasons}`,
    open: inFull,
  });
}
