"use strict";
/* Latency by kernel: profiles of a model on a device, its runtimes side by side. */

const MOST_KERNELS = 15;

const GROUPINGS = ["kernel", "kind"];

/** The kernels of each kind as one, the dearest first. */
function byKind(kernels) {
  const kinds = new Map();
  for (const [, kind, cost, times] of kernels) {
    const [sum, count] = kinds.get(kind) || [0, 0];
    kinds.set(kind, [sum + cost, count + times]);
  }
  return [...kinds]
    .map(([kind, [cost, times]]) => [kind, "", cost, times])
    .sort(([, , one], [, , other]) => other - one);
}

/** One profile: kernels, or kinds of them, by what they cost, the rest in one line; `most` costs a whole bar. */
function profileTable(profile, grouping, kernels, most) {
  const { unit, call } = profile;
  const whole = kernels.reduce((sum, [, , cost]) => sum + cost, 0);
  const rest = kernels.slice(MOST_KERNELS),
    others = rest.reduce((sum, [, , cost]) => sum + cost, 0);
  const row = (name, kind, cost, times, more) => {
    const bar = more ? "" : el("span", { class: "share" });
    if (bar) bar.style.width = `${(100 * cost) / most}%`;
    return el(
      "tr",
      {},
      el(
        "td",
        {},
        name,
        el("br"),
        el(
          "span",
          { class: "note" },
          [kind, times > 1 && `${number(times, 3).replace(/\.0+$/, "")} times`].filter(Boolean).join(", "),
        ),
      ),
      el("td", { class: "number" }, amount(cost, unit, 3).replace(" instructions", "")),
      el("td", { class: "number" }, `${number((100 * cost) / whole, 2)} %`),
      el("td", { class: "shares" }, bar),
    );
  };
  const rows = kernels.slice(0, MOST_KERNELS).map(([name, kind, cost, times]) => row(name, kind, cost, times, false));
  if (rest.length) rows.push(row(`${rest.length} more`, "", others, 1, true));
  return el(
    "figure",
    {},
    el("h3", {}, `${profile.runtime} ${profile.version}`),
    el(
      "p",
      { class: "note" },
      `${amount(whole, unit)} in kernels of a call; the call took ${amount(call, unit)} without the profiler. ${moment(profile.at)}, ${profile.calls} calls.`,
    ),
    el(
      "div",
      { class: "scroll" },
      el(
        "table",
        { class: "kernels" },
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            [grouping, unit === "ms" ? "time" : "instructions", "share", ""].map((title, place) =>
              el("th", { scope: "col", class: place === 1 || place === 2 ? "number" : null }, title),
            ),
          ),
        ),
        el("tbody", {}, rows),
      ),
    ),
  );
}

function drawKernels(host, profiles) {
  if (!profiles.length)
    return host.append(
      el("p", { class: "note" }, "Nothing is profiled yet. hwloop profile MODEL.onnx -d DEVICE does it."),
    );
  const groups = new Map();
  for (const one of profiles) {
    const key = `${one.model} on ${one.device}${one.threads > 1 ? `, ${one.threads} threads` : ""}`;
    groups.set(key, [...(groups.get(key) || []), one]);
  }
  const names = [...groups.keys()],
    grid = el("div", { class: "columns" });
  const chosen = { model: 0, grouping: 0 };
  const shown = () => {
    const newest = new Map(
      groups
        .get(names[chosen.model])
        .map((one) => [one.runtime, one])
        .reverse(),
    );
    const grouping = GROUPINGS[chosen.grouping];
    const profiles = [...newest.values()]
      .sort((one, other) => (one.runtime < other.runtime ? -1 : 1))
      .map((one) => [one, grouping === "kind" ? byKind(one.kernels) : one.kernels]);
    const most = Math.max(...profiles.map(([, [[, , cost]]]) => cost)); // one scale for all that stand side by side
    grid.replaceChildren(...profiles.map(([one, kernels]) => profileTable(one, grouping, kernels, most)));
  };
  host.append(
    el(
      "div",
      { class: "controls" },
      choice("Model", names, (place) => {
        chosen.model = place;
        shown();
      }),
      choice("By", GROUPINGS, (place) => {
        chosen.grouping = place;
        shown();
      }),
    ),
    grid,
  );
  shown();
}
