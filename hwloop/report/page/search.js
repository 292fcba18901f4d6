"use strict";
/* The page of one search. */

const data = JSON.parse(document.getElementById("data").textContent);
const objectives = new Map(data.objectives.map((one) => [one.key, one]));

function axisOf(objective) {
  return {
    title: objective.title,
    unit: objective.unit,
    better: objective.maximize ? "high" : "low",
    kind: objective.unit === "fraction" ? "linear" : "log",
  };
}

function measuredRows(trial) {
  return data.objectives.map(({ key, title, unit }) => [
    title,
    trial.values[key] === undefined ? null : amount(trial.values[key], unit),
  ]);
}

function trialPoint(trial, x, y) {
  const state = trial.on_front ? "on the front" : trial.feasible ? null : "outside the constraints";
  return {
    x: trial.values[x.key],
    y: trial.values[y.key],
    title: trial.label,
    trial,
    rows: [...measuredRows(trial), ["round", String(trial.round)], ["", state]].filter(([, value]) => value),
  };
}

function constraintLines(x, y) {
  const lines = [],
    areas = [];
  for (const { objective, relation, bound } of data.constraints) {
    if (objective !== x.key && objective !== y.key) continue;
    const { title, unit } = objectives.get(objective);
    const text = `${title} ${relation === "<=" ? "≤" : "≥"} ${brief(bound, unit)}`;
    const upright = objective === x.key;
    const most = relation === "<=";
    lines.push({
      tone: "second",
      dashed: true,
      text,
      fits: true,
      points: upright
        ? [
            [bound, -Infinity],
            [bound, Infinity],
          ]
        : [
            [-Infinity, bound],
            [Infinity, bound],
          ],
    });
    areas.push({
      tone: "outside",
      polygon: (scales) => {
        const scale = upright ? scales.x : scales.y,
          other = upright ? scales.y : scales.x;
        const [from, to] = most ? [bound, Math.max(bound, scale.to)] : [Math.min(bound, scale.from), bound];
        const corners = [
          [from, other.from],
          [to, other.from],
          [to, other.to],
          [from, other.to],
        ];
        return upright ? corners : corners.map(([along, across]) => [across, along]);
      },
    });
  }
  return { lines, areas };
}

function picked(host, trial) {
  const rows = data.objectives.flatMap(({ key, title, unit }) => {
    const told = trial.predicted[key];
    return [
      [title, trial.values[key] === undefined ? null : amount(trial.values[key], unit)],
      ["predicted", told && `${amount(told[0], unit)} (${amount(told[1], unit)} to ${amount(told[2], unit)})`],
    ];
  });
  host.replaceChildren(
    el("strong", {}, trial.label),
    pairs([...rows, ["round", String(trial.round)], ["failed", trial.failure]]),
    el("h3", {}, "What it is"),
    pairs(trial.details),
  );
}

function drawFront(host) {
  const chart = el("div", {}),
    card = el(
      "div",
      { class: "picked", "aria-live": "polite" },
      el("p", { class: "note" }, "Click, tap or press Enter on a candidate to see what it is."),
    );
  const keys = [...objectives.keys()];
  const chosen = {
    x: Math.max(
      0,
      keys.findIndex((key) => key.startsWith("latency")),
    ),
    y: Math.max(0, keys.indexOf("accuracy")),
  };
  if (chosen.x === chosen.y) chosen.y = chosen.x ? 0 : 1;
  const drawn = () => {
    const x = data.objectives[chosen.x],
      y = data.objectives[chosen.y];
    const done = data.trials.filter((trial) => trial.values[x.key] !== undefined && trial.values[y.key] !== undefined);
    const front = done.filter((trial) => trial.on_front).sort((one, other) => one.values[x.key] - other.values[x.key]);
    const points = (trials) => trials.map((trial) => trialPoint(trial, x, y));
    const series = [{ tone: "muted", mark: "small", points: points(done.filter((trial) => !trial.on_front)) }];
    if (data.objectives.length === 2)
      series.push({
        tone: "accent",
        mark: "step",
        points: front.map((one) => ({ x: one.values[x.key], y: one.values[y.key] })),
      });
    series.push({ tone: "accent", mark: "dot", points: points(front), direct: front.length ? "front" : null });
    replot(chart, {
      label: `${y.title} against ${x.title}: ${done.length} candidates, ${front.length} of them on the front`,
      x: axisOf(x),
      y: axisOf(y),
      series,
      ...constraintLines(x, y),
      height: 420,
      picked: (point) => picked(card, point.trial),
    });
  };
  const titles = data.objectives.map(({ title }) => title);
  const controls =
    data.objectives.length > 2
      ? el(
          "div",
          { class: "controls" },
          choice(
            "Across",
            titles,
            (place) => {
              chosen.x = place;
              drawn();
            },
            chosen.x,
          ),
          choice(
            "Upward",
            titles,
            (place) => {
              chosen.y = place;
              drawn();
            },
            chosen.y,
          ),
        )
      : null;
  const failed = data.trials.filter((trial) => trial.failure).length;
  const caption = `Large dots are on the front, small ones are not.${failed ? ` ${failed} failed and are not drawn.` : ""}`;
  host.append(
    ...[controls, el("div", { class: "beside" }, el("figure", {}, chart, el("figcaption", {}, caption)), card)].filter(
      Boolean,
    ),
  );
  drawn();
}

function drawPredicted(host) {
  const grid = el("div", { class: "columns" });
  for (const { key, title, unit } of data.objectives) {
    const points = data.trials
      .filter((trial) => trial.predicted[key] && trial.values[key] > 0)
      .map((trial) => {
        const [value, low, high] = trial.predicted[key];
        return {
          x: trial.values[key],
          y: value,
          low,
          high,
          title: trial.label,
          rows: [
            ["measured", amount(trial.values[key], unit)],
            ["predicted", amount(value, unit)],
            ["interval", `${amount(low, unit)} to ${amount(high, unit)}`],
            ["off by", percent(value / trial.values[key] - 1)],
          ],
        };
      });
    if (!points.length) continue;
    const figure = el("figure", {}, el("h3", {}, title));
    grid.append(figure);
    againstMeasured(figure, points, unit, title);
  }
  host.append(grid.children.length ? grid : el("p", { class: "note" }, "Nothing was predicted in this search."));
}

function drawProgress(host) {
  if (!data.hypervolumes.length) return host.append(el("p", { class: "note" }, "There is no hypervolume yet."));
  const points = data.hypervolumes.map(([x, y]) => ({
    x,
    y,
    title: `${x} measured`,
    rows: [["hypervolume", number(y)]],
  }));
  const figure = el("figure", {});
  host.append(figure);
  plot(figure, {
    label: "Hypervolume against number of measurements",
    x: { title: "candidates measured", kind: "linear", from: 0 },
    y: { title: "hypervolume", kind: "linear", from: 0, better: "high" },
    height: 280,
    series: [{ tone: "accent", mark: "step", points }],
  });
}

function valueColumns(read) {
  return data.objectives.map(({ key, title, unit }) => ({
    title,
    number: true,
    get: (row) => read(row, key),
    show: (row) => amount(read(row, key), unit),
  }));
}

function drawFinal(host) {
  if (!data.front.length) return host.append(el("p", { class: "note" }, "No candidate stands on the front."));
  const told = data.objectives.filter(({ key }) => data.front.some((row) => row.predicted[key]));
  const off = (row, key) =>
    row.predicted[key] && row.values[key] ? row.predicted[key][0] / row.values[key] - 1 : null;
  dataTable(host, {
    caption: "The front, measured again on the device and evaluated. Each row unfolds.",
    rows: data.front,
    columns: [
      { title: "candidate", get: (row) => row.label, show: (row) => row.label },
      ...valueColumns((row, key) => row.values[key]),
      ...told.flatMap(({ key, title, unit }) => [
        {
          title: `predicted ${title}`,
          number: true,
          get: (row) => row.predicted[key] && row.predicted[key][0],
          show: (row) => amount(row.predicted[key] && row.predicted[key][0], unit),
        },
        {
          title: "off by",
          number: true,
          get: (row) => off(row, key),
          show: (row) => (off(row, key) === null ? "–" : percent(off(row, key))),
        },
      ]),
    ],
    open: (row) => pairs(row.details),
  });
}

function drawTrials(host) {
  const state = (trial) =>
    trial.failure ? "failed" : trial.on_front ? "front" : trial.feasible ? "dominated" : "outside";
  dataTable(host, {
    caption: "Every candidate in the order of measuring. Each row unfolds.",
    rows: data.trials,
    columns: [
      { title: "candidate", get: (row) => row.label, show: (row) => row.label },
      { title: "round", number: true, get: (row) => row.round, show: (row) => String(row.round) },
      ...valueColumns((row, key) => row.values[key]),
      { title: "state", get: state, show: state },
    ],
    choices: [{ title: "State", get: state }],
    words: (row) => `${row.label} ${row.details.flat().join(" ")} ${row.failure || ""}`,
    open: (row) => el("div", {}, row.failure ? el("p", {}, row.failure) : null, pairs(row.details)),
  });
}

const DRAWN = {
  front: drawFront,
  predicted: drawPredicted,
  progress: drawProgress,
  final: drawFinal,
  trials: drawTrials,
};
for (const [name, drawn] of Object.entries(DRAWN)) drawn(document.getElementById(`${name}-here`));
document.documentElement.dataset.ready = String(Math.round(performance.now()));
