"use strict";
/* A model over time: one line for a device, a runtime and a number of threads. */

const LEAST_MOMENTS = 2;

function seriesOf(measurements) {
  const series = new Map();
  for (const one of measurements) {
    if (one.value === null) continue;
    const name = `${one.model} on ${one.device} with ${one.runtime}${one.threads > 1 ? `, ${one.threads} threads` : ""}${one.batch > 1 ? `, batch ${one.batch}` : ""}`;
    if (!series.has(name)) series.set(name, []);
    series.get(name).push(one);
  }
  return [...series]
    .filter(([, found]) => found.length >= LEAST_MOMENTS)
    .sort(([, one], [, other]) => other.length - one.length);
}

/** What changed between two measurements, in words; nothing if the same was measured. */
function changed(before, after) {
  return [
    after.digest === before.digest ? null : "another file",
    after.version === before.version ? null : `${after.runtime} ${after.version}`,
  ]
    .filter(Boolean)
    .join(", ");
}

function drawHistory(host, measurements) {
  const series = seriesOf(measurements);
  if (!series.length)
    return host.append(
      el("p", { class: "note" }, "No model is measured twice on a device. hwloop measure --fresh measures one again."),
    );
  const figure = el("figure", {});
  const shown = (place) => {
    const [name, found] = series[place];
    const inTime = [...found].reverse();
    const { unit } = inTime[0];
    const point = (one) => ({
      x: one.at,
      y: one.value,
      low: one.low_ms,
      high: one.high_ms,
      title: moment(one.at),
      rows: [
        [one.emulated ? "instructions" : "median", amount(one.value, unit)],
        ["verdict", one.verdict],
        ["runtime", `${one.runtime} ${one.version}`],
        ["file", `${one.digest}…`],
        ["", one.reasons],
      ],
    });
    const valid = inTime.filter((one) => one.verdict === "VALID"),
      doubtful = inTime.filter((one) => one.verdict !== "VALID");
    const lines = [];
    inTime.forEach((one, step) => {
      const what = step && changed(inTime[step - 1], one);
      if (what)
        lines.push({
          tone: "second",
          dashed: true,
          text: what,
          points: [
            [(one.at + inTime[step - 1].at) / 2, -Infinity],
            [(one.at + inTime[step - 1].at) / 2, Infinity],
          ],
        });
    });
    if (lines.length > 4)
      lines.forEach((line) => {
        line.text = null;
      });
    replot(figure, {
      label: `${name}: ${inTime.length} measurements over time`,
      x: { title: "measured", kind: "time" },
      y: { title: unit === "ms" ? "median" : "a call", unit, kind: "linear", better: "low" },
      height: 320,
      lines,
      series: [
        { tone: "accent", mark: "line", points: valid.map((one) => ({ x: one.at, y: one.value })) },
        { tone: "muted", mark: "small", points: doubtful.map(point) },
        { tone: "accent", mark: "dot", points: valid.map(point) },
      ],
    });
    figure.append(
      el(
        "figcaption",
        {},
        `${valid.length} valid measurements (large, with 95 % intervals)${doubtful.length ? `, ${doubtful.length} others (small)` : ""}. Dashed: what is measured changed${lines.length > 4 ? `, ${lines.length} times` : ""}.`,
      ),
    );
  };
  host.append(
    el(
      "div",
      { class: "controls" },
      choice(
        "Model",
        series.map(([name, found]) => `${name} (${found.length})`),
        shown,
      ),
    ),
    figure,
  );
  shown(0);
}
